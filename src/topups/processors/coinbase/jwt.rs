//! Tokens that Coinbase asks for: one for each request, signed with a key of ours. Source:
//! <https://docs.cdp.coinbase.com/api-reference/v2/authentication>.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;
use url::Url;

use crate::base::secret::random_bytes;

/// How long a token holds; no more is taken.
const SECONDS: i64 = 120;
/// Of a private key and of an uncompressed point on the curve P-256.
const PRIVATE: usize = 32;
const POINT: usize = 65;

/// A key that signs, as Coinbase hands it out.
#[derive(Clone)]
pub struct Key(Arc<Pair>);

enum Pair {
    Edwards(Ed25519KeyPair),
    Elliptic(EcdsaKeyPair, SystemRandom),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

impl Key {
    /// Reads a key's secret: 64 bytes in base64 (Ed25519), or a PEM file (ECDSA on P-256), whose lines may be divided by
    /// `\n` in words.
    #[must_use]
    pub fn parse(secret: &str) -> Option<Key> {
        let text = secret.replace("\\n", "\n");
        let text = text.trim();
        let pair = if text.starts_with("-----BEGIN") { elliptic(text)? } else { edwards(text)? };
        Some(Key(Arc::new(pair)))
    }

    /// The Ed25519 key of these 32 bytes.
    #[must_use]
    pub fn from_seed(seed: &[u8]) -> Option<Key> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(|pair| Key(Arc::new(Pair::Edwards(pair))))
    }

    /// A token for one request. `None` when the key cannot sign.
    #[must_use]
    pub fn token(&self, id: &str, method: &str, url: &Url, now: DateTime<Utc>) -> Option<String> {
        let algorithm = match &*self.0 {
            Pair::Edwards(_) => "EdDSA",
            Pair::Elliptic(..) => "ES256",
        };
        let host = url.host_str()?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let uri = format!("{method} {host}{port}{}", url.path());
        let header = json!({ "alg": algorithm, "typ": "JWT", "kid": id, "nonce": hex::encode(&random_bytes()[..16]) });
        let now = now.timestamp();
        // Older parts of Coinbase read `uri`, newer ones `uris`.
        let claims = json!({
            "sub": id, "iss": "cdp", "nbf": now, "iat": now, "exp": now + SECONDS, "uri": uri, "uris": [uri],
        });
        let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = match &*self.0 {
            Pair::Edwards(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Pair::Elliptic(pair, random) => pair.sign(random, signed.as_bytes()).ok()?.as_ref().to_vec(),
        };
        Some(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What others check its tokens with: 32 bytes of Ed25519, or a point on P-256.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        match &*self.0 {
            Pair::Edwards(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Elliptic(pair, _) => pair.public_key().as_ref().to_vec(),
        }
    }
}

fn edwards(text: &str) -> Option<Pair> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    let (seed, public) = (bytes.len() == 2 * PRIVATE).then(|| bytes.split_at(PRIVATE))?;
    Ed25519KeyPair::from_seed_and_public_key(seed, public).ok().map(Pair::Edwards)
}

fn elliptic(pem: &str) -> Option<Pair> {
    let inner: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = BASE64_STANDARD.decode(inner).ok()?;
    let (private, public) = key_parts(&der)?;
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public, &random).ok()?;
    Some(Pair::Elliptic(pair, random))
}

/// One element of DER: its tag, its content, and what comes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
        _ => return None,
    };
    (rest.len() >= length).then(|| rest.split_at(length)).map(|(content, rest)| (tag, content, rest))
}

const SEQUENCE: u8 = 0x30;
const OCTETS: u8 = 0x04;
const BITS: u8 = 0x03;
/// Where a key in the frame of SEC 1 has its public part.
const PUBLIC: u8 = 0xa1;

/// The private and the public part of a key on P-256, in the frame of SEC 1 (RFC 5915) or inside that of PKCS 8.
fn key_parts(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (SEQUENCE, content, _) = element(der)? else { return None };
    let (_version, _, rest) = element(content)?;
    match element(rest)? {
        // The kind of key comes before a key that is framed once more.
        (SEQUENCE, _, rest) => match element(rest)? {
            (OCTETS, framed, _) => key_parts(framed),
            _ => None,
        },
        (OCTETS, private, mut rest) if private.len() == PRIVATE => loop {
            let (tag, content, after) = element(rest)?;
            if tag == PUBLIC {
                let (BITS, bits, _) = element(content)? else { return None };
                let (0, point) = bits.split_first().map(|(&unused, point)| (unused, point))? else { return None };
                return (point.len() == POINT).then_some((private, point));
            }
            rest = after;
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
    use serde_json::Value;

    use super::*;

    // Made for these tests, and used nowhere else.
    const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIBNyAONere5KH6VDR1kKFfardG1If5kqPSZtU6wUavxroAoGCCqGSM49\nAwEHoUQDQgAEhrrV9DLlSUUJOP8hFGxM5hdGNClZrAWE/vI6knWx8Fvm0YBKRSXN\nlsGksT0MdqRHVfiiUwuln0nMacur7AuPJg==\n-----END EC PRIVATE KEY-----";
    const PKCS8: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgE3IA416t7kofpUNH\nWQoV9qt0bUh/mSo9Jm1TrBRq/GuhRANCAASGutX0MuVJRQk4/yEUbEzmF0Y0KVms\nBYT+8jqSdbHwW+bRgEpFJc2WwaSxPQx2pEdV+KJTC6WfScxpy6vsC48m\n-----END PRIVATE KEY-----";
    const ED25519_SECRET: &str =
        "m3tcer+ztCw5z8wRdIrsLj2+U0nqHCFPmchY2rQqwYXoxuSc2v8ODSEh1aHdkW93dE1Adg4FtuYq2nfFJPIhvg==";

    fn parsed(secret: &str) -> Key {
        Key::parse(secret).unwrap_or_else(|| panic!("a key"))
    }

    /// Header and claims of a token whose signature holds.
    fn checked(token: &str, public: &[u8], algorithm: &'static dyn VerificationAlgorithm) -> (Value, Value) {
        let parts: Vec<&str> = token.split('.').collect();
        let read = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        let signed = format!("{}.{}", parts[0], parts[1]);
        let held = UnparsedPublicKey::new(algorithm, public).verify(signed.as_bytes(), &read(parts[2]));
        assert!(held.is_ok(), "{token}");
        let json = |part: &str| serde_json::from_slice(&read(part)).unwrap_or_default();
        (json(parts[0]), json(parts[1]))
    }

    #[test]
    fn a_token_names_its_key_its_request_and_two_minutes() {
        let url: Url =
            "https://business.coinbase.com/api/v1/checkouts?pageSize=1".parse().unwrap_or_else(|e| panic!("{e}"));
        let now = DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default();
        let kinds: [(&str, &str, &'static dyn VerificationAlgorithm); 3] = [
            (ED25519_SECRET, "EdDSA", &ED25519),
            (SEC1, "ES256", &ECDSA_P256_SHA256_FIXED),
            (PKCS8, "ES256", &ECDSA_P256_SHA256_FIXED),
        ];
        for (secret, kind, algorithm) in kinds {
            let key = parsed(secret);
            let token = key.token("key-1", "GET", &url, now).unwrap_or_default();
            let (header, claims) = checked(&token, &key.public(), algorithm);
            assert_eq!(
                (&header["alg"], &header["kid"], &header["typ"]),
                (&json!(kind), &json!("key-1"), &json!("JWT"))
            );
            assert_eq!(header["nonce"].as_str().map(str::len), Some(32));
            assert_eq!(claims["uris"], json!(["GET business.coinbase.com/api/v1/checkouts"]));
            assert_eq!((&claims["iss"], &claims["sub"]), (&json!("cdp"), &json!("key-1")));
            assert_eq!((&claims["nbf"], &claims["exp"]), (&json!(1_790_000_000), &json!(1_790_000_120)));
        }
        // A file of one line, as some keep it in an environment.
        assert!(Key::parse(&SEC1.replace('\n', "\\n")).is_some());
    }

    #[test]
    fn what_is_no_key_is_refused_and_none_is_shown() {
        for wrong in
            ["", "secret", "AAAA", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----", &SEC1[..120]]
        {
            assert!(Key::parse(wrong).is_none(), "{wrong}");
        }
        assert_eq!(format!("{:?}", parsed(ED25519_SECRET)), "[hidden]");
    }
}

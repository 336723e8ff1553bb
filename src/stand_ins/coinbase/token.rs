//! Looks at the token of a request.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The longest that a token may hold, in seconds.
const LONGEST: i64 = 120;
/// Clocks differ a little.
const SKEW: i64 = 5;
const NONCE: usize = 16;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    nonce: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iss: String,
    nbf: i64,
    exp: i64,
    uris: Vec<String>,
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

/// What is wrong with a token for this request, if anything is. `key` is the public half: 32 bytes of Ed25519, or a
/// point on P-256.
pub fn problem(token: &str, key_id: &str, key: &[u8], request: &str, now: i64) -> Option<&'static str> {
    let parts: Vec<&str> = token.split('.').collect();
    let [head, body, signature] = parts[..] else { return Some("it is no token") };
    let (Some(header), Some(claims)) = (part::<Header>(head), part::<Claims>(body)) else {
        return Some("it cannot be read");
    };
    let (name, algorithm): (&str, &'static dyn VerificationAlgorithm) =
        if key.len() == 32 { ("EdDSA", &ED25519) } else { ("ES256", &ECDSA_P256_SHA256_FIXED) };
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    let signed = format!("{head}.{body}");
    let problems = [
        (header.alg != name, "it has another algorithm than the key"),
        (header.kid != key_id || claims.sub != key_id, "it names another key"),
        (header.nonce.len() < NONCE, "it has no nonce"),
        (
            UnparsedPublicKey::new(algorithm, key).verify(signed.as_bytes(), &signature).is_err(),
            "its signature does not hold",
        ),
        (claims.iss != "cdp", "it has another issuer"),
        (claims.nbf > now + SKEW || claims.exp <= now - SKEW, "it is not valid now"),
        (claims.exp - claims.nbf > LONGEST, "it is valid for too long"),
        (!claims.uris.iter().any(|one| one == request), "it is for another request"),
    ];
    problems.into_iter().find_map(|(wrong, what)| wrong.then_some(what))
}

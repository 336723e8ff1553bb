//! Whether a message is from GitHub: ECDSA on P-256 over its bytes, with keys that GitHub publishes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;
use url::Url;

use crate::outgoing::HttpClient;

/// The list of keys has a few hundred bytes for each.
const MAX_ANSWER: usize = 256 * 1024;
const MAX_KEYS: usize = 100;
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Keys are asked for again after this, so that one which was withdrawn is not believed for ever.
const FRESH_FOR: Duration = Duration::from_secs(3_600);
/// A message that names an unknown key makes us ask again, but not more often than this.
const ASK_AT_MOST_EVERY: Duration = Duration::from_secs(60);
/// What stands before the point in the DER of each public key on P-256: the two names of its kind (RFC 5480).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const POINT_LENGTH: usize = 65;

/// Checks messages of GitHub's secret scanning. Cloning it is cheap; clones share what they know.
#[derive(Clone)]
pub struct Scanner(Option<Arc<Inner>>);

struct Inner {
    url: Url,
    client: HttpClient,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    points: HashMap<String, Vec<u8>>,
    asked: Option<Instant>,
}

#[derive(Debug, thiserror::Error)]
pub enum ScannerError {
    /// The operator set no address of the keys.
    #[error("this instance takes no messages of secret scanning")]
    Off,
    #[error("the signature is missing or not that of the scanner")]
    Signature,
    #[error("the scanner's keys could not be fetched: {0}")]
    Keys(String),
}

impl Scanner {
    /// `None` switches it off.
    #[must_use]
    pub fn new(url: Option<Url>, client: HttpClient) -> Scanner {
        Scanner(url.map(|url| Arc::new(Inner { url, client, known: Mutex::default() })))
    }

    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Whether these bytes were signed with the key of that name.
    ///
    /// # Errors
    /// See [`ScannerError`].
    pub async fn verify(&self, key: &str, signature: &str, body: &[u8]) -> Result<(), ScannerError> {
        let inner = self.0.as_ref().ok_or(ScannerError::Off)?;
        let signature = STANDARD.decode(signature).map_err(|_| ScannerError::Signature)?;
        let point = inner.point(key).await?.ok_or(ScannerError::Signature)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
            .verify(body, &signature)
            .map_err(|_| ScannerError::Signature)
    }
}

impl Inner {
    async fn point(&self, key: &str) -> Result<Option<Vec<u8>>, ScannerError> {
        let now = Instant::now();
        if let Some(known) = self.known(key, now) {
            return Ok(known);
        }
        let points = self.fetch().await?;
        let found = points.get(key).cloned();
        self.lock().points = points;
        Ok(found)
    }

    /// What is known without asking; `None` when it is time to ask. Whoever gets `None` asks, and others do not meanwhile.
    fn known(&self, key: &str, now: Instant) -> Option<Option<Vec<u8>>> {
        let mut known = self.lock();
        let age = known.asked.map(|asked| now.duration_since(asked));
        let found = known.points.get(key).cloned();
        let wait = if found.is_some() { FRESH_FOR } else { ASK_AT_MOST_EVERY };
        if age.is_some_and(|age| age < wait) {
            return Some(found);
        }
        known.asked = Some(now);
        None
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn fetch(&self) -> Result<HashMap<String, Vec<u8>>, ScannerError> {
        let fetched = tokio::time::timeout(ANSWER_WITHIN, self.ask()).await;
        let read = fetched.map_err(|_| "there was no answer in time".to_owned()).and_then(|answer| answer);
        if read.is_err() {
            // The next message may ask at once: GitHub sends this one again.
            self.lock().asked = None;
        }
        read.map_err(ScannerError::Keys)
    }

    async fn ask(&self) -> Result<HashMap<String, Vec<u8>>, String> {
        let request = self.client.get(self.url.clone()).map_err(|error| error.to_string())?;
        let request = request.header("accept", "application/json").header("user-agent", "farebox");
        let mut answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!("the answer was {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_ANSWER {
                return Err("the answer is too long".to_owned());
            }
        }
        read(&body).ok_or_else(|| "the answer is no list of keys".to_owned())
    }
}

#[derive(Deserialize)]
struct Listed {
    public_keys: Vec<ListedKey>,
}

#[derive(Deserialize)]
struct ListedKey {
    key_identifier: String,
    key: String,
}

/// The points of those keys that are on P-256.
fn read(body: &[u8]) -> Option<HashMap<String, Vec<u8>>> {
    let listed: Listed = serde_json::from_slice(body).ok()?;
    let points = listed.public_keys.into_iter().take(MAX_KEYS);
    Some(points.filter_map(|key| point_of(&key.key).map(|point| (key.key_identifier, point))).collect())
}

/// The point of a public key in PEM.
fn point_of(pem: &str) -> Option<Vec<u8>> {
    let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let body: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let der = STANDARD.decode(body).ok()?;
    let point = der.strip_prefix(&P256_SPKI)?;
    // Uncompressed.
    (point.len() == POINT_LENGTH && point.first() == Some(&4)).then(|| point.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's documentation: a key, a body, and its signature.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gP\nHzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==\n-----END PUBLIC KEY-----\n";

    #[test]
    fn only_a_key_on_the_right_curve_is_taken() {
        assert_eq!(point_of(PEM).map(|point| point.len()), Some(POINT_LENGTH));
        for wrong in ["", "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----", &PEM.replace("DAQcD", "DAQgD")]
        {
            assert!(point_of(wrong).is_none(), "{wrong}");
        }
        let listed = serde_json::json!({ "public_keys": [
            { "key_identifier": "a", "key": PEM, "is_current": true }, { "key_identifier": "b", "key": "x" },
        ] });
        let read = read(listed.to_string().as_bytes()).expect("a list");
        assert_eq!(read.keys().collect::<Vec<_>>(), ["a"]);
        assert!(super::read(b"[]").is_none() && super::read(b"{}").is_none());
    }
}

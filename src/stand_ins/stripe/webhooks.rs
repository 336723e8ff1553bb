//! Events on their way to the shop: signed, tried a few times, in the order or disorder that the switches say.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use url::Url;

pub use crate::stand_ins::deliveries::{ANSWER_TIMEOUT, Queue, Waiting};

/// The header `Stripe-Signature`: a time, and a signature for each secret while they are rotated.
pub fn signature(body: &str, secrets: &[String], now: i64) -> String {
    let mut header = format!("t={now}");
    for secret in secrets {
        // HMAC takes keys of any length, so this cannot fail.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { continue };
        mac.update(format!("{now}.{body}").as_bytes());
        header.push_str(",v1=");
        header.push_str(&hex::encode(mac.finalize().into_bytes()));
    }
    header
}

/// Sends one event once. Gives the status, or nothing if there was no answer.
pub async fn send(client: &reqwest::Client, to: &Url, secrets: &[String], event: &Value, now: i64) -> Option<u16> {
    let body = event.to_string();
    let request = client
        .post(to.clone())
        .header("Content-Type", "application/json; charset=utf-8")
        .header("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .header("Stripe-Signature", signature(&body, secrets, now))
        .body(body);
    request.send().await.ok().map(|answer| answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_one_signature_for_each_secret() {
        let header = signature("{}", &["whsec_a".to_owned(), "whsec_b".to_owned()], 1_700_000_000);
        let parts: Vec<&str> = header.split(',').collect();
        assert_eq!(parts[0], "t=1700000000");
        assert_eq!(parts.len(), 3);
        assert!(parts[1].starts_with("v1=") && parts[1].len() == 3 + 64 && parts[1] != parts[2]);
    }
}

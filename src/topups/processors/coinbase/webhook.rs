//! Messages of Coinbase: verified over their raw bytes and the headers that they name, read for what they are about, and no
//! further. Source: <https://docs.cdp.coinbase.com/coinbase-business/checkout-apis/webhooks>.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::Sha256;

use super::super::{Headers, WebhookError};
use crate::base::{Digest, Secret};
use crate::topups::inbox::Event;

/// A message may be this old, or this far in the future.
const TOLERANCE_SECONDS: i64 = 300;
/// Headers that one signature may cover; there are three.
const MAX_HEADERS: usize = 16;

/// # Errors
/// `Signature` unless it was made with one of the secrets; `Stale` outside of the tolerance.
pub fn verify(
    headers: Headers<'_>,
    body: &[u8],
    secrets: &[Secret<String>],
    now: DateTime<Utc>,
) -> Result<(), WebhookError> {
    let given = headers("x-hook0-signature").ok_or(WebhookError::Signature)?;
    let part = |name: &str| {
        let parts = given.split(',').filter_map(|part| part.trim().split_once('='));
        parts.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value).ok_or(WebhookError::Signature)
    };
    let (stamp, names) = (part("t")?, part("h")?);
    // `v0`, which stands beside it, leaves the headers out.
    let signature = hex::decode(part("v1")?).map_err(|_| WebhookError::Signature)?;
    let seconds: i64 = stamp.parse().map_err(|_| WebhookError::Signature)?;
    let names: Vec<&str> = names.split(' ').filter(|name| !name.is_empty()).collect();
    if names.len() > MAX_HEADERS {
        return Err(WebhookError::Signature);
    }
    let values: Vec<&str> = names.iter().map(|name| headers(&name.to_ascii_lowercase()).unwrap_or_default()).collect();
    let before = format!("{stamp}.{}.{}.", names.join(" "), values.join("."));
    let mut good = false;
    for secret in secrets.iter().filter(|secret| !secret.expose().is_empty()) {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).map_err(|_| WebhookError::Signature)?;
        mac.update(before.as_bytes());
        mac.update(body);
        good |= mac.verify_slice(&signature).is_ok();
    }
    if !good {
        return Err(WebhookError::Signature);
    }
    if now.timestamp().abs_diff(seconds) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(WebhookError::Stale);
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: String,
    event_type: String,
}

/// Which checkout a verified message is about.
///
/// # Errors
/// `Irrelevant` for what is about no checkout, `Damaged` for what is no message.
pub fn read(body: &[u8]) -> Result<Event, WebhookError> {
    let payload: Value = serde_json::from_slice(body).map_err(|_| WebhookError::Damaged("it is no JSON"))?;
    let message: Message = Message::deserialize(&payload).map_err(|_| WebhookError::Damaged("it is no message"))?;
    if !message.event_type.starts_with("checkout.") {
        return Err(WebhookError::Irrelevant);
    }
    if message.id.len() != 24 || !message.id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(WebhookError::Damaged("it names no checkout"));
    }
    // It has no id of its own; delivered again, it has the same bytes.
    let id = Digest::of(body).to_hex();
    Ok(Event {
        processor: "coinbase".to_owned(),
        id,
        kind: message.event_type,
        object_ref: message.id,
        payload: impersonal(&payload),
    })
}

/// What of a message is kept. Transactions, by which everybody can find their payer's wallet, stay there.
fn impersonal(payload: &Value) -> Value {
    const KEPT: [&str; 9] =
        ["id", "eventType", "status", "amount", "currency", "network", "refundedAmount", "createdAt", "updatedAt"];
    let found = KEPT.iter().filter_map(|field| Some(((*field).to_owned(), payload.get(field)?.clone())));
    Value::Object(found.filter(|(_, value)| value.is_string()).collect::<Map<String, Value>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;
    const BODY: &[u8] = br#"{"id":"69163c762331ed43dc64a6ef","eventType":"checkout.payment.success","status":"COMPLETED","amount":"100.00","currency":"USDC","transactionHash":"0x3a1b","metadata":{"email":"ada@example.com"}}"#;

    fn sign(secret: &str, stamp: i64, names: &str, values: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap_or_else(|_| panic!("a key"));
        mac.update(format!("{stamp}.{names}.{values}.").as_bytes());
        mac.update(body);
        format!("t={stamp},h={names},v1={}", hex::encode(mac.finalize().into_bytes()))
    }

    fn good(secret: &str, stamp: i64) -> String {
        sign(secret, stamp, "content-type x-event-id", "application/json.evt-1", BODY)
    }

    fn check(signature: &str, event_id: &str) -> Result<(), WebhookError> {
        let headers = |name: &str| match name {
            "x-hook0-signature" => Some(signature),
            "content-type" => Some("application/json"),
            "x-event-id" => Some(event_id),
            _ => None,
        };
        let secrets = ["the new secret", "the old secret", ""].map(|secret| Secret::new(secret.to_owned()));
        verify(&headers, BODY, &secrets, DateTime::from_timestamp(NOW, 0).unwrap_or_default())
    }

    #[test]
    fn a_signature_covers_time_headers_and_body_and_holds_for_either_secret() {
        for secret in ["the new secret", "the old secret"] {
            assert_eq!(check(&good(secret, NOW), "evt-1"), Ok(()));
        }
        assert_eq!(check(&good("the new secret", NOW), "evt-2"), Err(WebhookError::Signature), "another header");
        let header = good("the new secret", NOW);
        for bad in [
            String::new(),
            header.replace("v1=", "v0="),
            header.replace(&format!("t={NOW}"), &format!("t={}", NOW + 1)),
            header.replace("h=content-type x-event-id", "h=content-type"),
            header.replace("h=content-type x-event-id,", ""),
            header[..header.len() - 2].to_owned(),
            good("", NOW),
            good("another secret", NOW),
            sign("the new secret", NOW, "content-type x-event-id", "application/json.evt-1", b"{}"),
            sign("the new secret", NOW, &"x ".repeat(17), "", BODY),
        ] {
            assert_eq!(check(&bad, "evt-1"), Err(WebhookError::Signature), "{bad}");
        }
        for stamp in [NOW - 301, NOW + 301, 0, i64::MIN, i64::MAX] {
            assert_eq!(check(&good("the new secret", stamp), "evt-1"), Err(WebhookError::Stale), "{stamp}");
        }
    }

    #[test]
    fn a_message_names_its_checkout_and_keeps_nobodys_wallet() {
        let event = read(BODY).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(event.object_ref, "69163c762331ed43dc64a6ef");
        assert_eq!(event.id, read(BODY).map(|again| again.id).unwrap_or_default());
        let kept = event.payload.to_string();
        assert!(kept.contains("100.00") && !kept.contains("0x3a1b") && !kept.contains("ada@example.com"), "{kept}");
        let with = |from: &str, to: &str| read(String::from_utf8_lossy(BODY).replace(from, to).as_bytes()).err();
        assert_eq!(with("checkout.payment", "onramp.transaction"), Some(WebhookError::Irrelevant));
        for wrong in ["../../x", "", "69163c762331ed43dc64a6e", "69163c762331ed43dc64a6eg"] {
            assert!(matches!(with("69163c762331ed43dc64a6ef", wrong), Some(WebhookError::Damaged(_))), "{wrong}");
        }
        assert!(matches!(read(b"[]").err(), Some(WebhookError::Damaged(_))));
    }
}

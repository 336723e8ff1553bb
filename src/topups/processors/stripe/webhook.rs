//! Stripe's messages: verified over their raw bytes, read for what they are about, and no further. Source:
//! <https://docs.stripe.com/webhooks#verify-manually>.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::Sha256;

use super::super::WebhookError;
use crate::base::Secret;
use crate::topups::inbox::Event;

/// A message may be this old, or this far in the future.
const TOLERANCE_SECONDS: i64 = 300;
/// Signatures of one message that are looked at.
const MAX_SIGNATURES: usize = 8;

/// # Errors
/// `Signature` unless one signature of the header was made with one of the secrets; `Stale` outside of the tolerance.
pub fn verify(header: &str, body: &[u8], secrets: &[Secret<String>], now: DateTime<Utc>) -> Result<(), WebhookError> {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let stamp = parts().find(|(name, _)| *name == "t").map(|(_, value)| value).ok_or(WebhookError::Signature)?;
    let seconds: i64 = stamp.parse().map_err(|_| WebhookError::Signature)?;
    let given = parts().filter(|(name, _)| *name == "v1").take(MAX_SIGNATURES);
    let signatures: Vec<Vec<u8>> = given.filter_map(|(_, value)| hex::decode(value).ok()).collect();
    let mut good = false;
    for secret in secrets.iter().filter(|secret| !secret.expose().is_empty()) {
        for signature in &signatures {
            let mut mac =
                Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).map_err(|_| WebhookError::Signature)?;
            mac.update(stamp.as_bytes());
            mac.update(b".");
            mac.update(body);
            good |= mac.verify_slice(signature).is_ok();
        }
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
struct Message {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    livemode: bool,
    /// Only on messages about accounts that are connected to ours.
    account: Option<String>,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    id: Option<String>,
    object: String,
    payment_intent: Option<String>,
}

/// Which payment a verified message is about.
///
/// # Errors
/// `Damaged`, `Elsewhere` for the other mode or a connected account, `Irrelevant` for kinds that move no money here.
pub fn read(body: &[u8], live: bool) -> Result<Event, WebhookError> {
    let payload: Value = serde_json::from_slice(body).map_err(|_| WebhookError::Damaged("no JSON"))?;
    let message = Message::deserialize(&payload).map_err(|_| WebhookError::Damaged("no event of Stripe"))?;
    if message.livemode != live || message.account.is_some() {
        return Err(WebhookError::Elsewhere);
    }
    let object = message.data.object;
    let about = match object.object.as_str() {
        "checkout.session" | "payment_intent" | "radar.early_fraud_warning" => object.id,
        "charge" | "refund" | "dispute" => object.payment_intent,
        _ => None,
    };
    let object_ref = about.ok_or(WebhookError::Irrelevant)?;
    let payload = impersonal(&payload);
    Ok(Event { processor: "stripe".to_owned(), id: message.id, kind: message.kind, object_ref, payload })
}

/// What of a message is kept: enough to tell later what came. Names and addresses of payers stay with Stripe.
fn impersonal(payload: &Value) -> Value {
    const OF_EVENT: [&str; 5] = ["id", "type", "created", "livemode", "api_version"];
    const OF_OBJECT: [&str; 9] =
        ["id", "object", "payment_intent", "charge", "status", "payment_status", "amount", "amount_total", "currency"];
    let pick = |from: &Value, fields: &[&str]| -> Map<String, Value> {
        let found = fields.iter().filter_map(|field| Some(((*field).to_owned(), from.get(field)?.clone())));
        // An expanded object would bring the rest along.
        found.filter(|(_, value)| !value.is_object() && !value.is_array()).collect()
    };
    let mut kept = pick(payload, &OF_EVENT);
    kept.insert("object".to_owned(), Value::Object(pick(&payload["data"]["object"], &OF_OBJECT)));
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;
    const BODY: &[u8] = br#"{"id":"evt_1","type":"charge.refunded","livemode":false,"data":{"object":{"id":"ch_1","object":"charge","payment_intent":"pi_1"}}}"#;

    fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap_or_else(|_| panic!("a key"));
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    fn check(header: &str, secrets: &[&str]) -> Result<(), WebhookError> {
        let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new((*secret).to_owned())).collect();
        verify(header, BODY, &secrets, DateTime::from_timestamp(NOW, 0).unwrap_or_default())
    }

    #[test]
    fn a_signature_holds_for_either_secret_while_they_change() {
        let header = format!("t={NOW},v1={}", sign("whsec_new", NOW, BODY));
        assert_eq!(check(&header, &["whsec_old", "whsec_new"]), Ok(()));
        assert_eq!(check(&header, &["whsec_old"]), Err(WebhookError::Signature));
        let both = format!("t={NOW},v1={},v1={},v0=00", sign("x", NOW, BODY), sign("whsec_new", NOW, BODY));
        assert_eq!(check(&both, &["whsec_new"]), Ok(()));
    }

    #[test]
    fn whatever_is_not_quite_right_is_refused() {
        let good = sign("whsec_new", NOW, BODY);
        for header in [
            String::new(),
            format!("t={NOW}"),
            format!("v1={good}"),
            format!("t={},v1={good}", NOW + 1),
            format!("t={NOW},v1={}", sign("", NOW, BODY)),
            format!("t={NOW},v1={}", &good[..62]),
            format!("t={NOW},v0={good}"),
            format!("t=soon,v1={good}"),
        ] {
            assert_eq!(check(&header, &["whsec_new", ""]), Err(WebhookError::Signature), "{header}");
        }
        for seconds in [NOW - 301, NOW + 301] {
            let header = format!("t={seconds},v1={}", sign("whsec_new", seconds, BODY));
            assert_eq!(check(&header, &["whsec_new"]), Err(WebhookError::Stale));
        }
    }

    #[test]
    fn a_message_names_its_payment() {
        assert_eq!(read(BODY, false).map(|event| event.object_ref), Ok("pi_1".to_owned()));
        assert_eq!(read(BODY, true).map(|_| ()), Err(WebhookError::Elsewhere), "the other mode");
        let connected = String::from_utf8_lossy(BODY).replace("\"data\"", "\"account\":\"acct_2\",\"data\"");
        assert_eq!(read(connected.as_bytes(), false).map(|_| ()), Err(WebhookError::Elsewhere));
        let foreign = String::from_utf8_lossy(BODY).replace("\"charge\"", "\"invoice\"");
        assert_eq!(read(foreign.as_bytes(), false).map(|_| ()), Err(WebhookError::Irrelevant));
        assert!(read(b"{}", false).is_err());
    }

    #[test]
    fn of_a_message_nothing_personal_is_kept() {
        let body = String::from_utf8_lossy(BODY).replace(
            "\"payment_intent\"",
            "\"billing_details\":{\"email\":\"ada@example.com\"},\"amount\":2110,\"payment_intent\"",
        );
        let kept = read(body.as_bytes(), false).map(|event| event.payload.to_string()).unwrap_or_default();
        assert!(kept.contains("2110") && !kept.contains("ada@example.com"), "{kept}");
    }
}

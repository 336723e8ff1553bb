//! Messages of BTCPay Server: verified over their raw bytes, read for what they are about, and no further. Source:
//! <https://docs.btcpayserver.org/API/Greenfield/v1/#tag/Webhooks>.
//!
//! The signature has no time in it, and a message may be delivered again after hours. An old one only makes us look once
//! more, and what we see then is what counts.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;

use super::super::WebhookError;
use crate::base::Secret;
use crate::topups::inbox::Event;

/// What may change what we know of an invoice.
const KINDS: [&str; 7] = [
    "InvoiceReceivedPayment",
    "InvoicePaymentSettled",
    "InvoiceProcessing",
    "InvoiceSettled",
    "InvoiceExpired",
    "InvoiceExpiredPaidPartial",
    "InvoiceInvalid",
];
/// Such invoices do not exist: somebody tries the webhook out.
const TEST: &str = "__test__";
const MAX_ID: usize = 100;

/// # Errors
/// `Signature` unless it was made with one of the secrets.
pub fn verify(header: &str, body: &[u8], secrets: &[Secret<String>]) -> Result<(), WebhookError> {
    let given = header.trim().strip_prefix("sha256=").ok_or(WebhookError::Signature)?;
    let given = hex::decode(given).map_err(|_| WebhookError::Signature)?;
    let mut good = false;
    for secret in secrets.iter().filter(|secret| !secret.expose().is_empty()) {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).map_err(|_| WebhookError::Signature)?;
        mac.update(body);
        good |= mac.verify_slice(&given).is_ok();
    }
    if good { Ok(()) } else { Err(WebhookError::Signature) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    delivery_id: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    store_id: String,
    #[serde(default)]
    invoice_id: String,
    #[serde(default)]
    timestamp: i64,
}

fn is_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(plain)
}

/// Which invoice a verified message is about.
///
/// # Errors
/// `Elsewhere` for another store, `Irrelevant` for what changes nothing, `Damaged` for what is no message.
pub fn read(body: &[u8], store: &str) -> Result<Event, WebhookError> {
    let message: Message = serde_json::from_slice(body).map_err(|_| WebhookError::Damaged("it is no message"))?;
    if !is_id(&message.delivery_id) {
        return Err(WebhookError::Damaged("it has no id"));
    }
    if message.store_id != store {
        return Err(WebhookError::Elsewhere);
    }
    if !KINDS.contains(&message.kind.as_str()) || message.invoice_id.starts_with(TEST) {
        return Err(WebhookError::Irrelevant);
    }
    if !is_id(&message.invoice_id) {
        return Err(WebhookError::Damaged("it names no invoice"));
    }
    // Addresses and names of payers stay there.
    let payload = json!({
        "deliveryId": message.delivery_id, "type": message.kind, "storeId": message.store_id,
        "invoiceId": message.invoice_id, "timestamp": message.timestamp,
    });
    let (id, kind, object_ref) = (message.delivery_id, message.kind, message.invoice_id);
    Ok(Event { processor: "btcpay".to_owned(), id, kind, object_ref, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"deliveryId":"D1","webhookId":"W1","originalDeliveryId":"D1","isRedelivery":false,"type":"InvoiceSettled","timestamp":1790000000,"storeId":"S1","invoiceId":"I1","metadata":{"buyerEmail":"ada@example.com"}}"#;

    fn sign(secret: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap_or_else(|_| panic!("a key"));
        mac.update(body);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }

    fn check(header: &str) -> Result<(), WebhookError> {
        let secrets = ["the new secret", "the old secret", ""].map(|secret| Secret::new(secret.to_owned()));
        verify(header, BODY, &secrets)
    }

    #[test]
    fn a_signature_holds_for_either_secret_and_nothing_else() {
        assert_eq!(check(&sign("the new secret", BODY)), Ok(()));
        assert_eq!(check(&sign("the old secret", BODY)), Ok(()));
        let good = sign("the new secret", BODY);
        let digits = good.trim_start_matches("sha256=");
        for bad in [
            String::new(),
            "sha256=".to_owned(),
            digits.to_owned(),
            format!("sha1={digits}"),
            good[..40].to_owned(),
            sign("", BODY),
            sign("another secret", BODY),
            sign("the new secret", b"{}"),
        ] {
            assert_eq!(check(&bad), Err(WebhookError::Signature), "{bad}");
        }
    }

    #[test]
    fn a_message_names_its_invoice_and_keeps_nobodys_address() {
        let event = read(BODY, "S1").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((event.id.as_str(), event.object_ref.as_str()), ("D1", "I1"));
        assert!(!event.payload.to_string().contains("ada@example.com"));
        assert_eq!(read(BODY, "S2").err(), Some(WebhookError::Elsewhere));
        let with = |from: &str, to: &str| read(String::from_utf8_lossy(BODY).replace(from, to).as_bytes(), "S1").err();
        assert_eq!(with("InvoiceSettled", "InvoiceCreated"), Some(WebhookError::Irrelevant));
        assert_eq!(with("\"I1\"", "\"__test__1\""), Some(WebhookError::Irrelevant));
        for wrong in ["\"../1\"", "\"\"", "null", "1"] {
            assert!(matches!(with("\"I1\"", wrong), Some(WebhookError::Damaged(_))), "{wrong}");
        }
        assert!(matches!(with("\"D1\",\"webhookId\"", "\"\",\"webhookId\""), Some(WebhookError::Damaged(_))));
    }
}

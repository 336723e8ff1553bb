//! Events on their way to the shop: signed, tried a few times, in the order or disorder that the switches say.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::Sha256;
use url::Url;

/// Deliveries that wait. The oldest are given up above this.
const MAX_WAITING: usize = 5000;
/// Waits before the second and each further try, in milliseconds; afterwards an event is given up. Stripe tries for
/// days; half a minute covers a restart of the shop, and a person in development does not want more.
const RETRY_MS: [i64; 7] = [200, 500, 1000, 2000, 4000, 8000, 16_000];
/// For how long one that is being delivered is not due again, in milliseconds.
const LENT_MS: i64 = 60_000;
/// How long the shop may take to answer one.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// An event that waits to be delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub event: String,
    pub tries: usize,
    pub due_ms: i64,
}

/// Events that wait, in the order in which they happened.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Queue(Vec<Waiting>);

impl Queue {
    pub fn add(&mut self, event: String, due_ms: i64) {
        if self.0.len() >= MAX_WAITING {
            self.0.remove(0);
        }
        self.0.push(Waiting { event, tries: 0, due_ms });
    }

    /// What is due, in order. It stays here until it is taken, so that a crash loses nothing; meanwhile it is not due.
    pub fn lend_due(&mut self, now_ms: i64) -> Vec<Waiting> {
        let mut due = Vec::new();
        for one in self.0.iter_mut().filter(|one| one.due_ms <= now_ms) {
            due.push(one.clone());
            one.due_ms = now_ms + LENT_MS;
        }
        due
    }

    /// Everything that waits, due or not.
    pub fn all(&self) -> Vec<String> {
        self.0.iter().map(|one| one.event.clone()).collect()
    }

    /// The shop took it, or somebody delivers it by hand.
    pub fn remove(&mut self, event: &str) {
        self.0.retain(|one| one.event != event);
    }

    /// The shop did not take it. False when it is given up.
    pub fn again(&mut self, event: &str, now_ms: i64) -> bool {
        let Some(one) = self.0.iter_mut().find(|one| one.event == event) else { return true };
        let Some(wait) = RETRY_MS.get(one.tries) else {
            self.remove(event);
            return false;
        };
        one.tries += 1;
        one.due_ms = now_ms + wait;
        true
    }

    pub fn next_due_ms(&self) -> Option<i64> {
        self.0.iter().map(|one| one.due_ms).min()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

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

    #[test]
    fn an_event_is_given_up_after_its_last_try() {
        let mut queue = Queue::default();
        queue.add("evt_1".to_owned(), 0);
        let mut now = 0;
        for _ in RETRY_MS {
            assert_eq!(queue.lend_due(now).len(), 1);
            assert_eq!(queue.lend_due(now), [], "lent already");
            assert!(queue.again("evt_1", now));
            now = queue.next_due_ms().expect("another try");
        }
        assert!(!queue.again("evt_1", now));
        assert_eq!(queue.len(), 0);
    }
}

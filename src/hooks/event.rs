//! What addresses can be told.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::base::coded;
use crate::base::ids::{HookEventId, OrgId};

coded! {
    /// A kind of event. Its code is the `type` of its messages.
    EventKind: (&'static str, &'static str);

    CreditsAdded = "credits.added", ("Credits were bought", "A payment came in and has its receipt.");
    CreditsLow = "credits.low", ("Low balance", "Credits fell below the amount of the alert.");
    LimitNear = "limit.near", ("Limit at 80%", "A key or a member’s spend cap used 80% of a limit.");
    LimitReached = "limit.reached", ("Limit reached", "A key or a member’s spend cap used all of a limit.");
    RefundSucceeded = "refund.succeeded", ("Refund", "A payment, or a part of it, went back.");
    RefundFailed = "refund.failed", ("Refund that failed", "A refund did not arrive, and its credits are back.");
    DisputeOpened = "dispute.opened", ("Dispute", "A bank contests a payment, and its credits are taken back.");
    DisputeWon = "dispute.won", ("Dispute won", "The bank decided that a payment stands.");
    DisputeLost = "dispute.lost", ("Dispute lost", "The bank decided that a payment goes back.");
    AutoTopupFailed = "auto_topup.failed", ("Auto top-up failed", "A charge failed. While auto top-up is on, it is tried again in an hour.");
    AutoTopupStopped = "auto_topup.stopped", ("Auto top-up switched off", "Too many charges in a row failed.");
    AutoTopupCapped = "auto_topup.capped", ("Auto top-up reached a cap", "Nothing is bought before a later day.");
    AutoTopupConfirm = "auto_topup.confirm", ("Payment to confirm", "A bank asks its customer to confirm a payment.");
    KeyCreated = "key.created", ("New key", "A person or a program made a key.");
    KeyLeaked = "key.leaked", ("Key published", "A published key was found and stopped.");
    KeyUnusual = "key.spend_unusual", ("Unusual spending", "A key spends far beyond its habit.");
    MemberInvited = "member.invited", ("Invitation", "Somebody was invited.");
    MemberNewSignIn = "member.new_sign_in", ("New sign-in", "A member signed in from a browser and network that are new.");
    WeeklySummary = "summary.weekly", ("Weekly summary", "On Mondays, after a week with calls.");
}

/// The type of the message that somebody sends to try an address. It can neither be chosen nor left out.
pub const TEST: &str = "webhook.test";

impl EventKind {
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.fact().0
    }

    /// When it is sent.
    #[must_use]
    pub const fn note(self) -> &'static str {
        self.fact().1
    }
}

/// What a message says beside its type: names and values in a fixed order. Amounts are strings of dollars.
#[derive(Clone, Debug, Default)]
pub struct Payload(Map<String, Value>);

impl Payload {
    #[must_use]
    pub fn new() -> Payload {
        Payload::default()
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Payload {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// The bytes that are sent and signed.
    pub(super) fn body(self, id: HookEventId, kind: &str, org: OrgId) -> String {
        let mut data = Map::new();
        data.insert("organization".to_owned(), org.to_string().into());
        data.extend(self.0);
        json!({ "id": id, "type": kind, "timestamp": stamp(id.moment()), "data": data }).to_string()
    }
}

/// A moment as messages have it, such as `2026-11-27T06:05:04.123Z`.
#[must_use]
pub fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_it_is_of_whom_and_when() {
        let (id, org) = (HookEventId::fresh(), OrgId::fresh());
        let body = Payload::new().with("balance", "4.2").body(id, EventKind::CreditsLow.code(), org);
        let read: Value = serde_json::from_str(&body).unwrap_or_default();
        assert_eq!(read["id"], id.to_string());
        assert_eq!((read["type"].as_str(), read["data"]["balance"].as_str()), (Some("credits.low"), Some("4.2")));
        assert_eq!(read["data"]["organization"], org.to_string());
        assert!(read["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{body}");
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.code()), Some(*kind));
        }
        assert_eq!(EventKind::parse(TEST), None);
    }
}

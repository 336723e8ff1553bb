//! Every kind of id in one table. An id knows its kind; its text form carries a prefix.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a valid id")]
pub struct ParseIdError;

/// Room for any id: 32 digits, and its prefix.
const ROOM: usize = 48;

/// The text of an id. A call writes a dozen of them, so without the detour over `format!`.
fn written<'a>(prefix: &str, id: Uuid, room: &'a mut [u8; ROOM]) -> &'a str {
    let (head, rest) = room.split_at_mut(prefix.len());
    head.copy_from_slice(prefix.as_bytes());
    let length = prefix.len() + id.simple().encode_lower(rest).len();
    str::from_utf8(&room[..length]).unwrap_or_default()
}

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            /// A fresh id that sorts by the time it was made (UUID version 7, RFC 9562).
            #[must_use]
            #[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
            pub fn fresh() -> Self {
                Self(Uuid::now_v7())
            }

            /// The smallest id of this moment: every id that is made then or later is not below it.
            #[must_use]
            pub fn floor(at: DateTime<Utc>) -> Self {
                let milliseconds = u128::try_from(at.timestamp_millis()).unwrap_or_default();
                Self(Uuid::from_u128((milliseconds & 0xffff_ffff_ffff) << 80))
            }

            /// The moment that the id carries, to the millisecond.
            #[must_use]
            pub fn moment(self) -> DateTime<Utc> {
                let milliseconds = i64::try_from(self.0.as_u128() >> 80).unwrap_or_default();
                DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(written($prefix, self.0, &mut [0; ROOM]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let digits = text.strip_prefix($prefix).ok_or(ParseIdError)?;
                // Only the one canonical spelling: 32 lower-case hex digits.
                if digits.len() != 32 || !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                    return Err(ParseIdError);
                }
                Uuid::try_parse(digits).map(Self).map_err(|_| ParseIdError)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(written($prefix, self.0, &mut [0; ROOM]))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

id_types! {
    /// A person with an account.
    PersonId = "usr_";
    /// A tenant: what owns credits, keys and calls.
    OrgId = "org_";
    /// An invitation to an organization.
    InvitationId = "inv_";
    /// One move of credits from a personal organization to another.
    MoveId = "mov_";
    /// A signed-in browser.
    SessionId = "ses_";
    /// An account elsewhere with which somebody signs in.
    IdentityId = "idn_";
    /// A code with which an app gets a key.
    AuthCodeId = "aut_";
    /// An inference or provisioning key.
    KeyId = "key_";
    /// A key of an organization's own for a provider.
    ProviderKeyId = "byok-";
    /// What seals the secrets of one organization.
    DataKeyId = "dek-";
    /// An address that is told what happens in an organization.
    HookId = "whk_";
    /// What such addresses are told: the id of the message, whoever it goes to.
    HookEventId = "msg_";
    /// A message to one address.
    DeliveryId = "dlv_";
    /// A preset, or one of its versions.
    PresetId = "pst_";
    /// One metered call; the generation id that clients see.
    CallId = "gen-";
    /// A view of the activity page that somebody saved.
    ViewId = "avw_";
    /// A purchase of credits.
    TopUpId = "top_";
    /// Money of a top-up that goes back.
    RefundId = "rfd_";
    /// A payment that its payer contests.
    DisputeId = "dsp_";
    /// A way to pay that may be charged again.
    PaymentMethodId = "pay_";
    /// A way to pay that somebody wants to keep without buying.
    MethodSetupId = "mst_";
    /// Redemption codes that were made together.
    BatchId = "bat_";
    /// One use of a redemption code.
    RedemptionId = "rdm_";
    /// A form of the operator console.
    ActId = "act_";
    /// Credits given or taken by hand.
    AdjustmentId = "adj_";
    /// What the operators tell everybody.
    AnnouncementId = "ann_";
    /// What a provider charges, as somebody uploaded it.
    PriceListId = "lst_";
    /// One comparison of the books with those of a payment processor.
    RunId = "run_";
    /// Something that a second operator has to agree to, besides grants and corrections.
    ConfirmationId = "cfm_";
    /// A row of the ledger that moved money.
    TransferId = "tra_";
    /// A ledger account.
    AccountId = "acc_";
    /// A counter of what was spent, with its limits.
    MeterId = "met_";
    /// A message of a payment processor.
    EventId = "evt_";
    /// A mail in the outbox.
    MailId = "mail_";
    /// A picture of a person or an organization.
    PictureId = "pic_";
    /// A passkey of a person.
    PasskeyId = "pky_";
    /// One HTTP request.
    RequestId = "req_";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_wrote_and_nothing_else() {
        let id = KeyId::fresh();
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(OrgId::from_str(&id.to_string()).is_err(), "another kind is refused");
        assert!(KeyId::from_str(&id.to_string().to_uppercase()).is_err(), "another spelling is refused");
        assert!(KeyId::from_str("key_").is_err());
    }

    #[test]
    fn an_id_carries_its_moment() {
        let id = CallId::fresh();
        let floor = CallId::floor(id.moment());
        assert!(floor <= id && floor.moment() == id.moment());
        assert!(CallId::floor(id.moment() + chrono::TimeDelta::milliseconds(1)) > id);
        let early: DateTime<Utc> = "1960-01-01T00:00:00Z".parse().expect("a time");
        assert_eq!(CallId::floor(early).0, Uuid::nil());
    }
}

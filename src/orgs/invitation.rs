//! Invitations: who is asked to join, as what, and until when.

use chrono::{DateTime, TimeDelta, Utc};

use super::role::Role;
use crate::base::email_address::masked;
use crate::base::ids::{InvitationId, OrgId, PersonId};

/// Open invitations that one organization may have, so that nobody uses it to send mail to the world.
pub const MAX_OPEN: i64 = 100;
/// Invitations that one organization may make in a day, those that were revoked or answered counted too.
pub const MAX_A_DAY: i64 = 200;
/// A mail is sent again at most so often ...
pub const MAX_RESENDS: i32 = 5;
/// ... and not sooner than this after the last.
pub const RESEND_AFTER: TimeDelta = TimeDelta::minutes(1);

/// How long an invitation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lasts {
    Day,
    Week,
    Month,
}

impl Lasts {
    pub const ALL: [Lasts; 3] = [Lasts::Day, Lasts::Week, Lasts::Month];

    #[must_use]
    pub const fn days(self) -> i64 {
        match self {
            Lasts::Day => 1,
            Lasts::Week => 7,
            Lasts::Month => 30,
        }
    }

    /// Reads the number of days that a form sent.
    #[must_use]
    pub fn parse(text: &str) -> Option<Lasts> {
        Lasts::ALL.into_iter().find(|lasts| lasts.days().to_string() == text)
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Lasts::Day => "1 day",
            Lasts::Week => "7 days",
            Lasts::Month => "30 days",
        }
    }
}

/// An invitation that nobody has answered yet.
#[derive(Clone, Debug)]
pub struct Invitation {
    pub org: OrgId,
    pub id: InvitationId,
    pub email: String,
    pub role: String,
    pub sends: i32,
    pub sent_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub org_name: String,
    /// Who invited; `None` when that account is gone.
    pub inviter: Option<String>,
    pub inviter_id: Option<PersonId>,
}

impl Invitation {
    /// An owner is never made by mail, so the least that a stored word can give is a member.
    #[must_use]
    pub fn role(&self) -> Role {
        Role::parse(&self.role).unwrap_or(Role::Member)
    }

    /// Whether its mail may be sent once more now.
    #[must_use]
    pub fn may_resend(&self, now: DateTime<Utc>) -> bool {
        self.sends <= MAX_RESENDS && now - self.sent_at >= RESEND_AFTER
    }

    /// The address without what a stranger with the link could use.
    #[must_use]
    pub fn masked_email(&self) -> String {
        masked(&self.email)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_sent_again_a_few_times_and_not_at_once() {
        let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().expect("a time");
        let sent = |sends, seconds| Invitation {
            org: OrgId::fresh(),
            id: InvitationId::fresh(),
            email: "grace@example.com".into(),
            role: "member".into(),
            sends,
            sent_at: now - TimeDelta::seconds(seconds),
            created_at: now,
            expires_at: now,
            org_name: String::new(),
            inviter: None,
            inviter_id: None,
        };
        assert!(sent(1, 60).may_resend(now) && sent(5, 60).may_resend(now));
        assert!(!sent(1, 59).may_resend(now) && !sent(6, 600).may_resend(now));
        assert_eq!(sent(1, 0).masked_email(), "g…@example.com");
        assert_eq!(Lasts::parse("7"), Some(Lasts::Week));
        assert_eq!(Lasts::parse("8"), None);
    }
}

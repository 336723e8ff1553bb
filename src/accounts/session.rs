//! A signed-in browser.

use chrono::{DateTime, TimeDelta, Utc};

use super::operator::StaffRole;
use super::person::Person;
use crate::base::Secret;
use crate::base::ids::{OrgId, PictureId, SessionId};
use crate::base::secret::{Digest, random_token};

/// A session ends after so long in any case. After how long without use is a setting.
pub const ABSOLUTE: TimeDelta = TimeDelta::days(30);
/// Use is noted at most this often.
pub const TOUCH_EVERY: TimeDelta = TimeDelta::minutes(5);
/// What could be stolen with a borrowed browser needs an authentication that is not older (ASVS 7.5.1).
pub const RECENT: TimeDelta = TimeDelta::minutes(5);

/// What the cookie carries; the database knows only its digest.
#[derive(Clone, Debug)]
pub struct SessionSecret(pub Secret<String>);

impl SessionSecret {
    #[must_use]
    pub fn fresh() -> SessionSecret {
        SessionSecret(random_token())
    }

    /// Reads a cookie. `None` for what no session can be.
    #[must_use]
    pub fn parse(text: &str) -> Option<SessionSecret> {
        let plain = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| SessionSecret(Secret::new(text.to_owned())))
    }

    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.expose())
    }
}

/// A session and whose it is.
#[derive(Clone, Debug)]
pub struct Session {
    pub id: SessionId,
    pub person: Person,
    pub last_seen_at: DateTime<Utc>,
    /// When whoever sits there last showed that it is them.
    pub authenticated_at: DateTime<Utc>,
    pub picture: Option<PictureId>,
    /// When the account is erased, if its person asked for that.
    pub leaves_at: Option<DateTime<Utc>>,
    /// The organization that an operator looks at with this browser, as its owner sees it and without changing anything.
    pub looks_at: Option<OrgId>,
    /// What they may do in the console of this instance.
    pub staff: Option<StaffRole>,
    /// An operator froze the account: whoever is signed in gets no page but one that says so.
    pub is_frozen: bool,
}

impl Session {
    #[must_use]
    pub fn is_recent(&self, now: DateTime<Utc>) -> bool {
        now - self.authenticated_at <= RECENT
    }
}

/// A session as its person sees it in a list.
#[derive(Clone, Debug)]
pub struct SessionSeen {
    pub id: SessionId,
    pub user_agent: String,
    pub ip: String,
    pub created_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
}

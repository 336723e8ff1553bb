//! Organizations as their members see them.

use chrono::{DateTime, TimeDelta, Utc};

use super::role::Role;
use crate::base::ids::{MeterId, OrgId, PersonId, PictureId};

/// So long an owner can undo the deletion of an organization.
pub const UNDO_FOR: TimeDelta = TimeDelta::days(7);
/// Organizations that one person may be in; far above use, and what the switcher can show.
pub const MAX_ORGS: i64 = 100;
/// People in one organization.
pub const MAX_MEMBERS: i64 = 500;

/// An organization as one of its members sees it.
#[derive(Clone, Debug)]
pub struct Org {
    pub id: OrgId,
    pub name: String,
    pub kind: String,
    pub role: String,
    pub member_meter: MeterId,
    /// When it will be deleted, after somebody asked for it.
    pub delete_after: Option<DateTime<Utc>>,
    pub picture: Option<PictureId>,
    /// Since when it is frozen: by an operator, or because its account is being deleted.
    pub frozen_at: Option<DateTime<Utc>>,
    /// Since when all its keys are refused, after somebody stopped them.
    pub keys_stopped_at: Option<DateTime<Utc>>,
}

impl Org {
    /// What this member is. A word that no version knows gives the least.
    #[must_use]
    pub fn role(&self) -> Role {
        Role::parse(&self.role).unwrap_or(Role::Member)
    }

    /// A personal organization has one person for good: no members, no invitations, no end of its own.
    #[must_use]
    pub fn is_team(&self) -> bool {
        self.kind == "team"
    }
}

/// One to sixty characters, trimmed, without control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrgName(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("A name has one to sixty characters.")]
pub struct OrgNameError;

impl OrgName {
    /// # Errors
    /// When nothing is left of the text, or too much.
    pub fn parse(text: &str) -> Result<OrgName, OrgNameError> {
        let name = text.trim();
        let length = name.chars().count();
        if length == 0 || length > 60 || name.chars().any(char::is_control) {
            return Err(OrgNameError);
        }
        Ok(OrgName(name.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Somebody in an organization, as its members' page shows them.
#[derive(Clone, Debug)]
pub struct MemberRow {
    pub person: PersonId,
    pub name: String,
    pub email: String,
    pub role: String,
    pub meter: MeterId,
    pub joined_at: DateTime<Utc>,
}

impl MemberRow {
    #[must_use]
    pub fn role(&self) -> Role {
        Role::parse(&self.role).unwrap_or(Role::Member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!(OrgName::parse("  Northwind ").map(|name| name.as_str().to_owned()), Ok("Northwind".to_owned()));
        for bad in ["", "   ", "a\u{7}b", &"x".repeat(61)] {
            assert!(OrgName::parse(bad).is_err(), "{bad:?}");
        }
    }
}

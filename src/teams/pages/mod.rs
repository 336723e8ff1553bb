//! The pages of organizations, their people, their credits that moved, and their log.

pub mod audit;
pub mod credits;
pub mod invitations;
pub mod list;
pub mod members;
pub mod notifications;
pub mod organization;
pub mod unsubscribe;

use crate::orgs::role::TABLE;
use crate::orgs::{Member, OrgError, Role};
use crate::web::PageError;
use crate::web::views::teams::{RoleRow, Roles};

/// The table of who may do what, as the code reads it.
fn roles() -> Roles {
    Roles {
        names: Role::ALL.map(|role| role.label().to_owned()).to_vec(),
        rows: TABLE
            .iter()
            .map(|row| RoleRow {
                label: row.label.to_owned(),
                has: Role::ALL.map(|role| role.may(row.permission)).to_vec(),
            })
            .collect(),
    }
}

/// Where only several people can be meant, a personal organization has nothing to show.
fn of_team(member: &Member) -> Result<(), PageError> {
    if member.org.is_team() { Ok(()) } else { Err(PageError::NotFound) }
}

/// What a person may read of an error on the same page; the rest goes its own way.
fn told(error: OrgError) -> Result<String, PageError> {
    match error {
        OrgError::NotAllowed
        | OrgError::NotFound
        | OrgError::Personal
        | OrgError::Database(_)
        | OrgError::Internal(_) => Err(error.into()),
        told => Ok(told.to_string()),
    }
}

//! Organizations and roles.

use crate::base::ids::{MeterId, OrgId};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Owner,
    Admin,
    Billing,
    Member,
}

impl Role {
    #[must_use]
    pub fn parse(text: &str) -> Role {
        match text {
            "owner" => Role::Owner,
            "admin" => Role::Admin,
            "billing" => Role::Billing,
            _ => Role::Member,
        }
    }
}

/// An organization as one of its members sees it.
#[derive(Clone, Debug)]
pub struct Org {
    pub id: OrgId,
    pub name: String,
    pub kind: String,
    pub role: String,
    pub member_meter: MeterId,
}

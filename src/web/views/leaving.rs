//! Pages of somebody who leaves.

use askama::Template;

use super::common::{Amount, Field, When};
use super::filters;
use super::shell::{PublicPage, Shell};

/// `GET /settings/delete`, and `POST /settings/delete` with mistakes. Field: `typed`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "leaving/delete.html")]
pub struct Delete {
    pub shell: Shell,
    /// What is left in the personal organization.
    pub credits: Amount,
    /// Its purchases that may still be paid.
    pub pending: Vec<String>,
    pub keys: i64,
    /// Other organizations.
    pub memberships: i64,
    /// Names of organizations that nobody else owns; nothing can be deleted while there is one.
    pub sole_owner_of: Vec<String>,
    /// Nobody else who stays runs the instance; nothing can be deleted then either.
    pub last_operator: bool,
    /// Names of organizations that nobody else is in. They end with the account.
    pub alone_in: Vec<String>,
    /// What has to be typed.
    pub email: String,
    pub typed: Field,
}

/// `GET /account/leaving`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "leaving/leaving.html")]
pub struct Leaving {
    pub page: PublicPage,
    pub name: String,
    /// When the account is erased.
    pub due: When,
}

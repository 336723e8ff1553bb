//! Pages of a person's own security. They stand here, above accounts, because their frame shows the organization.

pub mod pages;
pub mod passkeys;

//! The settings of how a person signs in. They stand here, above accounts, because their frame shows the organization.

pub mod pages;

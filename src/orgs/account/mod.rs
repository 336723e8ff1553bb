//! What people change about their own account. It stands here, above `accounts`, because its pages show the frame of
//! the organization.

pub mod pages;

//! Adding and removing the passkeys of the person who is signed in.

pub mod pages;

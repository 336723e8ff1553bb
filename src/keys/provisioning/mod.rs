//! Provisioning keys, for people: making them, and seeing what they issued.

mod form;

pub mod pages;

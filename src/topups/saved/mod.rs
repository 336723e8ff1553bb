//! Pages about saved ways to pay. What happens is in `methods`.

pub mod pages;

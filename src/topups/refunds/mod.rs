//! Pages about money that goes back. What happens is in `refund` and `reversals`.

pub mod pages;

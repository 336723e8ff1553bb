//! A form that came too late for what it does: its person has to show again who they are, and does not lose what they
//! typed.
//!
//! What is always true here:
//! - A form is kept only after its token was right, for a quarter of an hour, sealed, for the session that sent it.
//! - One with a password in it is not kept.
//! - Nothing is done with it by itself: after the step-up its person sees it and sends it, or not.

mod extract;
mod form;
mod store;
mod words;

pub mod pages;

pub use extract::keep;
pub use form::KeptForm;

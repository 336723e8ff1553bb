//! Mail: an outbox written in the transaction that causes a mail, and a job that sends it.
//!
//! A mail has an `event` that is unique, so one event sends one mail however often it is told.

mod mailer;
mod outbox;
mod send;

pub use mailer::{Mailer, MailerError};
pub use outbox::{NewMail, StoredMail, enqueue, latest, one};
pub use send::SendMail;

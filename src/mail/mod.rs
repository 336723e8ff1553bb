//! Mail: an outbox written in the transaction that causes a mail, and a job that sends it.
//!
//! A mail has an `event` that is unique, so one event sends one mail however often it is told.
//! Its kind stands in one table ([`Kind`]), with whether people may do without it.
//! One that people may do without carries a signed link that switches such mails off ([`OffLinks`]).
//! One that used up its tries is a dead letter: it stays, with what it says, until it is put back.
//! After a month nobody knows any more to whom a mail went; at once, where the person or organization that it tells of is erased.

mod forget;
mod kind;
mod mailer;
mod off;
mod outbox;
mod retry;
mod send;

pub use forget::{round as forget_round, run as forget};
pub use kind::{Always, Kind, Sent, Topic};
pub use mailer::{Mailer, MailerError};
pub use off::{OFF_KEY_PURPOSE, OFF_PATH, Off, OffLinks};
pub use outbox::{
    About, NewMail, StoredMail, count_dead, count_late, dead, enqueue, enqueue_chosen, forget_org, latest, one,
};
pub use retry::{retry, retry_all};
pub use send::SendMail;

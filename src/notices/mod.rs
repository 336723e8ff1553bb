//! Who gets which mail about an organization: one look-up for all of them.
//!
//! What is always true here:
//! - Every kind of mail stands in `mail::Kind`, with a topic that people choose about or a reason why it is always sent.
//! - What a topic's mail goes to is asked of [`readers`] and nowhere else: the role says who may get it and what is usual,
//!   a row of the person says otherwise.
//! - A choice never widens what a role may see. Whoever loses the role loses the mails.
//! - A choice that is what is usual has no row, so it follows when what is usual changes. A no by the link of a mail stays a no.

mod choice;
mod readers;
mod rule;
mod save;
mod store;
mod write;

pub use choice::Choice;
pub use readers::{Usual, choices_of, choices_of_people, readers, refusers};
pub use rule::{may_all, offered, usual};
pub use save::{SaveError, save, switch_off};
pub use store::erase;
pub use write::{Reader, write};

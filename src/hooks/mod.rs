//! Webhooks: addresses of an organization that are told what happens there, signed by the Standard Webhooks scheme.
//!
//! What is always true here:
//! - An event is written, word for word, in the transaction of what it tells of ([`emit`]), with a delivery for each address
//!   that wants it. It exists exactly if that does.
//! - It is sent at least once. Every try, also one by hand, sends the same bytes under the same id, so that whoever gets it
//!   twice can tell. It ends: delivered, or dead after [`MAX_TRIES`] tries.
//! - Each try is claimed by one process. One that is killed loses its claims after [`LEASE`], and another one goes on.
//! - No transaction is open while an address is asked. Nothing but public addresses is asked, looked at where the connection
//!   is made; redirects are answers like any other; of an answer no more than its beginning is read.
//! - Secrets are sealed with the organization's data key and shown once. During a rotation both sign.
//! - What is sent names things by their ids and has no prompt, no answer, no secret and no mail address in it.

mod add;
mod change;
mod deliver;
mod emit;
mod endpoint;
mod event;
mod new_sign_in;
mod send;
mod send_again;
mod sign;
mod store;

pub mod messages;
pub mod pages;

pub use add::{HookError, Wish, add};
pub use change::{delete, edit, rotate, switch};
pub use deliver::{Dispatcher, LEASE, MAX_TRIES, OFF_AFTER, OFF_TRIES, run};
pub use emit::{emit, emit_test, hold};
pub use endpoint::{Hook, HookUrl, MAX_HOOKS};
pub use event::{EventKind, Payload, stamp};
pub use send::Courier;
pub use send_again::{Again, AgainError, send_again};
pub use sign::SigningSecret;
pub use store::{erase, forget_old};

//! Redemption codes: credits that the house gives to whoever holds a code.
//!
//! What is always true here:
//! - A code is shown once, when it is made. Kept is a keyed digest, so that neither a dump of the database nor a
//!   dictionary of codes finds one.
//! - A use is counted on the locked row of its code, in the transaction that posts the credits. However many try at
//!   once, on however many nodes, a code gives no more than it may, and an organization gets no more of a batch.
//! - The form carries the redemption's id, so sending it twice redeems once.
//! - Whoever holds no code learns nothing by trying: a code that is unknown, used up, too old or revoked is answered
//!   alike, and tries are counted.

mod code;
mod make;
mod redeem;
mod throttle;

pub mod pages;

pub use super::store::{batch, batches, made_alone};
pub use code::{CodeError, CodeKey, KEY_PURPOSE, PlainCode};
pub use make::{Batch, MAX_CODES, MadeBy, MakeError, NewBatch, Prepared, make, prepare, put, revoke};
pub use redeem::{RedeemError, Redeemed, redeem};

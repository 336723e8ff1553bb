//! Ends admitted calls in the books.

use super::{Call, Ended};
use crate::base::Usd;

/// How safe a settlement is when its receipt is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durable {
    Committed,
    Spooled,
}

/// What a call came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Receipt {
    pub charged: Usd,
    pub overrun: Usd,
    pub durable: Durable,
}

/// Where calls are settled.
#[derive(Clone, Debug)]
pub struct Settler;

#[expect(clippy::unused_async, reason = "the real one waits for the database")]
impl Settler {
    pub async fn settle(&self, _call: Call, hold: Usd, ended: Ended) -> Receipt {
        let charged = ended.cost.min(hold);
        Receipt { charged, overrun: ended.cost - charged, durable: Durable::Committed }
    }

    pub async fn reject(&self, _call: Call, _ended: Ended) {}
}

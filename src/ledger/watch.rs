//! Watching a balance: whoever wants to know is told when it falls below an amount, once for each time.
//!
//! Who holds less than the amount even when credits have come in would never be told, so a low-balance watch fires for
//! them at half of what there was then.
//!
//! A database trigger does it, in the transaction that moves the balance, so no way down is forgotten: settlements,
//! moves, refunds, disputes, corrections. It leaves a job behind, `balance_crossed`, which others handle.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::store::{self, CreditState};
use crate::base::Usd;
use crate::base::ids::OrgId;

/// What a balance is watched for. An organization has one watch of each kind at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchKind {
    LowBalance,
    AutoTopup,
}

impl WatchKind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            WatchKind::LowBalance => "low_balance",
            WatchKind::AutoTopup => "auto_topup",
        }
    }
}

/// The balance below which a watch fires, and the one at which it can fire again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threshold {
    pub below: Usd,
    pub rearm_at: Usd,
}

impl Threshold {
    /// What every new organization is told of.
    pub const DEFAULT: Threshold = Threshold { below: Usd::from_whole(5), rearm_at: Usd::from_whole(6) };

    /// Fires again only when the balance was well above: by a tenth, and by a dollar at least; or when as much came in at
    /// once and lifted it over the amount. One that goes up and down around the amount is told of once.
    #[must_use]
    pub fn once(below: Usd) -> Threshold {
        let tenth = Usd::new(below.amount() / Decimal::TEN);
        Threshold { below, rearm_at: below + tenth.max(Usd::from_whole(1)) }
    }

    /// Fires again as soon as the balance reached the amount.
    #[must_use]
    pub fn each_time(below: Usd) -> Threshold {
        Threshold { below, rearm_at: below }
    }
}

/// A watch as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watch {
    pub below: Usd,
    pub rearm_at: Usd,
    /// False from a crossing until the balance is back.
    pub armed: bool,
    /// The number of the last crossing; no two crossings of any watch have the same.
    pub crossing: Option<i64>,
    /// Below which balance it fired then. Where credits came in and did not reach `below`, that was half of what there
    /// was.
    pub fired_below: Option<Usd>,
}

/// Sets or changes a watch, and returns the balance, locked until the transaction ends. Nothing fires now: one that is
/// below already fires when it was back and falls again. The same threshold again changes nothing.
///
/// # Errors
/// `RowNotFound` for an unknown organization, and database errors.
pub async fn set_watch(
    conn: &mut PgConnection,
    org: OrgId,
    kind: WatchKind,
    threshold: Threshold,
) -> Result<CreditState, sqlx::Error> {
    let credit = store::lock_credit(conn, org).await?.ok_or(sqlx::Error::RowNotFound)?;
    store::upsert_watch(conn, org, kind, threshold, credit.posted >= threshold.below).await?;
    Ok(credit)
}

/// Takes a watch away. A crossing that fired before may still be handled.
///
/// # Errors
/// Database errors only.
pub async fn clear_watch(conn: &mut PgConnection, org: OrgId, kind: WatchKind) -> Result<(), sqlx::Error> {
    store::lock_credit(conn, org).await?;
    store::delete_watch(conn, org, kind).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_tells_once_rearms_a_tenth_or_a_dollar_above() {
        let rearm = |below: u32| Threshold::once(Usd::from_whole(below)).rearm_at;
        assert_eq!(Threshold::once(Usd::from_whole(5)), Threshold::DEFAULT);
        assert_eq!((rearm(10), rearm(200)), (Usd::from_whole(11), Usd::from_whole(220)));
    }
}

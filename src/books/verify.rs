//! Recomputing every close.

use chrono::NaiveDate;
use sqlx::PgConnection;

use super::close::{end_of, start_of};
use super::digest::Sealed;
use super::trial::{self, Balance};
use super::{CREDITS, store};
use crate::base::{SigningKey, Usd};
use crate::ledger;

/// Closes read at a time.
const PAGE: i64 = 100;
/// Faults that are reported; one is enough to distrust the rest.
const MAX_REPORTED: usize = 100;

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    pub closes: u64,
    /// At most a hundred.
    pub faults: Vec<(NaiveDate, String)>,
}

impl Verified {
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    fn report(&mut self, day: NaiveDate, why: impl Into<String>) {
        if self.faults.len() < MAX_REPORTED {
            self.faults.push((day, why.into()));
        }
    }
}

/// Recomputes the digest of every close, its signature, and its sums from the transfers of its day. The caller gives a
/// transaction that sees one moment.
///
/// # Errors
/// Database errors only; what is wrong is in the result.
pub async fn verify_closes(conn: &mut PgConnection, key: &SigningKey) -> Result<Verified, sqlx::Error> {
    let mut verified = Verified::default();
    let (mut number, mut previous, mut day) = (0, Vec::new(), None);
    let mut accounts = std::collections::BTreeMap::new();
    loop {
        let closes = store::closes_after(conn, number, PAGE).await?;
        if closes.is_empty() {
            break;
        }
        for close in closes {
            verified.closes += 1;
            if close.number != number + 1 || day.is_some_and(|day: NaiveDate| day.succ_opt() != Some(close.day)) {
                verified.report(close.day, "a close before this one is missing");
            }
            let totals: Vec<(String, Balance)> = store::closed_totals(conn, close.day).await?.into_iter().collect();
            let movements = store::closed_movements(conn, close.day).await?;
            let orgs = store::closed_orgs(conn, close.day).await?;
            let checks = store::checks_of(conn, close.day).await?;
            let usage = store::usage_days(conn, close.day, close.day).await?;
            let sealed = Sealed {
                previous: &previous,
                number: close.number,
                day: close.day,
                transfers: close.transfers,
                report: &close.report,
                totals: &totals,
                movements: &movements,
                orgs: &orgs,
                checks: &checks,
                usage: usage.first(),
            };
            if sealed.digest() != close.digest {
                verified.report(close.day, "the close was changed, or one before it");
            } else if !key.has_signed(&close.digest, &close.signature) {
                verified.report(close.day, "the signature is not of this installation's key");
            }
            let mut booked = ledger::movements(conn, Some(start_of(close.day)), end_of(close.day)).await?;
            booked.sort_by(|a, b| (&a.code, &a.debit, &a.credit).cmp(&(&b.code, &b.debit, &b.credit)));
            if booked != movements {
                verified.report(close.day, "the transfers of the day are not those that were closed");
            }
            trial::add(&mut accounts, &movements);
            if accounts.iter().map(|(name, balance)| (name.clone(), *balance)).collect::<Vec<_>>() != totals {
                verified.report(close.day, "the totals are not the sums of the movements");
            }
            (number, previous, day) = (close.number, close.digest, Some(close.day));
        }
    }
    let credits = accounts.get(CREDITS).map_or(Usd::ZERO, Balance::net);
    let orgs = store::sum_of_orgs(conn).await?;
    if let Some(day) = day.filter(|_| credits != orgs) {
        verified
            .report(day, format!("credits are {} and those of all organizations {}", credits.exact(), orgs.exact()));
    }
    Ok(verified)
}

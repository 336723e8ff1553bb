//! The monthly allowance of calls on provider accounts of an organization's own: exact, however many settle at once.
//!
//! The row of the month (`own_month`) is locked before anything else, so calls are counted one after the other. Almost every
//! batch is far from the boundary; whether the allowance was used up when the last batch was settled is remembered here, and
//! the function that settles a batch at once does nothing where that turns out to be wrong. Then, and at the boundary
//! itself, each call is counted on the locked row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use moka::sync::Cache;
use sqlx::PgConnection;

use super::Settlement;
use crate::base::ids::OrgId;
use crate::base::{Clock, Usd};
use crate::db::row_type;
use crate::gateway::call::Charge;

/// Organizations of which it is remembered.
const MAX_KEPT: u64 = 100_000;

/// What a batch adds to the month of one organization.
#[derive(Clone, Copy, Debug, sqlx::Encode)]
pub struct OwnChange {
    org: OrgId,
    list: Usd,
    allowance: Usd,
    paid: bool,
}
row_type!(OwnChange, "own_change");

/// Whose allowance is known to be used up, and of which month, as far as this process has seen. Cloning it is cheap.
#[derive(Clone)]
pub struct Allowances(Arc<Cache<OrgId, NaiveDate>>);

impl Default for Allowances {
    fn default() -> Allowances {
        Allowances(Arc::new(Cache::new(MAX_KEPT)))
    }
}

impl Allowances {
    /// Whether the next call is expected to cost its whole fee.
    pub fn is_used_up(&self, org: OrgId, allowance: Usd) -> bool {
        allowance.is_zero() || self.was_used_up(org, Clock::system().now().date_naive())
    }

    /// What is remembered of an earlier month says nothing of this one: whoever has no credits would be refused, and nothing
    /// would settle that could teach otherwise.
    fn was_used_up(&self, org: OrgId, today: NaiveDate) -> bool {
        self.0.get(&org).is_some_and(|month| (month.year(), month.month()) >= (today.year(), today.month()))
    }

    fn learn(&self, org: OrgId, month: NaiveDate, used_up: bool) {
        if used_up {
            self.0.insert(org, month);
        } else {
            self.0.invalidate(&org);
        }
    }

    /// What is expected of a batch.
    pub fn expect(&self) -> Expected<'_> {
        Expected { allowances: self, today: Clock::system().now().date_naive(), used_up: BTreeMap::new() }
    }

    /// What a call comes to if nothing has changed since the last one.
    pub fn presume(&self, settlement: &Settlement) -> Charge {
        self.expect().charge(settlement)
    }
}

/// Whose allowance is expected to be used up, looked at once for a batch: its charges and what it adds to a month must rest
/// on the same answer, while another batch may learn a new one and the month may turn.
pub struct Expected<'a> {
    allowances: &'a Allowances,
    today: NaiveDate,
    used_up: BTreeMap<OrgId, bool>,
}

impl Expected<'_> {
    fn is_used_up(&mut self, org: OrgId, allowance: Usd) -> bool {
        let look = || self.allowances.was_used_up(org, self.today);
        allowance.is_zero() || *self.used_up.entry(org).or_insert_with(look)
    }

    /// What a call comes to.
    pub fn charge(&mut self, settlement: &Settlement) -> Charge {
        let ended = &settlement.ended;
        let price = ended.cost.max(Usd::ZERO);
        let is_covered = ended.terms.fee.is_some_and(|fee| !self.is_used_up(settlement.call.org, fee.allowance));
        ended.terms.charge(price, if is_covered { price } else { Usd::ZERO })
    }

    /// What the batch adds to the month of each organization, in the order in which these rows are locked.
    pub fn changes<'s>(&mut self, settlements: impl Iterator<Item = &'s Settlement>) -> Vec<OwnChange> {
        let mut sums: BTreeMap<OrgId, (Usd, Usd)> = BTreeMap::new();
        for settlement in settlements {
            if let (Some(fee), Some(list)) = (settlement.ended.terms.fee, settlement.ended.byok())
                && list.is_positive()
            {
                let (sum, allowance) = sums.entry(settlement.call.org).or_default();
                *sum += list;
                *allowance = fee.allowance;
            }
        }
        let change =
            |(org, (list, allowance))| OwnChange { org, list, allowance, paid: self.is_used_up(org, allowance) };
        sums.into_iter().map(change).collect()
    }
}

/// The months of some organizations, locked.
pub struct Months {
    used: BTreeMap<OrgId, (NaiveDate, Usd)>,
    seen: BTreeMap<OrgId, bool>,
}

impl Months {
    /// Locks the month of every organization that has such a call among these.
    pub async fn lock<'a>(
        conn: &mut PgConnection,
        settlements: impl Iterator<Item = &'a Settlement>,
    ) -> Result<Months, sqlx::Error> {
        let orgs: BTreeSet<OrgId> =
            settlements.filter(|one| one.ended.byok().is_some()).map(|one| one.call.org).collect();
        let mut used = BTreeMap::new();
        for org in orgs {
            // The clock of the database when the row is locked, as for every other window.
            let row = sqlx::query!(
                r#"insert into own_month (org_id, month)
                   values ($1, date_trunc('month', clock_timestamp() at time zone 'utc')::date)
                   on conflict (org_id, month) do update set used = own_month.used
                   returning month, used as "used: Usd""#,
                org.0,
            )
            .fetch_one(&mut *conn)
            .await?;
            used.insert(org, (row.month, row.used));
        }
        Ok(Months { used, seen: BTreeMap::new() })
    }

    /// Counts a call, and says what it comes to.
    pub fn count(&mut self, settlement: &Settlement) -> Charge {
        let ended = &settlement.ended;
        let price = ended.cost.max(Usd::ZERO);
        let (Some(fee), Some((_, used))) = (ended.terms.fee, self.used.get_mut(&settlement.call.org)) else {
            return ended.terms.charge(price, Usd::ZERO);
        };
        let free = (fee.allowance - *used).max(Usd::ZERO).min(price);
        *used += price;
        self.seen.insert(settlement.call.org, *used >= fee.allowance);
        ended.terms.charge(price, free)
    }

    /// Writes what was counted.
    pub async fn save(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        for org in self.seen.keys() {
            let Some((month, used)) = self.used.get(org) else { continue };
            sqlx::query!(
                "update own_month set used = $3 where org_id = $1 and month = $2",
                org.0,
                month,
                used.amount(),
            )
            .execute(&mut *conn)
            .await?;
        }
        Ok(())
    }

    /// After the commit.
    pub fn teach(&self, allowances: &Allowances) {
        for (org, used_up) in &self.seen {
            if let Some((month, _)) = self.used.get(org) {
                allowances.learn(*org, *month, *used_up);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_month_begins_with_a_new_allowance() {
        let (allowances, org) = (Allowances::default(), OrgId::fresh());
        let day = |text: &str| text.parse().unwrap_or_default();
        assert!(!allowances.was_used_up(org, day("2026-11-30")));
        allowances.learn(org, day("2026-11-01"), true);
        assert!(allowances.was_used_up(org, day("2026-11-30")));
        assert!(!allowances.was_used_up(org, day("2026-12-01")) && !allowances.was_used_up(org, day("2027-01-31")));
        // The clock of the database may be a little ahead.
        assert!(allowances.was_used_up(org, day("2026-10-31")));
        let mut batch = Expected { allowances: &allowances, today: day("2026-11-30"), used_up: BTreeMap::new() };
        assert!(batch.is_used_up(org, Usd::from_cents(1)));
        allowances.learn(org, day("2026-12-01"), false);
        assert!(batch.is_used_up(org, Usd::from_cents(1)), "one batch, one answer");
        assert!(!allowances.was_used_up(org, day("2026-11-30")));
    }
}

//! Settlement: the second phase of a call. A release is a settlement for nothing.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::account::HouseAccount;
use super::store::{self, ByokChange, Changes, CreditChange, EndedHold, MeterChange, TransferLine};
use super::transfer::{Code, credit_account};
use crate::base::Usd;
use crate::base::ids::{CallId, MeterId, OrgId, TransferId};

/// How a call ended, in money.
#[derive(Clone, Debug)]
pub struct Ending {
    pub org: OrgId,
    pub call: CallId,
    /// What the call cost at the price pinned for it.
    pub cost: Usd,
    /// What was held, as the admission said; used only if the hold itself was lost in a crash.
    pub held: Usd,
    /// What the provider took itself, where the call went to an account of the organization's own: `cost` is a fee then.
    pub byok: Option<Usd>,
    /// What was held of that, as the admission said.
    pub held_byok: Usd,
}

impl Ending {
    #[must_use]
    pub fn release(org: OrgId, call: CallId, held: Usd) -> Ending {
        Ending { org, call, cost: Usd::ZERO, held, byok: None, held_byok: Usd::ZERO }
    }

    fn revenue(&self) -> HouseAccount {
        if self.byok.is_some() { HouseAccount::ByokFeeRevenue } else { HouseAccount::UsageRevenue }
    }
}

/// What became of a hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    Settled {
        /// What the organization pays: the cost, at most the hold.
        charged: Usd,
        /// What the operator bears.
        overrun: Usd,
        /// The usage transfer that this call is part of; `None` when nothing was charged.
        transfer: Option<TransferId>,
    },
    /// The hold had ended before: settled by an earlier try, swept, or lost in a database crash.
    Gone,
}

/// Ends holds and posts what their calls cost: one usage transfer per organization and kind of revenue.
/// Runs in the caller's transaction, beside the usage rows that name the transfer.
///
/// # Errors
/// Database errors only; the caller rolls back and tries again later.
pub async fn settle(conn: &mut PgConnection, endings: &[Ending]) -> Result<Vec<Ended>, sqlx::Error> {
    settle_with(conn, endings, |ending| ending.cost).await
}

/// The same for calls whose cost depends on those before them: `cost` is asked once for each whose hold is there, in the
/// order of the endings.
///
/// # Errors
/// As [`settle`].
pub async fn settle_with(
    conn: &mut PgConnection,
    endings: &[Ending],
    mut cost: impl FnMut(&Ending) -> Usd,
) -> Result<Vec<Ended>, sqlx::Error> {
    let mut ended = store::end_holds(conn, endings.iter().map(|ending| (ending.org, ending.call))).await?;
    let mut plan = Plan::default();
    let mut results = Vec::with_capacity(endings.len());
    for ending in endings {
        // Taken out of the map, so that a call which stands twice in one batch is charged once.
        results.push(match ended.remove(&ending.call) {
            None => Ended::Gone,
            Some(hold) => plan.add(&Ending { cost: cost(ending), ..ending.clone() }, &hold),
        });
    }
    store::apply(conn, &plan.changes()).await?;
    Ok(results)
}

/// What ending these calls comes to if every hold is open as it was granted, on these meters. Nothing is written: it is
/// for whoever writes a whole settlement at once, and does nothing where a hold turns out to be another one.
#[must_use]
pub fn presume<'a>(endings: impl Iterator<Item = (Ending, &'a [MeterId])>) -> (Vec<Ended>, Changes) {
    let mut plan = Plan::default();
    let add = |(ending, meters): (Ending, &[MeterId])| {
        plan.add_capped(&ending, meters, (ending.held, ending.held_byok), ending.held)
    };
    let ended = endings.map(add).collect();
    (ended, plan.changes())
}

/// Charges a call whose hold a database crash lost. The customer pays what was held for it, as far as
/// it is still there; never below zero. It counts on the meters that the call was admitted through.
/// The caller has made sure that the call has no usage row yet.
///
/// # Errors
/// Database errors only.
pub async fn settle_without_hold(
    conn: &mut PgConnection,
    ending: &Ending,
    meters: &[MeterId],
) -> Result<Ended, sqlx::Error> {
    let credit = store::lock_credit(conn, ending.org).await?;
    let free = credit.map_or(Usd::ZERO, |credit| (credit.posted - credit.held).max(Usd::ZERO));
    let mut plan = Plan::default();
    let result = plan.add_capped(ending, meters, (Usd::ZERO, Usd::ZERO), ending.held.min(free));
    store::apply(conn, &plan.changes()).await?;
    Ok(result)
}

/// What one settlement transaction changes, gathered by organization and meter.
#[derive(Default)]
struct Plan {
    /// What is charged and released.
    credits: BTreeMap<OrgId, (Usd, Usd)>,
    /// What is spent and released.
    meters: BTreeMap<(OrgId, MeterId), (Usd, Usd)>,
    /// What providers took themselves, and what is released of it.
    byok: BTreeMap<(OrgId, MeterId), (Usd, Usd)>,
    /// By whether it is a fee on calls to accounts of their own.
    usage: BTreeMap<(OrgId, bool), (TransferId, Usd)>,
    overruns: Vec<TransferLine>,
}

impl Plan {
    fn add(&mut self, ending: &Ending, hold: &EndedHold) -> Ended {
        self.add_capped(ending, &hold.meters, (hold.amount, hold.byok), hold.amount)
    }

    /// Releases what is held and charges at most `cap`.
    fn add_capped(&mut self, ending: &Ending, meters: &[MeterId], held: (Usd, Usd), cap: Usd) -> Ended {
        let (held, held_byok) = held;
        let charged = ending.cost.min(cap);
        let overrun = ending.cost - charged;
        let (charge, release) = self.credits.entry(ending.org).or_default();
        *charge += charged;
        *release += held;
        let taken = ending.byok.unwrap_or_default();
        for meter in meters {
            let (spend, release) = self.meters.entry((ending.org, *meter)).or_default();
            *spend += charged;
            *release += held;
            if taken.is_positive() || held_byok.is_positive() {
                let (spend, release) = self.byok.entry((ending.org, *meter)).or_default();
                *spend += taken;
                *release += held_byok;
            }
        }
        let transfer = charged.is_positive().then(|| {
            let place = (ending.org, ending.byok.is_some());
            let entry = self.usage.entry(place).or_insert_with(|| (TransferId::fresh(), Usd::ZERO));
            entry.1 += charged;
            entry.0
        });
        if overrun.is_positive() {
            self.overruns.push(TransferLine {
                id: TransferId::fresh(),
                code: Code::Overrun.as_str(),
                reference: ending.call.to_string(),
                debit: HouseAccount::OperatorLoss.id(),
                credit: ending.revenue().id(),
                amount: overrun,
                org: Some(ending.org),
                memo: "cost beyond the hold",
            });
        }
        Ended::Settled { charged, overrun, transfer }
    }

    fn changes(self) -> Changes {
        let usage = self.usage.into_iter().map(|((org, fee), (id, amount))| TransferLine {
            id,
            code: Code::Usage.as_str(),
            reference: id.to_string(),
            debit: credit_account(org),
            credit: if fee { HouseAccount::ByokFeeRevenue.id() } else { HouseAccount::UsageRevenue.id() },
            amount,
            org: Some(org),
            memo: if fee { "fee on calls with keys of their own" } else { "" },
        });
        let credits = self.credits.into_iter().map(|(org, (charge, release))| CreditChange { org, charge, release });
        let meters = self.meters.into_iter();
        let meters = meters.map(|((org, id), (spend, release))| MeterChange { org, id, spend, release });
        let byok = self.byok.into_iter();
        let byok = byok.map(|((org, id), (spend, release))| ByokChange { org, id, spend, release });
        Changes {
            byok: byok.collect(),
            credits: credits.collect(),
            meters: meters.collect(),
            transfers: usage.chain(self.overruns).collect(),
        }
    }
}

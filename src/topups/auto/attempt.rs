//! One attempt: decided and written down under locks, then charged outside of any transaction.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use super::cause::Cause;
use super::ended::{declined, ended};
use super::limits::MAX_A_DAY;
use super::rule::{Rule, offered};
use super::tell::About;
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::ids::{OrgId, TopUpId};
use crate::base::{Origin, Usd};
use crate::jobs::{self, IntoTaskHandlerResult, TaskHandler, WorkerContext};
use crate::ledger::{self, WatchKind};
use crate::orgs;
use crate::topups::book;
use crate::topups::fees::Quote;
use crate::topups::processors::{Charge, ProcessorError, Processors};
use crate::topups::store::{self, MethodRow, NewTopUp};
use crate::topups::topup::{State, TopUp};

/// The job that tries once for one cause. Running it again for the same cause does nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TryAutoTopup {
    pub org: OrgId,
    pub cause: Cause,
}

impl TryAutoTopup {
    /// Adds the job in the caller's transaction, to run after so many seconds.
    pub async fn enqueue(&self, conn: &mut PgConnection, seconds: i32) -> Result<(), sqlx::Error> {
        let key = format!("auto_topup:{}:{}", self.org, self.cause);
        jobs::enqueue_after(conn, self, &key, seconds).await
    }
}

impl TaskHandler for TryAutoTopup {
    const IDENTIFIER: &'static str = "try_auto_topup";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        let processors = context.get_ext::<Processors>().ok_or("no processors")?;
        attempt(pool, processors, self.org, self.cause).await.map_err(|error| {
            tracing::error!(org = %self.org, cause = %self.cause, %error, "auto top-up was not tried yet");
            error.to_string()
        })
    }
}

/// What is to be charged.
struct Order {
    topup: TopUp,
    customer: String,
    method: String,
}

/// Buys, if there is still a reason to and the caps allow it.
///
/// # Errors
/// Database errors. An answer of the processor is none, nor is its silence.
pub async fn attempt(pool: &PgPool, processors: &Processors, org: OrgId, cause: Cause) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let order = prepare(&mut tx, processors, org, cause).await?;
    tx.commit().await?;
    // No connection is held while the processor is asked.
    match order {
        Some(order) => charge(pool, processors, order).await,
        None => Ok(()),
    }
}

/// Decides under the locks of the credit and the rule, and writes the purchase down. `None` when nothing is to be bought
/// now.
async fn prepare(
    conn: &mut PgConnection,
    processors: &Processors,
    org: OrgId,
    cause: Cause,
) -> anyhow::Result<Option<Order>> {
    let Some(credit) = ledger::lock_credit(conn, org).await? else { return Ok(None) };
    let Some(rule) = store::lock_rule(conn, org).await?.filter(|rule| rule.enabled) else { return Ok(None) };
    let wanted = credit.posted < rule.below && is_due(conn, &rule, cause).await?;
    if !wanted || !orgs::is_open(conn, org).await? || store::has_open_auto(conn, org).await? {
        return Ok(None);
    }
    let id = TopUpId::fresh();
    if !store::insert_attempt(conn, &rule, id, cause).await? {
        return Ok(None);
    }
    let Some((saved, customer, quote)) = chargeable(conn, processors, &rule).await? else {
        let reason = "This payment method cannot be charged here any more.";
        store::set_attempt_reason(conn, org, id, reason).await?;
        declined(conn, &rule, id, reason).await?;
        return Ok(None);
    };
    if let Some(reason) = beyond_caps(conn, &rule, quote.total).await? {
        store::set_attempt_reason(conn, org, id, &reason).await?;
        wait_for_tomorrow(conn, org).await?;
        return Ok(None);
    }
    let schedule = processors.schedule();
    let method = offered(&schedule, &saved).ok_or_else(|| anyhow::anyhow!("the method went away"))?;
    let new = NewTopUp { org, id, method, quote, origin: "auto", by: rule.set_by };
    if !store::insert(conn, &new).await? {
        return Err(anyhow::anyhow!("another attempt is open"));
    }
    let after = json!({ "credits": quote.credits.exact(), "total": quote.total.exact(), "method": method.slug });
    let entry = Entry::new(Chain::Org(org), Actor::System, Action::TopupStarted, &Origin::here());
    audit::record(conn, entry.on(Target::new("topup", id, "")).change(Value::Null, after)).await?;
    let topup = store::find(conn, org, id).await?.ok_or(sqlx::Error::RowNotFound)?;
    Ok(Some(Order { topup, customer, method: saved.processor_ref }))
}

/// Whether the cause still stands. A crossing does not once the balance was back; a repetition not before its time.
async fn is_due(conn: &mut PgConnection, rule: &Rule, cause: Cause) -> Result<bool, sqlx::Error> {
    if let Cause::Crossing(number) = cause {
        let watch = ledger::find_watch(conn, rule.org, WatchKind::AutoTopup).await?;
        return Ok(watch.is_some_and(|watch| !watch.armed && watch.crossing == Some(number)));
    }
    Ok(rule.may_retry || !cause.waits())
}

/// The saved method, the customer that it belongs to, and what one purchase costs now.
async fn chargeable(
    conn: &mut PgConnection,
    processors: &Processors,
    rule: &Rule,
) -> Result<Option<(MethodRow, String, Quote)>, sqlx::Error> {
    let Some(saved) = store::payment_method(conn, rule.org, rule.method).await? else { return Ok(None) };
    let schedule = processors.schedule();
    let method = offered(&schedule, &saved);
    let Some(quote) = method.and_then(|method| schedule.quote(rule.credits, method).ok()) else {
        return Ok(None);
    };
    let customer = store::customer(conn, rule.org, &saved.processor).await?;
    Ok(customer.map(|customer| (saved, customer, quote)))
}

/// Why one more purchase would be too much, for people.
async fn beyond_caps(conn: &mut PgConnection, rule: &Rule, total: Usd) -> Result<Option<String>, sqlx::Error> {
    let charged = store::auto_charged(conn, rule.org).await?;
    let over = |what: &str, cap: Usd| format!("The cap of {} a {what} is reached.", cap.display());
    Ok(if charged.this_month + total > rule.cap_month {
        Some(over("month", rule.cap_month))
    } else if charged.today + total > rule.cap_day {
        Some(over("day", rule.cap_day))
    } else if charged.tries_today >= MAX_A_DAY {
        Some(format!("It was tried {MAX_A_DAY} times today, which is the most."))
    } else {
        None
    })
}

/// Looks again when the next day of UTC begins; a cap of the month then says so once a day.
async fn wait_for_tomorrow(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    let (day, seconds) = store::next_day(conn).await?;
    TryAutoTopup { org, cause: Cause::Day(day) }.enqueue(conn, seconds).await?;
    About::Capped { until: day }.enqueue(conn, org).await
}

/// Charges what is written down, and books the answer.
async fn charge(pool: &PgPool, processors: &Processors, order: Order) -> anyhow::Result<()> {
    let Order { topup, customer, method } = order;
    let by = processors.get(&topup.processor)?;
    let return_url = processors.topup_url(&topup);
    let answer = by.charge(&Charge { topup: &topup, customer, method, return_url }).await;
    let mut tx = pool.begin().await?;
    match answer {
        Ok(payment) => {
            let outcome = book::payment(&mut tx, by, &payment).await?;
            tracing::info!(topup = %topup.id, %outcome, "auto top-up charged a saved payment method");
        }
        Err(ProcessorError::Unknown(why)) => {
            tracing::warn!(topup = %topup.id, why, "an automatic charge was not answered; it will be asked for");
            return Ok(());
        }
        Err(error) => refused(&mut tx, &topup, &error.to_string()).await?,
    }
    tx.commit().await?;
    Ok(())
}

/// It certainly did not happen.
async fn refused(conn: &mut PgConnection, topup: &TopUp, why: &str) -> anyhow::Result<()> {
    let Some(locked) = store::lock(conn, topup.org, topup.id).await? else { return Ok(()) };
    if locked.state() == State::Pending {
        store::set_state(conn, &locked, State::Failed, why).await?;
        ended(conn, &locked, State::Failed, why).await?;
    }
    Ok(())
}

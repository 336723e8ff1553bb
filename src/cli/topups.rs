//! `farebox topups`.

use std::process::ExitCode;

use clap::Subcommand;
use sqlx::PgConnection;

use super::database::Database;
use crate::audit::{Action, Actor, Chain, Entry};
use crate::base::ids::{OrgId, TopUpId};
use crate::base::{Origin, Usd};
use crate::boot;
use crate::config::Config;
use crate::ledger;
use crate::topups::processors::Processors;
use crate::topups::reconcile::{self, Finding, MAX_DAYS, Run, RunError, USUAL_DAYS, When};
use crate::topups::{self, By, RefundState, State, TopUp, billing};

/// Purchases that are listed, the newest.
const LISTED: i64 = 200;
/// The exit code of a comparison that came to no end.
const INCOMPLETE: u8 = 2;

#[derive(Subcommand)]
pub enum TopUps {
    /// Compare the books with those of the payment processors. What came in there and is not credited here is credited;
    /// the rest is reported. Exit code 1 when somebody has to look into something, 2 when a processor did not answer.
    Reconcile {
        /// Only this one, such as `stripe`; without it, all.
        #[arg(long)]
        processor: Option<String>,
        /// How many days back.
        #[arg(long, default_value_t = USUAL_DAYS, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
        days: u32,
    },
    /// Send money of a purchase back; credits are taken first, then the fee. The balance may go below zero.
    Refund {
        topup: TopUpId,
        /// In dollars; without it, all that is left.
        #[arg(long)]
        amount: Option<Usd>,
        /// It was sent by hand already, and is found by this, such as a transaction's id: only write it down. For ways to
        /// pay that cannot send back by themselves, such as BTCPay Server.
        #[arg(long, value_name = "REFERENCE")]
        sent: Option<String>,
    },
    /// Show a purchase with its transfers, refunds, disputes and messages.
    Show { topup: TopUpId },
    /// List purchases, the newest first.
    List {
        #[arg(long)]
        org: Option<OrgId>,
        /// `pending`, `paid`, `failed`, `expired`, `refunded` or `disputed`.
        #[arg(long, value_parser = state)]
        state: Option<State>,
    },
}

fn state(text: &str) -> Result<State, &'static str> {
    State::parse(text).ok_or("is none of pending, paid, failed, expired, refunded, disputed")
}

/// # Errors
/// Says what was wrong.
pub async fn run(command: TopUps, config: &Config, database: &Database) -> anyhow::Result<ExitCode> {
    let pool = database.connect().await?;
    match command {
        TopUps::Reconcile { processor, days } => {
            let processors = boot::processors(config, &pool)?;
            // Receipts of what is credited now name the seller.
            billing::introduce(&mut *pool.acquire().await?, &config.seller).await?;
            compare(&pool, &processors, processor, days).await
        }
        TopUps::Refund { topup, amount, sent } => {
            refund(&pool, &boot::processors(config, &pool)?, topup, amount, sent).await?;
            Ok(ExitCode::SUCCESS)
        }
        TopUps::Show { topup } => {
            let mut conn = pool.acquire().await?;
            show(&mut conn, topup).await?;
            Ok(ExitCode::SUCCESS)
        }
        TopUps::List { org, state } => {
            let mut conn = pool.acquire().await?;
            let found = topups::list_anywhere(&mut conn, org, state.map(State::as_str), LISTED).await?;
            found.iter().for_each(|topup| println!("{}", line(topup)));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn compare(
    pool: &sqlx::PgPool,
    processors: &Processors,
    only: Option<String>,
    days: u32,
) -> anyhow::Result<ExitCode> {
    let names = match only {
        Some(name) => vec![name],
        None => processors.all().map(|by| by.name().to_owned()).collect::<Vec<_>>(),
    };
    if names.is_empty() {
        println!("no payment processor is set up, so there is nothing to compare");
    }
    let (mut open, mut incomplete) = (false, false);
    for name in names {
        match reconcile::run(pool, processors, &name, days, When::Now).await {
            Ok((run, findings)) => {
                report(&run, &findings);
                open |= run.open > 0 || !run.difference().is_zero();
                incomplete |= !run.is_complete();
            }
            Err(error @ RunError::Busy(_)) => {
                println!("{error}");
                incomplete = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(match (open, incomplete) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(INCOMPLETE),
        (false, false) => ExitCode::SUCCESS,
    })
}

fn report(run: &Run, findings: &[Finding]) {
    for finding in findings {
        let mark = if finding.kind.needs_person() { "LOOK" } else { "done" };
        let topup = finding.topup.map(|id| id.to_string()).unwrap_or_default();
        println!("{mark} {} {topup} {}: {}", finding.kind.as_str(), finding.reference, finding.detail);
    }
    println!(
        "{} since {}: {} payments there, {} of them foreign; {} purchases compared",
        run.processor,
        run.since.format("%Y-%m-%d %H:%M UTC"),
        run.payments,
        run.foreign_payments,
        run.compared,
    );
    if run.missing > 0 {
        println!("  {} of the foreign ones carry the id of a purchase that is not in these books", run.missing);
    }
    println!(
        "  processor:{} holds {} of them by our books and {} by its own: {}",
        run.processor,
        run.booked.display_exact(),
        run.told.display_exact(),
        match run.difference() {
            none if none.is_zero() => "no difference".to_owned(),
            difference => format!("a DIFFERENCE of {}", difference.display_exact()),
        },
    );
    if !run.fees.is_zero() {
        println!("  it kept {} of them for itself, which is in neither", run.fees.display_exact());
    }
    if !run.is_complete() {
        println!("  INCOMPLETE, to be run again: {}", run.failure);
    }
}

async fn refund(
    pool: &sqlx::PgPool,
    processors: &Processors,
    id: TopUpId,
    amount: Option<Usd>,
    sent: Option<String>,
) -> anyhow::Result<()> {
    let found = topups::find_anywhere(&mut *pool.acquire().await?, id).await?;
    let topup = found.ok_or_else(|| anyhow::anyhow!("there is no purchase {id}; `farebox topups list` shows them"))?;
    let entry = Entry::new(Chain::Org(topup.org), Actor::Operator, Action::RefundAsked, &Origin::here());
    if let Some(reference) = sent {
        topups::record_sent(pool, processors, (topup.org, id), amount, &reference, entry).await?;
        println!("{id}: written down");
        return Ok(());
    }
    let state = topups::refund(pool, processors, (topup.org, id), amount, By::Operator, entry).await?;
    match state {
        RefundState::Succeeded => println!("{id}: refunded"),
        RefundState::Pending => {
            println!("{id}: the refund is on its way; `farebox topups show {id}` tells how it ends")
        }
        RefundState::Failed => anyhow::bail!("{id}: the refund failed, and the credits were put back"),
    }
    Ok(())
}

fn line(topup: &TopUp) -> String {
    format!(
        "{}  {}  {}  {} + {} fee  {} by {}  {}",
        topup.id,
        topup.created_at.format("%Y-%m-%d %H:%M"),
        topup.org,
        topup.credits.display(),
        topup.fee.display(),
        topup.method,
        topup.processor,
        topup.state,
    )
}

async fn show(conn: &mut PgConnection, id: TopUpId) -> anyhow::Result<()> {
    let found = topups::find_anywhere(conn, id).await?;
    let topup = found.ok_or_else(|| anyhow::anyhow!("there is no purchase {id}; `farebox topups list` shows them"))?;
    println!("{}", line(&topup));
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    println!("  total {}, {} left of it", topup.total.display(), topup.kept().display());
    if let Some(fee) = topup.processor_fee {
        println!("  {} kept {} of it for itself; that is not in these books", topup.processor, fee.display());
    }
    println!("  checkout {}, payment {}", text(&topup.processor_ref), text(&topup.payment_ref));
    if topup.seen.is_positive() && !topup.state().is_credited() {
        println!("  {} seen of it so far, not credited", topup.seen.display());
    }
    if !topup.oddity().is_empty() {
        println!("  {}", topup.oddity());
    }
    for more in topups::more_of(conn, topup.org, id).await? {
        println!("  {} came in later, as {}", more.total.display(), more.id);
    }
    if let Some(number) = topup.receipt_number {
        let paid = topup.paid_at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
        println!("  receipt {}, paid {paid}", billing::receipt_number(number));
    }
    if !topup.failure.is_empty() {
        println!("  failure: {}", topup.failure);
    }
    let references = reconcile::references(conn, &topup).await?;
    for line in ledger::lines_of(conn, &references).await? {
        let at = line.at.format("%Y-%m-%d %H:%M");
        println!("  transfer  {at}  {}  {} -> {}  {}", line.code, line.debit, line.credit, line.amount.display());
    }
    for refund in topups::refunds(conn, topup.org, id).await? {
        let at = refund.created_at.format("%Y-%m-%d %H:%M");
        println!(
            "  refund    {at}  {}  {}  {} by {}  {}",
            refund.id,
            refund.amount.display(),
            refund.state,
            refund.origin,
            refund.failure
        );
    }
    for dispute in topups::disputes(conn, topup.org, id).await? {
        let at = dispute.created_at.format("%Y-%m-%d %H:%M");
        println!(
            "  dispute   {at}  {}  {}  {}  {}",
            dispute.id,
            dispute.amount.display(),
            dispute.state,
            dispute.reason
        );
    }
    for event in topups::events(conn, &topup).await? {
        let at = event.received_at.format("%Y-%m-%d %H:%M");
        let outcome = if event.applied_at.is_some() { event.outcome.as_str() } else { "not applied yet" };
        println!("  message   {at}  {}  {}  {outcome}", event.id, event.kind);
    }
    Ok(())
}

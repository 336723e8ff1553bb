//! One comparison with one processor, from its first page to the last purchase that no page had.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use sqlx::PgPool;

use super::compare::{self, Compared};
use super::finding::{Finding, FindingKind, Run};
use crate::base::ids::TopUpId;
use crate::topups::payment::Payment;
use crate::topups::processors::{Processor, Processors};
use crate::topups::store::{self, Begun, RunTotals};
use crate::topups::topup::TopUp;

/// How many days back a run looks unless it is told otherwise: a weekend without messages is found.
pub const USUAL_DAYS: u32 = 3;
/// Disputes come up to some months after the payment; more than a year is another question.
pub const MAX_DAYS: u32 = 400;
/// Pages of payments of one run. A run that needs more is incomplete, and says so.
const MAX_PAGES: usize = 2_000;
/// Payments that are asked for one by one.
const MAX_ASKED: usize = 5_000;
const BATCH: i64 = 200;
/// How long a processor may take to answer before a run gives up.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a page; it may take a request or two for each of its payments.
    pub page: Duration,
    /// For one payment.
    pub payment: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { page: Duration::from_mins(10), payment: Duration::from_mins(2) }
    }
}

/// Renewed with every page and every batch; longer than either may take.
pub const LEASE: TimeDelta = TimeDelta::minutes(25);
/// Clocks differ a little: payments are asked for from a bit before.
const SKEW: TimeDelta = TimeDelta::minutes(10);
/// Findings that are written down in one run.
const MAX_FINDINGS: i32 = 10_000;
/// Findings that are written to the log one by one.
const MAX_LOGGED: usize = 20;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another process compares with this processor at this moment, or has done so lately.
    #[error("another process compares with {0} at this moment; nothing was done")]
    Busy(String),
    #[error("there is no processor `{0}` here")]
    Missing(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// When a run is to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Because somebody asks.
    Now,
    /// Only if the last one was long enough ago.
    IfDue,
}

/// Compares with a processor: every payment that it lists since so many days ago, and every purchase that was credited
/// since then and that it does not list. The run that is returned may be incomplete.
///
/// # Errors
/// See [`RunError`]. A processor that does not answer is none: the run is incomplete.
pub async fn run(
    pool: &PgPool,
    processors: &Processors,
    processor: &str,
    days: u32,
    when: When,
) -> Result<(Run, Vec<Finding>), RunError> {
    run_within(pool, processors, processor, (days, when), Patience::default()).await
}

/// As [`run`], with another patience.
///
/// # Errors
/// As [`run`].
pub async fn run_within(
    pool: &PgPool,
    processors: &Processors,
    processor: &str,
    (days, when): (u32, When),
    patience: Patience,
) -> Result<(Run, Vec<Finding>), RunError> {
    let by = processors.get(processor).map_err(|_| RunError::Missing(processor.to_owned()))?;
    let mut conn = pool.acquire().await?;
    let window = TimeDelta::days(i64::from(days.clamp(1, MAX_DAYS)));
    let begun = store::begin_run(&mut conn, processor, window, LEASE, when == When::IfDue).await?;
    let Some(begun) = begun else { return Err(RunError::Busy(processor.to_owned())) };
    drop(conn);
    let mut work = Work {
        pool,
        by,
        patience,
        begun,
        totals: RunTotals::default(),
        seen: HashSet::new(),
        named: HashSet::new(),
        asked: 0,
        findings: 0,
    };
    let ended = work.all().await;
    let failure = ended.as_ref().err().map(|error| format!("{error:#}")).unwrap_or_default();
    let mut conn = pool.acquire().await?;
    store::end_run(&mut conn, work.begun.id, &work.totals, &failure).await?;
    let run = store::reconciliation(&mut conn, work.begun.id).await?;
    let findings = store::findings(&mut conn, work.begun.id, i64::from(MAX_FINDINGS)).await?;
    log(&run, &findings);
    Ok((run, findings))
}

struct Work<'a> {
    pool: &'a PgPool,
    by: &'a dyn Processor,
    patience: Patience,
    begun: Begun,
    totals: RunTotals,
    /// Purchases that were compared.
    seen: HashSet<TopUpId>,
    /// What the processor calls the payments that were compared.
    named: HashSet<String>,
    /// How many were asked for one by one.
    asked: usize,
    findings: i32,
}

impl Work<'_> {
    async fn all(&mut self) -> anyhow::Result<()> {
        self.there().await?;
        self.went_back().await?;
        self.here().await
    }

    /// What the processor lists.
    async fn there(&mut self) -> anyhow::Result<()> {
        let since = self.begun.since - SKEW;
        let mut next: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let asked = self.by.payments(since, next.as_deref());
            let page =
                tokio::time::timeout(self.patience.page, asked).await.context("a page of payments took too long")??;
            for payment in &page.payments {
                self.totals.payments += 1;
                self.compare(payment).await?;
            }
            self.renew().await?;
            match page.next {
                Some(after) => next = Some(after),
                None => return Ok(()),
            }
        }
        anyhow::bail!("there are more than {MAX_PAGES} pages of payments; compare fewer days at once")
    }

    /// Payments of before the window whose money has begun to go back within it.
    async fn went_back(&mut self) -> anyhow::Result<()> {
        let since = self.begun.since - SKEW;
        let mut next: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let asked = self.by.went_back(since, next.as_deref());
            let page = tokio::time::timeout(self.patience.page, asked).await;
            let page = page.context("a page of refunds and disputes took too long")??;
            for reference in
                page.references.iter().filter(|reference| !self.named.contains(*reference)).cloned().collect::<Vec<_>>()
            {
                if let Some(payment) = self.fetch(&reference).await? {
                    self.compare(&payment).await?;
                }
                self.named.insert(reference);
            }
            self.renew().await?;
            match page.next {
                Some(after) => next = Some(after),
                None => return Ok(()),
            }
        }
        anyhow::bail!("there are more than {MAX_PAGES} pages of refunds and disputes; compare fewer days at once")
    }

    /// What was credited and was on none of its pages, and what is undecided, however old: asked for one by one.
    async fn here(&mut self) -> anyhow::Result<()> {
        let mut after = None;
        loop {
            let mut conn = self.pool.acquire().await?;
            let begun = (self.begun.since, self.begun.started_at);
            let batch = store::to_compare(&mut conn, self.by.name(), begun, after, BATCH).await?;
            drop(conn);
            let Some(last) = batch.last() else { return Ok(()) };
            after = Some(last.id);
            for topup in batch.iter().filter(|topup| !self.seen.contains(&topup.id)).cloned().collect::<Vec<_>>() {
                self.ask(&topup).await?;
            }
        }
    }

    /// One payment, asked for by itself.
    async fn fetch(&mut self, reference: &str) -> anyhow::Result<Option<Payment>> {
        anyhow::ensure!(self.asked < MAX_ASKED, "more than {MAX_ASKED} payments had to be asked for one by one");
        self.asked += 1;
        if self.asked.is_multiple_of(10) {
            self.renew().await?;
        }
        let asked = self.by.fetch(reference);
        let told = tokio::time::timeout(self.patience.payment, asked).await;
        Ok(told.context("a payment took too long to ask for")??)
    }

    async fn ask(&mut self, topup: &TopUp) -> anyhow::Result<()> {
        let payment = match topup.payment_ref.as_ref().or(topup.processor_ref.as_ref()) {
            Some(reference) => self.fetch(reference).await?,
            None => None,
        };
        if let Some(payment) = payment {
            return self.compare(&payment).await;
        }
        let mut tx = self.pool.begin().await?;
        let compared = compare::unknown(&mut tx, topup).await?;
        self.note(&mut tx, &compared).await?;
        tx.commit().await?;
        self.count(&compared);
        Ok(())
    }

    async fn compare(&mut self, payment: &Payment) -> anyhow::Result<()> {
        let mut tx = self.pool.begin().await?;
        let compared = match compare::payment(&mut tx, self.by, payment).await {
            Ok(compared) => compared,
            Err(error) if error.chain().any(|cause| cause.is::<sqlx::Error>()) => return Err(error),
            Err(error) => {
                // One payment that cannot be booked keeps no other from being compared.
                drop(tx);
                tx = self.pool.begin().await?;
                contradiction(payment, &error)
            }
        };
        self.note(&mut tx, &compared).await?;
        tx.commit().await?;
        if compared.topup.is_none() && compared.findings.is_empty() && payment.received.is_positive() {
            self.totals.foreign += 1;
            self.totals.missing += i32::from(payment.topup.is_some());
        }
        self.count(&compared);
        self.named.insert(payment.payment_ref.as_ref().unwrap_or(&payment.reference).clone());
        Ok(())
    }

    /// Writes findings down in the transaction that booked them.
    async fn note(&mut self, conn: &mut sqlx::PgConnection, compared: &Compared) -> Result<(), sqlx::Error> {
        for finding in compared.findings.iter() {
            if self.findings < MAX_FINDINGS {
                self.findings += 1;
                store::insert_finding(conn, self.begun.id, self.findings, finding).await?;
            }
        }
        Ok(())
    }

    fn count(&mut self, compared: &Compared) {
        self.totals.told += compared.told;
        self.totals.booked += compared.booked;
        self.totals.fees += compared.fees;
        if let Some(topup) = compared.topup {
            self.totals.compared += i32::from(self.seen.insert(topup));
        }
    }

    async fn renew(&self) -> anyhow::Result<()> {
        let mut conn = self.pool.acquire().await?;
        let ours = store::renew_run(&mut conn, self.begun.id, LEASE).await?;
        anyhow::ensure!(ours, "another process took this run over");
        Ok(())
    }
}

fn contradiction(payment: &Payment, error: &anyhow::Error) -> Compared {
    let reference = payment.payment_ref.clone().unwrap_or_else(|| payment.reference.clone());
    let detail = format!("it contradicts the books: {error:#}");
    let finding = Finding { kind: FindingKind::Refused, topup: payment.topup, reference, detail };
    Compared { findings: vec![finding], ..Compared::default() }
}

fn log(run: &Run, findings: &[Finding]) {
    let processor = run.processor.as_str();
    if !run.is_complete() {
        tracing::warn!(processor, failure = run.failure, "the books were not compared to the end; it is tried again");
    }
    for finding in findings.iter().filter(|finding| finding.kind.needs_person()).take(MAX_LOGGED) {
        let topup = finding.topup.map(|id| id.to_string()).unwrap_or_default();
        let (kind, reference) = (finding.kind.as_str(), finding.reference.as_str());
        tracing::warn!(processor, kind, topup, reference, detail = finding.detail, "somebody has to look at a payment");
    }
    let mended = findings.iter().filter(|finding| !finding.kind.needs_person()).count();
    tracing::info!(
        processor,
        compared = run.compared,
        mended,
        open = run.open,
        difference = %run.difference(),
        "the books were compared"
    );
}

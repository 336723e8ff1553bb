//! The summary of a week, for those who want it: what came in, what went out, what is left, and on what it was spent.
//!
//! Money is what the journal says of the week, to the last digit: what was there before, and every movement, add up to what
//! is there afterwards. Calls are counted in the sums per hour. A row for each organization and week lets one process tell.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc, Weekday};
use serde_json::json;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::close::start_of;
use super::statement::{Sum, label};
use super::store;
use crate::accounts::Links;
use crate::activity::{self, Group, Slice, Span, Totals};
use crate::base::ids::OrgId;
use crate::base::{Clock, Usd};
use crate::hooks::{self, EventKind, Payload};
use crate::ledger;
use crate::mail::{About, Kind, Topic};
use crate::notices;
use crate::orgs;
use crate::web::views::emails::NoticeMail;

/// How often each process looks whether a week is to be told of. The first look waits as long.
const EVERY: Duration = Duration::from_mins(10);
/// Calls of the last minutes of a week are settled by then.
const AFTER: TimeDelta = TimeDelta::minutes(30);
/// A week that nobody told of within this is not told of any more: it would be no news.
const UNTIL: TimeDelta = TimeDelta::days(3);
/// Organizations that are asked for at once.
const BATCH: i64 = 200;
/// Models that are named.
const MODELS: usize = 5;

/// A week of an organization.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Week {
    pub org: OrgId,
    pub name: String,
    /// Its Monday.
    pub monday: NaiveDate,
    pub opening: Usd,
    /// By the code of the reason.
    pub sums: BTreeMap<String, Sum>,
    pub closing: Usd,
    pub calls: Totals,
    /// The dearest models.
    pub models: Vec<(String, Totals)>,
}

impl Week {
    #[must_use]
    pub fn came_in(&self) -> Usd {
        self.sums.values().map(|sum| sum.came_in).sum()
    }

    #[must_use]
    pub fn went_out(&self) -> Usd {
        self.sums.values().map(|sum| sum.went_out).sum()
    }
}

/// Runs until `stop`, in every process.
pub async fn weekly(pool: PgPool, links: Links, clock: Clock, stop: CancellationToken) {
    // The Monday of which everybody was told.
    let mut done = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let now = clock.now();
        if due(now) == done {
            continue;
        }
        match round(&pool, &links, now).await {
            Ok(told) => {
                done = due(now);
                if told > 0 {
                    tracing::info!(told, "weekly summaries were written");
                }
            }
            Err(error) => tracing::warn!(%error, "weekly summaries were not all written; trying again"),
        }
    }
}

/// The Monday of the week that is to be told of at a moment; `None` most of the time.
fn due(now: DateTime<Utc>) -> Option<NaiveDate> {
    let this = now.date_naive().week(Weekday::Mon).first_day();
    let age = now - start_of(this);
    (AFTER..UNTIL).contains(&age).then(|| this - TimeDelta::days(7))
}

/// Tells every organization that had calls in the week that has just ended, once. Gives how many.
///
/// # Errors
/// Database errors, and templates that cannot be written; what was told before stays told.
pub async fn round(pool: &PgPool, links: &Links, now: DateTime<Utc>) -> anyhow::Result<usize> {
    let Some(monday) = due(now) else { return Ok(0) };
    let mut conn = pool.acquire().await?;
    let (from, to) = (start_of(monday), start_of(monday + TimeDelta::days(7)));
    let (mut told, mut after, mut failed) = (0, None, 0_u32);
    loop {
        let orgs = store::orgs_to_tell(&mut conn, monday, (from, to), after, BATCH).await?;
        // Ids only grow, so this ends.
        let Some(last) = orgs.last() else {
            anyhow::ensure!(failed == 0, "{failed} of them could not be written, {told} were");
            return Ok(told);
        };
        after = Some(*last);
        for org in orgs {
            // One that fails keeps no other from its summary.
            match tell(&mut conn, links, org, monday).await {
                Ok(written) => told += usize::from(written),
                Err(error) => {
                    failed += 1;
                    tracing::warn!(%error, %org, "a weekly summary could not be written");
                }
            }
        }
    }
}

async fn tell(conn: &mut PgConnection, links: &Links, org: OrgId, monday: NaiveDate) -> anyhow::Result<bool> {
    let mut snapshot = conn.begin_with("begin isolation level repeatable read read only").await?;
    let week = week(&mut snapshot, org, monday).await?;
    snapshot.rollback().await?;
    let Some(week) = week else { return Ok(false) };
    let mut tx = conn.begin().await?;
    if !store::insert_week_told(&mut tx, org, monday).await? {
        return Ok(false);
    }
    hooks::emit(&mut tx, org, EventKind::WeeklySummary, &format!("week:{monday}"), payload(&week)).await?;
    let usual = |role| notices::usual(Topic::WeeklySummary, role);
    let readers = notices::readers(&mut tx, org, Topic::WeeklySummary, &[], &usual).await?;
    let event = format!("weekly_summary:{org}:{monday}");
    notices::write(&mut tx, &event, Kind::WeeklySummary, readers, &notice(links, &week), About::org(week.org)).await?;
    tx.commit().await?;
    Ok(true)
}

/// The figures of a week. Run it in one repeatable-read transaction. `None` where there is no such organization.
///
/// # Errors
/// Database errors only.
pub async fn week(conn: &mut PgConnection, org: OrgId, monday: NaiveDate) -> Result<Option<Week>, sqlx::Error> {
    let Some(name) = orgs::find_org(conn, org).await? else { return Ok(None) };
    let (from, to) = (start_of(monday), start_of(monday + TimeDelta::days(7)));
    let posted = ledger::credit_state(conn, org).await?.posted;
    let later = ledger::org_days(conn, org, to, DateTime::<Utc>::MAX_UTC.min(to + TimeDelta::days(3_650))).await?;
    let closing = posted - later.iter().map(|one| one.came_in - one.went_out).sum();
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for one in ledger::org_days(conn, org, from, to).await? {
        let sum = sums.entry(one.code).or_default();
        sum.came_in += one.came_in;
        sum.went_out += one.went_out;
        sum.transfers += one.transfers;
    }
    let opening = closing - sums.values().map(Sum::net).sum();
    let (span, all) = (Span { from, to }, Slice::default());
    let calls = activity::totals(conn, org, span, &all).await?;
    let mut models = activity::spent_by(conn, org, span, &all, Group::Model).await?;
    models.truncate(MODELS);
    Ok(Some(Week { org, name, monday, opening, sums, closing, calls, models }))
}

fn payload(week: &Week) -> Payload {
    let moved = |sum: &Sum| json!({ "came_in": sum.came_in.exact(), "went_out": sum.went_out.exact() });
    let reasons: serde_json::Map<_, _> = week.sums.iter().map(|(code, sum)| (code.clone(), moved(sum))).collect();
    let model = |(name, totals): &(String, Totals)| json!({ "model": name, "calls": totals.requests, "cost": totals.cost.exact() });
    Payload::new()
        .with("week", week.monday.to_string())
        .with("opening", week.opening.exact())
        .with("came_in", week.came_in().exact())
        .with("went_out", week.went_out().exact())
        .with("closing", week.closing.exact())
        .with("reasons", reasons)
        .with("calls", week.calls.requests)
        .with("cost_of_calls", week.calls.cost.exact())
        .with("models", week.models.iter().map(model).collect::<Vec<_>>())
}

fn notice(links: &Links, week: &Week) -> NoticeMail {
    let sunday = week.monday + TimeDelta::days(6);
    let days = if week.monday.month() == sunday.month() {
        format!("{} to {}", week.monday.format("%-d"), sunday.format("%-d %b %Y"))
    } else {
        format!("{} to {}", week.monday.format("%-d %b"), sunday.format("%-d %b %Y"))
    };
    let mut facts = vec![("Credits before".to_owned(), week.opening.display_exact())];
    for (code, sum) in &week.sums {
        let net = sum.net();
        let sign = if net.is_positive() { "+" } else { "" };
        facts.push((label(code), format!("{sign}{}", net.display_exact())));
    }
    facts.push(("Credits after".to_owned(), week.closing.display_exact()));
    facts.push(("Calls".to_owned(), week.calls.requests.to_string()));
    for (model, totals) in &week.models {
        let calls = if totals.requests == 1 { "1 call".to_owned() } else { format!("{} calls", totals.requests) };
        facts.push((model.clone(), format!("{} for {calls}", totals.cost.display_exact())));
    }
    NoticeMail {
        subject: format!("{} spent {} from {days}", week.name, spent(week).display()),
        lines: vec![format!("What the credits of {} on {} did from {days}, in UTC.", week.name, links.instance())],
        facts,
        action: "See the activity".into(),
        link: links.to_page_of(week.org, "/activity"),
        footer: "Sent on Mondays after a week with calls. Switch it off under Settings, Notifications.".into(),
        ..NoticeMail::default()
    }
}

/// What calls took of the credits.
fn spent(week: &Week) -> Usd {
    week.sums.get(ledger::Code::Usage.as_str()).map_or(Usd::ZERO, |sum| Usd::ZERO - sum.net())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_told_of_in_the_days_after_it() {
        let at = |text: &str| due(text.parse().unwrap_or_default()).map(|day| day.to_string());
        assert_eq!(at("2026-11-30T00:29:59Z"), None);
        assert_eq!(at("2026-11-30T00:30:00Z").as_deref(), Some("2026-11-23"));
        assert_eq!(at("2026-12-02T23:59:59Z").as_deref(), Some("2026-11-23"));
        assert_eq!(at("2026-12-03T00:00:00Z"), None);
        assert_eq!(at("2026-12-06T23:00:00Z"), None, "a Sunday");
    }
}

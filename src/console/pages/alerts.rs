//! What somebody has to look into, above everything else of the overview.
//!
//! It is what the database knows. What only a process knows, such as settlements that wait on its disk, is in its metrics.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::{address, holds, inbox};
use crate::base::Usd;
use crate::books;
use crate::catalog::Shelf;
use crate::console::extract::Staff;
use crate::console::margin::whole;
use crate::console::store;
use crate::jobs::{self, Waiting};
use crate::ledger;
use crate::mail;
use crate::topups::{self, reconcile};
use crate::web::present::counted;
use crate::web::views::blocks::{Block, Note};

/// A provider that was asked less often in half an hour is no sign of anything.
const FEWEST: i64 = 10;
/// An anchor is taken each day, and a day is looked at every ten minutes.
const ANCHORED_WITHIN: TimeDelta = TimeDelta::hours(26);

/// What waits, counted by those who know from when on it waits for too long.
pub struct Health {
    pub holds: i64,
    pub holds_over: i64,
    pub mails_dead: i64,
    pub mails_late: i64,
    pub events: i64,
    pub events_late: i64,
    pub jobs: Waiting,
    pub disputes: i64,
    pub refunds: i64,
    /// Calls of the last day whose process died.
    pub swept: i64,
    /// When the audit logs were last anchored.
    pub anchored_at: Option<DateTime<Utc>>,
}

impl Health {
    /// # Errors
    /// Database errors only.
    pub async fn read(conn: &mut PgConnection) -> Result<Health, sqlx::Error> {
        let (holds, holds_over) = ledger::count_holds(conn).await?;
        let (disputes, refunds) = store::open_payments(conn).await?;
        let (swept, anchored_at) = store::swept_and_anchored(conn).await?;
        Ok(Health {
            holds,
            holds_over,
            mails_dead: mail::count_dead(conn).await?,
            mails_late: mail::count_late(conn).await?,
            events: store::count_waiting_events(conn).await?,
            events_late: topups::late_events(conn).await?,
            jobs: jobs::waiting(conn).await?,
            disputes,
            refunds,
            swept,
            anchored_at,
        })
    }
}

/// What the overview has read already.
pub struct Seen<'a> {
    pub health: &'a Health,
    /// What calls of today cost beyond their holds.
    pub overrun: Usd,
    pub now: DateTime<Utc>,
}

fn alert(tone: &'static str, text: String, href: &str, link: &str) -> Block {
    let icon = match tone {
        "bad" => "circle-x",
        "warn" => "triangle-alert",
        _ => "info",
    };
    Block::Note(Note { tone, icon, text, href: href.into(), link: link.into() })
}

/// What somebody has to look into.
pub async fn alerts(
    conn: &mut PgConnection,
    shelf: &Shelf,
    staff: &Staff,
    seen: &Seen<'_>,
) -> Result<Vec<Block>, sqlx::Error> {
    let (health, now) = (seen.health, seen.now);
    // An auditor is told of it, and has nothing to do there.
    let to = |path: &'static str| if staff.is_operator() { path } else { "" };
    let mut blocks = Vec::new();
    if let Some(close) = books::latest_close(conn).await? {
        let href = format!("/admin/books/closes/{}", close.day);
        if !close.is_clean() {
            let text = format!("The books of {} were closed with {} findings.", close.day, close.findings);
            blocks.push(alert("bad", text, &href, "Look at them"));
        } else if books::is_late(close.day, now) {
            let text = format!("The books are closed up to {} and no further.", close.day);
            blocks.push(alert("warn", text, &href, "The last close"));
        }
    }
    for run in reconcile::latest(conn).await? {
        if run.open > 0 || !run.difference().is_zero() {
            let text = format!(
                "The books and {} differ: {} findings, {}.",
                run.processor,
                run.open,
                run.difference().display_exact()
            );
            blocks.push(alert("bad", text, &format!("/admin/books/reconciliation/{}", run.id), "Look at them"));
        } else if !run.is_complete() && run.state != "running" {
            let text = format!("The last comparison with {} came to no end: {}.", run.processor, run.failure);
            blocks.push(alert("warn", text, "/admin/books/reconciliation", "Comparisons"));
        }
    }
    if health.holds_over > 0 {
        let text = format!("{} holds are older than they may be.", health.holds_over);
        blocks.push(alert("bad", text, &address(holds::HERE, &[("state", "overdue")]), "Holds"));
    }
    if health.events_late > 0 {
        let text = format!("{} messages of payment processors should have been applied.", health.events_late);
        blocks.push(alert("warn", text, inbox::HERE, "Messages"));
    }
    blocks.extend(calls(conn, staff, seen).await?);
    blocks.extend(anchors(health, now));
    if health.mails_dead > 0 {
        blocks.push(alert(
            "warn",
            format!("{} mails were given up.", health.mails_dead),
            to("/admin/mails?state=dead"),
            "Mails",
        ));
    }
    let Waiting { dead, late, .. } = health.jobs;
    if dead > 0 {
        blocks.push(alert("warn", format!("{dead} jobs used up their tries."), to("/admin/jobs?state=dead"), "Jobs"));
    }
    if late > jobs::LATE {
        let text = format!("The oldest job should have run {} minutes ago.", late / 60);
        blocks.push(alert("warn", text, to("/admin/jobs"), "Jobs"));
    }
    let catalog = shelf.current();
    let closed: Vec<&str> =
        catalog.providers().iter().filter(|one| !one.is_open()).map(|one| one.provider.slug.as_str()).collect();
    if !closed.is_empty() {
        let text = format!("No upstream key is stored for {} providers.", closed.len());
        blocks.push(alert("info", text, to("/admin/upstreams"), "Upstream keys"));
    }
    Ok(blocks)
}

/// Providers that fail, calls whose process died, and calls that cost more than was held for them.
async fn calls(conn: &mut PgConnection, staff: &Staff, seen: &Seen<'_>) -> Result<Vec<Block>, sqlx::Error> {
    let mut blocks = Vec::new();
    for one in store::failing_providers(conn, FEWEST).await? {
        let text = format!(
            "{} failed {} of {} times when it was asked in the last half hour.",
            one.name,
            whole(one.failed),
            whole(one.failed + one.answered)
        );
        let to = if staff.is_operator() { "/admin/upstreams" } else { "" };
        blocks.push(alert("bad", text, to, "Upstreams"));
    }
    if seen.health.swept > 0 {
        let (were, their) = if seen.health.swept == 1 { ("was", "its") } else { ("were", "their") };
        let text = format!(
            "{} of the last day {were} abandoned by {their} process, and cost nobody anything. A server died or was killed.",
            counted(seen.health.swept, "call")
        );
        blocks.push(alert("warn", text, "", ""));
    }
    if seen.overrun.is_positive() {
        let today = seen.now.date_naive().to_string();
        let rows =
            address("/admin/books/journal", &[("account", "operator_loss"), ("code", "overrun"), ("from", &today)]);
        let text = format!(
            "Calls of today cost {} more than was held for them. The house bears it.",
            seen.overrun.display_exact()
        );
        blocks.push(alert("warn", text, &rows, "The rows"));
    }
    Ok(blocks)
}

/// The audit logs are anchored once a day, whatever happens. One that is late means that no server does it.
fn anchors(health: &Health, now: DateTime<Utc>) -> Option<Block> {
    let text = match health.anchored_at {
        Some(at) if now - at <= ANCHORED_WITHIN => return None,
        Some(at) => format!("The audit logs were last anchored {}.", at.format("%-d %b %Y, %H:%M UTC")),
        None => "The audit logs were never anchored.".to_owned(),
    };
    let told = format!("{text} Each server does it once a day, so none does.");
    Some(alert("warn", told, "/admin/log", "Log of the console"))
}

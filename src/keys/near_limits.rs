//! Telling that a limit is near or used up: of keys, of provisioning keys, and of members' spend caps.
//!
//! It is looked for in the meters, beside the way of a call. Each limit is told of at 80 and at 100 percent, once in each of
//! its windows; a limit that was changed is another one.

use std::time::Duration;

use chrono::NaiveDate;
use rust_decimal::{Decimal, RoundingStrategy};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::store;
use crate::accounts::Links;
use crate::base::Usd;
use crate::base::ids::{MeterId, OrgId, PersonId};
use crate::hooks::{self, EventKind, Payload};
use crate::ledger::MeterKind;
use crate::mail::{Kind, Topic};
use crate::notices;
use crate::web::views::emails::NoticeMail;

/// How often the meters are looked through.
const EVERY: Duration = Duration::from_secs(60);
/// Limits that one round tells of; more wait for the next.
const BATCH: i64 = 500;
/// The percentage at which a limit is near.
const FIRST: i32 = 80;
/// What was told of windows that are over is kept so long.
const KEPT_DAYS: i32 = 100;

/// A limit of which a part is used.
#[derive(Clone, Debug)]
pub struct NearLimit {
    pub org: OrgId,
    pub meter: MeterId,
    pub kind: String,
    /// `total`, `day`, `week` or `month`.
    pub span: String,
    /// The first day of the window; the same for ever where there is none.
    pub since: NaiveDate,
    pub limit: Usd,
    pub spent: Usd,
    /// 80 or 100.
    pub percent: i32,
}

/// Whose limit it is.
#[derive(Clone, Debug)]
pub struct Whose {
    pub org_name: String,
    /// Of the key or of the member.
    pub name: String,
    /// Who made the key, or the member.
    pub person: Option<PersonId>,
}

/// Runs until `stop`, in every process: a row for each limit, window and percentage lets one of them tell.
pub async fn run(pool: PgPool, links: Links, stop: CancellationToken) {
    loop {
        if let Err(error) = round(&pool, &links).await {
            tracing::warn!(%error, "limits were not looked through; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Looks through the meters once. Gives how many limits were told of.
///
/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn round(pool: &PgPool, links: &Links) -> anyhow::Result<usize> {
    let mut conn = pool.acquire().await?;
    store::forget_told(&mut conn, KEPT_DAYS).await?;
    let found = store::near_limits(&mut conn, BATCH).await?;
    let mut told = 0;
    // Those that are used up come first.
    for near in &found {
        told += usize::from(tell(&mut conn, links, near).await?);
    }
    Ok(told)
}

async fn tell(conn: &mut PgConnection, links: &Links, near: &NearLimit) -> anyhow::Result<bool> {
    let mut tx = conn.begin().await?;
    if !store::insert_told(&mut tx, near).await? {
        return Ok(false);
    }
    // One that went past both since the last look is told of once, as used up.
    if near.percent > FIRST {
        store::insert_told(&mut tx, &NearLimit { percent: FIRST, ..near.clone() }).await?;
    }
    let whose = match near.kind == MeterKind::Member.as_str() {
        true => store::whose_cap(&mut tx, near.org, near.meter).await?,
        false => store::whose_limit(&mut tx, near.org, near.meter).await?,
    };
    let told = match whose {
        Some(whose) => {
            write(&mut tx, links, near, &whose).await?;
            true
        }
        // Of a key that is gone, or a member who left, nobody needs to hear.
        None => false,
    };
    tx.commit().await?;
    Ok(told)
}

fn window(span: &str) -> &'static str {
    match span {
        "day" => "day",
        "week" => "week",
        "month" => "month",
        _ => "all time",
    }
}

/// Of the limit, in whole percent, rounded down.
fn used(near: &NearLimit) -> String {
    let part = near.spent.amount() * Decimal::ONE_HUNDRED / near.limit.amount();
    part.round_dp_with_strategy(0, RoundingStrategy::ToZero).to_string()
}

async fn write(conn: &mut PgConnection, links: &Links, near: &NearLimit, whose: &Whose) -> anyhow::Result<()> {
    let member = near.kind == MeterKind::Member.as_str();
    let (kind, event) = match near.percent {
        100 => (Kind::LimitReached, EventKind::LimitReached),
        _ => (Kind::LimitNear, EventKind::LimitNear),
    };
    let reference =
        format!("limit:{}:{}:{}:{}:{}", near.meter, near.span, near.since, near.percent, near.limit.exact());
    let subject_id = if member { "member" } else { "key" };
    let id = match (member, whose.person) {
        (true, person) => person.map(|person| person.to_string()),
        (false, _) => Some(crate::base::ids::KeyId(near.meter.0).to_string()),
    };
    let payload = Payload::new()
        .with(subject_id, id)
        .with("name", if member { serde_json::Value::Null } else { whose.name.clone().into() })
        .with("window", near.span.as_str())
        .with("percent", near.percent)
        .with("limit", near.limit.exact())
        .with("spent", near.spent.exact());
    hooks::emit(conn, near.org, event, &reference, payload).await?;

    let what = if member {
        format!("The spend cap of {}", whose.name)
    } else {
        format!("The limit of the key “{}”", whose.name)
    };
    let state = if near.percent == 100 { "is used up".to_owned() } else { format!("is used to {}%", used(near)) };
    let then = match (near.percent, near.span.as_str()) {
        (100, "total") => "Calls are refused until somebody raises it.",
        (100, _) => "Calls are refused until the next one begins, or somebody raises the limit.",
        _ => "When it is used up, calls are refused.",
    };
    let usual = |role| notices::usual(Topic::Limit, role);
    let concerned: Vec<PersonId> = whose.person.into_iter().collect();
    let readers = notices::readers(conn, near.org, Topic::Limit, &concerned, &usual).await?;
    let link = match member {
        true => links.to("/keys"),
        false if near.kind == MeterKind::Provisioning.as_str() => links.to("/settings/provisioning"),
        false => links.to(&format!("/keys/{}", crate::base::ids::KeyId(near.meter.0))),
    };
    let notice = NoticeMail {
        subject: format!("{what} in {} {state}", whose.org_name),
        lines: vec![format!("{what} in {} on {} {state}. {then}", whose.org_name, links.instance())],
        facts: vec![
            ("Limit".into(), near.limit.display_exact()),
            ("For".into(), window(&near.span).into()),
            ("Spent".into(), near.spent.display_exact()),
            ("Left".into(), (near.limit - near.spent).max(Usd::ZERO).display_exact()),
        ],
        action: "See what it is".into(),
        link,
        footer: "Told once at 80 and once at 100 percent of each day, week or month. Windows begin at midnight UTC. Who gets \
                 this stands under Settings, Notifications."
            .into(),
        ..NoticeMail::default()
    };
    notices::write(conn, &reference, kind, readers, &notice).await
}

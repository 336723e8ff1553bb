//! Telling that a limit is near or used up: of keys, of provisioning keys, and of members' spend caps.
//!
//! A settlement marks the meters that it brings near a limit (`migrations/0087_limit_mark.sql`), and so does whoever changes
//! a limit. Marks are read here, beside the way of a call. Each limit is told of at 80 and at 100 percent, once in each of its
//! windows; a limit that was changed is another one.

use std::time::{Duration, Instant};

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
use crate::mail::{About, Kind, Topic};
use crate::notices;
use crate::web::views::emails::NoticeMail;

/// How often it is looked for marks.
const EVERY: Duration = Duration::from_secs(60);
/// Marks that one round of a process reads; more wait for the next.
const BATCH: usize = 500;
/// The percentage at which a limit is near.
const FIRST: i32 = 80;
/// What was told of windows that are over is kept so long, and looked for that often.
const KEPT_DAYS: i32 = 100;
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// A meter that came near a limit since somebody looked.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    pub org: OrgId,
    /// Grows within an organization.
    pub id: i64,
    pub meter: MeterId,
}

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

/// Runs until `stop`, in every process: each mark is read by one of them.
pub async fn run(pool: PgPool, links: Links, stop: CancellationToken) {
    let (mut forgotten, mut after): (Option<Instant>, Option<Place>) = (None, None);
    loop {
        // Where the last round ended: marks that cannot be told of never keep those behind them waiting.
        after = match round_after(&pool, &links, after).await {
            Ok((_, next)) => next,
            Err(error) => {
                tracing::warn!(%error, "limits that came near were not looked for; trying again");
                None
            }
        };
        if forgotten.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
            forgotten = Some(Instant::now());
            if let Err(error) = forget(&pool).await {
                tracing::warn!(%error, "what was told of old windows was not deleted");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn forget(pool: &PgPool) -> Result<(), sqlx::Error> {
    store::forget_told(&mut *pool.acquire().await?, KEPT_DAYS).await
}

/// Of a mark, in the order in which they are read.
type Place = (OrgId, i64);

/// Reads the marks that there are, once. Gives how many limits were told of.
///
/// # Errors
/// Database errors only; a mail that cannot be written leaves its mark for the next round.
pub async fn round(pool: &PgPool, links: &Links) -> anyhow::Result<usize> {
    Ok(round_after(pool, links, None).await?.0)
}

/// The same from a place on; also gives where the next one begins, `None` after the last mark.
async fn round_after(pool: &PgPool, links: &Links, mut after: Option<Place>) -> anyhow::Result<(usize, Option<Place>)> {
    let mut conn = pool.acquire().await?;
    let mut told = 0;
    for _ in 0..BATCH {
        let mut tx = conn.begin().await?;
        let Some(mark) = store::next_mark(&mut tx, after).await? else { return Ok((told, None)) };
        after = Some((mark.org, mark.id));
        // One that fails keeps no other from being told of.
        match tell(&mut tx, links, &mark).await {
            Ok(some) => {
                store::end_mark(&mut tx, &mark).await?;
                tx.commit().await?;
                told += some;
            }
            Err(error) => {
                tx.rollback().await?;
                tracing::warn!(%error, org = %mark.org, meter = %mark.meter, "a limit that came near was not told of");
            }
        }
    }
    Ok((told, after))
}

/// Tells of every limit of a meter that is near and was not told of, in the caller's transaction. Gives how many.
async fn tell(conn: &mut PgConnection, links: &Links, mark: &Mark) -> anyhow::Result<usize> {
    let mut told = 0;
    // Those that are used up come first.
    for near in store::near_limits(conn, mark.org, mark.meter).await? {
        if !store::insert_told(conn, &near).await? {
            continue;
        }
        // One that went past both since the last look is told of once, as used up.
        if near.percent > FIRST {
            store::insert_told(conn, &NearLimit { percent: FIRST, ..near.clone() }).await?;
        }
        let whose = match near.kind == MeterKind::Member.as_str() {
            true => store::whose_cap(conn, near.org, near.meter).await?,
            false => store::whose_limit(conn, near.org, near.meter).await?,
        };
        // Of a key that is gone, or a member who left, nobody needs to hear.
        if let Some(whose) = whose {
            write(conn, links, &near, &whose).await?;
            told += 1;
        }
    }
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
    let page = match member {
        true => "/keys".to_owned(),
        false if near.kind == MeterKind::Provisioning.as_str() => "/settings/provisioning".to_owned(),
        false => format!("/keys/{}", crate::base::ids::KeyId(near.meter.0)),
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
        link: links.to_page_of(near.org, &page),
        footer: "Told once at 80 and once at 100 percent of each day, week or month. Windows begin at midnight UTC. Who gets \
                 this stands under Settings, Notifications."
            .into(),
        ..NoticeMail::default()
    };
    notices::write(conn, &reference, kind, readers, &notice, About::org(near.org).and(whose.person)).await
}

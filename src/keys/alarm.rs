//! Telling people that a key spends far beyond its habit, with a link that stops it.
//!
//! It is looked for in the sums per hour, beside the way of a call, and never stops anything by itself: limits do that.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::by::By;
use super::habit::{DAYS, FLOOR, Hour};
use super::store::{self, FoundAlarm};
use super::{mails, revoke};
use crate::accounts::Links;
use crate::activity::{self, HourOfKey};
use crate::audit::{self, Action, Actor, Target};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::secret::random_token;
use crate::base::{Digest, Origin, Usd};
use crate::hooks::{self, EventKind, Payload};

/// How often the sums are looked through.
const EVERY: Duration = Duration::from_secs(120);
/// Hours of keys that are looked at together.
const BATCH: i64 = 200;
/// Pieces of that size in one round: a hundred thousand dear hours, far more than an instance has. What is beyond is left out,
/// and said in the log.
const MAX_BATCHES: usize = 500;
/// So long the link in the mail works.
const LINK_LASTS: TimeDelta = TimeDelta::days(7);

/// A key that spent too much in an hour.
#[derive(Clone, Debug)]
pub struct Alarm {
    pub org: OrgId,
    pub key: KeyId,
    /// The UTC day of the hour: a key is told of once on it.
    pub day: NaiveDate,
    pub hour: DateTime<Utc>,
    pub spent: Usd,
    pub usual: Usd,
    pub org_name: String,
    pub key_name: String,
    pub key_label: String,
    pub maker: Option<PersonId>,
}

/// Runs until `stop`, in every process: a row for each key and day makes that only one of them tells.
pub async fn run(pool: PgPool, links: Links, stop: CancellationToken) {
    loop {
        if let Err(error) = round(&pool, &links).await {
            tracing::warn!(%error, "unusual spending was not looked for; trying again");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Looks through the running hour and the one before it, once. Gives how many keys were told of.
///
/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn round(pool: &PgPool, links: &Links) -> anyhow::Result<usize> {
    let mut conn = pool.acquire().await?;
    let (mut told, mut last) = (0, None);
    for _ in 0..MAX_BATCHES {
        let hours = activity::dear_hours(&mut conn, FLOOR, DAYS, last.as_ref(), BATCH).await?;
        let full = i64::try_from(hours.len()).is_ok_and(|found| found >= BATCH);
        last = hours.last().cloned();
        told += tell_all(&mut conn, links, hours).await?;
        if !full {
            return Ok(told);
        }
    }
    tracing::warn!("more keys spend a lot than one round looks at; the last of them were not looked at");
    Ok(told)
}

async fn tell_all(conn: &mut PgConnection, links: &Links, hours: Vec<HourOfKey>) -> anyhow::Result<usize> {
    let is_unusual = |hour: &HourOfKey| {
        let HourOfKey { spent, usual, days, .. } = *hour;
        Hour { spent, usual, days }.is_unusual()
    };
    let unusual: Vec<HourOfKey> = hours.into_iter().filter(is_unusual).collect();
    let known = store::alarms_of(conn, &unusual).await?;
    let mut told = 0;
    for hour in unusual {
        if !known.contains(&(hour.org, hour.key, hour.hour.date_naive())) {
            told += usize::from(tell(conn, links, &hour).await?);
        }
    }
    Ok(told)
}

async fn tell(conn: &mut PgConnection, links: &Links, hour: &HourOfKey) -> anyhow::Result<bool> {
    let mut tx = conn.begin().await?;
    let Some((org_name, key_name, key_label, maker)) = store::alarm_facts(&mut tx, hour.org, hour.key).await? else {
        return Ok(false);
    };
    let alarm = Alarm {
        org: hour.org,
        key: hour.key,
        day: hour.hour.date_naive(),
        hour: hour.hour,
        spent: hour.spent,
        usual: hour.usual,
        org_name,
        key_name,
        key_label,
        maker,
    };
    let token = random_token();
    let until = hour.hour + LINK_LASTS;
    if !store::insert_alarm(&mut tx, &alarm, &Digest::of(token.expose()), until).await? {
        return Ok(false);
    }
    mails::unusual(&mut tx, links, &alarm, &token).await?;
    let payload = Payload::new()
        .with("key", alarm.key.to_string())
        .with("name", alarm.key_name.clone())
        .with("hour", hooks::stamp(alarm.hour))
        .with("spent", alarm.spent.exact())
        .with("usual", alarm.usual.exact());
    let reference = format!("key_unusual:{}:{}", alarm.key, alarm.day);
    hooks::emit(&mut tx, alarm.org, EventKind::KeyUnusual, &reference, payload).await?;
    let by = By { actor: Actor::System, name: "", origin: &Origin::here() };
    let entry = by.entry(alarm.org, Action::KeySpendUnusual).on(Target::new("key", alarm.key, alarm.key_name.clone()));
    let facts = json!({ "hour": alarm.hour, "spent": alarm.spent.exact(), "usual": alarm.usual.exact() });
    audit::record(&mut tx, entry.change(Value::Null, facts)).await?;
    tx.commit().await?;
    tracing::warn!(org = %alarm.org, key = %alarm.key, spent = %alarm.spent.exact(), "a key spends far beyond its habit");
    Ok(true)
}

/// Why a link of an alarm does nothing.
#[derive(Debug, thiserror::Error)]
pub enum AlarmError {
    /// Mistyped, or the key is gone.
    #[error("the link is unknown")]
    Unknown,
    #[error("the link was used")]
    Used,
    #[error("the link is too old")]
    Late,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What the link would stop. Changes nothing.
///
/// # Errors
/// See [`AlarmError`].
pub async fn look_at_alarm(conn: &mut PgConnection, token: &str, now: DateTime<Utc>) -> Result<FoundAlarm, AlarmError> {
    let found = store::lock_alarm(conn, &Digest::of(token)).await?.ok_or(AlarmError::Unknown)?;
    if found.used_at.is_some() {
        return Err(AlarmError::Used);
    }
    if found.expires_at <= now {
        return Err(AlarmError::Late);
    }
    Ok(found)
}

/// Stops the key of an alarm, in the caller's transaction. The link no longer works after it.
///
/// # Errors
/// See [`AlarmError`].
pub async fn stop_by_alarm(
    conn: &mut PgConnection,
    token: &str,
    now: DateTime<Utc>,
    origin: &Origin,
) -> Result<FoundAlarm, AlarmError> {
    let found = look_at_alarm(conn, token, now).await?;
    store::mark_alarm_used(conn, found.org, found.key, found.day).await?;
    let by = By { actor: Actor::Nobody, name: "by the link in a mail", origin };
    revoke::disable(conn, &by, found.org, found.key).await?;
    Ok(found)
}

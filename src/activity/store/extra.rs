//! What only some calls have: what a provider took itself, discounts, and what is charged besides text.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::super::usage::{Extra, Units, UsageRow};
use super::write::by_place;
use crate::base::Usd;
use crate::base::ids::{CallId, KeyId, OrgId};
use crate::db::row_type;

/// What is added to a row of `usage`.
#[derive(Clone, Copy, Debug, sqlx::Encode)]
pub struct UsageDetail {
    org: OrgId,
    call: CallId,
    is_byok: bool,
    upstream_cost: Usd,
    byok_free: Usd,
    byok_rate: Decimal,
    discount: Usd,
}
row_type!(UsageDetail, "usage_detail");

/// What a row of `usage` is charged for besides text.
#[derive(Clone, Copy, Debug, sqlx::Encode)]
pub struct UsageUnits {
    org: OrgId,
    call: CallId,
    images: Option<i64>,
    audio: Option<i64>,
    audio_output: Option<i64>,
    search: Option<i64>,
}
row_type!(UsageUnits, "usage_unit");

/// What is added to a row of `usage_hour`.
#[derive(Clone, Copy, Debug, sqlx::Encode)]
pub struct HourDetail<'a> {
    org: OrgId,
    hour: DateTime<Utc>,
    key: KeyId,
    model: &'a str,
    provider: &'a str,
    app: &'a str,
    member: Uuid,
    upstream_cost: Usd,
}
row_type!(HourDetail<'a>, "hour_detail");

/// Of the rows that have anything of it.
pub fn details(rows: &[&UsageRow]) -> Vec<UsageDetail> {
    let detail = |row: &&UsageRow| {
        let Extra { is_byok, upstream_cost, byok_free, byok_rate, discount, units: _ } = row.extra;
        UsageDetail { org: row.org, call: row.call, is_byok, upstream_cost, byok_free, byok_rate, discount }
    };
    let plain = |row: &&&UsageRow| row.extra == Extra { units: row.extra.units, ..Extra::default() };
    rows.iter().filter(|row| !plain(row)).map(detail).collect()
}

/// Of the rows that are charged for anything besides text.
pub fn units(rows: &[&UsageRow]) -> Vec<UsageUnits> {
    let line = |row: &&UsageRow| {
        let Units { images, audio, audio_output, search } = row.extra.units;
        UsageUnits {
            org: row.org,
            call: row.call,
            images: some(images),
            audio: some(audio),
            audio_output: some(audio_output),
            search: search.map(super::write::whole),
        }
    };
    rows.iter().filter(|row| !row.extra.units.is_none()).map(line).collect()
}

fn some(count: u64) -> Option<i64> {
    (count > 0).then(|| super::write::whole(count))
}

/// One for each row of `usage_hour` that has anything of it.
pub fn hour_details<'a>(rows: &[&'a UsageRow]) -> Vec<HourDetail<'a>> {
    // An update meets each row once, so what falls together is added up here.
    let detailed = rows.iter().copied().filter(|row| row.extra.upstream_cost.is_positive());
    let sums = by_place(detailed, |row| row.extra.upstream_cost, |sum, more| *sum += *more);
    let line = |((org, hour, key, model, provider, app, member), upstream_cost)| HourDetail {
        org,
        hour,
        key,
        model,
        provider,
        app,
        member,
        upstream_cost,
    };
    sums.into_iter().map(line).collect()
}

/// Adds them to rows that are there.
pub async fn add_extra(conn: &mut PgConnection, rows: &[&UsageRow]) -> Result<(), sqlx::Error> {
    let (details, hours, units) = (details(rows), hour_details(rows), units(rows));
    if !details.is_empty() {
        sqlx::query!(
            "update usage u set is_byok = x.is_byok, upstream_cost = x.upstream_cost, byok_free = x.byok_free,
                byok_rate = x.byok_rate, discount = x.discount
             from unnest($1::usage_detail[]) x where u.org_id = x.org_id and u.id = x.id",
            &details as &[UsageDetail],
        )
        .execute(&mut *conn)
        .await?;
    }
    if !hours.is_empty() {
        sqlx::query!(
            "update usage_hour h set upstream_cost = h.upstream_cost + x.upstream_cost
             from unnest($1::hour_detail[]) x
             where h.org_id = x.org_id and h.hour = x.hour and h.key_id = x.key_id and h.model = x.model
                and h.provider = x.provider and h.app = x.app and h.member_id = x.member_id",
            &hours as &[HourDetail<'_>],
        )
        .execute(&mut *conn)
        .await?;
    }
    if !units.is_empty() {
        sqlx::query!(
            "update usage u set images = x.images, audio_tokens = x.audio_tokens,
                audio_output_tokens = x.audio_output_tokens, search_units = x.search_units
             from unnest($1::usage_unit[]) x where u.org_id = x.org_id and u.id = x.id",
            &units as &[UsageUnits],
        )
        .execute(conn)
        .await?;
    }
    Ok(())
}

/// What one call has of it.
pub async fn extra_of(conn: &mut PgConnection, org: OrgId, call: CallId) -> Result<Extra, sqlx::Error> {
    let row = sqlx::query!(
        r#"select is_byok, upstream_cost as "upstream_cost: Usd", byok_free as "byok_free: Usd", byok_rate,
            discount as "discount: Usd", coalesce(images, 0) as "images!", coalesce(audio_tokens, 0) as "audio!",
            coalesce(audio_output_tokens, 0) as "audio_output!", search_units as search
           from usage where org_id = $1 and id = $2"#,
        org.0,
        call.0,
    )
    .fetch_optional(conn)
    .await?;
    let count = |stored: i64| u64::try_from(stored).unwrap_or_default();
    Ok(row.map_or_else(Extra::default, |row| Extra {
        is_byok: row.is_byok,
        upstream_cost: row.upstream_cost,
        byok_free: row.byok_free,
        byok_rate: row.byok_rate,
        discount: row.discount,
        units: Units {
            images: count(row.images),
            audio: count(row.audio),
            audio_output: count(row.audio_output),
            search: row.search.map(count),
        },
    }))
}

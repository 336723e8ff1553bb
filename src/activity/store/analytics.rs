//! Sums by dimensions, for programs.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::analytics::{Analysis, Dimension, Granularity};
use super::sums::{SumRow, sum_row};
use crate::base::Usd;
use crate::base::ids::OrgId;

pub struct AnalyticsQuery<'a> {
    pub org: OrgId,
    pub asked: &'a Analysis,
    /// Hours that are summed from their calls.
    pub cut: &'a [DateTime<Utc>],
    pub limit: i64,
}

/// One group of calls.
pub struct AnalyticsCell {
    pub at: Option<DateTime<Utc>>,
    pub first: Option<String>,
    pub second: Option<String>,
    pub sums: SumRow,
}

/// The groups in the order of their time, the greatest first.
pub async fn analyze(conn: &mut PgConnection, query: &AnalyticsQuery<'_>) -> Result<Vec<AnalyticsCell>, sqlx::Error> {
    let asked = query.asked;
    let dimension = |at: usize| asked.dimensions.get(at).copied().map(Dimension::column);
    let rows = sqlx::query!(
        r#"select case when $5::text is not null then date_trunc($5, at, 'UTC') end as at,
            case $6::text when 'model' then model when 'provider' then provider when 'app' then app
                when 'key' then key_id::text when 'member' then member_id::text end as first,
            case $7::text when 'model' then model when 'provider' then provider when 'app' then app
                when 'key' then key_id::text when 'member' then member_id::text end as second,
            coalesce(sum(requests), 0) as "requests!", coalesce(sum(failed), 0) as "failed!",
            coalesce(sum(prompt_tokens), 0) as "prompt!", coalesce(sum(completion_tokens), 0) as "completion!",
            coalesce(sum(reasoning_tokens), 0) as "reasoning!", coalesce(sum(cached_tokens), 0) as "cached!",
            coalesce(sum(cost), 0) as "cost!: Usd", coalesce(sum(upstream_cost), 0) as "upstream!: Usd"
           from usage_tally($1, $2, $3, $4)
           where ($8::text[] is null or model = any ($8)) and model <> all ($9::text[])
            and ($10::text[] is null or provider = any ($10)) and provider <> all ($11::text[])
            and ($12::text[] is null or app = any ($12)) and app <> all ($13::text[])
            and ($14::text[] is null or key_id::text = any ($14)) and key_id::text <> all ($15::text[])
            and ($16::text[] is null or member_id::text = any ($16)) and member_id::text <> all ($17::text[])
           group by 1, 2, 3 order by 1, sum(cost) desc, sum(requests) desc, 2, 3 limit $18"#,
        query.org.0,
        asked.span.from,
        asked.span.to,
        query.cut,
        asked.granularity.map(Granularity::as_str),
        dimension(0),
        dimension(1),
        asked.models.only.as_deref(),
        &asked.models.not,
        asked.providers.only.as_deref(),
        &asked.providers.not,
        asked.apps.only.as_deref(),
        &asked.apps.not,
        asked.keys.only.as_deref(),
        &asked.keys.not,
        asked.members.only.as_deref(),
        &asked.members.not,
        query.limit,
    )
    .fetch_all(conn)
    .await?;
    let cells = rows.into_iter().map(|row| AnalyticsCell {
        at: row.at,
        first: row.first,
        second: row.second,
        sums: sum_row!(row),
    });
    Ok(cells.collect())
}

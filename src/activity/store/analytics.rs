//! Sums by dimensions, for programs.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::super::analytics::{Analysis, Dimension, Granularity, OfCalls, Spread};
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
    pub calls: OfCalls,
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
        calls: OfCalls::default(),
    });
    Ok(cells.collect())
}

/// The same from the calls themselves, with what they alone tell.
pub async fn analyze_calls(
    conn: &mut PgConnection,
    query: &AnalyticsQuery<'_>,
) -> Result<Vec<AnalyticsCell>, sqlx::Error> {
    let asked = query.asked;
    let dimension = |at: usize| asked.dimensions.get(at).copied().map(Dimension::column);
    let rows = sqlx::query!(
        r#"select case when $4::text is not null then date_trunc($4, created_at, 'UTC') end as at,
            case $5::text when 'model' then model when 'provider' then provider when 'app' then app
                when 'key' then key_id::text when 'member' then member when 'finish' then finish_reason
                when 'origin' then referer end as first,
            case $6::text when 'model' then model when 'provider' then provider when 'app' then app
                when 'key' then key_id::text when 'member' then member when 'finish' then finish_reason
                when 'origin' then referer end as second,
            count(*)::numeric as "requests!", (count(*) filter (where status <> 'success'))::numeric as "failed!",
            coalesce(sum(prompt_tokens), 0) as "prompt!", coalesce(sum(completion_tokens), 0) as "completion!",
            coalesce(sum(reasoning_tokens), 0) as "reasoning!", coalesce(sum(cached_tokens), 0) as "cached!",
            coalesce(sum(cost), 0) as "cost!: Usd", coalesce(sum(upstream_cost), 0) as "upstream!: Usd",
            count(*) filter (where is_byok) as "byok!",
            coalesce(sum(cost) filter (where is_byok), 0) as "fees!: Usd",
            coalesce(sum(discount), 0) as "discount!: Usd", round(avg(first_token_ms), 3) as latency,
            percentile_disc(array[0.5, 0.9, 0.99]) within group (order by first_token_ms::numeric)
                as "latencies: Vec<Decimal>",
            round(avg(speed), 3) as throughput,
            percentile_disc(array[0.5, 0.9, 0.99]) within group (order by speed) as "throughputs: Vec<Decimal>"
           from (
              select o.*, coalesce(o.member_id, '00000000-0000-0000-0000-000000000000')::text as member,
                case when o.status = 'success' and o.completion_tokens > 0 then round(o.completion_tokens * 1000.0
                    / greatest(o.duration_ms - coalesce(o.first_token_ms, 0), 1), 3) end as speed
              from usage o
              where o.org_id = $1 and o.id >= call_floor($2::timestamptz - interval '5 minutes')
                and o.id < call_floor($3::timestamptz + interval '5 minutes') and o.created_at >= $2
                and o.created_at < $3
           ) calls
           where ($7::text[] is null or model = any ($7)) and model <> all ($8::text[])
            and ($9::text[] is null or provider = any ($9)) and provider <> all ($10::text[])
            and ($11::text[] is null or app = any ($11)) and app <> all ($12::text[])
            and ($13::text[] is null or key_id::text = any ($13)) and key_id::text <> all ($14::text[])
            and ($15::text[] is null or member = any ($15)) and member <> all ($16::text[])
            and ($17::text[] is null or finish_reason = any ($17)) and finish_reason <> all ($18::text[])
            and ($19::text[] is null or referer = any ($19)) and referer <> all ($20::text[])
           group by 1, 2, 3 order by 1, sum(cost) desc, count(*) desc, 2, 3 limit $21"#,
        query.org.0,
        asked.span.from,
        asked.span.to,
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
        asked.finishes.only.as_deref(),
        &asked.finishes.not,
        asked.origins.only.as_deref(),
        &asked.origins.not,
        query.limit,
    )
    .fetch_all(conn)
    .await?;
    let cells = rows.into_iter().map(|row| AnalyticsCell {
        calls: OfCalls {
            byok: u64::try_from(row.byok).unwrap_or_default(),
            fees: row.fees,
            discount: row.discount,
            latency: spread(row.latency, row.latencies),
            throughput: spread(row.throughput, row.throughputs),
        },
        at: row.at,
        first: row.first,
        second: row.second,
        sums: sum_row!(row),
    });
    Ok(cells.collect())
}

fn spread(mean: Option<Decimal>, percentiles: Option<Vec<Decimal>>) -> Spread {
    let percentiles = percentiles.unwrap_or_default();
    let at = |place: usize| percentiles.get(place).copied();
    Spread { mean, p50: at(0), p90: at(1), p99: at(2) }
}

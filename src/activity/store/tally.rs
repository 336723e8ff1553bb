//! Sums of calls that a filter lets through, from the calls themselves.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::super::chart::Group;
use super::super::filter::{Ids, LogFilter};
use super::sums::{CellRow, SumRow, sum_row};
use crate::base::Usd;
use crate::base::ids::OrgId;

pub struct TallyQuery<'a> {
    pub org: OrgId,
    pub filter: &'a LogFilter,
    pub ids: Ids,
    /// Among how many of the newest calls.
    pub scan: i64,
    pub edges: &'a [DateTime<Utc>],
    pub group: Option<Group>,
}

/// As for the rows of the log: what bounds the ids bounds the walk along the index, however the statement is planned.
macro_rules! tally {
    ($key:tt, $conn:expr, $query:expr) => {{
        let (query, filter) = ($query, $query.filter);
        let rows = sqlx::query!(
            r#"select case $6::text when 'key' then key_id::text when 'provider' then provider when 'app' then app
                when 'member' then coalesce(member_id, '00000000-0000-0000-0000-000000000000')::text
                when 'model' then model else '' end as "name!",
                width_bucket(created_at, $7::timestamptz[]) as "bucket!", count(*)::numeric as "requests!",
                (count(*) filter (where status <> 'success'))::numeric as "failed!",
                coalesce(sum(prompt_tokens), 0) as "prompt!", coalesce(sum(completion_tokens), 0) as "completion!",
                coalesce(sum(reasoning_tokens), 0) as "reasoning!", coalesce(sum(cached_tokens), 0) as "cached!",
                coalesce(sum(cost), 0) as "cost!: Usd", coalesce(sum(upstream_cost), 0) as "upstream!: Usd"
               from (
                  select * from usage where org_id = $1 and id >= $2 and id < $3 and "#
                + $key
                + r#"
                  order by id desc limit $5
               ) newest
               where ($8::text is null or model = $8) and ($9::uuid is null or member_id = $9)
                and ($10::text is null or provider = $10) and ($11::text is null or app = $11)
                and ($12::text is null or status = $12) and ($13::timestamptz is null or created_at >= $13)
                and ($14::timestamptz is null or created_at < $14) and ($15::text is null or model_asked = $15)
                and ($16::numeric is null or cost >= $16) and ($17::numeric is null or cost <= $17)
                and ($18::text is null or finish_reason = $18) and ($19::boolean is null or is_byok = $19)
               group by 1, 2"#,
            query.org.0,
            query.ids.from.0,
            query.ids.to.0,
            filter.key.map(|key| key.0),
            query.scan,
            query.group.map(Group::as_str),
            query.edges,
            filter.model.as_deref(),
            filter.member.map(|member| member.0),
            filter.provider.as_deref(),
            filter.app.as_deref(),
            filter.status,
            filter.from,
            filter.to,
            filter.asked.as_deref(),
            filter.min.map(Usd::amount),
            filter.max.map(Usd::amount),
            filter.finish,
            filter.own,
        )
        .fetch_all($conn)
        .await?;
        let cells =
            rows.into_iter().map(|row| CellRow { name: Some(row.name), bucket: row.bucket, sums: sum_row!(row) });
        Ok(cells.collect())
    }};
}

/// The sums of the calls that fit among the newest `scan`, by part and bucket.
pub async fn tally_cells(conn: &mut PgConnection, query: &TallyQuery<'_>) -> Result<Vec<CellRow>, sqlx::Error> {
    if query.filter.key.is_some() {
        tally!("key_id = $4", conn, query)
    } else {
        tally!("$4::uuid is null", conn, query)
    }
}

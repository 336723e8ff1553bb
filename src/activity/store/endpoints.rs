//! How endpoints did, by the hour and by the minute. House-wide: no row names an organization.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::catalog::EndpointId;
use crate::db::interval;
use crate::routing::{Count, Counted, Fresh, Measured};

/// Tokens are what providers told: a sum that is no number of the database any more must not keep the others from being written.
pub async fn add_measured(conn: &mut PgConnection, fresh: &[Fresh]) -> Result<(), sqlx::Error> {
    let ids: Vec<Uuid> = fresh.iter().map(|one| one.endpoint.0).collect();
    let column = |of: fn(&Measured) -> u64| -> Vec<i64> { fresh.iter().map(|one| whole(of(&one.sums))).collect() };
    sqlx::query!(
        "insert into endpoint_hour as h (endpoint_id, hour, answered, failed, begun, first_token_ms, tokens, writing_ms)
         select x.id, date_trunc('hour', now(), 'UTC'), x.answered, x.failed, x.begun, x.first_token_ms, x.tokens,
            x.writing_ms
         from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
            as x (id, answered, failed, begun, first_token_ms, tokens, writing_ms)
         on conflict (endpoint_id, hour) do update set
            answered = h.answered + excluded.answered,
            failed = h.failed + excluded.failed,
            begun = h.begun + excluded.begun,
            first_token_ms = h.first_token_ms + excluded.first_token_ms,
            tokens = least(h.tokens::numeric + excluded.tokens, 9223372036854775807)::bigint,
            writing_ms = h.writing_ms + excluded.writing_ms",
        &ids,
        &column(|one| one.answered),
        &column(|one| one.failed),
        &column(|one| one.begun),
        &column(|one| one.first_token_ms),
        &column(|one| one.tokens),
        &column(|one| one.writing_ms),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn add_counts(conn: &mut PgConnection, fresh: &[Fresh]) -> Result<(), sqlx::Error> {
    let all: Vec<(Uuid, Count)> =
        fresh.iter().flat_map(|one| one.counts.iter().map(|count| (one.endpoint.0, *count))).collect();
    let ids: Vec<Uuid> = all.iter().map(|(endpoint, _)| *endpoint).collect();
    let what: Vec<String> = all.iter().map(|(_, count)| count.of.as_str().to_owned()).collect();
    let steps: Vec<i16> = all.iter().map(|(_, count)| i16::try_from(count.step).unwrap_or(i16::MAX)).collect();
    let calls: Vec<i64> = all.iter().map(|(_, count)| whole(count.calls)).collect();
    sqlx::query!(
        "insert into endpoint_minute as m (endpoint_id, minute, what, step, calls)
         select x.id, date_trunc('minute', now(), 'UTC'), x.what, x.step, x.calls
         from unnest($1::uuid[], $2::text[], $3::smallint[], $4::bigint[]) as x (id, what, step, calls)
         on conflict (endpoint_id, minute, what, step) do update set calls = m.calls + excluded.calls",
        &ids,
        &what,
        &steps,
        &calls,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Of the last five minutes and of the last thirty, the running one included.
pub async fn recent_counts(conn: &mut PgConnection) -> Result<Vec<(EndpointId, Count, Count)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select endpoint_id as "endpoint: EndpointId", what, step, sum(calls)::bigint as "half_hour!",
            coalesce(sum(calls) filter (where minute > date_trunc('minute', now(), 'UTC') - interval '5 minutes'), 0)::bigint
                as "five_minutes!"
           from endpoint_minute where minute > date_trunc('minute', now(), 'UTC') - interval '30 minutes'
           group by endpoint_id, what, step"#,
    )
    .fetch_all(conn)
    .await?;
    let read = rows.into_iter().filter_map(|row| {
        let step = u16::try_from(row.step).unwrap_or_default();
        let count = |calls: i64| {
            Some(Count { of: Counted::parse(&row.what)?, step, calls: u64::try_from(calls).unwrap_or_default() })
        };
        Some((row.endpoint, count(row.five_minutes)?, count(row.half_hour)?))
    });
    Ok(read.collect())
}

struct Row {
    endpoint: EndpointId,
    answered: i64,
    failed: i64,
    begun: i64,
    first_token_ms: i64,
    tokens: i64,
    writing_ms: i64,
}

impl Row {
    fn sums(self) -> (EndpointId, Measured) {
        let count = |sum: i64| u64::try_from(sum).unwrap_or_default();
        let measured = Measured {
            answered: count(self.answered),
            failed: count(self.failed),
            begun: count(self.begun),
            first_token_ms: count(self.first_token_ms),
            tokens: count(self.tokens),
            writing_ms: count(self.writing_ms),
        };
        (self.endpoint, measured)
    }
}

pub async fn measured_of_all(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<(EndpointId, Measured)>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select endpoint_id as "endpoint: EndpointId", sum(answered)::bigint as "answered!",
            sum(failed)::bigint as "failed!", sum(begun)::bigint as "begun!",
            sum(first_token_ms)::bigint as "first_token_ms!", least(sum(tokens), 9223372036854775807)::bigint as "tokens!",
            sum(writing_ms)::bigint as "writing_ms!"
           from endpoint_hour where hour >= $1 group by endpoint_id"#,
        since,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Row::sums).collect())
}

pub async fn measured_of(
    conn: &mut PgConnection,
    since: DateTime<Utc>,
    endpoints: &[EndpointId],
) -> Result<Vec<(EndpointId, Measured)>, sqlx::Error> {
    let ids: Vec<Uuid> = endpoints.iter().map(|endpoint| endpoint.0).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select endpoint_id as "endpoint: EndpointId", sum(answered)::bigint as "answered!",
            sum(failed)::bigint as "failed!", sum(begun)::bigint as "begun!",
            sum(first_token_ms)::bigint as "first_token_ms!", least(sum(tokens), 9223372036854775807)::bigint as "tokens!",
            sum(writing_ms)::bigint as "writing_ms!"
           from endpoint_hour where endpoint_id = any($2) and hour >= $1 group by endpoint_id"#,
        since,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Row::sums).collect())
}

pub async fn forget_measured(conn: &mut PgConnection, hours: TimeDelta, minutes: TimeDelta) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from endpoint_hour where hour < now() - $1::interval", interval(hours))
        .execute(&mut *conn)
        .await?;
    sqlx::query!("delete from endpoint_minute where minute < now() - $1::interval", interval(minutes))
        .execute(conn)
        .await?;
    Ok(())
}

fn whole(sum: u64) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}

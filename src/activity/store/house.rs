//! Sums of all organizations together.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Held by whoever sums, to the end of the transaction.
const LOCK: i64 = 0x6661_7265_0095;

/// False while somebody else sums.
pub async fn lock_house(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "locked!""#, LOCK).fetch_one(conn).await
}

/// Where summing goes on: where it ended, or at the first hour of all. `None` where nobody called yet.
pub async fn house_until(conn: &mut PgConnection) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!("select coalesce((select until from house_until), (select min(hour) from usage_hour)) as until")
        .fetch_one(conn)
        .await
}

/// Takes the marks of at most so many hours away, and says which these are. In the transaction that then sums them: whoever
/// counts after that leaves a mark that stays.
pub async fn take_late(conn: &mut PgConnection, most: i64) -> Result<Vec<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"with gone as (
              delete from house_late
              where hour in (select distinct hour from house_late order by hour limit $1) returning hour
           )
           select distinct hour as "hour!" from gone order by 1"#,
        most,
    )
    .fetch_all(conn)
    .await
}

/// Sums these hours anew, and those of a span.
pub async fn sum_house(
    conn: &mut PgConnection,
    again: &[DateTime<Utc>],
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from house_hour where hour = any ($1) or hour >= $2 and hour < $3", again, from, until)
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "insert into house_hour (hour, model, provider, requests, failed, prompt_tokens, completion_tokens, cached_tokens,
            cost, aside)
         select hour, model, provider, sum(requests), sum(failed),
            coalesce(sum(prompt_tokens) filter (where upstream_cost = 0), 0),
            coalesce(sum(completion_tokens) filter (where upstream_cost = 0), 0),
            coalesce(sum(cached_tokens) filter (where upstream_cost = 0), 0),
            coalesce(sum(cost) filter (where upstream_cost = 0), 0),
            coalesce(sum(cost) filter (where upstream_cost > 0), 0)
         from usage_hour where hour = any ($1) or hour >= $2 and hour < $3 group by hour, model, provider",
        again,
        from,
        until,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "insert into house_until (until) values ($1) on conflict (one) do update set until = excluded.until",
        until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

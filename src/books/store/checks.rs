//! What closes checked, and the calls of a day against hours and transfers.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use sqlx::PgConnection;

use super::super::checks::{Check, UsageDay};
use crate::base::Usd;

type Span = (DateTime<Utc>, DateTime<Utc>);

/// Nearly every call is settled within so long of its beginning.
pub const LATE: TimeDelta = TimeDelta::days(2);

/// Calls that began in a span, but for hours whose calls may be deleted.
pub async fn calls_between(conn: &mut PgConnection, (from, until): Span) -> Result<(i64, Usd), sqlx::Error> {
    let row = sqlx::query!(
        r#"select count(*) as "calls!", coalesce(sum(cost), 0) as "cost!: Usd" from usage u
           where u.id >= call_floor($1::timestamptz - interval '5 minutes')
            and u.id < call_floor($2::timestamptz + interval '5 minutes')
            and u.created_at >= $1 and u.created_at < $2
            and not exists (select from usage_closed_until c where c.org_id = u.org_id and u.created_at < c.until)"#,
        from,
        until,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.calls, row.cost))
}

/// What the sums per hour say.
pub struct Hours {
    pub calls: i64,
    pub cost: Usd,
    pub gone_calls: i64,
    pub gone_cost: Usd,
}

/// The sums of the hours of a span: those whose calls are kept, and the others.
pub async fn hours_between(conn: &mut PgConnection, (from, until): Span) -> Result<Hours, sqlx::Error> {
    sqlx::query_as!(
        Hours,
        r#"select coalesce(sum(h.requests) filter (where c.org_id is null), 0)::bigint as "calls!",
            coalesce(sum(h.cost) filter (where c.org_id is null), 0) as "cost!: Usd",
            coalesce(sum(h.requests) filter (where c.org_id is not null), 0)::bigint as "gone_calls!",
            coalesce(sum(h.cost) filter (where c.org_id is not null), 0) as "gone_cost!: Usd"
           from usage_hour h left join usage_closed_until c on c.org_id = h.org_id and h.hour < c.until
           where h.hour >= $1 and h.hour < $2"#,
        from,
        until,
    )
    .fetch_one(conn)
    .await
}

/// Usage transfers of a span.
pub async fn booked_between(conn: &mut PgConnection, (from, until): Span) -> Result<(i64, Usd), sqlx::Error> {
    let row = sqlx::query!(
        r#"select count(*) as "transfers!", coalesce(sum(amount), 0) as "amount!: Usd" from transfer
           where code = 'usage' and created_at >= $1 and created_at < $2"#,
        from,
        until,
    )
    .fetch_one(conn)
    .await?;
    Ok((row.transfers, row.amount))
}

/// The calls that transfers paid for.
pub struct Paid {
    pub calls: i64,
    pub cost: Usd,
    pub same_day: Usd,
}

/// The calls that the usage transfers of a span paid for: those that began at most `late` before it, or all.
pub async fn paid_between(
    conn: &mut PgConnection,
    (from, until): Span,
    late: Option<TimeDelta>,
) -> Result<Paid, sqlx::Error> {
    let since = late.map_or(DateTime::<Utc>::UNIX_EPOCH, |late| from - late);
    sqlx::query_as!(
        Paid,
        r#"with booked as (
              select id from transfer where code = 'usage' and created_at >= $1 and created_at < $2
           ), calls as (
              select count(*) as calls, coalesce(sum(u.cost), 0) as cost,
                 coalesce(sum(u.cost) filter (where u.created_at >= $1 and u.created_at < $2), 0) as same_day
              from usage u join booked b on b.id = u.transfer_id
              where u.id >= call_floor($3) and u.id < call_floor($2::timestamptz + interval '5 minutes')
           ), gone as (
              select coalesce(sum(k.calls), 0) as calls, coalesce(sum(k.cost), 0) as cost
              from usage_closed k join booked b on b.id = k.transfer_id
           )
           select (c.calls + g.calls)::bigint as "calls!", c.cost + g.cost as "cost!: Usd", c.same_day as "same_day!: Usd"
           from calls c cross join gone g"#,
        from,
        until,
        since,
    )
    .fetch_one(conn)
    .await
}

/// What the close of a day checked, in its order; nothing for a day that was closed before this was kept.
///
/// # Errors
/// Database errors only.
pub async fn checks_of(conn: &mut PgConnection, day: NaiveDate) -> Result<Vec<Check>, sqlx::Error> {
    sqlx::query_as!(
        Check,
        r#"select rule, compared, amount as "amount: Usd", findings from book_check where day = $1 order by number"#,
        day,
    )
    .fetch_all(conn)
    .await
}

/// The calls of closed days in a span, both included, newest first.
///
/// # Errors
/// Database errors only.
pub async fn usage_days(
    conn: &mut PgConnection,
    from: NaiveDate,
    until: NaiveDate,
) -> Result<Vec<UsageDay>, sqlx::Error> {
    sqlx::query_as!(
        UsageDay,
        r#"select day, calls, calls_cost as "calls_cost: Usd", hours_calls, hours_cost as "hours_cost: Usd", gone_calls,
            gone_cost as "gone_cost: Usd", transfers, booked as "booked: Usd", paid_calls, paid_cost as "paid_cost: Usd",
            same_day as "same_day: Usd",
            calls = hours_calls and calls_cost = hours_cost and booked = paid_cost as "agrees!"
           from book_usage where day between $1 and $2 order by day desc"#,
        from,
        until,
    )
    .fetch_all(conn)
    .await
}

/// The same by month, newest first; a month stands under its first day. It agrees where all its days do: what is off on
/// two of them may cancel out.
///
/// # Errors
/// Database errors only.
pub async fn usage_months(conn: &mut PgConnection, most: i64) -> Result<Vec<UsageDay>, sqlx::Error> {
    sqlx::query_as!(
        UsageDay,
        r#"select date_trunc('month', day::timestamp)::date as "day!", sum(calls)::bigint as "calls!",
            sum(calls_cost) as "calls_cost!: Usd", sum(hours_calls)::bigint as "hours_calls!",
            sum(hours_cost) as "hours_cost!: Usd", sum(gone_calls)::bigint as "gone_calls!",
            sum(gone_cost) as "gone_cost!: Usd", sum(transfers)::bigint as "transfers!", sum(booked) as "booked!: Usd",
            sum(paid_calls)::bigint as "paid_calls!", sum(paid_cost) as "paid_cost!: Usd",
            sum(same_day) as "same_day!: Usd",
            bool_and(calls = hours_calls and calls_cost = hours_cost and booked = paid_cost) as "agrees!"
           from book_usage group by 1 order by 1 desc limit $1"#,
        most,
    )
    .fetch_all(conn)
    .await
}

pub async fn insert_checks(
    conn: &mut PgConnection,
    day: NaiveDate,
    checks: &[Check],
    usage: &UsageDay,
) -> Result<(), sqlx::Error> {
    for (number, check) in (1_i16..).zip(checks) {
        sqlx::query!(
            "insert into book_check (day, number, rule, compared, amount, findings) values ($1, $2, $3, $4, $5, $6)",
            day,
            number,
            check.rule,
            check.compared,
            check.amount.amount(),
            check.findings,
        )
        .execute(&mut *conn)
        .await?;
    }
    sqlx::query!(
        "insert into book_usage (day, calls, calls_cost, hours_calls, hours_cost, gone_calls, gone_cost, transfers, booked,
            paid_calls, paid_cost, same_day) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        day,
        usage.calls,
        usage.calls_cost.amount(),
        usage.hours_calls,
        usage.hours_cost.amount(),
        usage.gone_calls,
        usage.gone_cost.amount(),
        usage.transfers,
        usage.booked.amount(),
        usage.paid_calls,
        usage.paid_cost.amount(),
        usage.same_day.amount(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

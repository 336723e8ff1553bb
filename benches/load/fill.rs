//! Ten times the rows, for the question whether anything gets slower as the books grow.

use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// What the rows are multiplied by, the ones that are there included.
const TIMES: i64 = 10;
/// New rows of one table. Beyond it fewer copies are made, and the report shows the real number.
const MAX_NEW_ROWS: i64 = 6_000_000;

/// The auditor looks once a minute, and may take five.
const AUDITED_WITHIN: Duration = Duration::from_mins(7);

/// A UUIDv7 moved back by the days of the copy: it sorts and clusters as a real one of that day, and
/// copies of rows that name each other do so too. `{}` is the column; null stays null.
const MOVED: &str = "(lpad(to_hex(('x' || substr(replace(t.{}::text, '-', ''), 1, 12))::bit(48)::bigint \
                     - n * 86400000), 12, '0') || substr(replace(t.{}::text, '-', ''), 13))::uuid";
const CREATED_AT: (&str, &str) = ("created_at", "t.created_at - n * interval '1 day'");

/// The tables that grow with every call, and the columns that a copy does not take over as they are.
const GROWING: [(&str, &[(&str, &str)]); 3] = [
    ("usage", &[("id", MOVED), ("transfer_id", MOVED), CREATED_AT]),
    ("usage_hour", &[("hour", "t.hour - n * interval '1 day'")]),
    ("transfer", &[("id", MOVED), CREATED_AT, ("reference", "t.reference || ':copy:' || n")]),
];

/// Rows of one table before and after.
pub struct Rows {
    pub table: &'static str,
    pub before: i64,
    pub after: i64,
}

/// Copies what the first measurements left behind, then lets Postgres tidy up so that the second ones
/// do not pay for the copying. The books are right afterwards, and the program has seen that for itself.
/// What calls with overruns, on own accounts or with codes would leave behind is not copied as it should be; the load makes none.
///
/// # Errors
/// When the database refuses, such as after a change of the tables, or the auditor finds the books wrong.
pub async fn ten_times(database_url: &str) -> anyhow::Result<Vec<Rows>> {
    let mut db = PgConnection::connect(database_url).await?;
    let mut rows = Vec::new();
    for (table, _) in GROWING {
        let before = count(&mut db, table).await?;
        rows.push(Rows { table, before, after: before });
    }
    // The same number of each, for they name each other.
    let most = rows.iter().map(|rows| rows.before).max().unwrap_or_default();
    let copies = (TIMES - 1).min(MAX_NEW_ROWS / most.max(1));
    for (rows, (table, changed)) in rows.iter_mut().zip(GROWING) {
        let sql = copy(&mut db, table, changed).await?;
        sqlx::query(AssertSqlSafe(sql)).bind(copies).execute(&mut db).await.context(table)?;
        sqlx::query(AssertSqlSafe(format!("vacuum analyze {table}"))).execute(&mut db).await?;
        rows.after = count(&mut db, table).await?;
    }
    for balance in [
        "update credit set posted = posted * (1 + $1::bigint)",
        "update meter set spent_total = spent_total * (1 + $1::bigint), byok_total = byok_total * (1 + $1::bigint)",
    ] {
        sqlx::query(balance).bind(copies).execute(&mut db).await.context(balance)?;
    }
    audited(&mut db).await?;
    sqlx::query("checkpoint").execute(&mut db).await?;
    Ok(rows)
}

/// Books that were changed behind the program's back are audited as a whole. That happens once, and not in the measurements of a
/// program that has run for a while.
async fn audited(db: &mut PgConnection) -> anyhow::Result<()> {
    sqlx::query("update audit_mark set due = now(), until = null, audited_at = null").execute(&mut *db).await?;
    let begun = Instant::now();
    while begun.elapsed() < AUDITED_WITHIN {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let drifts: Option<i32> = sqlx::query_scalar("select drifts from audit_mark where audited_at is not null")
            .fetch_optional(&mut *db)
            .await?;
        match drifts {
            Some(0) => return Ok(()),
            Some(wrong) => anyhow::bail!("{wrong} sums of the books are wrong after filling the database up"),
            None => {}
        }
    }
    anyhow::bail!("the books were not audited within {AUDITED_WITHIN:?}")
}

async fn count(db: &mut PgConnection, table: &str) -> anyhow::Result<i64> {
    let sql = AssertSqlSafe(format!("select count(*) from {table}"));
    sqlx::query_scalar(sql).fetch_one(db).await.context(table.to_owned())
}

/// An insert of `$1` copies of every row, whatever columns the table has got since.
async fn copy(db: &mut PgConnection, table: &str, changed: &[(&str, &str)]) -> anyhow::Result<String> {
    let columns: Vec<String> = sqlx::query_scalar(
        "select column_name::text from information_schema.columns
         where table_schema = 'public' and table_name = $1 and is_generated = 'NEVER'
         order by ordinal_position",
    )
    .bind(table)
    .fetch_all(db)
    .await?;
    let value = |column: &String| match changed.iter().find(|(name, _)| name == column) {
        Some((_, expression)) => expression.replace("{}", column),
        None => format!("t.{column}"),
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    Ok(format!(
        "insert into {table} ({}) select {} from {table} t, generate_series(1, $1::bigint) n",
        columns.join(", "),
        values.join(", ")
    ))
}

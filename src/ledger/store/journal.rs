//! The journal as accountants read it: by time, by account, and summed. Nothing here writes.
//!
//! A moment of a transfer is `created_at`, the beginning of its transaction by the database's clock. In the chart, the
//! credits of all organizations are one account, `credits`.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::base::Usd;
use crate::base::ids::{OrgId, TransferId};

/// What moved from one account of the chart to another for one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Movement {
    pub code: String,
    pub debit: String,
    pub credit: String,
    pub amount: Usd,
    pub transfers: i64,
}

/// Sums of all transfers from `from` (the beginning without it) to before `until`.
///
/// # Errors
/// Database errors only.
pub async fn movements(
    conn: &mut PgConnection,
    from: Option<DateTime<Utc>>,
    until: DateTime<Utc>,
) -> Result<Vec<Movement>, sqlx::Error> {
    // The house accounts are few; what is none of them is somebody's credits. The auditor looks for orphans.
    sqlx::query_as!(
        Movement,
        r#"with sums as materialized (
              select code, debit_account, credit_account, sum(amount) as amount, count(*) as transfers
              from transfer
              where created_at >= coalesce($1::timestamptz, '-infinity') and created_at < $2
              group by 1, 2, 3
           )
           select s.code as "code!", coalesce(d.name, 'credits') as "debit!", coalesce(c.name, 'credits') as "credit!",
            sum(s.amount) as "amount!: Usd", sum(s.transfers)::bigint as "transfers!"
           from sums s
           left join ledger_account d on d.id = s.debit_account and d.kind <> 'credit'
           left join ledger_account c on c.id = s.credit_account and c.kind <> 'credit'
           group by 1, 2, 3 order by 1, 2, 3"#,
        from,
        until,
    )
    .fetch_all(conn)
    .await
}

/// What moved on the credits of an organization for one reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrgMovement {
    pub org: OrgId,
    pub code: String,
    pub came_in: Usd,
    pub went_out: Usd,
    pub transfers: i64,
}

/// The same for every organization, in the order of their ids.
///
/// # Errors
/// Database errors only.
pub async fn org_movements(
    conn: &mut PgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<OrgMovement>, sqlx::Error> {
    sqlx::query_as!(
        OrgMovement,
        r#"select a.org_id as "org!: OrgId", s.code as "code!", sum(s.came_in) as "came_in!: Usd",
            sum(s.went_out) as "went_out!: Usd", count(*) as "transfers!"
           from (
              select credit_account as account, code, amount as came_in, 0::numeric as went_out from transfer
              where created_at >= $1 and created_at < $2
              union all
              select debit_account, code, 0, amount from transfer where created_at >= $1 and created_at < $2
           ) s
           join ledger_account a on a.id = s.account and a.kind = 'credit'
           group by 1, 2 order by 1, 2"#,
        from,
        until,
    )
    .fetch_all(conn)
    .await
}

/// What moved on one organization's credits on a day, by UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DayMovement {
    pub day: NaiveDate,
    pub code: String,
    pub came_in: Usd,
    pub went_out: Usd,
    pub transfers: i64,
}

/// Sums for each day and reason in a span of days that are not closed yet.
///
/// # Errors
/// Database errors only.
pub async fn org_days(
    conn: &mut PgConnection,
    org: OrgId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Vec<DayMovement>, sqlx::Error> {
    sqlx::query_as!(
        DayMovement,
        r#"select (created_at at time zone 'utc')::date as "day!", code as "code!",
            coalesce(sum(amount) filter (where credit_account = $1), 0) as "came_in!: Usd",
            coalesce(sum(amount) filter (where debit_account = $1), 0) as "went_out!: Usd", count(*) as "transfers!"
           from transfer
           where created_at >= $2 and created_at < $3 and $1 in (debit_account, credit_account)
           group by 1, 2 order by 1, 2"#,
        org.0,
        from,
        until,
    )
    .fetch_all(conn)
    .await
}

/// Which rows of the journal.
#[derive(Clone, Debug, Default)]
pub struct JournalFilter {
    /// One side is this account.
    pub account: Option<Uuid>,
    /// One side is an account of this kind, such as `credit` or `processor`; empty for all.
    pub kind: String,
    /// A reason; empty for all.
    pub code: String,
    /// Nothing about calls: a far smaller part of the books.
    pub rare: bool,
    /// The reference, or the transfer's id, is exactly this; empty for all.
    pub reference: String,
    pub from: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    /// Only rows before this one.
    pub before: Option<(DateTime<Utc>, TransferId)>,
}

/// A row of the journal.
#[derive(Clone, Debug)]
pub struct Booked {
    pub id: TransferId,
    pub at: DateTime<Utc>,
    pub code: String,
    pub reference: String,
    pub debit_id: Uuid,
    pub credit_id: Uuid,
    /// Names of the accounts.
    pub debit: String,
    pub credit: String,
    pub amount: Usd,
    pub org: Option<OrgId>,
    pub memo: String,
}

/// The same query over all rows, and over all but those of calls, which a small index has.
macro_rules! read_journal {
    ($conn:expr, $filter:expr, $most:expr, $only:literal) => {
        sqlx::query_as!(
            Booked,
            r#"select t.id as "id!: TransferId", t.created_at as "at!", t.code as "code!", t.reference as "reference!",
                t.debit_account as "debit_id!", t.credit_account as "credit_id!", coalesce(d.name, '') as "debit!",
                coalesce(c.name, '') as "credit!", t.amount as "amount!: Usd", t.org_id as "org: OrgId",
                t.memo as "memo!"
               from transfer t
               left join ledger_account d on d.id = t.debit_account
               left join ledger_account c on c.id = t.credit_account
               where "#
                + $only
                + r#"
                and t.created_at >= coalesce($1::timestamptz, '-infinity')
                and t.created_at < coalesce($2::timestamptz, 'infinity')
                and ($3::timestamptz is null or (t.created_at, t.id) < ($3, $4))
                and ($5::uuid is null or $5 in (t.debit_account, t.credit_account))
                and ($6 = '' or $6 in (d.kind, c.kind))
                and ($7 = '' or t.code = $7)
               order by t.created_at desc, t.id desc limit $8"#,
            $filter.from,
            $filter.until,
            $filter.before.map(|(at, _)| at),
            $filter.before.map(|(_, id)| id.0),
            $filter.account,
            $filter.kind,
            $filter.code,
            $most,
        )
        .fetch_all(&mut *$conn)
        .await
    };
}

/// Rows of the journal, newest first. Runs in a transaction: it asks for plans that know the filter.
///
/// # Errors
/// Database errors only.
pub async fn journal(conn: &mut PgConnection, filter: &JournalFilter, most: i64) -> Result<Vec<Booked>, sqlx::Error> {
    if !filter.reference.is_empty() {
        return by_reference(conn, filter, most).await;
    }
    sqlx::query!("select set_config('plan_cache_mode', 'force_custom_plan', true)").fetch_one(&mut *conn).await?;
    if filter.rare {
        read_journal!(conn, filter, most, "t.code <> 'usage'")
    } else {
        read_journal!(conn, filter, most, "true")
    }
}

/// Rows that one thing caused are few, and found by their reference or their own number. The other filters hold for them too.
async fn by_reference(conn: &mut PgConnection, filter: &JournalFilter, most: i64) -> Result<Vec<Booked>, sqlx::Error> {
    let id = filter.reference.parse::<TransferId>().ok().map(|id| id.0);
    sqlx::query_as!(
        Booked,
        r#"select t.id as "id!: TransferId", t.created_at as "at!", t.code as "code!", t.reference as "reference!",
            t.debit_account as "debit_id!", t.credit_account as "credit_id!", coalesce(d.name, '') as "debit!",
            coalesce(c.name, '') as "credit!", t.amount as "amount!: Usd", t.org_id as "org: OrgId", t.memo as "memo!"
           from transfer t
           left join ledger_account d on d.id = t.debit_account
           left join ledger_account c on c.id = t.credit_account
           where (t.id = $1 or (t.code, t.reference) in (
                select code, reference from unnest($2::text[]) as code cross join unnest($3::text[]) as reference))
            and ($4::timestamptz is null or (t.created_at, t.id) < ($4, $5))
            and ($6::uuid is null or $6 in (t.debit_account, t.credit_account))
            and ($8 = '' or $8 in (d.kind, c.kind))
            and ($9 = '' or t.code = $9)
            and t.created_at >= coalesce($10::timestamptz, '-infinity')
            and t.created_at < coalesce($11::timestamptz, 'infinity')
           order by t.created_at desc, t.id desc limit $7"#,
        id,
        &crate::ledger::Code::ALL.map(|code| code.as_str().to_owned()),
        &[filter.reference.clone(), format!("{}:fee", filter.reference)],
        filter.before.map(|(at, _)| at),
        filter.before.map(|(_, id)| id.0),
        filter.account,
        most,
        filter.kind,
        filter.code,
        filter.from,
        filter.until,
    )
    .fetch_all(conn)
    .await
}

/// One row of the journal.
///
/// # Errors
/// Database errors only.
pub async fn transfer(conn: &mut PgConnection, id: TransferId) -> Result<Option<Booked>, sqlx::Error> {
    let filter = JournalFilter { reference: id.to_string(), ..JournalFilter::default() };
    let found = by_reference(conn, &filter, 10).await?;
    Ok(found.into_iter().find(|row| row.id == id))
}

/// The accounts of the house: kind and name.
///
/// # Errors
/// Database errors only.
pub async fn house_accounts(conn: &mut PgConnection) -> Result<Vec<(Uuid, String, String)>, sqlx::Error> {
    let rows = sqlx::query!("select id, kind, name from ledger_account where kind <> 'credit' order by id");
    Ok(rows.fetch_all(conn).await?.into_iter().map(|row| (row.id, row.kind, row.name)).collect())
}

/// What organizations have, in the order of their ids: their credits, and what of them running calls hold.
///
/// # Errors
/// Database errors only.
pub async fn credits_page(
    conn: &mut PgConnection,
    after: Option<OrgId>,
    most: i64,
) -> Result<Vec<super::CreditState>, sqlx::Error> {
    sqlx::query_as!(
        super::CreditState,
        r#"select org_id as "org: OrgId", posted as "posted: Usd", held as "held: Usd" from credit
           where $1::uuid is null or org_id > $1 order by org_id limit $2"#,
        after.map(|org| org.0),
        most,
    )
    .fetch_all(conn)
    .await
}

/// The day of the first transfer, by UTC.
///
/// # Errors
/// Database errors only.
pub async fn first_day(conn: &mut PgConnection) -> Result<Option<NaiveDate>, sqlx::Error> {
    sqlx::query_scalar!(r#"select (min(created_at) at time zone 'utc')::date as "day" from transfer"#)
        .fetch_one(conn)
        .await
}

/// When the oldest transaction began that still runs in this database: before that moment nothing is added any more.
///
/// # Errors
/// Database errors only.
pub async fn oldest_transaction(conn: &mut PgConnection) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select min(xact_start) as "at" from pg_stat_activity
           where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"#
    )
    .fetch_one(conn)
    .await
}

//! What a database tells of itself. Unchecked, because the schema that is asked may be older, newer, or not there at all.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Names of tables that are listed.
const MAX_NAMES: i64 = 20;
/// Transactions that are listed.
const MAX_LONG: i64 = 5;

/// Names and values of settings, as they hold for this connection.
pub async fn settings(conn: &mut PgConnection, names: &[&str]) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as("select name, setting from pg_settings where name = any($1)").bind(names).fetch_all(conn).await
}

/// Whether there is a table or a function of this name.
pub async fn has_table(conn: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass($1) is not null").bind(name).fetch_one(conn).await
}

/// A migration that was applied: its number, its checksum, and whether it went to its end.
pub async fn migrations(conn: &mut PgConnection) -> Result<Vec<(i64, Vec<u8>, bool)>, sqlx::Error> {
    sqlx::query_as("select version, checksum, success from public._sqlx_migrations order by version")
        .fetch_all(conn)
        .await
}

/// What the user of the database may do.
#[derive(sqlx::FromRow)]
pub struct Rights {
    pub name: String,
    pub superuser: bool,
    pub may_create: bool,
    /// Whether the role of tenants is there, and this user may take it.
    pub tenant: bool,
    /// Whether the role of tenants can see over the wall.
    pub tenant_sees_all: bool,
    /// Tables that belong to somebody else.
    pub foreign_tables: i64,
}

pub async fn rights(conn: &mut PgConnection) -> Result<Rights, sqlx::Error> {
    sqlx::query_as(
        "select current_user::text as name, me.rolsuper or me.rolbypassrls as superuser,
            has_schema_privilege('public', 'create') as may_create,
            coalesce((select pg_has_role(current_user, t.oid, 'member') from pg_roles t where t.rolname = 'farebox_tenant'), false) as tenant,
            coalesce((select t.rolsuper or t.rolbypassrls from pg_roles t where t.rolname = 'farebox_tenant'), false) as tenant_sees_all,
            (select count(*) from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
               and not pg_has_role(current_user, c.relowner, 'usage')) as foreign_tables
         from pg_roles me where me.rolname = current_user",
    )
    .fetch_one(conn)
    .await
}

/// Tables of tenants that do not stand behind the wall of `migrations/0015_isolation.sql`.
pub async fn before_the_wall(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not a.attisdropped
            and c.relname not in ('membership', 'personal_org')
            and not (c.relrowsecurity and c.relforcerowsecurity
               and exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'tenant'))
         order by 1 limit $1",
    )
    .bind(MAX_NAMES)
    .fetch_all(conn)
    .await
}

/// Whether whoever asks sees credits or calls of anybody.
pub async fn sees_something(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select exists (select from public.credit) or exists (select from public.usage)")
        .fetch_one(conn)
        .await
}

/// Connections that may be opened, those that others have open, and the servers of Farebox among them.
pub async fn connections(conn: &mut PgConnection) -> Result<(i64, i64, i64), sqlx::Error> {
    sqlx::query_as(
        "select current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint,
            count(*) filter (where application_name not in ('farebox', 'farebox doctor')),
            count(distinct (client_addr, split_part(application_name, ' ', 1))) filter (where application_name = 'farebox')
         from pg_stat_activity where backend_type = 'client backend'",
    )
    .fetch_one(conn)
    .await
}

/// Months from this one on, `ahead` of them, for whose calls the table has no part; the first is 0.
pub async fn missing_parts(conn: &mut PgConnection, ahead: i32) -> Result<Vec<i32>, sqlx::Error> {
    sqlx::query_scalar(
        r"with part as (
            select substring(pg_get_expr(c.relpartbound, c.oid) from 'FROM \(''([0-9a-f-]{36})''\)')::uuid as since,
               substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([0-9a-f-]{36})''\)')::uuid as until
            from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'public.usage'::regclass
         )
         select n from generate_series(0, $1) n
         cross join lateral public.call_floor(date_trunc('month', now(), 'UTC') + make_interval(months => n, days => 15)) middle
         where not exists (select from part where until > middle and (since is null or since <= middle))
         order by n",
    )
    .bind(ahead)
    .fetch_all(conn)
    .await
}

/// Calls in no month's part, counted up to a thousand.
pub async fn strays(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from (select from public.usage_default limit 1000) strays")
        .fetch_one(conn)
        .await
}

/// A transaction that is open for long: its process, who opened it, what it does, and for how many seconds.
pub async fn long_transactions(
    conn: &mut PgConnection,
    seconds: i64,
) -> Result<Vec<(i32, String, String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "select pid, coalesce(application_name, ''), coalesce(state, ''),
            extract(epoch from clock_timestamp() - xact_start)::bigint
         from pg_stat_activity
         where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
            and xact_start < clock_timestamp() - make_interval(secs => $1)
         order by xact_start limit $2",
    )
    .bind(f64::from(i32::try_from(seconds).unwrap_or(i32::MAX)))
    .bind(MAX_LONG)
    .fetch_all(conn)
    .await
}

/// Bytes of the database, bytes of the calls in it, and how many transactions its oldest rows have seen.
pub async fn size(conn: &mut PgConnection) -> Result<(i64, i64, i64), sqlx::Error> {
    sqlx::query_as(
        "select pg_database_size(current_database()),
            (select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint from pg_inherits
               where inhparent = to_regclass('public.usage')),
            (select age(datfrozenxid)::bigint from pg_database where datname = current_database())",
    )
    .fetch_one(conn)
    .await
}

/// Organizations whose held credits are not the sum of their holds.
pub async fn wrongly_held(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "select count(*) from public.credit c
         full join (select org_id, sum(amount) as amount from public.hold group by 1) h using (org_id)
         where coalesce(c.held, 0) <> coalesce(h.amount, 0)",
    )
    .fetch_one(conn)
    .await
}

/// Operators, and people.
pub async fn people(conn: &mut PgConnection) -> Result<(i64, i64), sqlx::Error> {
    sqlx::query_as(
        "select (select count(*) from public.operator where role = 'operator'), (select count(*) from public.person)",
    )
    .fetch_one(conn)
    .await
}

/// Stored keys of providers.
pub async fn provider_keys(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select count(*) from public.provider_secret").fetch_one(conn).await
}

/// Of each processor the last complete comparison, and how many findings of the last one somebody has to look into.
pub async fn reconciliations(
    conn: &mut PgConnection,
) -> Result<Vec<(String, Option<DateTime<Utc>>, i64)>, sqlx::Error> {
    sqlx::query_as(
        "select r.processor, max(r.ended_at) filter (where r.state = 'complete'),
            (select count(*) from public.reconciliation_finding f where f.needs_person
               and f.run_id = (select id from public.reconciliation l where l.processor = r.processor
                  and l.state <> 'running' order by l.started_at desc limit 1))
         from public.reconciliation r group by 1 order by 1",
    )
    .fetch_all(conn)
    .await
}

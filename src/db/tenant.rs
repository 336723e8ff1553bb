//! A transaction that sees one organization and nothing of any other, whatever its queries forget.

use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};

use crate::base::ids::OrgId;

/// Begins a transaction as the role that owns nothing, for one organization. The row-level security of
/// `migrations/0015_isolation.sql` hides the rows of all others from it, and refuses to write any. Role and
/// organization end with the transaction, so a pooled connection carries nothing over.
///
/// Reading needs no commit: dropping the transaction gives the connection back.
///
/// # Errors
/// Database errors only.
pub async fn tenant(pool: &PgPool, org: OrgId) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin(pool, "begin", org).await
}

/// As [`tenant`], for reading figures that must be of one moment.
///
/// # Errors
/// Database errors only.
pub async fn tenant_snapshot(pool: &PgPool, org: OrgId) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin(pool, "begin isolation level repeatable read read only", org).await
}

async fn begin(pool: &PgPool, begin: &str, org: OrgId) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    // A UUID in its own spelling needs no quoting; one statement, so that it costs no more than a plain begin.
    let begin = format!("{begin}; set local role farebox_tenant; set local farebox.org = '{}'", org.0);
    pool.begin_with(AssertSqlSafe(begin)).await
}

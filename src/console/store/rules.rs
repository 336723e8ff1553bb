//! Rules of the house, as versions.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::base::ids::PersonId;

/// A version of a rule.
#[derive(Clone, Debug)]
pub struct RuleVersion {
    pub name: String,
    pub version: i64,
    /// `None`: what the environment says.
    pub value: Option<Value>,
    pub reason: String,
    pub made_by: PersonId,
    pub made_at: DateTime<Utc>,
}

/// The last version of each name.
pub async fn current_rules(conn: &mut PgConnection) -> Result<Vec<RuleVersion>, sqlx::Error> {
    sqlx::query_as!(
        RuleVersion,
        r#"select distinct on (name) name, version, value, reason, made_by as "made_by: PersonId", made_at
           from house_setting order by name, version desc"#,
    )
    .fetch_all(conn)
    .await
}

/// Versions of all names, newest first.
pub async fn rule_versions(conn: &mut PgConnection, most: i64) -> Result<Vec<RuleVersion>, sqlx::Error> {
    sqlx::query_as!(
        RuleVersion,
        r#"select name, version, value, reason, made_by as "made_by: PersonId", made_at
           from house_setting order by made_at desc, name, version desc limit $1"#,
        most,
    )
    .fetch_all(conn)
    .await
}

/// Lets whoever else changes the same name wait until the end of the transaction, and returns its last version.
pub async fn lock_rule(conn: &mut PgConnection, name: &str) -> Result<Option<RuleVersion>, sqlx::Error> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1, 71))", name).fetch_one(&mut *conn).await?;
    sqlx::query_as!(
        RuleVersion,
        r#"select name, version, value, reason, made_by as "made_by: PersonId", made_at
           from house_setting where name = $1 order by version desc limit 1"#,
        name,
    )
    .fetch_optional(conn)
    .await
}

pub async fn insert_rule(
    conn: &mut PgConnection,
    (name, version): (&str, i64),
    value: Option<&Value>,
    reason: &str,
    by: PersonId,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into house_setting (name, version, value, reason, made_by) values ($1, $2, $3, $4, $5)",
        name,
        version,
        value,
        reason,
        by.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

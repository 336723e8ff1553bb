//! Bringing the schema up to date.

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};

/// Every file of `migrations/`, inside the binary.
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Applies what is missing; safe to run from several processes at once (an advisory lock orders them).
///
/// # Errors
/// When a migration fails, or one that was applied has been changed since.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    MIGRATOR.run(pool).await
}

//! Bringing the schema up to date.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, Migrator};
use sqlx::{Connection, PgConnection, PgPool};

/// Every file of `migrations/`, inside the binary.
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// Held by the process that migrates, for as long as its connection lasts.
const LOCK: i64 = 0x6661_7265_0001;
/// How often, and for how long, a process waits for another one that migrates: an index of a large table takes minutes.
const EVERY: Duration = Duration::from_millis(250);
const TRIES: u32 = 14_400;

/// How the schema of a database stands to this program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Schema {
    /// The database has no tables of Farebox.
    Missing,
    /// So many migrations of this program were not applied.
    Older(usize),
    /// Everything that this program brings was applied. What a newer one added does not matter to this one.
    Fits,
    /// A newer program took away what this one needs: whoever runs on it knows the migration of this number.
    TooNew(i64),
}

/// Looks how the schema stands to this program, and changes nothing.
///
/// # Errors
/// Those of the database.
pub async fn schema(conn: &mut PgConnection) -> Result<Schema, sqlx::Error> {
    let there = sqlx::query_scalar::<_, bool>("select to_regclass('public._sqlx_migrations') is not null");
    if !there.fetch_one(&mut *conn).await? {
        return Ok(Schema::Missing);
    }
    let applied: Vec<(i64, String)> =
        sqlx::query_as("select version, description from public._sqlx_migrations where success")
            .fetch_all(conn)
            .await?;
    let ours: BTreeSet<i64> =
        MIGRATOR.iter().filter(|one| one.migration_type.is_up_migration()).map(|one| one.version).collect();
    Ok(standing(&ours, &applied))
}

fn standing(ours: &BTreeSet<i64>, applied: &[(i64, String)]) -> Schema {
    let newest = ours.last().copied().unwrap_or_default();
    let strange = applied.iter().filter(|(version, _)| !ours.contains(version));
    let needed = strange.filter_map(|(_, description)| needs(description)).filter(|needed| *needed > newest).max();
    if let Some(needed) = needed {
        return Schema::TooNew(needed);
    }
    match ours.iter().filter(|version| !applied.iter().any(|(other, _)| other == *version)).count() {
        0 => Schema::Fits,
        pending => Schema::Older(pending),
    }
}

/// The oldest migration that a program must know to run on the schema after one whose file is `<number>_needs_<that>_<thing>.sql`.
/// What a file is called stands in the database, so programs that were there before it can read it.
fn needs(description: &str) -> Option<i64> {
    description.strip_prefix("needs ")?.split(' ').next()?.parse().ok()
}

/// Says what to do on a schema that is too new.
#[must_use]
pub fn too_new(needed: i64) -> String {
    format!(
        "the schema is of a newer Farebox and fits this one no longer: it needs a program that knows migration {needed}. Run the \
         newer version again, or restore the backup from before the upgrade (docs/operations.md)"
    )
}

/// Applies what is missing; safe to run from several processes at once (a lock orders them).
///
/// # Errors
/// When a migration fails, or one that was applied has been changed since.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut conn = pool.acquire().await?.detach();
    // What a page may take is no measure for an index.
    sqlx::query("set statement_timeout = 0").execute(&mut conn).await?;
    let done = migrate_with(&mut conn).await;
    // The lock goes with the connection.
    conn.close().await.ok();
    done
}

async fn migrate_with(conn: &mut PgConnection) -> Result<(), MigrateError> {
    // Asked for again and again. Whoever waits within a statement is waited for by an index that is made concurrently, for ever.
    for tried in 1.. {
        let query = sqlx::query_scalar::<_, bool>("select pg_try_advisory_lock($1)").bind(LOCK);
        if query.fetch_one(&mut *conn).await? {
            break;
        }
        if tried >= TRIES {
            return Err(MigrateError::Source("another process has been migrating for an hour".into()));
        }
        tokio::time::sleep(EVERY).await;
    }
    match schema(conn).await? {
        Schema::TooNew(needed) => return Err(MigrateError::Source(too_new(needed).into())),
        Schema::Missing => check_encoding(conn).await?,
        Schema::Older(_) | Schema::Fits => {}
    }
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    migrator.set_locking(false);
    // A program of the version before runs on the schema after: nodes are replaced one by one, and one may be put back.
    migrator.set_ignore_missing(true);
    for step in MIGRATOR.iter().filter(|one| one.no_tx) {
        migrator.run_direct(Some(step.version - 1), conn, false).await?;
        let query = sqlx::query_scalar::<_, bool>("select exists (select from _sqlx_migrations where version = $1)");
        if query.bind(step.version).fetch_one(&mut *conn).await? {
            continue;
        }
        drop_unfinished(conn, step).await?;
        // What is made concurrently keeps nobody waiting, so it may wait for every transaction that runs.
        sqlx::query("set lock_timeout = 0").execute(&mut *conn).await?;
        migrator.run_direct(Some(step.version), conn, false).await?;
        sqlx::query("reset lock_timeout").execute(&mut *conn).await?;
    }
    migrator.run_direct(None, conn, false).await
}

/// What people write and models answer is Unicode; in a database of anything else, the first other letter would be an error.
async fn check_encoding(conn: &mut PgConnection) -> Result<(), MigrateError> {
    let encoding = sqlx::query_scalar::<_, String>("select current_setting('server_encoding')");
    match encoding.fetch_one(conn).await? {
        encoding if encoding == "UTF8" => Ok(()),
        encoding => {
            let said = format!(
                "this database is encoded in {encoding}; make one with: create database farebox owner farebox encoding 'UTF8' \
                 template template0"
            );
            Err(MigrateError::Source(said.into()))
        }
    }
}

/// The indexes of our tables that nobody finished.
const UNFINISHED: &str = "select c.relname::text from pg_index i join pg_class c on c.oid = i.indexrelid
    where not i.indisvalid and c.relnamespace = 'public'::regnamespace";
/// Drops the one that a setting of this connection names.
const DROP: &str = "do $$ begin
    execute format('drop index if exists public.%I', current_setting('farebox.unfinished'));
end $$";

/// An index that was being made when somebody pulled the plug is of no use to anybody and costs every write. Only that of a file
/// which was not applied: nobody else makes it now, for whoever does holds the lock.
async fn drop_unfinished(conn: &mut PgConnection, step: &Migration) -> Result<(), sqlx::Error> {
    let unfinished: Vec<String> = sqlx::query_scalar(UNFINISHED).fetch_all(&mut *conn).await?;
    for name in unfinished {
        if step.sql.as_str().contains(&format!("if not exists {name} on")) {
            tracing::warn!(index = name, "an index that was not finished is made again");
            sqlx::query("select set_config('farebox.unfinished', $1, false)").bind(name).execute(&mut *conn).await?;
            sqlx::raw_sql(DROP).execute(&mut *conn).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_program_runs_on_a_newer_schema_until_that_says_otherwise() {
        let ours = BTreeSet::from([1, 2, 3]);
        let mut applied: Vec<(i64, String)> = [1, 2].map(|version| (version, "a table".to_owned())).into();
        assert_eq!(standing(&ours, &applied), Schema::Older(1));
        applied.push((3, "an index".to_owned()));
        assert_eq!(standing(&ours, &applied), Schema::Fits);
        applied.push((4, "a column".to_owned()));
        assert_eq!(standing(&ours, &applied), Schema::Fits);
        applied.push((5, "needs 3 without the old column".to_owned()));
        assert_eq!(standing(&ours, &applied), Schema::Fits, "this program can do without it");
        applied.push((6, "needs 4 without the old table".to_owned()));
        assert_eq!(standing(&ours, &applied), Schema::TooNew(4));
    }

    #[test]
    fn a_migration_needs_an_earlier_one() {
        for one in MIGRATOR.iter().filter(|one| one.description.starts_with("needs")) {
            let needed = needs(&one.description).unwrap_or_else(|| panic!("{} names no number", one.description));
            assert!(needed < one.version && MIGRATOR.version_exists(needed), "{} needs {needed}", one.version);
        }
    }
}

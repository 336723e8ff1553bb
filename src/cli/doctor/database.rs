//! The database: whether it answers, its schema, its rights and walls, how safe its settings are, and its room.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool};

use super::disk::size;
use super::{CONNECT_WITHIN, Database, Finding, Patient, no_database, store, unasked};
use crate::base::ids::{OrgId, RequestId};
use crate::catalog::{self, Catalog};
use crate::cli::database::Purpose;
use crate::config::Config;
use crate::db::embedded::Embedded;
use crate::db::migrate::{MIGRATOR, Schema};
use crate::db::{self, moment};
use crate::jobs::{self, Waiting};

/// What Farebox understands: see CONTRIBUTING.md.
const OLDEST: i64 = 150_000;
/// Months whose parts of the table of calls are made ahead.
const MONTHS_AHEAD: i32 = 3;
/// A transaction of the server itself takes no more than a minute.
const LONG: Duration = Duration::from_secs(300);
/// Vacuum should have begun long before.
const OLD_ROWS: i64 = 1_000_000_000;
/// Times that it is asked for how quick it is.
const ASKED: u32 = 5;
const SLOW_ANSWER: Duration = Duration::from_millis(100);

/// The database of the configuration; one of our own only where it was made before.
///
/// # Errors
/// A finding that says why there is none.
pub fn reach(config: &Config) -> Result<Database, Finding> {
    const CHECK: &str = "embedded server";
    if config.database_url.is_none() && !Embedded::exists(&config.data_dir.join("postgres")) {
        return Err(Finding::warning(CHECK, "there is no database yet", "start `farebox serve`: it makes one"));
    }
    Database::open(config, Purpose::Use)
        .map_err(|error| Finding::fault(CHECK, format!("{error:#}"), "do what it says, or set FAREBOX_DATABASE_URL"))
}

/// The catalog as it stands, where it can be read.
pub async fn catalog(patient: &Patient<'_>) -> Option<Catalog> {
    let mut conn = patient.pool.as_ref()?.acquire().await.ok()?;
    catalog::load(&mut conn).await.ok()
}

pub fn no_address() -> Finding {
    Finding::fault("address", "is no Postgres URL", "write FAREBOX_DATABASE_URL like postgres://user@host/farebox")
}

/// Opens the first connection.
///
/// # Errors
/// A finding that says why there is none.
pub async fn answers(pool: PgPool) -> Result<PgPool, Finding> {
    let options = pool.connect_options();
    let Err(why) = db::pool::knock(&options, CONNECT_WITHIN).await else { return Ok(pool) };
    let advice = "check FAREBOX_DATABASE_URL, that Postgres runs, and that this machine may reach it";
    let found = format!("the database at {} lets nobody in: {why}", db::pool::place(&options));
    Err(Finding::fault("answer", found, advice))
}

pub async fn check(patient: &Patient<'_>, none: Option<&Finding>) -> Vec<Finding> {
    let Some(pool) = &patient.pool else { return vec![none.cloned().unwrap_or_else(no_address)] };
    let mut conn = match pool.acquire().await {
        Ok(conn) => conn,
        Err(error) => return vec![unasked("answer", &error)],
    };
    let mut findings = vec![answer(&mut conn).await];
    let schema = schema(&mut conn).await;
    let whole = schema.iter().all(|one| one.level != super::Level::Fault);
    findings.extend(schema);
    findings.extend(told("rights", rights(&mut conn).await));
    findings.extend(told("settings", safety(&mut conn).await));
    findings.extend(told("connections", connections(&mut conn).await));
    findings.extend(told("long transactions", long(&mut conn).await));
    findings.extend(told("size", room(&mut conn).await));
    if whole {
        findings.extend(told("wall between tenants", wall(pool, &mut conn).await));
        findings.extend(told("parts of the calls", parts(&mut conn).await));
        findings.extend(told("operators", operators(&mut conn).await));
        findings.extend(told("jobs", queue(&mut conn).await));
    } else {
        findings.push(Finding::warning("rest", "is looked at when the schema is this version's", "see above"));
    }
    findings
}

fn told(check: &'static str, found: Result<Vec<Finding>, sqlx::Error>) -> Vec<Finding> {
    found.unwrap_or_else(|error| vec![unasked(check, &error)])
}

async fn answer(conn: &mut PgConnection) -> Finding {
    const CHECK: &str = "answer";
    let mut took = Duration::MAX;
    // The best of some: a busy moment is no slow network.
    for _ in 0..ASKED {
        let began = Instant::now();
        if let Err(error) = moment(conn).await {
            return Finding::fault(CHECK, error.to_string(), "look at the log of Postgres");
        }
        took = took.min(began.elapsed());
    }
    let found = format!("in {:.1} milliseconds", took.as_secs_f64() * 1_000.0);
    if took > SLOW_ANSWER {
        let advice = "every call asks it twice: put it nearer, in the same data centre as the servers";
        return Finding::warning(CHECK, found, advice);
    }
    Finding::ok(CHECK, found)
}

/// Whether what was applied is what this program brings.
async fn schema(conn: &mut PgConnection) -> Vec<Finding> {
    const CHECK: &str = "schema";
    let migrate = "run `farebox migrate` with this version, after a backup (docs/operations.md)";
    let applied = async {
        if !store::has_table(conn, "public._sqlx_migrations").await? {
            return Ok(None);
        }
        store::migrations(conn).await.map(Some)
    };
    let applied = match applied.await {
        Ok(Some(applied)) => applied,
        Ok(None) => {
            return vec![Finding::fault(
                CHECK,
                "this database has no tables of Farebox",
                format!("check its name in FAREBOX_DATABASE_URL; if it is new, {migrate}"),
            )];
        }
        Err(error) => return vec![unasked(CHECK, &error)],
    };
    let ours: BTreeMap<i64, &[u8]> = MIGRATOR
        .iter()
        .filter(|one| one.migration_type.is_up_migration())
        .map(|one| (one.version, one.checksum.as_ref()))
        .collect();
    let theirs: BTreeMap<i64, (&[u8], bool)> =
        applied.iter().map(|(version, checksum, whole)| (*version, (checksum.as_slice(), *whole))).collect();
    let list = |versions: Vec<i64>| versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let pending: Vec<i64> = ours.keys().filter(|version| !theirs.contains_key(version)).copied().collect();
    let newer: Vec<i64> = theirs.keys().filter(|version| !ours.contains_key(version)).copied().collect();
    let half: Vec<i64> = theirs.iter().filter(|(_, (_, whole))| !whole).map(|(version, _)| *version).collect();
    let changed: Vec<i64> = theirs
        .iter()
        .filter(|(version, (checksum, _))| ours.get(version).is_some_and(|ours| ours != checksum))
        .map(|(version, _)| *version)
        .collect();
    let mut findings = Vec::new();
    if !pending.is_empty() {
        findings.push(Finding::fault(
            CHECK,
            format!("{} migrations are pending: {}", pending.len(), list(pending)),
            migrate,
        ));
    }
    if !newer.is_empty() {
        let found = format!("is ahead of this program: it does not know migrations {}", list(newer));
        findings.push(match db::migrate::schema(conn).await {
            Ok(Schema::TooNew(needed)) => Finding::fault(CHECK, found, db::migrate::too_new(needed)),
            Ok(_) => {
                Finding::warning(CHECK, found, "it runs on it; go on with the upgrade, or with the way back, soon")
            }
            Err(error) => unasked(CHECK, &error),
        });
    }
    if !half.is_empty() {
        let found = format!("migrations {} did not end", list(half));
        findings.push(Finding::fault(
            CHECK,
            found,
            "look at the log of whoever ran them; restore the backup if you are not sure",
        ));
    }
    if !changed.is_empty() {
        let found = format!("migrations {} were others than this program's", list(changed));
        findings.push(Finding::fault(
            CHECK,
            found,
            "this program is no released version, or the database is another's",
        ));
    }
    match store::has_table(conn, "graphile_worker._private_jobs").await {
        Ok(true) => {}
        Ok(false) => findings.push(Finding::fault("job queue", "its tables are missing", migrate)),
        Err(error) => findings.push(unasked("job queue", &error)),
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, format!("{} migrations, all of them applied", theirs.len())));
    }
    findings
}

async fn rights(conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    const CHECK: &str = "rights";
    let rights = store::rights(conn).await?;
    let name = &rights.name;
    let mut findings = Vec::new();
    if !rights.may_create {
        let advice = format!("as an administrator: grant create on schema public to {name}");
        findings.push(Finding::fault(
            CHECK,
            format!("{name} may not make tables, so migrations and parts of the calls fail"),
            advice,
        ));
    }
    if !rights.tenant {
        let advice = format!("as an administrator: create role farebox_tenant nologin; grant farebox_tenant to {name}");
        findings.push(Finding::fault(
            CHECK,
            format!("{name} may not take the role farebox_tenant: no page works"),
            advice,
        ));
    }
    if rights.tenant_sees_all {
        let advice = "as an administrator: alter role farebox_tenant nosuperuser nobypassrls";
        findings.push(Finding::fault(CHECK, "the role farebox_tenant may see over the wall between tenants", advice));
    }
    if rights.foreign_tables > 0 {
        let advice = format!("reassign owned by their owner to {name}, as after a restore without --no-owner");
        findings.push(Finding::fault(
            CHECK,
            format!("{} tables belong to somebody else than {name}", rights.foreign_tables),
            advice,
        ));
    }
    if findings.is_empty() {
        let more = if rights.superuser { ", who is an administrator; an ordinary user is enough" } else { "" };
        findings.push(Finding::ok(CHECK, format!("{name}{more}")));
    }
    Ok(findings)
}

async fn safety(conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    const NAMES: [&str; 7] = [
        "server_encoding",
        "server_version_num",
        "fsync",
        "full_page_writes",
        "synchronous_commit",
        "autovacuum",
        "server_version",
    ];
    let settings: BTreeMap<String, String> = store::settings(conn, &NAMES).await?.into_iter().collect();
    let is = |name: &str, value: &str| settings.get(name).is_some_and(|found| found == value);
    let version = settings.get("server_version").cloned().unwrap_or_default();
    let number: i64 = settings.get("server_version_num").and_then(|text| text.parse().ok()).unwrap_or_default();
    let mut findings = vec![if number < OLDEST {
        Finding::fault("version", format!("Postgres {version}"), "upgrade it to 15 or later")
    } else {
        Finding::ok("version", format!("Postgres {version}"))
    }];
    if !is("server_encoding", "UTF8") {
        let found = "is not UTF8: what people write in other letters is refused";
        findings.push(Finding::fault(
            "encoding",
            found,
            "dump it, and restore it into one made with encoding 'UTF8' template template0",
        ));
    }
    let lost = "payments and calls that were acknowledged are lost when the machine stops";
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        if is(name, "off") {
            findings.push(Finding::fault(
                name,
                format!("is off: {lost}"),
                format!("set {name} = on in postgresql.conf, and for this role and database"),
            ));
        }
    }
    if is("autovacuum", "off") {
        findings.push(Finding::warning(
            "autovacuum",
            "is off: tables that change with every call grow without end",
            "set autovacuum = on",
        ));
    }
    if findings.len() == 1 {
        findings.push(Finding::ok("settings", "what is committed is on the disk"));
    }
    Ok(findings)
}

async fn connections(conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    const CHECK: &str = "connections";
    let needed = i64::from(db::pool::MOST_CONNECTIONS);
    let (most, others, servers) = store::connections(conn).await?;
    let room = most - others;
    let found =
        format!("{most} are allowed, others have {others}, a server takes up to {needed}, and {} run", count(servers));
    let advice = "raise max_connections of Postgres, or let the others have fewer";
    let during_upgrade = needed * (servers.max(1) + 1);
    Ok(vec![if room < needed * servers.max(1) {
        Finding::fault(CHECK, found, advice)
    } else if room < during_upgrade {
        Finding::warning(CHECK, format!("{found}: another one during an upgrade finds no room"), advice)
    } else {
        Finding::ok(CHECK, found)
    }])
}

fn count(servers: i64) -> String {
    if servers == 0 { "none".to_owned() } else { format!("those of {servers} machines") }
}

async fn long(conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    const CHECK: &str = "long transactions";
    let found = store::long_transactions(conn, i64::try_from(LONG.as_secs()).unwrap_or(i64::MAX)).await?;
    if found.is_empty() {
        return Ok(vec![Finding::ok(CHECK, "none is open for more than five minutes")]);
    }
    let advice = "they keep dead rows of every call alive; end what nobody needs with pg_terminate_backend(pid)";
    let one = |(pid, who, state, seconds): (i32, String, String, i64)| {
        let who: String = who.chars().filter(|letter| !letter.is_control()).take(40).collect();
        Finding::warning(CHECK, format!("process {pid} ({who}, {state}) for {} minutes", seconds / 60), advice)
    };
    Ok(found.into_iter().map(one).collect())
}

async fn room(conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    let (all, calls, age) = store::size(conn).await?;
    let bytes = |count: i64| size(u64::try_from(count).unwrap_or_default());
    let mut findings = vec![Finding::ok("size", format!("{}, {} of them calls", bytes(all), bytes(calls)))];
    if age > OLD_ROWS {
        let found =
            format!("the oldest rows have seen {age} transactions; at two thousand million Postgres stops writing");
        findings.push(Finding::warning("age", found, "let autovacuum finish, or run `vacuum freeze` at a quiet hour"));
    }
    Ok(findings)
}

async fn wall(pool: &PgPool, conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    const CHECK: &str = "wall between tenants";
    let open = store::before_the_wall(conn).await?;
    if !open.is_empty() {
        let advice = "select isolate('TABLE', 'org_id') for each of them, and find out who took it down";
        return Ok(vec![Finding::fault(CHECK, format!("does not stand before {}", open.join(", ")), advice)]);
    }
    // As an organization that there is not.
    let mut nobody = db::tenant(pool, OrgId(RequestId::fresh().0)).await?;
    let sees = store::sees_something(&mut nobody).await?;
    nobody.rollback().await?;
    Ok(vec![if sees {
        Finding::fault(
            CHECK,
            "somebody who belongs to no organization sees rows",
            "stop the servers and look at the policies of `credit` and `usage`",
        )
    } else {
        Finding::ok(CHECK, "stands before every table, and lets nobody see what is not theirs")
    }])
}

async fn parts(conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    const CHECK: &str = "parts of the calls";
    let missing = store::missing_parts(conn, MONTHS_AHEAD).await?;
    let strays = store::strays(conn).await?;
    let advice = "a running server makes them at its start and every half hour; look at its log";
    let mut findings = vec![if missing.contains(&0) {
        Finding::fault(CHECK, "this month has none", advice)
    } else if missing.is_empty() {
        Finding::ok(CHECK, format!("are made for this month and {MONTHS_AHEAD} more"))
    } else {
        Finding::warning(CHECK, format!("{} of the next {MONTHS_AHEAD} months have none", missing.len()), advice)
    }];
    if strays > 0 {
        let found = format!("{strays} calls belong to no month");
        findings.push(Finding::warning(
            "stray calls",
            found,
            "their ids have no plausible time: look for a node whose clock was years off",
        ));
    }
    Ok(findings)
}

async fn operators(conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    const CHECK: &str = "operators";
    let (operators, people) = store::people(conn).await?;
    Ok(vec![match operators {
        0 => Finding::warning(
            CHECK,
            format!("nobody of {people} people runs this instance"),
            "open the link that a starting server prints, or `farebox user operator --email ADDRESS`",
        ),
        1 => Finding::ok(CHECK, "one; grants above FAREBOX_FOUR_EYES_ABOVE need a second"),
        several => Finding::ok(CHECK, several.to_string()),
    }])
}

async fn queue(conn: &mut PgConnection) -> Result<Vec<Finding>, sqlx::Error> {
    const CHECK: &str = "jobs";
    let Waiting { dead, late, .. } = jobs::waiting(conn).await?;
    let mut findings = Vec::new();
    if dead > 0 {
        let found = format!("{dead} used up their tries");
        findings.push(Finding::warning(
            CHECK,
            found,
            "see Mails and jobs in the console: mend the cause and let them try again",
        ));
    }
    if late > jobs::LATE {
        let found = format!("the oldest should have run {} minutes ago", late / 60);
        findings.push(Finding::warning(
            CHECK,
            found,
            "is a server running, and does its log say that jobs are paused?",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "none is late, and none was given up"));
    }
    Ok(findings)
}

/// For those who need the database and have none.
pub fn or_none<'p>(patient: &'p Patient<'_>, check: &str) -> Result<&'p PgPool, Vec<Finding>> {
    patient.pool.as_ref().ok_or_else(|| vec![no_database(check)])
}

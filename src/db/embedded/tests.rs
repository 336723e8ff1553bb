//! These run real servers, as whoever runs the tests: root or not.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use super::*;

/// How long a server may take to come back by itself.
const HEAL_LIMIT: Duration = Duration::from_secs(30);

/// Runs one statement on a fresh connection and returns its one number.
fn ask(embedded: &Embedded, sql: &'static str) -> Result<i64, sqlx::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = PgConnection::connect(&embedded.url(DATABASE)).await?;
        sqlx::query_scalar(sql).fetch_one(&mut connection).await
    })
}

fn ask_until_answered(embedded: &Embedded, sql: &'static str) -> i64 {
    let deadline = Instant::now() + HEAL_LIMIT;
    loop {
        match ask(embedded, sql) {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < deadline, "still down: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Kills the server the way the kernel would, and returns its process id.
fn kill_server(embedded: &Embedded) -> u32 {
    let pid = embedded.pid().expect("a running server");
    let target = i32::try_from(pid).expect("a process id");
    // SAFETY: plain system call on our own child.
    assert_eq!(unsafe { libc::kill(target, libc::SIGKILL) }, 0);
    pid
}

fn durable_like(options: &Options) -> Options {
    Options { profile: Profile::Durable, ..options.clone() }
}

#[test]
fn heals_after_being_killed_and_keeps_what_was_committed() {
    let embedded = Embedded::start(durable_like(&Options::temporary())).expect("starts");
    let fsync = ask(&embedded, "SELECT count(*) FROM pg_settings WHERE name='fsync' AND setting='on'");
    assert_eq!(fsync.expect("answers"), 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = PgConnection::connect(&embedded.url(DATABASE)).await.unwrap();
        sqlx::query("CREATE TABLE kept (n bigint)").execute(&mut connection).await.unwrap();
        sqlx::query("INSERT INTO kept VALUES (7)").execute(&mut connection).await.unwrap();
    });

    let before = kill_server(&embedded);
    assert_eq!(ask_until_answered(&embedded, "SELECT n FROM kept"), 7);
    assert_ne!(embedded.pid(), Some(before));

    let before = embedded.pid();
    embedded.restart().expect("restarts");
    assert_ne!(embedded.pid(), before);
    assert_eq!(ask(&embedded, "SELECT n FROM kept").expect("answers"), 7);
    embedded.stop();
    assert_eq!(embedded.pid(), None);
    assert!(matches!(embedded.restart(), Err(EmbeddedError::Stopped)));
}

#[test]
fn a_busy_process_of_a_killed_server_does_not_block_the_next_one() {
    let embedded = Embedded::start(Options::temporary()).expect("starts");
    let url = embedded.url(DATABASE);
    let busy = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let spin = "SELECT count(*) FROM generate_series(1, 2000000000)";
            sqlx::query_scalar::<_, i64>(spin).fetch_one(&mut connection).await
        })
    });
    let active = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series(1,%' \
                  AND pid <> pg_backend_pid()";
    while ask(&embedded, active).expect("answers") == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_server(&embedded);
    assert_eq!(ask_until_answered(&embedded, "SELECT 1::bigint"), 1);
    assert!(busy.join().unwrap().is_err());
}

#[test]
fn stale_and_half_made_directories_are_healed_and_strange_ones_left_alone() {
    let options = durable_like(&Options::temporary());
    let dir = options.data_dir.clone();
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("notes.txt"), "mine").unwrap();
    let refused = Embedded::start(options.clone());
    assert!(matches!(refused, Err(EmbeddedError::NotADataDir { .. })), "{refused:?}");
    assert_eq!(std::fs::read_to_string(dir.join("notes.txt")).unwrap(), "mine");
    std::fs::remove_file(dir.join("notes.txt")).unwrap();

    std::fs::write(dir.join("PG_VERSION"), "15\n").unwrap();
    std::fs::create_dir_all(place::beside(&dir, "new").join("base")).unwrap();
    let first = Embedded::start(options.clone()).expect("half-made directories are healed");
    assert!(has_sibling(&dir, "half-made-"));

    let second = Embedded::start(options.clone());
    assert!(matches!(second, Err(EmbeddedError::Locked { .. })), "{second:?}");

    drop_keeping_files(first);
    // A live process that is no Postgres: its id was used again after a crash.
    let stale = format!("{}\n{}\n0\n5432\n\n\n0 0\nready\n", std::process::id(), dir.display());
    std::fs::write(dir.join("postmaster.pid"), stale).unwrap();
    let third = Embedded::start(options.clone()).expect("a stale pid file is healed");
    assert_eq!(ask(&third, "SELECT 1::bigint").expect("answers"), 1);
    drop_keeping_files(third);

    std::fs::write(dir.join("PG_VERSION"), "9\n").unwrap();
    let old = Embedded::start(options);
    assert!(matches!(old, Err(EmbeddedError::WrongVersion { made_by: 9, .. })), "{old:?}");
    place::remove_temporary(&dir);
}

/// Stops a server as [`Embedded::stop`] does, but leaves a temporary directory.
fn drop_keeping_files(embedded: Embedded) {
    embedded.shared.stop();
    let keeper = embedded.keeper.lock().unwrap().take();
    keeper.expect("a keeper").join().unwrap();
}

fn has_sibling(dir: &Path, part: &str) -> bool {
    let name = dir.file_name().unwrap().to_string_lossy().into_owned();
    dir.parent()
        .unwrap()
        .read_dir()
        .unwrap()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{name}.{part}")))
}

#[test]
fn the_url_hides_no_surprises() {
    assert_eq!(encode(b"/tmp/a b&c"), "/tmp/a%20b%26c");
    assert_eq!(binaries::leading_number("15.3"), Some(15));
    assert_eq!(binaries::leading_number("19beta1"), Some(19));
    assert_eq!(binaries::leading_number("devel"), None);
}

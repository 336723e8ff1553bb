//! `kill -9` at any moment, of the program and of the database: what was acknowledged stays, nothing is charged
//! twice, and nobody has to lend a hand.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farebox::db::embedded::{DATABASE, Embedded, Options as ServerOptions, Profile};
use rand::RngExt;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;

use crate::support::shop::becomes;
use crate::support::{Farebox, Key, Options, cluster, scale};

/// Calls in flight.
const CALLERS: usize = 12;
/// New calls are refused within this while the database is away.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// Calls whose end a client has read, and what each was told to cost.
#[derive(Clone, Default)]
struct Acknowledged(Arc<Mutex<BTreeMap<String, Decimal>>>);

impl Acknowledged {
    fn note(&self, answer: &Value) {
        let id = answer["id"].as_str().expect("an id").to_owned();
        let cost = answer["usage"]["cost"].to_string().parse().expect("a cost");
        self.0.lock().expect("no panic").insert(id, cost);
    }

    fn len(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }

    /// Each has one row in the log, with exactly the cost that the client was told.
    async fn are_in_the_log(&self, pool: &PgPool) {
        let rows: Vec<(String, Decimal)> =
            sqlx::query_as("select 'gen-' || replace(id::text, '-', ''), cost from usage")
                .fetch_all(pool)
                .await
                .expect("rows");
        let mut rows: BTreeMap<String, Decimal> = rows.into_iter().collect();
        for (id, cost) in self.0.lock().expect("no panic").iter() {
            let logged = rows.remove(id).unwrap_or_else(|| panic!("{id} was acknowledged and is not in the log"));
            assert_eq!(logged.normalize(), cost.normalize(), "{id}");
        }
    }
}

/// What the callers share.
#[derive(Clone)]
struct Load {
    http: reqwest::Client,
    base: String,
    key: Key,
    acknowledged: Acknowledged,
    stop: Arc<AtomicBool>,
    /// What the slowest refusal took.
    slowest: Arc<Mutex<Duration>>,
    /// Refusals other than 503 with the time to come back.
    refused: Arc<Mutex<Vec<String>>>,
}

impl Load {
    fn on(farebox: &Farebox, key: &Key, acknowledged: &Acknowledged) -> Load {
        Load {
            http: farebox.http.clone(),
            base: farebox.base.clone(),
            key: key.clone(),
            acknowledged: acknowledged.clone(),
            stop: Arc::default(),
            slowest: Arc::default(),
            refused: Arc::default(),
        }
    }

    fn start(&self) -> Vec<tokio::task::JoinHandle<()>> {
        (0..CALLERS).map(|number| tokio::spawn(self.clone().calls(number))).collect()
    }

    async fn end(&self, callers: Vec<tokio::task::JoinHandle<()>>) {
        self.stop.store(true, Ordering::Release);
        for caller in callers {
            let ended = tokio::time::timeout(Duration::from_secs(60), caller).await;
            ended.expect("a caller ends").expect("no panic");
        }
    }

    async fn calls(self, number: usize) {
        let mut turn = number;
        while !self.stop.load(Ordering::Acquire) {
            // Mostly quick calls, and now and then one that is surely cut in the middle.
            let model = if turn.is_multiple_of(7) { "sandbox/slow" } else { "sandbox/penny" };
            self.call(model, turn.is_multiple_of(2)).await;
            turn += 1;
        }
    }

    fn note_refusal(&self, took: Duration, wrong: Option<String>) {
        let mut slowest = self.slowest.lock().expect("no panic");
        *slowest = (*slowest).max(took);
        self.refused.lock().expect("no panic").extend(wrong);
    }

    async fn call(&self, model: &str, stream: bool) {
        let body = json!({ "model": model, "stream": stream, "messages": [{ "role": "user", "content": "hi" }] });
        let request = self.http.post(format!("{}/api/v1/chat/completions", self.base)).bearer_auth(&self.key.text);
        let begin = Instant::now();
        // A dead process is no answer; the caller tries again, as clients do.
        let Ok(answer) = request.json(&body).send().await else {
            return tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let (status, wait) = (answer.status().as_u16(), answer.headers().get("retry-after").is_some());
        let took = begin.elapsed();
        let Ok(text) = answer.text().await else { return };
        if status != 200 {
            self.note_refusal(took, (status != 503 || !wait).then(|| format!("{status}: {text}")));
            return tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if !stream {
            return self.acknowledged.note(&serde_json::from_str(&text).expect("JSON"));
        }
        let mut events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        if events.pop() == Some("[DONE]") {
            let last: Value = serde_json::from_str(events.pop().expect("usage")).expect("JSON");
            // A stream that says that it failed promises no more than what it says to cost.
            self.acknowledged.note(&last);
        }
    }
}

fn options(database_url: &str, data_dir: PathBuf) -> Options {
    Options {
        database_url: Some(database_url.to_owned()),
        data_dir: Some(data_dir),
        // Longer than the longest call of the load, so that no running call is taken for dead.
        env: vec![("FAREBOX_HOLD_TTL_SECONDS", "3".into()), ("FAREBOX_SWEEP_SECONDS", "1".into())],
        ..Options::default()
    }
}

async fn pause(from_ms: u64, to_ms: u64) {
    let wait = rand::rng().random_range(from_ms..to_ms);
    tokio::time::sleep(Duration::from_millis(wait)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_is_killed_under_load_loses_nothing_that_it_acknowledged() {
    let (data, url) = (TempDir::new().expect("a directory"), cluster::database().await);
    let options = options(&url, data.path().to_owned());
    let mut farebox = Farebox::with(options.clone()).await;
    let key = farebox.key("ada@example.com", "1000", &[]).await;
    let acknowledged = Acknowledged::default();
    for _ in 0..scale(4, 50) {
        let load = Load::on(&farebox, &key, &acknowledged);
        let callers = load.start();
        pause(100, 900).await;
        farebox.kill();
        load.end(callers).await;
        assert_eq!(*load.refused.lock().expect("no panic"), [] as [String; 0]);
        farebox = Farebox::with(options.clone()).await;
        farebox.books_are_clean().await;
        acknowledged.are_in_the_log(&farebox.pool).await;
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
    acknowledged.are_in_the_log(&farebox.pool).await;
    assert!(acknowledged.len() > scale(20, 50), "only {} calls were acknowledged", acknowledged.len());
    let cut = farebox.text("select count(*)::text from usage where status = 'abandoned'").await;
    assert_ne!(cut, "0", "no call was cut in the middle");
}

/// A durable server of its own, which this process starts again when it dies.
struct Server {
    embedded: Arc<Embedded>,
    _dir: TempDir,
}

impl Server {
    async fn start() -> Server {
        let dir = TempDir::new().expect("a directory");
        // The server's own user must be able to get there.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("opened");
        let options = ServerOptions { data_dir: dir.path().join("pg"), profile: Profile::Durable };
        let started = tokio::task::spawn_blocking(|| Embedded::start(options)).await.expect("a thread");
        Server { embedded: Arc::new(started.unwrap_or_else(|error| panic!("{error}"))), _dir: dir }
    }

    fn url(&self) -> String {
        self.embedded.url(DATABASE)
    }

    /// All processes of the server at once, so that none of them can write anything down any more.
    fn kill(&self) {
        let server = self.embedded.pid().expect("it runs");
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).expect("its children");
        let children = children.split_whitespace().map(|pid| pid.parse().expect("a pid"));
        for pid in std::iter::once(server).chain(children) {
            let pid = i32::try_from(pid).expect("a pid");
            // SAFETY: plain system call on the server that this test started and on its children.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}

async fn ready(farebox: &Farebox) {
    let deadline = Instant::now() + BACK_WITHIN;
    loop {
        let answer = farebox.http.get(farebox.url("/readyz")).send().await.expect("the program runs");
        if answer.status() == 200 {
            return;
        }
        assert!(Instant::now() < deadline, "it did not come back\n{}", farebox.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a call works again, without a restart.
async fn works_again(farebox: &Farebox, key: &Key) {
    let deadline = Instant::now() + BACK_WITHIN;
    loop {
        let answer = farebox.chat(key, "sandbox/penny", "hi", json!({})).await;
        if answer.status() == 200 {
            return;
        }
        assert!(Instant::now() < deadline, "it did not come back\n{}", farebox.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The spool of the process was replayed.
async fn spool_is_empty(farebox: &Farebox) {
    let spool = farebox.data_dir().join("spool");
    for _ in 0..300 {
        let entries = std::fs::read_dir(&spool).expect("a folder");
        let files = entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file())).count();
        if files == 0 {
            let dead = std::fs::read_dir(spool.join("dead")).map_or(0, Iterator::count);
            assert_eq!(dead, 0, "settlements were put aside\n{}", farebox.log());
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("settlements stay on disk\n{}", farebox.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_under_load_loses_nothing_and_comes_back_by_itself() {
    let (server, data) = (Server::start().await, TempDir::new().expect("a directory"));
    let mut options = options(&server.url(), data.path().to_owned());
    options.env[0].1 = "15".into();
    let farebox = Farebox::with(options).await;
    let key = farebox.key("ada@example.com", "1000", &[]).await;
    let acknowledged = Acknowledged::default();
    for _ in 0..scale(3, 20) {
        let load = Load::on(&farebox, &key, &acknowledged);
        let callers = load.start();
        pause(200, 1_200).await;
        server.kill();
        pause(200, 1_000).await;
        ready(&farebox).await;
        works_again(&farebox, &key).await;
        load.end(callers).await;
        assert_eq!(*load.refused.lock().expect("no panic"), [] as [String; 0], "only 503 with Retry-After");
        let slowest = *load.slowest.lock().expect("no panic");
        assert!(slowest <= REFUSED_WITHIN, "a refusal took {slowest:?}");
        spool_is_empty(&farebox).await;
        acknowledged.are_in_the_log(&farebox.pool).await;
        farebox.books_are_clean().await;
    }
    assert!(acknowledged.len() > 50, "only {} calls were acknowledged", acknowledged.len());
    farebox_holds_are_swept(&farebox).await;
    farebox.books_are_clean().await;
}

/// A hold whose admission was lost in the crash is given back after its time.
async fn farebox_holds_are_swept(farebox: &Farebox) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while farebox.text("select count(*)::text from hold").await != "0" {
        assert!(Instant::now() < deadline, "holds stay open\n{}", farebox.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_database_is_away_running_calls_end_and_new_ones_are_told_to_wait() {
    let (server, data) = (Server::start().await, TempDir::new().expect("a directory"));
    let farebox = Farebox::with(options(&server.url(), data.path().to_owned())).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let acknowledged = Acknowledged::default();
    let load = Load::on(&farebox, &key, &acknowledged);
    // Two seconds each, streamed and whole.
    let running: Vec<_> = (0..6)
        .map(|number| {
            let load = load.clone();
            tokio::spawn(async move { load.call("sandbox/slow", number % 2 == 0).await })
        })
        .collect();
    for _ in 0..100 {
        if farebox.text("select count(*)::text from hold").await == "6" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let embedded = Arc::clone(&server.embedded);
    tokio::task::spawn_blocking(move || embedded.stop()).await.expect("stopped");

    // One after the other, until all that ran has ended.
    let ended = futures_util::future::join_all(running);
    tokio::pin!(ended);
    let mut refusals = 0;
    loop {
        let begin = Instant::now();
        let answer = farebox.chat(&key, "sandbox/penny", "hi", json!({})).await;
        let took = begin.elapsed();
        assert_eq!(answer.status(), 503, "{}", farebox.log());
        assert!(answer.headers().contains_key("retry-after"));
        let error: Value = answer.json().await.expect("JSON");
        assert_eq!(error["error"]["code"], 503, "{error}");
        assert!(took <= REFUSED_WITHIN, "a refusal took {took:?}");
        refusals += 1;
        let not_ready = farebox.http.get(farebox.url("/readyz")).send().await.expect("the program runs");
        assert_eq!(not_ready.status(), 503);
        if let Ok(results) = tokio::time::timeout(Duration::from_millis(200), &mut ended).await {
            results.into_iter().for_each(|result| result.expect("no panic"));
            break;
        }
        assert!(refusals < 100, "running calls did not end\n{}", farebox.log());
    }
    assert_eq!(acknowledged.len(), 6, "every running call was answered to its end\n{}", farebox.log());
    let spooled = std::fs::read_dir(data.path().join("spool")).expect("a folder");
    assert!(spooled.flatten().any(|entry| entry.path().is_file()), "their settlements wait on disk");

    let again = ServerOptions { data_dir: server.embedded.data_dir().to_owned(), profile: Profile::Durable };
    let embedded = tokio::task::spawn_blocking(|| Embedded::start(again)).await.expect("a thread");
    let _embedded = embedded.unwrap_or_else(|error| panic!("{error}"));
    works_again(&farebox, &key).await;
    spool_is_empty(&farebox).await;
    acknowledged.are_in_the_log(&farebox.pool).await;
    farebox_holds_are_swept(&farebox).await;
    farebox.books_are_clean().await;
    let charged =
        farebox.text("select count(*)::text from usage where model_asked = 'sandbox/slow' and cost > 0").await;
    assert_eq!(charged, "6", "each was charged once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_between_a_commit_and_its_flush_charges_each_call_once() {
    let server = Server::start().await;
    let pool = PgPool::connect(&server.url()).await.expect("the database");
    farebox::db::migrate(&pool).await.expect("the schema");
    farebox::jobs::migrate(&pool).await.expect("the queue");
    // The server's own writer would bring the log to the disk sooner than the test can kill it.
    sqlx::query("alter system set wal_writer_delay = '10s'").execute(&pool).await.expect("set");
    sqlx::query("select pg_reload_conf()").execute(&pool).await.expect("read again");
    let mut lost = 0;
    for _ in 0..scale(3, 20) {
        let taken_back = crate::settle::a_commit_that_a_crash_took_back_is_settled_again(&pool, || server.kill()).await;
        lost += u32::from(taken_back);
    }
    assert!(lost > 0, "no crash took a commit back, so nothing was shown");
}

/// The database's processes that admit calls.
async fn admitting(farebox: &Farebox) -> Vec<i32> {
    let who =
        "select coalesce(string_agg(pid::text, ','), '') from pg_stat_activity where query like 'select hold_calls(%'";
    farebox.text(who).await.split(',').map(|pid| pid.parse().expect("a process admitted a call")).collect()
}

fn signal(pids: &[i32], what: libc::c_int) {
    for pid in pids {
        // SAFETY: plain system call on processes of the server that this test started.
        assert_eq!(unsafe { libc::kill(*pid, what) }, 0, "{pid} is there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_was_granted_when_nobody_waited_any_more_is_released_soon() {
    let (server, data) = (Server::start().await, TempDir::new().expect("a directory"));
    // Its time is far away, so it is not the sweeper that releases it.
    let env = vec![("FAREBOX_HOLD_TTL_SECONDS", "600".to_owned()), ("FAREBOX_SWEEP_SECONDS", "1".to_owned())];
    let farebox = Farebox::with(Options { env, ..options(&server.url(), data.path().to_owned()) }).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    works_again(&farebox, &key).await;
    farebox_holds_are_swept(&farebox).await;

    // The database takes a call in and stands still, until whoever asked has been told to come back.
    let pids = admitting(&farebox).await;
    signal(&pids, libc::SIGSTOP);
    let refused = farebox.chat(&key, "sandbox/penny", "hi", json!({})).await.status();
    // Whoever asked the database for it has given up as well.
    tokio::time::sleep(Duration::from_secs(1)).await;
    signal(&pids, libc::SIGCONT);
    assert_eq!(refused, 503, "{}", farebox.log());
    becomes(&farebox, "select count(*)::text from hold", "1").await;
    // Others are served meanwhile, and with all that there is.
    works_again(&farebox, &key).await;
    farebox_holds_are_swept(&farebox).await;
    let deadline = Instant::now() + BACK_WITHIN;
    while !farebox.log().contains("holds whose admission was not heard of were released") {
        assert!(Instant::now() < deadline, "nobody says what released it\n{}", farebox.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(farebox.text("select bool_and(held = 0)::text from credit").await, "true");
    let charged = "select count(*) filter (where cost > 0)::text || ' of ' || count(*) filter (where status = 'success') from usage";
    assert_eq!(farebox.text(charged).await, "2 of 2", "what was refused cost nothing");
    farebox.books_are_clean().await;
}

//! Whoever leaves in the middle leaves nothing behind for the next one.

use std::time::Duration;

use farebox::base::ids::OrgId;
use farebox::db;
use sqlx::{PgPool, Row};
use tokio::io::AsyncWriteExt;

use crate::support::visitor::Visitor;
use crate::support::{Farebox, cluster};

/// The next user of the pool's only connection: who it is, whether nothing was begun there before, on which process.
async fn next_user(pool: &PgPool) -> (String, bool, i32) {
    const ASKED: &str = "select current_user::text as name, pg_backend_pid() as process,
        transaction_timestamp() = statement_timestamp() as fresh";
    let mut conn = pool.acquire().await.expect("the connection is given back, or replaced");
    let row = sqlx::raw_sql(ASKED).fetch_one(&mut *conn).await.expect("a connection that works");
    (row.get("name"), row.get("fresh"), row.get("process"))
}

/// Upstream: <https://github.com/transact-rs/sqlx/issues/4393>.
#[tokio::test]
async fn a_transaction_that_is_given_up_while_it_begins_is_nobodys() {
    const SLOW: &str = "begin; set local role farebox_tenant; select pg_sleep(2)";
    let options = db::pool::options(&cluster::database().await).expect("an address");
    let pool = db::pool::of(1).connect_with(options).await.expect("the database");
    let (owner, _, process) = next_user(&pool).await;
    tokio::time::timeout(Duration::from_millis(500), pool.begin_with(SLOW)).await.expect_err("given up");
    let (user, is_fresh, now) = next_user(&pool).await;
    assert_eq!((user, is_fresh), (owner.clone(), true));
    assert_ne!(now, process, "the connection is replaced");
    // Whoever stays to the end, or leaves before it, finds the connection that was there before.
    let org = OrgId::fresh();
    db::tenant(&pool, org).await.expect("begun").commit().await.expect("committed");
    drop(db::tenant(&pool, org).await.expect("begun"));
    drop(db::tenant_snapshot(&pool, org).await.expect("begun"));
    let mut failed = pool.begin().await.expect("begun");
    sqlx::query("select 1 / 0").execute(&mut *failed).await.expect_err("no such number");
    drop(failed);
    assert_eq!(next_user(&pool).await, (owner, true, now), "a connection was thrown away");
}

/// Sends a request and closes the connection after so long.
async fn leave(farebox: &Farebox, visitor: &Visitor<'_>, what: &str, form: &str, after: Duration) {
    let host = farebox.base.trim_start_matches("http://");
    let cookies: Vec<String> = visitor.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = format!(
        "{what} HTTP/1.1\r\nHost: {host}\r\nCookie: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        cookies.join("; "),
        form.len()
    );
    let mut socket = tokio::net::TcpStream::connect(host).await.expect("a connection");
    socket.write_all(request.as_bytes()).await.expect("sent");
    tokio::time::sleep(after).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_who_leave_before_their_page_comes_spoil_nobody_elses() {
    const LEAVING: u64 = 400;
    let farebox = Farebox::start().await;
    let mut visitor = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let paths = ["/settings/presets", "/keys", "/credits", "/activity"];
    for (round, path) in (0..LEAVING).zip(paths.iter().cycle()) {
        leave(&farebox, &visitor, &format!("GET {path}"), "", Duration::from_micros(round * 97 % 6_000)).await;
    }
    for _ in 0..10 {
        for path in paths {
            let page = visitor.get(path).await;
            assert_eq!(page.status, 200, "{path}: {}", page.body);
        }
    }
    let log = farebox.log();
    assert!(!log.contains("transaction is aborted") && !log.contains("permission denied"), "{log}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let open = "select count(*)::text from pg_stat_activity where datname = current_database()
        and state like 'idle in transaction%' and state_change < clock_timestamp() - interval '2 seconds'";
    assert_eq!(farebox.text(open).await, "0", "transactions that nobody will end");
    farebox.books_are_clean().await;
}

/// A password is looked at before the try is written down; whoever leaves in between has guessed all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_whose_sender_leaves_is_worked_on_to_its_end() {
    const GUESSES: u64 = 60;
    let farebox = Farebox::start().await;
    Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let mut stranger = Visitor::new(&farebox);
    let token = stranger.token("/sign-in").await;
    let guess = [("email", "ada@example.com"), ("password", "a wrong password")];
    let form = serde_urlencoded::to_string([&[("csrf_token", token.as_str())][..], &guess].concat()).expect("a form");
    for round in 0..GUESSES {
        // Slowly enough that a hash has begun, too fast for it to be done.
        leave(&farebox, &stranger, "POST /sign-in", &form, Duration::from_millis(10 + round % 3 * 5)).await;
    }
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let page = stranger.post(&token, "/sign-in", &guess).await;
        if page.status == 429 {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "guesses were not counted: {}", page.body);
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

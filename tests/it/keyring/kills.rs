//! The program dies while a key changes its secret: what was done is whole, and whoever waited can go on.

use std::time::Duration;

use super::{ADA, PASSWORD, ada, make, status};
use crate::support::visitor::{Visitor, between};
use crate::support::{Farebox, Key, Options, cluster, scale};

/// A form that is sent while the program may be killed; what came back of it, if anything.
async fn sent(
    farebox: &Farebox,
    cookies: &[(String, String)],
    path: &str,
    form: Vec<(&str, String)>,
) -> Option<String> {
    let cookies: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = farebox.http.post(farebox.url(path)).header("cookie", cookies.join("; ")).form(&form);
    let answer = request.send().await.ok()?;
    let body = answer.text().await.ok()?;
    let text = between(&body, "<code id=\"key\">", "<");
    (!text.is_empty()).then_some(text)
}

/// Sends the form, kills the program after so long, and starts another on the same database.
async fn killed(
    farebox: Farebox,
    cookies: &[(String, String)],
    path: &str,
    form: Vec<(&str, String)>,
    after: Duration,
) -> (Farebox, Option<String>) {
    let mut farebox = farebox;
    let database_url = farebox.database_url.clone();
    let seen = {
        let answer = sent(&farebox, cookies, path, form);
        tokio::pin!(answer);
        tokio::select! {
            seen = &mut answer => seen,
            () = tokio::time::sleep(after) => None,
        }
    };
    farebox.kill();
    (Farebox::with(Options { database_url: Some(database_url), ..Options::default() }).await, seen)
}

fn moment(turn: u64) -> Duration {
    // Both forms take about five to fifteen milliseconds on a quiet machine: most of these fall into the middle.
    Duration::from_millis(turn * 7 % 19) + Duration::from_micros(turn * 331 % 1_000)
}

async fn field(visitor: &mut Visitor<'_>, path: &str, name: &str) -> String {
    between(&visitor.get(path).await.body, &format!("name=\"{name}\" value=\""), "\"")
}

/// Rotates a key by its page, without a kill.
async fn rotated(visitor: &mut Visitor<'_>, id: &str) -> String {
    let path = format!("/keys/{id}/rotate");
    let seen = field(visitor, &path, "seen").await;
    super::shown(&visitor.submit(&path, &path, &[("seen", &seen), ("grace", "24")]).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_a_key_rotates_leaves_a_key_that_works() {
    let database_url = cluster::database().await;
    let mut farebox = Farebox::with(Options { database_url: Some(database_url), ..Options::default() }).await;
    let (cookies, mut key) = {
        let mut ada = ada(&farebox).await;
        let key = make(&mut ada, &[]).await;
        (ada.cookies().to_vec(), key)
    };
    let (mut done, turns) = (0, scale(6, 60));
    for turn in 0..turns {
        let before = farebox.text("select digest::text from api_key").await;
        let path = format!("/keys/{}/rotate", key.id);
        let mut ada = Visitor::with_cookies(&farebox, &cookies);
        let seen = field(&mut ada, &path, "seen").await;
        let token = ada.token(&path).await;
        let form = vec![("csrf_token", token), ("seen", seen), ("grace", "24".to_owned())];
        let (next, shown) = killed(farebox, &cookies, &path, form, moment(turn)).await;
        farebox = next;
        let changed = farebox.text("select digest::text from api_key").await != before;
        done += u64::from(changed);
        // The old one is in its grace, or nothing happened to it.
        assert_eq!(status(&farebox, &key, "sandbox/penny").await, 200, "turn {turn}");
        let text = match shown {
            Some(text) => {
                assert!(changed, "what was shown is kept");
                text
            }
            // Nobody saw a new secret, so another is made, which the form still allows.
            None => rotated(&mut Visitor::with_cookies(&farebox, &cookies), &key.id).await,
        };
        key = Key { text, ..key };
        assert_eq!(status(&farebox, &key, "sandbox/penny").await, 200, "turn {turn}");
    }
    let told = farebox.text("select count(*)::text from audit_entry where action = 'key.rotated'").await;
    let by_hand: u64 = told.parse::<u64>().expect("a number") - done;
    assert!(by_hand <= turns, "each rotation has one entry: {told}, {done} under kills");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_a_key_is_claimed_loses_neither_key_nor_link() {
    let database_url = cluster::database().await;
    let mut farebox = Farebox::with(Options { database_url: Some(database_url), ..Options::default() }).await;
    let mut cookies = ada(&farebox).await.cookies().to_vec();
    for turn in 0..scale(6, 60) {
        let (mut ada, id) = (Visitor::with_cookies(&farebox, &cookies), farebox::base::ids::KeyId::fresh().to_string());
        let page = ada.submit("/keys/give", "/keys/give", &[("id", &id), ("name", "For Noor"), ("total", "1")]).await;
        let link = between(&page.body, "<code id=\"link\">", "<");
        let token = link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a link");
        let mut friend = Visitor::new(&farebox);
        let proof = friend.token("/key").await;
        let theirs = friend.cookies().to_vec();
        let form = vec![("csrf_token", proof), ("token", token.clone())];
        let (next, shown) = killed(farebox, &theirs, "/claim", form, moment(turn)).await;
        farebox = next;

        let mut friend = Visitor::new(&farebox);
        let mut ada = Visitor::with_cookies(&farebox, &cookies);
        let text = if let Some(text) = shown {
            text
        } else if ada.get(&format!("/keys/{id}")).await.body.contains("Waits to be claimed") {
            // The link is as good as before.
            let proof = friend.token("/key").await;
            super::shown(&friend.post(&proof, "/claim", &[("token", &token)]).await)
        } else {
            // It was claimed and nobody saw it: the link says so, and its maker makes another secret.
            let proof = friend.token("/key").await;
            let page = friend.post(&proof, "/claim", &[("token", &token)]).await;
            assert!(page.status >= 400 && page.body.contains("used"), "{}", page.body);
            rotated(&mut ada, &id).await
        };
        let key = Key { text, org: String::new(), id };
        assert_eq!(status(&farebox, &key, "sandbox/penny").await, 200, "turn {turn}");
        if ada.get("/keys").await.status != 200 {
            let fields = [("email", ADA), ("password", PASSWORD)];
            ada.submit("/sign-in", "/sign-in", &fields).await;
        }
        cookies = ada.cookies().to_vec();
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

//! A key for a friend: the link, the claim, and what its holder sees.

use futures_util::future::join;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::{PASSWORD, ada, make, saved, shown, status, within_a_second};
use crate::support::visitor::{Page, Visitor, between};
use crate::support::{Farebox, Key, calendar};

/// Makes a link; the id of the key and the path of the link.
async fn give(visitor: &mut Visitor<'_>, fields: &[(&str, &str)]) -> (String, String) {
    let id = farebox::base::ids::KeyId::fresh().to_string();
    let mut sent = vec![("id", id.as_str()), ("name", "For Noor")];
    sent.extend(fields);
    let page = visitor.submit("/keys/give", "/keys/give", &sent).await;
    assert_eq!(page.status, 200, "{}", page.body);
    (id, link(&page))
}

fn link(page: &Page) -> String {
    let link = between(&page.body, "<code id=\"link\">", "<");
    let (_, path) = link.split_once("/claim?").expect("a link");
    format!("/claim?{path}")
}

fn token(link: &str) -> &str {
    link.split_once("token=").map_or("", |(_, token)| token)
}

async fn claim(stranger: &mut Visitor<'_>, link: &str) -> Page {
    let proof = stranger.token("/key").await;
    stranger.post(&proof, "/claim", &[("token", token(link))]).await
}

/// Whether any row of any table has this text, as text or as bytes.
async fn is_stored(farebox: &Farebox, text: &str) -> bool {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&farebox.pool)
    .await
    .expect("tables");
    assert!(tables.len() > 40, "{tables:?}");
    for table in tables {
        let query = format!(
            "select exists (select from {table} t where to_jsonb(t)::text like $1 or to_jsonb(t)::text like $2)"
        );
        let found: bool = sqlx::query_scalar(AssertSqlSafe(query))
            .bind(format!("%{text}%"))
            .bind(format!("%{}%", hex::encode(text)))
            .fetch_one(&farebox.pool)
            .await
            .expect("an answer");
        if found {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_friend_claims_a_key_once_without_an_account() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let (id, link) = give(&mut ada, &[("day", "0.02"), ("total", "1")]).await;
    assert_eq!(farebox.text("select concat_ws('|', digest, label) from api_key").await, "", "there is no secret yet");
    assert!(!is_stored(&farebox, token(&link)).await, "nor is the link kept");
    let page = ada.get(&format!("/keys/{id}")).await.body;
    assert!(page.contains("Waits to be claimed") && !page.contains("Use it"), "nobody can use it yet: {page}");
    assert!(ada.get("/keys").await.body.contains("Not claimed"));
    assert_eq!(ada.get(&format!("/keys/{id}/rotate")).await.status, 200);

    // Programs that read mail open links. That changes nothing, however often.
    let mut friend = Visitor::new(&farebox);
    for _ in 0..3 {
        let page = friend.get(&link).await;
        assert_eq!(page.status, 200);
        for part in ["For Noor", "$0.02 each day", "$1.00 in all", "Show my key"] {
            assert!(page.body.contains(part), "{part}: {}", page.body);
        }
        assert!(!page.body.contains("sk-fb-v1-"));
    }
    let answer = farebox.http.get(farebox.url(&link)).send().await.expect("an answer");
    let policy = answer.headers().get("referrer-policy").and_then(|value| value.to_str().ok());
    assert_eq!(policy, Some("strict-origin"), "nothing that the page loads hears of its address");
    let page = claim(&mut friend, &link).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let key = Key { text: shown(&page), org: String::new(), id: id.clone() };
    assert!(page.body.contains("Open WebUI") && page.body.contains("/api/v1"), "it says how to use it");
    assert!(!is_stored(&farebox, &key.text).await, "only a digest of the key is kept");
    assert!(!farebox.log().contains(&key.text) && !farebox.log().contains(token(&link)), "nothing is in the log");

    assert_eq!(status(&farebox, &key, "sandbox/penny").await, 200);
    assert_eq!(status(&farebox, &key, "sandbox/penny").await, 200);
    assert_eq!(status(&farebox, &key, "sandbox/penny").await, 403, "it stops at its limit");

    // Used is used, for the friend and for whoever finds the link.
    for mut again in [friend, Visitor::new(&farebox)] {
        assert_eq!(again.get(&link).await.status, 410);
        let page = claim(&mut again, &link).await;
        assert!(page.status == 410 && page.body.contains("This link was used"), "{}", page.body);
    }
    let remade = ada.submit(&format!("/keys/{id}"), &format!("/keys/{id}/link"), &[("lasts", "1d")]).await;
    assert_eq!(remade.status, 303);
    assert!(ada.get(&remade.location).await.body.contains("Somebody has claimed this key"));
    let log = "select string_agg(action || ' by ' || actor_kind, ', ' order by seq) from audit_entry where action like 'key.%'";
    assert_eq!(farebox.text(log).await, "key.created by person, key.offered by person, key.claimed by nobody");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_claim_at_once_one_gets_the_key() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    for _ in 0..5 {
        let (_, link) = give(&mut ada, &[]).await;
        let (mut one, mut other) = (Visitor::new(&farebox), Visitor::new(&farebox));
        let (one, other) = join(claim(&mut one, &link), claim(&mut other, &link)).await;
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 410]);
    }
    assert_eq!(farebox.text("select count(distinct digest)::text from api_key").await, "5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_late_revoked_replaced_or_withdrawn_says_so() {
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let mut friend = Visitor::new(&farebox);
    let says = async |friend: &mut Visitor<'_>, link: &str, title: &str| {
        for page in [friend.get(link).await, claim(friend, link).await] {
            assert!(page.status == 410 && page.body.contains(title), "{title}: {}", page.body);
            assert!(!page.body.contains("sk-fb-v1-"));
        }
    };
    let (id, first) = give(&mut ada, &[]).await;
    let path = format!("/keys/{id}");
    let second = link(&ada.submit(&path, &format!("{path}/link"), &[("lasts", "3d")]).await);
    says(&mut friend, &first, "This link does not work").await;
    assert_eq!(friend.get(&second).await.status, 200, "the newest one does");

    sqlx::query("update key_claim set expires_at = now() - interval '1 second'")
        .execute(&farebox.pool)
        .await
        .expect("late");
    says(&mut friend, &second, "This link is too old").await;
    assert!(ada.get(&path).await.body.contains("was not used before"));

    let third = link(&ada.submit(&path, &format!("{path}/link"), &[]).await);
    ada.submit(&path, &format!("{path}/disable"), &[]).await;
    says(&mut friend, &third, "not given out any more").await;
    ada.submit(&path, &format!("{path}/enable"), &[]).await;
    assert_eq!(friend.get(&third).await.status, 200);

    assert_eq!(ada.submit(&path, &format!("{path}/unlink"), &[]).await.status, 303);
    says(&mut friend, &third, "This link does not work").await;
    says(&mut friend, "/claim?token=", "This link does not work").await;
    says(&mut friend, "/claim", "This link does not work").await;

    let (id, last) = give(&mut ada, &[]).await;
    ada.submit("/keys", &format!("/keys/{id}/delete"), &[]).await;
    says(&mut friend, &last, "not given out any more").await;
    assert_eq!(farebox.text("select count(digest)::text from api_key").await, "0", "no secret was ever made");
}

async fn look_up<'a>(farebox: &'a Farebox, key: &str) -> (Visitor<'a>, Page) {
    let mut holder = Visitor::new(farebox);
    let sent = holder.submit("/key", "/key", &[("key", key)]).await;
    let page = if sent.status == 303 { holder.get("/key").await } else { sent };
    (holder, page)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_a_key_sees_what_is_its_own_and_nothing_else() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let mut ada = ada(&farebox).await;
    let (_, link) = give(&mut ada, &[("day", "0.50"), ("month", "3")]).await;
    let mut friend = Visitor::new(&farebox);
    let mine = Key { text: shown(&claim(&mut friend, &link).await), org: String::new(), id: String::new() };
    let other = make(&mut ada, &[("name", "Secret project")]).await;
    for _ in 0..30 {
        farebox.chat(&mine, "sandbox/penny", "mine", json!({})).await;
    }
    farebox.chat(&other, "sandbox/echo", "not mine", json!({})).await;
    farebox.holds_are_closed().await;

    // Right after the claim, and whenever the key is pasted.
    let after_claim = friend.get("/key").await;
    let (mut holder, pasted) = look_up(&farebox, &format!(" {} ", mine.text)).await;
    for page in [&after_claim, &pasted] {
        assert_eq!(page.status, 200);
        for part in [
            "For Noor",
            "<span class=\"num\">$0.30</span> <span class=\"muted\">of <span class=\"num\">$0.50</span>",
            "Each month",
            "30 calls",
            "sandbox/penny",
        ] {
            assert!(page.body.contains(part), "{part}: {}", page.body);
        }
        for hidden in [">sandbox/echo<", "Secret project", "$49", "$50", ADA_MAIL, mine.text.as_str()] {
            assert!(!page.body.contains(hidden), "{hidden}: {}", page.body);
        }
    }
    assert_eq!(pasted.body.matches("data-label=\"Cost\"").count(), 25);
    let older = between(&pasted.body, "href=\"/key?before=", "\"");
    let second = holder.get(&format!("/key?before={older}")).await;
    assert_eq!(second.body.matches("data-label=\"Cost\"").count(), 5);

    // The mark of the browser is not the key, and opens nothing else.
    let marks: String = holder.cookies().iter().map(|(name, value)| format!("{name}={value};")).collect();
    assert!(marks.contains("farebox_holder") && !marks.contains(&mine.text[9..40]), "{marks}");
    assert_eq!(holder.get("/keys").await.status, 303, "no page of members");

    // It ends with the secret, with the key's address rule, and when it is closed.
    let mut closed = look_up(&farebox, &mine.text).await.0;
    closed.submit("/key", "/key/close", &[]).await;
    assert!(closed.get("/key").await.body.contains("Look up a key"));
    ada.submit("/keys", "/keys/several", &[("key", &key_id(&farebox, "For Noor").await), ("action", "disable")]).await;
    assert!(holder.get("/key").await.body.contains("This key is disabled"));
    let id = key_id(&farebox, "For Noor").await;
    ada.submit("/keys", &format!("/keys/{id}/enable"), &[]).await;
    saved(&mut ada, &id, &[("networks", "203.0.113.0/24")]).await;
    assert!(holder.get("/key").await.body.contains("Look up a key"), "not from this address");
    within_a_second(&farebox, &mine, "sandbox/echo", 403).await;
    let (_, far) = look_up(&farebox, &mine.text).await;
    assert!(far.status == 422 && far.body.contains("may not be used from your address"), "{}", far.body);
    saved(&mut ada, &id, &[("networks", "")]).await;
    assert!(holder.get("/key").await.body.contains("What is left"));
    let path = format!("/keys/{id}/rotate");
    let seen = between(&ada.get(&path).await.body, "name=\"seen\" value=\"", "\"");
    ada.submit(&path, &path, &[("seen", &seen), ("grace", "0")]).await;
    assert!(holder.get("/key").await.body.contains("Look up a key"), "the key has another secret");
}

const ADA_MAIL: &str = "ada@example.com";

async fn key_id(farebox: &Farebox, name: &str) -> String {
    let id: uuid::Uuid = sqlx::query_scalar("select id from api_key where name = $1")
        .bind(name)
        .fetch_one(&farebox.pool)
        .await
        .expect("a key");
    farebox::base::ids::KeyId(id).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_opens_nothing_and_is_not_repeated() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA_MAIL, PASSWORD).await;
    let key = make(&mut ada, &[]).await;
    let mut mistyped = key.text.clone();
    mistyped.replace_range(20..21, if &mistyped[20..21] == "0" { "1" } else { "0" });
    let unknown = farebox_key();
    for wrong in ["", "hello", mistyped.as_str(), unknown.as_str()] {
        let (_, page) = look_up(&farebox, wrong).await;
        assert!(page.status == 422 && page.body.contains("There is no such key"), "{}", page.body);
        assert!(wrong.len() < 10 || !page.body.contains(wrong));
    }
    for mark in ["", "x", "a.b.c.d", "org_0.key_0.9999999999.00"] {
        let cookies = [("farebox_holder".to_owned(), mark.to_owned())];
        let page = Visitor::with_cookies(&farebox, &cookies).get("/key").await;
        assert!(page.status == 200 && page.body.contains("Look up a key"), "{mark}");
    }
}

/// A well-formed key that nobody has.
fn farebox_key() -> String {
    farebox::keys::PlainKey::fresh().reveal().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_an_issued_key_is_told_what_stops_it_above_and_not_how_much_there_is() {
    calendar::within_a_day().await;
    use crate::stories::management::{issue, provisioning};
    let farebox = Farebox::start().await;
    let manager = provisioning(&farebox, ADA_MAIL, "10", &["--limit", "4.44"]).await;
    let (key, _) = issue(&farebox, &manager, json!({ "name": "For Noor", "limit": 5 })).await;
    assert_eq!(status(&farebox, &key, "sandbox/penny").await, 200);
    farebox.holds_are_closed().await;
    let mut holder = look_up(&farebox, &key.text).await.0;
    let open = holder.get("/key").await.body;
    assert!(open.contains("Active") && open.contains("$4.99 left") && !open.contains("Refused now"), "{open}");
    assert!(!open.contains("4.44") && !open.contains("4.43"), "the budget above it is not told: {open}");
    for (stop, go_on, told) in [
        (
            "update api_key set disabled_at = now() where kind = 'provisioning'",
            "update api_key set disabled_at = null",
            "The key that issued this one is disabled",
        ),
        (
            "update meter set limit_total = 0.01 where kind = 'provisioning'",
            "update meter set limit_total = null where kind = 'provisioning'",
            "A budget that this key shares with others is used up",
        ),
        (
            "update meter set limit_day = 0.01 where kind = 'member'",
            "update meter set limit_day = null where kind = 'member'",
            "A budget that this key shares with others is used up",
        ),
        (
            "update person set frozen_at = now(), frozen_by = id",
            "update person set frozen_at = null, frozen_by = null",
            "The account that made this key is frozen",
        ),
        ("update org set frozen_at = now()", "update org set frozen_at = null", "The organization is frozen"),
        (
            "update org set keys_stopped_at = now()",
            "update org set keys_stopped_at = null",
            "All keys of the organization are stopped",
        ),
    ] {
        sqlx::query(stop).execute(&farebox.pool).await.expect("a change");
        let page = holder.get("/key").await.body;
        assert!(page.contains(told) && page.contains("Refused now") && !page.contains(">Active<"), "{told}: {page}");
        within_a_second(&farebox, &key, "sandbox/penny", 403).await;
        sqlx::query(go_on).execute(&farebox.pool).await.expect("a change");
        assert!(!holder.get("/key").await.body.contains("Refused now"), "{told}");
    }
    sqlx::query("update api_key set expires_at = now() - interval '1 second' where kind = 'provisioning'")
        .execute(&farebox.pool)
        .await
        .expect("a change");
    assert!(holder.get("/key").await.body.contains("This key has expired"));
    sqlx::query("update api_key set expires_at = null, allowed_ips = '{203.0.113.0/24}' where kind = 'provisioning'")
        .execute(&farebox.pool)
        .await
        .expect("a change");
    assert!(holder.get("/key").await.body.contains("Look up a key"), "not from this address");
}

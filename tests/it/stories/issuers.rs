//! Provisioning keys in the hands of people: who may change one, give it another secret or use it, and what then becomes of
//! what it issued.

use std::time::{Duration, Instant};

use farebox::base::ids::KeyId;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use super::management::{ask, issue, provisioning, send};
use super::teams::fund;
use crate::support::farebox::{Farebox, Key, Options};
use crate::support::team;
use crate::support::visitor::{Page, Visitor, between, form};

const ADA: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";
const NEW: &str = "/settings/provisioning/new";
const LIST: &str = "/settings/provisioning";

async fn second_node(first: &Farebox) -> Farebox {
    Farebox::with(Options { database_url: Some(first.database_url.clone()), ..Options::default() }).await
}

/// Makes one on its page.
pub async fn by_hand(visitor: &mut Visitor<'_>, fields: &[(&str, &str)]) -> Key {
    let id = KeyId::fresh().to_string();
    let mut sent = vec![("id", id.as_str()), ("name", "Bot"), ("may_manage", "on"), ("expires", "never")];
    sent.extend(fields);
    let page = visitor.submit(NEW, LIST, &sent).await;
    Key { text: shown(&page), org: String::new(), id }
}

fn shown(page: &Page) -> String {
    let text = between(&page.body, "<code id=\"key\">", "<");
    assert!(page.status == 200 && text.starts_with("sk-fb-v1-"), "{} {}", page.status, page.body);
    text
}

async fn call(node: &Farebox, key: &Key) -> u16 {
    node.chat(key, "sandbox/penny", "one cent", json!({})).await.status().as_u16()
}

async fn lists(node: &Farebox, key: &Key) -> u16 {
    send(node, key, reqwest::Method::GET, "/api/v1/keys", None).await.status().as_u16()
}

/// What a question is answered with becomes this within a second, on both nodes.
async fn becomes(nodes: [&Farebox; 2], expected: u16, asked: impl AsyncFn(&Farebox) -> u16) {
    for node in nodes {
        let begun = Instant::now();
        loop {
            let found = asked(node).await;
            if found == expected {
                break;
            }
            assert!(begun.elapsed() < crate::support::size::heard_within(), "{found}, not {expected}, in time");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The form as it is filled in, with these fields in place of its own.
async fn filled(visitor: &mut Visitor<'_>, path: &str, fields: &[(&str, &str)]) -> Vec<(String, String)> {
    let page = visitor.get(path).await.body;
    let mut all = form(&page, path);
    for area in ["models", "networks"] {
        let rest = between(&page, &format!("<textarea class=\"input\" id=\"{area}\""), "</textarea>");
        all.push((area.to_owned(), rest.split_once('>').map_or("", |(_, text)| text).to_owned()));
    }
    all.push(("expires".to_owned(), "keep".to_owned()));
    all.retain(|(name, _)| name != "csrf_token" && name != "byok" && !fields.iter().any(|(other, _)| other == name));
    all.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all
}

async fn sent(visitor: &mut Visitor<'_>, path: &str, fields: &[(String, String)]) -> Page {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    visitor.submit(path, path, &fields).await
}

pub async fn edit(visitor: &mut Visitor<'_>, key: &Key, fields: &[(&str, &str)]) -> Page {
    let path = format!("{LIST}/{}/edit", key.id);
    let fields = filled(visitor, &path, fields).await;
    sent(visitor, &path, &fields).await
}

async fn rotate(visitor: &mut Visitor<'_>, key: &Key, grace: &str) -> Page {
    let path = format!("{LIST}/{}/rotate", key.id);
    let page = visitor.get(&path).await.body;
    let seen = between(&page, "name=\"seen\" value=\"", "\"");
    visitor.submit(&path, &path, &[("seen", &seen), ("grace", grace)]).await
}

async fn forget_who_it_is(farebox: &Farebox) {
    sqlx::query("update session set authenticated_at = now() - interval '1 hour'")
        .execute(&farebox.pool)
        .await
        .expect("a change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_ordinary_keys_know_of_no_provisioning_key() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let bot = by_hand(&mut ada, &[("total", "1")]).await;
    let seen = between(&ada.get(&format!("{LIST}/{}/edit", bot.id)).await.body, "name=\"seen\" value=\"", "\"");
    for page in ["", "/edit", "/rotate", "/delete"] {
        assert_eq!(ada.get(&format!("/keys/{}{page}", bot.id)).await.status, 404, "{page}");
    }
    let fields = [("seen", seen.as_str()), ("grace", "72"), ("name", "Mine"), ("total", ""), ("lasts", "7d")];
    for action in ["edit", "rotate", "disable", "enable", "delete", "link", "unlink"] {
        let page = ada.submit("/keys", &format!("/keys/{}/{action}", bot.id), &fields).await;
        assert!(page.status == 404 && !page.body.contains("sk-fb-v1-"), "{action}: {}", page.body);
    }
    for action in ["disable", "delete-sure", "limit-sure"] {
        let page = ada.submit("/keys", "/keys/several", &[("key", &bot.id), ("action", action)]).await;
        assert_eq!(page.status, 303, "{action}");
        assert!(ada.get(&page.location).await.body.contains("No key was chosen"), "{action}");
    }
    let stands = "select concat_ws(' ', k.name, m.limit_total, k.disabled_at, k.deleted_at) from api_key k
                  join meter m on m.id = k.id";
    assert_eq!(farebox.text(stands).await, "Bot 1.000000000000", "nothing was done to it");
    assert_eq!(lists(&farebox, &bot).await, 200);
    // An ordinary key is none of the other pages' business either.
    let plain = farebox.key(ADA, "", &[]).await;
    for page in ["", "/edit", "/rotate", "/delete"] {
        assert_eq!(ada.get(&format!("{LIST}/{}{page}", plain.id)).await.status, 404, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_no_admin_any_more_manages_nothing_until_somebody_takes_the_key_over() {
    let first = Farebox::start().await;
    let second = second_node(&first).await;
    let nodes = [&first, &second];
    let mut ada = Visitor::member(&first, ADA, PASSWORD).await;
    let mut grace = Visitor::member(&first, "grace@example.com", PASSWORD).await;
    let org = team::create(&mut ada, "Engines").await;
    team::bring_in(&first, &mut ada, &mut grace, "grace@example.com", "admin").await;
    team::open(&mut grace, &org).await;
    let moved = ada.submit("/settings/profile", &format!("/organizations/{org}/open"), &[]).await;
    assert_eq!(moved.status, 303);
    let bot = by_hand(&mut grace, &[("may_call", "on")]).await;
    let (issued, _) = issue(&first, &bot, json!({ "name": "friend" })).await;
    // There are no credits, so a call that is let in is told so.
    becomes(nodes, 402, async |node| call(node, &issued).await).await;
    becomes(nodes, 200, async |node| lists(node, &bot).await).await;

    let role = format!("/settings/members/{}/role", team::person(&first, "grace@example.com").await);
    assert_eq!(ada.submit("/settings/members", &role, &[("role", "member")]).await.status, 303);
    becomes(nodes, 403, async |node| lists(node, &bot).await).await;
    for (method, path, body) in [
        ("POST", "/api/v1/keys", Some(json!({ "name": "more" }))),
        ("GET", "/api/v1/organization/members", None),
        ("GET", "/api/v1/activity", None),
        ("POST", "/api/v1/analytics/query", Some(json!({ "metrics": ["request_count"] }))),
        ("GET", "/api/v1/byok", None),
        ("POST", "/api/v1/presets/mine/chat/completions", Some(json!({ "model": "sandbox/echo" }))),
    ] {
        let told = ask(&first, &bot, (method, path), body, 403).await;
        assert!(told["error"]["message"].as_str().is_some_and(|text| text.contains("owner or admin")), "{told}");
    }
    becomes(nodes, 402, async |node| call(node, &issued).await).await;
    for page in ["edit", "rotate"] {
        for place in [LIST, "/keys"] {
            let path = format!("{place}/{}/{page}", bot.id);
            assert!(matches!(grace.get(&path).await.status, 403 | 404), "{path}");
            let fields = [("seen", "1"), ("grace", "72"), ("name", "Mine")];
            assert!(matches!(grace.submit("/keys", &path, &fields).await.status, 403 | 404), "{path}");
        }
    }

    // An owner sees what became of it and takes it over; the secret that Grace has is worth nothing then.
    let show = format!("{LIST}/{}", bot.id);
    assert!(ada.get(&show).await.body.contains("no owner or admin any more"));
    assert!(ada.get(&format!("{show}/rotate")).await.body.contains("It becomes yours"));
    let page = rotate(&mut ada, &bot, "72").await;
    assert!(page.body.contains("The old key no longer works"), "{}", page.body);
    let taken = Key { text: shown(&page), ..bot.clone() };
    becomes(nodes, 401, async |node| lists(node, &bot).await).await;
    becomes(nodes, 200, async |node| lists(node, &taken).await).await;
    becomes(nodes, 402, async |node| call(node, &issued).await).await;
    assert!(!ada.get(&show).await.body.contains("no owner or admin any more"));
    let maker = "select p.email from api_key k join person p on p.id = k.created_by where k.kind = 'provisioning'";
    assert_eq!(first.text(maker).await, ADA);
    let log = "select count(*)::text from audit_entry where action = 'key.changed' and after::text like '%maker%'";
    assert_eq!(first.text(log).await, "1");
    // One whose maker may manage keeps its maker, and its old secret for the grace.
    let again = Key { text: shown(&rotate(&mut ada, &bot, "24").await), ..bot.clone() };
    becomes(nodes, 200, async |node| lists(node, &taken).await).await;
    becomes(nodes, 200, async |node| lists(node, &again).await).await;
    assert!(first.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_lost_while_keys_are_made_leaves_none_made_after_it() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let mut grace = Visitor::member(&farebox, "grace@example.com", PASSWORD).await;
    let org = team::create(&mut ada, "Engines").await;
    team::bring_in(&farebox, &mut ada, &mut grace, "grace@example.com", "admin").await;
    team::open(&mut grace, &org).await;
    let bot = by_hand(&mut grace, &[]).await;
    let role = format!("/settings/members/{}/role", team::person(&farebox, "grace@example.com").await);
    let token = ada.token("/settings/members").await;
    let minting = join_all((0..20).map(|number| {
        let body = json!({ "name": format!("late {number}") });
        send(&farebox, &bot, reqwest::Method::POST, "/api/v1/keys", Some(body))
    }));
    let (made, changed) = join(minting, ada.post(&token, &role, &[("role", "billing")])).await;
    assert_eq!(changed.status, 303);
    for answer in made {
        assert!(matches!(answer.status().as_u16(), 201 | 403), "nobody waits crosswise: {}", answer.status());
    }
    // A role without keys stops whatever was made before; nothing came after.
    let enabled = "select count(*)::text from api_key where disabled_at is null and created_by =
                   (select id from person where email = 'grace@example.com')";
    assert_eq!(farebox.text(enabled).await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rule_of_a_provisioning_key_is_edited_and_what_it_issued_obeys() {
    let first = Farebox::start().await;
    let second = second_node(&first).await;
    let nodes = [&first, &second];
    let mut ada = Visitor::member(&first, ADA, PASSWORD).await;
    first.cli(&["credits", "grant", "--email", ADA, "--amount", "50"]).await;
    let bot = by_hand(&mut ada, &[]).await;
    let (issued, _) = issue(&first, &bot, json!({ "name": "friend" })).await;
    let calls = async |node: &Farebox| call(node, &issued).await;
    becomes(nodes, 200, calls).await;
    let page = format!("{LIST}/{}", bot.id);
    let mut rules = async |fields: &[(&str, &str)]| {
        let saved = edit(&mut ada, &bot, fields).await;
        assert_eq!((saved.status, saved.location), (303, page.clone()), "{fields:?} {}", saved.body);
    };
    for (field, narrow, wide, refused) in [
        ("networks", "203.0.113.0/24", "", 403),
        ("models", "sandbox/echo", "", 403),
        ("total", "0.01", "", 403),
        ("networks", "127.0.0.1 ::1", "127.0.0.0/8 ::1", 200),
    ] {
        rules(&[(field, narrow)]).await;
        becomes(nodes, refused, calls).await;
        rules(&[(field, wide)]).await;
        becomes(nodes, 200, calls).await;
    }
    rules(&[("per_minute", "1")]).await;
    becomes(nodes, 429, calls).await;
    rules(&[("per_minute", "")]).await;
    becomes(nodes, 200, calls).await;
    rules(&[("expires", "on"), ("expires_on", "2199-01-01")]).await;
    let ends = async |node: &Farebox| {
        let shown = node.get(&issued, "/api/v1/key").await;
        shown["data"]["expires_at"].as_str().and_then(|at| at.get(..4)?.parse().ok()).unwrap_or_default()
    };
    becomes(nodes, 2199, ends).await;
    rules(&[("name", "Renamed"), ("byok", "on"), ("day", "1"), ("month", "20")]).await;
    let stands = "select concat_ws(' ', k.name, m.limit_day, m.limit_month, m.include_byok) from api_key k
                  join meter m on m.id = k.id where k.kind = 'provisioning'";
    assert_eq!(first.text(stands).await, "Renamed 1.000000000000 20.000000000000 t");
    let told = ada.get(&page).await.body;
    for part in ["Renamed", "Count too", "each day", "each month"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let log = "select count(*)::text from audit_entry where action = 'key.changed' and actor_kind = 'person'";
    assert_eq!(first.text(log).await, "12");

    // Mistakes are told beside their fields, and nothing is changed.
    let wrong = edit(&mut ada, &bot, &[("day", "ten"), ("networks", "300.1.1.1"), ("models", "no/such")]).await;
    assert_eq!(wrong.status, 422);
    for part in ["is not an amount of dollars", "is not an address", "There is no model"] {
        assert!(wrong.body.contains(part), "{part}: {}", wrong.body);
    }
    // Whoever sits down at an open browser is asked first who they are.
    forget_who_it_is(&first).await;
    for part in ["edit", "rotate"] {
        let path = format!("{page}/{part}");
        assert!(ada.get(&path).await.location.starts_with("/step-up"), "{part}");
        let fields = [("seen", "1"), ("grace", "0"), ("name", "Mine")];
        let asked = ada.submit("/settings/profile", &path, &fields).await;
        assert!(asked.status == 303 && asked.location.starts_with("/step-up"), "{} {}", asked.status, asked.location);
    }
    assert_eq!(first.text(stands).await, "Renamed 1.000000000000 20.000000000000 t");
    first.holds_are_closed().await;
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_change_a_provisioning_key_at_once_one_does() {
    let first = Farebox::start().await;
    let second = second_node(&first).await;
    let mut ada = Visitor::member(&first, ADA, PASSWORD).await;
    let bot = by_hand(&mut ada, &[("total", "1")]).await;
    let cookies = ada.cookies().to_vec();
    let mut other = Visitor::with_cookies(&second, &cookies);
    for round in 0..5 {
        let path = format!("{LIST}/{}/edit", bot.id);
        let one = filled(&mut ada, &path, &[("total", &format!("{}", 2 + round))]).await;
        let two = filled(&mut other, &path, &[("day", &format!("{}", 2 + round))]).await;
        let (one, two) = join(sent(&mut ada, &path, &one), sent(&mut other, &path, &two)).await;
        assert_eq!((one.status, two.status), (303, 303));
        let changed = "select count(*)::text from audit_entry where action = 'key.changed'";
        assert_eq!(first.text(changed).await, (round + 1).to_string(), "the other one is told, and changes nothing");
    }
    let path = format!("{LIST}/{}/rotate", bot.id);
    let seen = between(&ada.get(&path).await.body, "name=\"seen\" value=\"", "\"");
    let fields = [("seen", seen.as_str()), ("grace", "0")];
    let (one, two) = join(ada.submit(&path, &path, &fields), other.submit(&path, &path, &fields)).await;
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 303], "one gets the new secret, the other one is told");
    assert_eq!(first.text("select count(*)::text from audit_entry where action = 'key.rotated'").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_preset_and_own_accounts_are_handed_on() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    farebox.cli(&["credits", "grant", "--email", ADA, "--amount", "50"]).await;
    let preset = farebox::base::ids::PresetId::fresh().to_string();
    let fields = [("id", preset.as_str()), ("name", "Only echo"), ("models", "sandbox/echo"), ("slug", "only-echo")];
    let made = ada.submit("/settings/presets/new", "/settings/presets", &fields).await;
    assert_eq!(made.status, 303, "{}", made.body);
    let slug = farebox.text("select slug from preset").await;
    let bot = by_hand(&mut ada, &[("preset", &slug), ("byok", "on")]).await;
    let counted = "select include_byok::text from meter where kind = 'provisioning'";
    assert_eq!(farebox.text(counted).await, "true");
    let (issued, _) = issue(&farebox, &bot, json!({ "name": "friend" })).await;
    let request = json!({ "messages": [{ "role": "user", "content": "hi" }] });
    let answer = farebox.post(&issued, "/api/v1/chat/completions", &request).await;
    assert_eq!(answer.status(), 200);
    let told: Value = answer.json().await.expect("JSON");
    assert_eq!(told["model"], "sandbox/echo", "the preset says which: {told}");
    // By the command line too.
    let other = provisioning(&farebox, "eve@example.com", "", &["--include-byok"]).await;
    let id: KeyId = other.id.parse().expect("an id");
    let counted: bool = sqlx::query_scalar("select include_byok from meter where id = $1")
        .bind(id.0)
        .fetch_one(&farebox.pool)
        .await
        .expect("a meter");
    assert!(counted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_finds_a_key_that_was_rotated_by_each_hash_that_it_had() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    farebox.cli(&["credits", "grant", "--email", ADA, "--amount", "50"]).await;
    let bot = by_hand(&mut ada, &[]).await;
    let another = by_hand(&mut ada, &[]).await;
    for grace in ["0", "24"] {
        let (first, hash) = issue(&farebox, &bot, json!({ "name": "rotated" })).await;
        let issued = "select id from api_key where issued_by is not null and deleted_at is null";
        let id: uuid::Uuid = sqlx::query_scalar(issued).fetch_one(&farebox.pool).await.expect("the key");
        let path = format!("/keys/{}/rotate", KeyId(id));
        let (mut hashes, mut texts) = (vec![hash], vec![first.text.clone()]);
        for _ in 0..2 {
            let seen = between(&ada.get(&path).await.body, "name=\"seen\" value=\"", "\"");
            let text = shown(&ada.submit(&path, &path, &[("seen", &seen), ("grace", grace)]).await);
            hashes.push(farebox::base::secret::Digest::of(&text).to_hex());
            texts.push(text);
        }
        let newest = Key { text: texts[2].clone(), ..first };
        assert_eq!(call(&farebox, &newest).await, 200);
        for hash in &hashes {
            let path = format!("/api/v1/keys/{hash}");
            let told = ask(&farebox, &bot, ("GET", &path), None, 200).await;
            assert_eq!(told["data"]["hash"], hashes[2], "it is told the hash of now");
            for method in ["GET", "DELETE"] {
                ask(&farebox, &another, (method, &path), None, 404).await;
            }
        }
        let path = format!("/api/v1/keys/{}", hashes[0]);
        let told = ask(&farebox, &bot, ("PATCH", &path), Some(json!({ "disabled": true })), 200).await;
        assert_eq!((&told["data"]["disabled"], &told["data"]["name"]), (&json!(true), &json!("rotated")));
        becomes([&farebox, &farebox], 403, async |node| call(node, &newest).await).await;
        assert_eq!(ask(&farebox, &bot, ("DELETE", &path), None, 200).await, json!({ "deleted": true }));
        for text in texts {
            let key = Key { text, ..newest.clone() };
            becomes([&farebox, &farebox], 401, async |node| call(node, &key).await).await;
        }
        for hash in &hashes {
            ask(&farebox, &bot, ("GET", &format!("/api/v1/keys/{hash}")), None, 404).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_of_whoever_made_the_provisioning_key_holds_for_keys_of_others() {
    let first = Farebox::start().await;
    let second = second_node(&first).await;
    let mut ada = Visitor::member(&first, ADA, PASSWORD).await;
    let mut grace = Visitor::member(&first, "grace@example.com", PASSWORD).await;
    let org = team::create(&mut ada, "Engines").await;
    team::bring_in(&first, &mut ada, &mut grace, "grace@example.com", "admin").await;
    team::open(&mut grace, &org).await;
    fund(&first, &mut ada, "10").await;
    let bot = by_hand(&mut grace, &[]).await;
    let grace_id = team::person(&first, "grace@example.com").await;
    let cap = ada.submit("/settings/members", &format!("/settings/members/{grace_id}/cap"), &[("total", "0.20")]).await;
    assert_eq!(cap.status, 303, "{}", cap.body);
    let ada_id = team::person(&first, ADA).await;
    let (issued, _) = issue(&first, &bot, json!({ "name": "not hers", "creator_user_id": ada_id })).await;
    let storm = (0..60).map(|number| {
        let node = if number % 2 == 0 { &first } else { &second };
        let issued = &issued;
        async move { call(node, issued).await }
    });
    let answers = join_all(storm).await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 20, "{answers:?}");
    let refused = first.chat(&issued, "sandbox/penny", "one cent", json!({})).await;
    let told: Value = refused.json().await.expect("JSON");
    assert!(
        told["error"]["message"].as_str().is_some_and(|text| text.contains("who made the provisioning key")),
        "{told}"
    );
    assert_eq!(told["error"]["metadata"]["limit_source"], "member_limit");
    first.holds_are_closed().await;
    first.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_ones_own_is_told_of_the_members_cap_and_others_of_their_own_limits() {
    let farebox = Farebox::start().await;
    let own = farebox.key(ADA, "10", &["--limit-daily", "5"]).await;
    let bot = provisioning(&farebox, ADA, "", &["--limit", "2"]).await;
    let (issued, _) = issue(&farebox, &bot, json!({ "name": "friend", "limit": 3 })).await;
    sqlx::query("update meter set limit_week = 0.70 where kind = 'member'")
        .execute(&farebox.pool)
        .await
        .expect("a cap");
    let budgets = async |key: &Key| {
        let shown = farebox.get(key, "/api/v1/key").await;
        let all: Vec<String> = shown["data"]["budgets"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| format!("{} {}", one["scope"].as_str().unwrap_or_default(), one["limit_usd"]))
            .collect();
        (all.join(", "), shown["data"]["effective_budget"]["limit_usd"].to_string())
    };
    assert_eq!(budgets(&own).await, ("key_limit 5, member_limit 0.7".to_owned(), "0.7".to_owned()));
    assert_eq!(budgets(&issued).await, ("key_limit 3".to_owned(), "3".to_owned()), "whose it is stays untold");
}

//! Who gets which mail: what is usual, what people choose, and what cannot be switched off.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc, Weekday};
use farebox::accounts::Links;
use farebox::base::Usd;
use farebox::base::ids::{KeyId, OrgId};
use serde_json::json;

use super::low_balance::{correct, jobs_are_done};
use crate::support::receiver::Receiver;
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Key, Options, calendar, team};

const PASSWORD: &str = "correct horse battery";
const PAGE: &str = "/settings/notifications";

fn links(farebox: &Farebox) -> Links {
    Links { base: farebox.base.parse().expect("an address") }
}

/// Who was mailed something of this kind, in order, and forgets it.
async fn told(farebox: &Farebox, kind: &str) -> String {
    jobs_are_done(farebox).await;
    let readers: Vec<String> = sqlx::query_scalar("delete from mail where kind = $1 returning recipient")
        .bind(kind)
        .fetch_all(&farebox.pool)
        .await
        .expect("mails");
    let mut readers: Vec<_> = readers.iter().map(|one| one.trim_end_matches("@example.com")).collect();
    readers.sort_unstable();
    readers.join(" ")
}

pub async fn choose(who: &mut Visitor<'_>, fields: &[(&str, &str)]) {
    let saved = who.submit(PAGE, PAGE, fields).await;
    assert_eq!((saved.status, saved.location.as_str()), (303, PAGE), "{}", saved.body);
}

/// An organization with somebody in every role.
pub async fn everybody<'a>(farebox: &'a Farebox) -> (OrgId, Vec<Visitor<'a>>) {
    let mut owner = Visitor::member(farebox, "owner@example.com", PASSWORD).await;
    let org = team::create(&mut owner, "Analytical Engines").await;
    let mut all = vec![owner];
    for role in ["admin", "billing", "member"] {
        let email = format!("{role}@example.com");
        let mut guest = Visitor::member(farebox, &email, PASSWORD).await;
        team::bring_in(farebox, &mut all[0], &mut guest, &email, role).await;
        all.push(guest);
    }
    (org.parse().expect("an id"), all)
}

/// Falls below the amount of the alert, from well above.
pub async fn low(farebox: &Farebox, org: OrgId) {
    correct(&farebox.pool, org, "20").await;
    correct(&farebox.pool, org, "-20").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_topic_goes_to_whom_the_role_and_the_person_say() {
    let farebox = Farebox::start().await;
    let (org, mut all) = everybody(&farebox).await;
    correct(&farebox.pool, org, "4").await;
    sqlx::query("delete from mail").execute(&farebox.pool).await.expect("deleted");

    // Low balance: by role, then by person.
    low(&farebox, org).await;
    assert_eq!(told(&farebox, "low_balance").await, "billing owner");
    choose(&mut all[0], &[("low_balance", "no")]).await;
    choose(&mut all[1], &[("low_balance", "all")]).await;
    // A member may not hear of money, whatever their form says.
    choose(&mut all[3], &[("low_balance", "all"), ("weekly_summary", "all"), ("webhooks", "all")]).await;
    low(&farebox, org).await;
    assert_eq!(told(&farebox, "low_balance").await, "admin billing");
    // What is chosen goes before what the alert says; what was not chosen follows it.
    let alert = [("enabled", "yes"), ("below", "5"), ("owners", "yes")];
    assert_eq!(all[0].submit("/settings/balance", "/settings/balance", &alert).await.status, 303);
    low(&farebox, org).await;
    assert_eq!(told(&farebox, "low_balance").await, "admin");
    // A box that is ticked, before what stands for one that is not.
    let page = all[0].get(PAGE).await.body;
    let (ticked, not) = ("type=\"checkbox\" name=\"low_balance\"", "type=\"hidden\" name=\"low_balance\"");
    assert!(page.find(ticked).expect("a box") < page.find(not).expect("what stands for none"), "{page}");
    choose(&mut all[0], &[("low_balance", "all"), ("low_balance", "no")]).await;
    low(&farebox, org).await;
    assert_eq!(told(&farebox, "low_balance").await, "admin owner");
    // Without the role the choice is worth nothing, and comes back with it.
    let admin = team::person(&farebox, "admin@example.com").await;
    let change = format!("/settings/members/{admin}/role");
    for (role, readers) in [("member", "owner"), ("admin", "admin owner")] {
        let changed = all[0].submit(&format!("/settings/members/{admin}"), &change, &[("role", role)]).await;
        assert_eq!(changed.status, 303, "{}", changed.body);
        low(&farebox, org).await;
        assert_eq!(told(&farebox, "low_balance").await, readers, "{role}");
    }

    // New keys: usually whoever made it; managers may want everybody's.
    team::key(&mut all[3], "Mine").await;
    assert_eq!(told(&farebox, "key_created").await, "member");
    choose(&mut all[3], &[("key_created", "no")]).await;
    choose(&mut all[1], &[("key_created", "all")]).await;
    team::key(&mut all[3], "Mine too").await;
    assert_eq!(told(&farebox, "key_created").await, "admin");

    // What is always sent has no switch: a published key, whatever a form says.
    choose(&mut all[0], &[("key_leaked", "no"), ("new_device", "no")]).await;
    let page = all[0].get(PAGE).await.body;
    for always in ["Security of your account", "Keys in danger", "must not silence it", "Cannot be switched off"] {
        assert!(page.contains(always), "{always}");
    }
    assert!(!page.contains("name=\"key_leaked\"") && !page.contains("name=\"new_device\""));
    assert_eq!(
        farebox
            .text("select count(*)::text from notice_choice where topic not in ('low_balance', 'key_created')")
            .await,
        "0"
    );
    let log = "select count(*)::text from audit_entry where action = 'settings.notices_changed'";
    assert_eq!(farebox.text(log).await, "5", "what changed nothing is not written down");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_choose_for_others_but_only_owners_for_owners() {
    let farebox = Farebox::start().await;
    let (org, mut all) = everybody(&farebox).await;
    let (owner, billing) =
        (team::person(&farebox, "owner@example.com").await, team::person(&farebox, "billing@example.com").await);
    let of = |person: &str| format!("{PAGE}/{person}");
    let saved = all[1].submit(&of(&billing), &of(&billing), &[("low_balance", "no")]).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    let refused = all[1].submit(PAGE, &of(&owner), &[("low_balance", "no")]).await;
    assert_eq!(refused.status, 303, "{}", refused.body);
    assert!(all[1].get(&of(&owner)).await.body.contains("Only an owner chooses for an owner"));
    correct(&farebox.pool, org, "4").await;
    low(&farebox, org).await;
    assert_eq!(told(&farebox, "low_balance").await, "owner");
    let people = all[0].get("/settings/notifications/people").await.body;
    assert!(people.contains("billing@example.com") && people.contains("Weekly summary"), "{people}");
    assert!(all[0].get("/settings/notifications/people?q=zzz").await.body.contains("Nobody matches"));
    // Whoever is removed and comes back begins anew.
    let gone = all[0]
        .submit(&format!("/settings/members/{billing}/remove"), &format!("/settings/members/{billing}/remove"), &[])
        .await;
    assert_eq!(gone.status, 303, "{}", gone.body);
    assert_eq!(farebox.text("select count(*)::text from notice_choice").await, "0");
    assert_eq!(all[0].get(&of(&billing)).await.status, 404);
    let log = "select target_kind || ' ' || (after::json ->> 'low_balance') from audit_entry where action = 'settings.notices_changed'";
    assert_eq!(farebox.text(log).await, "person no");
}

/// What a meter says was spent, without calls.
async fn spent(farebox: &Farebox, key: &Key, day: &str, total: &str) {
    let id: KeyId = key.id.parse().expect("an id");
    sqlx::query("update meter set spent_day = $2::numeric, spent_total = $3::numeric where id = $1")
        .bind(id.0)
        .bind(day)
        .bind(total)
        .execute(&farebox.pool)
        .await
        .expect("spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_told_of_at_80_and_100_percent_once_in_each_window() {
    calendar::within_a_day().await;
    let env = vec![("FAREBOX_ALLOW_PRIVATE_WEBHOOKS", "true".to_owned())];
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let receiver = Receiver::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let key = farebox.key("ada@example.com", "50", &[]).await;
    let id: KeyId = key.id.parse().expect("an id");
    let hook = farebox::base::ids::HookId::fresh().to_string();
    let fields = [
        ("id", hook.as_str()),
        ("url", &receiver.url("/")),
        ("which", "some"),
        ("event", "limit.near"),
        ("event", "limit.reached"),
    ];
    assert_eq!(ada.submit("/settings/webhooks/new", "/settings/webhooks", &fields).await.status, 200);
    sqlx::query("update meter set limit_day = 2, limit_total = 10 where id = $1")
        .bind(id.0)
        .execute(&farebox.pool)
        .await
        .expect("limits");
    let look = async || farebox::keys::look_for_limits(&farebox.pool, &links(&farebox)).await.expect("looked");
    let mails = async |kind: &str| -> Vec<(String, String)> {
        sqlx::query_as("select subject, text_body from mail where kind = $1 order by id")
            .bind(kind)
            .fetch_all(&farebox.pool)
            .await
            .expect("mails")
    };
    spent(&farebox, &key, "1.599999999999", "1.599999999999").await;
    assert_eq!(look().await, 0, "a trillionth below");
    spent(&farebox, &key, "1.6", "1.6").await;
    // Two processes look at once.
    let (one, other) = futures_util::future::join(look(), look()).await;
    // The server itself looks too, so at most one of the three told.
    assert!(one + other <= 1);
    let near = mails("limit_near").await;
    assert_eq!(near.len(), 1);
    assert!(near[0].0.contains("80%") && near[0].1.contains("$1.60") && near[0].1.contains("$2.00"), "{near:?}");
    // More of it is no news; used up is. Half a percent is what no call can be held for.
    spent(&farebox, &key, "1.98", "1.98").await;
    assert_eq!((look().await, mails("limit_reached").await.len()), (0, 0));
    spent(&farebox, &key, "1.990000000001", "1.990000000001").await;
    look().await;
    let reached = mails("limit_reached").await;
    assert!(reached.len() == 1 && reached[0].1.contains("$1.990000000001"), "{reached:?}");
    // The next day it is another window; the total is its own limit, and goes past both at once: one mail.
    sqlx::query("update meter set day = day - 1 where id = $1").bind(id.0).execute(&farebox.pool).await.expect("a day");
    assert_eq!(look().await, 0, "what was spent yesterday is not of today");
    spent(&farebox, &key, "0", "10").await;
    look().await;
    assert_eq!((mails("limit_near").await.len(), mails("limit_reached").await.len()), (1, 2));
    // Raised, it is another limit.
    sqlx::query("update meter set limit_total = 12 where id = $1")
        .bind(id.0)
        .execute(&farebox.pool)
        .await
        .expect("raised");
    look().await;
    assert_eq!(mails("limit_near").await.len(), 2);
    assert!(mails("limit_near").await[1].0.contains("83%"));
    let came = receiver.has(4).await;
    let mut kinds: Vec<_> = came.iter().map(|one| one.json()["type"].as_str().unwrap_or_default().to_owned()).collect();
    kinds.sort();
    assert_eq!(kinds, ["limit.near", "limit.near", "limit.reached", "limit.reached"]);
    let day = came
        .iter()
        .map(crate::support::receiver::Came::json)
        .find(|json| json["data"]["window"] == "day" && json["data"]["percent"] == 100);
    let day = day.expect("the day");
    assert_eq!((&day["data"]["limit"], &day["data"]["spent"]), (&json!("2"), &json!("1.990000000001")));
    assert_eq!(day["data"]["key"], json!(key.id));
    // Of a deleted key nobody hears, and whoever does not want it does not.
    choose(&mut ada, &[("limit", "no")]).await;
    sqlx::query("update meter set limit_total = 10.5 where id = $1")
        .bind(id.0)
        .execute(&farebox.pool)
        .await
        .expect("lowered");
    look().await;
    assert_eq!(mails("limit_near").await.len(), 2);
}

/// Only what came near a limit is looked at, however many limits there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_far_from_its_limit_is_not_read() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "50", &[]).await;
    let (org, id): (OrgId, KeyId) = (key.org.parse().expect("an id"), key.id.parse().expect("an id"));
    sqlx::query(
        "insert into meter (org_id, id, kind, limit_day, limit_month, spent_day, spent_month)
         select $1, gen_random_uuid(), 'key', 10, 100, 7, 7 from generate_series(1, 2000)",
    )
    .bind(org.0)
    .execute(&farebox.pool)
    .await
    .expect("meters");
    // A pool of one connection, which says at once what it read.
    let one = sqlx::postgres::PgPoolOptions::new().max_connections(1);
    let one = one.connect(&farebox.database_url).await.expect("a connection");
    let read = async || -> i64 {
        sqlx::query("select pg_stat_force_next_flush()").execute(&one).await.expect("told");
        let count = "select (idx_tup_fetch + seq_tup_read)::bigint from pg_stat_user_tables where relname = 'meter'";
        sqlx::query_scalar(count).fetch_one(&one).await.expect("a count")
    };
    let marks = "select count(*)::text from limit_mark";
    let changes = [
        ("update meter set limit_day = 10, spent_day = 7.99 where org_id = $1 and id = $2", 0),
        ("update meter set spent_day = 8 where org_id = $1 and id = $2", 1),
        // Further on, and held: nothing came near.
        ("update meter set spent_day = 9.9 where org_id = $1 and id = $2", 1),
        ("update meter set held = 3 where org_id = $1 and id = $2", 1),
        ("update meter set spent_day = 9.95 where org_id = $1 and id = $2", 2),
        // Another limit, and another day.
        ("update meter set limit_total = 1, spent_total = 2 where org_id = $1 and id = $2", 3),
        ("update meter set limit_day = 11 where org_id = $1 and id = $2", 4),
        ("update meter set limit_day = 20 where org_id = $1 and id = $2", 4),
        ("update meter set day = day + 1, spent_day = 16 where org_id = $1 and id = $2", 5),
        ("update meter set day = day + 1, spent_day = 16 where org_id = $1 and id = $2", 6),
        // What the provider took counts where the limit says so.
        ("update meter set byok_day = 100 where org_id = $1 and id = $2", 6),
        ("update meter set include_byok = true where org_id = $1 and id = $2", 7),
    ];
    // The server looks once a minute too, so all of it happens at once.
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    for (change, wanted) in changes {
        sqlx::query(change).bind(org.0).bind(id.0).execute(&mut *tx).await.expect("changed");
        let left: String = sqlx::query_scalar(marks).fetch_one(&mut *tx).await.expect("marks");
        assert_eq!(left, wanted.to_string(), "after {change}");
    }
    tx.commit().await.expect("committed");
    let before = read().await;
    farebox::keys::look_for_limits(&one, &links(&farebox)).await.expect("looked");
    let rows = read().await - before;
    assert!(rows < 100, "{rows} rows of meters were read");
    jobs_are_done(&farebox).await;
    assert_eq!(farebox.text(marks).await, "0");
    // All of it is of days to come, but for the limit in all.
    assert_eq!(farebox.text("select string_agg(kind, ' ') from mail where kind like 'limit_%'").await, "limit_reached");
    assert_eq!(farebox::keys::look_for_limits(&one, &links(&farebox)).await.expect("looked"), 0);
}

/// The Monday after the week of a moment, when its summary is due.
fn monday_after(at: DateTime<Utc>) -> DateTime<Utc> {
    let monday: NaiveDate = at.date_naive().week(Weekday::Mon).first_day() + TimeDelta::days(7);
    monday.and_hms_opt(1, 0, 0).expect("an hour").and_utc()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_summary_of_a_week_says_what_the_ledger_says_once() {
    calendar::within_a_day().await;
    let env = vec![("FAREBOX_ALLOW_PRIVATE_WEBHOOKS", "true".to_owned())];
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let receiver = Receiver::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let quiet = farebox.key("quiet@example.com", "10", &[]).await;
    let hook = farebox::base::ids::HookId::fresh().to_string();
    let fields = [("id", hook.as_str()), ("url", &receiver.url("/")), ("which", "some"), ("event", "summary.weekly")];
    assert_eq!(ada.submit("/settings/webhooks/new", "/settings/webhooks", &fields).await.status, 200);
    for text in ["one", "a longer question than the one before it", "three"] {
        for model in ["sandbox/echo", "sandbox/penny"] {
            assert_eq!(farebox.chat(&key, model, text, json!({})).await.status(), 200);
        }
    }
    farebox.holds_are_closed().await;
    let now: DateTime<Utc> = sqlx::query_scalar("select now()").fetch_one(&farebox.pool).await.expect("a time");
    let due = monday_after(now);
    // Not before the week is over.
    assert_eq!(
        farebox::books::weekly_round(&farebox.pool, &links(&farebox), due - TimeDelta::hours(2)).await.expect("looked"),
        0
    );
    let (one, other) = futures_util::future::join(
        farebox::books::weekly_round(&farebox.pool, &links(&farebox), due),
        farebox::books::weekly_round(&farebox.pool, &links(&farebox), due),
    )
    .await;
    assert_eq!(
        one.expect("told") + other.expect("told"),
        1,
        "one organization had calls, and two who look at once tell once"
    );
    let count = "select string_agg(recipient, ' ') from mail where kind = 'weekly_summary'";
    assert_eq!(farebox.text(count).await, "ada@example.com");
    drop(quiet);

    // The figures, from the journal itself.
    let org: OrgId = key.org.parse().expect("an id");
    let exact = async |query: &'static str| {
        let text: String = sqlx::query_scalar(query).bind(org.0).fetch_one(&farebox.pool).await.expect("a sum");
        Usd::parse(text.trim_end_matches('0').trim_end_matches('.')).expect("an amount")
    };
    let spent = exact("select sum(amount)::text from transfer where code = 'usage' and debit_account = $1").await;
    let closing = exact("select posted::text from credit where org_id = $1").await;
    let data = receiver.has(1).await.remove(0).json()["data"].clone();
    let amount = |name: &str| Usd::parse(data[name].as_str().expect("an amount")).expect("an amount");
    assert_eq!((amount("opening"), amount("came_in")), (Usd::ZERO, Usd::from_whole(10)));
    assert_eq!((amount("went_out"), amount("closing")), (spent, closing));
    assert_eq!(amount("opening") + amount("came_in") - amount("went_out"), amount("closing"));
    assert_eq!(amount("cost_of_calls"), spent, "and of the sums per hour");
    assert_eq!(data["calls"], 6);
    let models: Usd = data["models"]
        .as_array()
        .expect("models")
        .iter()
        .map(|one| Usd::parse(one["cost"].as_str().expect("a cost")).expect("an amount"))
        .sum();
    assert_eq!(models, spent);
    let mail = farebox.text("select text_body from mail where kind = 'weekly_summary'").await;
    for part in [closing.display_exact(), spent.display_exact(), "sandbox/echo".to_owned()] {
        assert!(mail.contains(&part), "{part}\n{mail}");
    }
    // Whoever does not want it hears nothing of the next one.
    choose(&mut ada, &[("weekly_summary", "no")]).await;
    sqlx::query("delete from week_told").execute(&farebox.pool).await.expect("forgotten");
    sqlx::query("delete from mail where kind = 'weekly_summary'").execute(&farebox.pool).await.expect("deleted");
    assert_eq!(farebox::books::weekly_round(&farebox.pool, &links(&farebox), due).await.expect("told"), 1);
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'weekly_summary'").await, "0");
    assert_eq!(receiver.came().len(), 1, "the event was written before");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_hear_of_keys_invitations_payments_and_sign_ins_and_of_no_secret() {
    let env = vec![("FAREBOX_ALLOW_PRIVATE_WEBHOOKS", "true".to_owned())];
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let receiver = Receiver::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let org = team::create(&mut ada, "Analytical Engines").await;
    let hook = farebox::base::ids::HookId::fresh().to_string();
    let fields = [("id", hook.as_str()), ("url", &receiver.url("/")), ("which", "all")];
    assert_eq!(ada.submit("/settings/webhooks/new", "/settings/webhooks", &fields).await.status, 200);
    let key = team::key(&mut ada, "Laptop").await;
    team::invite(&mut ada, "grace@example.com", "billing").await;
    assert_eq!(pay(&mut ada).await, 303);
    // Another browser.
    assert_eq!(sign_in_elsewhere(&farebox).await, 303);
    let came = receiver.has(4).await;
    let find = |kind: &str| {
        let found = came.iter().map(crate::support::receiver::Came::json).find(|json| json["type"] == kind);
        found.unwrap_or_else(|| panic!("{kind} is not among {came:?}"))
    };
    let made = find("key.created");
    assert_eq!((&made["data"]["name"], &made["data"]["organization"]), (&json!("Laptop"), &json!(org)));
    assert_eq!(find("member.invited")["data"]["role"], "billing");
    assert_eq!(find("credits.added")["data"]["total"], "21.1");
    assert!(find("member.new_sign_in")["data"]["member"].as_str().is_some_and(|id| id.starts_with("usr_")));
    for one in &came {
        for secret in [key.as_str(), "@example.com", PASSWORD, "127.0.0.1"] {
            assert!(!one.body.contains(secret), "{secret} is in {}", one.body);
        }
    }
}

/// Buys twenty dollars of credits; the status of the last answer.
async fn pay(ada: &mut Visitor<'_>) -> u16 {
    let shown = ada.get("/credits").await.body;
    let form = crate::support::visitor::form(&shown, "/credits/topups");
    let mut fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.retain(|(name, _)| !matches!(*name, "csrf_token" | "amount" | "method"));
    fields.extend([("amount", "20"), ("method", "sandbox_card")]);
    let bought = ada.submit("/credits", "/credits/topups", &fields).await;
    let topup = bought.location.split(['/', '?']).find(|part| part.starts_with("top_")).unwrap_or_default().to_owned();
    ada.submit("/credits", &format!("/sandbox/checkout/{topup}"), &[("outcome", "paid")]).await.status
}

/// Signs in from a browser that was not seen before; the status of the answer.
async fn sign_in_elsewhere(farebox: &Farebox) -> u16 {
    let mut visitor = Visitor::new(farebox);
    let token = visitor.token("/sign-in").await;
    let fields = [("csrf_token", token.as_str()), ("email", "ada@example.com"), ("password", PASSWORD)];
    let request = farebox.http.post(farebox.url("/sign-in")).form(&fields);
    let request =
        request.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
    visitor.send(request).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_go_to_those_who_want_them_besides_the_billing_address() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let buy = async |ada: &mut Visitor<'_>| {
        let bought = pay(ada).await;
        assert_eq!(bought, 303);
        for _ in 0..200 {
            if farebox.text("select count(*)::text from topup where state <> 'paid'").await == "0" {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        jobs_are_done(&farebox).await;
    };
    buy(&mut ada).await;
    assert_eq!(told(&farebox, "receipt").await, "");
    choose(&mut ada, &[("receipt", "all")]).await;
    buy(&mut ada).await;
    assert_eq!(told(&farebox, "receipt").await, "ada");
    // The same address is mailed once.
    let details = [("name", "Ada"), ("email", "Ada@example.com")];
    assert_eq!(ada.submit("/settings/billing", "/settings/billing", &details).await.status, 303);
    buy(&mut ada).await;
    assert_eq!(told(&farebox, "receipt").await, "Ada");
}

/// A rule that buys, set by the billing member, and what there is to tell of it.
async fn auto_topup_stops(farebox: &Farebox, org: OrgId, attempt: u128) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "insert into payment_method (org_id, id, processor, processor_ref, method, label)
            values ('{0}', '{0}', 'sandbox', 'x', 'card', 'Visa') on conflict do nothing;
         insert into auto_topup (org_id, enabled, below, credits, method_id, cap_day, cap_month, stopped_reason, set_by)
            select '{0}', false, 10, 20, '{0}', 50, 50, 'The card was declined.', id from person
            where email = 'billing@example.com' on conflict do nothing;
         select enqueue_job('tell_of_auto_topup', json_build_object('org', '{1}', 'about',
            json_build_object('stopped', json_build_object('attempt', 'top_{2:032x}'))), 12, 'tell {2}', 0)",
        org.0, org, attempt
    )))
    .execute(&farebox.pool)
    .await
    .expect("a job");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_topup_is_told_to_owners_and_whoever_set_it_unless_they_chose() {
    let farebox = Farebox::start().await;
    let (org, mut all) = everybody(&farebox).await;
    auto_topup_stops(&farebox, org, 1).await;
    assert_eq!(told(&farebox, "auto_topup_stopped").await, "billing owner");
    choose(&mut all[0], &[("auto_topup", "own")]).await;
    choose(&mut all[1], &[("auto_topup", "all")]).await;
    auto_topup_stops(&farebox, org, 2).await;
    assert_eq!(told(&farebox, "auto_topup_stopped").await, "admin billing");
    choose(&mut all[2], &[("auto_topup", "no")]).await;
    // The same thing twice is told once.
    for _ in 0..2 {
        auto_topup_stops(&farebox, org, 3).await;
        jobs_are_done(&farebox).await;
    }
    assert_eq!(told(&farebox, "auto_topup_stopped").await, "admin");
}

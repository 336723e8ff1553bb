//! Webhooks: signed, sent until they are taken or given up, again by hand, and nowhere they must not go.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use farebox::base::ids::{HookId, OrgId};
use farebox::hooks::{self, EventKind, Payload};
use sqlx::PgPool;

use super::ssrf::HOSTS;
use crate::support::receiver::{Answer, Receiver, add, shown_secret};
use crate::support::visitor::{Visitor, between, form};
use crate::support::{Farebox, Options, team};

const PASSWORD: &str = "correct horse battery";
const ADA: &str = "ada@example.com";
const PAGE: &str = "/settings/webhooks";

fn private() -> Options {
    Options { env: vec![("FAREBOX_ALLOW_PRIVATE_WEBHOOKS", "true".to_owned())], ..Options::default() }
}

/// Something happens in an organization.
async fn happens(pool: &PgPool, org: OrgId, what: &str) {
    let mut tx = pool.begin().await.expect("a transaction");
    let payload = Payload::new().with("balance", "4.2");
    hooks::emit(&mut tx, org, EventKind::CreditsLow, what, payload).await.expect("written");
    tx.commit().await.expect("committed");
}

async fn org_of(farebox: &Farebox, email: &str) -> OrgId {
    let id: uuid::Uuid = sqlx::query_scalar(
        "select o.org_id from personal_org o join person p on p.id = o.person_id where p.email = $1",
    )
    .bind(email)
    .fetch_one(&farebox.pool)
    .await
    .expect("an organization");
    OrgId(id)
}

/// Waits until a query gives this, at most thirty seconds.
async fn becomes(farebox: &Farebox, query: &'static str, wanted: &str) {
    let mut last = String::new();
    for _ in 0..600 {
        last = farebox.text(query).await;
        if last == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{query} is {last}, not {wanted}\n{}", farebox.log());
}

/// What waits for its next try is due now.
async fn now(farebox: &Farebox) {
    sqlx::query("update hook_delivery set next_at = now() where state = 'pending' and claim is null")
        .execute(&farebox.pool)
        .await
        .expect("due");
}

/// Lets what waits be tried until it has failed so often.
async fn fails_until(farebox: &Farebox, tries: usize) {
    let count = "select count(*)::text from hook_attempt";
    let done: usize = farebox.text(count).await.parse().expect("a number");
    for number in done.max(1)..=tries {
        if number > done {
            now(farebox).await;
        }
        becomes(farebox, count, &number.to_string()).await;
    }
}

const STATES: &str = "select string_agg(state, ' ' order by id) from hook_delivery";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_arrives_signed_and_its_secret_is_seen_once() {
    let farebox = Farebox::with(private()).await;
    let receiver = Receiver::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let mine = add(&mut ada, &receiver.url("/in?a=b"), &[]).await;
    receiver.answers(Answer::Status(200, "<b>thanks</b>"));
    let sent = ada.submit(&mine.page, &format!("{}/test", mine.page), &[]).await;
    assert_eq!(sent.status, 303, "{}", sent.body);
    let came = receiver.has(1).await.remove(0);
    assert_eq!(came.path, "/in?a=b");
    assert_eq!(came.header("content-type"), "application/json");
    assert_eq!(came.signed_with(&mine.secret), 1, "{came:?}");
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(came.signed_with(other), 0);
    let sent_at: i64 = came.header("webhook-timestamp").parse().expect("seconds");
    let age: i64 = sqlx::query_scalar("select extract(epoch from now())::bigint - $1")
        .bind(sent_at)
        .fetch_one(&farebox.pool)
        .await
        .expect("an age");
    assert!((0..30).contains(&age), "{age}");
    let json = came.json();
    assert_eq!((json["type"].as_str(), json["id"].as_str()), (Some("webhook.test"), Some(came.id())));
    assert_eq!(json["data"]["organization"], org_of(&farebox, ADA).await.to_string());
    assert!(came.id().starts_with("msg_"));
    becomes(&farebox, STATES, "delivered").await;

    // The list and the message say what was answered, as text.
    let shown = ada.get(&mine.page).await.body;
    assert!(shown.contains("Taken") && shown.contains("webhook.test") && shown.contains("200"), "{shown}");
    let message = between(&shown, "href=\"/settings/webhooks/deliveries/", "\"");
    let shown = ada.get(&format!("{PAGE}/deliveries/{message}")).await.body;
    assert!(shown.contains("thanks") && !shown.contains("<b>thanks</b>") && shown.contains(came.id()), "{shown}");
    // Within five seconds it is not sent twice; the secret is nowhere again, and not in the database as it is.
    for path in [mine.page.clone(), format!("{}/edit", mine.page), PAGE.to_owned(), "/settings/audit".to_owned()] {
        assert!(!ada.get(&path).await.body.contains(&mine.secret[6..]), "{path} shows the secret");
    }
    let rows = farebox.text("select string_agg(t::text, '') from hook t").await;
    assert!(!rows.contains(&mine.secret) && !farebox.log().contains(&mine.secret[6..]));
    let log = "select string_agg(action, ' ' order by seq) from audit_entry where action like 'webhook.%'";
    assert_eq!(farebox.text(log).await, "webhook.added");
    // The same form again adds nothing.
    let id = mine.page.rsplit('/').next().expect("an id");
    let again = [("id", id), ("url", "http://127.0.0.1:1/"), ("which", "all")];
    let again = ada.submit("/settings/webhooks/new", PAGE, &again).await;
    assert_eq!(again.status, 303, "{}", again.body);
    assert_eq!(farebox.text("select count(*)::text from hook").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_taken_is_tried_again_under_the_same_id_until_it_is_given_up() {
    let farebox = Farebox::with(private()).await;
    let (receiver, trap) = (Receiver::start().await, Receiver::start().await);
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    ada.get("/").await;
    let org = org_of(&farebox, ADA).await;
    let mine = add(&mut ada, &receiver.url("/"), &["credits.low"]).await;
    // What it did not choose is not told, and what happened once is told once.
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    hooks::emit(&mut tx, org, EventKind::KeyCreated, "key", Payload::new()).await.expect("written");
    tx.commit().await.expect("committed");
    let bad = [
        (Answer::Status(500, "no\u{7}\u{0} idea"), "500", "It answers 500, not 2xx."),
        (Answer::Turns(302, trap.url("/")), "302", "which is not followed"),
        (Answer::Turns(308, trap.url("/")), "308", "which is not followed"),
        (Answer::Endless(503), "503", "It answers 503, not 2xx."),
        (Answer::Status(404, ""), "404", "It answers 404, not 2xx."),
    ];
    receiver.answers_once(bad[0].0.clone());
    for _ in 0..2 {
        happens(&farebox.pool, org, "once").await;
    }
    for (number, (_, status, told)) in bad.iter().enumerate() {
        let done = "select count(*)::text from hook_attempt";
        becomes(&farebox, done, &(number + 1).to_string()).await;
        let last = farebox
            .text("select status || '|' || error || '|' || length(excerpt) from hook_attempt order by number desc limit 1")
            .await;
        assert!(last.starts_with(status) && last.contains(told), "{last}");
        let wait: i64 =
            sqlx::query_scalar("select ceil(extract(epoch from next_at - last_at))::bigint from hook_delivery")
                .fetch_one(&farebox.pool)
                .await
                .expect("a wait");
        let plain = 5 * 4_i64.pow(u32::try_from(number).expect("few"));
        assert!((plain * 8 / 10..=plain * 12 / 10 + 1).contains(&wait), "after try {}: {wait} s", number + 1);
        if let Some((answer, ..)) = bad.get(number + 1) {
            receiver.answers_once(answer.clone());
            now(&farebox).await;
        }
    }
    // While it waits, that is what the page says.
    let shown = ada.get(&mine.page).await.body;
    assert!(shown.contains("Not taken yet") && shown.contains("next try") && !shown.contains("Being sent"), "{shown}");
    assert!(shown.contains("by Ada"), "who added it: {shown}");
    // One that never answers is given up on after a quarter of a minute.
    receiver.answers_once(Answer::Hangs);
    now(&farebox).await;
    becomes(&farebox, "select max(number)::text from hook_attempt", "6").await;
    let last = "select error || '|' || coalesce(status::text, 'none') || '|' || (milliseconds between 14000 and 20000)
                from hook_attempt order by number desc limit 1";
    assert_eq!(farebox.text(last).await, "Nothing was answered within 15 seconds.|none|true");
    // One that takes it and then talks without an end has taken it; here it is the last try that fails.
    sqlx::query("update hook_delivery set tries = 11").execute(&farebox.pool).await.expect("tried");
    receiver.answers_once(Answer::Status(500, ""));
    now(&farebox).await;
    becomes(&farebox, STATES, "dead").await;
    let shown = ada.get(&mine.page).await.body;
    assert!(shown.contains("Given up") && shown.contains("Failing"), "{shown}");
    assert!(!shown.contains("Not taken yet"), "it waits for nothing: {shown}");
    let came = receiver.came();
    assert_eq!((came.len(), trap.came().len()), (7, 0), "redirects are not followed");

    // By hand it goes out again, the same bytes under the same id, signed anew.
    receiver.answers_once(Answer::Endless(200));
    let message = between(&shown, "action=\"/settings/webhooks/deliveries/", "\"");
    let again = ada.submit(&mine.page, &format!("{PAGE}/deliveries/{message}"), &[]).await;
    assert_eq!(again.status, 303, "{}", again.body);
    becomes(&farebox, STATES, "delivered").await;
    let came = receiver.came();
    assert_eq!(came.len(), 8);
    for one in &came {
        assert_eq!((one.id(), &one.body), (came[0].id(), &came[0].body));
        assert_eq!(one.signed_with(&mine.secret), 1);
    }
    let stamps: HashSet<_> = came.iter().map(|one| one.header("webhook-timestamp")).collect();
    assert!(stamps.len() > 1, "each try has its own time");
    assert!(ada.get(&mine.page).await.body.contains("Taken"));
    assert_eq!(farebox.text("select failing_since::text from hook").await, "");
    let log = "select string_agg(action, ' ' order by seq) from audit_entry where action like 'webhook.%'";
    assert_eq!(farebox.text(log).await, "webhook.added webhook.sent_again");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn during_a_rotation_both_secrets_sign() {
    let farebox = Farebox::with(private()).await;
    let receiver = Receiver::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    ada.get("/").await;
    let org = org_of(&farebox, ADA).await;
    let mine = add(&mut ada, &receiver.url("/"), &[]).await;
    let rotate = format!("{}/rotate", mine.page);
    let seen = |page: &str| form(page, &rotate).into_iter().find(|(name, _)| name == "seen").map(|(_, seen)| seen);
    let first = seen(&ada.get(&mine.page).await.body).expect("a moment");
    let turned = ada.submit(&mine.page, &rotate, &[("seen", &first), ("grace", "24")]).await;
    assert_eq!(turned.status, 200, "{}", turned.body);
    let new = shown_secret(&turned.body);
    // The same form again turns nothing.
    assert_eq!(ada.submit(&mine.page, &rotate, &[("seen", &first), ("grace", "0")]).await.status, 303);
    happens(&farebox.pool, org, "both").await;
    let came = receiver.has(1).await.remove(0);
    assert_eq!((came.signed_with(&mine.secret), came.signed_with(&new)), (1, 1), "{came:?}");
    // The grace ends.
    sqlx::query("update hook set old_until = now()").execute(&farebox.pool).await.expect("over");
    happens(&farebox.pool, org, "new").await;
    let came = receiver.has(2).await.remove(1);
    assert_eq!((came.signed_with(&mine.secret), came.signed_with(&new)), (0, 1));
    // Without a grace the old one ends at once.
    let second = seen(&ada.get(&mine.page).await.body).expect("a moment");
    let turned = ada.submit(&mine.page, &rotate, &[("seen", &second), ("grace", "0")]).await;
    let newest = shown_secret(&turned.body);
    happens(&farebox.pool, org, "newest").await;
    let came = receiver.has(3).await.remove(2);
    assert_eq!((came.signed_with(&new), came.signed_with(&newest)), (0, 1));
    assert_eq!(farebox.text("select old_ciphertext::text from hook").await, "");
}

/// Members are kept from what the operator lets models reach, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_message_goes_to_an_address_that_is_not_public() {
    let farebox = Farebox::start().await;
    let trap = Receiver::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    ada.get("/").await;
    let org = org_of(&farebox, ADA).await;
    assert!(HOSTS.len() >= 60, "{}", HOSTS.len());
    let token = ada.token("/settings/webhooks/new").await;
    let mut names = 0;
    for host in HOSTS {
        let url = format!("https://{host}:{}/", trap.port);
        let id = HookId::fresh().to_string();
        let fields = [("id", id.as_str()), ("url", url.as_str()), ("which", "all")];
        let page = ada.post(&token, PAGE, &fields).await;
        match url::Url::parse(&url).map(|url| matches!(url.host(), Some(url::Host::Domain(_)))) {
            // Names are looked at where the connection is made.
            Ok(true) => {
                assert_eq!(page.status, 200, "{host}: {}", page.body);
                names += 1;
            }
            Ok(false) => {
                assert!(
                    page.status == 422 && page.body.contains("not public"),
                    "{host}: {} {}",
                    page.status,
                    page.body
                );
            }
            Err(_) => assert_eq!(page.status, 422, "{host}: {}", page.body),
        }
    }
    assert!((3..=10).contains(&names), "{names} are names");
    for (url, why) in [
        (format!("http://127.0.0.1:{}/", trap.port), "only https"),
        ("http://example.com/".to_owned(), "only https"),
        ("https://a:b@example.com/".to_owned(), "no user name"),
        ("ftp://example.com/".to_owned(), "whole address"),
        ("nothing".to_owned(), "whole address"),
    ] {
        let id = HookId::fresh().to_string();
        let fields = [("id", id.as_str()), ("url", url.as_str()), ("which", "all")];
        let page = ada.submit("/settings/webhooks/new", PAGE, &fields).await;
        assert!(page.status == 422 && page.body.contains(why), "{url}: {}", page.body);
    }
    happens(&farebox.pool, org, "trapped").await;
    let attempts = "select count(*)::text from hook_attempt";
    becomes(&farebox, attempts, &names.to_string()).await;
    let told = farebox.text("select string_agg(distinct error, ' ') from hook_attempt").await;
    // Whether the last spelling is a name at all is the system's to say.
    assert!(told.contains("The address is not public, so it is not called."), "{told}");
    // One that was taken when it was allowed is not called any more either.
    sqlx::query("update hook set url = $1").bind(trap.url("/")).execute(&farebox.pool).await.expect("moved");
    now(&farebox).await;
    becomes(&farebox, attempts, &(2 * names).to_string()).await;
    assert_eq!(trap.came().len(), 0, "somebody got through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_send_each_event_and_a_kill_loses_none() {
    let first = Farebox::with(private()).await;
    let options = Options { database_url: Some(first.database_url.clone()), ..private() };
    let mut second = Farebox::with(options).await;
    let receiver = Receiver::start().await;
    let mut ada = Visitor::member(&first, ADA, PASSWORD).await;
    ada.get("/").await;
    let org = org_of(&first, ADA).await;
    add(&mut ada, &receiver.url("/"), &[]).await;
    // Both at work: each is sent once.
    for number in 0..20 {
        happens(&first.pool, org, &format!("calm {number}")).await;
    }
    becomes(&first, "select count(*)::text from hook_delivery where state = 'delivered'", "20").await;
    assert_eq!(receiver.came().len(), 20, "each was claimed by one process");
    assert!(receiver.most_open() <= 4, "{} at once", receiver.most_open());

    // One dies in the middle of sending.
    receiver.answers(Answer::Slow(Duration::from_millis(400)));
    for number in 0..30 {
        happens(&first.pool, org, &format!("storm {number}")).await;
    }
    receiver.has(24).await;
    assert!(receiver.most_open() <= 4, "{} at once", receiver.most_open());
    second.kill();
    for _ in 0..600 {
        if first.text("select count(*)::text from hook_delivery where state = 'delivered'").await == "50" {
            break;
        }
        // Its claims end after a minute; here time goes faster once those of the other have ended.
        sqlx::query(
            "update hook_delivery set next_at = now() where state = 'pending' and claim is not null
                and last_at < now() - interval '3 seconds'",
        )
        .execute(&first.pool)
        .await
        .expect("late");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(first.text("select count(*)::text from hook_delivery where state = 'delivered'").await, "50");
    let mut bodies: HashMap<String, HashSet<String>> = HashMap::new();
    for one in receiver.came() {
        bodies.entry(one.id().to_owned()).or_default().insert(one.body);
    }
    assert_eq!(bodies.len(), 50, "every event arrived");
    assert!(bodies.values().all(|bodies| bodies.len() == 1), "one id is one message");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_fails_for_days_is_switched_off_and_people_are_told() {
    let farebox = Farebox::with(private()).await;
    let receiver = Receiver::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let team = team::create(&mut ada, "Analytical Engines").await;
    let team: OrgId = team.parse().expect("an id");
    for role in ["admin", "member"] {
        let email = format!("{role}@example.com");
        let mut guest = Visitor::member(&farebox, &email, PASSWORD).await;
        team::bring_in(&farebox, &mut ada, &mut guest, &email, role).await;
    }
    let mine = add(&mut ada, &receiver.url("/"), &[]).await;
    receiver.answers(Answer::Status(500, ""));
    happens(&farebox.pool, team, "first").await;
    fails_until(&farebox, 7).await;
    assert_eq!(farebox.text("select disabled_at::text from hook").await, "", "not before five days");
    // Long ago it failed, and then there was nothing to tell it. The tries of then do not count.
    sqlx::query("update hook set failing_since = now() - interval '7 days'")
        .execute(&farebox.pool)
        .await
        .expect("days");
    sqlx::query("update hook_attempt set at = at - interval '7 days'").execute(&farebox.pool).await.expect("days");
    fails_until(&farebox, 8).await;
    assert_eq!(
        farebox.text("select disabled_at::text from hook").await,
        "",
        "one failure after a long silence is none"
    );
    // Those of the last five days do, and there have to be eight.
    sqlx::query("update hook_attempt set at = at + interval '3 days'").execute(&farebox.pool).await.expect("days");
    sqlx::query("update hook set failing_since = now() - interval '5 days 1 minute'")
        .execute(&farebox.pool)
        .await
        .expect("days");
    sqlx::query("delete from hook_attempt where number > 6").execute(&farebox.pool).await.expect("fewer");
    now(&farebox).await;
    becomes(&farebox, "select max(number)::text from hook_attempt", "9").await;
    assert_eq!(farebox.text("select disabled_at::text from hook").await, "", "seven are not enough");
    now(&farebox).await;
    becomes(&farebox, "select disabled_why from hook", "failing").await;
    assert_eq!(farebox.text(STATES).await, "held");
    let mails = "select string_agg(recipient, ' ' order by recipient) from mail where kind = 'webhook_off'";
    assert_eq!(farebox.text(mails).await, "ada@example.com admin@example.com");
    let log = "select actor_kind from audit_entry where action = 'webhook.disabled'";
    assert_eq!(farebox.text(log).await, "system");
    let shown = ada.get(&mine.page).await.body;
    assert!(shown.contains("Switched off") && shown.contains("no message for five days"), "{shown}");
    // What happens meanwhile is not told; what waited is, once it is on again.
    happens(&farebox.pool, team, "meanwhile").await;
    receiver.answers(Answer::Status(200, ""));
    let on = ada.submit(&mine.page, &format!("{}/enable", mine.page), &[]).await;
    assert_eq!(on.status, 303, "{}", on.body);
    becomes(&farebox, STATES, "delivered").await;
    let ids: HashSet<String> = receiver.came().iter().map(|one| one.id().to_owned()).collect();
    assert_eq!(ids.len(), 1);
    // One that says it is gone is switched off at once.
    receiver.answers(Answer::Status(410, ""));
    happens(&farebox.pool, team, "gone").await;
    becomes(&farebox, "select disabled_why from hook", "gone").await;
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'webhook_off'").await, "4");
    // Deleting takes the messages along.
    assert_eq!(ada.submit(&mine.page, &format!("{}/delete", mine.page), &[]).await.status, 303);
    assert_eq!(farebox.text("select count(*)::text from hook_delivery").await, "0");
    assert_eq!(farebox.text("select count(*)::text from hook_attempt").await, "0");
}

/// Four organizations could fill a process: each is sent eight at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn organizations_with_slow_addresses_and_much_to_hear_keep_no_other_waiting() {
    let farebox = Farebox::with(private()).await;
    let (quick, slow) = (Receiver::start().await, Receiver::start().await);
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    ada.get("/").await;
    let own = org_of(&farebox, ADA).await;
    add(&mut ada, &quick.url("/"), &[]).await;
    slow.answers(Answer::Slow(Duration::from_secs(3)));
    let mut teams: Vec<OrgId> = Vec::new();
    for number in 0..4 {
        let team = team::create(&mut ada, &format!("Slow {number}")).await;
        teams.push(team.parse().expect("an organization"));
        for path in ["/one", "/two"] {
            add(&mut ada, &slow.url(path), &[]).await;
        }
    }
    // Each to two addresses: more than a process sends in forty seconds.
    for number in 0..60 {
        for team in &teams {
            happens(&farebox.pool, *team, &format!("flood {number}")).await;
        }
    }
    slow.has(32).await;
    happens(&farebox.pool, own, "the only one").await;
    // Twenty seconds at most.
    quick.has(1).await;
    let waiting =
        farebox.text("select count(*)::text from hook_delivery where state = 'pending' and claim is null").await;
    assert!(waiting.parse::<u32>().expect("a number") > 100, "only {waiting} were before it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_event_is_sent_once_in_five_seconds_whichever_address_it_goes_to() {
    let farebox = Farebox::with(private()).await;
    let receiver = Receiver::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let mine = [add(&mut ada, &receiver.url("/one"), &[]).await, add(&mut ada, &receiver.url("/two"), &[]).await];
    let token = ada.token(&mine[0].page).await;
    // Both within the same five seconds.
    while crate::support::shop::now() % 5 > 1 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for hook in &mine {
        assert_eq!(ada.post(&token, &format!("{}/test", hook.page), &[]).await.status, 303);
    }
    assert!(ada.get(&mine[1].page).await.body.contains("to this address or another"));
    assert_eq!(farebox.text("select count(*)::text from hook_event where kind = 'webhook.test'").await, "1");
    assert_eq!(receiver.has(1).await[0].path, "/one");
}

/// Addresses for which nothing waits cost nothing, however many there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_nothing_to_hear_is_not_looked_at() {
    let farebox = Farebox::with(private()).await;
    let receiver = Receiver::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    ada.get("/").await;
    let org = org_of(&farebox, ADA).await;
    add(&mut ada, &receiver.url("/"), &[]).await;
    // A thousand organizations, of which twenty wait for their next try.
    sqlx::raw_sql(
        "insert into org (id, name, kind)
            select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'Quiet ' || n, 'team'
            from generate_series(1, 1000) n;
         insert into hook (org_id, id, url, description, data_key, nonce, ciphertext)
            select id, id, 'https://example.com/', '', id, '', '' from org where name like 'Quiet %';
         insert into hook_event (org_id, id, kind, reference, body)
            select org_id, org_id, 'credits.low', 'x', '{}' from hook where url = 'https://example.com/';
         insert into hook_delivery (org_id, id, hook_id, event_id, attempts, next_at)
            select org_id, org_id, org_id, org_id, 1, now() + interval '1 hour' from hook_event
            where reference = 'x' order by org_id limit 20;
         analyze hook; analyze hook_event; analyze hook_delivery",
    )
    .execute(&farebox.pool)
    .await
    .expect("a thousand addresses");
    let read = async || -> i64 {
        // What a process counts is told a second later, and when it is idle.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let count = "select (coalesce(idx_tup_fetch, 0) + seq_tup_read)::bigint from pg_stat_user_tables where relname = 'hook'";
        sqlx::query_scalar(count).fetch_one(&farebox.pool).await.expect("a count")
    };
    let before = read().await;
    for number in 0..5 {
        happens(&farebox.pool, org, &format!("event {number}")).await;
        receiver.has(number + 1).await;
    }
    becomes(&farebox, "select count(*)::text from hook_delivery where state = 'delivered'", "5").await;
    let rows = read().await - before;
    assert!(rows < 200, "{rows} rows of addresses were read for five messages");
    assert_eq!(farebox.text("select count(*)::text from hook_delivery where state = 'pending'").await, "20");
}

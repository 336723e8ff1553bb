//! Mails that a mail server does not take.

use std::time::Duration;

use crate::support::fake_smtp::{FakeSmtp, Mood};
use crate::support::shop::{Shop, becomes};
use crate::support::visitor::{Visitor, between, mailed_link};
use crate::support::{Farebox, Options, team};

const EMAIL: &str = "ada@example.com";
const SIGN_UP: [(&str, &str); 3] = [("name", "Ada"), ("email", EMAIL), ("password", "correct horse battery")];

async fn start(smtp: &FakeSmtp) -> Farebox {
    let env = vec![("FAREBOX_SMTP_URL", smtp.url.clone())];
    Farebox::with(Options { env, ..Options::default() }).await
}

async fn sign_up(farebox: &Farebox) -> Visitor<'_> {
    let mut visitor = Visitor::new(farebox);
    let page = visitor.submit("/sign-up", "/sign-up", &SIGN_UP).await;
    assert_eq!(page.status, 200, "{}", page.body);
    visitor
}

/// The tries before the last one pass at once instead of in hours.
async fn gives_up(farebox: &Farebox) {
    for _ in 0..200 {
        sqlx::query(
            "update graphile_worker._private_jobs set attempts = max_attempts - 1, run_at = now()
             where key like 'mail:%' and locked_at is null and attempts between 1 and max_attempts - 1",
        )
        .execute(&farebox.pool)
        .await
        .expect("done");
        if !farebox.text("select dead_at::text from mail").await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the mail does not die\n{}", farebox.log());
}

async fn cli(farebox: &Farebox, arguments: &[&str]) -> (bool, String) {
    let output = farebox.cli(arguments).await;
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

async fn metric(farebox: &Farebox) -> String {
    let answer = farebox.http.get(farebox.url("/metrics")).send().await.expect("an answer");
    let text = answer.text().await.expect("a text");
    text.lines().find_map(|line| line.strip_prefix("farebox_mail_dead_letters ")).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_nobody_takes_is_kept_shown_and_can_be_sent_anew() {
    let smtp = FakeSmtp::start(Mood::Refuses).await;
    let farebox = start(&smtp).await;
    let mut visitor = sign_up(&farebox).await;
    assert_eq!(metric(&farebox).await, "0");
    gives_up(&farebox).await;
    while farebox.text("select attempts::text from mail").await == "1" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    assert_eq!(metric(&farebox).await, "1");
    let (ok, listed) = cli(&farebox, &["mail", "dead"]).await;
    assert!(ok && listed.contains("  verify") && listed.contains("no such mailbox"), "{listed}");
    assert!(listed.contains("a…@example.com") && !listed.contains(EMAIL), "{listed}");
    let page = visitor.get("/dev/mailbox").await.body;
    assert!(page.contains("Given up") && page.contains("no such mailbox"), "{page}");
    assert!(!farebox.log().contains(EMAIL), "{}", farebox.log());

    // Put back while the server still refuses, it has all its tries again.
    let id = listed.split_whitespace().next().unwrap_or_default().to_owned();
    let (ok, said) = cli(&farebox, &["mail", "retry", &id]).await;
    assert!(ok, "{said}");
    assert_eq!(metric(&farebox).await, "0");
    gives_up(&farebox).await;
    // It is dead from the beginning of its last try, which must not find the server in a better mood.
    while farebox.text("select attempts::text from mail").await == "3" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    smtp.becomes(Mood::Takes);
    let (ok, said) = cli(&farebox, &["mail", "retry", "all"]).await;
    assert!(ok && said.contains("1 mails"), "{said}");
    for _ in 0..200 {
        if !smtp.taken().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let taken = smtp.taken();
    assert!(taken.len() == 1 && taken[0].contains(EMAIL), "{taken:?}");
    let (ok, said) = cli(&farebox, &["mail", "retry", &id]).await;
    assert!(!ok && said.contains("no dead letter"), "{said}");
    let (ok, said) = cli(&farebox, &["mail", "retry", "some"]).await;
    assert!(!ok && said.contains("`all`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_whose_last_try_dies_with_its_process_is_a_dead_letter() {
    let smtp = FakeSmtp::start(Mood::Refuses).await;
    let mut farebox = start(&smtp).await;
    sign_up(&farebox).await;
    for _ in 0..200 {
        if farebox.text("select attempts::text from mail").await != "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    smtp.becomes(Mood::Hangs);
    gives_up(&farebox).await;
    farebox.kill();
    let (ok, listed) = cli(&farebox, &["mail", "dead"]).await;
    assert!(ok && listed.contains("a…@example.com"), "{listed}");
}

/// Waits until a mail of every kind is there, and gives the text and the HTML of one of each.
async fn one_of_each(farebox: &Farebox, kinds: &[&str]) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for _ in 0..100 {
        found = sqlx::query_as("select distinct on (kind) kind, text_body, html_body from mail order by kind, id desc")
            .fetch_all(&farebox.pool)
            .await
            .expect("mails");
        if kinds.iter().all(|kind| found.iter().any(|(one, ..): &(String, String, String)| one == kind)) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{kinds:?} are not all in {:?}", found.iter().map(|(kind, ..)| kind).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mail_has_two_parts_that_say_the_same_and_one_thing_to_do() {
    let farebox = Farebox::start().await;
    let password = "correct horse battery";
    let mut ada = Visitor::member(&farebox, EMAIL, password).await;
    let mut bob = Visitor::member(&farebox, "bob@example.com", password).await;
    team::create(&mut ada, "Analytical Engines").await;
    team::bring_in(&farebox, &mut ada, &mut bob, "bob@example.com", "member").await;
    let bobs = format!("/settings/members/{}", team::person(&farebox, "bob@example.com").await);
    ada.submit(&bobs, &format!("{bobs}/role"), &[("role", "admin")]).await;
    ada.submit(&format!("{bobs}/remove"), &format!("{bobs}/remove"), &[]).await;
    // Another address of hers, somebody who forgot a password, and a browser that was not seen before.
    ada.submit("/settings/email", "/settings/email", &[("email", "later@example.com")]).await;
    let link = mailed_link(&farebox, "later@example.com").await;
    let token = between(&format!("{link}&"), "token=", "&");
    ada.submit(&link, "/email/confirm", &[("token", &token)]).await;
    let mut phone = Visitor::new(&farebox);
    phone.submit("/recover", "/recover", &[("email", "bob@example.com")]).await;
    let form = [("email", "bob@example.com"), ("password", password)];
    let token = phone.token("/sign-in").await;
    let mut fields = vec![("csrf_token", token.as_str())];
    fields.extend(form);
    let request = farebox.http.post(farebox.url("/sign-in")).header("user-agent", "Firefox/140.0 Linux").form(&fields);
    assert_eq!(phone.send(request).await.status, 303);
    crate::support::authenticator::enrol(&mut bob).await;
    let kinds = [
        "verify_email",
        "recover",
        "confirm_email",
        "email_changed",
        "new_device",
        "invitation",
        "role_changed",
        "removed",
        "two_factor_on",
    ];
    for (kind, text, html) in one_of_each(&farebox, &kinds).await {
        let actions: Vec<&str> = html.split("<a class=\"action\" href=\"").skip(1).collect();
        assert_eq!((actions.len(), html.matches("<a ").count()), (1, 1), "{kind}: {html}");
        let link = actions[0].split('"').next().unwrap_or_default().replace("&#38;", "&").replace("&amp;", "&");
        assert!(link.starts_with("http") && text.contains(&link), "{kind}: {link} is not in {text}");
        // The link stands on a line of its own, once, and the text has no markup.
        assert_eq!(text.lines().filter(|line| line.trim() == link).count(), 1, "{kind}: {text}");
        assert!(!text.contains("</") && !text.contains("&#"), "{kind}: {text}");
        let plain = |text: &str| {
            // Without what is marked up in a sentence.
            let text: String =
                text.split('<').map(|part| part.split_once('>').map_or(part, |(_, rest)| rest)).collect();
            let text = text.replace("&#39;", "'").replace("&#34;", "\"").replace("&amp;", "&").replace("&#38;", "&");
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        // Each sentence of the text is in the HTML; two mails have words of their own around their link.
        let own = matches!(kind.as_str(), "verify_email" | "recover");
        for line in text.lines().filter(|_| !own).map(plain).filter(|line| line.len() > 40 && !line.starts_with("http"))
        {
            assert!(plain(&html).contains(&line), "{kind}: {line} is not in {html}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_event_twice_is_one_mail() {
    use farebox::mail::{About, Kind, NewMail, enqueue};
    let smtp = FakeSmtp::start(Mood::Takes).await;
    let farebox = start(&smtp).await;
    let mail = |subject: &str| NewMail {
        event: "a test:1".to_owned(),
        kind: Kind::NewDevice,
        to: EMAIL.parse().expect("an address"),
        subject: subject.to_owned(),
        text: "Once.".to_owned(),
        html: "<p>Once.</p>".to_owned(),
        about: About::default(),
    };
    // By two processes at once, and again after it was sent.
    let (mut one, mut two) = (farebox.pool.begin().await.expect("one"), farebox.pool.begin().await.expect("two"));
    enqueue(&mut one, mail("First")).await.expect("written");
    let second = async {
        enqueue(&mut two, mail("Second")).await.expect("no error");
        two.commit().await.expect("committed");
    };
    let first = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        one.commit().await.expect("committed");
    };
    tokio::join!(first, second);
    for _ in 0..100 {
        if farebox.text("select count(sent_at)::text from mail").await == "1" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut again = farebox.pool.begin().await.expect("a transaction");
    enqueue(&mut again, mail("Third")).await.expect("no error");
    again.commit().await.expect("committed");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(
        farebox.text("select string_agg(subject || ' ' || (sent_at is not null), ',') from mail").await,
        "First true"
    );
    assert_eq!(
        farebox.text("select count(*)::text from graphile_worker._private_jobs where key like 'mail:%'").await,
        "0"
    );
    assert_eq!(smtp.taken().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_stalls_keeps_no_payment_from_being_credited() {
    use farebox::mail::{About, Kind, NewMail, enqueue};
    let (smtp, shop) = (FakeSmtp::start(Mood::Hangs).await, Shop::open().await);
    let mut options = shop.options();
    options.env.push(("FAREBOX_SMTP_URL", smtp.url.clone()));
    let farebox = Farebox::with(options).await;
    shop.deliver_to(&farebox);
    let mut ada = Visitor::member(&farebox, EMAIL, "correct horse battery").await;
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    for number in 0..12 {
        let mail = NewMail {
            event: format!("a test:{number}"),
            kind: Kind::NewDevice,
            to: EMAIL.parse().expect("an address"),
            subject: "Stalled".to_owned(),
            text: "Once.".to_owned(),
            html: "<p>Once.</p>".to_owned(),
            about: About::default(),
        };
        enqueue(&mut tx, mail).await.expect("written");
    }
    tx.commit().await.expect("committed");
    let stalled = "select (count(*) >= 4)::text from graphile_worker._private_jobs
        where key like 'mail:%' and locked_at is not null";
    becomes(&farebox, stalled, "true").await;

    let begun = std::time::Instant::now();
    shop.buy(&mut ada, "20", "card").await;
    becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "1").await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(farebox.text(stalled).await, "true", "the mails hang as before");
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_later_nobody_knows_to_whom_a_mail_went() {
    use farebox::mail::{About, Kind, NewMail, enqueue};
    let farebox = Farebox::start().await;
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    for event in ["given up", "new", "sent", "waiting"] {
        let mail = NewMail {
            event: event.to_owned(),
            kind: Kind::NewDevice,
            to: EMAIL.parse().expect("an address"),
            subject: format!("Of {EMAIL}"),
            text: "Once.".to_owned(),
            html: "<p>Once.</p>".to_owned(),
            about: About::default(),
        };
        enqueue(&mut tx, mail).await.expect("written");
    }
    tx.commit().await.expect("committed");
    becomes(&farebox, "select count(sent_at)::text from mail", "4").await;
    for statement in [
        "update mail set created_at = now() - interval '31 days' where event <> 'new'",
        "update mail set sent_at = null where event in ('given up', 'waiting')",
        "update mail set dead_at = now() where event = 'given up'",
    ] {
        sqlx::query(statement).execute(&farebox.pool).await.expect("time passes");
    }
    assert_eq!(farebox::mail::forget_round(&farebox.pool).await.expect("done"), 2);
    let known = "select string_agg(event, ',' order by event) from mail where mail::text like '%ada@example.com%'";
    assert_eq!(farebox.text(known).await, "new,waiting");
    assert_eq!(farebox.text("select count(*)::text from mail where dead_at is not null").await, "0");
    assert_eq!(farebox.text("select count(*)::text from mail").await, "4", "an event is told once for ever");
    assert_eq!(farebox::mail::forget_round(&farebox.pool).await.expect("done"), 0);
}

//! Saying no to one kind of mail by the link in its head, without signing in.

use std::time::Duration;

use farebox::base::EmailAddress;
use farebox::base::ids::{OrgId, PersonId};
use farebox::mail::{self, About, Kind, NewMail};
use farebox::notices::{self, Reader};
use farebox::web::views::emails::NoticeMail;

use super::low_balance::correct;
use super::notifications::{choose, everybody, low};
use crate::support::fake_smtp::{FakeSmtp, Mood};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options, team};

const HEAD: &str = "List-Unsubscribe: <";

/// Mails that the server took to somebody, with this in their subject; waits for so many, at most twenty seconds.
async fn taken(smtp: &FakeSmtp, name: &str, subject: &str, count: usize) -> Vec<String> {
    for _ in 0..400 {
        let mut taken = smtp.taken();
        taken.retain(|mail| mail.contains(&format!("To: {name}@example.com\n")) && mail.contains(subject));
        if taken.len() >= count {
            return taken;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} got no {count} mails of {subject}, but {:?}", smtp.taken());
}

/// The address in the head of a mail.
fn link(mail: &str) -> Option<String> {
    let head = mail.split("\n\n").next().unwrap_or_default();
    let line = head.lines().find_map(|line| line.strip_prefix(HEAD))?;
    line.strip_suffix('>').map(str::to_owned)
}

struct Told {
    status: u16,
    body: String,
}

async fn told(request: reqwest::RequestBuilder) -> Told {
    let answer = request.send().await.expect("an answer");
    Told { status: answer.status().as_u16(), body: answer.text().await.expect("a page") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_switches_off_one_kind_of_mail_of_one_person_and_looking_at_it_nothing() {
    // Links to join are read in the outbox, which forgets what left the house.
    let mut before = Farebox::start().await;
    let (org, cookies) = {
        let (org, all) = everybody(&before).await;
        (org, all.iter().map(|one| one.cookies().to_vec()).collect::<Vec<_>>())
    };
    before.kill();
    let smtp = FakeSmtp::start(Mood::Takes).await;
    let env = vec![("FAREBOX_SMTP_URL", smtp.url.clone())];
    let database_url = Some(before.database_url.clone());
    let farebox = Farebox::with(Options { env, database_url, ..Options::default() }).await;
    let mut all: Vec<_> = cookies.iter().map(|cookies| Visitor::with_cookies(&farebox, cookies)).collect();
    correct(&farebox.pool, org, "4").await;
    low(&farebox, org).await;
    let subject = "Subject: Credits of";
    let billing = taken(&smtp, "billing", subject, 1).await.remove(0);
    let address = link(&billing).expect("a link");
    taken(&smtp, "owner", subject, 1).await;
    assert!(address.starts_with(&farebox.url("/unsubscribe?token=")), "{address}");
    // This instance is not reached by TLS, so no program is told to do it by itself.
    assert!(!billing.contains("List-Unsubscribe-Post"), "{billing}");
    // What nobody can do without has no link.
    assert_eq!(team::invite(&mut all[0], "guest@example.com", "member").await.status, 303);
    all[0].submit("/recover", "/recover", &[("email", "admin@example.com")]).await;
    for always in ["guest", "admin"] {
        let mail = taken(&smtp, always, "Subject: ", 1).await.remove(0);
        assert!(!mail.contains("List-Unsubscribe"), "{mail}");
    }

    // Programs that read mail open links.
    for _ in 0..2 {
        let page = told(farebox.http.get(&address)).await;
        assert_eq!(page.status, 200, "{}", page.body);
        for part in ["Low balance", "Analytical Engines", "b…@example.com", "Send no more of these"] {
            assert!(page.body.contains(part), "{part}: {}", page.body);
        }
    }
    let chosen = "select coalesce(string_agg(topic || ' ' || wanted, ','), '') from notice_choice";
    assert_eq!(farebox.text(chosen).await, "");

    // What was not signed here does nothing.
    let token = address.split_once("token=").expect("a token").1;
    let end = if token.ends_with('A') { "B" } else { "A" };
    let forged = [
        String::new(),
        "0".to_owned(),
        token[..token.len() - 1].to_owned(),
        format!("{}{end}", &token[..token.len() - 1]),
        format!("{token}A"),
        "A".repeat(token.len()),
        "A".repeat(4_000),
    ];
    let body = [("List-Unsubscribe", "One-Click")];
    for wrong in forged {
        let wrong = farebox.url(&format!("/unsubscribe?token={wrong}"));
        for request in [farebox.http.get(&wrong), farebox.http.post(&wrong).form(&body)] {
            let page = told(request).await;
            assert!(page.status == 400 && page.body.contains("This link does not work"), "{wrong}: {}", page.status);
        }
    }
    // Nor does another site that has it in a visitor's browser.
    let elsewhere = farebox.http.post(&address).header("sec-fetch-site", "cross-site").form(&body);
    assert_eq!(told(elsewhere).await.status, 403);
    assert_eq!(farebox.text(chosen).await, "");

    // One click, by several at once, without cookies; the body may be sent in both ways.
    let whole = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    let parts = farebox.http.post(&address).header("content-type", "multipart/form-data; boundary=x").body(whole);
    let (one, two, three) = tokio::join!(
        told(farebox.http.post(&address).form(&body)),
        told(farebox.http.post(&address).form(&body)),
        told(parts)
    );
    for page in [one, two, three] {
        assert!(page.status == 200 && page.body.contains("These mails have stopped"), "{} {}", page.status, page.body);
    }
    assert_eq!(farebox.text(chosen).await, "low_balance no");
    let who = "select email from person p join notice_choice c on c.person_id = p.id";
    assert_eq!(farebox.text(who).await, "billing@example.com");
    let log = "select count(*) || ' ' || max(actor_kind) || ' ' || max(after) from audit_entry
        where action = 'settings.notices_changed'";
    assert_eq!(farebox.text(log).await, r#"1 nobody {"low_balance":"no"}"#);

    // They stop, for that one alone, and come again once they are wanted.
    low(&farebox, org).await;
    taken(&smtp, "owner", subject, 2).await;
    let written = "select count(*)::text from mail where kind = 'low_balance' and recipient = 'billing@example.com'";
    assert_eq!(farebox.text(written).await, "1");
    choose(&mut all[2], &[("low_balance", "all")]).await;
    low(&farebox, org).await;
    taken(&smtp, "owner", subject, 3).await;
    taken(&smtp, "billing", subject, 2).await;

    // Whoever is gone gets none; the link says so and does nothing.
    let person = team::person(&farebox, "billing@example.com").await;
    let remove = format!("/settings/members/{person}/remove");
    assert_eq!(all[0].submit(&remove, &remove, &[]).await.status, 303);
    for request in [farebox.http.get(&address), farebox.http.post(&address).form(&body)] {
        let page = told(request).await;
        assert!(page.status == 200 && page.body.contains("no longer in the organization"), "{}", page.body);
    }
    assert_eq!(farebox.text(chosen).await, "");
    assert!(!farebox.log().contains(token), "the link stands in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_tls_it_is_one_click_and_what_is_always_sent_has_no_link() {
    let smtp = FakeSmtp::start(Mood::Takes).await;
    let env =
        vec![("FAREBOX_SMTP_URL", smtp.url.clone()), ("FAREBOX_PUBLIC_URL", "https://ai.example.com/".to_owned())];
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let by = Some((OrgId::fresh(), PersonId::fresh()));
    let email = |name: &str| EmailAddress::parse(&format!("{name}@example.com")).expect("an address");
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    let reader = |name: &str, chooser| Reader { name: String::new(), email: email(name), chooser };
    let readers = vec![reader("ada", by), reader("accountant", None)];
    let notice = NoticeMail { subject: "A refund".into(), ..NoticeMail::default() };
    notices::write(&mut tx, "refund", Kind::RefundSucceeded, readers, &notice, About::default())
        .await
        .expect("written");
    let leaked = NewMail {
        event: "leaked".into(),
        kind: Kind::KeyLeaked,
        to: email("grace"),
        subject: "A key was published".into(),
        text: "Text".into(),
        html: "<p>Text</p>".into(),
        about: About::default(),
    };
    mail::enqueue_chosen(&mut tx, leaked, by).await.expect("written");
    tx.commit().await.expect("committed");
    let of = async |name: &str| taken(&smtp, name, "Subject: ", 1).await.remove(0);
    let ada = of("ada").await;
    let address = link(&ada).unwrap_or_else(|| panic!("no link: {ada}"));
    assert!(address.starts_with("https://ai.example.com/unsubscribe?token="), "{address}");
    assert!(ada.contains("\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n"), "{ada}");
    for name in ["accountant", "grace"] {
        let mail = of(name).await;
        assert!(!mail.contains("List-Unsubscribe"), "{mail}");
    }
}

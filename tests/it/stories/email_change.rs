//! A new e-mail address: confirmed by whoever owns both the account and the mailbox, and taken back by the old one.

use crate::support::Farebox;
use crate::support::visitor::{Page, Visitor, between, mailed_link};

const PASSWORD: &str = "correct horse battery";
const OLD: &str = "ada@example.com";
const NEW: &str = "lovelace@example.org";

fn token(link: &str) -> String {
    link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a token")
}

async fn ask(visitor: &mut Visitor<'_>, new: &str) -> Page {
    visitor.submit("/settings/email", "/settings/email", &[("email", new)]).await
}

async fn confirm(visitor: &mut Visitor<'_>, link: &str) -> Page {
    visitor.submit(link, "/email/confirm", &[("token", &token(link))]).await
}

async fn sign_in(farebox: &Farebox, email: &str) -> u16 {
    Visitor::new(farebox).submit("/sign-in", "/sign-in", &[("email", email), ("password", PASSWORD)]).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_changed_by_its_new_mailbox_and_taken_back_by_the_old() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, OLD, PASSWORD).await;
    let same = ask(&mut ada, "ADA@example.com").await;
    assert_eq!(same.status, 422, "{}", same.body);
    assert!(ask(&mut ada, "nothing").await.body.contains("is not an e-mail address"));

    let sent = ask(&mut ada, NEW).await;
    assert!(sent.status == 200 && sent.body.contains(NEW), "{}", sent.body);
    assert_eq!((sign_in(&farebox, OLD).await, sign_in(&farebox, NEW).await), (303, 422), "nothing changed yet");
    let first = mailed_link(&farebox, NEW).await;
    ask(&mut ada, NEW).await;
    let link = mailed_link(&farebox, NEW).await;
    assert_eq!(confirm(&mut ada, &first).await.status, 422, "a later request makes the earlier void");

    // The link alone is worth nothing, neither to nobody nor to somebody else.
    let stranger = Visitor::new(&farebox).get(&link).await;
    assert!(stranger.location.starts_with("/sign-in"), "{}", stranger.location);
    let mut eve = Visitor::member(&farebox, "eve@example.com", PASSWORD).await;
    assert_eq!(confirm(&mut eve, &link).await.status, 422);
    assert_eq!(ada.get(&link).await.status, 200, "looking changes nothing");
    assert_eq!(sign_in(&farebox, OLD).await, 303);

    let done = confirm(&mut ada, &link).await;
    assert_eq!((done.status, done.location.as_str()), (303, "/settings/profile"));
    assert_eq!((sign_in(&farebox, OLD).await, sign_in(&farebox, NEW).await), (422, 303));
    assert_eq!(confirm(&mut ada, &link).await.status, 422, "a link works once");

    // The old mailbox can take it back, although the thief went on to another address.
    let revert = mailed_link(&farebox, OLD).await;
    ask(&mut ada, "thief@example.net").await;
    let further = mailed_link(&farebox, "thief@example.net").await;
    assert_eq!(confirm(&mut ada, &further).await.status, 303);
    let mut owner = Visitor::new(&farebox);
    assert_eq!(owner.get(&revert).await.status, 200);
    assert_eq!(ada.get("/").await.status, 200, "looking changes nothing");
    let back = owner.submit(&revert, "/email/revert", &[("token", &token(&revert))]).await;
    assert_eq!((back.status, back.location.as_str()), (303, "/sign-in"));
    assert_eq!(ada.get("/").await.status, 303, "every device is signed out");
    assert_eq!((sign_in(&farebox, OLD).await, sign_in(&farebox, "thief@example.net").await), (422, 422));
    assert!(mailed_link(&farebox, OLD).await.starts_with("/reset"), "a new password may be set at once");
    let again = owner.submit(&revert, "/email/revert", &[("token", &token(&revert))]).await;
    assert_eq!(again.status, 422);
    let theirs = mailed_link(&farebox, NEW).await;
    let undone = owner.submit(&theirs, "/email/revert", &[("token", &token(&theirs))]).await;
    assert_eq!(undone.status, 422, "the link of a later change does not undo the reversal");
    assert_eq!(
        farebox.text("select string_agg(action, ' ' order by seq) from audit_entry where action like '%email_%' and action not like '%verified'").await,
        "account.email_change_asked account.email_change_asked account.email_changed account.email_change_asked \
         account.email_changed account.email_reverted"
    );
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_does_not_learn_whose_address_it_is() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, OLD, PASSWORD).await;
    Visitor::member(&farebox, "bob@example.com", PASSWORD).await;
    let known = ask(&mut ada, "bob@example.com").await;
    let unknown = ask(&mut ada, "bot@example.com").await;
    assert_eq!((known.status, unknown.status), (200, 200));
    assert_eq!(known.body.replace("bob@", "bot@"), unknown.body);
    let told = farebox.text("select text_body from mail where kind = 'address_is_taken'").await;
    assert!(!told.contains(OLD) && !told.contains("http"), "{told}");

    // Somebody takes the address between the request and the click.
    let link = mailed_link(&farebox, "bot@example.com").await;
    Visitor::member(&farebox, "bot@example.com", PASSWORD).await;
    let late = confirm(&mut ada, &link).await;
    assert!(late.status == 422 && late.body.contains("Nothing was changed"), "{}", late.body);
    assert_eq!(sign_in(&farebox, OLD).await, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_sent_at_once_send_no_more_mails_than_one_after_another() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, OLD, PASSWORD).await;
    let csrf = ada.token("/settings/email").await;
    let asked = (0..16).map(|_| {
        let mut tab = Visitor::with_cookies(&farebox, ada.cookies());
        let csrf = csrf.clone();
        async move { tab.post(&csrf, "/settings/email", &[("email", NEW)]).await.status }
    });
    let statuses = futures_util::future::join_all(asked).await;
    let (sent, late) = (|status: &&u16| **status == 200, |status: &&u16| **status == 429);
    assert_eq!(statuses.iter().filter(sent).count(), 6, "{statuses:?}");
    assert_eq!(statuses.iter().filter(late).count(), 10, "{statuses:?}");
    let mails = "select count(*)::text from mail where recipient like '%lovelace@example.org%'";
    assert_eq!(farebox.text(mails).await, "6");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_needs_a_fresh_proof_and_happens_once() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, OLD, PASSWORD).await;
    let token_before = ada.token("/settings/profile").await;
    sqlx::query("update session set authenticated_at = now() - interval '6 minutes'")
        .execute(&farebox.pool)
        .await
        .expect("an old session");
    let asked = ada.get("/settings/email").await;
    assert_eq!((asked.status, asked.location.as_str()), (303, "/step-up?next=%2Fsettings%2Femail"));
    let sent = ada.post(&token_before, "/settings/email", &[("email", NEW)]).await;
    assert!(sent.status == 303 && sent.location.starts_with("/step-up"), "{}", sent.location);
    assert_eq!(farebox.text("select count(*)::text from email_change").await, "0");
    let stepped = ada.submit(&asked.location, "/step-up", &[("password", PASSWORD), ("next", "/settings/email")]).await;
    assert_eq!((stepped.status, stepped.location.as_str()), (303, "/settings/email"));
    assert_eq!(ask(&mut ada, NEW).await.status, 200);

    // The same link from two tabs at once.
    let link = mailed_link(&farebox, NEW).await;
    let csrf = ada.token(&link).await;
    let mut other = Visitor::with_cookies(&farebox, ada.cookies());
    let text = token(&link);
    let (one, two) = (&[("token", text.as_str())], &[("token", text.as_str())]);
    let (one, two) = tokio::join!(ada.post(&csrf, "/email/confirm", one), other.post(&csrf, "/email/confirm", two));
    let mut both = [one.status, two.status];
    both.sort_unstable();
    assert_eq!(both, [303, 422]);
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'email_changed'").await, "1");

    // A link that is too old.
    ask(&mut ada, "third@example.org").await;
    let late = mailed_link(&farebox, "third@example.org").await;
    sqlx::query("update email_change set created_at = now() - interval '61 minutes' where confirmed_at is null")
        .execute(&farebox.pool)
        .await
        .expect("an old request");
    assert_eq!(confirm(&mut ada, &late).await.status, 422);
    let revert = mailed_link(&farebox, OLD).await;
    sqlx::query("update email_change set confirmed_at = now() - interval '8 days' where confirmed_at is not null")
        .execute(&farebox.pool)
        .await
        .expect("an old change");
    let back = ada.submit(&revert, "/email/revert", &[("token", &token(&revert))]).await;
    assert_eq!(back.status, 422);
}

async fn run(farebox: &Farebox, statement: &'static str) {
    sqlx::query(statement).execute(&farebox.pool).await.expect("done");
}

/// A passkey, an account elsewhere, and how long ago they came. The keys themselves are of no use here.
async fn doors(farebox: &Farebox, name: &str, ago: &str) {
    for statement in [
        "insert into passkey (id, person_id, credential_id, name, credential, created_at)
         select gen_random_uuid(), id, sha256($1::text::bytea), $1, '{}', now() - $2::interval from person",
        "insert into identity (id, person_id, issuer, subject, linked_at)
         select gen_random_uuid(), id, 'https://' || $1 || '.example', 'subject', now() - $2::interval from person",
    ] {
        sqlx::query(statement).bind(name).bind(ago).execute(&farebox.pool).await.expect("a door");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_an_address_back_shuts_the_doors_that_were_opened_meanwhile() {
    let farebox = Farebox::start().await;
    let mut thief = Visitor::member(&farebox, OLD, PASSWORD).await;
    doors(&farebox, "hers", "2 days").await;
    ask(&mut thief, NEW).await;
    run(&farebox, "update email_change set created_at = now() - interval '10 minutes'").await;
    let link = mailed_link(&farebox, NEW).await;
    assert_eq!(confirm(&mut thief, &link).await.status, 303);
    // One that was added before the new address was confirmed, and the rest after it.
    doors(&farebox, "early", "5 minutes").await;
    doors(&farebox, "late", "0").await;
    crate::support::authenticator::enrol(&mut thief).await;
    let revert = farebox.text("select text_body from mail where kind = 'email_changed'").await;
    let revert = between(&revert, "/email/revert?token=", "\n").trim().to_owned();
    let mut owner = Visitor::new(&farebox);
    let back = owner.submit(&format!("/email/revert?token={revert}"), "/email/revert", &[("token", &revert)]).await;
    assert_eq!((back.status, back.location.as_str()), (303, "/sign-in"), "{}", back.body);

    assert_eq!(farebox.text("select string_agg(name, ' ') from passkey").await, "hers");
    assert_eq!(farebox.text("select string_agg(issuer, ' ') from identity").await, "https://hers.example");
    let left = "select (select count(*) from totp) + (select count(*) from recovery_code)
                + (select count(*) from session) + (select count(*) from person where password_hash is not null) || ''";
    assert_eq!(farebox.text(left).await, "0");
    assert_eq!(sign_in(&farebox, OLD).await, 422, "the password of then signs nobody in");
    let mail = farebox.text("select text_body from mail where kind = 'recover'").await;
    for told in ["late", "early", "second factor", "password", "Still signs in", "hers"] {
        assert!(mail.contains(told), "{told}: {mail}");
    }
    let noted = farebox.text("select after from audit_entry where action = 'account.email_reverted'").await;
    let noted: serde_json::Value = serde_json::from_str(&noted).expect("JSON");
    let expected = serde_json::json!({ "password_forgotten": true, "passkeys_removed": 2, "identities_unlinked": 2,
        "second_factor_removed": true, "recovery_codes_removed": 10 });
    assert_eq!(noted, expected);

    // The owner gets in with the mailed link, and no second factor of somebody else's is in the way.
    let reset = mailed_link(&farebox, OLD).await;
    let fields = [("token", token(&reset)), ("password", "a horse of her own".to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(owner.submit(&reset, "/reset", &fields).await.location, "/sign-in");
    let fields = [("email", OLD), ("password", "a horse of her own")];
    let inside = owner.submit("/sign-in", "/sign-in", &fields).await;
    assert_eq!((inside.status, inside.location.as_str()), (303, "/"), "{}", inside.body);
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_factor_of_before_stays_when_an_address_is_taken_back() {
    let farebox = Farebox::start().await;
    let mut thief = Visitor::member(&farebox, OLD, PASSWORD).await;
    crate::support::authenticator::enrol(&mut thief).await;
    run(&farebox, "update totp set confirmed_at = now() - interval '9 days'").await;
    run(&farebox, "update recovery_code set made_at = now() - interval '9 days'").await;
    ask(&mut thief, NEW).await;
    let link = mailed_link(&farebox, NEW).await;
    assert_eq!(confirm(&mut thief, &link).await.status, 303);
    let revert = mailed_link(&farebox, OLD).await;
    let mut owner = Visitor::new(&farebox);
    assert_eq!(owner.submit(&revert, "/email/revert", &[("token", &token(&revert))]).await.status, 303);
    let left = "select (select count(*) from totp where confirmed_at is not null) || ' ' || (select count(*) from recovery_code)";
    assert_eq!(farebox.text(left).await, "1 10");
    let reset = mailed_link(&farebox, OLD).await;
    let fields = [("token", token(&reset)), ("password", PASSWORD.to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(owner.submit(&reset, "/reset", &fields).await.status, 303);
    let inside = owner.submit("/sign-in", "/sign-in", &[("email", OLD), ("password", PASSWORD)]).await;
    assert_eq!(inside.location, "/sign-in/second");
}

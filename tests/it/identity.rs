//! Signing in with an account elsewhere, and everything that somebody could try on the way.

use std::collections::BTreeMap;

use serde_json::json;

use crate::support::authenticator::enrol;
use crate::support::fake_oidc::{self, FakeOidc, Mood, Signature};
use crate::support::visitor::{Page, Visitor, between};
use crate::support::{Farebox, Options, farebox};

const PASSWORD: &str = "correct horse battery";

/// Presses the button of a provider, and gives the address to which the browser is sent.
async fn leave(visitor: &mut Visitor<'_>, provider: &str, page: &str, action: &str) -> String {
    let sent = visitor.submit(page, action, &[("provider", provider), ("next", "/keys")]).await;
    assert_eq!(sent.status, 200, "{} {}", sent.location, sent.body);
    let link = between(&sent.body, "<a class=\"button primary large block\" href=\"", "\"");
    link.replace("&#38;", "&").replace("&amp;", "&")
}

async fn back(visitor: &mut Visitor<'_>, (path, query): &(String, BTreeMap<String, String>)) -> Page {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    visitor.get(&format!("{path}?{query}")).await
}

/// There and back, as somebody with this subject and address.
async fn through(visitor: &mut Visitor<'_>, fake: &FakeOidc, subject: &str, email: &str) -> Page {
    let sent_to = leave(visitor, "fake", "/sign-in", "/oidc/sign-in").await;
    back(visitor, &fake.grant(&sent_to, subject, email)).await
}

async fn signed_in(visitor: &mut Visitor<'_>) -> bool {
    visitor.get("/").await.status == 200
}

async fn actions(farebox: &Farebox) -> String {
    farebox.text("select coalesce(string_agg(action, ' ' order by occurred_at, seq), '') from audit_entry where action <> 'house.catalog_applied'").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_new_signs_up_and_comes_back_under_another_address() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let mut ada = Visitor::new(&farebox);
    let page = through(&mut ada, &fake, "ada-1", "ada@example.com").await;
    assert_eq!((page.status, page.location.as_str()), (303, "/keys"), "{}", page.body);
    assert!(signed_in(&mut ada).await);
    let person = "select email || ' ' || name || ' ' || (email_verified_at is not null)::text || ' '
        || coalesce(password_hash, 'none') from person";
    assert_eq!(farebox.text(person).await, "ada@example.com Ada Elsewhere true none");
    // The address may change there; the person is the same.
    let mut elsewhere = Visitor::new(&farebox);
    assert_eq!(through(&mut elsewhere, &fake, "ada-1", "married@example.com").await.status, 303);
    assert!(signed_in(&mut elsewhere).await);
    assert_eq!(farebox.text("select count(*)::text from person").await, "1");
    assert_eq!(actions(&farebox).await, "account.signed_up account.signed_in account.signed_in");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
    assert_eq!(farebox.text("select count(*)::text from identity_flow").await, "0", "a flow is used up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_has_an_account_is_not_linked_by_itself() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let mut eve = Visitor::new(&farebox);
    let page = through(&mut eve, &fake, "eve-1", "ADA@example.com").await;
    assert_eq!(page.status, 422);
    assert!(page.body.contains("You have an account already"), "{}", page.body);
    assert!(!signed_in(&mut eve).await);
    assert_eq!(farebox.text("select count(*)::text from identity").await, "0");
    // Nor with an address that the provider has not proven, known here or not.
    for verified in [json!(false), json!(null), json!("true")] {
        fake.bend(move |claims| {
            claims.insert("email_verified".into(), verified.clone());
        });
        for email in ["ada@example.com", "new@example.com"] {
            let page = through(&mut eve, &fake, "eve-1", email).await;
            assert_ne!(page.status, 303, "{email}");
            assert!(!signed_in(&mut eve).await);
        }
    }
    fake.honest();
    // Whoever is signed in links it, and then it signs them in.
    let sent_to = leave(&mut ada, "fake", "/settings/sign-in", "/oidc/link").await;
    let linked = back(&mut ada, &fake.grant(&sent_to, "ada-1", "other@example.net")).await;
    assert_eq!((linked.status, linked.location.as_str()), (303, "/settings/sign-in"), "{}", linked.body);
    let settings = ada.get("/settings/sign-in").await.body;
    assert!(settings.contains("other@example.net") && settings.contains("not used yet"), "{settings}");
    let mut phone = Visitor::new(&farebox);
    assert_eq!(through(&mut phone, &fake, "ada-1", "other@example.net").await.status, 303);
    assert!(phone.get("/settings/profile").await.body.contains("ada@example.com"));
    // Another person cannot have it too.
    let mut bob = Visitor::member(&farebox, "bob@example.com", PASSWORD).await;
    let sent_to = leave(&mut bob, "fake", "/settings/sign-in", "/oidc/link").await;
    let taken = back(&mut bob, &fake.grant(&sent_to, "ada-1", "other@example.net")).await;
    assert!(taken.status == 422 && taken.body.contains("It was not linked"), "{}", taken.body);
    let mails = "select string_agg(distinct kind, ' ') from mail where kind like 'identity%'";
    assert_eq!(farebox.text(mails).await, "identity_linked");
    // A stranger's link is as if it were not there; one's own is taken away.
    let id: uuid::Uuid = sqlx::query_scalar("select id from identity").fetch_one(&farebox.pool).await.expect("one");
    let id = ::farebox::base::ids::IdentityId(id).to_string();
    let other = bob.submit("/settings/sign-in", "/settings/sign-in/unlink", &[("identity", &id)]).await;
    assert_eq!(other.status, 404);
    let gone = ada.submit("/settings/sign-in", "/settings/sign-in/unlink", &[("identity", &id)]).await;
    assert_eq!(gone.status, 303);
    assert_eq!(farebox.text("select count(*)::text from identity").await, "0");
    assert!(actions(&farebox).await.ends_with("account.identity_unlinked"), "{}", actions(&farebox).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_nobody_proved_goes_to_who_does() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let mut eve = Visitor::new(&farebox);
    let fields = [("name", "Eve"), ("email", "ada@example.com"), ("password", "eves own password")];
    assert_eq!(eve.submit("/sign-up", "/sign-up", &fields).await.status, 200);
    let link = crate::support::visitor::mailed_link(&farebox, "ada@example.com").await;
    let mut ada = Visitor::new(&farebox);
    assert_eq!(through(&mut ada, &fake, "ada-1", "ada@example.com").await.status, 303);
    // What was chosen for the address before is worth nothing, and neither is the mailed link.
    let fields = [("email", "ada@example.com"), ("password", "eves own password")];
    assert_eq!(eve.submit("/sign-in", "/sign-in", &fields).await.status, 422);
    let token = link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a token");
    let late = eve.submit(&link, "/verify", &[("token", &token), ("password", "eves own password")]).await;
    assert_eq!(late.status, 422);
    assert!(signed_in(&mut ada).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_belongs_to_one_browser_and_works_once() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let (mut ada, mut eve) = (Visitor::new(&farebox), Visitor::new(&farebox));
    let sent_to = leave(&mut ada, "fake", "/sign-in", "/oidc/sign-in").await;
    let good = fake.grant(&sent_to, "ada-1", "ada@example.com");
    for state in ["", "0", &"0".repeat(64)] {
        let mut wrong = good.clone();
        wrong.1.insert("state".into(), state.to_owned());
        assert_eq!(back(&mut ada, &wrong).await.status, 422, "the state {state:?}");
    }
    // Another browser cannot be made to sign in as Ada, nor use up her state.
    eve.get("/sign-in").await;
    let theirs = back(&mut eve, &good).await;
    assert!(theirs.status == 422 && theirs.body.contains("Begin again"), "{}", theirs.body);
    assert!(!signed_in(&mut eve).await);
    assert_eq!(fake.given(), 0, "no code was sent for any of them");
    assert_eq!(back(&mut ada, &good).await.status, 303);
    let replayed = back(&mut ada, &good).await;
    assert_eq!(replayed.status, 422, "a state works once");
    assert_eq!(fake.given(), 1);
    // A late one is worth nothing.
    let mut late = Visitor::new(&farebox);
    let sent_to = leave(&mut late, "fake", "/sign-in", "/oidc/sign-in").await;
    sqlx::query("update identity_flow set expires_at = now() - interval '1 second'")
        .execute(&farebox.pool)
        .await
        .expect("time passes");
    assert_eq!(back(&mut late, &fake.grant(&sent_to, "ada-1", "ada@example.com")).await.status, 422);
    // Nothing that was kept is secret as it stands.
    let kept: String = sqlx::query_scalar("select string_agg(f::text, ' ') from identity_flow f")
        .fetch_one(&farebox.pool)
        .await
        .expect("a flow");
    let query: BTreeMap<String, String> =
        sent_to.parse::<url::Url>().expect("an address").query_pairs().into_owned().collect();
    for name in ["state", "nonce", "code_challenge"] {
        let text = &query[name];
        assert!(!kept.contains(text) && !kept.contains(&hex::encode(text)), "{name} is stored");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_works_once_and_for_who_asked_for_it() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let (mut ada, mut eve) = (Visitor::new(&farebox), Visitor::new(&farebox));
    let sent_to = leave(&mut ada, "fake", "/sign-in", "/oidc/sign-in").await;
    let hers = fake.grant(&sent_to, "ada-1", "ada@example.com");
    // Eve has seen Ada's code, and brings it back with a state of her own.
    let sent_to = leave(&mut eve, "fake", "/sign-in", "/oidc/sign-in").await;
    let mut injected = fake.grant(&sent_to, "eve-1", "eve@example.com");
    injected.1.insert("code".into(), hers.1["code"].clone());
    assert_eq!(back(&mut eve, &injected).await.status, 502);
    assert!(!signed_in(&mut eve).await);
    assert_eq!(fake.refused(), ["verifier"]);
    // One that was used is refused with a fresh state, too.
    let first = through(&mut ada, &fake, "ada-1", "ada@example.com").await;
    assert_eq!(first.status, 303);
    let sent_to = leave(&mut eve, "fake", "/sign-in", "/oidc/sign-in").await;
    let mut replayed = fake.grant(&sent_to, "eve-1", "eve@example.com");
    replayed.1.insert("code".into(), "code-3".into());
    assert_eq!(back(&mut eve, &replayed).await.status, 502);
    assert_eq!(fake.refused(), ["verifier", "code"]);
    assert_eq!(farebox.text("select count(*)::text from person").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_does_not_hold_signs_nobody_in() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let mut eve = Visitor::new(&farebox);
    let set = |name: &'static str, value: serde_json::Value| {
        fake.bend(move |claims| {
            claims.insert(name.to_owned(), value.clone());
        });
    };
    let now = ::farebox::base::Clock::system().now().timestamp();
    for (name, value) in [
        ("nonce", json!("another")),
        ("nonce", json!(null)),
        ("aud", json!("somebody-else")),
        ("aud", json!([fake_oidc::CLIENT_ID, "somebody-else"])),
        ("azp", json!("somebody-else")),
        ("iss", json!("https://honest.example")),
        ("iss", json!(format!("{}/", fake.issuer()))),
        ("exp", json!(now - 120)),
        ("iat", json!(now + 3_600)),
        ("sub", json!("")),
        ("sub", json!("x".repeat(300))),
    ] {
        set(name, value.clone());
        let page = through(&mut eve, &fake, "eve-1", "eve@example.com").await;
        assert_eq!(page.status, 502, "{name} = {value}: {}", page.body);
        assert!(page.body.contains("was not accepted") || page.body.contains("cannot be used"), "{}", page.body);
        assert!(!signed_in(&mut eve).await, "{name} = {value}");
    }
    fake.honest();
    for signature in
        [Signature::None, Signature::PublicKeyAsSecret, Signature::ClientSecret, Signature::Stranger, Signature::Key(7)]
    {
        fake.sign(signature);
        let page = through(&mut eve, &fake, "eve-1", "eve@example.com").await;
        assert_eq!(page.status, 502, "{signature:?}: {}", page.body);
        assert!(!signed_in(&mut eve).await, "{signature:?}");
    }
    fake.honest();
    assert_eq!(farebox.text("select count(*)::text from person").await, "0");
    assert_eq!(through(&mut eve, &fake, "eve-1", "eve@example.com").await.status, 303, "an honest one does");
    let log = farebox.log();
    for reason in [
        "the nonce",
        "the audience",
        "the authorized party",
        "the issuer",
        "the time",
        "the subject",
        "the signature",
        "a signature by a key that it does not publish",
    ] {
        assert!(log.contains(&format!("does not hold: {reason}")), "nothing was refused for {reason}: {log}");
    }
    for secret in [fake_oidc::CLIENT_SECRET, "fake-access-token-5512", "code-1", "eyJ"] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_of_a_provider_are_found() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let mut ada = Visitor::new(&farebox);
    assert_eq!(through(&mut ada, &fake, "ada-1", "ada@example.com").await.status, 303);
    fake.publish(&[2, 1]);
    fake.sign(Signature::Key(2));
    assert_eq!(through(&mut Visitor::new(&farebox), &fake, "ada-1", "ada@example.com").await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_one_provider_is_not_taken_for_another() {
    let (fake, other) = (FakeOidc::start(), FakeOidc::start());
    let mut options = fake.options();
    options.env.extend(fake_oidc::settings(fake_oidc::OTHER, &other.issuer()));
    let farebox = Farebox::with(options).await;
    let mut ada = Visitor::new(&farebox);
    // The browser went to one, and comes back at the door of the other.
    let sent_to = leave(&mut ada, "fake", "/sign-in", "/oidc/sign-in").await;
    let (_, query) = fake.grant(&sent_to, "ada-1", "ada@example.com");
    assert_eq!(back(&mut ada, &("/oidc/other/callback".to_owned(), query)).await.status, 422);
    // The answer names another issuer, or none although the provider always names itself.
    for iss in [Some(other.issuer()), None] {
        let sent_to = leave(&mut ada, "fake", "/sign-in", "/oidc/sign-in").await;
        let mut mixed = fake.grant(&sent_to, "ada-1", "ada@example.com");
        mixed.1.remove("iss");
        mixed.1.extend(iss.map(|iss| ("iss".to_owned(), iss)));
        assert_eq!(back(&mut ada, &mixed).await.status, 502);
    }
    assert_eq!((fake.given(), other.given()), (0, 0), "the code went nowhere");
    // The same subject at two providers is two people.
    assert_eq!(through(&mut ada, &fake, "same", "ada@example.com").await.status, 303);
    let mut bob = Visitor::new(&farebox);
    let sent_to = leave(&mut bob, "other", "/sign-in", "/oidc/sign-in").await;
    assert_eq!(back(&mut bob, &other.grant(&sent_to, "same", "bob@example.com")).await.status, 303);
    assert!(bob.get("/settings/profile").await.body.contains("bob@example.com"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_planted_does_not_become_the_owners() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let mut eve = Visitor::new(&farebox);
    assert_eq!(through(&mut eve, &fake, "eve-1", "eve@example.com").await.status, 303);
    // Ada's browser carries Eve's cookies when Ada signs in.
    let mut ada = Visitor::with_cookies(&farebox, eve.cookies());
    let page = ada.get("/settings/profile").await;
    assert_eq!(page.status, 200);
    ada.submit("/settings/profile", "/sign-out", &[]).await;
    assert_eq!(through(&mut ada, &fake, "ada-1", "ada@example.com").await.status, 303);
    assert!(ada.get("/settings/profile").await.body.contains("ada@example.com"));
    assert!(!signed_in(&mut eve).await, "what Eve knows is worth nothing");
    // A link that one person began is not finished in another's session.
    let mut bob = Visitor::member(&farebox, "bob@example.com", PASSWORD).await;
    let sent_to = leave(&mut bob, "fake", "/settings/sign-in", "/oidc/link").await;
    let mut mallory = Visitor::with_cookies(&farebox, bob.cookies());
    let fields = [("email", "bob@example.com"), ("password", PASSWORD)];
    mallory.submit("/settings/profile", "/sign-out", &[]).await;
    assert_eq!(mallory.submit("/sign-in", "/sign-in", &fields).await.status, 303);
    let late = back(&mut mallory, &fake.grant(&sent_to, "bob-1", "bob@example.com")).await;
    assert_eq!(late.status, 422, "{}", late.body);
    assert_eq!(farebox.text("select count(*)::text from identity where subject = 'bob-1'").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_away_slow_or_endless_is_told_and_holds_nothing_up() {
    let port = farebox::free_port();
    let issuer = format!("http://127.0.0.1:{port}");
    let env = fake_oidc::settings(fake_oidc::FAKE, &issuer);
    // It starts although the provider is not there.
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let mut ada = Visitor::new(&farebox);
    let start = [("provider", "fake"), ("next", "/keys")];
    let away = ada.submit("/sign-in", "/oidc/sign-in", &start).await;
    assert!(away.status == 502 && away.body.contains("cannot be used now"), "{}", away.body);
    assert!(away.body.contains("/sign-in?next=%2Fkeys"), "there is a way back: {}", away.body);
    let fake = FakeOidc::start_at(port);
    fake.mood(Mood::Impostor);
    let lie = ada.submit("/sign-in", "/oidc/sign-in", &start).await;
    assert_eq!(lie.status, 502, "{}", lie.body);
    fake.mood(Mood::Huge);
    let page = through(&mut ada, &fake, "ada-1", "ada@example.com").await;
    assert_eq!(page.status, 502, "{}", page.body);
    fake.mood(Mood::Slow);
    let begun = std::time::Instant::now();
    let page = through(&mut ada, &fake, "ada-1", "ada@example.com").await;
    assert!(page.status == 504 && page.body.contains("does not answer"), "{}", page.body);
    assert!(begun.elapsed() < std::time::Duration::from_secs(8), "{:?}", begun.elapsed());
    fake.honest();
    assert_eq!(through(&mut ada, &fake, "ada-1", "ada@example.com").await.status, 303);
    // Who declines there is told so; a provider that is not configured is not there.
    let mut bob = Visitor::new(&farebox);
    let sent_to = leave(&mut bob, "fake", "/sign-in", "/oidc/sign-in").await;
    let (path, mut query) = fake.grant(&sent_to, "bob-1", "bob@example.com");
    query.remove("code");
    query.insert("error".into(), "access_denied".into());
    query.insert("error_description".into(), "<script>alert(1)</script>".into());
    let denied = back(&mut bob, &(path, query)).await;
    assert!(denied.status == 422 && denied.body.contains("You did not continue with Fake"), "{}", denied.body);
    assert!(!denied.body.contains("alert(1)"), "a provider's words are not repeated");
    assert_eq!(bob.submit("/sign-in", "/oidc/sign-in", &[("provider", "nobody")]).await.status, 404);
    assert_eq!(bob.get("/oidc/nobody/callback?code=1&state=2").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_password_one_confirms_at_the_provider_and_keeps_a_way_in() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let mut ada = Visitor::new(&farebox);
    assert_eq!(through(&mut ada, &fake, "ada-1", "ada@example.com").await.status, 303);
    let id: uuid::Uuid = sqlx::query_scalar("select id from identity").fetch_one(&farebox.pool).await.expect("one");
    let id = ::farebox::base::ids::IdentityId(id).to_string();
    let kept = ada.submit("/settings/sign-in", "/settings/sign-in/unlink", &[("identity", &id)]).await;
    assert_eq!(kept.status, 303);
    assert!(ada.get("/settings/sign-in").await.body.contains("your only way to sign in"));
    assert_eq!(farebox.text("select count(*)::text from identity").await, "1");

    let age = "update session set authenticated_at = now() - interval '6 minutes'";
    sqlx::query(age).execute(&farebox.pool).await.expect("time passes");
    let fields = [("password", "a new long password")];
    let asked = ada.submit("/settings/profile", "/settings/sign-in/password", &fields).await;
    assert!(asked.status == 303 && asked.location.starts_with("/step-up"), "{}", asked.location);
    let step_up = ada.get(&asked.location).await.body;
    assert!(step_up.contains("Confirm with Fake") && !step_up.contains("type=\"password\""), "{step_up}");
    // Not by somebody else there, nor by a sign-in from long ago.
    let sent_to = leave(&mut ada, "fake", "/step-up", "/oidc/step-up").await;
    assert!(sent_to.contains("prompt=login") && sent_to.contains("max_age=0"), "{sent_to}");
    let other = back(&mut ada, &fake.grant(&sent_to, "eve-1", "ada@example.com")).await;
    assert!(other.status == 422 && other.body.contains("That is somebody else"), "{}", other.body);
    let now = ::farebox::base::Clock::system().now().timestamp();
    for old in [json!(now - 600), json!(null)] {
        fake.bend(move |claims| {
            claims.insert("auth_time".into(), old.clone());
        });
        let sent_to = leave(&mut ada, "fake", "/step-up", "/oidc/step-up").await;
        let stale = back(&mut ada, &fake.grant(&sent_to, "ada-1", "ada@example.com")).await;
        assert!(stale.status == 422 && stale.body.contains("did not ask you again"), "{}", stale.body);
    }
    fake.honest();
    let before = ada.cookies().to_vec();
    let sent_to = leave(&mut ada, "fake", "/step-up", "/oidc/step-up").await;
    assert_eq!(back(&mut ada, &fake.grant(&sent_to, "ada-1", "ada@example.com")).await.status, 303);
    assert!(!signed_in(&mut Visitor::with_cookies(&farebox, &before)).await, "the secret has changed");

    // A password is added; other browsers are signed out and a mail tells of it. Then the link may go.
    let mut phone = Visitor::new(&farebox);
    assert_eq!(through(&mut phone, &fake, "ada-1", "ada@example.com").await.status, 303);
    let short = ada.submit("/settings/sign-in", "/settings/sign-in/password", &[("password", "short")]).await;
    assert!(short.status == 422 && short.body.contains("at least eight"), "{}", short.body);
    let set = ada.submit("/settings/sign-in", "/settings/sign-in/password", &fields).await;
    assert_eq!((set.status, set.location.as_str()), (303, "/settings/sign-in"));
    assert!(signed_in(&mut ada).await && !signed_in(&mut phone).await);
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'password_changed'").await, "1");
    let gone = ada.submit("/settings/sign-in", "/settings/sign-in/unlink", &[("identity", &id)]).await;
    assert_eq!(gone.status, 303);
    assert_eq!(farebox.text("select count(*)::text from identity").await, "0");
    let fields = [("email", "ada@example.com"), ("password", "a new long password")];
    assert_eq!(Visitor::new(&farebox).submit("/sign-in", "/sign-in", &fields).await.status, 303);
    let all = actions(&farebox).await;
    for action in ["account.stepped_up", "account.password_changed", "account.identity_unlinked"] {
        assert!(all.contains(action), "{action} is not in {all}");
    }
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

/// Time passes, and a step-up is asked for again.
async fn six_minutes_pass(farebox: &Farebox) {
    let age = "update session set authenticated_at = now() - interval '6 minutes'";
    sqlx::query(age).execute(&farebox.pool).await.expect("time passes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_alone_is_not_enough_once_two_factor_is_on() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let mut ada = Visitor::new(&farebox);
    assert_eq!(through(&mut ada, &fake, "ada-1", "ada@example.com").await.status, 303);
    let (mut app, codes) = enrol(&mut ada).await;

    // Signing in owes the second factor.
    let mut phone = Visitor::new(&farebox);
    let half = through(&mut phone, &fake, "ada-1", "ada@example.com").await;
    assert_eq!((half.status, half.location.as_str()), (303, "/sign-in/second?next=%2Fkeys"), "{}", half.body);
    assert!(!signed_in(&mut phone).await);
    let wrong = phone.submit("/sign-in/second", "/sign-in/second", &[("code", "000000")]).await;
    assert!(wrong.status == 422 && !signed_in(&mut phone).await, "{}", wrong.body);
    let code = app.code().await;
    assert_eq!(phone.submit("/sign-in/second", "/sign-in/second", &[("code", &code)]).await.status, 303);
    assert!(signed_in(&mut phone).await);

    // So does showing again who one is.
    six_minutes_pass(&farebox).await;
    let off = "/settings/security/two-factor/off";
    let next = [("code", "123456"), ("next", off)];
    assert_eq!(ada.submit("/step-up", "/step-up", &next).await.status, 422, "a code alone is not enough either");
    let sent_to = leave(&mut ada, "fake", "/step-up", "/oidc/step-up").await;
    let before = ada.cookies().to_vec();
    let half = back(&mut ada, &fake.grant(&sent_to, "ada-1", "ada@example.com")).await;
    assert_eq!((half.status, half.location.as_str()), (303, "/step-up?next=%2Fkeys"), "{}", half.body);
    assert_eq!(ada.cookies(), before, "the session has no new secret");
    for path in [off, "/settings/delete", "/settings/email"] {
        assert!(ada.get(path).await.location.starts_with("/step-up"), "{path}");
    }
    let asked = ada.get("/step-up").await.body;
    assert!(asked.contains("vouched for you") && asked.contains("name=\"code\""), "{asked}");
    assert!(!asked.contains("name=\"password\"") && !asked.contains("Confirm with Fake"), "{asked}");
    // It is known of this session only.
    assert!(!phone.get("/step-up").await.body.contains("vouched for you"));
    assert_eq!(phone.submit("/step-up", "/step-up", &[("code", &codes[0])]).await.status, 422);
    assert_eq!(farebox.text("select count(*)::text from recovery_code where used_at is not null").await, "0");

    let wrong = ada.submit("/step-up", "/step-up", &[("code", "000000"), ("next", off)]).await;
    assert!(wrong.status == 422 && wrong.body.contains("This code is not right"), "{}", wrong.body);
    let code = app.code().await;
    let done = ada.submit("/step-up", "/step-up", &[("code", &code), ("next", off)]).await;
    assert_eq!((done.status, done.location.as_str()), (303, off), "{}", done.body);
    assert!(!signed_in(&mut Visitor::with_cookies(&farebox, &before)).await, "the secret has changed");
    assert_eq!(ada.get(off).await.status, 200);
    let noted = "select after from audit_entry where action = 'account.stepped_up'";
    assert_eq!(farebox.text(noted).await, r#"{"with":["provider","app"]}"#);
    // Used up, and worth five minutes otherwise.
    six_minutes_pass(&farebox).await;
    assert_eq!(ada.submit("/step-up", "/step-up", &[("code", &codes[1])]).await.status, 422);
    let sent_to = leave(&mut ada, "fake", "/step-up", "/oidc/step-up").await;
    back(&mut ada, &fake.grant(&sent_to, "ada-1", "ada@example.com")).await;
    sqlx::query("update half_sign_in set expires_at = now()").execute(&farebox.pool).await.expect("time passes");
    assert_eq!(ada.submit("/step-up", "/step-up", &[("code", &codes[1])]).await.status, 422);
    assert!(ada.get(off).await.location.starts_with("/step-up"));
    // A recovery code does as well as the app.
    let sent_to = leave(&mut ada, "fake", "/step-up", "/oidc/step-up").await;
    back(&mut ada, &fake.grant(&sent_to, "ada-1", "ada@example.com")).await;
    let done = ada.submit("/step-up", "/step-up", &[("code", &codes[1]), ("next", off)]).await;
    assert_eq!(done.status, 303, "{}", done.body);
    assert_eq!(ada.submit(off, off, &[]).await.status, 303);
    assert_eq!(farebox.text("select count(*)::text from totp").await, "0");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_that_is_the_only_way_in_stays() {
    let fake = FakeOidc::start();
    let farebox = Farebox::with(fake.options()).await;
    let mut ada = Visitor::new(&farebox);
    assert_eq!(through(&mut ada, &fake, "ada-1", "ada@example.com").await.status, 303);
    sqlx::query(
        "insert into passkey (id, person_id, credential_id, name, credential)
         select gen_random_uuid(), id, 'x', 'Her phone', '{}' from person",
    )
    .execute(&farebox.pool)
    .await
    .expect("a passkey");
    let passkey: uuid::Uuid = sqlx::query_scalar("select id from passkey").fetch_one(&farebox.pool).await.expect("one");
    let passkey = ::farebox::base::ids::PasskeyId(passkey).to_string();
    let remove = format!("/settings/security/passkeys/{passkey}/remove");
    let id: uuid::Uuid = sqlx::query_scalar("select id from identity").fetch_one(&farebox.pool).await.expect("one");
    let id = ::farebox::base::ids::IdentityId(id).to_string();

    // Of the link and the passkey one may go, also where both are asked for at once.
    let token = ada.token("/settings/sign-in").await;
    let mut tab = Visitor::with_cookies(&farebox, ada.cookies());
    let fields = [("identity", id.as_str())];
    let (one, two) =
        tokio::join!(ada.post(&token, "/settings/sign-in/unlink", &fields), tab.post(&token, &remove, &[]));
    assert_eq!((one.status, two.status), (303, 303));
    let ways = "select (select count(*) from identity) + (select count(*) from passkey) || ''";
    assert_eq!(farebox.text(ways).await, "1");
    if farebox.text("select count(*)::text from passkey").await == "0" {
        // The link was the one that stayed; with another passkey it may go.
        sqlx::query(
            "insert into passkey (id, person_id, credential_id, name, credential)
             select $1, id, 'y', 'Her phone', '{}' from person",
        )
        .bind(passkey.parse::<::farebox::base::ids::PasskeyId>().expect("an id").0)
        .execute(&farebox.pool)
        .await
        .expect("a passkey");
        assert_eq!(ada.submit("/settings/sign-in", "/settings/sign-in/unlink", &fields).await.status, 303);
    }
    assert_eq!(farebox.text("select count(*)::text from identity").await, "0");
    assert_eq!(ada.submit("/settings/security", &remove, &[]).await.status, 303);
    assert!(ada.get("/settings/security").await.body.contains("your only way to sign in"));
    assert_eq!(farebox.text("select count(*)::text from passkey").await, "1");
    let fields = [("password", "a new long password")];
    assert_eq!(ada.submit("/settings/sign-in", "/settings/sign-in/password", &fields).await.status, 303);
    assert_eq!(ada.submit("/settings/security", &remove, &[]).await.status, 303);
    assert_eq!(farebox.text("select count(*)::text from passkey").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_provider_is_set_up_the_pages_say_so_and_nothing_leads_there() {
    let farebox = Farebox::start().await;
    let mut nobody = Visitor::new(&farebox);
    for page in ["/sign-in", "/sign-up"] {
        let page = nobody.get(page).await.body;
        assert!(!page.contains("/oidc/") && !page.contains("Continue with"), "{page}");
    }
    let begun = nobody.submit("/sign-in", "/oidc/sign-in", &[("provider", "google")]).await;
    assert_eq!(begun.status, 404);
    assert_eq!(nobody.get("/oidc/google/callback?code=1&state=2").await.status, 404);
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let ways = ada.get("/settings/sign-in").await.body;
    assert!(ways.contains("has set up no other ways to sign in") && !ways.contains("/oidc/link"), "{ways}");
    assert!(!ada.get("/step-up").await.body.contains("/oidc/step-up"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_asked_again_where_they_sign_in_is_offered_to_sign_in_anew() {
    let google = [("FAREBOX_GOOGLE_CLIENT_ID", "us"), ("FAREBOX_GOOGLE_CLIENT_SECRET", "secret")];
    let env = google.map(|(name, value)| (name, value.to_owned())).to_vec();
    let farebox = Farebox::with(Options { env, ..Options::default() }).await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    for statement in [
        "update person set password_hash = null",
        "insert into identity (id, person_id, issuer, subject, email)
         select gen_random_uuid(), id, 'https://accounts.google.com', '1', email from person",
    ] {
        sqlx::query(statement).execute(&farebox.pool).await.expect("done");
    }
    six_minutes_pass(&farebox).await;
    let asked = ada.get("/settings/email").await.location;
    assert_eq!(asked, "/step-up?next=%2Fsettings%2Femail");
    let page = ada.get(&asked).await.body;
    assert!(page.contains("Sign out, and in again with Google") && !page.contains("/oidc/step-up"), "{page}");
    assert!(!page.contains("no other way to confirm it"), "{page}");
    // A page of before leads to this one, and not to Google's page of errors.
    let fields = [("provider", "google"), ("next", "/settings/email")];
    let old = ada.submit(&asked, "/oidc/step-up", &fields).await;
    assert_eq!((old.status, old.location.as_str()), (303, asked.as_str()), "{}", old.body);
    let out = ada.submit(&asked, "/sign-out", &[("next", "/settings/email")]).await;
    assert_eq!((out.status, out.location.as_str()), (303, "/sign-in?next=%2Fsettings%2Femail"), "{}", out.body);
    let door = ada.get(&out.location).await.body;
    assert!(door.contains("Continue with Google") && door.contains("value=\"/settings/email\""), "{door}");
    let mut bob = Visitor::member(&farebox, "bob@example.com", PASSWORD).await;
    let out = bob.submit("/step-up", "/sign-out", &[("next", "//evil.example")]).await;
    assert_eq!(out.location, "/sign-in", "nobody is led away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_passkey_leaves_every_other_way_in_on_the_page() {
    let fake = FakeOidc::start();
    let mut options = fake.options();
    options.localhost = true;
    options.env.push(("FAREBOX_SIGN_UP", "closed".to_owned()));
    let farebox = Farebox::with(options).await;
    let fields = [("challenge", "0"), ("credential", "{}"), ("next", "/keys")];
    let refused = Visitor::new(&farebox).submit("/sign-in", "/sign-in/passkey", &fields).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    for there in ["Continue with Fake", "Sign in with a passkey", "longer than five minutes", "value=\"/keys\""] {
        assert!(refused.body.contains(there), "{there}: {}", refused.body);
    }
    assert!(!refused.body.contains("Create an account"), "nobody can: {}", refused.body);
}

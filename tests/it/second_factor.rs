//! Two-factor sign-in, sessions, and what attackers of an account get.

use std::time::{Duration, Instant};

use crate::support::authenticator::enrol;
use crate::support::visitor::{Page, Visitor, between, recovery_link};
use crate::support::{Farebox, Options, scale, usual_hashes};

const ADA: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";
/// What the answers for a known and an unknown address may differ by, in the median.
const MOST_APART_MICROS: i64 = 5_000;
/// How often the median of fresh pairs may be taken; none is added to those before. What else the machine does slows
/// both of a pair alike, but a burst that begins between them does not: such a median lies now on the one side and now
/// on the other. A difference that is really there, such as a password that is hashed for one of them only, is many
/// times larger than what is allowed, and lies on the same side in every try.
///
/// Where pairs differ by hundreds of milliseconds, their median is 5 ms from nothing more often than not. So it tells
/// something only when more of the pairs lie on its side than chance would put there, by two standard deviations
/// (the sign test): that all tries of a form do so is less than one chance in a million, and what is larger than the noise is
/// told as before.
const TRIES: usize = 4;

async fn start() -> Farebox {
    Farebox::with(Options { env: vec![("FAREBOX_TRUSTED_PROXIES", "1".into())], ..Options::default() }).await
}

/// With passwords that take their time.
async fn start_dear() -> Farebox {
    let env = vec![("FAREBOX_TRUSTED_PROXIES", "1".into()), usual_hashes()];
    Farebox::with(Options { env, ..Options::default() }).await
}

/// Sends a form as if from another address and with another browser.
async fn post_from(
    farebox: &Farebox,
    visitor: &mut Visitor<'_>,
    (ip, agent): (&str, &str),
    action: &str,
    fields: &[(&str, &str)],
) -> Page {
    let token = visitor.token("/recover").await;
    let mut form = vec![("csrf_token", token.as_str())];
    form.extend(fields);
    let request = farebox.http.post(farebox.url(action)).header("x-forwarded-for", ip).header("user-agent", agent);
    visitor.send(request.form(&form)).await
}

/// Shows the password.
async fn first(visitor: &mut Visitor<'_>) -> Page {
    visitor.submit("/sign-in", "/sign-in", &[("email", ADA), ("password", PASSWORD), ("next", "/keys")]).await
}

async fn second(visitor: &mut Visitor<'_>, code: &str) -> Page {
    visitor.submit("/recover", "/sign-in/second", &[("code", code), ("next", "/keys")]).await
}

async fn is_signed_in(visitor: &mut Visitor<'_>) -> bool {
    visitor.get("/").await.status == 200
}

fn session_cookie(visitor: &Visitor<'_>) -> Option<String> {
    visitor.cookies().iter().find(|(name, _)| name == "farebox_session").map(|(_, value)| value.clone())
}

async fn mails(farebox: &Farebox, kind: &str) -> i64 {
    sqlx::query_scalar("select count(*) from mail where kind = $1")
        .bind(kind)
        .fetch_one(&farebox.pool)
        .await
        .expect("n")
}

/// Waits until so many entries of an action are listed, at most ten seconds.
async fn listed(farebox: &Farebox, action: &str, wanted: i64) {
    let mut found = 0;
    for _ in 0..100 {
        found = sqlx::query_scalar("select count(*) from audit_entry where action = $1")
            .bind(action)
            .fetch_one(&farebox.pool)
            .await
            .expect("a count");
        if found == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(found, wanted, "{action}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_alone_opens_nothing_once_two_factor_is_on() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let (mut app, _) = enrol(&mut ada).await;
    assert_eq!(mails(&farebox, "two_factor_on").await, 1);
    let stored = farebox.text("select encode(ciphertext, 'escape') || key_id from totp").await;
    assert!(!stored.contains("otpauth"), "the secret is sealed");

    let mut browser = Visitor::new(&farebox);
    let page = first(&mut browser).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/sign-in/second?next=%2Fkeys"));
    assert_eq!(session_cookie(&browser), None);
    for path in ["/", "/keys", "/settings/security", "/step-up"] {
        let page = browser.get(path).await;
        assert!(page.status == 303 && page.location.starts_with("/sign-in"), "{path}: {}", page.status);
    }
    // What opens the half-done sign-in is no session.
    let half = browser.cookies().iter().find(|(name, _)| name == "farebox_half").expect("a cookie").1.clone();
    let forged = [("farebox_session".to_owned(), half.clone())];
    assert!(!is_signed_in(&mut Visitor::with_cookies(&farebox, &forged)).await);

    let wrong = second(&mut browser, "000000").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("This code is not right"));
    let right = second(&mut browser, &app.code().await).await;
    assert_eq!((right.status, right.location.as_str()), (303, "/keys"), "{}", right.body);
    assert!(is_signed_in(&mut browser).await);
    assert_ne!(session_cookie(&browser), Some(half.clone()), "the session has a secret of its own");

    // The half-done sign-in is used up, and a session that somebody planted before is not taken over.
    let mut again = Visitor::with_cookies(&farebox, &[("farebox_half".to_owned(), half)]);
    assert_eq!(second(&mut again, &app.code().await).await.location, "/sign-in?next=%2Fkeys");
    listed(&farebox, "account.sign_in_failed", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_session_is_worth_nothing_after_signing_in() {
    let farebox = Farebox::start().await;
    Visitor::member(&farebox, ADA, PASSWORD).await;
    let planted = ("farebox_session".to_owned(), "ab".repeat(32));
    let mut ada = Visitor::with_cookies(&farebox, std::slice::from_ref(&planted));
    assert_eq!(first(&mut ada).await.location, "/keys");
    assert!(is_signed_in(&mut ada).await);
    assert!(!is_signed_in(&mut Visitor::with_cookies(&farebox, &[planted])).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_code_twice_at_once_lets_exactly_one_in() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let (mut app, codes) = enrol(&mut ada).await;
    assert_eq!(tries_at_once(&farebox, &app.again()).await, 0, "the code that switched it on is used up");
    assert_eq!(tries_at_once(&farebox, &app.code().await).await, 1);
    assert_eq!(tries_at_once(&farebox, &codes[0]).await, 1, "a recovery code works once");
    assert_eq!(tries_at_once(&farebox, &codes[0]).await, 0);
    assert_eq!(farebox.text("select count(*)::text from recovery_code where used_at is null").await, "9");
}

/// Two browsers that know the password send the same code at once. Says how many got in.
async fn tries_at_once(farebox: &Farebox, code: &str) -> usize {
    sqlx::query("delete from sign_in_failure").execute(&farebox.pool).await.expect("forgiven");
    let (mut one, mut other) = (Visitor::new(farebox), Visitor::new(farebox));
    for visitor in [&mut one, &mut other] {
        assert_eq!(first(visitor).await.location, "/sign-in/second?next=%2Fkeys");
    }
    let (one_page, other_page) = tokio::join!(second(&mut one, code), second(&mut other, code));
    let mut statuses = [one_page.status, other_page.status];
    statuses.sort_unstable();
    assert!(statuses == [303, 422] || statuses == [422, 422], "{statuses:?}");
    usize::from(is_signed_in(&mut one).await) + usize::from(is_signed_in(&mut other).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_codes_is_stopped_and_the_owner_still_gets_in() {
    let farebox = start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let (mut app, codes) = enrol(&mut ada).await;
    let agent = "guesser/1";
    let fields = [("email", ADA), ("password", PASSWORD)];
    let mut last = 0;
    for round in 0..8 {
        for network in 0..8 {
            let ip = format!("198.51.{network}.9");
            let mut guesser = Visitor::new(&farebox);
            post_from(&farebox, &mut guesser, (&ip, agent), "/sign-in", &fields).await;
            let guess = [("code", format!("{:06}", round * 8 + network))];
            let guess: Vec<(&str, &str)> = guess.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let page = post_from(&farebox, &mut guesser, (&ip, agent), "/sign-in/second", &guess).await;
            assert!(matches!(page.status, 422 | 429), "{}", page.status);
            last = page.status;
        }
    }
    assert_eq!(last, 429);
    assert_eq!(farebox.text("select count(*)::text from sign_in_failure where subject like 'second:%'").await, "30");
    assert_eq!(mails(&farebox, "second_factor_guessed").await, 1, "the owner is told, once");

    // A right code from a strange place is refused as well ...
    let strange = ("203.0.113.50", "Firefox/140.0 Linux");
    let mut away = Visitor::new(&farebox);
    post_from(&farebox, &mut away, strange, "/sign-in", &fields).await;
    let code = app.code().await;
    let page = post_from(&farebox, &mut away, strange, "/sign-in/second", &[("code", &code)]).await;
    assert_eq!(page.status, 429);
    // ... but a recovery code is not, nor is the app where its owner was before.
    let page = post_from(&farebox, &mut away, strange, "/sign-in/second", &[("code", &codes[3])]).await;
    assert_eq!(page.status, 303, "{}", page.body);
    let mut home = Visitor::new(&farebox);
    assert_eq!(first(&mut home).await.location, "/sign-in/second?next=%2Fkeys");
    assert_eq!(second(&mut home, &code).await.location, "/keys");
    // And the limit ends.
    sqlx::query("update sign_in_failure set occurred_at = occurred_at - interval '24 hours'")
        .execute(&farebox.pool)
        .await
        .expect("a day later");
    let mut later = Visitor::new(&farebox);
    let elsewhere = ("192.0.2.77", "Firefox/140.0 Linux");
    post_from(&farebox, &mut later, elsewhere, "/sign-in", &fields).await;
    let code = app.code().await;
    let page = post_from(&farebox, &mut later, elsewhere, "/sign-in/second", &[("code", &code)]).await;
    assert_eq!(page.status, 303, "{}", page.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_its_owner_was_before_codes_have_a_daily_limit_too() {
    let farebox = start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let (mut app, codes) = enrol(&mut ada).await;
    let (agent, fields) = ("Firefox/140.0 Linux", [("email", ADA), ("password", PASSWORD)]);
    let mut home = Visitor::new(&farebox);
    let known = ("2001:db8:7:1::9", agent);
    post_from(&farebox, &mut home, known, "/sign-in", &fields).await;
    let code = app.code().await;
    let page = post_from(&farebox, &mut home, known, "/sign-in/second", &[("code", &code)]).await;
    assert_eq!(page.status, 303, "{}", page.body);
    // The same browser and the same /48, but as many addresses as anybody likes.
    let mut statuses = Vec::new();
    for subscriber in 2..9 {
        let ip = format!("2001:db8:7:{subscriber}::9");
        let mut guesser = Visitor::new(&farebox);
        post_from(&farebox, &mut guesser, (&ip, agent), "/sign-in", &fields).await;
        for _ in 0..5 {
            let guess = [("code", "000000")];
            statuses.push(post_from(&farebox, &mut guesser, (&ip, agent), "/sign-in/second", &guess).await.status);
        }
    }
    assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 30, "{statuses:?}");
    assert!(statuses.iter().rev().take(5).all(|status| *status == 429), "{statuses:?}");
    let mut late = Visitor::new(&farebox);
    post_from(&farebox, &mut late, known, "/sign-in", &fields).await;
    let code = app.code().await;
    assert_eq!(post_from(&farebox, &mut late, known, "/sign-in/second", &[("code", &code)]).await.status, 429);
    let page = post_from(&farebox, &mut late, known, "/sign-in/second", &[("code", &codes[3])]).await;
    assert_eq!(page.status, 303, "a recovery code goes on: {}", page.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_alone_makes_no_place_known_where_two_factors_are_asked_for() {
    let farebox = start().await;
    let known = "select count(*)::text from known_device where network = '198.51.100.0/24'";
    let strange = ("198.51.100.9", "Firefox/140.0 Linux");
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    for (round, expected) in ["1", "0"].into_iter().enumerate() {
        let mut thief = Visitor::new(&farebox);
        thief.submit("/recover", "/recover", &[("email", ADA)]).await;
        let link = recovery_link(&farebox, ADA).await;
        let token = between(&format!("{link}&"), "token=", "&");
        let password = format!("horse battery number {round}");
        let fields = [("token", token.as_str()), ("password", password.as_str())];
        let done = post_from(&farebox, &mut thief, strange, "/reset", &fields).await;
        assert_eq!(done.status, 303, "{}", done.body);
        assert_eq!(farebox.text(known).await, expected);
        run(&farebox, "delete from mail where kind = 'recover'").await;
        run(&farebox, "delete from known_device").await;
        let fields = [("email", ADA), ("password", password.as_str())];
        if round == 0 {
            ada.submit("/sign-in", "/sign-in", &fields).await;
            enrol(&mut ada).await;
        }
    }
}

async fn reset(browser: &mut Visitor<'_>, token: &str, password: &str) -> Page {
    browser.submit("/reset?token=x", "/reset", &[("token", token), ("password", password)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_makes_every_other_link_to_one_worthless() {
    let farebox = Farebox::start().await;
    Visitor::member(&farebox, ADA, PASSWORD).await;
    let mut browser = Visitor::new(&farebox);
    let mut tokens = Vec::new();
    for _ in 0..3 {
        browser.submit("/recover", "/recover", &[("email", ADA)]).await;
        let link = recovery_link(&farebox, ADA).await;
        tokens.push(between(&format!("{link}&"), "token=", "&"));
        run(&farebox, "delete from mail where kind = 'recover'").await;
    }
    let address = reset(&mut browser, &tokens[0], ADA).await;
    assert!(address.status == 422 && address.body.contains("must not be the e-mail address"), "{}", address.body);
    let done = reset(&mut browser, &tokens[0], "another horse battery").await;
    assert_eq!(done.status, 303, "{}", done.body);
    for other in &tokens[1..] {
        let late = reset(&mut browser, other, "a third horse battery").await;
        assert!(late.status == 422 && late.body.contains("no longer works"), "{}", late.body);
    }
    // So does one that is set by whoever is signed in.
    browser.submit("/recover", "/recover", &[("email", ADA)]).await;
    let link = recovery_link(&farebox, ADA).await;
    let token = between(&format!("{link}&"), "token=", "&");
    let fields = [("email", ADA), ("password", "another horse battery")];
    assert_eq!(browser.submit("/sign-in", "/sign-in", &fields).await.status, 303);
    let fields = [("password", "a third horse battery")];
    let set = browser.submit("/settings/sign-in", "/settings/sign-in/password", &fields).await;
    assert_eq!(set.status, 303, "{}", set.body);
    let late = reset(&mut browser, &token, "a fourth horse battery").await;
    assert_eq!(late.status, 422, "{}", late.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_runs_out() {
    let farebox = Farebox::with(Options { localhost: true, ..Options::default() }).await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let (mut app, _) = enrol(&mut ada).await;
    // A half-done sign-in.
    let mut late = Visitor::new(&farebox);
    first(&mut late).await;
    let lasts = farebox.text("select (expires_at - created_at)::text from half_sign_in").await;
    assert_eq!(lasts, "00:05:00");
    sqlx::query("update half_sign_in set expires_at = now()").execute(&farebox.pool).await.expect("late");
    assert_eq!(late.get("/sign-in/second").await.location, "/sign-in");
    assert_eq!(second(&mut late, &app.code().await).await.location, "/sign-in?next=%2Fkeys");
    assert!(!is_signed_in(&mut late).await);
    // What a passkey was asked.
    let begin = |page: &Page| serde_json::from_str::<serde_json::Value>(&page.body).expect("JSON");
    let mut visitor = Visitor::new(&farebox);
    for expired in [true, false] {
        let asked = begin(&visitor.submit("/sign-in", "/sign-in/passkey/start", &[]).await);
        assert_eq!(asked["options"]["userVerification"], "required");
        if expired {
            sqlx::query("update passkey_challenge set expires_at = now()").execute(&farebox.pool).await.expect("late");
        }
        let token = asked["challenge"].as_str().expect("a token").to_owned();
        for (told, times) in [("could not be checked", usize::from(!expired)), ("took longer than five minutes", 1)] {
            for _ in 0..times {
                let fields = [("challenge", token.as_str()), ("credential", "{}")];
                let page = visitor.submit("/sign-in", "/sign-in/passkey", &fields).await;
                assert_eq!(page.status, 422);
                assert!(page.body.contains(told), "{told}: {}", page.body);
            }
        }
    }
    let asked = begin(&ada.submit("/settings/security", "/settings/security/passkeys/start", &[]).await);
    assert_eq!(asked["options"]["authenticatorSelection"]["residentKey"], "required");
    let token = asked["challenge"].as_str().expect("a token");
    // Not for something else, and not for somebody else.
    let fields = [("challenge", token), ("credential", "{}")];
    let page = visitor.submit("/sign-in", "/sign-in/passkey", &fields).await;
    assert!(page.body.contains("took longer than five minutes"), "a challenge is good for one thing");
    sqlx::query("update passkey_challenge set expires_at = now()").execute(&farebox.pool).await.expect("late");
    let page = ada.submit("/settings/security", "/settings/security/passkeys", &fields).await;
    assert!(page.status == 422 && page.body.contains("longer than five minutes"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_too_many_is_refused_at_the_end_too() {
    let farebox = Farebox::with(Options { localhost: true, ..Options::default() }).await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let asked = ada.submit("/settings/security", "/settings/security/passkeys/start", &[]).await;
    let asked: serde_json::Value = serde_json::from_str(&asked.body).expect("JSON");
    let token = asked["challenge"].as_str().expect("a token");
    run(
        &farebox,
        "insert into passkey (id, person_id, credential_id, name, credential)
         select gen_random_uuid(), id, convert_to('key' || number, 'UTF8'), 'A key', '{}' from person, generate_series(1, 20) number",
    )
    .await;
    let fields = [("name", "One more"), ("challenge", token), ("credential", "{}")];
    let page = ada.submit("/settings/security", "/settings/security/passkeys", &fields).await;
    assert!(page.status == 422 && page.body.contains("twenty passkeys at most"), "{} {}", page.status, page.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_ends_every_session_and_keeps_the_second_factor() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let (mut app, _) = enrol(&mut ada).await;
    let mut half = Visitor::new(&farebox);
    first(&mut half).await;
    let mut browser = Visitor::new(&farebox);
    browser.submit("/recover", "/recover", &[("email", ADA)]).await;
    let link = recovery_link(&farebox, ADA).await;
    let token = between(&format!("{link}&"), "token=", "&");
    let changed = browser.submit(&link, "/reset", &[("token", &token), ("password", "another horse battery")]).await;
    assert_eq!((changed.status, changed.location.as_str()), (303, "/sign-in"), "{}", changed.body);
    assert!(!is_signed_in(&mut ada).await, "every session ended");
    assert_eq!(second(&mut half, &app.code().await).await.location, "/sign-in?next=%2Fkeys", "half-done ones too");
    assert_eq!(mails(&farebox, "password_reset").await, 1);
    let again = browser.submit(&link, "/reset", &[("token", &token), ("password", "a third horse battery")]).await;
    assert_eq!(again.status, 422, "a link works once");
    let fields = [("email", ADA), ("password", "another horse battery")];
    let page = browser.submit("/sign-in", "/sign-in", &fields).await;
    assert_eq!(page.location, "/sign-in/second", "the second factor is still asked for");
    listed(&farebox, "account.password_reset", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dangerous_changes_ask_for_the_second_factor_too() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let (mut app, codes) = enrol(&mut ada).await;
    sqlx::query("update session set authenticated_at = now() - interval '6 minutes'")
        .execute(&farebox.pool)
        .await
        .expect("later");
    for path in ["/settings/security/two-factor/off", "/settings/security/recovery-codes"] {
        let page = ada.get(path).await;
        assert!(page.status == 303 && page.location.starts_with("/step-up?next="), "{path}");
        let page = ada.submit("/settings/security", path, &[]).await;
        assert!(page.status == 303 && page.location.starts_with("/step-up"), "{path} is not done");
    }
    let page = ada.submit("/step-up", "/step-up", &[("password", PASSWORD)]).await;
    assert_eq!(page.status, 422, "the password alone is not enough");
    assert!(page.body.contains("This code is not right"));
    let code = app.code().await;
    let page = ada.submit("/step-up", "/step-up", &[("password", "wrong"), ("code", &code)]).await;
    assert_eq!(page.status, 422);
    let page = ada.submit("/step-up", "/step-up", &[("password", PASSWORD), ("code", &code)]).await;
    assert_eq!(page.status, 303, "a wrong password does not use the code up");

    let page = ada.submit("/settings/security", "/settings/security/recovery-codes", &[]).await;
    assert_eq!(page.body.matches("<li><code>").count(), 10);
    let mut other = Visitor::new(&farebox);
    first(&mut other).await;
    assert_eq!(second(&mut other, &codes[0]).await.status, 422, "the codes of before stopped");
    let page = ada.submit("/settings/security", "/settings/security/two-factor/off", &[]).await;
    assert_eq!(page.status, 303);
    assert_eq!(mails(&farebox, "two_factor_off").await, 1);
    assert_eq!(first(&mut Visitor::new(&farebox)).await.location, "/keys");
    for action in ["two_factor_on", "two_factor_off", "recovery_codes_made", "stepped_up"] {
        listed(&farebox, &format!("account.{action}"), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_sees_and_ends_their_sessions_and_hears_of_new_devices() {
    let farebox = start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    assert_eq!(mails(&farebox, "new_device").await, 0, "not for the first sign-in ever");
    let fields = [("email", ADA), ("password", PASSWORD)];
    let phone = ("203.0.113.7", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/604.1");
    let mut browsers = vec![Visitor::new(&farebox), Visitor::new(&farebox), Visitor::new(&farebox)];
    for (browser, from) in browsers.iter_mut().zip([phone, ("203.0.113.99", phone.1), ("198.51.100.1", phone.1)]) {
        assert_eq!(post_from(&farebox, browser, from, "/sign-in", &fields).await.status, 303);
    }
    assert_eq!(mails(&farebox, "new_device").await, 2, "once for each browser and network");
    let mail = farebox.text("select text_body from mail where kind = 'new_device' order by id limit 1").await;
    assert!(mail.contains("Safari on iPhone") && mail.contains("203.0.113.7") && mail.contains("/recover"), "{mail}");
    let page = ada.get("/settings/security").await.body;
    assert_eq!(page.matches("Sign out Safari on iPhone").count(), 3);
    assert_eq!(page.matches("This device").count(), 1);
    let end = between(&page, "action=\"/settings/security/sessions/ses_", "\"");
    let end = format!("/settings/security/sessions/ses_{end}");
    assert_eq!(ada.submit("/settings/security", &end, &[]).await.status, 303);
    assert_eq!(ada.submit("/settings/security", &end, &[]).await.status, 404, "it is gone");
    let mut left = 0;
    for browser in &mut browsers {
        left += usize::from(is_signed_in(browser).await);
    }
    assert_eq!(left, 2);
    ada.submit("/settings/security", "/settings/security/sessions/end-others", &[]).await;
    for browser in &mut browsers {
        assert!(!is_signed_in(browser).await);
    }
    assert!(is_signed_in(&mut ada).await);
    let page = ada.get("/settings/security").await.body;
    for told in ["Signed out everywhere", "2 ended", "Signed out a device", "from a new device"] {
        assert!(page.contains(told), "{told}");
    }
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_guesses_from_everywhere_are_refused_and_the_owner_gets_in() {
    let farebox = start().await;
    Visitor::member(&farebox, ADA, PASSWORD).await;
    let guesses: usize = scale(130, 10_000);
    let mut guesser = Visitor::new(&farebox);
    let token = guesser.token("/sign-in").await;
    let (mut refused, mut closed) = (0, 0);
    for guess in 0..guesses {
        let ip = format!("10.{}.{}.{}", guess / 62_500 % 250, guess / 250 % 250, guess % 250);
        let password = format!("guess number {guess}");
        let form = [("csrf_token", token.as_str()), ("email", ADA), ("password", &password)];
        let request = farebox.http.post(farebox.url("/sign-in")).header("x-forwarded-for", ip).form(&form);
        match guesser.send(request).await.status {
            422 => refused += 1,
            429 => closed += 1,
            status => panic!("{status}"),
        }
    }
    assert_eq!((refused, closed), (100, guesses - 100), "after a hundred nobody's guess is looked at");
    let mut ada = Visitor::new(&farebox);
    assert_eq!(first(&mut ada).await.location, "/keys", "the owner comes from where they were before");
    // The log lists some of them, counts the others, and is whole.
    listed(&farebox, "account.sign_in_failed", 10).await;
    let unlisted = farebox.text(
        "select (select coalesce(sum(unlisted), 0) from failed_sign_in)
            + (select coalesce(sum((after::json ->> 'failed_before_unlisted')::int), 0) from audit_entry
               where after <> '') || ''",
    );
    let mut counted = unlisted.await;
    for _ in 0..50 {
        if counted == "90" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        counted = farebox
            .text(
                "select (select coalesce(sum(unlisted), 0) from failed_sign_in)
                    + (select coalesce(sum((after::json ->> 'failed_before_unlisted')::int), 0) from audit_entry
                       where after <> '') || ''",
            )
            .await;
    }
    assert_eq!(counted, "90");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

/// Sends forms from one address at once, as the same browser. Returns the statuses of their answers.
async fn at_once(farebox: &Farebox, visitor: &Visitor<'_>, action: &str, forms: &[Vec<(&str, &str)>]) -> Vec<u16> {
    let cookies: Vec<String> = visitor.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookies = cookies.join("; ");
    let sent = forms.iter().map(|form| {
        let request = farebox.http.post(farebox.url(action)).header("x-forwarded-for", "203.0.113.9").form(form);
        request.header("cookie", &cookies).send()
    });
    let answers = futures_util::future::join_all(sent).await;
    answers.into_iter().map(|answer| answer.expect("an answer").status().as_u16()).collect()
}

/// How many guesses were looked at; the others were refused without.
fn looked_at(statuses: &[u16]) -> usize {
    assert!(statuses.iter().all(|status| matches!(status, 422 | 429)), "{statuses:?}");
    statuses.iter().filter(|status| **status == 422).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_that_are_sent_at_once_are_counted_one_by_one() {
    let farebox = start().await;
    Visitor::member(&farebox, ADA, PASSWORD).await;
    let mut guesser = Visitor::new(&farebox);
    let token = guesser.token("/sign-in").await;
    let guesses: Vec<String> = (0..24).map(|guess| format!("guess number {guess}")).collect();
    let forms: Vec<_> = guesses
        .iter()
        .map(|guess| vec![("csrf_token", token.as_str()), ("email", ADA), ("password", guess.as_str())])
        .collect();
    let statuses = at_once(&farebox, &guesser, "/sign-in", &forms).await;
    assert_eq!(looked_at(&statuses), 8, "{statuses:?}");
}

/// More than there are connections, so that each would hold one if whoever waits for a hash held one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_that_are_checked_take_no_connection_from_anybody() {
    let farebox = start_dear().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let mut guesser = Visitor::new(&farebox);
    let token = guesser.token("/sign-in").await;
    let strangers: Vec<String> = (0..40).map(|number| format!("stranger{number}@example.com")).collect();
    let forms: Vec<_> = strangers
        .iter()
        .map(|email| vec![("csrf_token", token.as_str()), ("email", email.as_str()), ("password", "not the password")])
        .collect();
    let crowd = at_once(&farebox, &guesser, "/sign-in", &forms);
    let owner = async {
        let mut longest = std::time::Duration::ZERO;
        for _ in 0..20 {
            let begun = std::time::Instant::now();
            assert_eq!(ada.get("/keys").await.status, 200);
            longest = longest.max(begun.elapsed());
        }
        longest
    };
    let begun = std::time::Instant::now();
    let ((statuses, crowded), longest) = tokio::join!(async { (crowd.await, begun.elapsed()) }, owner);
    // The network's own limit closes behind them.
    assert_eq!(statuses, [422; 40]);
    assert!(longest < crowded / 2, "a page took {longest:?} beside guesses that took {crowded:?} together");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_once_of_who_is_signed_in_are_counted_one_by_one_too() {
    let farebox = start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let token = ada.token("/step-up").await;
    let guesses: Vec<String> = (0..24).map(|guess| format!("guess number {guess}")).collect();
    let forms: Vec<_> =
        guesses.iter().map(|guess| vec![("csrf_token", token.as_str()), ("password", guess.as_str())]).collect();
    let statuses = at_once(&farebox, &ada, "/step-up", &forms).await;
    assert_eq!(looked_at(&statuses), 8, "{statuses:?}");
    let right = vec![vec![("csrf_token", token.as_str()), ("password", PASSWORD)]];
    assert_eq!(at_once(&farebox, &ada, "/step-up", &right).await, [429], "the right one is too late as well");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_once_at_several_doors_are_counted_together() {
    let farebox = start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let mut guesser = Visitor::new(&farebox);
    let (again, fresh) = (ada.token("/step-up").await, guesser.token("/sign-in").await);
    let guesses: Vec<String> = (0..24).map(|guess| format!("guess number {guess}")).collect();
    let at_step_up: Vec<_> =
        guesses.iter().map(|guess| vec![("csrf_token", again.as_str()), ("password", guess.as_str())]).collect();
    let at_sign_in: Vec<_> = guesses
        .iter()
        .map(|guess| vec![("csrf_token", fresh.as_str()), ("email", ADA), ("password", guess.as_str())])
        .collect();
    let (one, other) = tokio::join!(
        at_once(&farebox, &ada, "/step-up", &at_step_up),
        at_once(&farebox, &guesser, "/sign-in", &at_sign_in),
    );
    assert_eq!(looked_at(&one) + looked_at(&other), 8, "{one:?} {other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_that_are_guessed_at_once_are_counted_one_by_one() {
    let farebox = start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    enrol(&mut ada).await;
    let mut guesser = Visitor::new(&farebox);
    assert!(first(&mut guesser).await.location.starts_with("/sign-in/second"));
    let token = guesser.token("/sign-in/second").await;
    let guesses: Vec<String> = (0..16).map(|guess| format!("{:06}", 7 + guess * 61_001)).collect();
    let forms: Vec<_> =
        guesses.iter().map(|guess| vec![("csrf_token", token.as_str()), ("code", guess.as_str())]).collect();
    let statuses = at_once(&farebox, &guesser, "/sign-in/second", &forms).await;
    assert_eq!(looked_at(&statuses), 5, "{statuses:?}");
}

/// Statuses and bodies for an address that has an account and for one that has none, without what names them.
fn plain(page: &Page, email: &str) -> (u16, String, String) {
    let body = page.body.replace(email, "EMAIL");
    let body = body.lines().filter(|line| !line.contains("csrf_token")).collect::<Vec<_>>().join("\n");
    (page.status, page.location.clone(), body)
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Sends the same form in pairs, for the address with an account and for strangers. Returns how long each took.
async fn pairs(
    farebox: &Farebox,
    (action, fields): (&str, &[(&str, &str)]),
    (known, first, tries): (&str, usize, usize),
) -> [Vec<Duration>; 2] {
    let mut visitor = Visitor::new(farebox);
    let token = visitor.token("/sign-in").await;
    let (mut answers, mut times) = ([None, None], [Vec::new(), Vec::new()]);
    for round in first..first + tries {
        // No throttle, and the first of a pair is now the one and now the other.
        sqlx::query("delete from sign_in_failure").execute(&farebox.pool).await.expect("forgiven");
        let stranger = format!("stranger{round}@example.com");
        let mut pair = [(0, known), (1, stranger.as_str())];
        pair.rotate_left(round % 2);
        for (which, email) in pair {
            let mut form = vec![("csrf_token", token.as_str()), ("email", email)];
            form.extend(fields);
            let ip = format!("10.{which}.{}.{}", round / 250, round % 250);
            let request = farebox.http.post(farebox.url(action)).header("x-forwarded-for", ip).form(&form);
            let started = Instant::now();
            let page = visitor.send(request).await;
            times[which].push(started.elapsed());
            let answer = plain(&page, email);
            assert!(matches!(answer.0, 200 | 422), "{action}: {answer:?}");
            let kept = answers[which].get_or_insert_with(|| answer.clone());
            assert_eq!(*kept, answer, "{action}");
        }
    }
    assert_eq!(answers[0], answers[1], "{action} tells who has an account");
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_words_nor_time_tell_who_has_an_account() {
    let farebox = start_dear().await;
    let known = "known@example.com";
    Visitor::member(&farebox, known, PASSWORD).await;
    let pairs_of_a_try: usize = scale(30, 1_000);
    // How many more of them one side has by chance, at most: each adds or takes one, so two deviations are twice the root.
    let by_chance = i64::try_from((4 * pairs_of_a_try).isqrt()).expect("a small number");
    let forms: [(&str, &[(&str, &str)]); 3] = [
        ("/sign-in", &[("password", "a wrong password")]),
        ("/recover", &[]),
        ("/sign-up", &[("name", "Ada"), ("password", "a new password")]),
    ];
    for form in forms {
        let mut tried = Vec::new();
        for number in 0..TRIES {
            let times = pairs(&farebox, form, (known, number * pairs_of_a_try, pairs_of_a_try)).await;
            let micros = |time: &Duration| i64::try_from(time.as_micros()).expect("a short time");
            // Of each pair, because what else the machine does slows both of it.
            let pairs: Vec<i64> =
                times[0].iter().zip(&times[1]).map(|(one, other)| micros(one) - micros(other)).collect();
            let leans: i64 = pairs.iter().map(|apart| apart.signum()).sum();
            let apart = median(pairs);
            let [one, other] = times.map(median);
            println!("{}: {one:?} with an account, {other:?} without, {apart} µs apart, {leans:+} pairs", form.0);
            tried.push((apart, leans));
            let told = |side: i64| {
                tried.iter().all(|(apart, leans)| apart * side >= MOST_APART_MICROS && leans * side > by_chance)
            };
            if !told(1) && !told(-1) {
                break;
            }
            assert!(tried.len() < TRIES, "{} tells who has an account: {tried:?} µs apart and pairs", form.0);
        }
    }
}

/// A passkey that nobody has, where only that there is one matters.
async fn give_passkey(farebox: &Farebox, name: &'static str) {
    sqlx::query(
        "insert into passkey (id, person_id, credential_id, name, credential)
         select gen_random_uuid(), id, $1::text::bytea, $1, '{}' from person where email = $2",
    )
    .bind(name)
    .bind(ADA)
    .execute(&farebox.pool)
    .await
    .expect("a passkey");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passkeys_alone_can_be_the_second_factor() {
    const TURN_ON: &str = "/settings/security/two-factor/passkeys";
    let farebox = start().await;
    let mut ada = Visitor::member(&farebox, ADA, PASSWORD).await;
    let page = "/settings/security";
    let none = ada.submit(page, TURN_ON, &[]).await;
    assert_eq!((none.status, farebox.text("select count(*)::text from passkey_second").await.as_str()), (303, "0"));
    give_passkey(&farebox, "Laptop").await;
    let mut phone = Visitor::new(&farebox);
    assert_eq!(first(&mut phone).await.location, "/keys");
    let on = ada.submit(page, TURN_ON, &[]).await;
    assert!(on.status == 200 && on.body.contains("Shown this one time"), "{}", on.body);
    let codes = between(&on.body, "id=\"codes\"", "</ol>");
    let code = codes.split(['<', '>']).map(str::trim).find(|word| word.len() == 19).expect("a code").to_owned();
    assert_eq!(mails(&farebox, "two_factor_on").await, 1);
    assert!(!is_signed_in(&mut phone).await && is_signed_in(&mut ada).await, "other browsers are signed out");
    assert_eq!(ada.submit(page, TURN_ON, &[]).await.status, 303, "it is on already");
    assert!(ada.get(page).await.body.contains("asks for one of your passkeys"));

    // The password alone opens nothing now; six digits are no code, a recovery code is one, once.
    let mut browser = Visitor::new(&farebox);
    let asked = first(&mut browser).await;
    assert_eq!((asked.status, asked.location.as_str()), (303, "/sign-in/second?next=%2Fkeys"));
    let form = browser.get(&asked.location).await.body;
    assert!(
        form.contains("Recovery code") && form.contains("Use a passkey instead") && !form.contains("Use a code of")
    );
    assert_eq!(second(&mut browser, "123456").await.status, 422);
    assert_eq!(second(&mut browser, &code).await.status, 303);
    assert!(is_signed_in(&mut browser).await);
    let mut again = Visitor::new(&farebox);
    first(&mut again).await;
    assert_eq!(second(&mut again, &code).await.status, 422, "it was used");

    // The last one stays until something else can take its place.
    let remove = async |ada: &mut Visitor<'_>, name: &str| {
        let id: uuid::Uuid = sqlx::query_scalar("select id from passkey where name = $1")
            .bind(name)
            .fetch_one(&farebox.pool)
            .await
            .expect("a passkey");
        let path = format!("/settings/security/passkeys/{}/remove", farebox::base::ids::PasskeyId(id));
        ada.submit(page, &path, &[]).await
    };
    remove(&mut ada, "Laptop").await;
    assert!(ada.get(page).await.body.contains("This passkey is your second factor"));
    give_passkey(&farebox, "Phone").await;
    remove(&mut ada, "Laptop").await;
    assert_eq!(farebox.text("select string_agg(name, ' ') from passkey").await, "Phone");
    let off = ada.submit(page, "/settings/security/two-factor/off", &[]).await;
    assert_eq!(off.status, 303);
    assert_eq!(farebox.text("select count(*)::text from recovery_code").await, "0");
    assert_eq!(first(&mut Visitor::new(&farebox)).await.location, "/keys");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

async fn run(farebox: &Farebox, statement: &'static str) {
    sqlx::query(statement).execute(&farebox.pool).await.expect("done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailed_links_and_sessions_end_by_themselves() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::new(&farebox);
    let fields = [("name", "Ada"), ("email", ADA), ("password", PASSWORD)];
    assert_eq!(ada.submit("/sign-up", "/sign-up", &fields).await.status, 200);
    let lasts = "select string_agg((expires_at - created_at)::text, ' ') from one_time_token";
    assert_eq!(farebox.text(lasts).await, "1 day");
    let link = crate::support::visitor::mailed_link(&farebox, ADA).await;
    let token = between(&format!("{link}&"), "token=", "&");
    let fields = [("token", token.as_str()), ("password", PASSWORD)];
    run(&farebox, "update one_time_token set expires_at = now()").await;
    let late = ada.submit("/sign-in", "/verify", &fields).await;
    assert!(late.status == 422 && !is_signed_in(&mut ada).await, "{}", late.body);
    assert_eq!(farebox.text("select count(*)::text from person where email_verified_at is not null").await, "0");
    run(&farebox, "update one_time_token set expires_at = now() + interval '1 minute'").await;
    assert_eq!(ada.submit(&link, "/verify", &fields).await.status, 303);
    assert!(is_signed_in(&mut ada).await);

    let mut browser = Visitor::new(&farebox);
    browser.submit("/recover", "/recover", &[("email", ADA)]).await;
    let link = recovery_link(&farebox, ADA).await;
    let lasts = "select (expires_at - created_at)::text from one_time_token where purpose = 'recover'";
    assert_eq!(farebox.text(lasts).await, "01:00:00");
    run(&farebox, "update one_time_token set expires_at = now()").await;
    let token = between(&format!("{link}&"), "token=", "&");
    let fields = [("token", token.as_str()), ("password", "another horse battery")];
    let late = browser.submit("/recover", "/reset", &fields).await;
    assert_eq!(late.status, 422, "{}", late.body);
    assert_eq!(first(&mut browser).await.location, "/keys", "the password is the one of before");

    // A session lasts thirty days, however much it is used, and a week without use.
    assert_eq!(
        farebox.text("select string_agg(distinct (expires_at - created_at)::text, ' ') from session").await,
        "30 days"
    );
    run(&farebox, "update session set last_seen_at = now() - interval '7 days' + interval '1 minute'").await;
    assert!(is_signed_in(&mut ada).await && is_signed_in(&mut browser).await);
    run(&farebox, "update session set last_seen_at = now() - interval '7 days'").await;
    assert!(!is_signed_in(&mut ada).await);
    assert_eq!(first(&mut ada).await.location, "/keys");
    run(&farebox, "update session set expires_at = now(), last_seen_at = now()").await;
    assert!(!is_signed_in(&mut ada).await && !is_signed_in(&mut browser).await);
    assert_eq!(ada.get("/keys").await.location, "/sign-in?next=%2Fkeys");
}

//! Grants and corrections: once, by two where they are large, and all or nothing.

use std::time::Duration;

use super::{adjust, fill, operator, send};
use crate::support::visitor::{Visitor, form};
use crate::support::{Farebox, Options};

async fn posted(farebox: &Farebox) -> String {
    farebox.text("select trim_scale(sum(posted))::text from credit").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_grant_is_booked_once_however_often_its_form_comes() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let page = olive.get(&format!("/admin/adjustments/new?org={}", key.org)).await;
    let known = form(&page.body, "/admin/adjustments");
    let fields = [("kind", "grant"), ("amount", "7.50"), ("reason", "sorry for the outage")];
    let mut twin = Visitor::with_cookies(&farebox, olive.cookies());
    let mut third = Visitor::with_cookies(&farebox, olive.cookies());
    // The same form three times at once, and once more.
    let (one, two, three) = tokio::join!(
        send(&mut olive, "/admin/adjustments", &known, &fields),
        send(&mut twin, "/admin/adjustments", &known, &fields),
        send(&mut third, "/admin/adjustments", &known, &fields),
    );
    assert_eq!((one.status, two.status, three.status), (303, 303, 303), "{}", one.body);
    assert_eq!(send(&mut olive, "/admin/adjustments", &known, &fields).await.status, 303);
    assert_eq!(posted(&farebox).await, "17.5");
    assert_eq!(farebox.text("select count(*)::text from transfer where reference like 'adj_%'").await, "1");
    let said = "select string_agg(memo, ';') from transfer where reference like 'adj_%'";
    assert_eq!(farebox.text(said).await, "sorry for the outage");
    // A mistake keeps what was typed, and books nothing.
    let wrong = adjust(&mut olive, &key.org, "grant", "12,50").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("is not an amount") && wrong.body.contains("value=\"12,50\""), "{}", wrong.body);
    for bad in ["0", "-5", "1000001"] {
        assert_eq!(adjust(&mut olive, &key.org, "grant", bad).await.status, 422, "{bad}");
    }
    // Downwards it may go below zero, as the books say.
    assert_eq!(adjust(&mut olive, &key.org, "take", "20").await.status, 303);
    assert_eq!(posted(&farebox).await, "-2.5");
    assert_eq!(farebox.text("select code from transfer order by id desc limit 1").await, "correction");
    farebox.books_are_clean().await;
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_one_needs_a_second_operator_and_is_booked_once() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut oscar = operator(&farebox, "oscar@example.com").await;
    let mut otto = operator(&farebox, "otto@example.com").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let asked = adjust(&mut olive, &key.org, "give", "250").await;
    assert_eq!(asked.status, 303, "{}", asked.body);
    let here = asked.location.clone();
    assert_eq!(posted(&farebox).await, "10", "nothing is booked yet");
    assert!(oscar.get("/admin").await.body.contains("waiting"));

    // Whoever asked cannot agree, whatever they send.
    let own = olive.get(&here).await.body;
    assert!(!own.contains("/approve"), "{own}");
    let known = form(&own, &format!("{here}/withdraw"));
    let tried = send(&mut olive, &format!("{here}/approve"), &known, &[("reason", "my own")]).await;
    assert_eq!((tried.status, posted(&farebox).await.as_str()), (303, "10"));
    assert!(olive.get(&here).await.body.contains("somebody else has to agree"));

    // Two others at once: one books it.
    let first = form(&oscar.get(&here).await.body, &format!("{here}/approve"));
    let second = form(&otto.get(&here).await.body, &format!("{here}/approve"));
    let action = format!("{here}/approve");
    let (one, two) = tokio::join!(
        send(&mut oscar, &action, &first, &[("reason", "I agree")]),
        send(&mut otto, &action, &second, &[("reason", "so do I")]),
    );
    assert_eq!((one.status, two.status), (303, 303), "{}{}", one.body, two.body);
    assert_eq!(posted(&farebox).await, "260");
    assert_eq!(farebox.text("select count(*)::text from transfer where code = 'correction'").await, "1");
    let rows = "select state || ' ' || (decided_by <> made_by)::text from adjustment";
    assert_eq!(farebox.text(rows).await, "posted true");
    // The same form again, and a rejection after it, change nothing.
    send(&mut oscar, &action, &first, &[("reason", "I agree")]).await;
    send(&mut otto, &format!("{here}/reject"), &second, &[("reason", "no")]).await;
    assert_eq!(posted(&farebox).await, "260");
    farebox.books_are_clean().await;

    // One that is too old is not booked; one that is rejected neither.
    let old = adjust(&mut olive, &key.org, "grant", "500").await.location;
    let known = form(&oscar.get(&old).await.body, &format!("{old}/approve"));
    sqlx::query("update adjustment set expires_at = now() - interval '1 second' where state = 'pending'")
        .execute(&farebox.pool)
        .await
        .expect("expired");
    send(&mut oscar, &format!("{old}/approve"), &known, &[("reason", "late")]).await;
    assert!(oscar.get(&old).await.body.contains("Expired"));
    let other = adjust(&mut olive, &key.org, "grant", "500").await.location;
    fill(&mut oscar, &other, &format!("{other}/reject"), &[("reason", "not agreed")]).await;
    let mine = adjust(&mut olive, &key.org, "grant", "500").await.location;
    fill(&mut olive, &mine, &format!("{mine}/withdraw"), &[("reason", "a mistake")]).await;
    assert_eq!(posted(&farebox).await, "260");
    let states = "select string_agg(state, ' ' order by id) from adjustment";
    assert_eq!(farebox.text(states).await, "posted pending rejected withdrawn");
    // The database itself keeps four eyes.
    let forced = "update adjustment set state = 'posted', decided_by = made_by, decided_at = now(), transfer_id = id
                  where state = 'rejected'";
    assert!(sqlx::query(forced).execute(&farebox.pool).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_ones_at_once_do_not_slip_past_the_second_operator() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let mut forms = Vec::new();
    for _ in 0..4 {
        let page = olive.get(&format!("/admin/adjustments/new?org={}", key.org)).await;
        forms.push(form(&page.body, "/admin/adjustments"));
    }
    let fields = [("kind", "grant"), ("amount", "40"), ("reason", "in small parts")];
    let mut twins: Vec<_> = forms.iter().map(|_| Visitor::with_cookies(&farebox, olive.cookies())).collect();
    let sent = twins.iter_mut().zip(&forms).map(|(twin, known)| send(twin, "/admin/adjustments", known, &fields));
    for page in futures_util::future::join_all(sent).await {
        assert_eq!(page.status, 303, "{}", page.body);
    }
    // Two of forty dollars are alone below a hundred; the others wait.
    assert_eq!(posted(&farebox).await, "90");
    assert_eq!(farebox.text("select count(*)::text from adjustment where state = 'pending' and needs_two").await, "2");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_gone_gets_nothing_any_more() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut oscar = operator(&farebox, "oscar@example.com").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let waiting = [
        adjust(&mut olive, &key.org, "grant", "250").await.location,
        adjust(&mut olive, &key.org, "give", "250").await.location,
    ];
    let erased = "insert into account_deletion (person_id, asked_at, due_at, erased_at)
                  select id, now() - interval '8 days', now() - interval '1 day', now() from person
                  where email = 'ada@example.com'";
    sqlx::query(erased).execute(&farebox.pool).await.expect("erased");
    for here in &waiting {
        let agreed = fill(&mut oscar, here, &format!("{here}/approve"), &[("reason", "I agree")]).await;
        assert_eq!(agreed.status, 303, "{}", agreed.body);
        assert!(oscar.get(here).await.body.contains("is deleted, so nobody could spend"));
    }
    let new = adjust(&mut olive, &key.org, "grant", "1").await;
    assert!(new.status == 422 && new.body.contains("is deleted, so nobody could spend"), "{}", new.body);
    assert_eq!(posted(&farebox).await, "10");
    // What is there can still be taken out of the books.
    let taken = adjust(&mut olive, &key.org, "take", "10").await;
    assert_eq!(taken.status, 303, "{}", taken.body);
    assert_eq!(posted(&farebox).await, "0");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_books_nothing() {
    let mut farebox = Farebox::start().await;
    let database = farebox.database_url.clone();
    let (here, cookies) = {
        let mut olive = operator(&farebox, "olive@example.com").await;
        let oscar = operator(&farebox, "oscar@example.com").await;
        let key = farebox.key("ada@example.com", "10", &[]).await;
        let here = adjust(&mut olive, &key.org, "grant", "500").await.location;
        (here, oscar.cookies().to_vec())
    };
    let held = {
        let mut oscar = Visitor::with_cookies(&farebox, &cookies);
        let action = format!("{here}/approve");
        let known = form(&oscar.get(&here).await.body, &action);
        // Its credits are held by somebody else, so that it stands in the middle: decided, and not yet posted.
        let mut held = farebox.pool.begin().await.expect("a transaction");
        sqlx::query("select 1 from credit for update").fetch_all(&mut *held).await.expect("the credits");
        let token =
            known.iter().find(|(name, _)| name == "csrf_token").map(|(_, value)| value.clone()).unwrap_or_default();
        let act = known.iter().find(|(name, _)| name == "form").map(|(_, value)| value.clone()).unwrap_or_default();
        let fields = [("csrf_token", token), ("form", act), ("reason", "I agree".to_owned())];
        let cookie: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = farebox.http.post(farebox.url(&action)).header("cookie", cookie.join("; ")).form(&fields);
        let sent = tokio::spawn(request.send());
        let mut waits = false;
        for _ in 0..200 {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
            )
            .fetch_one(&farebox.pool)
            .await
            .expect("a count");
            waits |= waiting > 0;
            if waits {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(waits, "the approval stands in the middle");
        sent.abort();
        held
    };
    farebox.kill();
    held.rollback().await.expect("given back");
    let again = Farebox::with(Options { database_url: Some(database), ..Options::default() }).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let booked = again.text("select count(*)::text from transfer where reference like 'adj_%'").await;
    let state = again.text("select state from adjustment").await;
    assert_eq!((booked.as_str(), state.as_str()), ("0", "pending"), "it stands as before");
    again.books_are_clean().await;
    let mut oscar = Visitor::with_cookies(&again, &cookies);
    let known = form(&oscar.get(&here).await.body, &format!("{here}/approve"));
    send(&mut oscar, &format!("{here}/approve"), &known, &[("reason", "I agree")]).await;
    assert_eq!(posted(&again).await, "510");
    assert_eq!(again.text("select state from adjustment").await, "posted");
    again.books_are_clean().await;
}

//! Freezing a person, finding things by their id, and the rows behind figures of the overview.

use std::time::Instant;

use serde_json::json;

use super::figures::{figure, table, usd};
use super::{PASSWORD, fill, operator, send, staff};
use crate::support::shop::becomes;
use crate::support::visitor::{Visitor, between, form};
use crate::support::{Farebox, Key, Options, calendar, team};

async fn person(farebox: &Farebox, email: &str) -> String {
    let id: uuid::Uuid = sqlx::query_scalar("select id from person where email = $1")
        .bind(email)
        .fetch_one(&farebox.pool)
        .await
        .expect("a row");
    farebox::base::ids::PersonId(id).to_string()
}

/// Every node answers a key so, within a second from `since`.
async fn turns_to(nodes: &[&Farebox], key: &Key, status: u16, since: Instant) {
    for node in nodes {
        loop {
            // When it was asked counts, not how long a busy machine took for the answer.
            let asked = since.elapsed();
            let told = node.chat(key, "sandbox/echo", "hi", json!({})).await.status().as_u16();
            if told == status {
                break;
            }
            assert!(
                asked < crate::support::size::heard_within(),
                "a node answers {told}, not {status}, after {asked:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_person_is_signed_out_and_every_key_they_made_is_refused_within_a_second() {
    let farebox = Farebox::start().await;
    let other = Farebox::with(Options { database_url: Some(farebox.database_url.clone()), ..Options::default() }).await;
    let nodes = [&other, &farebox];
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let mut bob = Visitor::member(&farebox, "bob@example.com", PASSWORD).await;
    // Hers at home, hers in a team of his, one that a provisioning key of hers issued, and his own.
    let own = farebox.key("ada@example.com", "10", &[]).await;
    let bobs = farebox.key("bob@example.com", "10", &[]).await;
    let provisioning = farebox.key("ada@example.com", "", &["--provisioning"]).await;
    let request = farebox.http.post(farebox.url("/api/v1/keys")).bearer_auth(&provisioning.text);
    let made = request.json(&json!({ "name": "of a program" })).send().await.expect("an answer");
    let made: serde_json::Value = made.json().await.expect("JSON");
    let issued = Key { text: made["key"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned(), ..own.clone() };
    let his = team::create(&mut bob, "Analytical Engines").await;
    team::bring_in(&farebox, &mut bob, &mut ada, "ada@example.com", "admin").await;
    for key in [&own, &bobs, &issued] {
        turns_to(&nodes, key, 200, Instant::now()).await;
    }
    let page =
        farebox.http.get(farebox.url("/api/v1/keys")).bearer_auth(&provisioning.text).send().await.expect("an answer");
    assert_eq!(page.status(), 200);
    assert_eq!(ada.get("/keys").await.status, 200);

    let hers = person(&farebox, "ada@example.com").await;
    let here = format!("/admin/people/{hers}");
    let action = format!("{here}/freeze");
    let opened = olive.get(&here).await.body;
    let known = form(&opened, &action);
    let frozen = send(&mut olive, &action, &known, &[("reason", "a stolen account")]).await;
    assert_eq!(frozen.status, 303, "{}", frozen.body);
    let since = Instant::now();
    for key in [&own, &issued] {
        turns_to(&nodes, key, 403, since).await;
    }
    let told = farebox.chat(&own, "sandbox/echo", "hi", json!({})).await.text().await.expect("a body");
    assert!(told.contains("The account that made this API key is frozen."), "{told}");
    let request = farebox.http.get(farebox.url("/api/v1/keys")).bearer_auth(&provisioning.text);
    assert_eq!(request.send().await.expect("an answer").status(), 403);
    // Whoever sits there is signed out, on every node, and gets no further by signing in again.
    assert_eq!(ada.get("/keys").await.status, 303);
    assert_eq!(Visitor::with_cookies(&other, ada.cookies()).get("/keys").await.status, 303);
    let mut thief = Visitor::new(&farebox);
    let signed = thief.submit("/sign-in", "/sign-in", &[("email", "ada@example.com"), ("password", PASSWORD)]).await;
    assert!(signed.status == 403 && signed.body.contains("This account is frozen"), "{}", signed.body);
    assert_eq!(thief.get("/keys").await.location, "/sign-in?next=%2Fkeys");
    assert_eq!(thief.get("/models").await.status, 200, "what anybody sees");
    let wrong = [("email", "ada@example.com"), ("password", "not this one")];
    let guess = Visitor::new(&farebox).submit("/sign-in", "/sign-in", &wrong).await;
    assert!(guess.status == 422 && !guess.body.contains("frozen"), "told only to who knows the password");
    // Everybody else goes on, in the same organization too.
    turns_to(&nodes, &bobs, 200, Instant::now()).await;
    assert_eq!(bob.get("/settings/members").await.status, 200);
    assert!(!his.is_empty());
    // The same form again does nothing, another one says so, and the list knows.
    assert_eq!(send(&mut olive, &action, &known, &[("reason", "a stolen account")]).await.status, 303);
    assert_eq!(
        farebox.text("select count(*)::text from audit_entry where action = 'house.person_frozen' and chain_id = '00000000-0000-0000-0000-000000000000'").await,
        "1"
    );
    assert!(olive.get("/admin/people?state=frozen").await.body.contains("ada@example.com"));
    assert!(!olive.get("/admin/people?state=frozen").await.body.contains("bob@example.com"));
    assert!(olive.get("/admin/log").await.body.contains("a stolen account"));
    // Whoever helps to run the instance is not frozen, oneself least of all.
    let mine = person(&farebox, "olive@example.com").await;
    let refused = fill(
        &mut olive,
        &format!("/admin/people/{mine}"),
        &format!("/admin/people/{mine}/freeze"),
        &[("reason", "by mistake")],
    )
    .await;
    assert!(refused.status == 422 && refused.body.contains("Take that away first"), "{}", refused.body);

    let thawed = fill(&mut olive, &here, &format!("{here}/unfreeze"), &[("reason", "it is hers again")]).await;
    assert_eq!(thawed.status, 303, "{}", thawed.body);
    let since = Instant::now();
    for key in [&own, &issued] {
        turns_to(&nodes, key, 200, since).await;
    }
    assert_eq!(thief.get("/keys").await.status, 303, "a session that began meanwhile is over");
    let signed = ada.submit("/sign-in", "/sign-in", &[("email", "ada@example.com"), ("password", PASSWORD)]).await;
    assert_eq!((signed.status, ada.get("/keys").await.status), (303, 200));
    let history = ada.get("/settings/security").await.body;
    assert!(history.contains("Froze an account") && !history.contains("Olive"), "{history}");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_hidden_by_others_who_are_named_after_them() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let hidden = team::create(&mut ada, "Analytical Engines").await;
    let hers = person(&farebox, "ada@example.com").await;
    for number in 0..2 {
        // Newer, and with the ids in their names.
        team::create(&mut ada, &hidden).await;
        Visitor::member(&farebox, &format!("twin{number}@example.com"), PASSWORD).await;
    }
    sqlx::query("update person set name = $1 where email like 'twin%'")
        .bind(&hers)
        .execute(&farebox.pool)
        .await
        .expect("named");
    for page in [format!("/admin/organizations/{hidden}"), format!("/admin/people/{hers}")] {
        assert_eq!(olive.get(&page).await.status, 200, "{page}");
        let frozen = fill(&mut olive, &page, &format!("{page}/freeze"), &[("reason", "it hides")]).await;
        assert_eq!(frozen.status, 303, "{page}: {}", frozen.body);
    }
    let frozen = "select (select count(*) from org where frozen_at is not null and name = 'Analytical Engines') || ' '
        || (select count(*) from person where frozen_at is not null and email = 'ada@example.com')";
    assert_eq!(farebox.text(frozen).await, "1 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_leads_to_its_page_and_each_figure_of_the_overview_to_its_rows() {
    let farebox = Farebox::start().await;
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let answer = farebox.chat(&key, "sandbox/echo", "hi", json!({})).await;
    let call = answer.headers()["x-generation-id"].to_str().expect("text").to_owned();
    farebox.holds_are_closed().await;
    let uuid = farebox.text("select replace(id::text, '-', '') from transfer where code = 'usage'").await;
    let transfer = format!("tra_{uuid}");
    let hers = person(&farebox, "ada@example.com").await;
    for (id, page) in [
        (call.as_str(), format!("/admin/organizations/{}/calls/{call}", key.org)),
        (key.org.as_str(), format!("/admin/organizations/{}", key.org)),
        (transfer.as_str(), format!("/admin/books/transfers/{transfer}")),
    ] {
        let found = abel.get(&format!("/admin/find?q=+{id}+")).await;
        assert_eq!((found.status, found.location.as_str()), (303, page.as_str()), "{id}");
        assert_eq!(abel.get(&page).await.status, 200, "{page}");
    }
    let found = olive.get(&format!("/admin/find?q={hers}")).await;
    assert_eq!((found.status, found.location), (303, format!("/admin/people/{hers}")));
    // People are no matter of an auditor; what is not there is told.
    for (id, text) in [
        (hers.as_str(), "This is no id of"),
        ("gen-01900000000070008000000000000001", "No call with this id is in the log"),
        ("nonsense", "This is no id of"),
    ] {
        let page = abel.get(&format!("/admin/find?q={id}")).await;
        assert!(page.status == 200 && page.body.contains(text), "{id}: {}", page.body);
    }
    assert!(abel.get("/admin").await.body.contains("action=\"/admin/find\""));

    // What running calls hold.
    for (id, amount) in [("01900000000070008000000000000001", "0.25"), ("01900000000070008000000000000002", "0.5")] {
        sqlx::query(
            "insert into hold (org_id, id, amount, meters, memo, expires_at)
             select org_id, $1::uuid, $2, '{}', '', now() + interval '1 hour' from credit where org_id = $3",
        )
        .bind(id)
        .bind(amount.parse::<rust_decimal::Decimal>().expect("an amount"))
        .bind(key.org.parse::<farebox::base::ids::OrgId>().expect("an id").0)
        .execute(&farebox.pool)
        .await
        .expect("a hold");
    }
    sqlx::query("update credit set held = (select sum(amount) from hold h where h.org_id = credit.org_id) where org_id in (select org_id from hold)")
        .execute(&farebox.pool)
        .await
        .expect("held");
    let overview = abel.get("/admin").await.body;
    assert!(overview.contains("href=\"/admin/holds\""), "{overview}");
    for path in ["/admin/holds".to_owned(), format!("/admin/holds?org={}", key.org)] {
        let page = abel.get(&path).await.body;
        let mut rows = table(&page, "holds");
        let sum = usd(&rows.pop().expect("a sum")[2]);
        assert_eq!(rows.iter().map(|row| usd(&row[2])).sum::<farebox::base::Usd>(), sum, "{rows:?}");
        assert_eq!((rows.len(), sum, figure(&page, "Held of credits")), (2, usd("0.75"), usd("0.75")), "{page}");
    }
    assert_eq!(figure(&overview, "Held by running calls"), usd("0.75"));
    assert_eq!(abel.get("/admin/holds?org=nobody").await.status, 422);
    assert!(abel.get("/admin/holds?state=overdue").await.body.contains("None is overdue"));

    // Messages of processors that are not applied.
    sqlx::query(
        "insert into processor_event (processor, id, kind, object_ref, payload)
         values ('stripe', 'evt_odd', 'charge.odd', 'ch_odd', '{\"secret\": \"of the payload\"}')",
    )
    .execute(&farebox.pool)
    .await
    .expect("a message");
    assert!(abel.get("/admin").await.body.contains("href=\"/admin/payments/messages\""));
    let page = abel.get("/admin/payments/messages").await.body;
    assert!(page.contains("evt_odd") && page.contains("charge.odd") && !page.contains("of the payload"), "{page}");

    // Who used the codes of a batch, and what it gave.
    let fields =
        [("amount", "5"), ("count", "2"), ("uses", "2"), ("per_org", "2"), ("note", "spring"), ("reason", "the fair")];
    let made = fill(&mut olive, "/admin/codes", "/admin/codes", &fields).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let code = between(&made.body, "<code>", "\n");
    for _ in 0..2 {
        let redeemed = fill(&mut ada, "/credits/redeem", "/credits/redeem", &[("code", &code)]).await;
        assert_eq!(redeemed.status, 303, "{}", redeemed.body);
    }
    let list = abel.get("/admin/codes").await.body;
    let batch = format!("/admin/codes/{}", between(&list, "/admin/codes/", "\""));
    let page = abel.get(&batch).await;
    assert_eq!((page.status, figure(&page.body, "Given")), (200, usd("10")), "{}", page.body);
    let mut uses = table(&page.body, "uses");
    assert_eq!(usd(&uses.pop().expect("a sum")[3]), usd("10"));
    assert_eq!(uses.iter().map(|one| usd(&one[3])).sum::<farebox::base::Usd>(), usd("10"), "{uses:?}");
    assert!(page.body.contains(&key.org) && page.body.contains("/admin/books/transfers/tra_"));
    assert!(!page.body.contains("/admin/people"), "an auditor reads money, not people");
    assert!(olive.get(&batch).await.body.contains(&format!("/admin/people/{hers}")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_warns_of_what_the_database_knows() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    becomes(&farebox, "select (count(*) > 0)::text from audit_anchor", "true").await;
    let page = abel.get("/admin").await.body;
    for text in ["abandoned by", "more than was held", "anchored"] {
        assert!(!page.contains(text), "{text} without a cause");
    }
    // A call whose process died is swept and counted.
    let org: farebox::base::ids::OrgId = key.org.parse().expect("an id");
    sqlx::query(
        "with held as (update credit set held = held + 1 where org_id = $1)
         insert into hold (org_id, id, amount, meters, memo, expires_at)
         values ($1, gen_random_uuid(), 1, '{}', '{}', now() - interval '1 hour')",
    )
    .bind(org.0)
    .execute(&farebox.pool)
    .await
    .expect("a hold");
    farebox.holds_are_closed().await;
    // What a call cost above its hold, as a settlement books it.
    sqlx::query(
        "insert into transfer (id, code, reference, debit_account, credit_account, amount, org_id)
         values (gen_random_uuid(), 'overrun', 'gen-0190', '00000000-0000-7000-8000-000000000005',
            '00000000-0000-7000-8000-000000000002', 0.0125, $1)",
    )
    .bind(org.0)
    .execute(&farebox.pool)
    .await
    .expect("a transfer");
    let page = abel.get("/admin").await.body;
    assert!(page.contains("1 call of the last day was abandoned by its process"), "{page}");
    assert!(page.contains("Calls of today cost $0.0125 more than was held for them"), "{page}");
    let rows = between(&page, "/admin/books/journal?account=operator_loss&#38;code=overrun", "\"");
    let rows = abel
        .get(&format!("/admin/books/journal?account=operator_loss&code=overrun{}", rows.replace("&#38;", "&")))
        .await
        .body;
    assert!(rows.contains("gen-0190"), "{rows}");
    // Nobody anchored the logs for days.
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    sqlx::query("set local session_replication_role = replica").execute(&mut *tx).await.expect("a superuser");
    sqlx::query("update audit_anchor set taken_at = taken_at - interval '3 days'")
        .execute(&mut *tx)
        .await
        .expect("older");
    tx.commit().await.expect("commit");
    assert!(abel.get("/admin").await.body.contains("The audit logs were last anchored"));
}

//! Freezing, refunds, codes, staff, mails, jobs, announcements, prices.

use std::time::Instant;

use serde_json::json;

use super::{PASSWORD, fill, operator, send, staff};
use crate::support::shop::{Shop, becomes};
use crate::support::visitor::{Visitor, between, form};
use crate::support::{Farebox, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_organization_is_refused_within_a_second_on_every_node() {
    let farebox = Farebox::start().await;
    let other = Farebox::with(Options { database_url: Some(farebox.database_url.clone()), ..Options::default() }).await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    // Both nodes know the key.
    for node in [&farebox, &other] {
        assert_eq!(node.chat(&key, "sandbox/echo", "hi", json!({})).await.status(), 200);
    }
    let here = format!("/admin/organizations/{}", key.org);
    let frozen = fill(&mut olive, &here, &format!("{here}/freeze"), &[("reason", "chargebacks")]).await;
    assert_eq!(frozen.status, 303, "{}", frozen.body);
    let since = Instant::now();
    for node in [&other, &farebox] {
        while node.chat(&key, "sandbox/echo", "hi", json!({})).await.status() == 200 {
            assert!(since.elapsed() < crate::support::size::heard_within(), "a node still answers");
        }
    }
    assert!(ada.get("/").await.body.contains("is frozen since"));
    assert!(olive.get("/admin/organizations?state=frozen").await.body.contains(&key.org));
    assert!(olive.get(&here).await.body.contains("minlength=\"3\" maxlength=\"300\""), "of a reason");
    // Leaving and coming back does not thaw it.
    sqlx::query("update org o set frozen_at = frozen_at where id in (select org_id from personal_org)")
        .execute(&farebox.pool)
        .await
        .expect("touched");
    let again = fill(&mut olive, &here, &format!("{here}/unfreeze"), &[("reason", "settled")]).await;
    assert_eq!(again.status, 303);
    let since = Instant::now();
    while other.chat(&key, "sandbox/echo", "hi", json!({})).await.status() != 200 {
        assert!(since.elapsed() < crate::support::size::heard_within(), "a node still refuses");
    }
    let log = ada.get("/settings/audit").await.body;
    assert!(log.contains("Froze the organization") && log.contains("chargebacks") && !log.contains("olive"), "{log}");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_is_sent_once_and_its_payment_tells_everything() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let topup = shop.buy(&mut ada, "20", "card").await.topup;
    becomes(&farebox, "select state from topup", "paid").await;
    let here = format!("/admin/payments/{topup}");
    let page = olive.get(&here).await;
    assert!(page.status == 200 && page.body.contains("Transfers"), "{}", page.body);
    let known = form(&page.body, &format!("{here}/refund"));
    let fields = [("amount", "5"), ("reason", "half of it was not used")];
    let mut twin = Visitor::with_cookies(&farebox, olive.cookies());
    let action = format!("{here}/refund");
    let (one, two) =
        tokio::join!(send(&mut olive, &action, &known, &fields), send(&mut twin, &action, &known, &fields));
    assert_eq!((one.status, two.status), (303, 303), "{}", one.body);
    send(&mut olive, &action, &known, &fields).await;
    assert_eq!(farebox.text("select count(*) || ' ' || trim_scale(sum(amount)) from refund").await, "1 5");
    // The same form with another amount is no second refund, and does not say that it was one.
    let fields = [("amount", "7"), ("reason", "half of it was not used")];
    assert_eq!(send(&mut olive, &action, &known, &fields).await.status, 303);
    assert!(olive.get(&here).await.body.contains("This form refunded $5.00 before; open the page again."));
    assert_eq!(farebox.text("select count(*) || ' ' || trim_scale(sum(amount)) from refund").await, "1 5");
    let asked = "select count(*)::text from audit_entry e where action = 'credits.refund_asked' and chain_id = '00000000-0000-0000-0000-000000000000'";
    assert_eq!(farebox.text(asked).await, "1");
    let much = fill(&mut olive, &here, &action, &[("amount", "5000"), ("reason", "too much")]).await;
    assert_eq!(much.status, 303);
    assert!(olive.get(&here).await.body.contains("is left to refund"));
    assert!(olive.get("/admin/payments?state=paid").await.body.contains(&topup));
    let found = olive.get(&format!("/admin/payments?q={topup}")).await;
    assert_eq!((found.status, found.location), (303, here));
    becomes(&farebox, "select state from refund", "succeeded").await;
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_are_made_once_and_shown_once() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let page = olive.get("/admin/codes").await.body;
    let known = form(&page, "/admin/codes");
    let fields = [
        ("amount", "5"),
        ("count", "3"),
        ("uses", "1"),
        ("per_org", "1"),
        ("note", "spring"),
        ("reason", "the spring fair"),
    ];
    let made = send(&mut olive, "/admin/codes", &known, &fields).await;
    assert_eq!(made.status, 200, "{}", made.body);
    assert_eq!(made.body.matches("FARE-").count(), 3);
    let again = send(&mut olive, "/admin/codes", &known, &fields).await;
    assert_eq!(again.status, 303);
    assert_eq!(farebox.text("select count(*)::text from redemption_code").await, "3");
    let code = between(&made.body, "<code>", "\n");
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let redeemed = fill(&mut ada, "/credits/redeem", "/credits/redeem", &[("code", &code)]).await;
    assert_eq!(redeemed.status, 303, "{}", redeemed.body);
    assert_eq!(farebox.text("select trim_scale(sum(posted))::text from credit").await, "5");
    let batch = farebox.text("select replace(id::text, '-', '') from code_batch").await;
    let revoked = fill(
        &mut olive,
        "/admin/codes",
        "/admin/codes/revoke",
        &[("batch", &format!("bat_{batch}")), ("reason", "over")],
    )
    .await;
    assert_eq!(revoked.status, 303, "{}", revoked.body);
    assert!(olive.get("/admin/codes").await.body.contains("Revoked"));
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_runs_the_instance_is_changed_by_those_who_do() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut abel = Visitor::member(&farebox, "abel@example.com", PASSWORD).await;
    assert_eq!(abel.get("/admin").await.status, 404);
    let add = [("email", "abel@example.com"), ("role", "auditor"), ("reason", "our accountant")];
    assert_eq!(fill(&mut olive, "/admin/staff", "/admin/staff", &add).await.status, 303);
    assert_eq!(abel.get("/admin/books").await.status, 200);
    assert_eq!(abel.get("/admin/staff").await.status, 403);
    // The last operator stays one.
    let me =
        farebox.text("select 'usr_' || replace(id::text, '-', '') from person where email = 'olive@example.com'").await;
    fill(&mut olive, "/admin/staff", "/admin/staff/remove", &[("person", &me), ("reason", "leaving")]).await;
    assert_eq!(farebox.text("select count(*)::text from operator where role = 'operator'").await, "1");
    let him =
        farebox.text("select 'usr_' || replace(id::text, '-', '') from person where email = 'abel@example.com'").await;
    fill(&mut olive, "/admin/staff", "/admin/staff/remove", &[("person", &him), ("reason", "left")]).await;
    assert_eq!(abel.get("/admin/books").await.status, 404);
    // Signing somebody out ends their browsers.
    let page = fill(
        &mut olive,
        &format!("/admin/people/{him}"),
        &format!("/admin/people/{him}/sign-out"),
        &[("reason", "lost a laptop")],
    )
    .await;
    assert_eq!(page.status, 303);
    assert_eq!(abel.get("/").await.status, 303);
    assert!(olive.get("/admin/people?q=abel").await.body.contains("abel@example.com"));
    assert!(olive.get("/admin/log").await.body.contains("lost a laptop"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_is_tried_again_and_everybody_hears_of_it() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    sqlx::query("update mail set dead_at = now(), sent_at = null, last_error = 'no such host olive@example.com'")
        .execute(&farebox.pool)
        .await
        .expect("dead letters");
    let page = olive.get("/admin/mails?state=dead").await.body;
    assert!(page.contains("Given up") && !page.contains("host olive@example.com"), "{page}");
    fill(&mut olive, "/admin/mails", "/admin/mails/retry", &[("mail", "all"), ("reason", "the server is back")]).await;
    assert_eq!(farebox.text("select count(*)::text from mail where dead_at is not null").await, "0");
    let job: i64 = sqlx::query_scalar(
        "select (graphile_worker.add_job('no_such_job', '{}'::json, max_attempts => 3, run_at => now() + interval '1 hour')).id",
    )
    .fetch_one(&farebox.pool)
    .await
    .expect("a job");
    sqlx::query("update graphile_worker._private_jobs set attempts = 3, last_error = 'it failed' where id = $1")
        .bind(job)
        .execute(&farebox.pool)
        .await
        .expect("a dead job");
    let page = olive.get("/admin/jobs?state=dead").await.body;
    assert!(page.contains("no_such_job") && page.contains("it failed"), "{page}");
    let retried =
        fill(&mut olive, "/admin/jobs", "/admin/jobs/retry", &[("job", &job.to_string()), ("reason", "once more")])
            .await;
    assert_eq!(retried.status, 303, "{}", retried.body);
    let attempts: i32 = sqlx::query_scalar("select attempts::integer from graphile_worker._private_jobs where id = $1")
        .bind(job)
        .fetch_one(&farebox.pool)
        .await
        .expect("a job");
    assert!(attempts < 3, "{attempts}");

    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let text = "We move house on Sunday <b>at nine</b>.";
    let fields = [("body", text), ("tone", "warn"), ("days", "3"), ("reason", "the move")];
    assert_eq!(fill(&mut olive, "/admin/announcements", "/admin/announcements", &fields).await.status, 303);
    let page = ada.get("/credits").await.body;
    assert!(page.contains("We move house on Sunday") && !page.contains("<b>at nine"), "plain text");
    let id = between(&page, "name=\"id\" value=\"ann_", "\"");
    let token = ada.token("/credits").await;
    ada.post(&token, "/announcements/read", &[("id", &format!("ann_{id}"))]).await;
    assert!(!ada.get("/credits").await.body.contains("We move house"), "put away for good");
    assert!(olive.get("/").await.body.contains("We move house"), "for her alone");
    fill(
        &mut olive,
        "/admin/announcements",
        "/admin/announcements/end",
        &[("announcement", &format!("ann_{id}")), ("reason", "over")],
    )
    .await;
    assert!(!olive.get("/").await.body.contains("We move house"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_list_is_seen_before_it_is_applied_and_makes_versions() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    assert_eq!(farebox.chat(&key, "sandbox/echo", "how much is it", json!({})).await.status(), 200);
    farebox.holds_are_closed().await;
    let upstream = farebox
        .text("select e.upstream_model from endpoint e join model m on m.id = e.model_id where m.slug = 'sandbox/echo'")
        .await;
    let list = format!(
        "provider,model,mode,input_usd_per_million,output_usd_per_million,cache_read_usd_per_million\n\
         sandbox,{upstream},chat,0.5,1,\nnobody,other,chat,1,2,\n"
    );
    let known = form(&olive.get("/admin/catalog/lists").await.body, "/admin/catalog/lists");
    let field = |name: &str| known.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
    let (token, number) = (field("csrf_token"), field("form"));
    let boundary = "a-boundary-of-the-test";
    let part = |name: &str, value: &str| {
        format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let texts = |reason: &str| [part("csrf_token", token), part("form", number), part("reason", reason)].concat();
    let file = format!(
        "--{boundary}\r\n\
         content-disposition: form-data; name=\"list\"; filename=\"prices.csv\"\r\ncontent-type: text/csv\r\n\r\n\
         {list}\r\n--{boundary}--\r\n"
    );
    let kind = format!("multipart/form-data; boundary={boundary}");
    let upload = |reason: &str| {
        let request = farebox.http.post(farebox.url("/admin/catalog/lists")).header("content-type", kind.as_str());
        request.body(format!("{}{file}", texts(reason)))
    };
    assert_eq!(olive.send(upload("")).await.status, 422, "without a reason");
    // A price that is left out is not taken for nothing.
    let blank = format!("{}{file}", texts("their new list")).replace(",0.5,1,", ",0.5,,");
    let request = farebox.http.post(farebox.url("/admin/catalog/lists")).header("content-type", kind.as_str());
    let refused = olive.send(request.body(blank)).await;
    assert!(refused.status == 422 && refused.body.contains("Line 2 has no price for the output"), "{}", refused.body);
    assert_eq!(farebox.text("select count(*)::text from price_list").await, "0");
    let kept = olive.send(upload("their new list")).await;
    assert_eq!(kept.status, 303, "{}", kept.body);
    let before = farebox.text("select count(*)::text from price_version").await;
    let page = olive.get(&format!("{}?markup=20", kept.location)).await.body;
    assert!(page.contains("1 endpoints that the list knows") && page.contains("~ price sandbox/echo"), "{page}");
    assert_eq!(farebox.text("select count(*)::text from price_version").await, before, "looking changes nothing");
    let action = format!("{}/apply", kept.location);
    let known = form(&page, &action);
    let fields = [("prices", "1"), ("reason", "the new list")];
    // Somebody else makes another price meanwhile: nothing is written over it unseen.
    let other = "insert into price_version (id, endpoint_id, version, prompt, completion)
        select gen_random_uuid(), id, 2, 0.000009, 0.000009 from endpoint where upstream_model = 'echo'";
    sqlx::query(other).execute(&farebox.pool).await.expect("another price");
    let late = send(&mut olive, &action, &known, &fields).await;
    assert!(late.status == 422 && late.body.contains("Somebody else has changed these prices"), "{}", late.body);
    assert_eq!(farebox.text("select count(*)::text from upstream_price").await, "0");
    let page = olive.get(&format!("{}?markup=20", kept.location)).await.body;
    assert!(page.contains("&#34;9&#34; → &#34;0.6&#34;"), "{page}");
    let known = form(&page, &action);
    let applied = send(&mut olive, &action, &known, &fields).await;
    assert_eq!(applied.status, 303, "{}", applied.body);
    send(&mut olive, &action, &known, &fields).await;
    assert_eq!(farebox.text("select count(*)::text from upstream_price").await, "1");
    let price =
        "select trim_scale(v.prompt * 1000000) || ' ' || trim_scale(v.completion * 1000000) from price_version v
        join endpoint e on e.id = v.endpoint_id join model m on m.id = e.model_id where m.slug = 'sandbox/echo'
        order by version desc limit 1";
    assert_eq!(farebox.text(price).await, "0.6 1.2");
    let page = olive.get("/admin/catalog").await.body;
    assert!(page.contains("Providers charge") && page.contains("For calls of"), "{page}");
    // One price by hand, with what it would have cost.
    let here = format!("/admin/catalog/endpoints/{}/price", between(&page, "/admin/catalog/endpoints/", "\""));
    let page = olive.get(&format!("{here}?prompt=2&completion=4")).await;
    assert!(page.status == 200 && page.body.contains("By these prices"), "{}", page.body);
    assert!(page.body.contains("~ price "), "in the words of the command line: {}", page.body);
    assert_eq!(olive.get("/admin/fees").await.status, 200);
    let set = [("provider", "openai"), ("credential", "sk-secret-of-the-house"), ("reason", "a new account")];
    let page = olive.get("/admin/upstreams").await.body;
    if page.contains("value=\"openai\"") {
        assert_eq!(fill(&mut olive, "/admin/upstreams", "/admin/upstreams", &set).await.status, 303);
        assert!(!olive.get("/admin/upstreams").await.body.contains("sk-secret-of-the-house"));
    }
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;
    // Who reads everything about money reads lists too, and what prices by them would have come to; nothing there changes anything.
    assert!(abel.get("/admin/catalog").await.body.contains("href=\"/admin/catalog/lists\""));
    for path in ["/admin/catalog/lists".to_owned(), format!("{}?markup=20", kept.location), here] {
        let page = abel.get(&path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains("name=\"reason\""), "{path}");
    }
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_with_a_mistake_comes_again_with_what_was_typed() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let announced = [("body", "We move house."), ("tone", "warn"), ("days", "900"), ("reason", "the move")];
    let codes = [("amount", "5"), ("count", "some"), ("note", "spring"), ("reason", "the spring fair")];
    let reasonless = [("amount", "5"), ("count", "1"), ("note", "summer"), ("reason", "x")];
    let fees = [("sandbox_card", "a lot"), ("reason", "a test")];
    let sign_up = [("policy", "domains"), ("domains", "example.com"), ("reason", "x")];
    let (announcements, codes_at, fees_at, sign_up_at) =
        ("/admin/announcements", "/admin/codes", "/admin/fees", "/admin/sign-up");
    for (page, action, fields, told, there) in [
        (announcements, announcements, &announced[..], "stays for 1 to 90 days", "We move house.</textarea>"),
        (announcements, announcements, &announced[..], "stays for 1 to 90 days", "<option value=\"warn\" selected>"),
        (announcements, announcements, &announced[..], "stays for 1 to 90 days", "value=\"900\""),
        (codes_at, codes_at, &codes[..], "How many must be a whole number", "value=\"spring\""),
        (codes_at, codes_at, &reasonless[..], "Write a reason of 3 to 300 characters", "value=\"summer\""),
        (fees_at, fees_at, &fees[..], "Nothing was changed", "value=\"a lot\""),
        (fees_at, sign_up_at, &sign_up[..], "Write a reason of 3 to 300 characters", "value=\"example.com\""),
    ] {
        let again = fill(&mut olive, page, action, fields).await;
        assert_eq!(again.status, 422, "{action}: {}", again.body);
        assert!(again.body.contains(told) && again.body.contains(there), "{told}, {there}: {}", again.body);
        assert!(again.body.contains("minlength=\"3\""), "{}", again.body);
    }
    assert_eq!(farebox.text("select count(*)::text from announcement").await, "0");
    assert_eq!(farebox.text("select count(*)::text from redemption_code").await, "0");
    assert_eq!(farebox.text("select count(*)::text from house_setting").await, "0");
}

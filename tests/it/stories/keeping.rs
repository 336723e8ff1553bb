//! Ways to pay that are kept without buying, and what is forgotten with an organization.

use farebox::stand_ins::stripe::{PayAs, Switches};

use crate::support::shop::{Shop, becomes, minutes_pass};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, team};

const PASSWORD: &str = "correct horse battery";
const KEPT: &str = "select count(*)::text from payment_method where removed_at is null";

async fn ada(farebox: &Farebox) -> Visitor<'_> {
    Visitor::member(farebox, "ada@example.com", PASSWORD).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_to_pay_is_kept_without_buying_and_then_charged_by_the_rule() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    assert!(
        ada.get("/credits/auto").await.body.contains("/credits/methods/new"),
        "where it is missing, there is a way"
    );
    let (id, session) = shop.keep(&mut ada, "card").await;
    let page = format!("/credits/methods/keep/{id}");
    assert!(ada.get(&page).await.body.contains("Waiting for the payment processor"), "coming back keeps nothing");
    assert_eq!(farebox.text(KEPT).await, "0");
    shop.stripe.pay(&session, PayAs::Succeed).expect("entered");
    becomes(&farebox, "select state from method_setup", "kept").await;
    assert!(ada.get(&page).await.body.contains("Visa ending in 4242 is saved"));
    assert_eq!(farebox.text(KEPT).await, "1");
    assert_eq!(shop.stripe.balance(), 0, "nothing was charged");
    // Below the amount already, so it buys at once, with what was kept.
    let card = farebox.text("select 'pay_' || replace(id::text, '-', '') from payment_method").await;
    let rule = [("below", "10"), ("credits", "20"), ("method", &card), ("cap_day", "100"), ("cap_month", "100")];
    assert_eq!(ada.submit("/credits/auto/edit", "/credits/auto", &rule).await.status, 303);
    becomes(&farebox, "select string_agg(origin || ' ' || state, ',') from topup", "auto paid").await;
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_it_is_asked_for_when_no_message_comes() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    shop.hold_messages();
    let mut ada = ada(&farebox).await;
    let (_, bank) = shop.keep(&mut ada, "us_bank_account").await;
    shop.stripe.pay(&bank, PayAs::Succeed).expect("entered");
    let (left, expired) = shop.keep(&mut ada, "cashapp").await;
    shop.stripe.pay(&expired, PayAs::Expire).expect("its time ran out");
    minutes_pass(&farebox).await;
    becomes(
        &farebox,
        "select string_agg(method || ' ' || state, ',' order by method) from method_setup",
        "cashapp over,us_bank_account kept",
    )
    .await;
    assert!(ada.get(&format!("/credits/methods/keep/{left}")).await.body.contains("Nothing was saved"));
    assert_eq!(farebox.text(KEPT).await, "1");
    // Every message after all, and again: nothing more is kept.
    shop.stripe.set_switches(Switches::default());
    for _ in 0..2 {
        shop.stripe.deliver_all().await;
    }
    crate::support::shop::applied(&farebox).await;
    assert_eq!(farebox.text("select count(*)::text from payment_method").await, "1");

    // What is removed stays removed, whatever tells of it again.
    let method = farebox.text("select 'pay_' || replace(id::text, '-', '') from payment_method").await;
    let remove = format!("/credits/methods/{method}/remove");
    assert_eq!(ada.submit(&remove, &remove, &[]).await.status, 303);
    sqlx::query("update method_setup set state = 'open', ask_at = now() where method = 'us_bank_account'")
        .execute(&farebox.pool)
        .await
        .expect("asked again");
    becomes(&farebox, "select state from method_setup where method = 'us_bank_account'", "kept").await;
    assert_eq!(farebox.text(KEPT).await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_that_does_not_answer_or_cannot_is_said_and_nothing_is_kept() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    let token = ada.token("/credits/methods/new").await;
    let id = farebox::base::ids::MethodSetupId::fresh().to_string();
    for method in ["alipay", "sandbox_card", "gold", ""] {
        let sent = ada.post(&token, "/credits/methods", &[("id", &id), ("method", method)]).await;
        assert!(sent.status == 422 && sent.body.contains("cannot be kept here"), "{method}: {}", sent.body);
    }
    let requests = "POST /v1/checkout/sessions".to_owned();
    shop.stripe.set_switches(Switches { fail_before_work: 1, requests, ..Switches::default() });
    let sent = ada.post(&token, "/credits/methods", &[("id", &id), ("method", "card")]).await;
    assert!(sent.status == 503 && sent.body.contains("Nothing was saved") && sent.body.contains(&id), "{}", sent.body);
    let sent = ada.post(&token, "/credits/methods", &[("id", &id), ("method", "card")]).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    let other = ada.post(&token, "/credits/methods", &[("id", &id), ("method", "cashapp")]).await;
    assert_eq!(other.status, 422, "the same form for another kind: {}", other.body);
    assert_eq!(farebox.text("select count(*)::text from method_setup").await, "1");
    // Without such a processor another page says why there is nothing to keep.
    let plain = Farebox::start().await;
    let mut eve = Visitor::member(&plain, "eve@example.com", PASSWORD).await;
    assert_eq!(eve.get("/credits/methods/new").await.location, "/credits/auto");
    assert!(!eve.get("/credits").await.body.contains("Saved payment methods"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_charged_again_is_kept_by_who_has_just_shown_who_they_are() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    let (token, page) = (ada.token("/credits").await, ada.get("/credits").await);
    let fields = crate::support::visitor::form(&page.body, "/credits/topups");
    let id = fields.iter().find(|(name, _)| name == "id").expect("a field").1.clone();
    sqlx::query("update session set authenticated_at = now() - interval '6 minutes'")
        .execute(&farebox.pool)
        .await
        .expect("time passes");
    let order = [("id", id.as_str()), ("amount", "20"), ("method", "card"), ("save", "1")];
    let asked = ada.post(&token, "/credits/topups", &order).await;
    assert_eq!((asked.status, asked.location.as_str()), (303, "/step-up?next=%2Fstep-up%2Fcontinue"), "{}", asked.body);
    let setup = farebox::base::ids::MethodSetupId::fresh().to_string();
    let asked = ada.post(&token, "/credits/methods", &[("id", &setup), ("method", "card")]).await;
    assert!(asked.status == 303 && asked.location.starts_with("/step-up"), "{}", asked.location);
    assert!(ada.get("/credits/methods/new").await.location.starts_with("/step-up"));
    assert_eq!(
        farebox.text("select (select count(*) from topup) + (select count(*) from method_setup) || ''").await,
        "0"
    );
    // Buying once keeps nothing, so nobody is asked.
    let bought = ada.post(&token, "/credits/topups", &order[..3]).await;
    assert_eq!(bought.status, 200, "{}", bought.body);
    assert_eq!(ada.submit("/step-up", "/step-up", &[("password", PASSWORD)]).await.status, 303);
    shop.keep(&mut ada, "card").await;
    let saved = shop.start(&mut ada, "20", "card", true).await;
    shop.stripe.pay(&saved.session, PayAs::Succeed).expect("a payment");
    becomes(&farebox, KEPT, "1").await;
}

/// Whether Stripe has forgotten every customer, and with each the ways to pay.
fn is_forgotten(shop: &Shop) -> bool {
    let customers = shop.stripe.objects("customer");
    let methods = shop.stripe.objects("payment_method");
    !customers.is_empty()
        && customers.iter().all(|customer| customer["deleted"] == true)
        && methods.iter().all(|method| method["customer"].is_null())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_that_ends_is_forgotten_at_the_processor_and_its_payments_stay() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = ada(&farebox).await;
    let org = team::create(&mut ada, "Analytical Engines").await;
    let bought = shop.start(&mut ada, "20", "card", true).await;
    shop.stripe.pay(&bought.session, PayAs::Succeed).expect("a payment");
    becomes(&farebox, "select count(*)::text from payment_method", "1").await;
    shop.keep(&mut ada, "card").await;
    let page = "/settings/organization/delete";
    ada.submit(page, page, &[("name", "Analytical Engines")]).await;
    // At first the processor does not answer.
    let requests = "DELETE /v1/customers".to_owned();
    shop.stripe.set_switches(Switches { fail_before_work: 1, requests, ..Switches::default() });
    sqlx::query("update org set delete_after = now() where delete_after is not null")
        .execute(&farebox.pool)
        .await
        .expect("a week");
    sqlx::query("select graphile_worker.add_job('delete_org', json_build_object('org', $1::text))")
        .bind(&org)
        .execute(&farebox.pool)
        .await
        .expect("the job");
    becomes(&farebox, "select count(*)::text from org where deleted_at is not null", "1").await;
    assert_eq!(farebox.text("select string_agg(label, '') from payment_method").await, "");
    assert_eq!(farebox.text("select count(*)::text from method_setup").await, "0");
    let failed = "select count(*)::text from graphile_worker._private_jobs
        where key like 'forget_customers:%' and last_error is not null and locked_at is null";
    becomes(&farebox, failed, "1").await;
    sqlx::query("update graphile_worker._private_jobs set run_at = now() where key like 'forget_customers:%'")
        .execute(&farebox.pool)
        .await
        .expect("later");
    becomes(&farebox, "select count(*)::text from processor_customer", "0").await;
    assert!(is_forgotten(&shop), "{:?}", shop.stripe.objects("customer"));
    // A dispute that comes later still finds its payment.
    shop.stripe.set_switches(Switches::default());
    shop.stripe.dispute(&shop.intent(&bought), None).expect("a dispute");
    becomes(&farebox, "select state from topup", "disputed").await;
    shop.agrees(&farebox).await;
}

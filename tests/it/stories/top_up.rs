//! Money comes in once, and only when the processor's word was checked.

use farebox::base::Usd;
use farebox::base::ids::{OrgId, TopUpId};

use crate::support::farebox::Key;
use crate::support::shop::{Shop, applied_within, becomes, deliver_signed};
use crate::support::visitor::{Page, Visitor};
use crate::support::{Farebox, team};

async fn topup(farebox: &Farebox, key: &Key, total_elsewhere: &str) -> TopUpId {
    let (org, id): (OrgId, TopUpId) = (key.org.parse().expect("an id"), TopUpId::fresh());
    let reference = format!("sandbox_{}", id.0.simple());
    sqlx::query(
        "insert into topup (org_id, id, method, processor, credits, fee, total, state, processor_ref)
         values ($1, $2, 'sandbox_card', 'sandbox', 20, 1.10, 21.10, 'pending', $3)",
    )
    .bind(org.0)
    .bind(id.0)
    .bind(&reference)
    .execute(&farebox.pool)
    .await
    .expect("a purchase");
    sqlx::query("insert into sandbox_payment (ref, topup_id, total, state) values ($1, $2, $3, 'paid')")
        .bind(&reference)
        .bind(id.0)
        .bind(Usd::parse(total_elsewhere).expect("an amount").amount())
        .execute(&farebox.pool)
        .await
        .expect("a payment");
    id
}

async fn deliver(farebox: &Farebox, id: TopUpId, event: &str) {
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    let event = farebox::topups::Event::new("sandbox", event.to_owned(), "paid", format!("sandbox_{}", id.0.simple()));
    farebox::topups::receive(&mut tx, event).await.expect("stored");
    tx.commit().await.expect("committed");
}

#[tokio::test]
async fn a_payment_told_a_hundred_times_gives_its_credits_once() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "", &[]).await;
    let id = topup(&farebox, &key, "21.10").await;
    let tell = |number: usize| {
        let farebox = &farebox;
        async move { deliver(farebox, id, &format!("evt_{}", number % 10)).await }
    };
    futures_util::future::join_all((0..100).map(tell)).await;
    applied_within(&farebox, 15).await;
    assert_eq!(farebox.text("select posted::text from credit").await, "20.000000000000");
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "2", "credits and fee");
    assert_eq!(farebox.text("select state from topup").await, "paid");
    farebox.books_are_clean().await;
}

#[tokio::test]
async fn a_payment_of_another_amount_credits_nothing() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "", &[]).await;
    let id = topup(&farebox, &key, "0.01").await;
    deliver(&farebox, id, "evt_1").await;
    applied_within(&farebox, 15).await;
    assert_eq!(farebox.text("select count(*)::text from transfer").await, "0");
    assert_eq!(farebox.text("select state from topup").await, "pending");
    assert!(farebox.text("select outcome from processor_event").await.starts_with("refused"));
}

async fn order(ada: &mut Visitor<'_>) -> Page {
    let id = TopUpId::fresh().to_string();
    ada.submit("/credits", "/credits/topups", &[("id", &id), ("amount", "30"), ("method", "card")]).await
}

async fn run(farebox: &Farebox, statement: &'static str) {
    sqlx::query(statement).execute(&farebox.pool).await.expect("done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sold_to_an_organization_that_ends_or_is_frozen() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    team::create(&mut ada, "Analytical Engines").await;
    let page = "/settings/organization/delete";
    assert!(!ada.get(page).await.body.contains("Not paid yet"));
    shop.hold_messages();
    shop.buy(&mut ada, "20", "card").await;
    // Nobody asks by himself meanwhile.
    run(&farebox, "update topup set ask_at = now() + interval '1 hour'").await;
    let asked = ada.get(page).await.body;
    assert!(asked.contains("Not paid yet") && asked.contains("$20.00 by "), "{asked}");

    let purchases = "select count(*)::text from topup";
    let opens = |path: &str| path.starts_with("/v1/checkout/sessions") || path.starts_with("/v1/customers");
    let opened = || shop.stripe.requests().iter().filter(|seen| seen.method == "POST" && opens(&seen.path)).count();
    assert_eq!(ada.submit(page, page, &[("name", "Analytical Engines")]).await.status, 303);
    let before = opened();
    let refused = order(&mut ada).await;
    assert!(refused.status == 422 && refused.body.contains("will be deleted. Undo that first"), "{}", refused.body);
    ada.submit("/settings/organization", "/settings/organization/keep", &[]).await;
    run(&farebox, "update org set frozen_at = now() where kind = 'team'").await;
    let refused = order(&mut ada).await;
    assert!(refused.status == 422 && refused.body.contains("nothing can be bought for it"), "{}", refused.body);
    assert_eq!((opened(), farebox.text(purchases).await.as_str()), (before, "1"), "no processor is asked");
    run(&farebox, "update org set frozen_at = null where kind = 'team'").await;
    assert_eq!(order(&mut ada).await.status, 200, "and on it goes");

    // What was paid in time and is told after the end is booked, and somebody hears of it.
    run(&farebox, "update topup set ask_at = now() + interval '1 hour'").await;
    assert_eq!(ada.submit(page, page, &[("name", "Analytical Engines")]).await.status, 303);
    run(&farebox, "update org set delete_after = now() where kind = 'team'").await;
    run(&farebox, "update graphile_worker._private_jobs set run_at = now() where key like 'delete_org:%'").await;
    becomes(&farebox, "select count(*)::text from org where deleted_at is not null", "1").await;
    for event in shop.stripe.events() {
        deliver_signed(&farebox, &event).await;
    }
    becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "1").await;
    assert!(farebox.log().contains("for an organization that is deleted"), "{}", farebox.log());
    let metrics = farebox.http.get(farebox.url("/metrics")).send().await.expect("an answer").text().await;
    assert!(metrics.expect("a text").contains("farebox_payments_for_deleted_total 1"));
    shop.agrees(&farebox).await;
}

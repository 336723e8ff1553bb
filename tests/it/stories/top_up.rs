//! Money comes in once, and only when the processor's word was checked.

use farebox::base::Usd;
use farebox::base::ids::{OrgId, TopUpId};

use crate::support::Farebox;
use crate::support::farebox::Key;
use crate::support::shop::applied_within;

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

//! What providers bill to an organization's own accounts: on every page that tells of cost, and in every file.

use farebox::base::Usd;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::activity::{column, sum};
use super::activity_figures::{after, card, dollars, exact, paper};
use super::byok::{OWN, connect, until};
use crate::calls::usd;
use crate::support::Farebox;
use crate::support::calendar;
use crate::support::routes::Routes;
use crate::support::visitor::{Visitor, between};

async fn of_calls(farebox: &Farebox, what: &'static str) -> Usd {
    usd(&farebox.text(what).await)
}

/// Two calls on the operator's account, three and more on one of their own.
async fn called() -> Routes {
    let routes = Routes::with(vec![("FAREBOX_BYOK_FREE_PER_MONTH", "0".to_owned())]).await;
    let mut ada = routes.ada();
    let plain = json!({ "model": "lab/chat", "provider": { "only": ["alpha"] } });
    for _ in 0..2 {
        assert_eq!(routes.told(&routes.key, plain.clone()).await.0, 200);
    }
    connect(&mut ada, &[("api_key", OWN), ("mode", "only"), ("name", "Research")]).await;
    drop(ada);
    let other = json!({ "model": "lab/other" });
    until(&routes, &routes.key, &other, &[("beta-other", OWN)]).await;
    for _ in 0..2 {
        assert_eq!(routes.told(&routes.key, other.clone()).await.0, 200);
    }
    routes.farebox.holds_are_closed().await;
    routes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_own_providers_bill_is_on_every_page_and_in_every_file() {
    calendar::within_a_day().await;
    let routes = called().await;
    let (farebox, mut ada) = (&routes.farebox, routes.ada());
    let billed = of_calls(farebox, "select trim_scale(sum(upstream_cost))::text from usage").await;
    let fees = of_calls(farebox, "select trim_scale(sum(cost))::text from usage where is_byok").await;
    let spent = of_calls(farebox, "select trim_scale(sum(cost))::text from usage").await;
    let own: i64 = farebox.text("select count(*)::text from usage where is_byok").await.parse().expect("a count");
    let all: i64 = farebox.text("select count(*)::text from usage").await.parse().expect("a count");
    assert!(billed.is_positive() && spent > fees && own >= 3 && all > own);
    let rate: Decimal = "0.05".parse().expect("a number");
    assert_eq!(Usd::new(billed.amount() * rate), fees, "what the fee is of");

    // The page: a card by model, a column, a filter.
    let page = ada.get("/activity?period=24h&col=own&col=cost").await.body;
    assert_eq!(dollars(&exact(card(&page, "Own providers"))), billed);
    assert_eq!(dollars(&exact(card(&page, "Spend"))), spent, "it is no part of the spend");
    let legend = between(card(&page, "Own providers"), "<ul class=\"legend\">", "</ul>");
    assert!(legend.contains("lab/other") && !legend.contains("lab/chat"), "{legend}");
    let cells: Vec<&str> = page.split("data-label=\"Own provider\"").skip(1).collect();
    let told: Usd =
        cells.iter().filter(|cell| !cell[..80].contains("Not on an account")).map(|cell| dollars(&exact(cell))).sum();
    assert_eq!((cells.len(), told), (usize::try_from(all).expect("few"), billed));
    let page = ada.get("/activity?period=24h&own=yes").await.body;
    assert!(
        page.contains("Remove the filter Account Your own") && page.contains(&format!("{own} of {own} calls")),
        "{page}"
    );
    assert_eq!((dollars(&exact(card(&page, "Own providers"))), dollars(&exact(card(&page, "Spend")))), (billed, fees));
    let page = ada.get("/activity?period=24h&own=no").await.body;
    assert_eq!(dollars(&exact(card(&page, "Spend"))), spent - fees);
    assert!(!page.contains(">Own providers</h2>"), "{page}");
    let sums = ada.get("/activity/sums?period=24h&own=yes").await.body;
    assert!(sums.contains(&billed.display_exact()) && sums.contains(&format!("{own} calls match.")), "{sums}");
    assert_eq!(ada.get("/activity?own=maybe").await.status, 422);

    files(&routes, &mut ada, billed).await;

    // Keys, and the card of the provider.
    let list = ada.get("/keys").await.body;
    let told = after(&list, &format!("href=\"/keys/{}\"", routes.key.id));
    assert_eq!(dollars(&exact(after(told, "no limit</span></span><span class=\"sub\">"))), billed, "{told}");
    let page = ada.get(&format!("/keys/{}", routes.key.id)).await.body;
    let told = after(&page, "Billed to your own provider accounts");
    for window in ["Today", "This week", "This month", "In all"] {
        assert_eq!(dollars(&exact(after(told, &format!("<dt>{window}</dt>")))), billed, "{window}: {told}");
    }
    let page = ada.get("/settings/integrations").await.body;
    let told = after(&page, "Billed to you there this month (UTC)");
    assert_eq!(dollars(&exact(told)), billed, "{told}");

    // Whoever has none of it does not read of it.
    let mut bob = Visitor::member(farebox, "bob@example.com", "correct horse battery").await;
    let plain = farebox.key("bob@example.com", "1", &[]).await;
    let body = json!({ "model": "lab/chat" });
    assert_eq!(routes.told(&plain, body).await.0, 200);
    farebox.holds_are_closed().await;
    for path in ["/activity?period=24h".to_owned(), "/keys".to_owned(), format!("/keys/{}", plain.id)] {
        let page = bob.get(&path).await.body;
        let words = [">Own providers</h2>", "to own providers", "Billed to your own"];
        assert!(words.iter().all(|word| !page.contains(word)), "{path}: {page}");
    }
    farebox.books_are_clean().await;
}

async fn files(routes: &Routes, ada: &mut Visitor<'_>, billed: Usd) {
    let farebox = &routes.farebox;
    let csv = ada.get("/activity/export?period=24h").await.body;
    let (own, upstream) = (column(&csv, "own_provider_key"), column(&csv, "upstream_cost_usd"));
    let (rate, free) = (column(&csv, "byok_fee_rate"), column(&csv, "byok_free_usd"));
    for (at, own) in own.iter().enumerate() {
        let told = [&upstream[at], &free[at], &rate[at]].map(String::as_str);
        match own.as_str() {
            "true" => assert!(usd(told[0]).is_positive() && told[1..] == ["0", "0.05"], "{told:?}"),
            _ => assert_eq!(told, ["", "", ""], "no bill is not a bill of zero"),
        }
    }
    let some: Vec<String> = upstream.into_iter().filter(|amount| !amount.is_empty()).collect();
    assert_eq!(sum(&some), billed);
    for (name, what) in [
        ("hold_usd", "select trim_scale(sum(hold))::text from usage"),
        ("overrun_usd", "select trim_scale(sum(overrun))::text from usage"),
        ("discount_usd", "select trim_scale(sum(discount))::text from usage"),
    ] {
        assert_eq!(sum(&column(&csv, name)), of_calls(farebox, what).await, "{name}");
    }
    // Every line that cost something names the transfer that moved it, and those of a transfer are its amount.
    let (costs, transfers) = (column(&csv, "cost_usd"), column(&csv, "transfer_id"));
    let mut moved = std::collections::HashMap::<String, Usd>::new();
    for (cost, transfer) in costs.iter().zip(&transfers) {
        assert_eq!(usd(cost).is_positive(), transfer.starts_with("tra_"), "{cost} {transfer}");
        *moved.entry(transfer.clone()).or_default() += usd(cost);
    }
    let transfers: Vec<(uuid::Uuid, Decimal)> = sqlx::query_as("select id, amount from transfer where code = 'usage'")
        .fetch_all(&farebox.pool)
        .await
        .expect("transfers");
    assert!(!transfers.is_empty());
    for (id, amount) in transfers {
        assert_eq!(moved.get(&format!("tra_{}", id.simple())), Some(&Usd::new(amount)), "{id}");
    }
    let lines = ada.get("/activity/export?format=jsonl&period=24h").await.body;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Usd = lines.iter().filter_map(|line| line["upstream_cost_usd"].as_str()).map(usd).sum();
    assert_eq!(told, billed);
    assert!(lines.iter().all(|line| line["own_provider_key"] == json!(line["upstream_cost_usd"].is_string())));
    for query in ["period=24h", "period=24h&group=provider", "period=24h&own=yes"] {
        let told = paper(farebox, ada, &format!("/activity/export?format=pdf&{query}")).await;
        let exact = billed.display_exact();
        for text in [format!("Billed to own accounts {exact}"), format!("lab/other {exact}"), format!("All {exact}")] {
            assert!(told.contains(&text), "{query}: {text} is not in {told}");
        }
    }
}

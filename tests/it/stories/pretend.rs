//! A development server brings the payment processors along: each can be paid with, and keeps its books over restarts.

use std::path::PathBuf;

use crate::support::shop::becomes;
use crate::support::visitor::{Visitor, form};
use crate::support::{Farebox, Options};

const PASSWORD: &str = "correct horse battery";

/// As `script/server` starts it.
async fn server(database_url: Option<String>, data_dir: PathBuf) -> Farebox {
    let env = vec![("FAREBOX_STAND_INS", "true".to_owned())];
    Farebox::with(Options { database_url, env, data_dir: Some(data_dir), ..Options::default() }).await
}

/// Orders credits, and does at the payment page what a person does there.
async fn buy(farebox: &Farebox, ada: &mut Visitor<'_>, method: &str, how: &[(&str, &str)]) {
    let page = ada.get("/credits").await;
    let fields = form(&page.body, "/credits/topups");
    let value = |name: &str| fields.iter().find(|(key, _)| key == name).expect(name).1.clone();
    let (token, id) = (value("csrf_token"), value("id"));
    let order = [("id", id.as_str()), ("amount", "20"), ("method", method)];
    let away = ada.post(&token, "/credits/topups", &order).await;
    assert_eq!(away.status, 200, "{}\n{}", away.body, farebox.log());
    let address = farebox.text("select checkout_url from topup order by id desc limit 1").await;
    assert!(address.starts_with("http://127.0.0.1:") && away.body.contains(&address), "{address}: {}", away.body);
    let shown = farebox.http.get(&address).send().await.expect("a page");
    assert_eq!(shown.status(), 200);
    let paid = farebox.http.post(&address).form(how).send().await.expect("an answer");
    assert!(paid.status().is_success() || paid.status().is_redirection(), "{}", paid.status());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_development_server_takes_pretend_money_in_every_way_and_remembers_it() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let farebox = server(None, folder.path().to_owned()).await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let count = "select count(*)::text from topup where state = 'paid'";
    let ways: [(&str, &[(&str, &str)]); 3] = [
        ("card", &[("how", "succeed"), ("method", "card")]),
        ("btcpay", &[("how", "pay")]),
        ("coinbase", &[("how", "pay")]),
    ];
    for (number, (method, how)) in ways.into_iter().enumerate() {
        buy(&farebox, &mut ada, method, how).await;
        becomes(&farebox, count, ["1", "2", "3"][number]).await;
    }
    farebox.books_are_clean().await;
    let (url, cookies) = (farebox.database_url.clone(), ada.cookies().to_vec());
    drop(farebox);

    // Started anew, it still knows what was paid, and takes more.
    let farebox = server(Some(url), folder.path().to_owned()).await;
    let mut ada = Visitor::with_cookies(&farebox, &cookies);
    let card = "select 'top_' || replace(id::text, '-', '') from topup where method = 'card'";
    let back = format!("/credits/topups/{}/refund", farebox.text(card).await);
    assert_eq!(ada.submit(&back, &back, &[]).await.status, 303);
    becomes(&farebox, "select state from refund", "succeeded").await;
    becomes(&farebox, count, "2").await;
    buy(&farebox, &mut ada, "card", ways[0].1).await;
    becomes(&farebox, count, "3").await;
    farebox.books_are_clean().await;
}

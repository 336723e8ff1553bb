//! Receipts say who sold what to whom when it was paid, on the page and in the PDF alike, and keep saying so.

use crate::support::Farebox;
use crate::support::farebox::Options;
use crate::support::shop::{Bought, Shop, becomes};
use crate::support::visitor::Visitor;

const PASSWORD: &str = "correct horse battery";
const EMAIL: &str = "ada@example.com";

/// A Farebox of a company with an address.
async fn start(shop: &Shop) -> Farebox {
    let mut options = shop.options();
    options.env.extend([
        ("FAREBOX_SELLER_NAME", "Analytical Engines Ltd".to_owned()),
        ("FAREBOX_SELLER_ADDRESS", "12 St James’s Square\\nLondon".to_owned()),
        ("FAREBOX_SELLER_TAX_ID", "GB123456789".to_owned()),
        ("FAREBOX_SELLER_EMAIL", "billing@engines.example".to_owned()),
    ]);
    let farebox = Farebox::with(options).await;
    shop.deliver_to(&farebox);
    farebox
}

async fn details(visitor: &mut Visitor<'_>, fields: &[(&str, &str)]) {
    let saved = visitor.submit("/settings/billing", "/settings/billing", fields).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
}

async fn file(visitor: &Visitor<'_>, farebox: &Farebox, bought: &Bought) -> (u16, Vec<u8>) {
    let cookies: Vec<String> = visitor.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = farebox.http.get(farebox.url(&format!("/credits/topups/{}/receipt.pdf", bought.topup)));
    let answer = request.header("cookie", cookies.join("; ")).send().await.expect("an answer");
    (answer.status().as_u16(), answer.bytes().await.expect("a body").to_vec())
}

/// The text of a PDF, as a program reads it that knows nothing of how it was made.
fn text(file: &[u8]) -> String {
    let document = lopdf::Document::load_mem(file).expect("a PDF");
    let pages: Vec<u32> = document.get_pages().keys().copied().collect();
    document.extract_text(&pages).expect("its text")
}

/// The text of a page: without markup, one space between words.
fn words(html: &str) -> String {
    let body =
        html.split_once("<article").map_or(html, |(_, rest)| rest).split("</article>").next().unwrap_or_default();
    let mut out = String::new();
    for part in body.split('<').skip(1) {
        let shown = part.split_once('>').map_or("", |(_, text)| text);
        out.push(' ');
        out.push_str(shown);
    }
    let out = out.replace("&#39;", "'").replace("&#38;", "&").replace("&amp;", "&");
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_and_pdf_say_the_same_and_stay_as_they_were() {
    let shop = Shop::open().await;
    let farebox = start(&shop).await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    details(
        &mut ada,
        &[
            ("name", "上海测试有限公司"),
            ("address", "世纪大道100号\r\nПудун Nguyễn"),
            ("country", "CN"),
            ("tax_id", "91310000MA1K"),
            ("email", "Bills@Example.com"),
        ],
    )
    .await;
    let bought = shop.buy(&mut ada, "20", "card").await;
    becomes(&farebox, "select state from topup", "paid").await;
    let path = format!("/credits/topups/{}/receipt", bought.topup);
    let page = ada.get(&path).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let (status, pdf) = file(&ada, &farebox, &bought).await;
    assert_eq!(status, 200);
    assert!(pdf.len() < 100_000, "{} bytes", pdf.len());
    let (shown, printed) = (words(&page.body), text(&pdf).split_whitespace().collect::<Vec<_>>().join(" "));
    for part in [
        "R-000001",
        "Analytical Engines Ltd",
        "12 St James’s Square",
        "London",
        "Tax id GB123456789",
        "billing@engines.example",
        "上海测试有限公司",
        "世纪大道100号",
        "Пудун Nguyễn",
        "China",
        "Tax id 91310000MA1K",
        "Card",
        "Prepaid credits $20.00",
        "Fee $1.10",
        "Total paid, in US dollars $21.10",
        bought.topup.as_str(),
    ] {
        assert!(shown.contains(part), "{part} is not on the page:\n{shown}");
        assert!(printed.contains(part), "{part} is not in the PDF:\n{printed}");
    }
    assert_eq!(file(&ada, &farebox, &bought).await.1, pdf, "the same receipt is the same bytes");

    // Whatever is called otherwise later, this receipt is not.
    details(&mut ada, &[("name", "Someone Else"), ("email", "")]).await;
    for statement in ["update org set name = 'Another name'", "update person set name = 'Another person'"] {
        sqlx::query(statement).execute(&farebox.pool).await.expect("renamed");
    }
    let mut options = shop.options();
    options.env.push(("FAREBOX_SELLER_NAME", "Difference Engines Inc".to_owned()));
    let later = Farebox::with(Options { database_url: Some(farebox.database_url.clone()), ..options }).await;
    assert_eq!(file(&ada, &later, &bought).await.1, pdf);
    for statement in ["update receipt set buyer_name = ''", "delete from receipt", "update seller set name = ''"] {
        assert!(sqlx::query(statement).execute(&farebox.pool).await.is_err(), "{statement}");
    }
    let next = shop.buy(&mut ada, "30", "card").await;
    becomes(&farebox, "select count(*)::text from receipt", "2").await;
    let second = text(&file(&ada, &farebox, &next).await.1);
    assert!(second.contains("Difference Engines Inc") && second.contains("Someone Else"), "{second}");

    // What became of the money is on both.
    let form = format!("/credits/topups/{}/refund", bought.topup);
    assert_eq!(ada.submit(&form, &form, &[]).await.status, 303);
    becomes(&farebox, "select state from topup where credits = 20", "refunded").await;
    let (shown, printed) = (words(&ada.get(&path).await.body), text(&file(&ada, &farebox, &bought).await.1));
    for part in ["Refunded on", "−$20.00", "Left of the payment", "$1.10"] {
        assert!(shown.contains(part) && printed.contains(part), "{part}\n{shown}\n{printed}");
    }

    // One mail for the one payment that was made while an address stood there.
    assert_eq!(
        farebox.text("select string_agg(recipient, ',') from mail where kind = 'receipt'").await,
        "Bills@example.com"
    );
    let mail = farebox.text("select text_body from mail where kind = 'receipt'").await;
    assert!(mail.contains("R-000001") && mail.contains("$21.10") && mail.contains(&path), "{mail}");
    shop.agrees(&farebox).await;
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_that_the_pdf_lacks_are_said_to_be_lacking_and_never_replaced() {
    let shop = Shop::open().await;
    let farebox = start(&shop).await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    for (paid, name) in ["שלום בע״מ", "شركة السلام", "บริษัท ตัวอย่าง จำกัด", "उदाहरण कंपनी"].into_iter().enumerate()
    {
        details(&mut ada, &[("name", name)]).await;
        let bought = shop.buy(&mut ada, "20", "card").await;
        becomes(&farebox, "select count(*)::text from topup where state <> 'paid'", "0").await;
        let page = ada.get(&format!("/credits/topups/{}/receipt", bought.topup)).await;
        assert!(page.body.contains(name) && page.body.contains("cannot show all letters"), "{paid}: {}", page.body);
        assert!(!page.body.contains("receipt.pdf"), "{name}");
        let (status, body) = file(&ada, &farebox, &bought).await;
        assert_eq!(status, 422, "{name}");
        assert!(String::from_utf8_lossy(&body).contains("print it to a PDF"));
    }
    // Letters with marks, Greek and Cyrillic are in it.
    details(&mut ada, &[("name", "Dvořák Łódź Ğüneş Παράδειγμα Пример")]).await;
    let bought = shop.buy(&mut ada, "20", "card").await;
    becomes(&farebox, "select count(*)::text from topup where state <> 'paid'", "0").await;
    assert_eq!(file(&ada, &farebox, &bought).await.0, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_details_are_refused_beside_their_field() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    let long = "x".repeat(121);
    for (name, value, told) in [
        ("name", long.as_str(), "At most 120 characters."),
        ("address", "1\n2\n3\n4\n5\n6\n7", "at most 6 lines"),
        ("country", "XX", "Choose a country"),
        ("tax_id", long.as_str(), "At most 40 characters."),
        ("email", "nobody", "name@example.com"),
    ] {
        let page = ada.submit("/settings/billing", "/settings/billing", &[(name, value)]).await;
        assert!(page.status == 422 && page.body.contains(told), "{name}: {}", page.body);
    }
    assert_eq!(farebox.text("select count(*)::text from billing_details").await, "0");
    details(&mut ada, &[("name", "<script>alert(1)</script>")]).await;
    assert!(!ada.get("/settings/billing").await.body.contains("<script>alert"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_stay_when_an_account_is_erased_and_billing_details_do_not() {
    let shop = Shop::open().await;
    let farebox = start(&shop).await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    details(&mut ada, &[("name", "Ada Lovelace, sole trader"), ("email", "books@example.net")]).await;
    shop.buy(&mut ada, "20", "card").await;
    becomes(&farebox, "select state from topup", "paid").await;
    assert_eq!(ada.submit("/settings/delete", "/settings/delete", &[("typed", EMAIL)]).await.status, 303);
    for statement in [
        "update account_deletion set asked_at = asked_at - interval '8 days', due_at = due_at - interval '8 days'",
        r#"select graphile_worker.add_job('erase_account', json_build_object(
            'person', 'usr_' || replace(person_id::text, '-', ''),
            'due', to_char(due_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))) from account_deletion"#,
    ] {
        sqlx::query(statement).execute(&farebox.pool).await.expect("a week");
    }
    becomes(&farebox, "select name from person", "Deleted account").await;
    becomes(&farebox, "select count(*)::text from processor_customer", "0").await;
    assert!(shop.stripe.objects("customer").iter().all(|customer| customer["deleted"] == true));
    assert_eq!(farebox.text("select count(*)::text from billing_details").await, "0");
    assert_eq!(farebox.text("select count(*)::text from mail where recipient = 'books@example.net'").await, "0");
    let kept = "select number || ' ' || buyer_name from receipt";
    assert_eq!(farebox.text(kept).await, "1 Ada Lovelace, sole trader");
    farebox.books_are_clean().await;
}

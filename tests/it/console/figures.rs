//! Figures of the console, asserted by number: what calls cost line by line, margins, and what they would have cost.

use farebox::base::Usd;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{PASSWORD, fill, operator, send, staff};
use crate::support::fake_upstream::FakeUpstream;
use crate::support::routes::{Routes, catalog};
use crate::support::shop::{Shop, becomes};
use crate::support::visitor::{Visitor, between, form};
use crate::support::{Farebox, Options, calendar, lab};

pub fn usd(text: &str) -> Usd {
    let plain = text.trim().replace(['$', ','], "").replace('\u{2212}', "-");
    Usd::parse(&plain).unwrap_or_else(|_| panic!("{text:?} is no amount"))
}

/// The exact amount of a part of a page: what its title says, else its text.
pub fn exact(part: &str) -> String {
    let titled = between(part, "title=\"", "\"");
    if titled.contains('$') {
        return titled;
    }
    part.split('>').skip(1).filter_map(|part| part.split('<').next()).collect::<String>().trim().to_owned()
}

/// A figure of a page by its label.
pub fn figure(page: &str, label: &str) -> Usd {
    let rest = page.split_once(&format!("<dt>{label}</dt>")).map_or("", |(_, rest)| rest);
    let part = &rest[..rest.find("</dd>").unwrap_or(0)];
    // Without the note below it.
    usd(&exact(part.split("<span class=\"sub\"").next().unwrap_or_default()))
}

/// The cells of each row of a table, by the id of its title; the foot is the last one.
pub fn table(page: &str, id: &str) -> Vec<Vec<String>> {
    let rest = page.split_once(&format!("id=\"{id}-title\"")).map_or("", |(_, rest)| rest);
    let rest = &rest[..rest.find("</section>").unwrap_or(rest.len())];
    let rows = rest.split("<tr>").skip(2);
    rows.map(|row| row.split("</td>").flat_map(|cell| cell.split("</th>")).map(exact).collect()).collect()
}

/// Shows the page of a call to an auditor; its lines with amounts, and what stands below them.
async fn bill(abel: &mut Visitor<'_>, org: &str, call: &str) -> (Vec<(String, Usd)>, Usd) {
    let page = abel.get(&format!("/admin/organizations/{org}/calls/{call}")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let mut rows = table(&page.body, "price");
    let foot = rows.pop().expect("a sum");
    let lines = rows.iter().map(|row| (row[0].clone(), usd(&row[3]))).collect();
    (lines, usd(&foot[3]))
}

/// What the row of a call says that it cost.
async fn cost(farebox: &Farebox, call: &str) -> Usd {
    let id: farebox::base::ids::CallId = call.parse().expect("an id");
    let cost: Decimal = sqlx::query_scalar("select cost from usage where id = $1")
        .bind(id.0)
        .fetch_one(&farebox.pool)
        .await
        .expect("a row");
    Usd::new(cost)
}

/// A second process on the same database.
async fn node(farebox: &Farebox) -> Farebox {
    Farebox::with(Options { database_url: Some(farebox.database_url.clone()), ..Options::default() }).await
}

fn id(told: &Value) -> String {
    told["id"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned()
}

const OWN: &str = "sk-own-0123456789abcdefghijklmnop";
const INTEGRATION: &str = "/settings/integrations/beta";

/// Until a call is as it should be: settings reach every node within a second.
async fn until(routes: &Routes, model: &str, right: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..100 {
        let told = routes.told(&routes.key, json!({ "model": model })).await.2;
        if right(&told) {
            return told;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no call to {model} is as it should be");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_sees_each_bill_add_up_and_the_books_with_disputes_fees_and_discounts() {
    calendar::within_a_day().await;
    let shop = Shop::open().await;
    let mut env = shop.options().env;
    env.push(("FAREBOX_BYOK_FREE_PER_MONTH", "0".to_owned()));
    let routes = Routes::with(env).await;
    let (farebox, org) = (&routes.farebox, routes.key.org.clone());
    shop.deliver_to(farebox);
    let mut ada = routes.ada();
    let mut abel = staff(farebox, "abel@example.com", "auditor").await;

    // A plain call, one with the discount, one on an own account, one on an own account with the discount.
    let plain = until(&routes, "lab/chat", |told| told["usage"]["cost"].is_number()).await;
    let stored = [("paid_training", "yes"), ("free_training", "yes"), ("keep_days", "30"), ("log_texts", "yes")];
    let page = ada.submit("/settings/privacy", "/settings/privacy", &stored).await;
    assert_eq!(page.status, 303, "{}", page.body);
    let discounted =
        until(&routes, "lab/chat", |told| told["usage"]["cost_details"].get("data_discount").is_some()).await;
    let page = ada.submit(INTEGRATION, INTEGRATION, &[("api_key", OWN), ("mode", "only")]).await;
    assert_eq!(page.status, 303, "{}", page.body);
    let own = until(&routes, "lab/other", |told| told["usage"]["is_byok"] == true).await;
    farebox.holds_are_closed().await;
    for (told, wanted) in [
        (&plain, &[][..]),
        (&discounted, &["Discount for storing inputs and outputs"][..]),
        (
            &own,
            &[
                "Billed by the provider to the organization’s own account",
                "Fee for calls on own accounts",
                "Discount for storing inputs and outputs",
            ][..],
        ),
    ] {
        let call = id(told);
        let (lines, charged) = bill(&mut abel, &org, &call).await;
        let sum: Usd = lines.iter().map(|(_, amount)| *amount).sum();
        assert_eq!((sum, charged), (cost(farebox, &call).await, sum), "{lines:?}");
        assert!(charged.is_positive() && lines.len() >= 2, "{lines:?}");
        for name in wanted {
            assert!(lines.iter().any(|(line, amount)| line == name && !amount.is_zero()), "{name}: {lines:?}");
        }
        // Its organization reads the same amounts in the same order.
        let hers = ada.get(&format!("/activity/{call}")).await.body;
        for (_, amount) in &lines {
            assert!(hers.contains(&amount.display_exact()), "{amount} is not on {hers}");
        }
    }

    // A purchase that is contested, and one that is.
    let kept = shop.buy(&mut ada, "20", "card").await;
    let lost = shop.buy(&mut ada, "30", "card").await;
    becomes(farebox, "select count(*)::text from topup where state = 'paid'", "2").await;
    shop.stripe.dispute(&shop.intent(&lost), None).expect("a dispute");
    becomes(farebox, "select state from topup where credits = 30", "disputed").await;
    shop.stripe.refund(&shop.intent(&kept), Some(500)).expect("a part");
    becomes(farebox, "select count(*)::text from transfer where code = 'refund'", "1").await;

    // Every account of the trial balance, and what it is made of, by the ledger.
    let file = abel.get("/admin/books/trial.csv").await.body;
    let mut seen = Vec::new();
    for line in file.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let sql = "select coalesce(sum(amount) filter (where case when d.kind = 'credit' then 'credits' else d.name end = $1), 0),
            coalesce(sum(amount) filter (where case when c.kind = 'credit' then 'credits' else c.name end = $1), 0)
            from transfer t join ledger_account d on d.id = t.debit_account join ledger_account c on c.id = t.credit_account";
        let (debits, credits): (Decimal, Decimal) =
            sqlx::query_as(sql).bind(cells[0]).fetch_one(&farebox.pool).await.expect("sums");
        assert_eq!((usd(cells[2]), usd(cells[3])), (Usd::new(debits), Usd::new(credits)), "{line}");
        if !credits.is_zero() || !debits.is_zero() {
            seen.push(cells[0].to_owned());
        }
        // The journal of the account comes to the same.
        let page = abel.get(&format!("/admin/books/journal?account={}", cells[0])).await.body;
        assert_eq!(figure(&page, "Credits less debits"), Usd::new(credits - debits), "{}", cells[0]);
    }
    for account in ["byok_fee_revenue", "credits", "fee_revenue", "processor:stripe", "usage_revenue"] {
        assert!(seen.iter().any(|one| one == account), "nothing moved on {account}: {seen:?}");
    }
    // The overview's figures of today are these accounts.
    let page = abel.get("/admin").await.body;
    let today = table(&page, "money").into_iter().find(|row| row[0] == "Today").expect("a row");
    let sum = |sql: &'static str| async move { usd(&farebox.text(sql).await) };
    let wanted = [
        (1, sum("select sum(amount)::text from transfer t join ledger_account d on d.id = t.debit_account where d.kind = 'processor'").await),
        (2, sum("select sum(amount)::text from transfer t join ledger_account c on c.id = t.credit_account where c.kind = 'processor'").await),
        (3, sum("select sum(amount)::text from transfer t join ledger_account c on c.id = t.credit_account where c.name = 'usage_revenue'").await),
        (4, sum("select sum(amount)::text from transfer t join ledger_account c on c.id = t.credit_account where c.name = 'byok_fee_revenue'").await),
    ];
    for (at, amount) in wanted {
        assert_eq!(usd(&today[at]), amount, "column {at} of {today:?}");
        assert!(amount.is_positive());
    }
    // The payment says what became of it.
    let page = abel.get(&format!("/admin/payments/{}", lost.topup)).await.body;
    assert_eq!(figure_of_fact(&page, "Left of it"), Usd::ZERO, "{page}");
    assert!(page.contains("Disputed") && !table(&page, "transfers").is_empty());

    // The statement's rows are the movements, and their sums its figures; the calls of an entry are its amount.
    let month = farebox.text("select to_char(now() at time zone 'utc', 'YYYY-MM')").await;
    let page = ada.get(&format!("/credits/statements/month?month={month}")).await.body;
    let mut sums = table(&page, "sums");
    sums.pop();
    assert!(sums.len() >= 5, "{sums:?}");
    let hrefs: Vec<String> = page
        .split("href=\"/credits/statements/rows?")
        .skip(1)
        .map(|rest| format!("/credits/statements/rows?{}", rest.split('"').next().unwrap_or_default()))
        .map(|href| href.replace("&amp;", "&").replace("&#38;", "&"))
        .collect();
    assert!(hrefs.len() >= sums.len(), "each figure leads to its rows: {hrefs:?}");
    for (row, href) in sums.iter().zip(&hrefs) {
        let rows = ada.get(href).await;
        assert_eq!(rows.status, 200, "{href}");
        let entries = table(&rows.body, "rows");
        let column =
            |at: usize| entries.iter().filter(|entry| !entry[at].is_empty()).map(|entry| usd(&entry[at])).sum::<Usd>();
        let told = [usd(&row[2]), usd(&row[3])];
        assert_eq!([column(3), column(4)], told, "{href}: {entries:?}");
        assert_eq!([figure(&rows.body, "Came in"), figure(&rows.body, "Went out")], told, "{href}");
        assert_eq!(entries.len().to_string(), row[1], "{href}: all of them on one page");
    }
    let usage = hrefs.iter().find(|href| href.contains("code=usage")).expect("calls");
    let rows = ada.get(usage).await.body;
    assert!(rows.contains("Fees for calls with your own keys") && rows.contains("period=custom"), "{rows}");
    let mut paid = Usd::ZERO;
    let transfers: Vec<&str> =
        rows.split("/credits/statements/calls?transfer=").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!transfers.is_empty());
    for transfer in &transfers {
        let page = ada.get(&format!("/credits/statements/calls?transfer={transfer}")).await.body;
        let mut calls = table(&page, "calls");
        let sum = usd(&calls.pop().expect("a sum")[3]);
        assert_eq!(calls.iter().map(|call| usd(&call[3])).sum::<Usd>(), sum);
        assert_eq!(figure(&page, "Went out"), sum, "{page}");
        let call = between(&page, "href=\"/activity/", "\"");
        assert_eq!(ada.get(&format!("/activity/{call}")).await.status, 200, "down to a single call");
        paid += sum;
    }
    let all: Decimal = sqlx::query_scalar("select sum(cost) from usage").fetch_one(&farebox.pool).await.expect("a sum");
    assert_eq!(paid, Usd::new(all));
    // Another organization's entry is not there.
    let mut eve = Visitor::member(farebox, "eve@example.com", PASSWORD).await;
    assert_eq!(eve.get(&format!("/credits/statements/calls?transfer={}", transfers[0])).await.status, 404);
    assert!(!eve.get(usage).await.body.contains(transfers[0]));
    let far = format!("before={}_{}", i64::MIN / 2_000, "0".repeat(32));
    for bad in ["from=x", "code=odd", "before=1", "from=-10000-01-01", "until=%2B262142-12-31", far.as_str()] {
        assert_eq!(ada.get(&format!("/credits/statements/rows?{bad}")).await.status, 422, "{bad}");
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

/// An amount among facts.
fn figure_of_fact(page: &str, label: &str) -> Usd {
    let rest = page.split_once(&format!("<dt>{label}</dt><dd>")).map_or("", |(_, rest)| rest);
    usd(&exact(&format!("<dd>{}", &rest[..rest.find("</dd>").unwrap_or(0)])))
}

/// What a call came to, in tokens.
fn tokens(told: &Value) -> (Decimal, Decimal, Decimal) {
    let count = |value: &Value| Decimal::from(value.as_i64().unwrap_or_default());
    let usage = &told["usage"];
    (
        count(&usage["prompt_tokens"]),
        count(&usage["prompt_tokens_details"]["cached_tokens"]),
        count(&usage["completion_tokens"]),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_price_changed_by_hand_is_previewed_by_number_and_bills_what_begins_after_it() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let other = node(farebox).await;
    let mut olive = operator(farebox, "olive@example.com").await;
    let mut abel = staff(farebox, "abel@example.com", "auditor").await;
    let body = json!({ "model": "lab/other" });
    let mut sums = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
    let mut first = String::new();
    for _ in 0..3 {
        let told = routes.told(&routes.key, body.clone()).await.2;
        let (prompt, cached, completion) = tokens(&told);
        sums = (sums.0 + prompt, sums.1 + cached, sums.2 + completion);
        first = id(&told);
    }
    farebox.holds_are_closed().await;
    let million = Decimal::from(1_000_000);
    let at = |prompt: i64, completion: i64| {
        Usd::new((sums.0 * Decimal::from(prompt) + sums.2 * Decimal::from(completion)) / million)
    };
    // Lab beta takes 2 and 4 dollars. An auditor works it out; unchanged prices make no difference.
    let endpoint = farebox
        .text("select e.id::text from endpoint e join model m on m.id = e.model_id where m.slug = 'lab/other'")
        .await;
    let here = format!("/admin/catalog/endpoints/{endpoint}/price");
    assert!(abel.get("/admin/catalog").await.body.contains(&here), "the list leads to it");
    for (prices, prompt, completion) in
        [("", 2, 4), ("?prompt=2&completion=4", 2, 4), ("?prompt=3&completion=10", 3, 10)]
    {
        let page = abel.get(&format!("{here}{prices}")).await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(figure(&page.body, "By today’s prices"), at(2, 4), "{prices}");
        assert_eq!(figure(&page.body, "By these prices"), at(prompt, completion), "{prices}");
        assert_eq!(figure(&page.body, "Difference"), at(prompt, completion) - at(2, 4), "{prices}");
        assert_eq!(figure(&page.body, "Really paid"), at(2, 4), "{prices}");
        assert!(form(&page.body, &here).iter().all(|(name, _)| name != "reason"), "no form to apply");
    }

    // An operator makes it the price, through the real form, once however often it is sent.
    let page = olive.get(&format!("{here}?prompt=3&completion=10")).await.body;
    let action = here.as_str();
    let apply = page.split_once("id=\"apply\"").map(|(_, rest)| format!("<form id=\"apply\"{rest}")).expect("a form");
    let known = form(&apply, action);
    let fields = [("reason", "beta raised its prices")];
    let set = send(&mut olive, action, &known, &fields).await;
    assert_eq!(set.status, 303, "{}", set.body);
    send(&mut olive, action, &known, &fields).await;
    let versions = "select string_agg(trim_scale(v.prompt * 1000000) || ' ' || trim_scale(v.completion * 1000000), ', ' order by version)
        from price_version v join endpoint e on e.id = v.endpoint_id join model m on m.id = e.model_id where m.slug = 'lab/other'";
    assert_eq!(farebox.text(versions).await, "2 4, 3 10");
    assert_eq!(
        farebox.text("select count(*)::text from audit_entry where action = 'house.catalog_applied' and after::text like '%beta raised%'").await,
        "1"
    );
    // Within a second on both nodes, by what it says now.
    let since = std::time::Instant::now();
    for node in [&other, farebox] {
        loop {
            let asked = since.elapsed();
            let body = json!({ "model": "lab/other", "messages": [{ "role": "user", "content": "Say something." }] });
            let answer = node.post(&routes.key, "/api/v1/chat/completions", &body).await;
            let told: Value = answer.json().await.expect("JSON");
            let (prompt, _, completion) = tokens(&told);
            let new = Usd::new((prompt * Decimal::from(3) + completion * Decimal::from(10)) / million);
            if cost_told(&told) == new {
                break;
            }
            let old = Usd::new((prompt * Decimal::from(2) + completion * Decimal::from(4)) / million);
            assert_eq!(cost_told(&told), old, "neither the old price nor the new one: {told}");
            assert!(asked < crate::support::size::heard_within(), "a node still bills by the old price");
        }
    }
    farebox.holds_are_closed().await;
    // What was called before keeps its version.
    let (lines, charged) = bill(&mut abel, &routes.key.org, &first).await;
    assert_eq!(lines.iter().map(|(_, amount)| *amount).sum::<Usd>(), charged);
    let page = abel.get(&format!("/admin/organizations/{}/calls/{first}", routes.key.org)).await.body;
    assert!(page.contains("By price version 1 of"), "{page}");
    farebox.books_are_clean().await;
}

fn cost_told(told: &Value) -> Usd {
    let cost: Decimal = told["usage"]["cost"].to_string().parse().unwrap_or_else(|_| panic!("{told}"));
    Usd::new(cost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_margin_is_what_was_paid_less_what_the_list_says_and_leads_to_its_rows() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut abel = staff(farebox, "abel@example.com", "auditor").await;
    let mut sums = (Decimal::ZERO, Decimal::ZERO);
    for _ in 0..2 {
        let told = routes.told(&routes.key, json!({ "model": "lab/other" })).await.2;
        let (prompt, _, completion) = tokens(&told);
        sums = (sums.0 + prompt, sums.1 + completion);
    }
    farebox.holds_are_closed().await;
    let page = abel.get("/admin/catalog").await.body;
    assert!(page.contains("No data"), "nobody said yet what it costs");
    sqlx::query(
        "insert into upstream_price (endpoint_id, version, prompt, completion)
         select e.id, 1, 0.0000015, 0.000003 from endpoint e join model m on m.id = e.model_id where m.slug = 'lab/other'",
    )
    .execute(&farebox.pool)
    .await
    .expect("what it costs");
    let million = Decimal::from(1_000_000);
    let paid = Usd::new((sums.0 * Decimal::from(2) + sums.1 * Decimal::from(4)) / million);
    let charged = Usd::new((sums.0 * Decimal::new(15, 1) + sums.1 * Decimal::from(3)) / million);
    let page = abel.get("/admin/catalog").await.body;
    assert_eq!(figure(&page, "Customers paid"), paid);
    assert_eq!(figure(&page, "Providers charge"), charged);
    assert_eq!(figure(&page, "Margin"), paid - charged);
    let row = table(&page, "margins").into_iter().find(|row| row[0].starts_with("lab/other")).expect("a row");
    assert_eq!(usd(&row[4]), paid, "{row:?}");
    assert!(row[5].contains("25%") || usd(&row[5]) == paid - charged, "{row:?}");
    // Its rows come to the same.
    let page = abel.get("/admin/catalog/margin?model=lab%2Fother&provider=beta").await.body;
    assert_eq!(figure(&page, "Margin"), paid - charged, "{page}");
    for id in ["days", "orgs"] {
        let mut rows = table(&page, id);
        if id == "days" {
            let foot = rows.pop().expect("a sum");
            assert_eq!((usd(&foot[5]), usd(&foot[7]), usd(&foot[8])), (paid, charged, paid - charged), "{foot:?}");
        }
        let of = |at: usize| rows.iter().map(|row| usd(&row[at])).sum::<Usd>();
        assert_eq!((of(5), of(7), of(8)), (paid, charged, paid - charged), "{id}: {rows:?}");
    }
    assert_eq!(figure(&abel.get("/admin").await.body, "Margin, 30 days"), paid - charged);
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_key_of_the_console_is_what_calls_go_out_with_and_health_is_told() {
    let upstream = FakeUpstream::start();
    let text = catalog(&upstream).replace("slug = \"beta\"\n", "slug = \"beta\"\nkey_env = \"THE_KEY_OF_BETA\"\n");
    let farebox = lab::start(&text, Options::default()).await;
    let other = node(&farebox).await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let body = json!({ "model": "lab/other", "messages": [{ "role": "user", "content": "Say something." }] });
    // Without a key nobody is asked, and the pages say so.
    assert_ne!(farebox.post(&key, "/api/v1/chat/completions", &body).await.status(), 200);
    assert!(upstream.produced().is_empty());
    assert!(of_beta(&mut olive).await.contains("None stored"));
    assert!(olive.get("/admin").await.body.contains("No upstream key is stored for"));
    let secret = "sk-the-secret-of-the-house-0123456789";
    for (number, secret) in [secret, "sk-another-secret-9876543210"].into_iter().enumerate() {
        let set = [("provider", "beta"), ("credential", secret), ("reason", "a new account")];
        let stored = fill(&mut olive, "/admin/upstreams", "/admin/upstreams", &set).await;
        assert_eq!(stored.status, 303, "{}", stored.body);
        let since = std::time::Instant::now();
        for node in [&other, &farebox] {
            loop {
                let asked = since.elapsed();
                upstream.forget();
                let status = node.post(&key, "/api/v1/chat/completions", &body).await.status();
                let with = upstream.produced().pop().and_then(|one| one.headers.get("authorization").cloned());
                if status == 200 && with == Some(format!("Bearer {secret}")) {
                    break;
                }
                assert!(asked < crate::support::size::heard_within(), "{number}: a node goes out with {with:?}");
            }
        }
        let page = olive.get("/admin/upstreams").await.body;
        assert!(!page.contains(secret), "{page}");
        let row = of_beta(&mut olive).await;
        assert!(row.contains("stored") && !row.contains("None stored"), "{row}");
        assert!(!olive.get("/admin/log").await.body.contains(secret));
    }
    assert!(of_beta(&mut olive).await.contains("No failures"));
    assert!(!farebox.log().contains(secret) && !other.log().contains(secret));

    // It fails more often than not: the badge and the overview say how often. First, what both nodes saw is written down.
    farebox.holds_are_closed().await;
    let seen = "select (coalesce((select sum(calls) from endpoint_minute where what = 'answered'), 0)
        >= (select count(*) from usage where status = 'success'))::text";
    becomes(&farebox, seen, "true").await;
    for statement in [
        "delete from endpoint_minute",
        "insert into endpoint_minute (endpoint_id, minute, what, step, calls)
         select e.id, date_trunc('minute', now(), 'UTC') - interval '5 minutes', x.what, 0, x.calls
         from endpoint e join provider p on p.id = e.provider_id and p.slug = 'beta'
         join model m on m.id = e.model_id and m.slug = 'lab/other'
         cross join (values ('answered', 11), ('failed', 12)) x (what, calls)",
        "delete from usage_hour",
    ] {
        sqlx::query(statement).execute(&farebox.pool).await.expect("failures");
    }
    let page = olive.get("/admin").await.body;
    assert!(page.contains("Lab beta failed 12 of 23 times"), "{page}");
    for (failed, tone) in [(15, "bad"), (9, "warn"), (0, "good")] {
        sqlx::query("delete from usage_hour").execute(&farebox.pool).await.expect("forgotten");
        sqlx::query(
            "insert into usage_hour (org_id, hour, model, provider, key_id, member_id, app, requests, failed, prompt_tokens,
                completion_tokens, reasoning_tokens, cached_tokens, cost)
             values (gen_random_uuid(), date_trunc('hour', now(), 'UTC'), 'lab/other', 'beta', gen_random_uuid(),
                gen_random_uuid(), '', 20, $1, 0, 0, 0, 0, 0)",
        )
        .bind(failed)
        .execute(&farebox.pool)
        .await
        .expect("failures");
        let row = of_beta(&mut olive).await;
        let told = if failed == 0 { "No failures".to_owned() } else { format!("{failed} of 20 failed") };
        assert!(row.contains(&told) && row.contains(&format!("badge {tone}")), "{row}");
    }
}

/// The row of a provider on the page of upstream keys.
async fn of_beta(olive: &mut Visitor<'_>) -> String {
    let page = olive.get("/admin/upstreams").await.body;
    between(&page, ">Lab beta<", "</tr>")
}

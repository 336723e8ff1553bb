//! The console and statements, wide and narrow, light and dark.

use serde_json::json;

use super::Browser;
use super::pages::Inspector;
use crate::console::books::closed_days;
use crate::console::closes::days_ago;
use crate::console::{PASSWORD, adjust, fill, operator};
use crate::support::visitor::{Visitor, between, form};
use crate::support::{Farebox, Options, calendar};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_console_fits_and_can_be_used_by_everybody() {
    calendar::within_a_day().await;
    let farebox = Farebox::with(Options { localhost: true, ..Options::default() }).await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    // Days that are closed.
    days_ago(&farebox).await;
    closed_days(&farebox, 3).await;
    let day = farebox.text("select day::text from book_close order by number offset 1 limit 1").await;
    let key = farebox.key("ada@example.com", "20", &[]).await;
    for model in ["sandbox/echo", "sandbox/penny"] {
        assert_eq!(farebox.chat(&key, model, "what is it worth", json!({})).await.status(), 200);
    }
    farebox.holds_are_closed().await;
    adjust(&mut olive, &key.org, "grant", "7.5").await;
    let waiting = adjust(&mut olive, &key.org, "give", "2500").await.location;
    let batch = [("amount", "5"), ("count", "30"), ("uses", "1"), ("per_org", "1"), ("reason", "the spring fair")];
    let codes = fill(&mut olive, "/admin/codes", "/admin/codes", &batch).await.body;
    let codes = format!("/admin/confirmations/{}", between(&codes, "href=\"/admin/confirmations/", "\""));
    let page = olive.get("/credits").await;
    let known = form(&page.body, "/credits/topups");
    let mut fields: Vec<(&str, &str)> = known.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.retain(|(name, _)| !matches!(*name, "csrf_token" | "amount" | "method"));
    fields.extend([("amount", "20"), ("method", "sandbox_card")]);
    let token = olive.token("/credits").await;
    let bought = olive.post(&token, "/credits/topups", &fields).await;
    let topup = bought.location.split(['/', '?']).find(|part| part.starts_with("top_")).unwrap_or_default().to_owned();
    let journal = olive.get("/admin/books/journal?code=usage").await.body;
    let transfer = between(&journal, "/admin/books/transfers/", "\"");
    let calls = olive.get(&format!("/admin/books/transfers/{transfer}")).await.body;
    let call = between(&calls, &format!("/admin/organizations/{}/calls/", key.org), "\"");
    let month = farebox.text("select to_char(now() at time zone 'utc', 'YYYY-MM')").await;
    let endpoint = farebox.text("select id::text from endpoint where upstream_model = 'echo'").await;
    let person = farebox.text("select replace(id::text, '-', '') from person where email = 'ada@example.com'").await;

    let browser = Browser::start(&farebox.base).await;
    browser.open("/sign-in").await;
    browser.take_cookies(olive.cookies()).await;
    let mut inspector = Inspector::new(&browser);
    // First, because a change asks for a fresh sign-in.
    let model = "/admin/catalog/models/openai/gpt-oss-120b";
    browser.open(model).await;
    browser.fill("#change-name", "OpenAI: the open one").await;
    browser.press("See what will change").await;
    browser.shows("Change the catalog").await;
    inspector.look("console-model-review").await;
    browser.open(model).await;
    browser.fill("#change-context_length", "many").await;
    browser.press("See what will change").await;
    browser.shows("must be a whole number").await;
    inspector.look("error-console-model").await;
    let org = format!("/admin/organizations/{}", key.org);
    for (name, path) in [
        ("console", "/admin".to_owned()),
        ("console-organizations", "/admin/organizations".to_owned()),
        ("console-organization", org.clone()),
        ("console-statements", format!("{org}/statements")),
        ("console-statement", format!("{org}/statements/{month}")),
        ("console-people", "/admin/people".to_owned()),
        ("console-person", format!("/admin/people/usr_{person}")),
        ("console-adjustments", "/admin/adjustments".to_owned()),
        ("console-adjustment", waiting),
        ("console-adjust", format!("/admin/adjustments/new?org={}", key.org)),
        ("console-payments", "/admin/payments".to_owned()),
        ("console-payment", format!("/admin/payments/{topup}")),
        ("console-codes", "/admin/codes".to_owned()),
        ("console-confirmations", "/admin/confirmations".to_owned()),
        ("console-confirmation", codes),
        ("console-books", "/admin/books".to_owned()),
        ("console-journal", "/admin/books/journal".to_owned()),
        ("console-transfer", format!("/admin/books/transfers/{transfer}")),
        ("console-call", format!("{org}/calls/{call}")),
        ("console-closes", "/admin/books/closes".to_owned()),
        ("console-close", format!("/admin/books/closes/{day}")),
        ("console-usage", format!("/admin/books/usage?month={}", &day[..7])),
        ("console-holds", "/admin/holds".to_owned()),
        ("console-messages", "/admin/payments/messages".to_owned()),
        ("console-find", "/admin/find?q=nothing".to_owned()),
        ("console-margin", "/admin/catalog/margin?model=sandbox%2Fecho&provider=sandbox".to_owned()),
        ("console-reconciliation", "/admin/books/reconciliation".to_owned()),
        ("console-exports", "/admin/books/exports".to_owned()),
        ("console-catalog", "/admin/catalog".to_owned()),
        ("console-model", "/admin/catalog/models/openai/gpt-oss-120b".to_owned()),
        ("console-model-retire", "/admin/catalog/models/openai/gpt-oss-120b/retire".to_owned()),
        ("console-model-new", "/admin/catalog/models/new".to_owned()),
        ("console-endpoint", format!("/admin/catalog/endpoints/{endpoint}")),
        ("console-endpoint-new", "/admin/catalog/endpoints/new?model=sandbox/echo".to_owned()),
        ("console-price", format!("/admin/catalog/endpoints/{endpoint}/price?prompt=2&image=0.01")),
        ("console-provider", "/admin/catalog/providers/sandbox".to_owned()),
        ("console-lists", "/admin/catalog/lists".to_owned()),
        ("console-fees", "/admin/fees".to_owned()),
        ("console-upstreams", "/admin/upstreams".to_owned()),
        ("console-mails", "/admin/mails".to_owned()),
        ("console-jobs", "/admin/jobs".to_owned()),
        ("console-announcements", "/admin/announcements".to_owned()),
        ("console-staff", "/admin/staff".to_owned()),
        ("console-log", "/admin/log".to_owned()),
    ] {
        inspector.visit(name, &path).await;
    }
    browser.take_cookies(ada.cookies()).await;
    inspector.visit("statements", "/credits/statements").await;
    inspector.visit("statement", "/credits/statements/month").await;
    inspector.visit("statement-rows", "/credits/statements/rows?code=usage").await;
    inspector.visit("statement-calls", &format!("/credits/statements/calls?transfer={transfer}")).await;
    inspector.verdict();
}

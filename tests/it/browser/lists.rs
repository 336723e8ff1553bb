//! Long lists in a real browser.

use super::Browser;
use super::pages::Inspector;
use crate::support::visitor::Visitor;
use crate::support::{Farebox, crowd, team};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_fit_and_can_be_used_by_everybody() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let org = team::create(&mut ada, "Analytical Engines").await;
    crowd::fill(&farebox, &org, &team::person(&farebox, "ada@example.com").await).await;
    let browser = Browser::start(&farebox.base).await;
    let mut inspector = Inspector::new(&browser);
    browser.open("/sign-in").await;
    browser.take_cookies(ada.cookies()).await;
    inspector.visit("members-many", "/settings/members").await;
    browser.press("Next").await;
    browser.shows("First").await;
    inspector.look("members-many-next").await;
    browser.fill("#q", "waldenburg").await;
    browser.press("Filter").await;
    browser.shows("that match").await;
    inspector.look("members-many-found").await;
    inspector.visit("members-many-none", "/settings/members?q=nobody").await;
    inspector.visit("audit-many", "/settings/audit").await;
    browser.press("Older").await;
    browser.shows("Newest").await;
    inspector.look("audit-many-older").await;
    inspector.verdict();
}

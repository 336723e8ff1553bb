//! Organizations in a real browser: their pages, and what several people do there by hand.

use serde_json::json;

use super::Browser;
use super::pages::Inspector;
use super::town::{self, Town};
use crate::support::visitor::{Visitor, mailed_link};
use crate::support::{Farebox, Key, team};

const PASSWORD: &str = "correct horse battery";

/// Every page of organizations, in the states that differ.
pub async fn pages(inspector: &mut Inspector<'_>, town: &Town) {
    let browser = inspector.browser;
    inspector.visit("organization-personal", "/settings/organization").await;
    inspector.visit("organization-new", "/organizations/new").await;
    browser.open("/organizations/new").await;
    browser.fill("#name", "Northwind Studio, Research and Development").await;
    browser.press("Create organization").await;
    browser.shows("Nobody is invited at the moment").await;
    inspector.look("members-alone").await;

    let mut ada = Visitor::with_cookies(&town.farebox, &town.cookies);
    let mut grace = Visitor::member(&town.farebox, "grace.brewster.murray@example.com", town::PASSWORD).await;
    team::bring_in(&town.farebox, &mut ada, &mut grace, "grace.brewster.murray@example.com", "member").await;
    team::invite(&mut ada, "katherine@example.com", "billing").await;
    let id = team::person(&town.farebox, "grace.brewster.murray@example.com").await;
    let member = format!("/settings/members/{id}");
    ada.submit(&member, &format!("{member}/cap"), &[("week", "20"), ("total", "500")]).await;
    let visits = [
        ("organization", "/settings/organization".to_owned()),
        ("members", "/settings/members".to_owned()),
        ("member", member.clone()),
        ("member-remove", format!("{member}/remove")),
        ("member-transfer", format!("{member}/transfer")),
        ("credits-move", "/credits/move".to_owned()),
        ("audit", "/settings/audit".to_owned()),
        ("audit-nothing", "/settings/audit?action=credits&until=2020-01-01".to_owned()),
        ("organization-delete", "/settings/organization/delete".to_owned()),
    ];
    for (name, path) in visits {
        inspector.visit(name, &path).await;
    }
    browser.open("/").await;
    browser.click(".switcher summary").await;
    inspector.look("switcher").await;
    browser.open("/settings/organization/delete").await;
    browser.fill("#name", "Northwind Studio, Research and Development").await;
    browser.press("Delete in seven days").await;
    browser.shows("will be deleted on").await;
    inspector.look("organization-closing").await;
    browser.press("Keep the organization").await;
    browser.shows("The keys that worked before work again").await;
    // The invitation, seen by another account, by nobody, and when it is over.
    let link = mailed_link(&town.farebox, "katherine@example.com").await;
    inspector.visit("invitation-other", &link).await;
    team::invite(&mut ada, "new@example.com", "member").await;
    browser.take_cookies(&town.newcomer).await;
    inspector.visit("invitation-theirs", &mailed_link(&town.farebox, "new@example.com").await).await;
    browser.web.delete_all_cookies().await.expect("no cookies");
    inspector.visit("invitation", &link).await;
    browser.press("Decline").await;
    browser.shows("You declined").await;
    inspector.look("invitation-declined").await;
    inspector.visit("invitation-over", &link).await;
    browser.take_cookies(&town.cookies).await;
    // What follows looks at her own organization again.
    let own: uuid::Uuid =
        sqlx::query_scalar("select org_id from personal_org o join person p on p.id = o.person_id where email = $1")
            .bind(town::EMAIL)
            .fetch_one(&town.farebox.pool)
            .await
            .expect("her own");
    team::open(&mut ada, &farebox::base::ids::OrgId(own).to_string()).await;
}

async fn sign_in(browser: &Browser, email: &str) {
    browser.open("/sign-in").await;
    browser.fill("#email", email).await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Sign in").await;
    browser.shows("Overview").await;
}

async fn works(farebox: &Farebox, key: &Key) -> bool {
    farebox.chat(key, "sandbox/free", "Hello", json!({})).await.status() == 200
}

async fn becomes(farebox: &Farebox, key: &Key, wanted: bool) {
    for _ in 0..60 {
        if works(farebox, key).await == wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the key does not become {wanted}\n{}", farebox.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_lives_from_the_first_invitation_to_its_end() {
    let farebox = Farebox::start().await;
    let made = farebox
        .cli_with(&["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin"], PASSWORD);
    assert!(made.await.status.success());
    farebox.cli(&["credits", "grant", "--email", "ada@example.com", "--amount", "25"]).await;
    let (ada, grace) = (Browser::start(&farebox.base).await, Browser::without_scripts(&farebox.base).await);
    sign_in(&ada, "ada@example.com").await;
    ada.click(".switcher summary").await;
    ada.press("New organization").await;
    ada.fill("#name", "Analytical Engines").await;
    ada.press("Create organization").await;
    ada.shows("Analytical Engines is there, and you own it").await;

    // Credits come from her own balance.
    ada.open("/credits").await;
    ada.press("Move credits here").await;
    ada.fill("#amount", "20").await;
    ada.press("Move credits").await;
    ada.shows("$20.00 moved to Analytical Engines").await;
    ada.shows("From Ada").await;

    // Somebody without an account, without scripts, from the mail to a member.
    ada.open("/settings/members").await;
    ada.fill("#email", "grace@example.com").await;
    ada.press("Send invitation").await;
    ada.shows("The invitation is on its way to grace@example.com").await;
    grace.open("/dev/mailbox").await;
    grace.press("Ada invites you to Analytical Engines").await;
    grace.click("a.button[href*='/invitations']").await;
    grace.shows("Join Analytical Engines").await;
    grace.press("Create an account").await;
    grace.fill("#name", "Grace").await;
    grace.fill("#email", "grace@example.com").await;
    grace.fill("#password", PASSWORD).await;
    grace.press("Create account").await;
    grace.shows("Check your mail").await;
    grace.open(&mailed_link(&farebox, "grace@example.com").await).await;
    grace.fill("#password", PASSWORD).await;
    grace.press("Confirm and sign in").await;
    grace.press("Join the organization").await;
    grace.shows("Welcome.").await;
    assert!(!grace.text().await.contains("Credits\n"), "a member has no page of payments");
    grace.open("/keys/new").await;
    grace.fill("#name", "Compiler").await;
    grace.press("Create key").await;
    let text = grace.find("#key").await.text().await.expect("a key");
    let key = Key { text, org: String::new(), id: String::new() };
    assert!(works(&farebox, &key).await);

    // A role that the other sees at once.
    ada.open("/settings/members").await;
    ada.press("Grace").await;
    ada.click("input[value='admin']").await;
    ada.press("Save role").await;
    ada.shows("Grace is now Admin here").await;
    grace.open("/settings/members").await;
    grace.shows("Invite somebody").await;

    // The end, undone: the key goes with it and comes back.
    ada.open("/settings/organization").await;
    ada.press("Delete this organization").await;
    ada.fill("#name", "Analytical Engines").await;
    ada.press("Delete in seven days").await;
    ada.shows("will be deleted on").await;
    becomes(&farebox, &key, false).await;
    ada.press("Keep the organization").await;
    ada.shows("work again").await;
    becomes(&farebox, &key, true).await;

    // Removed while the key is in use.
    ada.open("/settings/members").await;
    ada.press("Grace").await;
    ada.press("Remove from the organization").await;
    ada.press("Remove them").await;
    ada.shows("Grace is removed").await;
    becomes(&farebox, &key, false).await;
    grace.open("/").await;
    grace.shows("You are no longer a member").await;
    ada.open("/settings/audit").await;
    for told in ["Removed a member", "Changed a role", "Joined", "Moved credits", "Created a key"] {
        ada.shows(told).await;
    }
    assert_eq!(ada.errors().await, Vec::<String>::new(), "a quiet console");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

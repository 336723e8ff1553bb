//! Every role and every page for people: who may call what, from one table.

use std::collections::BTreeSet;

use crate::access::{For, Owned, ROUTES, path_of};
use crate::support::visitor::{Visitor, between};
use crate::support::{Farebox, team};

/// Method, path, and the roles that may: owner, admin, billing, member.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("get", "/", "OABM"),
    ("get", "/step-up", "OABM"),
    ("post", "/step-up", "OABM"),
    ("get", "/step-up/continue", "OABM"),
    ("get", "/activity", "OABM"),
    ("get", "/activity/new", "OABM"),
    ("get", "/activity/sums", "OABM"),
    ("get", "/activity/export", "OABM"),
    ("post", "/activity/views", "OABM"),
    ("post", "/activity/views/{view}/delete", "OABM"),
    ("get", "/settings/activity", "OA--"),
    ("post", "/settings/activity", "OA--"),
    ("get", "/activity/{call}", "OABM"),
    ("post", "/models/default", "OA--"),
    ("get", "/chat", "OA-M"),
    ("post", "/chat/completions", "OA-M"),
    ("get", "/chat/calls/{call}", "OABM"),
    ("get", "/auth", "OA-M"),
    ("post", "/auth", "OA-M"),
    ("get", "/keys", "OA-M"),
    ("post", "/keys", "OA-M"),
    ("get", "/keys/new", "OA-M"),
    ("get", "/keys/give", "OA-M"),
    ("post", "/keys/give", "OA-M"),
    ("post", "/keys/several", "OA-M"),
    ("get", "/keys/stop", "OA--"),
    ("post", "/keys/stop", "OA--"),
    ("post", "/keys/resume", "OA--"),
    ("get", "/keys/{key}", "OA-M"),
    ("get", "/keys/{key}/edit", "OA-M"),
    ("post", "/keys/{key}/edit", "OA-M"),
    ("get", "/keys/{key}/rotate", "OA-M"),
    ("post", "/keys/{key}/rotate", "OA-M"),
    ("post", "/keys/{key}/link", "OA-M"),
    ("post", "/keys/{key}/unlink", "OA-M"),
    ("post", "/keys/{key}/disable", "OA-M"),
    ("post", "/keys/{key}/enable", "OA-M"),
    ("get", "/keys/{key}/delete", "OA-M"),
    ("post", "/keys/{key}/delete", "OA-M"),
    ("get", "/settings/provisioning", "OA--"),
    ("post", "/settings/provisioning", "OA--"),
    ("get", "/settings/provisioning/new", "OA--"),
    ("get", "/settings/provisioning/{key}", "OA--"),
    ("get", "/settings/provisioning/{key}/edit", "OA--"),
    ("post", "/settings/provisioning/{key}/edit", "OA--"),
    ("get", "/settings/provisioning/{key}/rotate", "OA--"),
    ("post", "/settings/provisioning/{key}/rotate", "OA--"),
    ("post", "/settings/provisioning/{key}/disable", "OA--"),
    ("post", "/settings/provisioning/{key}/enable", "OA--"),
    ("get", "/settings/provisioning/{key}/delete", "OA--"),
    ("post", "/settings/provisioning/{key}/delete", "OA--"),
    ("get", "/credits", "OAB-"),
    ("post", "/credits/topups", "OAB-"),
    ("get", "/credits/topups/{topup}", "OAB-"),
    ("get", "/credits/topups/{topup}/receipt", "OAB-"),
    ("get", "/credits/topups/{topup}/refund", "OAB-"),
    ("post", "/credits/topups/{topup}/refund", "OAB-"),
    ("post", "/credits/methods", "OAB-"),
    ("get", "/credits/methods/new", "OAB-"),
    ("get", "/credits/methods/keep/{setup}", "OAB-"),
    ("post", "/credits/methods/{method}/default", "OAB-"),
    ("get", "/credits/methods/{method}/remove", "OAB-"),
    ("post", "/credits/methods/{method}/remove", "OAB-"),
    ("get", "/credits/topups/{topup}/receipt.pdf", "OAB-"),
    ("get", "/settings/billing", "OAB-"),
    ("post", "/settings/billing", "OAB-"),
    ("get", "/credits/redeem", "OAB-"),
    ("post", "/credits/redeem", "OAB-"),
    ("get", "/sandbox/checkout/{topup}", "OAB-"),
    ("post", "/sandbox/checkout/{topup}", "OAB-"),
    ("get", "/credits/auto", "OAB-"),
    ("post", "/credits/auto", "OAB-"),
    ("get", "/credits/auto/edit", "OAB-"),
    ("post", "/credits/auto/off", "OAB-"),
    ("get", "/settings/balance", "OAB-"),
    ("post", "/settings/balance", "OAB-"),
    ("get", "/credits/move", "OAB-"),
    ("post", "/credits/move", "OAB-"),
    ("get", "/settings/profile", "OABM"),
    ("post", "/settings/profile", "OABM"),
    ("post", "/invitations/accept", "OABM"),
    ("post", "/organizations", "OABM"),
    ("get", "/organizations/new", "OABM"),
    ("post", "/organizations/{org}/open", "OABM"),
    ("get", "/settings/organization", "OABM"),
    ("post", "/settings/organization", "OA--"),
    ("post", "/settings/organization/picture", "OA--"),
    ("post", "/settings/organization/picture/remove", "OA--"),
    ("post", "/settings/organization/leave", "OABM"),
    ("get", "/settings/organization/delete", "O---"),
    ("post", "/settings/organization/delete", "O---"),
    ("post", "/settings/organization/keep", "O---"),
    ("get", "/settings/members", "OA--"),
    ("post", "/settings/members/invitations", "OA--"),
    ("post", "/settings/members/invitations/{invitation}/resend", "OA--"),
    ("post", "/settings/members/invitations/{invitation}/revoke", "OA--"),
    ("get", "/settings/members/{person}", "OA--"),
    ("post", "/settings/members/{person}/role", "OA--"),
    ("post", "/settings/members/{person}/cap", "OA--"),
    ("get", "/settings/members/{person}/remove", "OA--"),
    ("post", "/settings/members/{person}/remove", "OA--"),
    ("get", "/settings/members/{person}/transfer", "O---"),
    ("post", "/settings/members/{person}/transfer", "O---"),
    ("get", "/settings/integrations", "OA-M"),
    ("get", "/settings/integrations/{provider}", "OA--"),
    ("post", "/settings/integrations/{provider}", "OA--"),
    ("post", "/settings/integrations/{provider}/test", "OA--"),
    ("post", "/settings/integrations/{provider}/disconnect", "OA--"),
    ("get", "/settings/notifications", "OABM"),
    ("post", "/settings/notifications", "OABM"),
    ("get", "/settings/notifications/people", "OA--"),
    ("get", "/settings/notifications/{person}", "OA--"),
    ("post", "/settings/notifications/{person}", "OA--"),
    ("get", "/settings/webhooks", "OA--"),
    ("post", "/settings/webhooks", "OA--"),
    ("get", "/settings/webhooks/new", "OA--"),
    ("get", "/settings/webhooks/deliveries/{delivery}", "OA--"),
    ("post", "/settings/webhooks/deliveries/{delivery}/again", "OA--"),
    ("get", "/settings/webhooks/{hook}", "OA--"),
    ("get", "/settings/webhooks/{hook}/edit", "OA--"),
    ("post", "/settings/webhooks/{hook}/edit", "OA--"),
    ("post", "/settings/webhooks/{hook}/rotate", "OA--"),
    ("post", "/settings/webhooks/{hook}/disable", "OA--"),
    ("post", "/settings/webhooks/{hook}/enable", "OA--"),
    ("post", "/settings/webhooks/{hook}/test", "OA--"),
    ("get", "/settings/webhooks/{hook}/delete", "OA--"),
    ("post", "/settings/webhooks/{hook}/delete", "OA--"),
    ("get", "/settings/privacy", "OABM"),
    ("post", "/settings/privacy", "OA--"),
    ("get", "/settings/privacy/texts/delete", "OA--"),
    ("post", "/settings/privacy/texts/delete", "OA--"),
    ("get", "/settings/preferences", "OA-M"),
    ("post", "/settings/preferences", "OA--"),
    ("get", "/settings/presets", "OA-M"),
    ("post", "/settings/presets", "OA--"),
    ("get", "/settings/presets/new", "OA--"),
    ("post", "/settings/presets/draft", "OA--"),
    ("get", "/settings/presets/{preset}", "OA-M"),
    ("post", "/settings/presets/{preset}", "OA--"),
    ("get", "/settings/presets/{preset}/versions", "OA-M"),
    ("post", "/settings/presets/{preset}/versions", "OA--"),
    ("post", "/settings/presets/{preset}/archive", "OA--"),
    ("post", "/settings/presets/{preset}/restore", "OA--"),
    ("get", "/settings/presets/{preset}/try", "OA-M"),
    ("post", "/settings/presets/{preset}/try", "OA-M"),
    ("get", "/credits/statements", "OAB-"),
    ("get", "/credits/statements/month", "OAB-"),
    ("get", "/credits/statements/rows", "OAB-"),
    ("get", "/credits/statements/calls", "OAB-"),
    ("get", "/credits/statements/file", "OAB-"),
    ("post", "/announcements/read", "OABM"),
    ("post", "/admin/look/end", "OABM"),
    ("get", "/settings/audit", "OAB-"),
    ("get", "/settings/audit/export", "OAB-"),
    // About whoever is signed in, whatever their role.
    ("get", "/email/confirm", "OABM"),
    ("post", "/email/confirm", "OABM"),
    ("post", "/oidc/step-up", "OABM"),
    ("post", "/oidc/link", "OABM"),
    ("get", "/settings/sign-in", "OABM"),
    ("post", "/settings/sign-in/unlink", "OABM"),
    ("post", "/settings/sign-in/password", "OABM"),
    ("get", "/operator/claim", "OABM"),
    ("post", "/operator/claim", "OABM"),
    ("post", "/step-up/passkey/start", "OABM"),
    ("post", "/step-up/passkey", "OABM"),
    ("post", "/settings/picture", "OABM"),
    ("post", "/settings/picture/remove", "OABM"),
    ("get", "/pictures/{picture}", "OABM"),
    ("get", "/settings/delete", "OABM"),
    ("post", "/settings/delete", "OABM"),
    ("get", "/account/leaving", "OABM"),
    ("post", "/account/keep", "OABM"),
    ("get", "/settings/email", "OABM"),
    ("post", "/settings/email", "OABM"),
    ("get", "/settings/security", "OABM"),
    ("post", "/settings/security/sessions/end-others", "OABM"),
    ("post", "/settings/security/sessions/{session}/end", "OABM"),
    ("get", "/settings/security/two-factor", "OABM"),
    ("post", "/settings/security/two-factor", "OABM"),
    ("post", "/settings/security/two-factor/passkeys", "OABM"),
    ("post", "/settings/security/two-factor/confirm", "OABM"),
    ("get", "/settings/security/two-factor/off", "OABM"),
    ("post", "/settings/security/two-factor/off", "OABM"),
    ("get", "/settings/security/recovery-codes", "OABM"),
    ("post", "/settings/security/recovery-codes", "OABM"),
    ("get", "/settings/security/passkeys/new", "OABM"),
    ("post", "/settings/security/passkeys/start", "OABM"),
    ("post", "/settings/security/passkeys", "OABM"),
    ("get", "/settings/security/passkeys/{passkey}/remove", "OABM"),
    ("post", "/settings/security/passkeys/{passkey}/remove", "OABM"),
    // Last, because it ends the session.
    ("post", "/sign-out", "OABM"),
];

/// Complete forms that do nothing: what they name is not there, or is no value.
const FIELDS: &[(&str, &str)] =
    &[("id", ""), ("amount", ""), ("method", ""), ("outcome", "paid"), ("token", ""), ("role", "owner"), ("lasts", "")];

#[test]
fn every_route_of_people_says_which_roles_may() {
    let members = ROUTES.iter().filter(|(.., who)| matches!(who, For::Member | For::Owner(_)));
    let routes: BTreeSet<_> = members.map(|(method, path, _)| (*method, *path)).collect();
    let listed: BTreeSet<_> = ALLOWED.iter().map(|(method, path, _)| (*method, *path)).collect();
    assert_eq!(listed, routes, "left: the table of this test; right: the routes");
    assert_eq!(listed.len(), ALLOWED.len(), "a route is listed twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_does_what_the_table_says_and_nothing_else() {
    let farebox = Farebox::start().await;
    let password = "correct horse battery";
    let mut owner = Visitor::member(&farebox, "owner@example.com", password).await;
    team::create(&mut owner, "Analytical Engines").await;
    let mut visitors = vec![('O', owner)];
    for (letter, role) in [('A', "admin"), ('B', "billing"), ('M', "member")] {
        let email = format!("{role}@example.com");
        let mut guest = Visitor::member(&farebox, &email, password).await;
        let (_, owner) = visitors.first_mut().expect("the owner");
        team::bring_in(&farebox, owner, &mut guest, &email, role).await;
        visitors.push((letter, guest));
    }
    let mut wrong = Vec::new();
    for (letter, visitor) in &mut visitors {
        let token = visitor.token("/settings/profile").await;
        for (method, path, allowed) in ALLOWED {
            let kind = ROUTES.iter().find_map(|(one, other, who)| match who {
                For::Owner(kind) if (one, other) == (method, path) => Some(*kind),
                _ => None,
            });
            let path = path.replace("/settings/integrations/{provider}", "/settings/integrations/openai");
            let path = path_of(&path, &kind.map(Owned::nobodys).unwrap_or_default()).replace("{name}", "echo");
            let page =
                if *method == "get" { visitor.get(&path).await } else { visitor.post(&token, &path, FIELDS).await };
            let may = allowed.contains(*letter);
            let refused = page.status == 403 && page.body.contains("Your role in this organization");
            if may == refused || page.status >= 500 || (!may && page.status != 403) {
                wrong.push(format!("{letter} {method} {path}: {}", page.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Nothing was done by all that.
    assert_eq!(farebox.text("select count(*)::text from org where kind = 'team' and delete_after is null").await, "1");
    assert_eq!(
        farebox.text("select count(*)::text from membership m join org o on o.id = m.org_id and o.kind = 'team'").await,
        "4"
    );
}

/// Pages and forms that want to be shown anew who somebody is: those about the address, the password, the second factor and
/// other ways to sign in, roles and people, provisioning keys, keys of providers, ways to pay and auto top-up, the switch for
/// all keys, and every end.
const RECENT: &[(&str, &str)] = &[
    ("get", "/step-up/continue"),
    ("get", "/keys/stop"),
    ("post", "/keys/stop"),
    ("post", "/keys/resume"),
    ("post", "/settings/provisioning"),
    ("get", "/settings/provisioning/new"),
    ("post", "/settings/provisioning/{key}/enable"),
    ("get", "/settings/provisioning/{key}/delete"),
    ("post", "/settings/provisioning/{key}/delete"),
    ("post", "/credits/methods"),
    ("get", "/credits/methods/new"),
    ("post", "/credits/methods/{method}/default"),
    ("get", "/credits/methods/{method}/remove"),
    ("post", "/credits/methods/{method}/remove"),
    ("post", "/credits/auto"),
    ("get", "/credits/auto/edit"),
    ("get", "/settings/organization/delete"),
    ("post", "/settings/organization/delete"),
    ("post", "/settings/members/invitations"),
    ("post", "/settings/members/invitations/{invitation}/resend"),
    ("get", "/settings/members/{person}"),
    ("post", "/settings/members/{person}/role"),
    ("post", "/settings/members/{person}/cap"),
    ("get", "/settings/members/{person}/remove"),
    ("post", "/settings/members/{person}/remove"),
    ("get", "/settings/members/{person}/transfer"),
    ("post", "/settings/members/{person}/transfer"),
    ("get", "/settings/integrations/{provider}"),
    ("post", "/settings/integrations/{provider}"),
    ("post", "/settings/integrations/{provider}/test"),
    ("post", "/settings/integrations/{provider}/disconnect"),
    ("post", "/oidc/link"),
    ("get", "/settings/sign-in"),
    ("post", "/settings/sign-in/unlink"),
    ("post", "/settings/sign-in/password"),
    ("get", "/operator/claim"),
    ("post", "/operator/claim"),
    ("get", "/settings/delete"),
    ("post", "/settings/delete"),
    ("get", "/settings/email"),
    ("post", "/settings/email"),
    ("get", "/settings/security/two-factor"),
    ("post", "/settings/security/two-factor"),
    ("post", "/settings/security/two-factor/passkeys"),
    ("post", "/settings/security/two-factor/confirm"),
    ("get", "/settings/security/two-factor/off"),
    ("post", "/settings/security/two-factor/off"),
    ("get", "/settings/security/recovery-codes"),
    ("post", "/settings/security/recovery-codes"),
    ("get", "/settings/security/passkeys/new"),
    ("post", "/settings/security/passkeys/start"),
    ("post", "/settings/security/passkeys"),
    ("get", "/settings/security/passkeys/{passkey}/remove"),
    ("post", "/settings/security/passkeys/{passkey}/remove"),
];
/// What those forms want besides [`FIELDS`], so that none is refused for being damaged before it is asked who sends it.
const MORE: &[(&str, &str)] = &[
    ("email", ""),
    ("password", ""),
    ("code", ""),
    ("identity", ""),
    ("provider", ""),
    ("typed", ""),
    ("name", ""),
    ("below", ""),
    ("credits", ""),
    ("cap_day", ""),
    ("cap_month", ""),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_dangerous_is_refused_to_a_session_that_is_old() {
    for listed in RECENT {
        assert!(
            ALLOWED.iter().any(|(method, path, _)| listed == &(*method, *path)),
            "{listed:?} is no route of people"
        );
    }
    let farebox = Farebox::start().await;
    let mut owner = Visitor::member(&farebox, "owner@example.com", "correct horse battery").await;
    team::create(&mut owner, "Analytical Engines").await;
    let token = owner.token("/settings/profile").await;
    sqlx::query("update session set authenticated_at = now() - interval '6 minutes'")
        .execute(&farebox.pool)
        .await
        .expect("time passes");
    let fields: Vec<(&str, &str)> = FIELDS.iter().chain(MORE).copied().collect();
    let mut wrong = Vec::new();
    for (method, path, _) in ALLOWED {
        // What `stories::issuers` looks at.
        if ["edit", "rotate"].iter().any(|word| *path == format!("/settings/provisioning/{{key}}/{word}")) {
            continue;
        }
        let kind = ROUTES.iter().find_map(|(one, other, who)| match who {
            For::Owner(kind) if (one, other) == (method, path) => Some(*kind),
            _ => None,
        });
        let named = path.replace("/settings/integrations/{provider}", "/settings/integrations/openai");
        let named = path_of(&named, &kind.map(Owned::nobodys).unwrap_or_default()).replace("{name}", "echo");
        let page = if *method == "get" { owner.get(&named).await } else { owner.post(&token, &named, &fields).await };
        let asked = page.status == 303 && page.location.starts_with("/step-up");
        if asked != RECENT.contains(&(*method, *path)) {
            wrong.push(format!("{method} {path}: {} {}", page.status, page.location));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_table_that_the_program_reads() {
    use farebox::orgs::role::{Role, TABLE};
    let farebox = Farebox::start().await;
    let mut owner = Visitor::member(&farebox, "owner@example.com", "correct horse battery").await;
    team::create(&mut owner, "Analytical Engines").await;
    let page = owner.get("/settings/organization").await.body;
    let table = between(&page, "<table class=\"table roles\">", "</table>");
    let rows: Vec<&str> = table.split("<tr").skip(2).collect();
    assert_eq!(rows.len(), TABLE.len(), "{table}");
    for (row, shown) in TABLE.iter().zip(rows) {
        assert!(shown.contains(row.label), "{} is not in {shown}", row.label);
        let cells: Vec<&str> = shown.split("<td").skip(1).collect();
        for (role, cell) in Role::ALL.into_iter().zip(&cells) {
            assert_eq!(cell.contains(">yes<"), role.may(row.permission), "{} {role:?}: {cell}", row.label);
        }
    }
}

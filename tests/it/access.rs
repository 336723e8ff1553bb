//! Who may call what: every route, and everybody who is not its owner.
//!
//! The table names every route of the program; a route that is not in it fails the test.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::farebox::unused_id;
use crate::support::visitor::{Page, Visitor, between};
use crate::support::{Farebox, Key, team};

/// Who may see a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    Anybody,
    /// Whoever is signed in, each their own things.
    Member,
    /// Whoever is signed in, if it belongs to their organization: the path names a thing of this kind.
    Owner(&'static str),
    /// Whoever runs the instance or reads its books; nobody else finds it.
    Auditor,
    /// Whoever runs the instance; auditors are refused, nobody else finds it.
    Operator,
    /// Stand-ins of development: whoever is at the machine.
    Developer,
    /// A key of its own organization, never a cookie.
    Key,
    /// A key that may manage, of its own organization; the path may name a key by its hash.
    Provisioning,
    /// A place of the API that is gone: everybody is told so.
    Nobody,
    /// Whoever has a code.
    Code,
    /// A payment processor or a scanner, which signs what it sends; under `/webhooks`.
    Processor,
    /// Answers to monitoring on this machine.
    Machine,
}

use For::{Anybody, Developer, Machine, Member, Owner};

/// Method, path, and who.
pub const ROUTES: &[(&str, &str, For)] = &[
    ("get", "/healthz", Machine),
    ("get", "/readyz", Machine),
    ("get", "/metrics", Machine),
    ("get", "/{path:.*}", Anybody),
    ("get", "/sign-up", Anybody),
    ("post", "/sign-up", Anybody),
    ("get", "/verify", Anybody),
    ("post", "/verify", Anybody),
    ("get", "/sign-in", Anybody),
    ("post", "/sign-in", Anybody),
    ("post", "/sign-in/passkey/start", Anybody),
    ("post", "/sign-in/passkey", Anybody),
    ("get", "/sign-in/second", Anybody),
    ("post", "/sign-in/second", Anybody),
    ("post", "/sign-in/second/passkey/start", Anybody),
    ("post", "/sign-in/second/passkey", Anybody),
    ("get", "/recover", Anybody),
    ("post", "/recover", Anybody),
    ("get", "/reset", Anybody),
    ("post", "/reset", Anybody),
    ("get", "/email/confirm", Member),
    ("post", "/email/confirm", Member),
    ("get", "/email/revert", Anybody),
    ("post", "/email/revert", Anybody),
    ("post", "/oidc/sign-in", Anybody),
    ("get", "/oidc/{provider}/callback", Anybody),
    ("get", "/unsubscribe", Anybody),
    ("post", "/unsubscribe", Anybody),
    ("get", "/claim", Anybody),
    ("post", "/claim", Anybody),
    ("get", "/key", Anybody),
    ("post", "/key", Anybody),
    ("post", "/key/close", Anybody),
    ("get", "/alarm", Anybody),
    ("post", "/alarm", Anybody),
    ("get", "/docs/api", Anybody),
    ("get", "/openapi.json", Anybody),
    ("post", "/{processor}", For::Processor),
    ("post", "/github", For::Processor),
    ("get", "/auth", Member),
    ("post", "/auth", Member),
    ("get", "/", Member),
    ("get", "/step-up", Member),
    ("post", "/step-up", Member),
    ("get", "/step-up/continue", Member),
    ("post", "/oidc/step-up", Member),
    ("post", "/oidc/link", Member),
    ("get", "/settings/sign-in", Member),
    ("post", "/settings/sign-in/unlink", Member),
    ("post", "/settings/sign-in/password", Member),
    ("get", "/operator/claim", Member),
    ("post", "/operator/claim", Member),
    ("post", "/step-up/passkey/start", Member),
    ("post", "/step-up/passkey", Member),
    ("post", "/sign-out", Member),
    ("get", "/activity", Member),
    ("get", "/activity/new", Member),
    ("get", "/activity/sums", Member),
    ("get", "/activity/export", Member),
    ("post", "/activity/views", Member),
    ("post", "/activity/views/{view}/delete", Owner("view")),
    ("get", "/settings/activity", Member),
    ("post", "/settings/activity", Member),
    ("get", "/activity/{call}", Owner("call")),
    ("get", "/models", Anybody),
    ("get", "/models/compare", Anybody),
    ("get", "/models/{author}/{name}", Anybody),
    ("post", "/models/default", Member),
    ("get", "/chat", Member),
    ("post", "/chat/completions", Member),
    ("get", "/chat/calls/{call}", Owner("call")),
    ("get", "/keys", Member),
    ("post", "/keys", Member),
    ("get", "/keys/new", Member),
    ("get", "/keys/give", Member),
    ("post", "/keys/give", Member),
    ("post", "/keys/several", Member),
    ("get", "/keys/stop", Member),
    ("post", "/keys/stop", Member),
    ("post", "/keys/resume", Member),
    ("get", "/keys/{key}", Owner("key")),
    ("get", "/keys/{key}/edit", Owner("key")),
    ("post", "/keys/{key}/edit", Owner("key")),
    ("get", "/keys/{key}/rotate", Owner("key")),
    ("post", "/keys/{key}/rotate", Owner("key")),
    ("post", "/keys/{key}/link", Owner("key")),
    ("post", "/keys/{key}/unlink", Owner("key")),
    ("post", "/keys/{key}/disable", Owner("key")),
    ("post", "/keys/{key}/enable", Owner("key")),
    ("get", "/keys/{key}/delete", Owner("key")),
    ("post", "/keys/{key}/delete", Owner("key")),
    ("get", "/settings/provisioning", Member),
    ("post", "/settings/provisioning", Member),
    ("get", "/settings/provisioning/new", Member),
    ("get", "/settings/provisioning/{key}", Owner("provisioning")),
    ("get", "/settings/provisioning/{key}/edit", Owner("provisioning")),
    ("post", "/settings/provisioning/{key}/edit", Owner("provisioning")),
    ("get", "/settings/provisioning/{key}/rotate", Owner("provisioning")),
    ("post", "/settings/provisioning/{key}/rotate", Owner("provisioning")),
    ("post", "/settings/provisioning/{key}/disable", Owner("provisioning")),
    ("post", "/settings/provisioning/{key}/enable", Owner("provisioning")),
    ("get", "/settings/provisioning/{key}/delete", Owner("provisioning")),
    ("post", "/settings/provisioning/{key}/delete", Owner("provisioning")),
    ("get", "/credits", Member),
    ("post", "/credits/topups", Member),
    ("get", "/credits/topups/{topup}", Owner("topup")),
    ("get", "/credits/topups/{topup}/receipt", Owner("topup")),
    ("get", "/credits/topups/{topup}/refund", Owner("topup")),
    ("post", "/credits/topups/{topup}/refund", Owner("topup")),
    ("post", "/credits/methods", Member),
    ("get", "/credits/methods/new", Member),
    ("get", "/credits/methods/keep/{setup}", Owner("setup")),
    ("post", "/credits/methods/{method}/default", Owner("method")),
    ("get", "/credits/methods/{method}/remove", Owner("method")),
    ("post", "/credits/methods/{method}/remove", Owner("method")),
    ("get", "/credits/topups/{topup}/receipt.pdf", Owner("topup")),
    ("get", "/settings/billing", Member),
    ("post", "/settings/billing", Member),
    ("get", "/credits/redeem", Member),
    ("post", "/credits/redeem", Member),
    ("get", "/credits/auto", Member),
    ("post", "/credits/auto", Member),
    ("get", "/credits/auto/edit", Member),
    ("post", "/credits/auto/off", Member),
    ("get", "/settings/balance", Member),
    ("post", "/settings/balance", Member),
    ("get", "/invitations", Anybody),
    ("post", "/invitations/accept", Member),
    ("post", "/invitations/decline", Anybody),
    ("post", "/organizations", Member),
    ("get", "/organizations/new", Member),
    ("post", "/organizations/{org}/open", Owner("org")),
    ("get", "/credits/move", Member),
    ("post", "/credits/move", Member),
    ("get", "/settings/organization", Member),
    ("post", "/settings/organization", Member),
    ("post", "/settings/organization/picture", Member),
    ("post", "/settings/organization/picture/remove", Member),
    ("post", "/settings/organization/leave", Member),
    ("get", "/settings/organization/delete", Member),
    ("post", "/settings/organization/delete", Member),
    ("post", "/settings/organization/keep", Member),
    ("get", "/settings/members", Member),
    ("post", "/settings/members/invitations", Member),
    ("post", "/settings/members/invitations/{invitation}/resend", Owner("invitation")),
    ("post", "/settings/members/invitations/{invitation}/revoke", Owner("invitation")),
    ("get", "/settings/members/{person}", Owner("person")),
    ("post", "/settings/members/{person}/role", Owner("person")),
    ("post", "/settings/members/{person}/cap", Owner("person")),
    ("get", "/settings/members/{person}/remove", Owner("person")),
    ("post", "/settings/members/{person}/remove", Owner("person")),
    ("get", "/settings/members/{person}/transfer", Owner("person")),
    ("post", "/settings/members/{person}/transfer", Owner("person")),
    ("get", "/settings/integrations", Member),
    ("get", "/settings/integrations/{provider}", Member),
    ("post", "/settings/integrations/{provider}", Member),
    ("post", "/settings/integrations/{provider}/test", Member),
    ("post", "/settings/integrations/{provider}/disconnect", Member),
    ("get", "/settings/notifications", Member),
    ("post", "/settings/notifications", Member),
    ("get", "/settings/notifications/people", Member),
    ("get", "/settings/notifications/{person}", Owner("person")),
    ("post", "/settings/notifications/{person}", Owner("person")),
    ("get", "/settings/webhooks", Member),
    ("post", "/settings/webhooks", Member),
    ("get", "/settings/webhooks/new", Member),
    ("get", "/settings/webhooks/deliveries/{delivery}", Owner("delivery")),
    ("post", "/settings/webhooks/deliveries/{delivery}/again", Owner("delivery")),
    ("get", "/settings/webhooks/{hook}", Owner("hook")),
    ("get", "/settings/webhooks/{hook}/edit", Owner("hook")),
    ("post", "/settings/webhooks/{hook}/edit", Owner("hook")),
    ("post", "/settings/webhooks/{hook}/rotate", Owner("hook")),
    ("post", "/settings/webhooks/{hook}/disable", Owner("hook")),
    ("post", "/settings/webhooks/{hook}/enable", Owner("hook")),
    ("post", "/settings/webhooks/{hook}/test", Owner("hook")),
    ("get", "/settings/webhooks/{hook}/delete", Owner("hook")),
    ("post", "/settings/webhooks/{hook}/delete", Owner("hook")),
    ("get", "/settings/privacy", Member),
    ("post", "/settings/privacy", Member),
    ("get", "/settings/privacy/texts/delete", Member),
    ("post", "/settings/privacy/texts/delete", Member),
    ("get", "/settings/preferences", Member),
    ("post", "/settings/preferences", Member),
    ("get", "/settings/presets", Member),
    ("post", "/settings/presets", Member),
    ("get", "/settings/presets/new", Member),
    ("post", "/settings/presets/draft", Member),
    ("get", "/settings/presets/{preset}", Owner("preset")),
    ("post", "/settings/presets/{preset}", Owner("preset")),
    ("get", "/settings/presets/{preset}/versions", Owner("preset")),
    ("post", "/settings/presets/{preset}/versions", Owner("preset")),
    ("post", "/settings/presets/{preset}/archive", Owner("preset")),
    ("post", "/settings/presets/{preset}/restore", Owner("preset")),
    ("get", "/settings/presets/{preset}/try", Owner("preset")),
    ("post", "/settings/presets/{preset}/try", Owner("preset")),
    ("get", "/settings/audit", Member),
    ("get", "/settings/audit/export", Member),
    ("get", "/settings/profile", Member),
    ("post", "/settings/profile", Member),
    ("post", "/settings/picture", Member),
    ("post", "/settings/picture/remove", Member),
    ("get", "/pictures/{picture}", Member),
    ("get", "/settings/delete", Member),
    ("post", "/settings/delete", Member),
    ("get", "/account/leaving", Member),
    ("post", "/account/keep", Member),
    ("get", "/settings/email", Member),
    ("post", "/settings/email", Member),
    ("get", "/settings/security", Member),
    ("post", "/settings/security/sessions/end-others", Member),
    ("post", "/settings/security/sessions/{session}/end", Owner("session")),
    ("get", "/settings/security/two-factor", Member),
    ("post", "/settings/security/two-factor", Member),
    ("post", "/settings/security/two-factor/passkeys", Member),
    ("post", "/settings/security/two-factor/confirm", Member),
    ("get", "/settings/security/two-factor/off", Member),
    ("post", "/settings/security/two-factor/off", Member),
    ("get", "/settings/security/recovery-codes", Member),
    ("post", "/settings/security/recovery-codes", Member),
    ("get", "/settings/security/passkeys/new", Member),
    ("post", "/settings/security/passkeys/start", Member),
    ("post", "/settings/security/passkeys", Member),
    ("get", "/settings/security/passkeys/{passkey}/remove", Owner("passkey")),
    ("post", "/settings/security/passkeys/{passkey}/remove", Owner("passkey")),
    ("get", "/admin", For::Auditor),
    ("get", "/admin/organizations", For::Auditor),
    ("get", "/admin/organizations/{org}", For::Auditor),
    ("post", "/admin/organizations/{org}/freeze", For::Operator),
    ("post", "/admin/organizations/{org}/unfreeze", For::Operator),
    ("post", "/admin/organizations/{org}/look", For::Operator),
    ("post", "/admin/look/end", Member),
    ("get", "/admin/people", For::Operator),
    ("get", "/admin/people/{person}", For::Operator),
    ("post", "/admin/people/{person}/freeze", For::Operator),
    ("post", "/admin/people/{person}/unfreeze", For::Operator),
    ("post", "/admin/people/{person}/sign-out", For::Operator),
    ("get", "/admin/adjustments", For::Auditor),
    ("post", "/admin/adjustments", For::Operator),
    ("get", "/admin/adjustments/new", For::Operator),
    ("get", "/admin/adjustments/{adjustment}", For::Auditor),
    ("post", "/admin/adjustments/{adjustment}/approve", For::Operator),
    ("post", "/admin/adjustments/{adjustment}/reject", For::Operator),
    ("post", "/admin/adjustments/{adjustment}/withdraw", For::Operator),
    ("get", "/admin/confirmations", For::Auditor),
    ("get", "/admin/confirmations/{confirmation}", For::Auditor),
    ("post", "/admin/confirmations/{confirmation}/confirm", For::Operator),
    ("post", "/admin/confirmations/{confirmation}/reject", For::Operator),
    ("post", "/admin/confirmations/{confirmation}/withdraw", For::Operator),
    ("get", "/admin/payments", For::Auditor),
    ("get", "/admin/payments/messages", For::Auditor),
    ("get", "/admin/payments/{topup}", For::Auditor),
    ("post", "/admin/payments/{topup}/refund", For::Operator),
    ("get", "/admin/codes", For::Auditor),
    ("post", "/admin/codes", For::Operator),
    ("post", "/admin/codes/revoke", For::Operator),
    ("get", "/admin/codes/{batch}", For::Auditor),
    ("get", "/admin/catalog", For::Auditor),
    ("post", "/admin/catalog/models", For::Operator),
    ("get", "/admin/catalog/models/new", For::Operator),
    ("get", "/admin/catalog/models/{author}/{name}", For::Auditor),
    ("post", "/admin/catalog/models/{author}/{name}", For::Operator),
    ("get", "/admin/catalog/models/{author}/{name}/retire", For::Operator),
    ("post", "/admin/catalog/models/{author}/{name}/retire", For::Operator),
    ("post", "/admin/catalog/endpoints", For::Operator),
    ("get", "/admin/catalog/endpoints/new", For::Operator),
    ("get", "/admin/catalog/endpoints/{endpoint}", For::Auditor),
    ("post", "/admin/catalog/endpoints/{endpoint}", For::Operator),
    ("get", "/admin/catalog/endpoints/{endpoint}/retire", For::Operator),
    ("post", "/admin/catalog/endpoints/{endpoint}/retire", For::Operator),
    ("get", "/admin/catalog/endpoints/{endpoint}/price", For::Auditor),
    ("post", "/admin/catalog/endpoints/{endpoint}/price", For::Operator),
    ("get", "/admin/catalog/providers/{provider}", For::Auditor),
    ("post", "/admin/catalog/providers/{provider}", For::Operator),
    ("get", "/admin/catalog/margin", For::Auditor),
    ("get", "/admin/catalog/lists", For::Auditor),
    ("post", "/admin/catalog/lists", For::Operator),
    ("get", "/admin/catalog/lists/{list}", For::Auditor),
    ("post", "/admin/catalog/lists/{list}/apply", For::Operator),
    ("get", "/admin/fees", For::Auditor),
    ("post", "/admin/fees", For::Operator),
    ("post", "/admin/sign-up", For::Operator),
    ("get", "/admin/upstreams", For::Operator),
    ("post", "/admin/upstreams", For::Operator),
    ("get", "/admin/mails", For::Operator),
    ("post", "/admin/mails/retry", For::Operator),
    ("get", "/admin/jobs", For::Operator),
    ("post", "/admin/jobs/retry", For::Operator),
    ("get", "/admin/announcements", For::Operator),
    ("post", "/admin/announcements", For::Operator),
    ("post", "/admin/announcements/end", For::Operator),
    ("get", "/admin/staff", For::Operator),
    ("post", "/admin/staff", For::Operator),
    ("post", "/admin/staff/remove", For::Operator),
    ("get", "/admin/log", For::Auditor),
    ("get", "/admin/find", For::Auditor),
    ("get", "/admin/holds", For::Auditor),
    ("get", "/admin/books", For::Auditor),
    ("get", "/admin/books/usage", For::Auditor),
    ("get", "/admin/books/trial.csv", For::Auditor),
    ("get", "/admin/books/journal", For::Auditor),
    ("get", "/admin/books/transfers/{transfer}", For::Auditor),
    ("get", "/admin/organizations/{org}/calls/{call}", For::Auditor),
    ("get", "/admin/books/exports", For::Auditor),
    ("get", "/admin/books/export", For::Auditor),
    ("get", "/admin/books/closes", For::Auditor),
    ("get", "/admin/books/closes/{day}", For::Auditor),
    ("get", "/admin/books/reconciliation", For::Auditor),
    ("get", "/admin/books/reconciliation/{run}", For::Auditor),
    ("get", "/admin/organizations/{org}/statements", For::Auditor),
    ("get", "/admin/organizations/{org}/statements/{month}", For::Auditor),
    ("get", "/admin/organizations/{org}/statements/{month}/{form}", For::Auditor),
    ("post", "/announcements/read", Member),
    ("get", "/credits/statements", Member),
    ("get", "/credits/statements/month", Member),
    ("get", "/credits/statements/rows", Member),
    ("get", "/credits/statements/calls", Member),
    ("get", "/credits/statements/file", Member),
    ("get", "/sandbox/checkout/{topup}", Owner("topup")),
    ("post", "/sandbox/checkout/{topup}", Owner("topup")),
    ("get", "/dev/mailbox", Developer),
    ("get", "/dev/mailbox/{mail}", Developer),
    ("post", "/chat/completions", For::Key),
    ("post", "/completions", For::Key),
    ("post", "/responses", For::Key),
    ("post", "/messages", For::Key),
    ("post", "/messages/count_tokens", For::Key),
    ("post", "/embeddings", For::Key),
    ("post", "/rerank", For::Key),
    ("get", "/models/user", For::Key),
    ("get", "/embeddings/models", Anybody),
    ("get", "/endpoints/zdr", Anybody),
    ("get", "/models/count", Anybody),
    ("get", "/models/{author}/{slug}/endpoints", Anybody),
    ("get", "/models/{author}/{slug}", Anybody),
    ("get", "/models/{name}", Anybody),
    ("get", "/model/{author}/{slug}", Anybody),
    ("get", "/providers", Anybody),
    ("get", "/key", For::Key),
    ("get", "/auth/key", For::Key),
    ("get", "/credits", For::Key),
    ("post", "/credits/coinbase", For::Nobody),
    ("get", "/generation", For::Key),
    ("get", "/generation/content", For::Key),
    ("get", "/activity", For::Provisioning),
    ("get", "/analytics/meta", For::Provisioning),
    ("post", "/analytics/query", For::Provisioning),
    ("get", "/organization/members", For::Provisioning),
    ("get", "/byok", For::Provisioning),
    ("post", "/byok", For::Provisioning),
    ("get", "/byok/{id}", For::Provisioning),
    ("patch", "/byok/{id}", For::Provisioning),
    ("delete", "/byok/{id}", For::Provisioning),
    ("get", "/keys", For::Provisioning),
    ("post", "/keys", For::Provisioning),
    ("get", "/keys/{hash}", For::Provisioning),
    ("patch", "/keys/{hash}", For::Provisioning),
    ("delete", "/keys/{hash}", For::Provisioning),
    ("post", "/auth/keys/code", For::Provisioning),
    ("post", "/auth/keys", For::Code),
    ("get", "/models", Anybody),
    ("get", "/presets", For::Key),
    ("get", "/presets/{slug}", For::Key),
    ("get", "/presets/{slug}/versions", For::Key),
    ("get", "/presets/{slug}/versions/{version}", For::Key),
    ("post", "/presets/{slug}/chat/completions", For::Key),
    ("post", "/presets/{slug}/messages", For::Key),
    ("post", "/presets/{slug}/responses", For::Key),
];

const WEB: &str = include_str!("../../src/routes.rs");
const API: &str = include_str!("../../src/gateway/surface.rs");

/// Method and path of every route that a source adds.
fn written(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    // Without white space, so that no way of formatting hides a route.
    let source: String = source.chars().filter(|c| !c.is_whitespace()).collect();
    for start in [".route(\"", ".service(get(\"", ".service(post(\""] {
        for rest in source.split(start).skip(1) {
            let path = rest.split('"').next().unwrap_or_default();
            let (_, after) = rest.split_once("web::").expect("a method");
            let method = after.split('(').next().unwrap_or_default();
            found.push((method.to_owned(), path.to_owned()));
        }
    }
    // A resource with a route for each of its methods.
    for rest in source.split(".service(at(\"").skip(1) {
        let path = rest.split('"').next().unwrap_or_default();
        let (routes, _) = rest.split_once(".default_service(").expect("an answer to other methods");
        for after in routes.split(".route(web::").skip(1) {
            let method = after.split('(').next().unwrap_or_default();
            found.push((method.to_owned(), path.to_owned()));
        }
    }
    found
}

/// How often a source names a method of a route.
fn methods(source: &str) -> usize {
    ["get", "post", "patch", "delete"].iter().map(|method| source.matches(&format!("web::{method}()")).count()).sum()
}

#[test]
fn every_route_is_in_the_table() {
    let key = |(method, path): &(String, String)| format!("{method} {path}");
    let (web, api) = (written(WEB), written(API));
    assert!(web.len() >= 35 && api.len() >= 18, "{} and {} routes were read", web.len(), api.len());
    // Nothing is added in a way that is not read here.
    assert_eq!(methods(WEB), web.len());
    assert_eq!(methods(API), api.len());
    for method in ["web::put", "web::head", "web::method", "web::route"] {
        assert!(!WEB.contains(method) && !API.contains(method), "{method} is new: teach it to this test");
    }
    let mut listed: Vec<String> = ROUTES.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    let mut written: Vec<String> = web.iter().chain(&api).map(key).collect();
    listed.sort();
    written.sort();
    assert_eq!(listed, written, "left: the table of this test; right: the program");
}

/// A member with a thing of every kind.
pub struct Owned {
    call: String,
    key: Key,
    provisioning: Key,
    topup: String,
    method: String,
    setup: String,
    session: String,
    passkey: String,
    org: String,
    person: String,
    invitation: String,
    preset: String,
    view: String,
    hook: String,
    delivery: String,
}

impl Owned {
    fn id(&self, kind: &str) -> &str {
        match kind {
            "call" => &self.call,
            "key" => &self.key.id,
            "provisioning" => &self.provisioning.id,
            "topup" => &self.topup,
            "method" => &self.method,
            "setup" => &self.setup,
            "session" => &self.session,
            "passkey" => &self.passkey,
            "org" => &self.org,
            "person" => &self.person,
            "invitation" => &self.invitation,
            "preset" => &self.preset,
            "view" => &self.view,
            "hook" => &self.hook,
            "delivery" => &self.delivery,
            other => panic!("there is no {other}"),
        }
    }

    /// The name of a thing of this kind that nobody has.
    pub fn nobodys(kind: &str) -> String {
        unused_id(match kind {
            "call" => "gen-",
            "key" | "provisioning" => "key_",
            "method" => "pay_",
            "setup" => "mst_",
            "session" => "ses_",
            "passkey" => "pky_",
            "org" => "org_",
            "person" => "usr_",
            "invitation" => "inv_",
            "preset" => "pst_",
            "view" => "avw_",
            "hook" => "whk_",
            "delivery" => "dlv_",
            _ => "top_",
        })
    }
}

pub async fn owned(farebox: &Farebox, visitor: &mut Visitor<'_>, email: &str) -> Owned {
    let key = farebox.key(email, "10", &[]).await;
    let provisioning = farebox.key(email, "", &["--provisioning"]).await;
    let answer = farebox.chat(&key, "sandbox/echo", "mine alone", json!({})).await;
    let call = answer.headers()["x-generation-id"].to_str().expect("text").to_owned();
    let page = visitor.get("/credits").await;
    let form = crate::support::visitor::form(&page.body, "/credits/topups");
    let mut fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.retain(|(name, _)| !matches!(*name, "csrf_token" | "amount" | "method"));
    fields.extend([("amount", "20"), ("method", "sandbox_card")]);
    let token = visitor.token("/credits").await;
    let bought = visitor.post(&token, "/credits/topups", &fields).await;
    assert_eq!(bought.status, 303, "{fields:?}\n{}", bought.body);
    let topup = bought.location.split(['/', '?']).find(|part| part.starts_with("top_")).unwrap_or_default().to_owned();
    assert!(!topup.is_empty(), "{}", bought.location);
    let (session, passkey) = security(farebox, email).await;
    let org = team::create(visitor, "Analytical Engines").await;
    let mut carl = Visitor::member(farebox, "carl@example.com", "a third horse battery").await;
    team::bring_in(farebox, visitor, &mut carl, "carl@example.com", "member").await;
    let person = team::person(farebox, "carl@example.com").await;
    team::invite(visitor, "dora@example.com", "billing").await;
    let invitation = between(&visitor.get("/settings/members").await.body, "/settings/members/invitations/inv_", "/");
    team::open(visitor, &key.org).await;
    let method = payment_method(farebox, &key.org).await;
    let setup = method_setup(farebox, &key.org).await;
    let preset = farebox::base::ids::PresetId::fresh().to_string();
    let fields = [("id", preset.as_str()), ("name", "Hers alone"), ("models", "sandbox/echo")];
    let made = visitor.submit("/settings/presets/new", "/settings/presets", &fields).await;
    assert_eq!(made.status, 303, "{}", made.body);
    let (hook, delivery) = webhook(farebox, visitor, &key.org).await;
    Owned {
        call,
        key,
        provisioning,
        topup,
        method,
        setup,
        session,
        passkey,
        org,
        person,
        invitation: format!("inv_{invitation}"),
        preset,
        view: saved_view(farebox, visitor, email).await,
        hook,
        delivery,
    }
}

/// An address that is told what happens, and a message to it. It leads nowhere, so nothing is sent.
async fn webhook(farebox: &Farebox, visitor: &mut Visitor<'_>, org: &str) -> (String, String) {
    use farebox::base::ids::{DeliveryId, HookId, OrgId};
    let (hook, org): (_, OrgId) = (HookId::fresh(), org.parse().expect("an id"));
    let fields = [("id", hook.to_string()), ("url", "https://hooks.invalid/".to_owned()), ("which", "all".to_owned())];
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let made = visitor.submit("/settings/webhooks/new", "/settings/webhooks", &fields).await;
    assert_eq!(made.status, 200, "{}", made.body);
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    farebox::hooks::emit_test(&mut tx, org, hook, "nobody").await.expect("a message");
    tx.commit().await.expect("committed");
    let id: uuid::Uuid = sqlx::query_scalar("select id from hook_delivery where hook_id = $1")
        .bind(hook.0)
        .fetch_one(&farebox.pool)
        .await
        .expect("a message");
    (hook.to_string(), DeliveryId(id).to_string())
}

/// A view of the activity page that somebody saved.
async fn saved_view(farebox: &Farebox, visitor: &mut Visitor<'_>, email: &str) -> String {
    let fields = [("name", "Dear calls"), ("query", "period=30d&min=1")];
    let saved = visitor.submit("/settings/profile", "/activity/views", &fields).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    let id: uuid::Uuid =
        sqlx::query_scalar("select v.id from activity_view v join person p on p.id = v.person_id where p.email = $1")
            .bind(email)
            .fetch_one(&farebox.pool)
            .await
            .expect("a view");
    farebox::base::ids::ViewId(id).to_string()
}

/// A way to pay that somebody of an organization is about to keep.
async fn method_setup(farebox: &Farebox, org: &str) -> String {
    use farebox::base::ids::{MethodSetupId, OrgId};
    let (id, org): (_, OrgId) = (MethodSetupId::fresh(), org.parse().expect("an id"));
    sqlx::query(
        "insert into method_setup (org_id, id, processor, method, state) values ($1, $2, 'sandbox', 'card', 'over')",
    )
    .bind(org.0)
    .bind(id.0)
    .execute(&farebox.pool)
    .await
    .expect("a row");
    id.to_string()
}

/// A saved way to pay of an organization, as a payment leaves one.
async fn payment_method(farebox: &Farebox, org: &str) -> String {
    use farebox::base::ids::{OrgId, PaymentMethodId};
    let (id, org): (_, OrgId) = (PaymentMethodId::fresh(), org.parse().expect("an id"));
    sqlx::query(
        "insert into payment_method (org_id, id, processor, processor_ref, method, label)
         values ($1, $2, 'sandbox', $2::text, 'card', 'Visa ending in 4242')",
    )
    .bind(org.0)
    .bind(id.0)
    .execute(&farebox.pool)
    .await
    .expect("a row");
    id.to_string()
}

/// A second session of a member, and a passkey. The key itself is of no use here.
async fn security(farebox: &Farebox, email: &str) -> (String, String) {
    use farebox::base::ids::{PasskeyId, SessionId};
    let (session, passkey) = (SessionId::fresh(), PasskeyId::fresh());
    for (statement, id) in [
        (
            "insert into session (id, digest, person_id, expires_at)
             select $1, sha256($2::text::bytea), id, now() + interval '1 day' from person where email = $2",
            session.0,
        ),
        (
            "insert into passkey (id, person_id, credential_id, name, credential)
             select $1, id, sha256($2::text::bytea), 'Laptop', '{}' from person where email = $2",
            passkey.0,
        ),
    ] {
        sqlx::query(statement).bind(id).bind(email).execute(&farebox.pool).await.expect("a row");
    }
    (session.to_string(), passkey.to_string())
}

pub fn path_of(path: &str, id: &str) -> String {
    match path.split_once('{') {
        Some((before, rest)) => {
            let after = rest.split_once('}').map_or("", |(_, after)| after);
            format!("{before}{id}{after}")
        }
        None => path.to_owned(),
    }
}

async fn send(visitor: &mut Visitor<'_>, method: &str, path: &str, token: &str) -> Page {
    if method == "get" { visitor.get(path).await } else { visitor.post(token, path, &[("outcome", "paid")]).await }
}

/// A page without what differs from one request to the next.
fn plain(page: &Page, ids: &[&str]) -> String {
    let mut text = page.body.clone();
    for id in ids {
        text = text.replace(id, "ID");
    }
    let mut words: Vec<String> = Vec::new();
    for word in text.split("req_") {
        let rest = word.strip_prefix(|c: char| c.is_ascii_hexdigit()).map_or(word, |_| &word[32.min(word.len())..]);
        words.push(if words.is_empty() { word.to_owned() } else { rest.to_owned() });
    }
    words.join("REQ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_further_than_the_door() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let members = |who: &For| matches!(who, Member | Owner(_) | For::Auditor | For::Operator);
    for (method, path, who) in ROUTES.iter().filter(|(_, _, who)| members(who)) {
        let path = path_of(path, &key.id).replace("{name}", "echo");
        let request =
            if *method == "get" { farebox.http.get(farebox.url(&path)) } else { farebox.http.post(farebox.url(&path)) };
        for with_key in [false, true] {
            let request = request.try_clone().expect("no body");
            // A key is for programs; it opens no page.
            let request = if with_key { request.bearer_auth(&key.text) } else { request };
            let answer = request.send().await.expect("an answer");
            let (status, location) = (answer.status().as_u16(), answer.headers().get("location").cloned());
            let to_door = location.is_some_and(|place| place.to_str().is_ok_and(|place| place.starts_with("/sign-in")));
            let refused = (status == 303 && to_door) || matches!(status, 400 | 403 | 404 | 422);
            assert!(refused, "{method} {path} for {who:?} answers {status} to nobody (key: {with_key})");
            assert!(status == 303 || *method != "get", "{method} {path} answers {status}, not the way to the door");
        }
    }
    assert_eq!(
        farebox.text("select count(*)::text from api_key where disabled_at is null and deleted_at is null").await,
        "1"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_another_is_as_if_it_were_not_there() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let mut eve = Visitor::member(&farebox, "eve@example.com", "another horse battery").await;
    let hers = owned(&farebox, &mut ada, "ada@example.com").await;
    team::create(&mut eve, "Eavesdroppers").await;
    let token = eve.token("/settings/profile").await;
    let mut kinds = BTreeSet::new();
    for (method, path, who) in ROUTES {
        let Owner(kind) = who else { continue };
        kinds.insert(*kind);
        let (real, none) = (hers.id(kind).to_owned(), Owned::nobodys(kind));
        let theirs = send(&mut eve, method, &path_of(path, &real), &token).await;
        let unknown = send(&mut eve, method, &path_of(path, &none), &token).await;
        assert_eq!((theirs.status, unknown.status), (404, 404), "{method} {path}: {}", theirs.body);
        let ids = [real.as_str(), none.as_str()];
        assert_eq!(plain(&theirs, &ids), plain(&unknown, &ids), "{method} {path} tells the two apart");
        let garbage = send(&mut eve, method, &path_of(path, "x"), &token).await;
        assert_eq!(garbage.status, 404, "{method} {path}");
    }
    assert_eq!(kinds.len(), 15);

    // Nothing of it was done, and none of it is on a stranger's pages.
    assert_eq!(
        farebox.text("select count(*)::text from api_key where disabled_at is null and deleted_at is null").await,
        "2"
    );
    assert_eq!(farebox.text("select state from topup").await, "pending");
    for (method, path, who) in
        ROUTES.iter().filter(|(method, path, who)| *method == "get" && *who == Member && !path.contains('{'))
    {
        let page = send(&mut eve, method, path, &token).await;
        // Which app asks is missing there.
        let known = matches!(page.status, 200 | 303) || (*path, page.status) == ("/auth", 422);
        assert!(known, "{path} for {who:?}: {}", page.status);
        for secret in
            [hers.call.as_str(), &hers.key.id, &hers.topup, &hers.org, &hers.person, "ada@example.com", "Analytical"]
        {
            assert!(!page.body.contains(secret), "{secret} is on a stranger's {path}");
        }
    }
    // The owner herself gets there; a receipt is made when the payment was applied.
    let token = ada.token("/settings/profile").await;
    let paid = send(&mut ada, "post", &format!("/sandbox/checkout/{}", hers.topup), &token).await;
    assert_eq!(paid.status, 303, "{}", paid.body);
    for (method, path, who) in ROUTES {
        let Owner(kind) = who else { continue };
        if *method == "get" {
            let place = if *kind == "person" { &hers.org } else { &hers.key.org };
            team::open(&mut ada, place).await;
            reaches(&mut ada, &path_of(path, hers.id(kind))).await;
        }
    }
    farebox.books_are_clean().await;
}

/// The page is there within ten seconds.
async fn reaches(visitor: &mut Visitor<'_>, path: &str) {
    for _ in 0..100 {
        if matches!(visitor.get(path).await.status, 200 | 303) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("its owner does not reach {path}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_without_its_token_changes_nothing() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let hers = owned(&farebox, &mut ada, "ada@example.com").await;
    let eve =
        Visitor::member(&farebox, "eve@example.com", "another horse battery").await.token("/settings/profile").await;
    for (_, path, who) in ROUTES.iter().filter(|(method, ..)| *method == "post") {
        // The console has its own test, for who is no operator finds none of it.
        if matches!(who, For::Key | For::Provisioning | For::Nobody | For::Code | For::Processor | For::Operator) {
            continue;
        }
        let id = if let Owner(kind) = who { hers.id(kind) } else { "" };
        let path = path.replace("/settings/integrations/{provider}", "/settings/integrations/openai");
        for token in ["", "0", &eve] {
            let page = ada.post(token, &path_of(&path, id), &[("outcome", "paid"), ("name", "changed")]).await;
            assert!(matches!(page.status, 400 | 403 | 422), "{path} with the token {token:?}: {}", page.status);
        }
    }
    assert_eq!(
        farebox.text("select count(*)::text from api_key where disabled_at is null and deleted_at is null").await,
        "2"
    );
    assert_eq!(farebox.text("select count(*)::text from person where name = 'changed'").await, "0");
    assert_eq!(ada.get("/").await.status, 200, "still signed in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_sees_only_its_own_organization_and_a_cookie_opens_no_api() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let hers = owned(&farebox, &mut ada, "ada@example.com").await;
    let strange = farebox.key("eve@example.com", "3", &[]).await;
    let asked = |key: Key, id: String| {
        let farebox = &farebox;
        async move {
            let request = farebox.http.get(farebox.url(&format!("/api/v1/generation?id={id}"))).bearer_auth(&key.text);
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("a body"))
        }
    };
    let theirs = asked(strange.clone(), hers.call.clone()).await;
    assert_eq!(theirs.0, 404);
    assert_eq!(theirs, asked(strange.clone(), unused_id("gen-")).await, "another's call is as if it were not there");
    assert_eq!(asked(hers.key.clone(), hers.call.clone()).await.0, 200);
    assert_eq!(farebox.get(&strange, "/api/v1/credits").await["data"]["total_credits"].to_string(), "3");

    for (method, path, who) in ROUTES.iter().filter(|(_, _, who)| matches!(who, For::Key | For::Provisioning)) {
        for prefix in ["/api/v1", "/v1"] {
            let path = format!("{prefix}{}", path_of(path, &"0".repeat(64)));
            let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let request = farebox.http.request(method.clone(), farebox.url(&path));
            let page = ada.send(request.json(&json!({ "name": "x" }))).await;
            assert_eq!(page.status, 401, "{method} {path} for {who:?}: {}", page.body);
            // A key that calls models manages nothing.
            if *who == For::Provisioning {
                let request = farebox.http.request(method.clone(), farebox.url(&path)).bearer_auth(&hers.key.text);
                let answer = request.json(&json!({ "name": "x" })).send().await.expect("an answer");
                assert_eq!(answer.status(), 403, "{method} {path}");
            }
        }
    }
    assert_eq!(farebox.text("select count(*)::text from api_key").await, "3", "nothing was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_another_is_to_a_key_as_if_it_were_not_there() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let hers = owned(&farebox, &mut ada, "ada@example.com").await;
    let mut eve = Visitor::member(&farebox, "eve@example.com", "another horse battery").await;
    eve.get("/").await;
    let manager = farebox.key("eve@example.com", "3", &["--provisioning"]).await;
    let caller = farebox.key("eve@example.com", "3", &[]).await;
    let own = json!({ "provider": "openai", "key": "sk-own-0123456789abcdef" });
    let stored: serde_json::Value =
        farebox.post(&hers.provisioning, "/api/v1/byok", &own).await.json().await.expect("JSON");
    let stored = stored["data"]["id"].as_str().expect("an id").to_owned();
    let made = farebox.post(&hers.provisioning, "/api/v1/keys", &json!({ "name": "hers" })).await;
    let made: serde_json::Value = made.json().await.expect("JSON");
    let hash = made["data"]["hash"].as_str().expect("a hash").to_owned();
    // As long, and of nothing.
    let next = |c: char| c.to_digit(10).and_then(|digit| char::from_digit((digit + 1) % 10, 10)).unwrap_or(c);
    let other = |id: &str| id.chars().map(next).collect::<String>();
    let mut seen = 0;
    for (method, path, id, key) in [
        ("get", "/byok/{}", stored.as_str(), &manager),
        ("patch", "/byok/{}", stored.as_str(), &manager),
        ("delete", "/byok/{}", stored.as_str(), &manager),
        ("get", "/keys/{}", hash.as_str(), &manager),
        ("patch", "/keys/{}", hash.as_str(), &manager),
        ("delete", "/keys/{}", hash.as_str(), &manager),
        ("get", "/presets/{}", "hers-alone", &caller),
        ("get", "/presets/{}/versions", "hers-alone", &caller),
        ("get", "/presets/{}/versions/1", "hers-alone", &caller),
    ] {
        let unknown = if id == "hers-alone" { "hers-nobody".to_owned() } else { other(id) };
        let ask = |id: String| {
            let url = farebox.url(&format!("/api/v1{}", path.replace("{}", &id)));
            let method = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let request = farebox.http.request(method, url).bearer_auth(&key.text).json(&json!({ "name": "taken" }));
            async move {
                let answer = request.send().await.expect("an answer");
                // Whether the connection stays open is of the connection.
                let names = answer.headers().keys().map(ToString::to_string).filter(|name| name != "connection");
                let (status, head) = (answer.status().as_u16(), names.collect::<BTreeSet<_>>());
                (status, head, answer.text().await.expect("a body").replace(&id, "ID"))
            }
        };
        let (theirs, nobodys) = (ask(id.to_owned()).await, ask(unknown).await);
        assert_eq!(theirs.0, 404, "{method} {path}: {}", theirs.2);
        assert_eq!(theirs, nobodys, "{method} {path}");
        seen += 1;
    }
    assert_eq!(seen, 9);
    // They are there, for who owns them.
    for path in
        [format!("/api/v1/byok/{stored}"), format!("/api/v1/keys/{hash}"), "/api/v1/presets/hers-alone".to_owned()]
    {
        let request = farebox.http.get(farebox.url(&path)).bearer_auth(&hers.provisioning.text);
        assert_eq!(request.send().await.expect("an answer").status(), 200, "{path}");
    }
    assert_eq!(farebox.text("select count(*)::text from api_key where name = 'taken'").await, "0");
}

//! Who may open and change what in the console, over every route.

use std::collections::BTreeMap;

use super::{PASSWORD, adjust, fill, operator, staff};
use crate::access::{For, Owned, ROUTES};
use crate::support::Farebox;
use crate::support::visitor::Visitor;
use serde_json::json;
use sqlx::AssertSqlSafe;

/// A thing for every kind of path.
struct Things(BTreeMap<&'static str, String>);

impl Things {
    async fn of(farebox: &Farebox, olive: &mut Visitor<'_>) -> Things {
        let key = farebox.key("ada@example.com", "20", &[]).await;
        let answer = farebox.chat(&key, "sandbox/penny", "hi", json!({})).await;
        assert_eq!(answer.status(), 200);
        let call = answer.headers()["x-generation-id"].to_str().expect("text").to_owned();
        farebox.holds_are_closed().await;
        let asked = adjust(olive, &key.org, "grant", "5000").await;
        assert_eq!(asked.status, 303, "{}", asked.body);
        let adjustment = asked.location.rsplit('/').next().unwrap_or_default().to_owned();
        let topup = topup(olive).await;
        // Not while tables are compared.
        sqlx::query("update topup set ask_at = now() + interval '1 hour'").execute(&farebox.pool).await.expect("later");
        let uuid = farebox.text("select replace(id::text, '-', '') from transfer where code = 'usage'").await;
        let person =
            farebox.text("select replace(id::text, '-', '') from person where email = 'ada@example.com'").await;
        let month = farebox.text("select to_char(now() at time zone 'utc', 'YYYY-MM')").await;
        Things(BTreeMap::from([
            ("{org}", key.org),
            ("{call}", call),
            ("{adjustment}", adjustment),
            ("{confirmation}", "cfm_01900000000070008000000000000001".into()),
            ("{topup}", topup),
            ("{transfer}", format!("tra_{uuid}")),
            ("{person}", format!("usr_{person}")),
            ("{month}", month),
            ("{form}", "csv".into()),
            ("{day}", "2026-01-01".into()),
            ("{run}", "run_01900000000070008000000000000001".into()),
            ("{list}", "lst_01900000000070008000000000000001".into()),
            ("{author}", "sandbox".into()),
            ("{name}", "echo".into()),
            ("{provider}", "sandbox".into()),
            ("{endpoint}", farebox.text("select id::text from endpoint where upstream_model = 'echo'").await),
            ("{batch}", "bat_01900000000070008000000000000001".into()),
        ]))
    }

    fn path(&self, path: &str) -> String {
        self.0.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value))
    }
}

async fn topup(olive: &mut Visitor<'_>) -> String {
    let page = olive.get("/credits").await;
    let form = crate::support::visitor::form(&page.body, "/credits/topups");
    let mut fields: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.retain(|(name, _)| !matches!(*name, "csrf_token" | "amount" | "method"));
    fields.extend([("amount", "20"), ("method", "sandbox_card")]);
    let token = olive.token("/credits").await;
    let bought = olive.post(&token, "/credits/topups", &fields).await;
    assert_eq!(bought.status, 303, "{}", bought.body);
    bought.location.split(['/', '?']).find(|part| part.starts_with("top_")).unwrap_or_default().to_owned()
}

/// What a day, a comparison and a list are missing of: nothing was closed, compared or uploaded.
fn may_be_missing(path: &str) -> bool {
    ["{day}", "{run}", "{list}", "{confirmation}", "{batch}", "/catalog/price"].iter().any(|kind| path.contains(kind))
}

/// Every row of every table, but for what only tells that somebody was there, and for how fast endpoints were, which is
/// written down every few seconds, and what the auditor keeps.
async fn state(farebox: &Farebox) -> BTreeMap<String, String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
            and c.relname not in ('session', 'key_pace', '_sqlx_migrations', 'sign_in_failure', 'known_device', 'mail',
                'audit_anchor', 'audit_anchor_head', 'endpoint_hour', 'endpoint_minute', 'audit_mark', 'audited',
                'audited_late')",
    )
    .fetch_all(&farebox.pool)
    .await
    .expect("tables");
    let mut state = BTreeMap::new();
    for table in tables {
        let query = format!("select md5(coalesce(string_agg(r::text, '|' order by r::text), '')) from {table} r");
        let digest: String = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&farebox.pool).await.expect("a digest");
        state.insert(table, digest);
    }
    state
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_auditor_opens_everything_about_money_and_changes_nothing() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let things = Things::of(&farebox, &mut olive).await;
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;
    let mut eve = Visitor::member(&farebox, "eve@example.com", PASSWORD).await;
    let token = abel.token("/admin").await;
    let eves = eve.token("/settings/profile").await;
    let before = state(&farebox).await;
    let (mut wrong, mut opened, mut refused) = (Vec::new(), 0, 0);
    let fields = [("form", "act_01900000000070008000000000000001"), ("reason", "only trying"), ("amount", "1")];
    for (method, path, who) in ROUTES.iter().filter(|(.., who)| matches!(who, For::Auditor | For::Operator)) {
        let real = things.path(path);
        assert!(!real.contains('{'), "{path} names a thing that this test has none of");
        let (page, strange) = if *method == "get" {
            (abel.get(&real).await, eve.get(&real).await)
        } else {
            (abel.post(&token, &real, &fields).await, eve.post(&eves, &real, &fields).await)
        };
        if strange.status != 404 {
            wrong.push(format!("{method} {path} answers {} to somebody who is no operator", strange.status));
        }
        let right = match who {
            For::Auditor => page.status == 200 || (may_be_missing(path) && page.status == 404),
            _ => page.status == 403,
        };
        if *who == For::Auditor {
            opened += 1;
            assert_eq!(*method, "get", "{path} changes something and is open to auditors");
        } else {
            refused += 1;
        }
        if !right {
            wrong.push(format!("{method} {path} for {who:?} answers {} to an auditor", page.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(opened >= 20 && refused >= 20, "{opened} and {refused}");
    // Neither are the links there that an auditor could not follow.
    let overview = abel.get("/admin").await.body;
    assert!(overview.contains("Auditor") && !overview.contains("/admin/people") && !overview.contains("/admin/mails"));
    assert_eq!(before, state(&farebox).await, "something was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_changes_asks_for_the_token_a_fresh_sign_in_and_a_reason() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let things = Things::of(&farebox, &mut olive).await;
    let token = olive.token("/admin").await;
    let before = state(&farebox).await;
    let posts: Vec<_> = ROUTES.iter().filter(|(method, _, who)| *method == "post" && *who == For::Operator).collect();
    let form = "act_01900000000070008000000000000001";
    for (_, path, _) in &posts {
        let real = things.path(path);
        for bad in ["", "0"] {
            let page = olive.post(bad, &real, &[("form", form), ("reason", "no token")]).await;
            assert!(matches!(page.status, 403 | 422), "{path} without its token: {}", page.status);
        }
        // No reason, or none that says anything.
        for reason in ["", "x", "two\nlines"] {
            let fields =
                [("form", form), ("reason", reason), ("amount", "1"), ("kind", "grant"), ("org", &things.0["{org}"])];
            let page = olive.post(&token, &real, &fields).await;
            assert!(matches!(page.status, 303 | 404 | 422), "{path} with the reason {reason:?}: {}", page.status);
        }
    }
    assert_eq!(before, state(&farebox).await, "something was changed");
    sqlx::query("update session set authenticated_at = now() - interval '6 minutes'")
        .execute(&farebox.pool)
        .await
        .expect("older");
    for (_, path, _) in &posts {
        let page = olive.post(&token, &things.path(path), &[("form", form), ("reason", "an old sign-in")]).await;
        assert_eq!(page.status, 303, "{path}: {}", page.body);
        assert!(page.location.starts_with("/step-up"), "{path} goes to {}", page.location);
    }
    let mut after = state(&farebox).await;
    let mut before = before;
    // What was typed is kept for after it, sealed.
    before.remove("kept_form");
    after.remove("kept_form");
    assert_eq!(before, after, "something was changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_at_an_organization_changes_nothing() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let things = Things::of(&farebox, &mut olive).await;
    let org = &things.0["{org}"];
    let here = format!("/admin/organizations/{org}");
    let looks = fill(&mut olive, &here, &format!("{here}/look"), &[("reason", "a question of theirs")]).await;
    assert_eq!((looks.status, looks.location.as_str()), (303, "/"), "{}", looks.body);

    // What the owner sees, under a banner that says so.
    for path in ["/", "/keys", "/credits", "/activity", "/settings/organization", "/credits/statements/month"] {
        let page = olive.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains("as its owner sees it"), "{path} has no banner");
    }
    assert!(olive.get("/credits").await.body.contains("19.99"), "it is Ada's balance");
    let token = olive.token("/credits").await;
    let before = state(&farebox).await;
    let mut tried = 0;
    for (method, path, who) in ROUTES {
        let for_pages = !matches!(who, For::Key | For::Provisioning | For::Code | For::Processor | For::Machine);
        if *method != "post" || !for_pages || matches!(*path, "/admin/look/end" | "/sign-out") {
            continue;
        }
        tried += 1;
        let kind = if let For::Owner(kind) = who { Owned::nobodys(kind) } else { String::new() };
        let real = crate::access::path_of(&things.path(path), &kind);
        let page =
            olive.post(&token, &real, &[("form", "act_01900000000070008000000000000002"), ("reason", "trying")]).await;
        let told = page.body.contains("Stop looking first");
        assert!(page.status == 403 && told, "{path} answers {} to whoever looks", page.status);
    }
    assert!(tried > 100, "{tried} routes change something");
    // What is read is read in transactions that cannot write; taking the log along would be noted in it.
    assert_eq!(olive.get("/settings/audit/export?format=csv").await.status, 403);
    for (method, path, who) in ROUTES.iter().filter(|(method, path, who)| {
        *method == "get" && !path.contains('{') && *who == For::Member && !path.contains("export")
    }) {
        let page = olive.get(path).await;
        assert!(page.status < 500, "{method} {path} for {who:?}: {}", page.status);
    }
    assert_eq!(before, state(&farebox).await, "something was changed");

    let ended = olive.post(&token, "/admin/look/end", &[]).await;
    assert_eq!((ended.status, ended.location), (303, here));
    assert!(!olive.get("/").await.body.contains("as its owner sees it"));
    // Both logs say that somebody looked; the customer's without a name.
    let log = ada.get("/settings/audit").await.body;
    assert!(log.contains("Looked at the organization") && log.contains("The operator"), "{log}");
    assert!(!log.contains("olive@example.com"));
    let house = olive.get("/admin/log").await.body;
    assert!(house.contains("a question of theirs") && house.contains("Stopped looking"), "{house}");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());

    // A look ends by itself, and with the role.
    for (end, back) in [
        ("update impersonation set expires_at = now() - interval '1 second'", "delete from impersonation"),
        ("update operator set role = 'auditor'", "update operator set role = 'operator'"),
    ] {
        let here = format!("/admin/organizations/{org}");
        fill(&mut olive, &here, &format!("{here}/look"), &[("reason", "once more")]).await;
        assert!(olive.get("/").await.body.contains("as its owner sees it"));
        sqlx::query(end).execute(&farebox.pool).await.expect("the end");
        assert!(!olive.get("/").await.body.contains("as its owner sees it"), "{end}");
        sqlx::query(back).execute(&farebox.pool).await.expect("as before");
        sqlx::query("delete from impersonation").execute(&farebox.pool).await.expect("none");
    }
}

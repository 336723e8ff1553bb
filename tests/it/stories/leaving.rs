//! Closing an account, keeping it after all, and what is left of it when it is erased.

use serde_json::json;

use super::nodes::turns_to;
use crate::console::{fill, operator};
use crate::support::visitor::{Page, Visitor};
use crate::support::{Farebox, calendar, team};

const PASSWORD: &str = "correct horse battery";
const EMAIL: &str = "ada@example.com";

async fn delete(visitor: &mut Visitor<'_>) -> Page {
    visitor.submit("/settings/delete", "/settings/delete", &[("typed", "Ada@Example.com")]).await
}

pub async fn run(farebox: &Farebox, statement: &'static str) {
    sqlx::query(statement).execute(&farebox.pool).await.expect("done");
}

/// A week passes. The job is added again for the moved moment, as it would have been.
pub async fn a_week_passes(farebox: &Farebox) {
    run(
        farebox,
        "update account_deletion set asked_at = asked_at - interval '8 days', due_at = due_at - interval '8 days'",
    )
    .await;
    run(
        farebox,
        r#"select graphile_worker.add_job('erase_account', json_build_object(
            'person', 'usr_' || replace(person_id::text, '-', ''),
            'due', to_char(due_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))) from account_deletion"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_closed_kept_and_closed_again() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    ada.get("/").await;
    let key = farebox.key(EMAIL, "10", &[]).await;
    assert_eq!(farebox.chat(&key, "sandbox/echo", "hi", json!({})).await.status(), 200);
    let mut phone = Visitor::new(&farebox);
    phone.submit("/sign-in", "/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
    assert_eq!(phone.get("/keys").await.status, 200);

    let wrong = ada.submit("/settings/delete", "/settings/delete", &[("typed", "yes")]).await;
    assert!(wrong.status == 422 && wrong.body.contains("to confirm"), "{}", wrong.body);
    let gone = delete(&mut ada).await;
    assert_eq!((gone.status, gone.location.as_str()), (303, "/account/leaving"), "{}", gone.body);
    assert_eq!(ada.get("/keys").await.location, "/account/leaving");
    assert_eq!(phone.get("/keys").await.location, "/sign-in?next=%2Fkeys", "other devices are signed out");
    // Every node hears of it within a second.
    turns_to(&farebox, &key, "sandbox/echo", 403).await;
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'account_leaving'").await, "1");

    let back = phone.submit("/sign-in", "/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
    assert_eq!(back.status, 303);
    assert_eq!(phone.get("/").await.location, "/account/leaving");
    let kept = phone.submit("/account/leaving", "/account/keep", &[]).await;
    assert_eq!((kept.status, kept.location.as_str()), (303, "/"));
    turns_to(&farebox, &key, "sandbox/echo", 200).await;
    let nothing = phone.submit("/keys/new", "/account/keep", &[]).await;
    assert_eq!(nothing.status, 404, "there is nothing to take back");

    // The job of the request that was taken back erases nothing; a job that comes too early neither.
    assert_eq!(delete(&mut phone).await.status, 303);
    run(&farebox, "update graphile_worker._private_jobs set run_at = now() where key like 'erase:%'").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(farebox.text("select email from person").await, EMAIL);
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tells_who_somebody_was_is_erased_and_the_books_stay() {
    calendar::within_an_hour().await;
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    ada.get("/").await;
    let key = farebox.key(EMAIL, "10", &[]).await;
    let body = json!({ "model": "sandbox/echo", "messages": [{ "role": "user", "content": "hi" }] });
    for titled in [true, true, false] {
        let call = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&key.text).json(&body);
        let call = call.header("user-agent", "Adas-program/1").header("http-referer", "https://ada.example/notes");
        // A name that a program gives itself stays; without one, the app is named by its page.
        let call = if titled { call.header("x-title", "Notes") } else { call };
        assert_eq!(call.send().await.expect("an answer").status(), 200);
    }
    farebox.holds_are_closed().await;
    let calls = "select count(*)::text from usage where user_agent = 'Adas-program/1' and referer <> ''";
    assert_eq!(farebox.text(calls).await, "3");
    let apps = "select string_agg(app || ':' || n, ' ' order by app) from
                (select app, sum(requests)::text n from usage_hour group by app) h";
    assert_eq!(farebox.text(apps).await, "Notes:2 ada.example:1");
    // As on an account of their own; what such a provider took moves with the call, too.
    run(&farebox, "update usage set upstream_cost = 0.25 where app = 'ada.example'").await;
    run(&farebox, "update usage_hour set upstream_cost = 0.25 where app = 'ada.example'").await;
    let spent = farebox.text("select sum(cost)::text from usage").await;
    ada.submit("/settings/email", "/settings/email", &[("email", "later@example.com")]).await;
    assert_eq!(delete(&mut ada).await.status, 303);
    a_week_passes(&farebox).await;
    for _ in 0..100 {
        if farebox.text("select name from person").await == "Deleted account" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(farebox.text("select count(*)::text from account_deletion where erased_at is not null").await, "1");
    assert_eq!(ada.get("/").await.location, "/sign-in");
    assert!(matches!(farebox.chat(&key, "sandbox/echo", "hi", json!({})).await.status().as_u16(), 401 | 403));

    // Once the calls of then have ended, an hour later.
    run(&farebox, "update graphile_worker._private_jobs set run_at = now() where key like 'erase_calls:%'").await;
    for _ in 0..100 {
        if farebox.text(calls).await == "0" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(farebox.text("select count(*)::text from usage where referer = '' and user_agent = ''").await, "3");
    for _ in 0..100 {
        if farebox.text(apps).await == ":1 Notes:2" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(farebox.text(apps).await, ":1 Notes:2", "and the sums moved with the calls");
    assert_eq!(farebox.text("select string_agg(app, ' ' order by app) from usage").await, " Notes Notes");
    let taken = "select string_agg(app || ':' || upstream_cost::real, ' ' order by app) from usage_hour";
    assert_eq!(farebox.text(taken).await, ":0.25 Notes:0");
    run(&farebox, "update usage set upstream_cost = 0").await;
    run(&farebox, "update usage_hour set upstream_cost = 0").await;
    // Credits that are left stay in the books, where nobody can spend them.
    let left = "select (c.posted > 0 and o.frozen_at is not null)::text from credit c join org o on o.id = c.org_id";
    assert_eq!(farebox.text(left).await, "true");

    // Nothing in the whole database names the address or the person any more.
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and n.nspname in ('public', 'graphile_worker')",
    )
    .fetch_all(&farebox.pool)
    .await
    .expect("tables");
    assert!(tables.len() > 20);
    for table in tables {
        let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "select count(*) from {table} t where t::text ilike '%{EMAIL}%' or t::text ilike '%later@example.com%'
             or t::text ilike '%ada.example%' or t::text ilike '%Adas-program%'"
        )))
        .fetch_one(&farebox.pool)
        .await
        .expect("a count");
        assert_eq!(found, 0, "{table} still knows the address");
    }
    let again =
        Visitor::new(&farebox).submit("/sign-in", "/sign-in", &[("email", EMAIL), ("password", PASSWORD)]).await;
    assert_eq!(again.status, 422);
    assert_eq!(farebox.text("select sum(cost)::text from usage").await, spent);
    farebox.books_are_clean().await;
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());

    // The address is free for somebody new, who inherits nothing.
    let mut newcomer = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    let page = newcomer.get("/keys").await;
    assert!(page.status == 200 && !page.body.contains(&key.id));
}

/// Waits until so many accounts are erased, ten seconds at most.
async fn erased(farebox: &Farebox, accounts: &str) {
    let count = "select count(*)::text from account_deletion where erased_at is not null";
    for _ in 0..100 {
        if farebox.text(count).await == accounts {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("{} accounts are erased, not {accounts}", farebox.text(count).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_keeps_the_name_of_an_own_organization_or_of_a_new_operator() {
    let farebox = Farebox::start().await;
    let mut olive = operator(&farebox, "olive@example.com").await;
    operator(&farebox, "oscar@example.com").await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    run(&farebox, "update person set name = 'Augusta Byron' where email = 'ada@example.com'").await;
    ada.get("/").await;
    let key = farebox.key(EMAIL, "10", &[]).await;
    for name in ["Byron at home", "Augusta Byron"] {
        let renamed = ada.submit("/settings/organization", "/settings/organization", &[("name", name)]).await;
        assert_eq!(renamed.status, 303, "{}", renamed.body);
    }
    let here = format!("/admin/organizations/{}", key.org);
    for what in ["freeze", "unfreeze"] {
        let done = fill(&mut olive, &here, &format!("{here}/{what}"), &[("reason", "a question")]).await;
        assert_eq!(done.status, 303, "{}", done.body);
    }
    let fields = [("email", EMAIL), ("role", "operator"), ("reason", "a third one")];
    let asked = fill(&mut olive, "/admin/staff", "/admin/staff", &fields).await;
    assert!(asked.location.starts_with("/admin/confirmations/"), "{}", asked.location);
    assert!(olive.get(&asked.location).await.body.contains("Augusta Byron"), "its page says who");
    let looks = fill(&mut olive, &here, &format!("{here}/look"), &[("reason", "a question of hers")]).await;
    assert_eq!(looks.status, 303, "{}", looks.body);

    let named = "select count(*)::text from audit_entry e where e::text ilike '%byron%'";
    assert_ne!(farebox.text(named).await, "0");
    // What is never erased has no name.
    assert_eq!(farebox.text("select count(*)::text from audit_entry where before || after ilike '%byron%'").await, "0");
    assert_eq!(delete(&mut ada).await.status, 303);
    a_week_passes(&farebox).await;
    erased(&farebox, "1").await;
    assert_eq!(farebox.text(named).await, "0");
    // What others did elsewhere keeps their names.
    let others = "select count(*)::text from audit_entry where target_kind <> 'organization' and personal is not null";
    assert_ne!(farebox.text(others).await, "0");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_owner_of_others_stays() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    let mut bob = Visitor::member(&farebox, "bob@example.com", PASSWORD).await;
    for visitor in [&mut ada, &mut bob] {
        visitor.get("/").await;
    }
    run(&farebox, "insert into org (id, name, kind) values (gen_random_uuid(), 'Analytical Engines', 'team')").await;
    run(
        &farebox,
        "insert into membership (org_id, person_id, role, meter_id)
         select o.id, p.id, case when p.email like 'ada%' then 'owner' else 'member' end, gen_random_uuid()
         from org o cross join person p where o.kind = 'team'",
    )
    .await;
    let refused = delete(&mut ada).await;
    assert!(refused.status == 422 && refused.body.contains("Analytical Engines"), "{}", refused.body);
    assert_eq!(farebox.text("select count(*)::text from account_deletion").await, "0");
    // Twice at once is once.
    let token = bob.token("/settings/delete").await;
    let mut tab = Visitor::with_cookies(&farebox, bob.cookies());
    let fields = [("typed", "bob@example.com")];
    let (one, two) =
        tokio::join!(bob.post(&token, "/settings/delete", &fields), tab.post(&token, "/settings/delete", &fields));
    assert!(one.status == 303 || two.status == 303, "{} {}", one.status, two.status);
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'account_leaving'").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_operator_who_stays_does_not_leave() {
    let farebox = Farebox::start().await;
    let (olives, oscars) = ("olive@example.com", "oscar@example.com");
    let mut olive = operator(&farebox, olives).await;
    let page = olive.get("/settings/delete").await.body;
    assert!(page.contains("You are the only operator of this instance"), "{page}");
    let token = olive.token("/settings/profile").await;
    let refused = olive.post(&token, "/settings/delete", &[("typed", olives)]).await;
    assert!(refused.status == 422 && refused.body.contains("You are the only operator"), "{}", refused.body);
    assert_eq!(farebox.text("select count(*)::text from account_deletion").await, "0");

    let mut oscar = operator(&farebox, oscars).await;
    let gone = oscar.submit("/settings/delete", "/settings/delete", &[("typed", oscars)]).await;
    assert_eq!((gone.status, gone.location.as_str()), (303, "/account/leaving"), "{}", gone.body);
    // Whoever is leaving is not the one who stays, whichever way the other tries to go.
    let refused = olive.post(&token, "/settings/delete", &[("typed", olives)]).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    let me = team::person(&farebox, olives).await;
    fill(&mut olive, "/admin/staff", "/admin/staff/remove", &[("person", &me), ("reason", "leaving")]).await;
    assert!(!farebox.cli(&["user", "auditor", "--email", olives]).await.status.success());
    let role = "select role from operator o join person p on p.id = o.person_id where p.email = 'olive@example.com'";
    assert_eq!(farebox.text(role).await, "operator");

    // The end of the other one's role stands in the log of the house.
    a_week_passes(&farebox).await;
    erased(&farebox, "1").await;
    assert_eq!(farebox.text("select count(*)::text from operator").await, "1");
    let told =
        "select string_agg(before || ' ' || actor_kind, ';') from audit_entry where action = 'house.staff_changed'
        and chain_id = '00000000-0000-0000-0000-000000000000'";
    assert_eq!(farebox.text(told).await, r#"{"role":"operator"} system"#);
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

async fn team_of<'a>(farebox: &'a Farebox, role: &str) -> (Visitor<'a>, Visitor<'a>) {
    let mut ada = Visitor::member(farebox, EMAIL, PASSWORD).await;
    let mut grace = Visitor::member(farebox, "grace@example.com", PASSWORD).await;
    team::create(&mut ada, "Analytical Engines").await;
    team::bring_in(farebox, &mut ada, &mut grace, "grace@example.com", role).await;
    (ada, grace)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_who_is_leaving_is_not_the_one_who_stays() {
    let farebox = Farebox::start().await;
    let (mut ada, mut grace) = team_of(&farebox, "admin").await;
    let (hers, graces) = (
        format!("/settings/members/{}", team::person(&farebox, EMAIL).await),
        format!("/settings/members/{}", team::person(&farebox, "grace@example.com").await),
    );
    let role = format!("{graces}/role");
    assert_eq!(ada.submit(&graces, &role, &[("role", "owner")]).await.status, 303);
    let owners =
        "select string_agg(p.email, ' ' order by p.email) from membership m join person p on p.id = m.person_id
                  join org o on o.id = m.org_id where o.kind = 'team' and m.role = 'owner'";
    assert_eq!(farebox.text(owners).await, "ada@example.com grace@example.com");
    let fields = [("typed", "grace@example.com")];
    assert_eq!(grace.submit("/settings/delete", "/settings/delete", &fields).await.location, "/account/leaving");

    // Ada is the one who stays, whichever way she tries to go.
    let refused = delete(&mut ada).await;
    assert!(refused.status == 422 && refused.body.contains("Analytical Engines"), "{}", refused.body);
    ada.submit("/settings/organization", "/settings/organization/leave", &[("leave", "yes")]).await;
    ada.submit(&hers, &format!("{hers}/role"), &[("role", "member")]).await;
    assert_eq!(farebox.text(owners).await, "ada@example.com grace@example.com", "nothing was done");
    // Grace may go down at once, and cannot be made an owner again.
    assert_eq!(ada.submit(&graces, &role, &[("role", "admin")]).await.status, 303);
    assert_eq!(farebox.text(owners).await, EMAIL);
    ada.submit(&graces, &role, &[("role", "owner")]).await;
    assert!(ada.get("/settings/members").await.body.contains("deleting their account"));
    let transfer = format!("{graces}/transfer");
    ada.submit(&transfer, &transfer, &[("name", "Analytical Engines")]).await;
    assert_eq!(farebox.text(owners).await, EMAIL);
    // Once she keeps her account she can.
    grace.submit("/account/leaving", "/account/keep", &[]).await;
    assert_eq!(ada.submit(&graces, &role, &[("role", "owner")]).await.status, 303);
    assert_eq!(farebox.text(owners).await, "ada@example.com grace@example.com");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_manages_hears_in_time_of_keys_that_will_stop() {
    let farebox = Farebox::start().await;
    let (mut ada, mut grace) = team_of(&farebox, "member").await;
    farebox.cli(&["credits", "grant", "--email", EMAIL, "--amount", "5"]).await;
    let text = team::key(&mut grace, "Nightly report").await;
    let key = crate::support::Key { text, org: String::new(), id: String::new() };
    let fields = [("typed", "grace@example.com")];
    assert_eq!(grace.submit("/settings/delete", "/settings/delete", &fields).await.location, "/account/leaving");
    let told = "select string_agg(recipient, ' ') from mail where kind = 'keys_will_stop'";
    assert_eq!(farebox.text(told).await, EMAIL);
    let text = farebox.text("select subject || text_body from mail where kind = 'keys_will_stop'").await;
    assert!(text.contains("Analytical Engines") && text.contains("the key that they made there"), "{text}");
    // The program that depends on it goes on until then.
    assert_eq!(farebox.chat(&key, "sandbox/free", "hi", json!({})).await.status(), 200);
    assert_eq!(ada.get("/keys").await.status, 200);
    a_week_passes(&farebox).await;
    for _ in 0..100 {
        if farebox.chat(&key, "sandbox/free", "hi", json!({})).await.status() != 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(matches!(farebox.chat(&key, "sandbox/free", "hi", json!({})).await.status().as_u16(), 401 | 403));
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

const LATER: &str = "lovelace@example.org";

async fn is(farebox: &Farebox, query: &'static str, wanted: &str) {
    for _ in 0..100 {
        if farebox.text(query).await == wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(farebox.text(query).await, wanted, "{query}");
}

/// In which tables, and in how many rows of each, a text stands.
async fn known_in(farebox: &Farebox, text: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind = 'r' and n.nspname in ('public', 'graphile_worker') order by 1",
    )
    .fetch_all(&farebox.pool)
    .await
    .expect("tables");
    assert!(tables.len() > 20);
    let mut found = Vec::new();
    for table in tables {
        let count = format!("select count(*) from {table} t where strpos(lower(t::text), lower($1)) > 0");
        let rows: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(count)).bind(text).fetch_one(&farebox.pool).await.expect("a count");
        if rows > 0 {
            found.push(format!("{table} {rows}"));
        }
    }
    found
}

async fn moves_to(farebox: &Farebox, visitor: &mut Visitor<'_>, email: &str) {
    visitor.submit("/settings/email", "/settings/email", &[("email", email)]).await;
    let link = crate::support::visitor::mailed_link(farebox, email).await;
    let token = link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a token");
    let done = visitor.submit(&link, "/email/confirm", &[("token", &token)]).await;
    assert_eq!(done.status, 303, "{}", done.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_wrote_to_somebody_is_erased_at_every_address_they_had() {
    let farebox = Farebox::start().await;
    let mut bob = Visitor::member(&farebox, "bob@example.com", PASSWORD).await;
    team::create(&mut bob, "Difference Engines").await;
    // Invited before there is an account: sent twice, and taken back; then declined.
    team::invite(&mut bob, EMAIL, "member").await;
    run(&farebox, "update invitation set sent_at = now() - interval '1 day'").await;
    let id: uuid::Uuid = sqlx::query_scalar("select id from invitation").fetch_one(&farebox.pool).await.expect("one");
    let one = format!("/settings/members/invitations/{}", farebox::base::ids::InvitationId(id));
    for what in ["resend", "revoke"] {
        assert_eq!(bob.submit("/settings/members", &format!("{one}/{what}"), &[]).await.status, 303);
    }
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    team::invite(&mut bob, EMAIL, "billing").await;
    assert_eq!(team::answer(&farebox, &mut ada, EMAIL, "decline").await.status, 200);
    let told = "select string_agg(action, ' ' order by seq) from audit_entry where target_kind = 'invitation'";
    let actions = "member.invited member.invitation_resent member.invitation_revoked member.invited \
                   member.invitation_declined";
    assert_eq!(farebox.text(told).await, actions);
    // Another address, at which she joins. Somebody new gets the one that she had, and is invited at it.
    moves_to(&farebox, &mut ada, LATER).await;
    team::bring_in(&farebox, &mut bob, &mut ada, LATER, "member").await;
    let mut dan = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    team::invite(&mut bob, EMAIL, "admin").await;
    assert!(known_in(&farebox, LATER).await.len() > 3);

    let gone = ada.submit("/settings/delete", "/settings/delete", &[("typed", LATER)]).await;
    assert_eq!(gone.location, "/account/leaving", "{}", gone.body);
    a_week_passes(&farebox).await;
    is(&farebox, "select count(*)::text from account_deletion where erased_at is not null", "1").await;
    assert_eq!(known_in(&farebox, LATER).await, Vec::<String>::new());
    // What is left of the first address is Dan's: his row, his mails, his invitation, and two entries of logs about them.
    let dans = known_in(&farebox, EMAIL).await;
    let dans: Vec<&str> = dans.iter().map(String::as_str).collect();
    assert!(dans.contains(&"public.person 1") && dans.contains(&"public.invitation 1"), "{dans:?}");
    let mails = "select string_agg(kind, ' ' order by id) from mail where recipient = 'ada@example.com'";
    assert_eq!(farebox.text(mails).await, "verify_email invitation");
    let named = "select string_agg(action, ' ' order by seq) from audit_entry
                 where target_kind = 'invitation' and personal like '%ada@example.com%'";
    assert_eq!(farebox.text(named).await, "member.invited");
    assert_eq!(farebox.text(told).await, format!("{actions} member.invited member.invited"), "the log itself is whole");
    assert_eq!(team::answer(&farebox, &mut dan, EMAIL, "accept").await.location, "/");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_that_nobody_is_left_in_ends_with_the_account() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    team::create(&mut ada, "Analytical Engines").await;
    let text = team::key(&mut ada, "Nightly of Ada").await;
    let key = crate::support::Key { text, org: String::new(), id: String::new() };
    let details = [("name", "Lovelace Works"), ("email", "books@ada.example"), ("country", "GB")];
    let saved = ada.submit("/settings/billing", "/settings/billing", &details).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    let page = ada.get("/settings/delete").await.body;
    assert!(page.contains("Analytical Engines") && page.contains("nobody else is there"), "{page}");
    assert_eq!(delete(&mut ada).await.location, "/account/leaving");
    // Nothing ends before the week is over, so that it can be kept.
    assert_eq!(farebox.text("select count(*)::text from org where delete_after is not null").await, "0");
    a_week_passes(&farebox).await;
    is(&farebox, "select name from org where kind = 'team'", "Deleted organization").await;
    // What the organization and the key were called stands in its log, which says that they were made; nobody is named there.
    for text in ["Analytical Engines", "Nightly of Ada"] {
        assert_eq!(known_in(&farebox, text).await, ["public.audit_entry 1"], "{text}");
    }
    for text in ["Lovelace Works", "ada.example", EMAIL] {
        assert_eq!(known_in(&farebox, text).await, Vec::<String>::new(), "{text}");
    }
    assert!(matches!(farebox.chat(&key, "sandbox/free", "hi", json!({})).await.status().as_u16(), 401 | 403));
    let ended = "select string_agg(e.action, ' ' order by e.seq) from audit_entry e join org o on o.id = e.chain_id
                 where o.kind = 'team' and e.actor_kind = 'system'";
    assert_eq!(farebox.text(ended).await, "member.left organization.deletion_asked organization.deleted");
    let members = "select count(*)::text from membership m join org o on o.id = m.org_id where o.kind = 'team'";
    assert_eq!(farebox.text(members).await, "0");
    farebox.books_are_clean().await;
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_comes_to_an_organization_whose_only_owner_is_leaving() {
    let farebox = Farebox::start().await;
    let mut bob = Visitor::member(&farebox, "bob@example.com", PASSWORD).await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    team::create(&mut ada, "Analytical Engines").await;
    assert_eq!(team::invite(&mut ada, "bob@example.com", "member").await.status, 303);
    assert_eq!(delete(&mut ada).await.location, "/account/leaving");
    assert_eq!(farebox.text("select string_agg(ended_as, ' ') from invitation").await, "revoked");
    let logged = "select string_agg(action, ' ' order by seq) from audit_entry where target_kind = 'invitation'";
    assert_eq!(farebox.text(logged).await, "member.invited member.invitation_revoked");
    // Neither does one that was left open by a version before, or that was sent in that moment.
    for open in [false, true] {
        if open {
            run(&farebox, "update invitation set ended_at = null, ended_as = null").await;
        }
        let over = team::answer(&farebox, &mut bob, "bob@example.com", "accept").await;
        assert!(over.status == 422 && over.body.contains("no longer works"), "{}", over.body);
    }
    a_week_passes(&farebox).await;
    is(&farebox, "select count(*)::text from account_deletion where erased_at is not null", "1").await;
    is(&farebox, "select name from org where kind = 'team'", "Deleted organization").await;
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_owners_who_leave_at_once_one_stays() {
    let farebox = Farebox::start().await;
    let (mut ada, mut grace) = team_of(&farebox, "admin").await;
    let graces = format!("/settings/members/{}", team::person(&farebox, "grace@example.com").await);
    assert_eq!(ada.submit(&graces, &format!("{graces}/role"), &[("role", "owner")]).await.status, 303);
    let (one, other) = (ada.token("/settings/delete").await, grace.token("/settings/delete").await);
    let (one, other) = tokio::join!(
        ada.post(&one, "/settings/delete", &[("typed", EMAIL)]),
        grace.post(&other, "/settings/delete", &[("typed", "grace@example.com")]),
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 422], "{}\n{}", one.body, other.body);
    assert_eq!(farebox.text("select count(*)::text from account_deletion").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_to_others_forget_who_was_erased_and_nobody_writes_to_them_any_more() {
    let farebox = Farebox::start().await;
    let (_ada, mut grace) = team_of(&farebox, "member").await;
    run(&farebox, "update person set name = 'Grace Hopper' where email = 'grace@example.com'").await;
    team::key(&mut grace, "Nightly report").await;
    run(
        &farebox,
        "insert into balance_alert (org_id, enabled, below, to_owners, to_billing, more)
         select id, true, 5, true, true, array['first@example.com', 'Grace@Example.com', 'last@example.com'] from org
         where kind = 'team'",
    )
    .await;
    run(
        &farebox,
        "insert into billing_details (org_id, name, email) select id, 'Engines', 'grace@example.com' from org
         where kind = 'team'",
    )
    .await;
    let fields = [("typed", "grace@example.com")];
    assert_eq!(grace.submit("/settings/delete", "/settings/delete", &fields).await.location, "/account/leaving");
    let naming = "select count(*)::text from mail where kind = 'keys_will_stop' and subject like '%Grace Hopper%'";
    assert_eq!(farebox.text(naming).await, "1");
    let due = "select count(*)::text from graphile_worker._private_jobs where run_at <= now()";
    is(&farebox, due, "0").await;
    is(&farebox, "select count(*)::text from mail where sent_at is null", "0").await;
    a_week_passes(&farebox).await;
    is(&farebox, "select count(*)::text from account_deletion where erased_at is not null", "1").await;
    assert_eq!(farebox.text(naming).await, "0");
    assert_eq!(farebox.text("select count(*)::text from mail where mail::text ilike '%hopper%'").await, "0");
    assert_eq!(farebox.text("select more::text from balance_alert").await, "{first@example.com,last@example.com}");
    assert_eq!(farebox.text("select name || '/' || email from billing_details").await, "Engines/");
    // What is Ada's own stays, and so does that there was such a mail.
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'keys_will_stop'").await, "1");
    assert_ne!(farebox.text("select count(*)::text from mail where recipient = 'ada@example.com'").await, "0");
}

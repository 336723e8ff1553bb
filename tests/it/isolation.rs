//! The second wall: whatever a query forgets, a tenant sees and changes nothing of another.

use farebox::base::ids::OrgId;
use farebox::db;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};

use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options, cluster};

/// Tables with an organization that stand before the wall, and why: who is a member of what is asked before it is
/// known for which organization. They are read by all; see the tests at the end for what may be written.
const BEFORE: &[&str] = &["membership", "personal_org"];

async fn names(pool: &PgPool, query: &'static str) -> Vec<String> {
    sqlx::query_scalar(query).fetch_all(pool).await.expect("names")
}

#[tokio::test]
async fn every_table_of_tenants_stands_behind_the_wall() {
    let pool = PgPool::connect(&cluster::database().await).await.expect("the database");
    let all = names(
        &pool,
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') order by 1",
    )
    .await;
    let walled = names(
        &pool,
        "select c.relname::text from pg_class c
         join pg_policy p on p.polrelid = c.oid and p.polname = 'tenant'
         where c.relrowsecurity and c.relforcerowsecurity order by 1",
    )
    .await;
    assert!(all.len() >= 10, "{all:?}");
    for table in all.iter().filter(|table| !BEFORE.contains(&table.as_str())) {
        assert!(walled.contains(table), "{table}: its migration must end with `select isolate('{table}', 'org_id')`");
    }
    assert!(walled.contains(&"audit_entry".to_owned()));
    let powers = names(
        &pool,
        "select rolname::text from pg_roles where rolname = 'farebox_tenant'
            and (rolsuper or rolbypassrls or rolcanlogin or rolcreaterole or rolcreatedb)",
    )
    .await;
    assert!(powers.is_empty(), "the role of tenants has powers");
    let owned = names(
        &pool,
        "select relname::text from pg_class where relowner = (select oid from pg_roles where rolname = 'farebox_tenant')",
    )
    .await;
    assert!(owned.is_empty(), "the role of tenants owns {owned:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_without_their_filter_find_nothing_of_others() {
    let farebox = Farebox::start().await;
    for email in ["ada@example.com", "eve@example.com"] {
        Visitor::member(&farebox, email, "correct horse battery").await.get("/").await;
        let key = farebox.key(email, "10", &[]).await;
        farebox.chat(&key, "sandbox/echo", "mine alone", json!({})).await;
    }
    farebox.holds_are_closed().await;
    let orgs: Vec<uuid::Uuid> =
        sqlx::query_scalar("select p.org_id from personal_org p join person q on q.id = p.person_id order by q.email")
            .fetch_all(&farebox.pool)
            .await
            .expect("organizations");
    let [ada, eve] = orgs[..] else { panic!("two organizations: {orgs:?}") };

    let tables = names(
        &farebox.pool,
        "select c.relname::text from pg_class c join pg_policy p on p.polrelid = c.oid and p.polname = 'tenant'",
    )
    .await;
    let mut with_rows = 0;
    for table in tables {
        let whose = if table == "audit_entry" { "chain_id" } else { "org_id" };
        let count = |filter: &str| format!("select count(*) from {table} where {filter}");
        let all: i64 = sqlx::query_scalar(AssertSqlSafe(count(&format!("{whose} = '{ada}'"))))
            .fetch_one(&farebox.pool)
            .await
            .expect("a count");
        with_rows += i32::from(all > 0);

        let mut tx = db::tenant(&farebox.pool, OrgId(eve)).await.expect("a transaction");
        let seen: i64 = sqlx::query_scalar(AssertSqlSafe(count(&format!("{whose} is distinct from '{eve}'"))))
            .fetch_one(&mut *tx)
            .await
            .expect("a count");
        assert_eq!(seen, 0, "{table}: rows of others are seen");
        drop(tx);

        // Nor can they be changed, taken away, or written in another's name.
        for statement in [
            format!("update {table} set {whose} = {whose}"),
            format!("delete from {table}"),
            format!("insert into {table} select * from {table} where {whose} = '{ada}'"),
        ] {
            let mut tx = db::tenant(&farebox.pool, OrgId(eve)).await.expect("a transaction");
            // Constraints and triggers may refuse it outright, which is as well.
            let _ = sqlx::query(AssertSqlSafe(statement.clone())).execute(&mut *tx).await;
            let _ = sqlx::query("reset role").execute(&mut *tx).await;
            let left: Result<i64, _> =
                sqlx::query_scalar(AssertSqlSafe(count(&format!("{whose} = '{ada}'")))).fetch_one(&mut *tx).await;
            assert!(left.is_err() || left.is_ok_and(|left| left == all), "{statement} reached another's rows");
        }
    }
    assert!(with_rows >= 6, "only {with_rows} tables had something to lose");

    // Moving one's own row to another is refused by the wall itself.
    let mut tx = db::tenant(&farebox.pool, OrgId(eve)).await.expect("a transaction");
    let moved = sqlx::query("update api_key set org_id = $1").bind(ada).execute(&mut *tx).await;
    assert!(moved.is_err_and(|error| error.to_string().contains("row-level security")));
    drop(tx);

    // Role and organization end with the transaction, on whichever connection comes next.
    for _ in 0..20 {
        let role: (String, Option<String>) =
            sqlx::query_as("select current_user::text, nullif(current_setting('farebox.org', true), '')")
                .fetch_one(&farebox.pool)
                .await
                .expect("a role");
        assert_ne!(role.0, "farebox_tenant");
        assert_eq!(role.1, None);
    }
    // Without an organization there is nothing at all.
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    sqlx::query("set local role farebox_tenant").execute(&mut *tx).await.expect("the role");
    let seen: i64 = sqlx::query_scalar("select count(*) from api_key").fetch_one(&mut *tx).await.expect("a count");
    assert_eq!(seen, 0);
}

/// The URL of a fresh database that an ordinary user owns; `None` on a server that the environment names.
pub async fn of_an_ordinary_user(name: &str, may_isolate: bool) -> Option<String> {
    let cluster::Server::Own(server) = cluster::server() else { return None };
    // The role of tenants is there once any database of the server has the schema.
    let admin = PgPool::connect(&cluster::database().await).await.expect("the database");
    let grant = if may_isolate { format!("grant farebox_tenant to {name};") } else { String::new() };
    let statements = format!("create role {name} login; {grant}");
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&admin).await.expect("a user");
    let create = format!("create database {name} owner {name}");
    sqlx::query(AssertSqlSafe(create)).execute(&admin).await.expect("a database");
    Some(server.url(name).replace("user=farebox", &format!("user={name}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_database_user_runs_it_all_behind_the_wall() {
    let name = format!("ordinary_{}", std::process::id());
    let Some(url) = of_an_ordinary_user(&name, true).await else { return };
    let farebox = Farebox::with(Options { database_url: Some(url), ..Options::default() }).await;
    let user: (String, bool) =
        sqlx::query_as("select current_user::text, rolsuper from pg_roles where rolname = current_user")
            .fetch_one(&farebox.pool)
            .await
            .expect("a user");
    assert_eq!(user, (name, false));
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    assert_eq!(farebox.chat(&key, "sandbox/echo", "Hello", json!({})).await.status(), 200);
    farebox.holds_are_closed().await;
    for path in ["/", "/keys", "/credits", "/activity", "/settings/organization", "/settings/security"] {
        assert_eq!(ada.get(path).await.status, 200, "{path}");
    }
    let id = farebox::base::ids::KeyId::fresh().to_string();
    let made = ada.submit("/keys/new", "/keys", &[("id", id.as_str()), ("name", "Lab")]).await;
    assert_eq!(made.status, 200, "{}", made.body);
    farebox.books_are_clean().await;
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_build_the_wall_is_told_what_to_ask_for() {
    let name = format!("powerless_{}", std::process::id());
    let Some(url) = of_an_ordinary_user(&name, false).await else { return };
    let refused = Farebox::refusal(Options { database_url: Some(url), ..Options::default() }).await;
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("may not make or take the role farebox_tenant"), "{told}");
    assert!(told.contains(&format!("grant farebox_tenant to {name}")), "{told}");
}

/// The plan of a statement, without what it costs.
async fn plan(pool: &PgPool, statement: &str) -> Vec<String> {
    let explain = format!("explain (costs off) {statement}");
    sqlx::query_scalar(AssertSqlSafe(explain)).fetch_all(pool).await.expect("a plan")
}

/// What the wall costs a call: nothing. Nowhere on its way is the role changed, and the policy for the owner is a constant
/// that the planner takes out, so an ordinary user's plans are those of a superuser, whom no policy concerns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_of_a_call_has_no_wall_in_it() {
    let name = format!("caller_{}", std::process::id());
    let Some(url) = of_an_ordinary_user(&name, true).await else { return };
    let farebox = Farebox::with(Options { database_url: Some(url), ..Options::default() }).await;
    let key = farebox.key("ada@example.com", "10", &["--limit", "5"]).await;
    let watched = "create table seen (place text, changed_role text, acting text);
        create function see() returns trigger language plpgsql as $$ begin
            insert into seen values (tg_table_name || ' ' || tg_op, current_setting('role'), current_user);
            return null;
        end $$";
    sqlx::raw_sql(watched).execute(&farebox.pool).await.expect("a witness");
    for table in ["credit", "meter", "hold", "usage", "transfer", "usage_hour"] {
        let trigger = format!("create trigger see after insert or update or delete on {table} execute function see()");
        sqlx::query(AssertSqlSafe(trigger)).execute(&farebox.pool).await.expect("a trigger");
    }
    for _ in 0..10 {
        assert_eq!(farebox.chat(&key, "sandbox/echo", "Hello", json!({})).await.status(), 200);
    }
    farebox.holds_are_closed().await;
    let seen: Vec<(String, String, String)> = sqlx::query_as("select distinct place, changed_role, acting from seen")
        .fetch_all(&farebox.pool)
        .await
        .expect("what was seen");
    for place in ["credit UPDATE", "meter UPDATE", "hold INSERT", "hold DELETE", "usage INSERT", "transfer INSERT"] {
        assert!(seen.iter().any(|(one, ..)| one == place), "nobody saw {place}: {seen:?}");
    }
    for (place, changed, acting) in &seen {
        assert_eq!((changed.as_str(), acting), ("none", &name), "{place} is done in another role");
    }

    let cluster::Server::Own(server) = cluster::server() else { return };
    let superuser = PgPool::connect(&server.url(&name)).await.expect("the same database");
    let org = "00000000-0000-7000-8000-000000000000";
    for statement in [
        format!("select posted, held from credit where org_id = '{org}' for update"),
        format!("update credit set held = held + 1 where org_id = '{org}' and posted - held >= 1"),
        format!("select * from meter where org_id = '{org}' and id = any(array['{org}']::uuid[]) for update"),
        format!("delete from hold where org_id = '{org}' and id = '{org}' returning amount"),
        format!("select * from usage where org_id = '{org}' and id = '{org}'"),
        "select * from api_key where digest = 'x'".to_owned(),
    ] {
        let (ours, bare) = (plan(&farebox.pool, &statement).await, plan(&superuser, &statement).await);
        assert_eq!(ours, bare, "{statement}");
    }
}

/// What the role of tenants may do with tables that do not stand behind the wall, a column at least. With all others: nothing.
/// A new one is readable and writable, until its migration says otherwise.
const RIGHTS: &str = "\
account_deletion select
announcement select
audit_chain select insert update
book_close select
code_batch select insert update delete
code_failure select insert update delete
endpoint select
endpoint_hour select
endpoint_minute select
mail select insert
membership select insert update delete
model select
org select update
person select
personal_org select
picture select insert update delete
price_version select
processor_event select insert update delete
provider select
receipt_counter select insert update delete
redemption_code select insert update delete
sandbox_payment select insert update delete
seller select
session select update
";

#[tokio::test]
async fn the_role_of_tenants_may_do_what_its_pages_need_and_nothing_else() {
    let pool = PgPool::connect(&cluster::database().await).await.expect("the database");
    let rights: String = sqlx::query_scalar(
        "select string_agg(format(E'%s %s\\n', name, rights), '' order by name) from (
            select c.relname::text as name, string_agg(p, ' ' order by n) as rights
            from pg_class c cross join unnest(array['select', 'insert', 'update', 'delete']) with ordinality as all_rights (p, n)
            where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
                and not exists (select from pg_policy where polrelid = c.oid and polname = 'tenant')
                and (has_table_privilege('farebox_tenant', c.oid, p)
                    or (p <> 'delete' and has_any_column_privilege('farebox_tenant', c.oid, p)))
            group by c.relname) of_table",
    )
    .fetch_one(&pool)
    .await
    .expect("rights");
    assert_eq!(rights, RIGHTS, "revoke in the migration what pages of members do not need, then change this list");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_the_wall_a_tenant_reads_no_secret_and_changes_nothing_of_others() {
    let farebox = Farebox::start().await;
    for email in ["ada@example.com", "eve@example.com"] {
        Visitor::member(&farebox, email, "correct horse battery").await.get("/").await;
    }
    let of = |email: &'static str| {
        let pool = farebox.pool.clone();
        async move {
            let query = "select o.org_id from personal_org o join person p on p.id = o.person_id where p.email = $1";
            sqlx::query_scalar::<_, uuid::Uuid>(query).bind(email).fetch_one(&pool).await.expect("an organization")
        }
    };
    let (ada, eve) = (of("ada@example.com").await, of("eve@example.com").await);
    sqlx::query(
        "insert into picture (id, owner_kind, owner_id, png) values (gen_random_uuid(), 'organization', $1, 'x')",
    )
    .bind(ada)
    .execute(&farebox.pool)
    .await
    .expect("a picture");
    // Also of its own log nothing can be changed, taken away or made unreadable.
    for statement in [
        "select password_hash from person",
        "update person set email = 'eve@example.com'",
        "select text_body from mail",
        "update mail set recipient = 'eve@example.com'",
        "select digest from session",
        "update session set person_id = null",
        "select from totp",
        "select from one_time_token",
        "insert into operator (person_id) select id from person",
        "update audit_entry set personal = null",
        "delete from audit_entry",
        "delete from audit_chain",
        "delete from org",
        "update model set name = 'Mine'",
    ] {
        let mut tx = db::tenant(&farebox.pool, OrgId(eve)).await.expect("a transaction");
        let refused = sqlx::query(statement).execute(&mut *tx).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("permission denied")), "{statement}");
    }
    // What can be changed is one's own.
    for (statement, own) in [
        ("update org set name = 'Taken'", 1),
        ("update membership set role = 'owner'", 1),
        ("delete from membership", 1),
        ("update picture set png = 'y'", 0),
        ("delete from picture", 0),
    ] {
        let mut tx = db::tenant(&farebox.pool, OrgId(eve)).await.expect("a transaction");
        let done = sqlx::query(statement).execute(&mut *tx).await.expect(statement);
        assert_eq!(done.rows_affected(), own, "{statement}");
    }
    for statement in [
        "insert into membership (org_id, person_id, role, meter_id) select $1, id, 'owner', gen_random_uuid() from person
            where email = 'eve@example.com'",
        "update membership set org_id = $1",
        "insert into picture (id, owner_kind, owner_id, png) values (gen_random_uuid(), 'person', $1, 'x')",
    ] {
        let mut tx = db::tenant(&farebox.pool, OrgId(eve)).await.expect("a transaction");
        let refused = sqlx::query(statement).bind(ada).execute(&mut *tx).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("row-level security")), "{statement}");
    }
}

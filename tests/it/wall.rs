//! The second wall, with the program's own queries: each of them without its filter, as another tenant.
//!
//! They are taken from `.sqlx`, where every checked query stands. One is opened by making each comparison with what the caller
//! gives true, and by giving times, numbers and limits that let everything through.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::access::owned;
use crate::support::Farebox;
use crate::support::visitor::Visitor;

/// Read by every tenant, so rows with an organization's id may be there.
const BEFORE: &[&str] = &["membership", "personal_org", "org", "person"];
/// Of all opened queries at least so many must show something of the victim to whom no wall stands in front of. Otherwise
/// this test proves little.
const MOST_SHOW: usize = 60;

struct Query {
    text: String,
    parameters: Vec<String>,
}

fn queries() -> Vec<Query> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".sqlx");
    let mut found: Vec<Query> = fs::read_dir(folder)
        .expect("the checked queries")
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("a text"))
        .filter_map(|text| {
            let query: Value = serde_json::from_str(&text).expect("JSON");
            // What takes rows of a type of its own is no page's query.
            let types = query["describe"]["parameters"]["Left"].as_array().cloned().unwrap_or_default();
            let parameters = types.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()?;
            Some(Query { text: query["query"].as_str().expect("a query").to_owned(), parameters })
        })
        .collect();
    found.sort_by(|one, other| one.text.cmp(&other.text));
    found
}

fn names(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect()
}

/// The tables that a statement names as such; what it calls its columns may be named like one.
fn used(text: &str) -> BTreeSet<&str> {
    let words: Vec<&str> =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
    let named = words.windows(2).filter(|pair| matches!(pair[0], "from" | "join" | "update" | "into" | "using"));
    named.map(|pair| pair[1]).collect()
}

fn is_write(text: &str) -> bool {
    names(text).into_iter().any(|word| matches!(word, "insert" | "update" | "delete"))
        && !text.trim_start().to_lowercase().starts_with("select")
}

fn sql_type(name: &str) -> String {
    let plain = name.trim_end_matches("Array");
    format!("{}{}", plain.to_lowercase(), if plain == name { "" } else { "[]" })
}

/// What stands for a parameter, by what it is compared with.
fn literal(kind: &str, before: &str) -> String {
    let before = before.trim_end();
    let (lower, upper) =
        (before.ends_with('>') || before.ends_with(">="), before.ends_with('<') || before.ends_with("<="));
    let text = match kind {
        "Timestamptz" | "Date" if upper => "'2999-01-01'",
        "Timestamptz" | "Date" if lower => "'1970-01-01'",
        "Interval" if upper => "'9999 days'",
        "Interval" => "'0'",
        "Int8" | "Int4" | "Int2" if before.ends_with("limit") || upper => "30000",
        "Int8" | "Int4" | "Int2" | "Numeric" => "0",
        "Bool" => "true",
        "Text" => "''",
        "Timestamptz" | "Date" => "'2026-01-01'",
        _ => "null",
    };
    format!("{text}::{}", sql_type(kind))
}

/// The query with nothing of what its caller gives left in it. In a statement that writes, only what is behind its first
/// `where` is a comparison.
fn opened(query: &Query) -> String {
    let writes = is_write(&query.text);
    let first = if writes { query.text.find("where").unwrap_or(query.text.len()) } else { 0 };
    let (mut out, mut rest) = (String::new(), query.text.as_str());
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        let digits: String = after.chars().skip(1).take_while(char::is_ascii_digit).collect();
        out.push_str(before);
        rest = after.get(1 + digits.len()..).unwrap_or_default();
        let position = query.text.len() - rest.len();
        let Some(kind) = digits.parse::<usize>().ok().and_then(|number| query.parameters.get(number.wrapping_sub(1)))
        else {
            out.push('$');
            out.push_str(&digits);
            continue;
        };
        let (value, any) = (literal(kind, &out), out.ends_with("any("));
        let head = out.trim_end_matches("any(").trim_end();
        let compared = head.strip_suffix('=').filter(|head| !head.ends_with(['<', '>', '!', ':']) && position > first);
        let Some(column) = compared.map(str::trim_end) else {
            out.push_str(&value);
            continue;
        };
        let start = column.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.')).len();
        if start == column.len() {
            out.push_str(&value);
            continue;
        }
        out.insert(start, '(');
        // A cast, and the bracket of `any`, belong to the comparison.
        let cast: usize = rest.strip_prefix("::").map_or(0, |cast| {
            2 + cast.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '[' | ']')).count()
        });
        let taken = cast + usize::from(any && rest.get(cast..).is_some_and(|rest| rest.starts_with(')')));
        out.push_str(&value);
        out.push_str(rest.get(..taken).unwrap_or_default());
        out.push_str(" or true)");
        rest = rest.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

async fn walled(pool: &PgPool) -> Vec<(String, &'static str)> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_policy p on p.polrelid = c.oid and p.polname = 'tenant' order by 1",
    )
    .fetch_all(pool)
    .await
    .expect("tables");
    tables
        .into_iter()
        .map(|table| if table == "audit_entry" { (table, "chain_id") } else { (table, "org_id") })
        .collect()
}

/// A transaction of one moment that is never committed, in which one statement may not take long.
async fn begin(pool: &PgPool) -> Transaction<'static, Postgres> {
    let begin =
        "begin isolation level repeatable read; set local statement_timeout = '20s'; set local lock_timeout = '2s'";
    pool.begin_with(begin).await.expect("a transaction")
}

async fn become_tenant(tx: &mut Transaction<'static, Postgres>, org: Uuid) {
    let statement = format!("set local role farebox_tenant; set local farebox.org = '{org}'");
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut **tx).await.expect("the role");
}

/// Everything that a query finds, as one text; `None` where it is refused or is no query by itself.
async fn finds(pool: &PgPool, query: &str, tenant: Option<Uuid>) -> Result<String, String> {
    let mut tx = begin(pool).await;
    if let Some(tenant) = tenant {
        become_tenant(&mut tx, tenant).await;
    }
    let whole = format!("select coalesce(string_agg(found::text, ' '), '') from ({query}) found");
    sqlx::query_scalar(AssertSqlSafe(whole)).fetch_one(&mut *tx).await.map_err(|error| error.to_string())
}

/// Rows of an organization in the named tables, digested.
async fn state(tx: &mut Transaction<'static, Postgres>, tables: &[&(String, &str)], orgs: &[Uuid]) -> String {
    let mut all = String::new();
    for (table, whose) in tables {
        let query = format!(
            "select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {table} t where {whose} = any($1)"
        );
        let one: String = sqlx::query_scalar(AssertSqlSafe(query)).bind(orgs).fetch_one(&mut **tx).await.expect("rows");
        all.push_str(&one);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_query_of_the_program_shows_or_changes_anything_of_another_tenant_without_its_filter() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    owned(&farebox, &mut ada, "ada@example.com").await;
    let mut eve = Visitor::member(&farebox, "eve@example.com", "correct horse battery").await;
    eve.get("/").await;
    farebox.holds_are_closed().await;
    let pool = &farebox.pool;
    let orgs: Vec<Uuid> = sqlx::query_scalar(
        "select m.org_id from membership m join person p on p.id = m.person_id where p.email = 'ada@example.com'",
    )
    .fetch_all(pool)
    .await
    .expect("organizations");
    let eves: Uuid = sqlx::query_scalar(
        "select m.org_id from membership m join person p on p.id = m.person_id where p.email = 'eve@example.com'",
    )
    .fetch_one(pool)
    .await
    .expect("an organization");
    let walled = walled(pool).await;
    // What tells that a row is Ada's: ids of her things, and the ids of her organizations where nobody else may see those.
    let mut things: Vec<String> = Vec::new();
    // Meters are named by memberships, which all may read.
    for (table, _) in walled.iter().filter(|(table, _)| table != "meter" && table != "audited") {
        let column =
            "select exists (select from information_schema.columns where table_name = $1 and column_name = 'id'
                and data_type = 'uuid')";
        if sqlx::query_scalar::<_, bool>(column).bind(table).fetch_one(pool).await.expect("a column") {
            let ids = format!("select id::text from {table} where org_id = any($1)");
            things.extend(
                sqlx::query_scalar::<_, String>(AssertSqlSafe(ids)).bind(&orgs).fetch_all(pool).await.expect("ids"),
            );
        }
    }
    assert!(things.len() > 15, "{things:?}");
    let of_orgs: Vec<String> = orgs.iter().map(Uuid::to_string).collect();

    let (mut show, mut ran, mut refused) = (0, 0, Vec::new());
    let (mut leaks, mut writes) = (Vec::new(), 0);
    for query in queries() {
        let words = used(&query.text);
        let tables: Vec<_> = walled.iter().filter(|(table, _)| words.contains(table.as_str())).collect();
        if tables.is_empty() {
            continue;
        }
        let text = opened(&query);
        if is_write(&query.text) {
            let mut tx = begin(pool).await;
            let before = state(&mut tx, &tables, &orgs).await;
            become_tenant(&mut tx, eves).await;
            let done = sqlx::query(AssertSqlSafe(text.clone())).execute(&mut *tx).await;
            if done.is_err() {
                // Refused: by the wall, by a constraint, or because it cannot be opened.
                continue;
            }
            writes += 1;
            sqlx::raw_sql("reset role").execute(&mut *tx).await.expect("the owner");
            if before != state(&mut tx, &tables, &orgs).await {
                leaks.push(format!("changes rows of Ada: {text}"));
            }
            continue;
        }
        let shared = BEFORE.iter().any(|table| words.contains(table));
        let tells = |found: &str| {
            things.iter().any(|id| found.contains(id.as_str()))
                || (!shared && of_orgs.iter().any(|id| found.contains(id.as_str())))
        };
        match finds(pool, &text, None).await {
            Ok(all) => show += usize::from(tells(&all)),
            Err(error) => refused.push(format!("{error}: {text}")),
        }
        if let Ok(seen) = finds(pool, &text, Some(eves)).await {
            ran += 1;
            if tells(&seen) {
                leaks.push(format!("shows something of Ada: {text}"));
            }
        }
    }
    assert!(leaks.is_empty(), "{}", leaks.join("\n\n"));
    assert!(show >= MOST_SHOW && writes >= 20, "{show} show something, {ran} ran, {writes} wrote");
    assert!(refused.len() * 5 <= ran, "{} could not be opened:\n{}", refused.len(), refused.join("\n\n"));
}

#[test]
fn a_query_is_opened_at_every_comparison() {
    let of = |text: &str, parameters: &[&str]| {
        let parameters = parameters.iter().map(|one| (*one).to_owned()).collect();
        opened(&Query { text: text.to_owned(), parameters })
    };
    assert_eq!(
        of(
            "select k.id from api_key k where k.org_id = $1 and k.id = any($2) and at >= $3 limit $4",
            &["Uuid", "UuidArray", "Timestamptz", "Int8"]
        ),
        "select k.id from api_key k where (k.org_id = null::uuid or true) and (k.id = any(null::uuid[]) or true) \
         and at >= '1970-01-01'::timestamptz limit 30000::int8"
    );
    assert_eq!(
        of("update api_key set name = $2 where org_id = $1", &["Uuid", "Text"]),
        "update api_key set name = ''::text where (org_id = null::uuid or true)"
    );
}

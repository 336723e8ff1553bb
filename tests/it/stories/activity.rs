//! The activity page as its readers use it, what programs ask about calls, and all of it with many of them.

use std::time::{Duration, Instant};

use farebox::activity::{self, Group, LogFilter, Period, Range, Slice};
use farebox::base::Usd;
use farebox::base::ids::OrgId;
use serde_json::{Value, json};

use super::management::{ask, issue, provisioning};
use crate::console::operator;
use crate::support::Farebox;
use crate::support::calendar;
use crate::support::size::scale;
use crate::support::visitor::{Visitor, between};

/// The field of each line of a CSV file, but for those of its head.
pub fn column(csv: &str, name: &str) -> Vec<String> {
    let mut lines = csv.lines();
    let at = lines.next().expect("a head").split(',').position(|field| field == name).expect("the column");
    lines.map(|line| line.split(',').nth(at).unwrap_or_default().to_owned()).collect()
}

pub fn sum(amounts: &[String]) -> Usd {
    amounts.iter().map(|amount| Usd::parse(amount).expect("an amount")).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_filtered_is_what_is_shown_saved_and_exported() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let empty = ada.get("/activity").await;
    assert!(empty.body.contains("No calls yet"));
    let key = farebox.key("ada@example.com", "10", &[]).await;
    for _ in 0..3 {
        assert_eq!(farebox.chat(&key, "sandbox/penny", "one cent", json!({})).await.status(), 200);
    }
    assert_eq!(farebox.chat(&key, "sandbox/echo", "Hello", json!({})).await.status(), 200);
    farebox.holds_are_closed().await;

    for path in [
        "/activity?period=24h&group=member&compare=1&tz=Asia%2FKathmandu",
        "/activity?period=month&group=key&col=id&col=member&col=cached&col=first&col=duration&col=finish",
        "/activity?period=1h&group=app&model=sandbox%2Fpenny&min=0.001",
        "/activity?period=custom&from=2026-01-01&to=2026-12-31&group=provider",
        "/activity?period=custom&from=2020-01-01&to=2020-01-02",
    ] {
        let page = ada.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
    }
    let nothing = ada.get("/activity?period=custom&from=2020-01-01&to=2020-01-02").await.body;
    assert!(nothing.contains("No data"), "no data is not zero");
    for (path, word) in [
        ("/activity?tz=Mars", "no time zone"),
        ("/activity?period=custom&from=2026-02-01&to=2026-01-01", "begins before it ends"),
        ("/activity?key=1", "cannot be read"),
        // What was typed into a field comes again in it.
        ("/activity?min=0%2C01&group=key", "value=\"0,01\""),
        ("/activity?min=0%2C01&group=key", "id=\"min-error\""),
        ("/activity?id=mine", "It begins with gen-"),
        ("/activity?period=custom&from=11%2F01%2F2026&to=2026-11-30", "value=\"11/01/2026\""),
        ("/activity?period=custom&from=11%2F01%2F2026&to=2026-11-30", "Nothing was looked for"),
        ("/activity/export?format=xls", "format=csv"),
        ("/activity/export?modle=sandbox/echo", "is no filter"),
        ("/activity/export?period=fortnight", "period"),
    ] {
        let page = ada.get(path).await;
        assert!(page.status == 422 && page.body.contains(word), "{path}: {} {}", page.status, page.body);
    }

    let filtered = "/activity?period=7d&group=model&model=sandbox%2Fpenny&status=success";
    let page = ada.get(filtered).await.body;
    assert!(page.contains("Remove the filter Model sandbox/penny") && page.contains("3 of 3 calls"), "{page}");
    assert!(!page.contains("Figures and charts count all calls"), "few calls are gone through for their sums: {page}");
    let csv = ada.get(&filtered.replace("/activity?", "/activity/export?format=csv&")).await.body;
    assert_eq!(column(&csv, "model"), ["sandbox/penny"; 3]);
    assert_eq!(sum(&column(&csv, "cost_usd")), Usd::from_cents(3));
    let card = between(&page, "class=\"figure-value\">", "</span>");
    assert!(card.contains("$0.03"), "the card says the same: {card}");
    let lines = ada.get(&filtered.replace("/activity?", "/activity/export?format=jsonl&")).await.body;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.iter().map(|line| line["cost_usd"].as_str().unwrap_or_default()).collect::<Vec<_>>(), ["0.01"; 3]);
    let pdf = farebox.http.get(farebox.url("/activity/export?format=pdf&period=30d"));
    let cookies: Vec<String> = ada.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let pdf = pdf.header("cookie", cookies.join("; ")).send().await.expect("a file");
    assert_eq!(
        (pdf.status().as_u16(), pdf.headers()["content-type"].to_str().expect("text")),
        (200, "application/pdf")
    );
    assert!(pdf.bytes().await.expect("its bytes").starts_with(b"%PDF"));
    let all = ada.get("/activity/export?period=30d").await.body;
    let paid = Usd::parse(&farebox.text("select sum(amount)::text from transfer where code = 'usage'").await);
    assert_eq!(sum(&column(&all, "cost_usd")), paid.expect("an amount"), "the export is what the ledger moved");

    // A view is kept as its address, and read back by its link.
    let saved = ada.submit("/activity", "/activity/views", &[("name", "Pennies"), ("query", &filtered[10..])]).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    let page = ada.get("/activity").await.body;
    assert!(page.contains(">Pennies</a>") && page.contains("model=sandbox%2Fpenny"), "{page}");
    let view = between(&page, "/activity/views/", "/delete");
    let odd = ada.submit("/activity", "/activity/views", &[("name", "x"), ("query", "tz=Mars")]).await;
    assert_eq!(odd.status, 422);
    let gone = ada.submit("/activity", &format!("/activity/views/{view}/delete"), &[("here", "period=7d")]).await;
    assert_eq!((gone.status, ada.get("/activity").await.body.contains("Pennies")), (303, false));

    // The page asks how much is new, and stays as it is.
    let page = ada.get("/activity?period=24h").await.body;
    let live = between(&page, "hx-get=\"", "\"").replace("&#38;", "&").replace("&amp;", "&");
    assert!(live.starts_with("/activity/new?"), "{live}");
    assert_eq!(ada.get(&live).await.body.trim(), "");
    assert_eq!(farebox.chat(&key, "sandbox/penny", "one cent", json!({})).await.status(), 200);
    farebox.holds_are_closed().await;
    let newer = ada.get(&live).await.body;
    assert!(newer.contains("1 new call") && !newer.contains("<html"), "{newer}");

    // A row opens beside the list, and as a page.
    let call = between(&page, "href=\"/activity/gen-", "\"");
    let request = farebox.http.get(farebox.url(&format!("/activity/gen-{call}"))).header("HX-Request", "true");
    let part = ada.send(request).await.body;
    assert!(part.contains("Hold and settlement") && part.contains("curl ") && !part.contains("<html"), "{part}");
    assert!(ada.get(&format!("/activity/gen-{call}")).await.body.contains("<html"));

    let kept = ada.submit("/settings/activity", "/settings/activity", &[("days", "90")]).await;
    assert_eq!(kept.status, 303, "{}", kept.body);
    assert!(ada.get("/activity").await.body.contains("Calls are kept for 90 days"));
    let odd = ada.submit("/settings/activity", "/settings/activity", &[("days", "1")]).await;
    assert_eq!(odd.status, 422);
    assert_eq!(farebox.text("select usage_days::text from org where usage_days is not null").await, "90");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_ask_for_sums_by_what_they_want_to_tell_apart() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let manager = provisioning(&farebox, "ada@example.com", "10", &[]).await;
    let (one, hash) = issue(&farebox, &manager, json!({ "name": "one" })).await;
    let (two, _) = issue(&farebox, &manager, json!({ "name": "two" })).await;
    for (key, model) in
        [(&one, "sandbox/penny"), (&one, "sandbox/penny"), (&two, "sandbox/penny"), (&two, "sandbox/echo")]
    {
        assert_eq!(farebox.chat(key, model, "hi", json!({})).await.status(), 200);
    }
    farebox.holds_are_closed().await;
    let meta = ask(&farebox, &manager, ("GET", "/api/v1/analytics/meta"), None, 200).await;
    for (list, name) in
        [("metrics", "request_count"), ("dimensions", "api_key_id"), ("operators", "not_in"), ("granularities", "week")]
    {
        let list = meta["data"][list].as_array().expect("a list");
        assert!(list.iter().any(|one| one["name"] == name), "{name} is not in {list:?}");
    }
    let query = async |body: Value, status: u16| {
        ask(&farebox, &manager, ("POST", "/api/v1/analytics/query"), Some(body), status).await
    };
    let all = query(json!({ "metrics": ["request_count", "total_usage"] }), 200).await;
    let paid = farebox.text("select sum(amount)::text from transfer where code = 'usage'").await;
    let row = &all["data"]["data"][0];
    assert_eq!(row["request_count"], json!(4));
    let spent = Usd::parse(&row["total_usage"].to_string()).expect("an amount");
    assert_eq!(spent, Usd::parse(&paid).expect("an amount"), "what the ledger moved");
    assert_eq!(all["data"]["metadata"]["row_count"], json!(1));
    assert_eq!(all["data"]["metadata"]["truncated"], json!(false));

    let body = json!({
        "metrics": ["request_count", "cache_hit_rate"],
        "dimensions": ["model", "api_key_id"],
        "granularity": "day",
        "order_by": { "field": "request_count", "direction": "desc" },
    });
    let rows = query(body, 200).await["data"]["data"].clone();
    let rows = rows.as_array().expect("rows");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(
        (&rows[0]["api_key_id"], &rows[0]["api_key_name"], &rows[0]["request_count"]),
        (&json!(hash), &json!("one"), &json!(2))
    );
    assert!(rows[0]["date__day"].as_str().is_some_and(|day| day.ends_with("T00:00:00.000Z")), "{rows:?}");
    for (filter, count) in [
        (json!({ "field": "api_key_id", "operator": "eq", "value": hash }), 2),
        (json!({ "field": "api_key_id", "operator": "neq", "value": hash }), 2),
        (json!({ "field": "model", "operator": "in", "value": ["sandbox/echo", "none/such"] }), 1),
        (json!({ "field": "model", "operator": "not_in", "value": ["sandbox/echo"] }), 3),
        (json!({ "field": "workspace", "operator": "eq", "value": "elsewhere" }), 0),
    ] {
        let found = query(json!({ "metrics": ["request_count"], "filters": [filter] }), 200).await;
        let counted = found["data"]["data"][0]["request_count"].as_i64().unwrap_or_default();
        assert_eq!(counted, count, "{filter}: {found}");
    }
    let unknown = json!({ "field": "api_key_id", "operator": "eq", "value": "0".repeat(64) });
    let found = query(json!({ "metrics": ["request_count"], "filters": [unknown] }), 200).await;
    assert!(found["data"]["warnings"][0].as_str().is_some_and(|told| told.contains("api_key_id")), "{found}");
    assert_eq!(found["data"]["data"], json!([]), "no data is not zero");
    let limited = query(json!({ "metrics": ["request_count"], "dimensions": ["model"], "limit": 1 }), 200).await;
    assert_eq!(
        (&limited["data"]["metadata"]["truncated"], &limited["data"]["metadata"]["row_count"]),
        (&json!(true), &json!(1))
    );
    let minutes = json!({ "metrics": ["request_count"], "granularity": "minute" });
    let counted: i64 = query(minutes, 200).await["data"]["data"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["request_count"].as_i64().unwrap_or_default())
        .sum();
    assert_eq!(counted, 4, "from the calls themselves");
    for body in [
        json!({}),
        json!({ "metrics": [] }),
        json!({ "metrics": ["request_count"], "dimensions": ["model", "app", "user"] }),
        json!({ "metrics": ["request_count"], "filters": [{ "field": "model", "operator": "gt", "value": "a" }] }),
        json!({ "metrics": ["request_count"], "classifier_filters": {} }),
    ] {
        query(body, 400).await;
    }
}

/// Calls of many organizations over three months; every tenth one is of the organization that is looked at, within its
/// last month. They have no transfers: these rows are looked at, never audited.
async fn fill(farebox: &Farebox, org: OrgId, key: uuid::Uuid, calls: i64, orgs: i64) {
    let piece = 200_000;
    for first in (0..calls).step_by(piece) {
        sqlx::query(
            "insert into usage (org_id, id, created_at, key_id, member_id, app, model_asked, model, provider, streamed, status,
                http_status, finish_reason, prompt_tokens, completion_tokens, counted_by, cost, transfer_id, meters,
                first_token_ms, duration_ms, attempts, request_id, user_agent)
             select case when own then $1 else ('00000000-0000-7000-8000-' || lpad(to_hex(n * 7919 % $5), 12, '0'))::uuid end,
                (left(replace(call_floor(at)::text, '-', ''), 12) || '7' || lpad(to_hex(n), 19, '0'))::uuid, at, $2, null,
                'App ' || n % 8, 'lab/m' || n % 40, 'lab/m' || n % 40, 'p' || n % 5, true,
                case when n % 50 = 7 then 'failed' else 'success' end, 200, 'stop', n % 9000, n % 700, 'upstream',
                case when n % 50 = 7 then 0 else 0.000001 * (n % 5000 + 1) end,
                case when n % 50 = 7 then null else $2 end, array[$2], 300, 4000,
                '[{\"provider\":\"p\",\"model\":\"m\",\"status\":200,\"error\":\"\",\"duration_ms\":4000}]',
                'req_00000000000000000000000000000000', 'a program that says what it is/1.0'
             from (
                select n, n % 10 = 3 as own, now() - make_interval(secs => (case when n % 10 = 3 then 29 else 90 end)
                    * 86400.0 * (1 - n::float8 / $6)) as at
                from generate_series($3::bigint, $4::bigint - 1) n
             ) calls",
        )
        .bind(org.0)
        .bind(key)
        .bind(first)
        .bind((first + piece as i64).min(calls))
        .bind(orgs)
        .bind(calls)
        .execute(&farebox.pool)
        .await
        .expect("calls");
    }
    let statements = [
        // As before there were sums of all organizations: nothing says that these hours are late.
        "alter table usage_hour disable trigger user",
        "insert into usage_hour (org_id, hour, model, provider, key_id, member_id, app, requests, failed, prompt_tokens,
            completion_tokens, reasoning_tokens, cached_tokens, cost)
         select org_id, date_trunc('hour', created_at, 'UTC'), model, provider, key_id,
            '00000000-0000-0000-0000-000000000000', app, count(*), count(*) filter (where status <> 'success'),
            sum(prompt_tokens), sum(completion_tokens), 0, 0, sum(cost)
         from usage group by 1, 2, 3, 4, 5, 7",
        "alter table usage_hour enable trigger user",
        "analyze usage, usage_hour",
    ];
    for statement in statements {
        sqlx::raw_sql(statement).execute(&farebox.pool).await.expect("done");
    }
    let (began, now) = (Instant::now(), farebox::base::Clock::system().now());
    let over = "select coalesce((select until from house_until), '-infinity') >= date_trunc('hour', now(), 'UTC') - interval '4 hours'";
    for _ in 0..2_400 {
        activity::sum_house(&farebox.pool, now).await.expect("sums of all organizations");
        // The process of the product does the same.
        if sqlx::query_scalar::<_, bool>(over).fetch_one(&farebox.pool).await.expect("an answer") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    eprintln!("the sums of all organizations after {:?} more", began.elapsed());
}

/// The 95th percentile of each page, the slowest first.
fn slowest_pages(mut times: Vec<(Duration, &str)>) -> Vec<(Duration, &str)> {
    times.sort_by_key(|(took, path)| (*path, *took));
    let mut slowest: Vec<_> =
        times.chunk_by(|one, other| one.1 == other.1).map(|page| page[(page.len() * 95).div_ceil(100) - 1]).collect();
    slowest.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
    slowest
}

/// What the questions of pages read of the big table otherwise than by an index: nothing.
async fn no_page_goes_through_the_table(farebox: &Farebox, org: OrgId) {
    let now = farebox::base::Clock::system().now();
    let zone = chrono_tz::Asia::Kolkata;
    let mut tx = farebox::db::tenant(&farebox.pool, org).await.expect("a transaction");
    if scale(true, false) {
        // A small table is read as a whole by anybody who can count; what is shown is that nobody has to.
        sqlx::query("set local enable_seqscan = off").execute(&mut *tx).await.expect("a setting");
    }
    let before = read_as_a_whole(&mut tx).await;
    for period in Period::ALL {
        let range = Range::Last(*period);
        for buckets in [range.buckets(now, zone), range.before(now, zone)] {
            let span = buckets.span();
            activity::measure(&mut tx, org, buckets, Some(Group::App), &Slice::default()).await.expect("sums");
            activity::seen(&mut tx, org, span, None).await.expect("values");
            for query in ["", "model=lab%2Fm3", "min=1", "status=rejected", "provider=p3&app=App%203"] {
                let filter = LogFilter::parse(query).expect("a filter");
                let filter = LogFilter { from: Some(span.from), to: Some(span.to), ..filter };
                let page = activity::log(&mut tx, org, &filter, 50).await.expect("a page");
                if let Some(row) = page.rows.first() {
                    activity::detail(&mut tx, org, row.call).await.expect("a call").expect("it is there");
                    activity::count_newer(&mut tx, org, &filter, row.call).await.expect("a count");
                }
            }
        }
    }
    activity::summary(&mut tx, org, now, zone, &Slice::default()).await.expect("sums");
    let read = read_as_a_whole(&mut tx).await;
    assert_eq!(read, before, "whole parts of the table were read");
}

/// Rows that this connection has read by going through parts of the table. Postgres also counts here what earlier
/// transactions of the connection did in the last second.
async fn read_as_a_whole(conn: &mut sqlx::PgConnection) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select relname::text, seq_tup_read from pg_stat_xact_user_tables
         where relname ~ '^usage_(before|default|[0-9]+)$' and seq_tup_read > 0 order by 1",
    )
    .fetch_all(conn)
    .await
    .expect("what was read")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_quick_and_exports_small_however_many_calls_there_are() {
    calendar::within_a_day().await;
    let (calls, orgs) = (scale(40_000_i64, 10_000_000), scale(20_i64, 1_000));
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    ada.get("/").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let org: OrgId = key.org.parse().expect("an id");
    let id: farebox::base::ids::KeyId = key.id.parse().expect("an id");
    let began = Instant::now();
    fill(&farebox, org, id.0, calls, orgs).await;
    eprintln!("{calls} calls of {orgs} organizations after {:?}", began.elapsed());
    no_page_goes_through_the_table(&farebox, org).await;

    let paths = [
        "/",
        "/activity",
        "/activity?period=24h&group=key",
        "/activity?period=30d&group=app&compare=1&tz=Asia%2FKolkata",
        "/activity?period=month&group=member&tz=Asia%2FKathmandu",
        "/activity?period=custom&from=2026-01-01&to=2026-12-31",
        "/activity?period=30d&model=lab%2Fm3&status=failed",
        "/activity?period=30d&min=1",
        "/activity?period=1h",
        "/credits",
        "/credits/statements",
        "/credits/statements/month",
        "/credits/statements/rows",
        "/keys",
        "/models",
        "/settings/profile",
    ];
    // What the console shows of all of it, to an operator.
    let house = [
        "/admin",
        "/admin/holds",
        "/admin/organizations",
        "/admin/people",
        "/admin/payments",
        "/admin/catalog",
        "/admin/catalog/margin?model=lab%2Fm3&provider=p3",
        "/admin/upstreams",
        "/admin/books",
        "/admin/books/journal",
        "/admin/books/closes",
        "/admin/books/usage",
        "/admin/books/reconciliation",
        "/admin/log",
    ];
    let last: uuid::Uuid = sqlx::query_scalar("select id from usage where org_id = $1 order by id desc limit 1")
        .bind(org.0)
        .fetch_one(&farebox.pool)
        .await
        .expect("a call");
    let call = farebox::base::ids::CallId(last);
    let (own_call, own_key) = (format!("/activity/{call}"), format!("/keys/{}", key.id));
    let in_console = [
        format!("/admin/organizations/{org}"),
        format!("/admin/organizations/{org}/statements"),
        format!("/admin/organizations/{org}/calls/{call}"),
        format!("/admin/books/journal?account={org}"),
    ];
    let found = format!("/admin/find?q={call}");
    let mut olive = operator(&farebox, "olive@example.com").await;
    let mut times: Vec<(Duration, &str)> = Vec::new();
    for _ in 0..scale(3, 20) {
        for path in paths.into_iter().chain([own_call.as_str(), &own_key]) {
            let began = Instant::now();
            let page = ada.get(path).await;
            assert_eq!(page.status, 200, "{path}: {}", page.body);
            times.push((began.elapsed(), path));
        }
        for path in house.into_iter().chain(in_console.iter().map(String::as_str)) {
            let began = Instant::now();
            let page = olive.get(path).await;
            assert_eq!(page.status, 200, "{path}: {}", page.body);
            times.push((began.elapsed(), path));
        }
        let began = Instant::now();
        assert_eq!(olive.get(&found).await.status, 303, "{found}");
        times.push((began.elapsed(), "/admin/find"));
    }
    // Far down the list is as near as its top.
    let (mut place, mut deep) = ("/activity?period=30d".to_owned(), 0);
    for _ in 0..scale(3, 50) {
        let began = Instant::now();
        let page = ada.get(&place).await.body;
        times.push((began.elapsed(), "/activity?before="));
        let next = page.split("href=\"").find(|part| part.starts_with("/activity?") && part.contains("before=gen-"));
        place = next
            .and_then(|part| part.split('"').next())
            .expect("older calls")
            .replace("&#38;", "&")
            .replace("&amp;", "&");
        deep += 1;
    }
    let loads = times.len();
    let slowest = slowest_pages(times);
    eprintln!("p95 of each page in {loads} loads, {deep} pages deep, the slowest first: {:?}", &slowest[..10]);
    let most = scale(Duration::from_secs(5), Duration::from_millis(150));
    let slow: Vec<_> = slowest.iter().filter(|(p95, _)| *p95 >= most).collect();
    assert!(slow.is_empty(), "p95 of {most:?} or more: {slow:?}");

    // What is too much for a page is added up when asked, all of it.
    let began = Instant::now();
    let sums = ada.get("/activity/sums?period=30d&status=failed").await.body;
    eprintln!("the sum of a filter over {} calls after {:?}", calls / 10, began.elapsed());
    assert!(sums.contains("calls match.") && !sums.contains("Only calls since"), "{sums}");

    let before = farebox.memory();
    let request = farebox.http.get(farebox.url("/activity/export?period=30d&format=csv"));
    let cookies: Vec<String> = ada.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = request.header("cookie", cookies.join("; ")).timeout(Duration::from_secs(900));
    let (began, mut file) = (Instant::now(), request.send().await.expect("a file"));
    let (mut lines, mut most, mut chunks) = (0_u64, before, 0_u64);
    while let Some(chunk) = file.chunk().await.expect("it comes to its end") {
        lines += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        chunks += 1;
        if chunks % 16 == 0 {
            most = most.max(farebox.memory());
        }
    }
    most = most.max(farebox.memory());
    let grown = most.saturating_sub(before) / 1_048_576;
    eprintln!("{lines} lines of CSV after {:?}, {grown} MB of memory more", began.elapsed());
    assert_eq!(lines - 1, u64::try_from(calls / 10).expect("a number"));
    assert!(grown < 50, "{grown} MB for an export");
}

//! The figures of the activity page, by their numbers: compared, one series alone, in columns, filtered, in every zone; the
//! same on the page, in its table, in its files and on paper as in the calls and in the ledger.

use chrono::{DurationRound, TimeDelta};
use farebox::base::Usd;
use farebox::base::ids::{KeyId, MeterId, OrgId, PersonId};
use farebox::gateway::{Ended, Status};
use serde_json::Value;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::activity::{column, sum};
use super::management::{ask, provisioning};
use crate::activity::Lab;
use crate::calls::{Tenant, answered, now, refused, usd};
use crate::support::visitor::{Visitor, between};
use crate::support::{Farebox, Key, calendar, team};

const PASSWORD: &str = "correct horse battery";

/// Whoever settles calls of the organization of a key, at any moment.
pub async fn lab_of(farebox: &Farebox, key: &Key) -> Lab {
    let org: OrgId = key.org.parse().expect("an id");
    let id: KeyId = key.id.parse().expect("an id");
    let (person, meter): (Uuid, Uuid) =
        sqlx::query_as("select person_id, meter_id from membership where org_id = $1 and meter_id is not null")
            .bind(org.0)
            .fetch_one(&farebox.pool)
            .await
            .expect("a member");
    let tenant =
        Tenant { org, person: PersonId(person), key: id, key_meter: MeterId(id.0), member_meter: MeterId(meter) };
    Lab::of(&farebox.pool, tenant)
}

pub async fn town() -> (Farebox, Vec<(String, String)>, Key) {
    let farebox = Farebox::start().await;
    let cookies = Visitor::member(&farebox, "ada@example.com", PASSWORD).await.cookies().to_vec();
    let key = farebox.key("ada@example.com", "1000", &["--name", "Laptop"]).await;
    (farebox, cookies, key)
}

pub fn dollars(text: &str) -> Usd {
    let digits = text.replace(['$', ','], "");
    Usd::parse(&digits).unwrap_or_else(|error| panic!("{text:?} {error}"))
}

/// The whole value of the first number of a piece of a page: its title where it is shortened.
pub fn exact(part: &str) -> String {
    let number = between(part, "<span class=\"num\"", "</span>");
    let title = between(&number, "title=\"", "\"");
    if title.is_empty() { number.rsplit('>').next().unwrap_or_default().to_owned() } else { title }
}

/// A piece of a page from some text on.
pub fn after<'a>(page: &'a str, mark: &str) -> &'a str {
    page.split_once(mark).map(|(_, rest)| rest).unwrap_or_else(|| panic!("no {mark:?} in {page}"))
}

/// The card of this title, up to the next one.
pub fn card<'a>(page: &'a str, title: &str) -> &'a str {
    after(page, &format!(">{title}</h2>")).split("</section>").next().unwrap_or_default()
}

/// Without markup, one space between words.
fn words(html: &str) -> String {
    let text: String =
        html.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect::<Vec<_>>().join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows of the table of a card, without the first cell of each.
pub fn table(card: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let twin = after(card, "<details class=\"twin\">");
    let cells = |row: &str, tag: &str| -> Vec<String> {
        row.split(&format!("<{tag}"))
            .skip(1)
            .map(|cell| words(&format!("<{}", cell.split(&format!("</{tag}>")).next().unwrap_or_default())))
            .collect()
    };
    let head = cells(between(twin, "<thead>", "</thead>").as_str(), "th ");
    let body = between(twin, "<tbody>", "</tbody>");
    (head, body.split("<tr>").skip(1).map(|row| cells(row, "td ")).collect())
}

/// What is in the last column but `from_end` of a table.
pub fn total(rows: &[Vec<String>], from_end: usize) -> Usd {
    let cells = rows.iter().map(|row| row[row.len() - 1 - from_end].clone());
    cells.filter(|cell| !cell.is_empty()).map(|cell| dollars(&cell)).sum()
}

async fn bytes(farebox: &Farebox, visitor: &Visitor<'_>, path: &str) -> (u16, Vec<u8>) {
    let cookies: Vec<String> = visitor.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = farebox.http.get(farebox.url(path)).header("cookie", cookies.join("; "));
    let answer = request.send().await.expect("a file");
    (answer.status().as_u16(), answer.bytes().await.expect("its bytes").to_vec())
}

/// What a PDF says, as a program reads it that knows nothing of how it was made.
pub async fn paper(farebox: &Farebox, visitor: &Visitor<'_>, path: &str) -> String {
    let (status, file) = bytes(farebox, visitor, path).await;
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&file));
    let document = lopdf::Document::load_mem(&file).expect("a PDF");
    let pages: Vec<u32> = document.get_pages().keys().copied().collect();
    document.extract_text(&pages).expect("its text").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the calls say.
pub async fn truth(farebox: &Farebox, org: OrgId, which: &str) -> (Usd, i64) {
    let query = format!("select coalesce(sum(cost), 0), count(*) from usage where org_id = $1 and {which}");
    sqlx::query_as(AssertSqlSafe(query)).bind(org.0).fetch_one(&farebox.pool).await.expect("sums")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stretch_is_compared_with_the_one_before_and_a_series_stands_alone_by_its_figures() {
    let (farebox, cookies, key) = town().await;
    let (mut ada, lab) = (Visitor::with_cookies(&farebox, &cookies), lab_of(&farebox, &key).await);
    let (lately, before) = (now() - TimeDelta::hours(3), now() - TimeDelta::hours(27));
    for cost in ["0.02", "0.02", "0.02"] {
        lab.call(lately, "lab/one", cost).await;
    }
    lab.call(lately, "lab/two", "0.01234567").await;
    for _ in 0..2 {
        lab.call(before, "lab/one", "0.01").await;
    }
    let page = ada.get("/activity?period=24h&compare=1").await.body;
    let spend = card(&page, "Spend");
    assert_eq!(exact(spend), "$0.07234567");
    assert!(spend.contains("262% more than before"), "{spend}");
    assert!(card(&page, "Requests").contains("100% more than before"), "{page}");
    assert!(card(&page, "Tokens").contains("100% more than before"), "{page}");
    assert!(!page.contains(">Own providers</h2>"), "nobody has a provider of their own");
    let (head, rows) = table(spend);
    assert_eq!((head.last().map(String::as_str), rows.len()), (Some("Before"), 24), "{head:?}");
    assert_eq!(head[1..3], ["lab/one", "lab/two"], "the greatest first");
    assert_eq!((total(&rows, 1), total(&rows, 0)), (usd("0.07234567"), usd("0.02")));
    let same_hour: Vec<&Vec<String>> = rows.iter().filter(|row| !dollars(&row[3]).is_zero()).collect();
    assert_eq!(same_hour.len(), 1, "what was then stands beside what is now: {rows:?}");
    assert_eq!(same_hour[0][..], ["$0.06", "$0.01234567", "$0.07234567", "$0.02"]);
    let plain = ada.get("/activity?period=24h").await.body;
    let (head, rows) = table(card(&plain, "Spend"));
    assert_eq!((head.last().map(String::as_str), total(&rows, 0)), (Some("Total"), usd("0.07234567")));

    // Each name in the legend leads to the same page with nothing but that.
    for (group, filter) in
        [("model", "Model"), ("key", "Key"), ("member", "Member"), ("provider", "Provider"), ("app", "App")]
    {
        let page = ada.get(&format!("/activity?period=24h&group={group}")).await.body;
        let legend = between(card(&page, "Spend"), "<ul class=\"legend\">", "</ul>");
        let items: Vec<&str> = legend.split("<li>").skip(1).collect();
        assert_eq!(items.len(), if group == "model" { 2 } else { 1 }, "{group}: {legend}");
        for item in items {
            let name = between(item, "title=\"Show ", " alone\"");
            let href = between(item, "href=\"", "\"").replace("&#38;", "&").replace("&amp;", "&");
            let alone = ada.get(&href).await;
            assert_eq!(alone.status, 200, "{href}");
            assert_eq!(exact(card(&alone.body, "Spend")), exact(item), "{group} {name}");
            assert!(
                alone.body.contains(&format!("Remove the filter {filter} {name}")),
                "{group} {name}: {}",
                alone.body
            );
            let calls = if name == "lab/two" {
                "1 of 1 calls"
            } else if name == "lab/one" {
                "3 of 3 calls"
            } else {
                "4 of 4 calls"
            };
            assert!(alone.body.contains(calls), "{group} {name}: {}", alone.body);
            assert!(!alone.body.contains("title=\"Show"), "it is alone already");
        }
    }
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_column_shows_what_it_says_and_no_data_is_not_zero() {
    let (farebox, cookies, key) = town().await;
    let (mut ada, lab) = (Visitor::with_cookies(&farebox, &cookies), lab_of(&farebox, &key).await);
    let at = now() - TimeDelta::minutes(90);
    let slow = Ended { duration_ms: 2_040, first_token_ms: Some(40), ..answered("0.00000123") };
    let call = lab.tenant.call_at(at);
    let id = call.id;
    lab.settler.settle(call, usd("0.00000123"), slow).await;
    let all: String =
        ["key", "member", "tokens", "cached", "cost", "own", "speed", "first", "duration", "finish", "status", "id"]
            .map(|column| format!("&col={column}"))
            .concat();
    // Of the first row.
    let cell = |log: &str, label: &str| {
        let rest = after(log, &format!("data-label=\"{label}\""));
        words(&format!("<{}", rest.split("</td>").next().unwrap_or_default()))
    };
    let page = ada.get(&format!("/activity?period=24h{all}")).await.body;
    let log = after(&page, "aria-label=\"Log of calls\"");
    let id = id.to_string();
    for (label, shown) in [
        ("Key and app", "Laptop Lab"),
        ("Member", "Ada"),
        ("Tokens in → out", "100 → 20"),
        ("Cached", "10"),
        ("Own provider", "–"),
        ("Speed", "10 tok/s"),
        ("First token", "40 ms"),
        ("Duration", "2.0 s"),
        ("Finish", "stop"),
        ("Status", "Success"),
        ("Call id", &id),
    ] {
        assert_eq!(cell(log, label), shown, "{label}");
    }
    assert_eq!(exact(after(log, "data-label=\"Cost\"")), "$0.00000123");
    // Only what was chosen.
    let page = ada.get("/activity?period=24h&col=cost&col=id").await.body;
    let head = between(after(&page, "aria-label=\"Log of calls\""), "<thead>", "</thead>");
    assert_eq!(words(&head), "Time Model Cost Call id");
    // Of a call that nobody answered there is no count, no speed and no first token.
    lab.settler
        .reject(lab.tenant.call_at(at + TimeDelta::minutes(1)), Ended { first_token_ms: None, ..refused() })
        .await;
    for _ in 0..100 {
        if farebox.text("select count(*)::text from usage").await == "2" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let page = ada.get(&format!("/activity?period=24h&status=rejected{all}")).await.body;
    let log = after(&page, "aria-label=\"Log of calls\"");
    for (label, shown) in [
        ("Tokens in → out", "–"),
        ("Cached", "–"),
        ("Own provider", "–"),
        ("Speed", "–"),
        ("First token", ""),
        ("Status", "Rejected"),
    ] {
        assert_eq!(cell(log, label), shown, "{label}");
    }
    assert_eq!(exact(card(&page, "Requests")), "1");
    let nothing = ada.get("/activity?period=custom&from=2020-01-01&to=2020-01-02").await.body;
    for title in ["Spend", "Tokens", "Requests"] {
        assert!(card(&nothing, title).contains("No data"), "{title}");
    }
}

/// Calls that differ in everything that a filter can ask for.
async fn many_kinds(lab: &Lab) {
    let at = |minutes| lab.tenant.call_at(now() - TimeDelta::minutes(minutes));
    for (minutes, model, cost, finish) in [
        (10, "lab/one", "0.02", "stop"),
        (20, "lab/one", "0.0000000007", "length"),
        (30, "lab/two", "0.005", "tool_calls"),
        (40, "lab/two", "0.11", "stop"),
        (3_000, "lab/one", "0.3", "stop"),
    ] {
        let ended = Ended { model: model.into(), finish_reason: finish.into(), ..answered(cost) };
        lab.settler.settle(at(minutes), usd(cost), ended).await;
    }
    let broken =
        Ended { status: Status::Failed, http_status: 502, finish_reason: "error".into(), ..answered("0.0042") };
    lab.settler.settle(at(50), usd("0.0042"), broken).await;
    let other = farebox::gateway::Call { model_asked: "@preset/letters".into(), ..at(60) };
    lab.settler.settle(other, usd("0.07"), answered("0.07")).await;
    lab.settler.reject(at(70), refused()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_filtered_has_one_sum_on_the_page_in_files_on_paper_and_in_the_calls() {
    let (farebox, cookies, key) = town().await;
    let (mut ada, lab) = (Visitor::with_cookies(&farebox, &cookies), lab_of(&farebox, &key).await);
    many_kinds(&lab).await;
    let org = lab.tenant.org;
    for _ in 0..100 {
        if truth(&farebox, org, "true").await.1 == 8 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let one: Uuid =
        sqlx::query_scalar("select id from usage where cost = 0.11").fetch_one(&farebox.pool).await.expect("one");
    let id = format!("id={}", farebox::base::ids::CallId(one));
    let that = format!("id = '{one}'");
    let kinds = [
        ("", "true"),
        ("status=success", "status = 'success'"),
        ("status=failed", "status = 'failed'"),
        ("status=rejected", "status = 'rejected'"),
        ("status=abandoned", "false"),
        ("min=0.02", "cost >= 0.02"),
        ("max=0.005", "cost <= 0.005"),
        ("min=0.0000000007&max=0.02", "cost between 0.0000000007 and 0.02"),
        ("asked=%40preset%2Fletters", "model_asked = '@preset/letters'"),
        ("finish=stop", "finish_reason = 'stop'"),
        ("finish=tool_calls", "finish_reason = 'tool_calls'"),
        ("own=no", "not is_byok"),
        ("own=yes", "is_byok"),
        (&id, &that),
        ("model=lab%2Ftwo&status=success&min=0.006", "model = 'lab/two' and status = 'success' and cost >= 0.006"),
    ];
    for (query, which) in kinds {
        for (period, since) in [("24h", "created_at > now() - interval '1 day'"), ("30d", "true")] {
            for group in ["model", "key"] {
                let query = format!("period={period}&group={group}&{query}");
                let (paid, calls) = truth(&farebox, org, &format!("{which} and {since}")).await;
                let page = ada.get(&format!("/activity?{query}")).await;
                assert_eq!(page.status, 200, "{query}: {}", page.body);
                assert!(!page.body.contains("Figures and charts count all calls"), "{query}");
                if calls == 0 {
                    assert!(card(&page.body, "Spend").contains("No data"), "{query}: no data is not zero");
                } else {
                    assert_eq!(dollars(&exact(card(&page.body, "Spend"))), paid, "{query}: the card");
                    assert_eq!(exact(card(&page.body, "Requests")), calls.to_string(), "{query}: the card");
                    let rows = table(card(&page.body, "Spend")).1;
                    assert_eq!(total(&rows, 0), paid, "{query}: the table");
                    assert!(page.body.contains(&format!("{calls} of {calls} calls")), "{query}: the list");
                }
                let csv = ada.get(&format!("/activity/export?format=csv&{query}")).await.body;
                let costs = column(&csv, "cost_usd");
                assert_eq!((sum(&costs), costs.len()), (paid, usize::try_from(calls).expect("few")), "{query}: CSV");
                let lines = ada.get(&format!("/activity/export?format=jsonl&{query}")).await.body;
                let costs: Usd = lines
                    .lines()
                    .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
                    .map(|line| usd(line["cost_usd"].as_str().expect("an amount")))
                    .sum();
                assert_eq!(costs, paid, "{query}: JSON");
                let told = paper(&farebox, &ada, &format!("/activity/export?format=pdf&{query}")).await;
                let spend = format!("Spend {}", paid.display_exact());
                assert!(told.contains(&spend) && told.contains(&format!("Requests {calls}")), "{query}: {told}");
                assert!(told.contains(&format!("All {}", paid.display_exact())), "{query}: {told}");
                let sums = ada.get(&format!("/activity/sums?{query}")).await.body;
                let text = match calls {
                    0 => "No calls match.".to_owned(),
                    1 => "1 call matches.".to_owned(),
                    more => format!("{more} calls match."),
                };
                assert!(sums.contains(&text), "{query}: {sums}");
                assert!(calls == 0 || words(&sums).contains(&spend), "{query}: {sums}");
            }
        }
    }
    // All of it is what the ledger moved.
    let moved = usd(&farebox.text("select trim_scale(sum(amount))::text from transfer where code = 'usage'").await);
    assert_eq!(truth(&farebox, org, "true").await.0, moved);
    farebox.books_are_clean().await;
}

/// More calls than a page goes through. They have no transfers: these rows are looked at, never audited.
async fn crowd(farebox: &Farebox, lab: &Lab, calls: i64) {
    sqlx::query(
        "insert into usage (org_id, id, created_at, key_id, app, model_asked, model, provider, streamed, status, http_status,
            finish_reason, prompt_tokens, completion_tokens, counted_by, cost, transfer_id)
         select $1, (left(replace(call_floor(at)::text, '-', ''), 12) || '7' || lpad(to_hex(n), 19, '0'))::uuid, at, $2, 'App',
            'lab/m', 'lab/m', 'p', true, case when n % 50 = 7 then 'failed' else 'success' end, 200, 'stop', n % 900, n % 70,
            'upstream', 0.000000001 * n, $2
         from (select n, now() - make_interval(secs => 60 + n * 90) as at from generate_series(1, $3::bigint) n) calls",
    )
    .bind(lab.tenant.org.0)
    .bind(KeyId::fresh().0)
    .bind(calls)
    .execute(&farebox.pool)
    .await
    .expect("calls");
    sqlx::raw_sql(
        "insert into usage_hour (org_id, hour, model, provider, key_id, member_id, app, requests, failed, prompt_tokens,
            completion_tokens, reasoning_tokens, cached_tokens, cost)
         select org_id, date_trunc('hour', created_at, 'UTC'), model, provider, key_id,
            '00000000-0000-0000-0000-000000000000', app, count(*), count(*) filter (where status <> 'success'),
            sum(prompt_tokens), sum(completion_tokens), 0, 0, sum(cost)
         from usage where app = 'App' group by 1, 2, 3, 4, 5, 7",
    )
    .execute(&farebox.pool)
    .await
    .expect("sums");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_much_for_a_page_is_said_and_added_up_exactly_when_asked() {
    let (farebox, cookies, key) = town().await;
    let (mut ada, lab) = (Visitor::with_cookies(&farebox, &cookies), lab_of(&farebox, &key).await);
    lab.call(now() - TimeDelta::hours(2), "lab/own", "0.5").await;
    crowd(&farebox, &lab, 21_500).await;
    let org = lab.tenant.org;
    let all = truth(&farebox, org, "true").await;
    for (query, which) in [
        ("status=failed", "status = 'failed'"),
        ("min=0.00001", "cost >= 0.00001"),
        ("finish=stop&model=lab%2Fm", "finish_reason = 'stop' and model = 'lab/m'"),
    ] {
        let query = format!("period=30d&{query}");
        let (paid, calls) = truth(&farebox, org, which).await;
        let page = ada.get(&format!("/activity?{query}")).await.body;
        assert!(page.contains("Figures and charts count all calls of this time"), "{page}");
        assert!(page.contains("hx-get=\"/activity/sums?period=30d"), "{page}");
        let shown = dollars(&exact(card(&page, "Spend")));
        let sliced = if query.contains("model=") { truth(&farebox, org, "model = 'lab/m'").await.0 } else { all.0 };
        assert_eq!(shown, sliced, "the cards are of what they say");
        let request = farebox.http.get(farebox.url(&format!("/activity/sums?{query}"))).header("HX-Request", "true");
        let part = ada.send(request).await.body;
        let counted = farebox::base::money::thousands(&calls.to_string());
        assert!(part.contains(&format!("{counted} calls match.")) && !part.contains("<html"), "{part}");
        assert!(words(&part).contains(&format!("Spend {}", paid.display_exact())), "{part}");
        let csv = ada.get(&format!("/activity/export?format=csv&{query}")).await.body;
        assert_eq!(sum(&column(&csv, "cost_usd")), paid);
        let told = paper(&farebox, &ada, &format!("/activity/export?format=pdf&{query}")).await;
        assert!(told.contains(&format!("Spend {}", paid.display_exact())), "{told}");
    }
    // An index leads to the calls of one key, so that they are not too many.
    let page = ada.get(&format!("/activity?period=30d&min=0.01&key={}", key.id)).await.body;
    assert!(!page.contains("Figures and charts count all calls"), "{page}");
    assert_eq!(dollars(&exact(card(&page, "Spend"))), usd("0.5"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_called_once_is_never_told_that_there_were_no_calls() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    team::create(&mut ada, "Busy").await;
    let mut bob = Visitor::member(&farebox, "bob@example.com", "correct horse battery").await;
    team::bring_in(&farebox, &mut ada, &mut bob, "bob@example.com", "member").await;
    let mut eve = Visitor::member(&farebox, "eve@example.com", "correct horse battery").await;
    team::bring_in(&farebox, &mut ada, &mut eve, "eve@example.com", "member").await;
    assert!(bob.get("/activity").await.body.contains("No calls yet"));
    // Bob's are no longer in the log, or too far behind those of others to be found in a look.
    let called = "insert into usage_hour (org_id, hour, model, provider, key_id, member_id, app, requests, failed, prompt_tokens,
            completion_tokens, reasoning_tokens, cached_tokens, cost)
         select o.id, date_trunc('hour', now(), 'UTC') - interval '40 days', 'lab/m', 'sandbox', gen_random_uuid(), p.id, '', 3, 0,
            30, 20, 0, 0, 0.01
         from org o, person p where o.name = 'Busy' and p.email = 'bob@example.com'";
    assert_eq!(sqlx::query(called).execute(&farebox.pool).await.expect("sums").rows_affected(), 1);
    let page = bob.get("/activity").await.body;
    assert!(!page.contains("No calls yet") && page.contains("CSV, every call"), "{page}");
    let page = bob.get("/").await.body;
    assert!(!page.contains("Make your first call"), "{page}");
    assert!(page.contains("There are none among the newest calls"), "{page}");
    assert!(!ada.get("/activity").await.body.contains("No calls yet"), "whoever sees all calls sees his");
    assert!(eve.get("/activity").await.body.contains("No calls yet"));
    assert!(eve.get("/").await.body.contains("Make your first call"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_a_filter_say_that_calls_before_them_are_deleted() {
    calendar::within_an_hour().await;
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    assert_eq!(farebox.chat(&key, "sandbox/penny", "hi", serde_json::json!({})).await.status(), 200);
    farebox.holds_are_closed().await;
    let org: OrgId = key.org.parse().expect("an id");
    let closed = "insert into usage_closed_until
         values ($1, date_trunc('hour', now(), 'UTC') - interval '2 days', 0, 0, 0, 0, 0, 0, 0, 0)";
    sqlx::query(closed).bind(org.0).execute(&farebox.pool).await.expect("as if some were deleted");
    let (told, alone) = ("Only calls since ", "There is nothing to compare with");
    let page = ada.get("/activity?period=7d&min=0.001&compare=1").await.body;
    assert!(page.contains(told) && page.contains(alone) && !page.contains("than before"), "{page}");
    assert!(ada.get("/activity/sums?period=7d&min=0.001").await.body.contains(told));
    // The sums per hour know all of them, and of a day all calls are there.
    for query in ["period=7d", "period=7d&model=sandbox%2Fpenny", "period=24h&min=0.001"] {
        let page = ada.get(&format!("/activity?{query}")).await.body;
        assert!(!page.contains(told) && !page.contains(alone), "{query}: {page}");
    }
    // Programs are told, too, where a question is about parts of hours.
    let manager = provisioning(&farebox, "ada@example.com", "", &[]).await;
    let hour = now().duration_trunc(TimeDelta::hours(1)).expect("an hour") - TimeDelta::days(2);
    let at = |minutes: i64| (hour + TimeDelta::minutes(minutes)).to_rfc3339();
    for (from, to, granularity, warned) in [
        (-60, 120, None, false),
        (-60, 120, Some("hour"), false),
        (-30, 120, None, true),
        (-60, -30, Some("hour"), true),
        (30, 90, None, false),
        (-60, 120, Some("minute"), true),
        (0, 120, Some("minute"), false),
    ] {
        let body = serde_json::json!({ "metrics": ["request_count"], "granularity": granularity,
            "time_range": { "start": at(from), "end": at(to) } });
        let told = ask(&farebox, &manager, ("POST", "/api/v1/analytics/query"), Some(body.clone()), 200).await;
        let warnings = told["data"]["warnings"].as_array().map_or(0, Vec::len);
        assert_eq!(warnings, usize::from(warned), "{body}: {told}");
    }
    // The time before this one is gone, and this one is not.
    let page = ada.get("/activity?period=24h&min=0.001").await.body;
    assert!(page.contains("Compare with the time before"), "{page}");
    sqlx::query("update usage_closed_until set until = until + interval '12 hours'")
        .execute(&farebox.pool)
        .await
        .expect("as if more were deleted");
    let page = ada.get("/activity?period=24h&min=0.001").await.body;
    assert!(!page.contains(told) && page.contains(alone), "{page}");
}

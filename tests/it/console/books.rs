//! The books: closed day by day, equal to the ledger to the last digit, and traced to single calls.

use farebox::base::Usd;
use farebox::base::ids::OrgId;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};

use super::figures::table;
use super::{operator, staff};
use crate::support::visitor::{Visitor, between};
use crate::support::{Farebox, Key, calendar};

/// Books something so many days ago, as if it had been done then. The balance follows.
async fn book(pool: &PgPool, org: OrgId, days: i32, code: &str, amount: &str) {
    let mut tx = pool.begin().await.expect("a transaction");
    let house = if code == "grant" { 1 } else { 5 };
    let (debit, credit) = if amount.starts_with('-') { ("org", "house") } else { ("house", "org") };
    let side = |one: &str| if one == "org" { "$1" } else { "$2" };
    let insert = format!(
        "insert into transfer (id, code, reference, debit_account, credit_account, amount, org_id, created_at)
         values (gen_random_uuid(), $3, gen_random_uuid()::text, {}, {}, abs($4::text::numeric), $1,
            now() - make_interval(days => $5))",
        side(debit),
        side(credit)
    );
    sqlx::query(AssertSqlSafe(insert))
        .bind(org.0)
        .bind(uuid::Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0000 | house))
        .bind(code)
        .bind(amount)
        .bind(days)
        .execute(&mut *tx)
        .await
        .expect("a transfer");
    sqlx::query("update credit set posted = posted + $2::text::numeric where org_id = $1")
        .bind(org.0)
        .bind(amount)
        .execute(&mut *tx)
        .await
        .expect("the balance");
    tx.commit().await.expect("commit");
}

async fn close(farebox: &Farebox) -> (bool, String) {
    let done = farebox.cli(&["ledger", "close"]).await;
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned())
}

pub async fn closes(farebox: &Farebox) -> (bool, String) {
    let done = farebox.cli(&["ledger", "closes"]).await;
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Closed days: by the server or by the command, whoever comes first.
pub async fn closed_days(farebox: &Farebox, days: i64) {
    for _ in 0..60 {
        let _ = close(farebox).await;
        let closed: i64 =
            sqlx::query_scalar("select count(*) from book_close").fetch_one(&farebox.pool).await.expect("a count");
        if closed == days {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    panic!("not {days} days are closed: {:?}\n{}", close(farebox).await, farebox.log());
}

fn usd(text: &str) -> Usd {
    Usd::parse(text.trim()).unwrap_or_else(|_| panic!("{text:?} is no amount"))
}

/// Somebody who may do anything with the database, triggers or not.
pub async fn forge(farebox: &Farebox, statement: &'static str) {
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    sqlx::query("set local session_replication_role = replica").execute(&mut *tx).await.expect("a superuser");
    assert!(sqlx::query(statement).execute(&mut *tx).await.expect("the statement").rows_affected() > 0, "{statement}");
    tx.commit().await.expect("commit");
}

fn org(key: &Key) -> OrgId {
    key.org.parse().expect("an id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_are_closed_once_chained_and_any_change_shows() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let ada = org(&farebox.key("ada@example.com", "10", &[]).await);
    let bob = org(&farebox.key("bob@example.com", "5", &[]).await);
    for (whose, days, code, amount) in [
        (ada, 4, "grant", "20"),
        (ada, 3, "correction", "-0.000000000001"),
        (bob, 3, "grant", "7.25"),
        (ada, 1, "correction", "1.5"),
    ] {
        book(&farebox.pool, whose, days, code, amount).await;
    }
    farebox.books_are_clean().await;
    // Two commands and the server at once close each day once.
    let (one, two) = tokio::join!(close(&farebox), close(&farebox));
    closed_days(&farebox, 4).await;
    let _ = (one, two);
    let kept = "select count(*) || ' ' || sum(transfers) || ' ' || sum(findings) || ' ' || max(number) from book_close";
    assert_eq!(farebox.text(kept).await, "4 4 0 4");
    let noted = "select count(*)::text from audit_entry where action = 'house.books_closed'";
    assert_eq!(farebox.text(noted).await, "4");
    let (clean, told) = closes(&farebox).await;
    assert!(clean && told.contains("4 closes: every close is as it was written"), "{told}");
    let ada_then = format!("select posted::text from org_close where org_id = '{}' order by day desc limit 1", ada.0);
    let posted: String = sqlx::query_scalar(AssertSqlSafe(ada_then)).fetch_one(&farebox.pool).await.expect("a balance");
    assert_eq!(usd(&posted).exact(), "21.499999999999");

    for refused in [
        "update book_close set findings = 1",
        "delete from book_total",
        "truncate book_movement cascade",
        "update org_close set posted = 0",
        "delete from org_day",
    ] {
        assert!(sqlx::query(refused).execute(&farebox.pool).await.is_err(), "{refused} was done");
    }
    for (forged, mended, why) in [
        (
            "update book_total set debits = debits + 1, credits = credits + 1 where account = 'credits'",
            "update book_total set debits = debits - 1, credits = credits - 1 where account = 'credits'",
            "was changed",
        ),
        (
            "update org_close set posted = posted + 0.000000000001",
            "update org_close set posted = posted - 0.000000000001",
            "was changed",
        ),
        (
            "update book_close set report = 'x' where number = 2",
            "update book_close set report = '' where number = 2",
            "was changed",
        ),
        ("update book_close set signature = digest where number = 4", "", "signature"),
    ] {
        forge(&farebox, forged).await;
        let (clean, told) = closes(&farebox).await;
        assert!(!clean && told.contains("BROKEN") && told.contains(why), "{forged}: {told}");
        if !mended.is_empty() {
            forge(&farebox, mended).await;
            assert!(closes(&farebox).await.0, "{mended}");
        }
    }
    // What slips into a closed day later is seen by the next close, and keeps being seen.
    book(&farebox.pool, bob, 2, "grant", "0.5").await;
    let (clean, told) = closes(&farebox).await;
    assert!(!clean && told.contains("the transfers of the day are not those that were closed"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_is_not_put_off_by_what_the_house_writes_meanwhile() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let ada = org(&farebox.key("ada@example.com", "10", &[]).await);
    for days in [3, 2, 1] {
        book(&farebox.pool, ada, days, "grant", "20").await;
    }
    // Somebody writes to the house's chain while two processes close, and is not through before they are at it.
    let mut busy = farebox.pool.begin().await.expect("a transaction");
    let house = "update audit_chain set seq = seq where chain_id = '00000000-0000-0000-0000-000000000000'";
    sqlx::query(
        "insert into audit_chain (chain_id, kind) values ('00000000-0000-0000-0000-000000000000', 'house')
                 on conflict do nothing",
    )
    .execute(&farebox.pool)
    .await
    .expect("the chain");
    assert_eq!(sqlx::query(house).execute(&mut *busy).await.expect("held").rows_affected(), 1);
    let held = async {
        for _ in 0..200 {
            let waiting: i64 = sqlx::query_scalar(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
            )
            .fetch_one(&farebox.pool)
            .await
            .expect("a count");
            if waiting > 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        busy.commit().await.expect("commit");
    };
    let (one, two, ()) = tokio::join!(close(&farebox), close(&farebox), held);
    assert!(one.0 && two.0, "{}{}", one.1, two.1);
    closed_days(&farebox, 3).await;
    let kept = "select count(*) || ' ' || sum(transfers) || ' ' || sum(findings) || ' ' || max(number) from book_close";
    assert_eq!(farebox.text(kept).await, "3 3 0 3");
    assert!(closes(&farebox).await.0 && farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_tells_what_it_finds() {
    let farebox = Farebox::start().await;
    let ada = org(&farebox.key("ada@example.com", "10", &[]).await);
    book(&farebox.pool, ada, 2, "grant", "20").await;
    sqlx::query("update credit set posted = posted + 0.25").execute(&farebox.pool).await.expect("tampered");
    for _ in 0..40 {
        let _ = close(&farebox).await;
        if farebox.text("select count(*)::text from book_close").await == "2" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    let told = farebox.text("select report from book_close order by day desc limit 1").await;
    assert!(told.contains("posted = sum of transfers") && told.contains("should be 30 and is 30.25"), "{told}");
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;
    let page = abel.get("/admin").await.body;
    assert!(page.contains("were closed with"), "{page}");
    let day = farebox.text("select day::text from book_close order by day desc limit 1").await;
    let page = abel.get(&format!("/admin/books/closes/{day}")).await.body;
    assert!(page.contains("should be 30 and is 30.25"), "{page}");
    // Every rule is listed with its own result.
    let checks = table(&page, "checks");
    let result = |rule: &str| checks.iter().find(|row| row[0] == rule).map(|row| row[3].clone()).unwrap_or_default();
    assert_eq!(result("posted = sum of transfers"), "1 findings", "{checks:?}");
    assert_eq!(result("held = sum of open holds"), "Agrees", "{checks:?}");
    assert!(checks.len() >= 20, "{checks:?}");
    assert!(closes(&farebox).await.0, "the finding is part of what was signed");
}

/// The text of every cell of a column, by its label.
fn column(page: &str, label: &str) -> Vec<String> {
    let rows = page.split_once("<tbody>").map_or("", |(_, rest)| rest);
    let rows = rows.split_once("</tbody>").map_or("", |(rows, _)| rows);
    let start = format!("data-label=\"{label}\"");
    let cells = rows.split(start.as_str()).skip(1);
    cells.map(|cell| exact(&cell[..cell.find("</td>").unwrap_or(cell.len())])).collect()
}

/// The exact amount of a cell: what its title says, else its text.
fn exact(cell: &str) -> String {
    let titled = between(cell, "title=\"$", "\"");
    if !titled.is_empty() {
        return titled;
    }
    let text: String = cell.split('>').skip(1).filter_map(|part| part.split('<').next()).collect();
    text.trim().replace('$', "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_figure_equals_the_ledger_and_leads_to_its_rows() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", super::PASSWORD).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let ada_org = org(&key);
    for (days, code, amount) in [(70, "grant", "20"), (40, "correction", "-0.75"), (2, "grant", "0.000000000003")] {
        book(&farebox.pool, ada_org, days, code, amount).await;
    }
    let other = org(&farebox.key("bob@example.com", "5", &[]).await);
    book(&farebox.pool, other, 40, "grant", "3.5").await;
    for _ in 0..3 {
        assert_eq!(farebox.chat(&key, "sandbox/echo", "what is it all worth", json!({})).await.status(), 200);
    }
    farebox.holds_are_closed().await;
    // More days than one run closes.
    closed_days(&farebox, 70).await;
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;

    // The trial balance: at any day, and now, both sides are the sums of the transfers.
    for days in [65, 39, 1, 0] {
        let day = format!("select ((now() at time zone 'utc')::date - {days})::text");
        let day: String = sqlx::query_scalar(AssertSqlSafe(day)).fetch_one(&farebox.pool).await.expect("a day");
        let file = abel.get(&format!("/admin/books/trial.csv?day={day}")).await.body;
        let mut sums = (Usd::ZERO, Usd::ZERO);
        for line in file.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let sql = "select coalesce(sum(amount) filter (where case when d.kind = 'credit' then 'credits' else d.name end = $1), 0)::text,
                coalesce(sum(amount) filter (where case when c.kind = 'credit' then 'credits' else c.name end = $1), 0)::text
                from transfer t join ledger_account d on d.id = t.debit_account join ledger_account c on c.id = t.credit_account
                where (t.created_at at time zone 'utc')::date <= $2::date";
            let (debits, credits): (String, String) =
                sqlx::query_as(sql).bind(cells[0]).bind(&day).fetch_one(&farebox.pool).await.expect("sums");
            assert_eq!((usd(cells[2]), usd(cells[3])), (usd(&debits), usd(&credits)), "{} on {day}", cells[0]);
            sums = (sums.0 + usd(cells[4]), sums.1 + usd(cells[5]));
        }
        assert_eq!(sums.0, sums.1, "{day}");
        let page = abel.get(&format!("/admin/books?day={day}")).await;
        assert_eq!(page.status, 200);
        assert!(!page.body.contains("Debits and credits differ"));
    }

    // The statement of each month begins where the one before ended, and the last ends at the balance.
    let mut opening: Option<Usd> = None;
    for back in [3, 2, 1, 0] {
        let month = format!("select to_char((now() at time zone 'utc')::date - interval '{back} months', 'YYYY-MM')");
        let month: String = sqlx::query_scalar(AssertSqlSafe(month)).fetch_one(&farebox.pool).await.expect("a month");
        let file = abel.get(&format!("/admin/organizations/{}/statements/{month}/csv", key.org)).await.body;
        let own = ada.get(&format!("/credits/statements/file?month={month}&form=csv")).await.body;
        let rows = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            rows(&file)[..rows(&file).len() - 1],
            rows(&own)[..rows(&own).len() - 1],
            "the owner reads the same"
        );
        let (mut balance, mut closing) = (Usd::ZERO, Usd::ZERO);
        for line in file.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            match cells[1] {
                "Opening balance" => {
                    balance = usd(cells[4]);
                    assert!(opening.is_none_or(|before| before == balance), "{month} opens with {}", cells[4]);
                }
                "Closing balance" => closing = usd(cells[4]),
                _ => {
                    balance = balance + usd(cells[2]) - usd(cells[3]);
                    assert_eq!(balance, usd(cells[4]), "{month} {line}");
                }
            }
        }
        assert_eq!(balance, closing, "{month}");
        opening = Some(closing);
        let pdf = abel.get(&format!("/admin/organizations/{}/statements/{month}/pdf", key.org)).await;
        assert_eq!(pdf.status, 200);
    }
    let posted = format!("select posted::text from credit where org_id = '{}'", ada_org.0);
    let posted: String = sqlx::query_scalar(AssertSqlSafe(posted)).fetch_one(&farebox.pool).await.expect("a balance");
    assert_eq!(opening, Some(usd(&posted)));

    // The journal of an organization has every row, over its pages, and its sums are the balance.
    let rows: i64 = sqlx::query_scalar("select count(*) from transfer where $1 in (debit_account, credit_account)")
        .bind(ada_org.0)
        .fetch_one(&farebox.pool)
        .await
        .expect("a count");
    let (mut path, mut found, mut pages) = (format!("/admin/books/journal?account={}", key.org), 0, 0);
    let first = abel.get(&path).await.body;
    let net = first.split_once("Credits less debits").map_or("", |(_, rest)| rest);
    let net = exact(&net[..net.find("</dd>").unwrap_or(0)]);
    assert_eq!(usd(&net), usd(&posted), "{net}");
    while !path.is_empty() && pages < 10 {
        let page = abel.get(&path).await.body;
        found += page.matches("/admin/books/transfers/").count();
        let before = page.split_once("\" rel=\"next\"").map_or("", |(before, _)| before);
        let href = before.rsplit_once("href=\"").map_or("", |(_, href)| href);
        path = href.replace("&amp;", "&").replace("&#38;", "&");
        pages += 1;
    }
    assert_eq!(i64::try_from(found).unwrap_or_default(), rows, "over {pages} pages");

    // From the account of calls down to one of them.
    let calls = abel.get("/admin/books/journal?account=usage_revenue&code=usage").await.body;
    let transfer = between(&calls, "/admin/books/transfers/", "\"");
    let page = abel.get(&format!("/admin/books/transfers/{transfer}")).await.body;
    let amount = format!("select amount::text from transfer where id = '{}'", transfer.trim_start_matches("tra_"));
    let amount: String = sqlx::query_scalar(AssertSqlSafe(amount)).fetch_one(&farebox.pool).await.expect("an amount");
    let costs: Usd = column(&page, "Cost").iter().map(|cost| usd(cost)).sum();
    assert_eq!(costs, usd(&amount), "{page}");
    let call = between(&page, &format!("/admin/organizations/{}/calls/", key.org), "\"");
    let page = abel.get(&format!("/admin/organizations/{}/calls/{call}", key.org)).await;
    assert!(page.status == 200 && page.body.contains(&transfer), "{}", page.body);

    // A journal for accountants has every transfer, debits and credits equal.
    let file = abel.get("/admin/books/export?format=entries").await.body;
    let mut sides = (Usd::ZERO, Usd::ZERO);
    for line in file.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        sides.0 += if cells[3].is_empty() { Usd::ZERO } else { usd(cells[3]) };
        sides.1 += if cells[4].is_empty() { Usd::ZERO } else { usd(cells[4]) };
    }
    let all: String =
        sqlx::query_scalar("select sum(amount)::text from transfer").fetch_one(&farebox.pool).await.expect("a sum");
    assert_eq!((sides.0, sides.1), (usd(&all), usd(&all)));
    let lines: i64 =
        sqlx::query_scalar("select count(*) from transfer").fetch_one(&farebox.pool).await.expect("a count");
    assert_eq!(i64::try_from(file.lines().count()).unwrap_or_default(), 1 + 2 * lines);
    let summary = abel.get("/admin/books/export?format=summary").await.body;
    let cents: Usd = summary.lines().skip(1).filter_map(|line| line.split(',').nth(4)).map(usd).sum();
    assert_eq!(cents.exact(), "24.25", "{summary}");
    // A filter that cannot be read is named.
    for bad in [
        "format=xls",
        "acount=credits",
        "format=summary&frm=2026-01-01",
        // Days in whole cents know nothing of these.
        "format=summary&account=credits",
        "format=summary&code=usage",
        "format=summary&reference=x",
        "format=summary&until=2026-01-01&time=10:00",
        "format=summary&before=20260101T000000.000000Z_00000000000070008000000000000000",
    ] {
        assert_eq!(abel.get(&format!("/admin/books/export?{bad}")).await.status, 422, "{bad}");
    }
    for bad in ["account=nobody", "code=odd", "from=yesterday", "before=1"] {
        assert_eq!(abel.get(&format!("/admin/books/journal?{bad}")).await.status, 422, "{bad}");
    }
    for (path, told) in [
        ("/admin/books/journal?from=2026-13-01", "id=\"filter-from-error\""),
        ("/admin/books/journal?time=10:15", "id=\"filter-time-error\""),
        ("/admin/log?until=2026-13-01", "value=\"2026-13-01\""),
    ] {
        let page = abel.get(path).await;
        assert!(page.status == 422 && page.body.contains(told), "a field is told of where it stands: {}", page.body);
    }
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_is_looked_for_within_the_other_filters() {
    let farebox = Farebox::start().await;
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;
    farebox.key("ada@example.com", "10", &[]).await;
    let id = farebox.text("select 'tra_' || replace(id::text, '-', '') from transfer where code = 'grant'").await;
    let here = format!("reference={id}");
    for (more, rows) in [
        ("", 1),
        ("&code=grant&account=credits&from=2020-01-01&until=2100-01-01", 1),
        ("&code=usage", 0),
        ("&account=processors", 0),
        ("&account=usage_revenue", 0),
        ("&from=2100-01-01", 0),
        ("&until=2020-01-01", 0),
    ] {
        let page = abel.get(&format!("/admin/books/journal?{here}{more}")).await.body;
        assert_eq!(page.matches(&format!("/admin/books/transfers/{id}")).count(), rows, "{more}: {page}");
        let file = abel.get(&format!("/admin/books/export?format=transfers&{here}{more}")).await.body;
        assert_eq!(file.lines().count(), 1 + rows, "{more}: {file}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_is_for_those_who_handle_the_credits_of_their_own() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let mut eve = Visitor::member(&farebox, "eve@example.com", super::PASSWORD).await;
    let page = eve.get("/credits/statements/month").await;
    assert!(page.status == 200 && !page.body.contains("$10.00"), "{}", page.body);
    assert_eq!(eve.get(&format!("/admin/organizations/{}/statements", key.org)).await.status, 404);
    for bad in ["2026-13", "nonsense", "2999-01"] {
        assert_eq!(eve.get(&format!("/credits/statements/month?month={bad}")).await.status, 404, "{bad}");
    }
    let mut olive = operator(&farebox, "olive@example.com").await;
    let page = olive.get(&format!("/admin/organizations/{}/statements", key.org)).await;
    assert!(page.status == 200 && page.body.contains("so far"));
}

//! What a close checked, calls against hours and transfers by day, and the trial balance at any second.

use farebox::base::Usd;
use rust_decimal::Decimal;
use serde_json::json;

use super::books::{closed_days, closes, forge};
use super::figures::{table, usd};
use super::staff;
use crate::support::{Farebox, Key, calendar};

async fn costs(farebox: &Farebox, key: &Key) -> Usd {
    let id: farebox::base::ids::KeyId = key.id.parse().expect("an id");
    let cost: Decimal = sqlx::query_scalar("select sum(cost) from usage where key_id = $1")
        .bind(id.0)
        .fetch_one(&farebox.pool)
        .await
        .expect("a sum");
    Usd::new(cost)
}

/// Calls of two keys: those of the first two days ago, one of the second begun the day before and settled two days ago.
/// What was granted is older.
pub async fn days_ago(farebox: &Farebox) -> (Usd, Usd) {
    let one = farebox.key("ada@example.com", "10", &[]).await;
    let two = farebox.key("ada@example.com", "", &[]).await;
    for (key, text) in [(&one, "what is it worth"), (&one, "and this, which is longer"), (&two, "over midnight")] {
        assert_eq!(farebox.chat(key, "sandbox/echo", text, json!({})).await.status(), 200);
    }
    farebox.holds_are_closed().await;
    let sums = (costs(farebox, &one).await, costs(farebox, &two).await);
    forge(
        farebox,
        "update transfer set created_at = created_at - make_interval(days => case code when 'usage' then 2 else 3 end)",
    )
    .await;
    let days =
        "(case when (select name from api_key k where k.id = key_id) is not null and key_id = (select id from api_key
        order by id desc limit 1) then 3 else 2 end)";
    for statement in [
        format!("update usage_hour set hour = hour - make_interval(days => {days})"),
        format!(
            "update usage set created_at = created_at - make_interval(days => {days}),
                id = (left(replace(call_floor(created_at - make_interval(days => {days}))::text, '-', ''), 12)
                    || right(replace(id::text, '-', ''), 20))::uuid"
        ),
    ] {
        let mut tx = farebox.pool.begin().await.expect("a transaction");
        sqlx::query("set local session_replication_role = replica").execute(&mut *tx).await.expect("a superuser");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut *tx).await.expect("earlier");
        tx.commit().await.expect("commit");
    }
    sums
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_lists_what_it_checked_and_calls_hours_and_transfers_agree_by_day() {
    calendar::within_an_hour().await;
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;
    let (one, two) = days_ago(&farebox).await;
    farebox.books_are_clean().await;
    closed_days(&farebox, 3).await;
    assert!(closes(&farebox).await.0);
    let day = |back: i32| format!("select ((now() at time zone 'utc')::date - {back})::text");
    let mut days = Vec::new();
    for back in [3, 2, 1] {
        let text: String =
            sqlx::query_scalar(sqlx::AssertSqlSafe(day(back))).fetch_one(&farebox.pool).await.expect("a day");
        days.push(text);
    }
    // Calls, by the calls, by the hours, difference, booked, paid for, difference, begun before, booked later.
    let zero = Usd::ZERO;
    let wanted = [
        (1, [two, two, zero, zero, zero, zero, zero, two]),
        (2, [one, one, zero, one + two, one + two, zero, two, zero]),
        (0, [zero; 8]),
    ];
    for (day, (calls, amounts)) in days.iter().zip(wanted) {
        let page = abel.get(&format!("/admin/books/usage?month={}", &day[..7])).await.body;
        let row =
            table(&page, "days").into_iter().find(|row| row[0] == *day).unwrap_or_else(|| panic!("{day}: {page}"));
        assert_eq!(row[1], calls.to_string(), "{row:?}");
        let told: Vec<Usd> = row[2..10].iter().map(|cell| usd(cell)).collect();
        assert_eq!(told, amounts, "{day}: {row:?}");
        assert_eq!(row[10], "Agrees");
        assert!(page.contains(&format!("/admin/books/closes/{day}")));
    }
    // By month, all of it together.
    let page = abel.get("/admin/books/usage").await.body;
    let months = table(&page, "months");
    let sum = |at: usize| months.iter().filter(|row| row[0] != "Sum").map(|row| usd(&row[at])).sum::<Usd>();
    assert_eq!((sum(2), sum(3), sum(5), sum(6)), (one + two, one + two, one + two, one + two), "{months:?}");
    assert_eq!(abel.get("/admin/books/usage?month=2026-13").await.status, 422);

    // The close of a day says what it compared, and with what result.
    let page = abel.get(&format!("/admin/books/closes/{}", days[1])).await.body;
    let checks = table(&page, "checks");
    let check = |rule: &str| checks.iter().find(|row| row[0] == rule).unwrap_or_else(|| panic!("{rule}: {checks:?}"));
    assert!(checks.iter().take(23).all(|row| row[3] == "Agrees"), "{checks:?}");
    for (rule, compared, amount) in [
        ("usage transfer = sum of its calls", "3", one + two),
        ("sums per hour = sums of the calls", "2", one + two),
        ("calls of the day = sums of its hours", "2", one),
        ("usage transfers of the day = the calls that they paid for", "3", one + two),
    ] {
        let row = check(rule);
        assert_eq!((row[1].as_str(), usd(&row[2])), (compared, amount), "{row:?}");
    }
    // It is sealed with the rest, and never changed.
    for refused in ["update book_check set findings = 1", "delete from book_usage", "truncate book_check"] {
        assert!(sqlx::query(refused).execute(&farebox.pool).await.is_err(), "{refused} was done");
    }
    for (forged, mended) in [
        (
            "update book_check set compared = compared + 1 where number = 3",
            "update book_check set compared = compared - 1 where number = 3",
        ),
        ("update book_usage set booked = booked + 1", "update book_usage set booked = booked - 1"),
    ] {
        forge(&farebox, forged).await;
        let (clean, told) = closes(&farebox).await;
        assert!(!clean && told.contains("was changed"), "{forged}: {told}");
        forge(&farebox, mended).await;
        assert!(closes(&farebox).await.0, "{mended}");
    }
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trial_balance_is_there_for_any_second() {
    calendar::within_a_day().await;
    let farebox = Farebox::start().await;
    let mut abel = staff(&farebox, "abel@example.com", "auditor").await;
    days_ago(&farebox).await;
    closed_days(&farebox, 3).await;
    // A second after each transfer, and before all of them: on closed days and within them.
    let moments: Vec<(String, String)> = sqlx::query_as(
        "select to_char(at, 'YYYY-MM-DD'), to_char(at, 'HH24:MI:SS') from (
            select distinct date_trunc('second', created_at at time zone 'utc') + interval '1 second' as at from transfer
            union select date_trunc('second', min(created_at) at time zone 'utc') - interval '1 second' from transfer
         ) moments order by 1, 2",
    )
    .fetch_all(&farebox.pool)
    .await
    .expect("moments");
    assert!(moments.len() >= 3, "{moments:?}");
    let mut sums = Vec::new();
    for (day, time) in &moments {
        let file = abel.get(&format!("/admin/books/trial.csv?day={day}&time={time}")).await.body;
        let mut moved = Usd::ZERO;
        for line in file.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let sql = "select coalesce(sum(amount) filter (where case when d.kind = 'credit' then 'credits' else d.name end = $1), 0),
                coalesce(sum(amount) filter (where case when c.kind = 'credit' then 'credits' else c.name end = $1), 0)
                from transfer t join ledger_account d on d.id = t.debit_account join ledger_account c on c.id = t.credit_account
                where t.created_at at time zone 'utc' < ($2 || ' ' || $3)::timestamp";
            let (debits, credits): (Decimal, Decimal) =
                sqlx::query_as(sql).bind(cells[0]).bind(day).bind(time).fetch_one(&farebox.pool).await.expect("sums");
            assert_eq!((usd(cells[2]), usd(cells[3])), (Usd::new(debits), Usd::new(credits)), "{line} at {day} {time}");
            moved += usd(cells[2]);
        }
        let page = abel.get(&format!("/admin/books?day={day}&time={}", &time[..5])).await;
        assert!(
            page.status == 200 && page.body.contains(&format!("time={}", time[..5].replace(':', "%3A"))),
            "{}",
            page.body
        );
        sums.push(moved);
    }
    assert!(sums.first() == Some(&Usd::ZERO) && sums.windows(2).all(|two| two[0] <= two[1]), "{sums:?}");
    for bad in ["time=10:15", "day=2026-01-01&time=25:00", "day=2026-01-01&time=noon", "day=2999-01-01"] {
        for page in ["/admin/books", "/admin/books/trial.csv"] {
            assert_eq!(abel.get(&format!("{page}?{bad}")).await.status, 422, "{page} {bad}");
        }
    }
    // The journal's rows of an account up to the same second.
    let (day, time) = moments.last().expect("a moment");
    let page = abel.get(&format!("/admin/books/journal?account=credits&until={day}&time={time}")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(abel.get("/admin/books/journal?time=10:15").await.status, 422);
}

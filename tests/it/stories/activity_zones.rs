//! Pages, files and papers add up in every zone of the world and over changes of clocks.

use chrono::TimeDelta;
use farebox::base::Usd;
use farebox::base::ids::OrgId;

use super::activity::{column, sum};
use super::activity_figures::{after, card, dollars, exact, lab_of, paper, table, total, town, truth};
use crate::calls::{now, usd};
use crate::depth::ZONES;
use crate::support::Farebox;
use crate::support::calendar;
use crate::support::visitor::Visitor;

/// What each place shows must be what the calls say, unless a day began between the two.
async fn agrees(farebox: &Farebox, ada: &mut Visitor<'_>, org: OrgId, zone: &str) {
    let since =
        |unit: &str| format!("created_at >= date_trunc('{unit}', now() at time zone '{zone}') at time zone '{zone}'");
    for _ in 0..3 {
        let (day, month) = (truth(farebox, org, &since("day")).await, truth(farebox, org, &since("month")).await);
        let mut shown = Vec::new();
        for path in ["/", "/credits"] {
            let page = ada.get(path).await.body;
            shown.push(dollars(&exact(after(&page, "<dt>Spent today</dt>"))));
            shown.push(dollars(&exact(after(&page, "<dt>Spent this month</dt>"))));
        }
        let page = ada.get("/activity?period=month").await.body;
        assert!(page.contains(zone), "{zone} is the person's own");
        shown.push(dollars(&exact(card(&page, "Spend"))));
        shown.push(total(&table(card(&page, "Spend")).1, 0));
        if truth(farebox, org, &since("day")).await == day && truth(farebox, org, &since("month")).await == month {
            assert_eq!(shown, [day.0, month.0, day.0, month.0, month.0, month.0], "{zone}");
            return;
        }
    }
    panic!("days begin all the time in {zone}");
}

/// Days of a zone around changes of clocks: the card, its table, the files and the paper say what the calls say.
async fn stretches_add_up(farebox: &Farebox, ada: &mut Visitor<'_>, org: OrgId, (zone, more): (&str, &str)) {
    for (from, to, end) in [
        ("2026-10-24", "2026-10-26", "2026-10-27"),
        ("2026-10-31", "2026-11-02", "2026-11-03"),
        ("2026-10-02", "2026-10-30", "2026-10-31"),
        ("2026-10-25T01:30", "2026-10-25T04:00", "2026-10-25T04:00"),
    ] {
        let moment = |at: &str| format!("'{at}'::timestamp at time zone '{zone}'");
        let which = format!("created_at >= {} and created_at < {}", moment(from), moment(end));
        let (paid, calls) = truth(farebox, org, &which).await;
        assert!(calls > 0, "{zone} {from}");
        let query = format!("period=custom&from={from}&to={to}&group=key{more}");
        let page = ada.get(&format!("/activity?{query}")).await.body;
        assert_eq!(dollars(&exact(card(&page, "Spend"))), paid, "{zone} {from}: the card");
        assert_eq!(total(&table(card(&page, "Spend")).1, 0), paid, "{zone} {from}: the table");
        assert_eq!(exact(card(&page, "Requests")), calls.to_string(), "{zone} {from}: the card");
        let csv = ada.get(&format!("/activity/export?{query}")).await.body;
        assert_eq!(sum(&column(&csv, "cost_usd")), paid, "{zone} {from}: CSV");
        let told = paper(farebox, ada, &format!("/activity/export?format=pdf&{query}")).await;
        assert!(told.contains(&format!("Spend {}", paid.display_exact())), "{zone} {from}: {told}");
        assert!(told.contains(zone), "{zone}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_papers_add_up_in_every_zone_and_over_changes_of_clocks() {
    calendar::within_a_day().await;
    let (farebox, cookies, key) = town().await;
    let (mut ada, lab) = (Visitor::with_cookies(&farebox, &cookies), lab_of(&farebox, &key).await);
    let org = lab.tenant.org;
    lab.calls_around_changes_of_clocks().await;
    // Around the beginnings of the last days, and of the month, in every zone.
    for step in 0..90_i32 {
        let at = now() - TimeDelta::minutes(i64::from(step) * 47 + 3);
        lab.call(at, &format!("lab/m{}", step % 3), &format!("0.00000{:03}3", step + 1)).await;
    }
    let first: chrono::DateTime<chrono::Utc> = sqlx::query_scalar("select date_trunc('month', now(), 'UTC')")
        .fetch_one(&farebox.pool)
        .await
        .expect("a moment");
    for step in -20..20_i32 {
        let at = first + TimeDelta::minutes(i64::from(step) * 41);
        if at < now() {
            lab.call(at, "lab/month", &format!("0.000{:03}1", step + 30)).await;
        }
    }
    let mut statements = Vec::new();
    for zone in ZONES {
        // From elsewhere, by the address; then as somebody who lives there.
        let by_address = format!("&tz={}", zone.replace('/', "%2F").replace('+', "%2B"));
        stretches_add_up(&farebox, &mut ada, org, (zone, &by_address)).await;
        let moved = sqlx::query("update person set time_zone = $1 where email = 'ada@example.com'").bind(zone);
        moved.execute(&farebox.pool).await.expect("moved");
        agrees(&farebox, &mut ada, org, zone).await;
        stretches_add_up(&farebox, &mut ada, org, (zone, "")).await;
        let month = now().format("%Y-%m");
        statements.push(ada.get(&format!("/credits/statements/file?month={month}&form=csv")).await.body);
    }
    // A statement is of days in UTC, whoever reads it, and says what the ledger moved.
    let usage = |line: &&str| line.split(',').nth(1) == Some("Calls");
    let spent: Usd =
        statements[0].lines().skip(1).filter(usage).map(|line| usd(line.split(',').nth(3).expect("an amount"))).sum();
    let moved = usd(&farebox.text("select trim_scale(sum(amount))::text from transfer where code = 'usage'").await);
    assert_eq!((spent, truth(&farebox, org, "true").await.0), (moved, moved), "{}", statements[0]);
    let same =
        |one: &str| one.lines().map(str::to_owned).take_while(|line| !line.contains("Closing")).collect::<Vec<_>>();
    assert!(statements.iter().all(|one| same(one) == same(&statements[0])));
    farebox.books_are_clean().await;
}

//! Low credits are told of once for each time, to those who asked for it.

use std::collections::BTreeSet;
use std::time::Duration;

use farebox::base::Usd;
use farebox::base::ids::{CallId, OrgId};
use farebox::ledger;
use sqlx::PgPool;

use crate::support::visitor::Visitor;
use crate::support::{Farebox, Key, Options, scale, team};

const PASSWORD: &str = "correct horse battery";

/// Takes or gives so many dollars by hand, as a correction.
pub async fn correct(pool: &PgPool, org: OrgId, dollars: &str) {
    let amount = Usd::parse(dollars).expect("an amount");
    let (own, house) = (ledger::credit_account(org), ledger::HouseAccount::OperatorLoss.id());
    let (debit, credit) = if amount.is_negative() { (own, house) } else { (house, own) };
    let posting = ledger::Posting {
        code: ledger::Code::Correction,
        reference: CallId::fresh().to_string(),
        debit,
        credit,
        amount: if amount.is_negative() { -amount } else { amount },
        org: Some(org),
        memo: String::new(),
    };
    let mut tx = pool.begin().await.expect("a transaction");
    ledger::post(&mut tx, posting).await.expect("posted");
    tx.commit().await.expect("committed");
}

pub fn org(key: &Key) -> OrgId {
    key.org.parse().expect("an id")
}

/// Who was mailed of low credits, with how many mails each, when no job is left to run.
async fn told(farebox: &Farebox) -> Vec<(String, i64)> {
    jobs_are_done(farebox).await;
    sqlx::query_as("select recipient, count(*) from mail where kind = 'low_balance' group by 1 order by 1")
        .fetch_all(&farebox.pool)
        .await
        .expect("mails")
}

/// Waits until nothing that is due now is left in the queue, at most a minute.
pub async fn jobs_are_done(farebox: &Farebox) {
    for _ in 0..600 {
        let open: i64 = sqlx::query_scalar(
            "select count(*) from graphile_worker._private_jobs where run_at <= now() and attempts < max_attempts",
        )
        .fetch_one(&farebox.pool)
        .await
        .expect("a count");
        if open == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("jobs are left\n{}", farebox.log());
}

/// Makes so many calls of a cent each, all at once, shared out between the processes.
pub async fn call_at_once(nodes: &[&Farebox], key: &Key, calls: usize) {
    let one = |number: usize| async move {
        let answer = nodes[number % nodes.len()].chat(key, "sandbox/penny", "hi", serde_json::json!({})).await;
        assert_eq!(answer.status(), 200);
    };
    futures_util::future::join_all((0..calls).map(one)).await;
    nodes[0].holds_are_closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_settlements_at_once_tell_of_one_crossing_once() {
    let farebox = Farebox::start().await;
    let options = Options { database_url: Some(farebox.database_url.clone()), ..Options::default() };
    let second = Farebox::with(options).await;
    let key = farebox.key("ada@example.com", "6.50", &[]).await;
    let mut mails = 0;
    for _ in 0..scale(2, 10) {
        let posted: String = farebox.text("select posted::text from credit").await;
        let wanted = Usd::parse("5.50").expect("an amount") - Usd::parse(&posted).expect("an amount");
        correct(&farebox.pool, org(&key), &Usd::from_whole(1).exact()).await;
        correct(&farebox.pool, org(&key), &(wanted - Usd::from_whole(1)).exact()).await;
        call_at_once(&[&farebox, &second], &key, 100).await;
        mails += 1;
        assert_eq!(told(&farebox).await, [("ada@example.com".to_owned(), mails)], "one mail for each crossing");
        let watch = farebox.text("select armed::text || watch_low::text from watch, credit").await;
        assert_eq!(watch, "", "nothing to compare with until the balance is back");
        // Not enough to arm it again.
        correct(&farebox.pool, org(&key), "0.75").await;
        correct(&farebox.pool, org(&key), "0.74").await;
        assert_eq!(
            farebox.text("select posted::text || ' ' || armed from credit, watch").await,
            "5.990000000000 false"
        );
        correct(&farebox.pool, org(&key), "-0.99").await;
        correct(&farebox.pool, org(&key), "-0.01").await;
        assert_eq!(
            told(&farebox).await,
            [("ada@example.com".to_owned(), mails)],
            "it fell again, but was never well above, and little came in"
        );
        correct(&farebox.pool, org(&key), "0.51").await;
        correct(&farebox.pool, org(&key), "0.50").await;
        assert_eq!(farebox.text("select posted::text || ' ' || armed from credit, watch").await, "6.000000000000 true");
    }
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_asked_are_told_and_nobody_when_it_is_off() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let team = team::create(&mut ada, "Analytical Engines").await;
    let team: OrgId = team.parse().expect("an id");
    for role in ["admin", "billing", "member"] {
        let email = format!("{role}@example.com");
        let mut guest = Visitor::member(&farebox, &email, PASSWORD).await;
        team::bring_in(&farebox, &mut ada, &mut guest, &email, role).await;
    }
    let addresses = async || {
        let told: BTreeSet<String> = told(&farebox).await.into_iter().map(|(address, _)| address).collect();
        sqlx::query("delete from mail where kind = 'low_balance'").execute(&farebox.pool).await.expect("deleted");
        told.into_iter().collect::<Vec<_>>()
    };
    correct(&farebox.pool, team, "20").await;
    correct(&farebox.pool, team, "-15.01").await;
    let text = farebox.text("select string_agg(text_body, '') from mail where kind = 'low_balance'").await;
    assert_eq!(addresses().await, ["ada@example.com", "billing@example.com"], "{text}");

    let fields = [("enabled", "yes"), ("below", "8"), ("owners", "yes"), ("more", "cfo@example.com, Ada@example.com")];
    let saved = ada.submit("/settings/balance", "/settings/balance", &fields).await;
    assert_eq!(saved.status, 303, "{}", saved.body);
    assert_eq!(addresses().await, [""; 0], "a balance that is low already is not told of");
    correct(&farebox.pool, team, "20").await;
    correct(&farebox.pool, team, "-20").await;
    jobs_are_done(&farebox).await;
    let text = farebox.text("select text_body from mail where recipient = 'cfo@example.com'").await;
    for part in ["Analytical Engines", "fell below $8.00", "Credits now: $4.99", "/credits", "Low-balance alert"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let page = farebox.text("select html_body from mail where recipient = 'cfo@example.com'").await;
    assert_eq!(page.matches("class=\"action\"").count(), 1, "{page}");
    assert_eq!(addresses().await, ["ada@example.com", "cfo@example.com"], "each once");

    let off = ada.submit("/settings/balance", "/settings/balance", &[("below", "8"), ("owners", "yes")]).await;
    assert_eq!(off.status, 303, "{}", off.body);
    correct(&farebox.pool, team, "20").await;
    correct(&farebox.pool, team, "-20").await;
    assert_eq!(addresses().await, [""; 0], "it is off");
    assert_eq!(
        farebox.text("select count(*)::text from audit_entry where action = 'credits.alert_changed'").await,
        "2"
    );
    let seen = farebox.text("select string_agg(before::text || after::text, '') from audit_entry").await;
    assert!(!seen.contains("cfo@"), "an address stands where it cannot be erased");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_makes_no_sense_is_explained_and_changes_nothing() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let six = "a@x.example, b@x.example, c@x.example, d@x.example, e@x.example, f@x.example";
    for (below, owners, more, told) in [
        ("0", "yes", "", "above zero"),
        ("5.001", "yes", "", "whole cents"),
        ("five", "yes", "", "not an amount"),
        ("5", "yes", "ada", "not an e-mail address"),
        ("5", "yes", six, "At most 5"),
        ("5", "", "", "at least one reader"),
    ] {
        let mut fields = vec![("enabled", "yes"), ("below", below), ("more", more)];
        fields.extend((!owners.is_empty()).then_some(("owners", owners)));
        let page = ada.submit("/settings/balance", "/settings/balance", &fields).await;
        assert!(page.status == 422 && page.body.contains(told), "{told}: {} {}", page.status, page.body);
    }
    assert_eq!(farebox.text("select count(*)::text from balance_alert").await, "0");
    assert_eq!(farebox.text("select below::text from watch").await, "5.000000000000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_way_a_balance_falls_is_noticed() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "6", &[]).await;
    correct(&farebox.pool, org(&key), "-0.995").await;
    assert_eq!(told(&farebox).await.len(), 0);
    // A call, all the way through.
    let answer = farebox.chat(&key, "sandbox/penny", "hi", serde_json::json!({})).await;
    assert_eq!(answer.status(), 200);
    farebox.holds_are_closed().await;
    assert_eq!(told(&farebox).await.len(), 1, "a settled call");
    // Behind the wall, as the role of tenants.
    correct(&farebox.pool, org(&key), "5").await;
    let mut tx = farebox::db::tenant(&farebox.pool, org(&key)).await.expect("a transaction");
    sqlx::query("update credit set posted = posted - 6").execute(&mut *tx).await.expect("less");
    let fired = sqlx::query_scalar::<_, bool>("select armed from watch").fetch_one(&mut *tx).await.expect("a watch");
    assert!(!fired);
    drop(tx);
    let mut ada = Visitor::member(&farebox, "bob@example.com", PASSWORD).await;
    team::create(&mut ada, "Analytical Engines").await;
    let armed =
        farebox.text("select string_agg(kind || below::text || armed, ' ') from watch where crossing is null").await;
    assert_eq!(armed, "low_balance5.000000000000false low_balance5.000000000000false", "new ones begin unarmed");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_never_holds_the_amount_is_told_as_well_once_for_each_time() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "", &[]).await;
    let ada = org(&key);
    let mut mails = 0;
    let mut expect = async |change: &str, fires: bool, why: &str| {
        correct(&farebox.pool, ada, change).await;
        mails += i64::from(fires);
        let count = told(&farebox).await.first().map_or(0, |(_, count)| *count);
        assert_eq!(count, mails, "{change}: {why}");
    };
    // The smallest purchase, again and again: it never comes a dollar above the five of the alert.
    expect("5", false, "as much as the amount").await;
    expect("-0.01", true, "below it").await;
    expect("-4.79", false, "told once").await;
    expect("5", false, "5.20").await;
    expect("-0.20", false, "5.00 is not below").await;
    expect("-0.01", true, "again below").await;
    expect("-4.99", false, "nothing is left").await;
    // Two dollars a time, which never reach it: half of what there was counts.
    expect("2", false, "2.00").await;
    expect("-1", false, "half is not below half").await;
    expect("-0.01", true, "0.99").await;
    expect("-0.50", false, "told once").await;
    expect("0.99", false, "less than a dollar is no purchase").await;
    expect("-1.40", false, "and makes no alarm").await;
    expect("2", false, "2.08").await;
    expect("2", false, "4.08, so that 2.04 counts").await;
    expect("-2.04", false, "2.04").await;
    expect("-0.01", true, "2.03").await;
    expect("20", false, "22.03").await;
    expect("-17.03", false, "5.00").await;
    expect("-0.01", true, "the amount itself counts again").await;
    // A balance below zero is told of before, and a little more does not lift it.
    expect("-10", false, "-5.01").await;
    expect("3", false, "-2.01").await;
    expect("-1", false, "-3.01").await;
    let subjects =
        "select string_agg(substring(subject from 'below.*'), ', ' order by id) from mail where kind = 'low_balance'";
    assert_eq!(farebox.text(subjects).await, "below $5.00, below $5.00, below $1.00, below $2.04, below $5.00");
    let mail = farebox.text("select text_body from mail where subject like '%below $1.00'").await;
    assert!(mail.contains("half of what there was when credits last came in"), "{mail}");
    assert!(mail.contains("Credits now: $0.99"), "{mail}");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mail_says_how_long_the_credits_last() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "5.50", &[]).await;
    call_at_once(&[&farebox], &key, 60).await;
    assert_eq!(told(&farebox).await.len(), 1);
    let mail = farebox.text("select text_body from mail where kind = 'low_balance'").await;
    for part in ["Spent in the last seven days: $0.", "Pace: Lasts about ", " days at this pace"] {
        assert!(mail.contains(part), "{part} is not in {mail}");
    }
}

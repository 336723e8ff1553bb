//! Refunds and disputes are told once to whoever handles the credits, however often and to however many processes the
//! processor tells of them.

use farebox::stand_ins::stripe::Switches;
use serde_json::{Value, json};

use super::low_balance::jobs_are_done;
use super::notifications::{choose, everybody};
use crate::support::receiver::{self, Receiver};
use crate::support::shop::{Shop, applied, becomes, deliver_signed};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

const EVENTS: [&str; 5] = ["refund.succeeded", "refund.failed", "dispute.opened", "dispute.won", "dispute.lost"];

/// A shop that two processes sell for, whose messages come when a test says so.
struct Town {
    shop: Shop,
    one: Farebox,
    two: Farebox,
}

impl Town {
    async fn build() -> Town {
        let shop = Shop::open().await;
        let one = shop.farebox().await;
        let two = Farebox::with(Options { database_url: Some(one.database_url.clone()), ..shop.options() }).await;
        shop.hold_messages();
        Town { shop, one, two }
    }

    /// All that the processor ever told, to both processes at the same time; and again after the inbox forgot it.
    async fn hears(&self) {
        for _ in 0..2 {
            sqlx::query("delete from processor_event").execute(&self.one.pool).await.expect("an inbox that forgot");
            for event in self.shop.stripe.events() {
                let told = tokio::join!(deliver_signed(&self.one, &event), deliver_signed(&self.two, &event));
                assert_eq!(told, (200, 200));
            }
            applied(&self.one).await;
            jobs_are_done(&self.one).await;
        }
    }

    /// Who was mailed something of a kind, in order, and the last text; and forgets it.
    async fn mailed(&self, kind: &str) -> (String, String) {
        let mails: Vec<(String, String, String)> =
            sqlx::query_as("select recipient, subject, text_body from mail where kind = $1 order by recipient")
                .bind(kind)
                .fetch_all(&self.one.pool)
                .await
                .expect("mails");
        // The event stays as it was told, so that telling it again is noticed.
        sqlx::query("update mail set kind = kind || '_read' where kind = $1")
            .bind(kind)
            .execute(&self.one.pool)
            .await
            .expect("read");
        let readers: Vec<_> = mails.iter().map(|(to, ..)| to.trim_end_matches("@example.com")).collect();
        let text = mails.last().map(|(_, subject, text)| format!("{subject}\n{text}")).unwrap_or_default();
        for internal in ["stripe", "Stripe", "pi_", "ch_", "re_", "dp_", "du_", "cs_"] {
            assert!(!text.contains(internal), "{internal}: {text}");
        }
        (readers.join(" "), text)
    }

    async fn says(&self, kind: &str, readers: &str, parts: &[&str]) {
        let (to, text) = self.mailed(kind).await;
        assert_eq!(to, readers, "{kind}\n{text}");
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    /// What a payment is called, here and on its receipt.
    async fn names(&self, credits: i64) -> (Value, Value) {
        let (id, number): (uuid::Uuid, i64) =
            sqlx::query_as("select id, receipt_number from topup where credits = $1::bigint")
                .bind(credits)
                .fetch_one(&self.one.pool)
                .await
                .expect("a payment");
        (json!(format!("top_{}", id.simple())), json!(format!("R-{number:06}")))
    }

    async fn id(&self, query: &'static str) -> Value {
        json!(self.one.text(query).await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_refund_and_dispute_is_told_once_to_whoever_handles_the_credits() {
    let town = Town::build().await;
    let (org, mut all) = everybody(&town.one).await;
    let receiver = Receiver::start().await;
    let hook = receiver::add(&mut all[0], &receiver.url("/"), &EVENTS).await;
    let org = org.to_string();
    let first = town.shop.buy(&mut all[0], "20", "card").await;
    let second = town.shop.buy(&mut all[0], "30", "card").await;
    town.hears().await;
    let ((top_1, receipt_1), (top_2, receipt_2)) = (town.names(20).await, town.names(30).await);

    // A part goes back, at the processor.
    let refund = town.shop.stripe.refund(&town.shop.intent(&first), Some(500)).expect("a part");
    town.hears().await;
    let parts = [
        "A refund of $5.00 for Analytical Engines",
        "at the payment processor",
        "Paid: $21.10",
        "Credits taken: $5.00",
        "Credits now: $45.00",
        receipt_1.as_str().expect("a number"),
        "/credits/topups/top_",
    ];
    town.says("refund_succeeded", "billing owner", &parts).await;
    let rfd = town.id("select 'rfd_' || replace(id::text, '-', '') from refund").await;
    let told = receiver.told("refund.succeeded", &hook).await;
    let of_refund = |balance: &str| {
        json!({ "organization": org, "topup": top_1, "receipt": receipt_1, "refund": rfd, "origin": "processor",
            "amount": "5", "credits": "5", "fee": "0", "balance": balance })
    };
    assert_eq!(told, of_refund("45"));

    // The rest, by hand.
    let back = town.one.cli(&["topups", "refund", &first.topup]).await;
    assert!(back.status.success(), "{back:?}");
    town.hears().await;
    let parts = ["A refund of $16.10", "Whoever runs this instance sent it back", "Credits taken: $15.00"];
    town.says("refund_succeeded", "billing owner", &parts).await;

    // The bank sends the first one back.
    town.shop.stripe.fail_refund(&refund).expect("sent back");
    town.hears().await;
    let parts = ["A refund of $5.00 for Analytical Engines failed", "Credits put back: $5.00", "Credits now: $35.00"];
    town.says("refund_failed", "billing owner", &parts).await;
    let mut failed = of_refund("35");
    failed["reason"] = json!("");
    assert_eq!(receiver.told("refund.failed", &hook).await, failed);

    // Contested, and decided for the payment.
    let dispute = town.shop.stripe.dispute(&town.shop.intent(&second), None).expect("a dispute");
    town.hears().await;
    let parts = ["A payment of Analytical Engines is contested", "Contested: $31.65", "Credits taken: $30.00"];
    town.says("dispute_opened", "billing owner", &[&parts[..], &["Credits now: $5.00", "tell your bank"]].concat())
        .await;
    let dsp = town.id("select 'dsp_' || replace(id::text, '-', '') from dispute").await;
    let reason = town.id("select reason from dispute").await;
    let of_dispute = |balance: &str| {
        json!({ "organization": org, "topup": top_2, "receipt": receipt_2, "dispute": dsp, "amount": "31.65",
            "credits": "30", "fee": "1.65", "reason": reason, "balance": balance })
    };
    assert_eq!(receiver.told("dispute.opened", &hook).await, of_dispute("5"));
    town.shop.stripe.close_dispute(&dispute, true).expect("won");
    town.hears().await;
    town.says("dispute_won", "billing owner", &["stands", "Credits put back: $30.00", "Credits now: $35.00"]).await;
    assert_eq!(receiver.told("dispute.won", &hook).await, of_dispute("35"));

    // Whoever chose otherwise; and one that was lost before anybody heard of it.
    choose(&mut all[2], &[("refunds", "no")]).await;
    choose(&mut all[1], &[("refunds", "all")]).await;
    choose(&mut all[3], &[("refunds", "all")]).await;
    let third = town.shop.buy(&mut all[0], "10", "card").await;
    town.hears().await;
    let dispute = town.shop.stripe.dispute(&town.shop.intent(&third), None).expect("a dispute");
    town.shop.stripe.close_dispute(&dispute, false).expect("lost");
    town.hears().await;
    town.says("dispute_lost", "admin owner", &["goes back to whoever paid it", "Its credits were taken back."]).await;
    town.says("dispute_opened", "", &[]).await;
    let (top_3, receipt_3) = town.names(10).await;
    let lost = receiver.told("dispute.lost", &hook).await;
    assert_eq!((&lost["topup"], &lost["receipt"], &lost["credits"]), (&top_3, &receipt_3, &json!("10")));
    assert_eq!((&lost["amount"], &lost["fee"], &lost["balance"]), (&json!("10.8"), &json!("0.8"), &json!("35")));

    // Unused credits go back to a payer who asks for it.
    let fourth = town.shop.buy(&mut all[0], "40", "card").await;
    town.hears().await;
    let form = format!("/credits/topups/{}/refund", fourth.topup);
    assert_eq!(all[0].submit(&form, &form, &[]).await.status, 303);
    town.hears().await;
    town.says("refund_succeeded", "admin owner", &["A member returned unused credits", "Credits taken: $40.00"]).await;

    // All of it once.
    let came = receiver.has(7).await;
    let kinds: Vec<Value> = came.iter().map(|one| one.json()["type"].clone()).collect();
    for kind in EVENTS {
        let times = kinds.iter().filter(|other| **other == kind).count();
        assert_eq!(times, if kind == "refund.succeeded" { 3 } else { 1 }, "{kind}: {kinds:?}");
    }
    let origins: std::collections::BTreeSet<String> =
        came.iter().filter_map(|one| one.json()["data"]["origin"].as_str().map(str::to_owned)).collect();
    assert_eq!(origins.into_iter().collect::<Vec<_>>(), ["operator", "owner", "processor"]);
    let written = "select count(*)::text from hook_event where kind like 'refund.%' or kind like 'dispute.%'";
    assert_eq!(town.one.text(written).await, "7");
    let unread = "select count(*)::text from mail where kind in ('refund_succeeded', 'refund_failed', 'dispute_opened',
        'dispute_won', 'dispute_lost')";
    assert_eq!(town.one.text(unread).await, "0", "none is told again");
    town.shop.agrees(&town.one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_refused_or_not_answered_is_told_when_it_has_ended() {
    let town = Town::build().await;
    let mut ada = Visitor::member(&town.one, "ada@example.com", "correct horse battery").await;
    let bought = town.shop.buy(&mut ada, "20", "card").await;
    town.hears().await;
    let asked = "POST /v1/refunds".to_owned();
    town.shop.stripe.set_switches(Switches {
        fail_after_work: 1,
        hold_events: true,
        requests: asked,
        ..Switches::default()
    });
    let form = format!("/credits/topups/{}/refund", bought.topup);
    assert_eq!(ada.submit(&form, &form, &[]).await.status, 303);
    assert_eq!(town.one.text("select state from refund").await, "pending");
    jobs_are_done(&town.one).await;
    town.says("refund_succeeded", "", &[]).await;
    // The janitor of either process, and the messages as well.
    crate::support::shop::minutes_pass(&town.one).await;
    becomes(&town.one, "select state from refund", "succeeded").await;
    town.hears().await;
    let empty = "No credits are left, so calls are refused until some come in.";
    town.says("refund_succeeded", "ada", &["A refund of $20.00", "Credits now: $0.00", empty]).await;
    let written = town.one.text("select count(*)::text from mail where kind like 'refund%'").await;
    assert_eq!(written, "1");
    town.shop.agrees(&town.one).await;
}

/// What was earned by fees, less what was given back of them.
const FEES: &str =
    "select trim_scale(coalesce(sum(case when t.credit_account = a.id then t.amount else -t.amount end), 0))::text
    from ledger_account a left join transfer t on a.id in (t.debit_account, t.credit_account)
    where a.name = 'fee_revenue'";
const CREDITS: &str = "select trim_scale(posted)::text from credit where org_id = (select org_id from topup limit 1)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_of_a_fee_goes_back_than_was_earned_whatever_comes_back_between() {
    let town = Town::build().await;
    let mut ada = Visitor::member(&town.one, "ada@example.com", "correct horse battery").await;
    // $20 and $1.10: a part, the rest, and the part again, for the bank sent the first one back.
    let bought = town.shop.buy(&mut ada, "20", "card").await;
    let first = town.shop.stripe.refund(&town.shop.intent(&bought), Some(500)).expect("a part");
    town.hears().await;
    town.shop.stripe.refund(&town.shop.intent(&bought), None).expect("the rest");
    town.hears().await;
    assert_eq!((town.one.text(CREDITS).await.as_str(), town.one.text(FEES).await.as_str()), ("0", "0"));
    town.shop.stripe.fail_refund(&first).expect("sent back");
    town.hears().await;
    assert_eq!((town.one.text(CREDITS).await.as_str(), town.one.text(FEES).await.as_str()), ("5", "0"));
    town.shop.stripe.refund(&town.shop.intent(&bought), None).expect("the part again");
    town.hears().await;
    assert_eq!((town.one.text(CREDITS).await.as_str(), town.one.text(FEES).await.as_str()), ("0", "0"));
    town.shop.agrees(&town.one).await;

    // $30 and $1.65: a part, and a dispute about all of it. What the payer has twice is taken from the credits.
    let bought = town.shop.buy(&mut ada, "30", "card").await;
    town.shop.stripe.refund(&town.shop.intent(&bought), Some(500)).expect("a part");
    let dispute = town.shop.stripe.dispute(&town.shop.intent(&bought), None).expect("a dispute");
    town.hears().await;
    assert_eq!((town.one.text(CREDITS).await.as_str(), town.one.text(FEES).await.as_str()), ("-5", "0"));
    town.shop.agrees(&town.one).await;
    town.shop.stripe.close_dispute(&dispute, true).expect("won");
    town.hears().await;
    assert_eq!((town.one.text(CREDITS).await.as_str(), town.one.text(FEES).await.as_str()), ("25", "1.65"));
    town.shop.agrees(&town.one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispute_that_is_decided_anew_is_booked_and_told_each_time() {
    let town = Town::build().await;
    let mut ada = Visitor::member(&town.one, "ada@example.com", "correct horse battery").await;
    let bought = town.shop.buy(&mut ada, "20", "card").await;
    town.hears().await;
    let dispute = town.shop.stripe.dispute(&town.shop.intent(&bought), None).expect("a dispute");
    town.hears().await;
    town.says("dispute_opened", "ada", &["Credits taken: $20.00"]).await;
    town.shop.stripe.close_dispute(&dispute, false).expect("lost");
    town.hears().await;
    town.says("dispute_lost", "ada", &["stay taken"]).await;
    for turn in 0..4 {
        town.shop.stripe.turn_dispute(&dispute).expect("decided anew");
        town.hears().await;
        let (state, of_topup, credits) = if turn % 2 == 0 { ("won", "paid", "20") } else { ("lost", "disputed", "0") };
        assert_eq!(town.one.text("select state from dispute").await, state, "{turn}");
        assert_eq!(town.one.text("select state from topup").await, of_topup, "{turn}");
        assert_eq!(town.one.text(CREDITS).await, credits, "{turn}");
        match state {
            "won" => town.says("dispute_won", "ada", &["Credits put back: $20.00", "Credits now: $20.00"]).await,
            _ => town.says("dispute_lost", "ada", &["Its credits were taken back.", "Credits now: $0.00"]).await,
        }
        town.shop.agrees(&town.one).await;
    }
    let told = town.one.cli(&["topups", "reconcile", "--processor", "stripe"]).await;
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("no difference") && !told.contains("LOOK"), "{told}");
    assert_eq!(town.one.text("select turn || ' ' || moves from dispute").await, "3 5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inquiry_takes_nothing_tells_nobody_and_ends() {
    let town = Town::build().await;
    let mut ada = Visitor::member(&town.one, "ada@example.com", "correct horse battery").await;
    let bought = town.shop.buy(&mut ada, "20", "card").await;
    let intent = town.shop.intent(&bought);
    let dispute = town.shop.stripe.inquire(&intent).expect("a question");
    town.hears().await;
    assert_eq!(town.one.text("select state from dispute").await, "inquiry");
    // Long after the window it is asked for while it is open, and never again when it is over.
    let ninety_days = 90 * 24 * 60 * 60;
    for object in [&intent, &dispute] {
        town.shop.stripe.age(object, ninety_days);
    }
    let past = "update topup set paid_at = paid_at - interval '90 days', created_at = created_at - interval '90 days'";
    sqlx::query(past).execute(&town.one.pool).await.expect("time");
    let asks = || {
        let path = format!("/v1/payment_intents/{intent}");
        town.shop.stripe.requests().iter().filter(|seen| seen.method == "GET" && seen.path.starts_with(&path)).count()
    };
    for (close, asked) in [(false, 1), (true, 1), (false, 0)] {
        if close {
            town.shop.stripe.close_dispute(&dispute, true).expect("over");
        }
        let before = asks();
        let told = town.one.cli(&["topups", "reconcile", "--processor", "stripe"]).await;
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.contains("no difference") && !told.contains("LOOK"), "{told}");
        assert_eq!(asks() - before, asked, "{close}");
    }
    assert_eq!(town.one.text("select state || ' ' || (closed_at is not null) from dispute").await, "closed true");
    // Messages come late, old ones among them.
    town.hears().await;
    assert_eq!(town.one.text("select state from dispute").await, "closed");
    assert_eq!(town.one.text(CREDITS).await, "20");
    assert_eq!(town.one.text("select count(*)::text from mail where kind like 'dispute%'").await, "0");
    assert_eq!(town.one.text("select count(*)::text from transfer").await, "2");
    town.shop.agrees(&town.one).await;
}

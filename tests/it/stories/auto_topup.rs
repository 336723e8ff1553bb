//! Credits are bought by a rule: once for each time they fall below the amount, within the caps, whatever breaks.

use std::time::Duration;

use farebox::base::Usd;
use farebox::base::ids::PaymentMethodId;
use farebox::stand_ins::stripe::{PayAs, Switches};
use serde_json::json;

use super::low_balance::{call_at_once, correct, jobs_are_done, org};
use crate::support::receiver::{self, Receiver};
use crate::support::shop::{Shop, becomes};
use crate::support::visitor::{Page, Visitor};
use crate::support::{Farebox, Key, Options, calendar, scale};

const PASSWORD: &str = "correct horse battery";
const CHARGE: &str = "POST /v1/payment_intents";
/// What $20 cost, in cents.
const TOTAL: i64 = 2_110;

/// Ada, her key, and her card.
struct Town {
    shop: Shop,
    farebox: Farebox,
    key: Key,
    card: PaymentMethodId,
    cookies: Vec<(String, String)>,
}

impl Town {
    /// With $30, of which she bought $20 with a card that was kept, and no rule yet.
    async fn build() -> Town {
        let shop = Shop::open().await;
        let farebox = shop.farebox().await;
        let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
        let key = farebox.key("ada@example.com", "10", &[]).await;
        let bought = shop.start(&mut ada, "20", "card", true).await;
        shop.stripe.pay(&bought.session, PayAs::Succeed).expect("a payment");
        becomes(&farebox, "select posted::text from credit", "30.000000000000").await;
        let cookies = ada.cookies().to_vec();
        let card: uuid::Uuid =
            sqlx::query_scalar("select id from payment_method").fetch_one(&farebox.pool).await.expect("a card");
        Town { shop, farebox, key, card: PaymentMethodId(card), cookies }
    }

    /// Another process on the same database.
    async fn another(&self) -> Farebox {
        let database_url = Some(self.farebox.database_url.clone());
        Farebox::with(Options { database_url, ..self.shop.options() }).await
    }

    /// The same, which people reach under this address: what is asked for again must be asked for in the same words.
    async fn another_at(&self, base: &str) -> Farebox {
        let mut options = self.shop.options();
        options.env.push(("FAREBOX_PUBLIC_URL", base.to_owned()));
        options.database_url = Some(self.farebox.database_url.clone());
        Farebox::with(options).await
    }

    /// Automatic charges that reached the processor.
    fn tried(&self) -> usize {
        self.intents().len()
    }

    /// Their payments, oldest first; the one before them all was hers.
    fn intents(&self) -> Vec<String> {
        let all = self.shop.stripe.objects("payment_intent");
        all.iter().skip(1).map(|intent| intent["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// With $30, and the rule: below $10, buy $20, at most these sums a day and a month.
    async fn with_rule(cap_day: &str, cap_month: &str) -> Town {
        let town = Town::build().await;
        let page = town.set("10", "20", cap_day, cap_month).await;
        assert_eq!(page.status, 303, "{}", page.body);
        town
    }

    fn ada(&self) -> Visitor<'_> {
        Visitor::with_cookies(&self.farebox, &self.cookies)
    }

    async fn set(&self, below: &str, credits: &str, cap_day: &str, cap_month: &str) -> Page {
        let card = self.card.to_string();
        let fields =
            [("below", below), ("credits", credits), ("method", &card), ("cap_day", cap_day), ("cap_month", cap_month)];
        self.ada().submit("/credits/auto/edit", "/credits/auto", &fields).await
    }

    async fn posted(&self) -> Usd {
        let of_ada = "select posted::text from credit where org_id = (select org_id from topup limit 1)";
        Usd::parse(&self.farebox.text(of_ada).await).expect("an amount")
    }

    /// Moves the balance to so many dollars, by hand.
    async fn bring_to(&self, dollars: &str) {
        let change = Usd::parse(dollars).expect("an amount") - self.posted().await;
        correct(&self.farebox.pool, org(&self.key), &change.exact()).await;
    }

    async fn run(&self, statement: &'static str) {
        let done = sqlx::query(statement).execute(&self.farebox.pool).await.expect("the statement");
        assert!(done.rows_affected() > 0, "{statement}");
    }

    /// States of automatic purchases, oldest first, when no job is left to run.
    async fn states(&self) -> Vec<String> {
        jobs_are_done(&self.farebox).await;
        self.states_now().await
    }

    async fn states_now(&self) -> Vec<String> {
        sqlx::query_scalar("select state from topup where origin = 'auto' order by id")
            .fetch_all(&self.farebox.pool)
            .await
            .expect("states")
    }

    /// Waits until the automatic purchases have these states, at most thirty seconds.
    async fn turns(&self, states: &[&str]) {
        let mut seen = Vec::new();
        for _ in 0..300 {
            seen = self.states().await;
            if seen == states {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{seen:?} instead of {states:?}\n{}", self.farebox.log());
    }

    /// Lets the janitor ask now for what is open.
    async fn ask_now(&self) {
        self.run("update topup set ask_at = now() where state = 'pending'").await;
    }

    /// An hour passes for a rule that waits to try again.
    async fn an_hour_passes(&self) {
        self.run("update auto_topup set retry_at = now() where retry_at is not null").await;
        self.run("update graphile_worker._private_jobs set run_at = now() where key like 'auto_topup:%:retry:%'").await;
    }

    async fn mailed(&self, kind: &'static str) -> Vec<(String, String)> {
        jobs_are_done(&self.farebox).await;
        sqlx::query_as("select recipient, text_body from mail where kind = $1 order by id")
            .bind(kind)
            .fetch_all(&self.farebox.pool)
            .await
            .expect("mails")
    }
}

fn charges(switches: Switches) -> Switches {
    Switches { requests: CHARGE.to_owned(), ..switches }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crossing_is_one_charge_however_many_calls_and_processes_cross_at_once() {
    let town = Town::with_rule("100000", "1000000").await;
    let second = town.another().await;
    let runs = scale(3, 50);
    for run in 1..=runs {
        town.bring_to("10.50").await;
        call_at_once(&[&town.farebox, &second], &town.key, 200).await;
        town.turns(&vec!["paid"; run]).await;
        assert_eq!(town.posted().await, Usd::from_hundredths(2_850), "run {run}: $10.50 less 200 cents and $20 more");
    }
    assert_eq!(town.shop.stripe.balance(), TOTAL * i64::try_from(runs + 1).expect("a number"));
    assert_eq!(town.tried(), runs, "nothing else was tried");
    town.shop.agrees(&town.farebox).await;
    let page = town.ada().get("/credits/auto").await.body;
    assert!(page.contains("When credits fall below $10.00, buy $20.00 with Visa ending in 4242."), "{page}");
    assert_eq!(page.matches(">Paid<").count(), runs.min(20), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_purchase_after_another_until_it_is_enough() {
    let town = Town::with_rule("1000", "1000").await;
    let page = town.set("50", "20", "1000", "1000").await;
    assert_eq!(page.status, 303, "{}", page.body);
    // Below already: it buys at once, from $30 to $50, which is not below any more.
    town.turns(&["paid"]).await;
    town.bring_to("15").await;
    town.turns(&["paid"; 3]).await;
    assert_eq!(town.posted().await, Usd::from_whole(55));
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caps_hold_whatever_goes_back_and_are_told_of_once_a_day() {
    calendar::within_a_day().await;
    // Two purchases a day, three a month.
    let town = Town::with_rule("42.20", "63.30").await;
    let receiver = Receiver::start().await;
    let hook = receiver::add(&mut town.ada(), &receiver.url("/"), &["auto_topup.capped"]).await;
    for run in 1..=2 {
        town.bring_to("9").await;
        town.turns(&vec!["paid"; run]).await;
    }
    let intent = town.intents().remove(0);
    town.shop.stripe.refund(&intent, None).expect("a refund");
    town.turns(&["refunded", "paid"]).await;
    for _ in 0..2 {
        // It falls twice, and nothing is bought.
        town.bring_to("11").await;
        town.bring_to("9").await;
        town.turns(&["refunded", "paid"]).await;
    }
    let mails = town.mailed("auto_topup_capped").await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert!(mails[0].0 == "ada@example.com" && mails[0].1.contains("Cap of a day: $42.20"), "{mails:?}");
    let data = receiver.told("auto_topup.capped", &hook).await;
    let tomorrow = town.farebox.text("select ((now() at time zone 'utc')::date + 1)::text").await;
    let said = json!({ "organization": town.key.org, "below": "10", "balance": "9", "until": tomorrow, "cap_day": "42.2",
        "cap_month": "63.3" });
    assert_eq!(data, said);
    let page = town.ada().get("/credits/auto").await.body;
    assert!(page.contains("The cap of $42.20 a day is reached."), "{page}");

    // The next day, still in this month unless it has just begun.
    town.run(
        "update topup set created_at = greatest(date_trunc('month', now() at time zone 'utc') at time zone 'utc',
        created_at - interval '1 day') where origin = 'auto'",
    )
    .await;
    let new_month = town.farebox.text("select (extract(day from now() at time zone 'utc') = 1)::text").await == "true";
    town.run("update graphile_worker._private_jobs set run_at = now() where key like 'auto_topup:%:day:%'").await;
    if new_month {
        return town.shop.agrees(&town.farebox).await;
    }
    town.turns(&["refunded", "paid", "paid"]).await;
    town.bring_to("9").await;
    town.turns(&["refunded", "paid", "paid"]).await;
    let page = town.ada().get("/credits/auto").await.body;
    assert!(page.contains("The cap of $63.30 a month is reached."), "{page}");
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_between_charge_and_credit_credits_once() {
    let mut town = Town::with_rule("100000", "1000000").await;
    let runs = scale(3, 20);
    for run in 1..=runs {
        // The charge is made, its answer comes when nobody is there any more, and no event tells of it.
        let switches = Switches { late: 1, late_by_ms: 5_000, hold_events: true, ..Switches::default() };
        town.shop.stripe.set_switches(charges(switches));
        town.bring_to("9").await;
        for _ in 0..200 {
            if town.tried() == run {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        assert_eq!(town.tried(), run, "{}", town.farebox.log());
        town.farebox.kill();
        assert_eq!(town.farebox.text("select count(*)::text from topup where state = 'pending'").await, "1");
        town.farebox = town.another().await;
        town.ask_now().await;
        // The job that died with its process is only run again after half a minute; it must not be waited for.
        for _ in 0..300 {
            if town.states_now().await == vec!["paid"; run] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(town.states_now().await, vec!["paid"; run], "{}", town.farebox.log());
        assert_eq!(town.posted().await, Usd::from_whole(29));
        if run % 2 == 0 {
            // What the processor had to tell comes late, and again.
            town.shop.deliver_to(&town.farebox);
            town.shop.stripe.deliver_all().await;
            town.shop.stripe.deliver_all().await;
        }
    }
    jobs_are_done(&town.farebox).await;
    assert_eq!(town.shop.stripe.balance(), TOTAL * i64::try_from(runs + 1).expect("a number"));
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_without_an_answer_stays_open_and_is_booked_once() {
    let town = Town::with_rule("1000", "1000").await;
    let mut states: Vec<&str> = Vec::new();
    for (name, switches, made) in [
        ("done, but the answer is an error", Switches { fail_after_work: 1, ..Switches::default() }, 1),
        ("not done, and the answer is an error", Switches { fail_before_work: 1, ..Switches::default() }, 0),
        ("too many requests", Switches { rate_limit: 1, ..Switches::default() }, 0),
    ] {
        let before = town.tried();
        town.shop.stripe.set_switches(charges(Switches { hold_events: true, ..switches }));
        town.bring_to("9").await;
        states.push("pending");
        town.turns(&states).await;
        assert_eq!(town.tried() - before, made, "{name}");
        assert_eq!(town.posted().await, Usd::from_whole(9), "{name}: nothing is guessed");
        // Another crossing finds the open attempt and adds none.
        town.bring_to("11").await;
        town.bring_to("9").await;
        town.turns(&states).await;
        town.ask_now().await;
        states.pop();
        states.push("paid");
        town.turns(&states).await;
        assert_eq!(town.tried() - before, 1, "{name}");
        assert_eq!(town.posted().await, Usd::from_whole(29), "{name}");
    }
    town.shop.stripe.set_switches(Switches::default());
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_nobody_heard_of_is_given_up_and_tried_again_later() {
    let town = Town::with_rule("1000", "1000").await;
    town.shop.stripe.set_switches(charges(Switches { fail_before_work: 1, ..Switches::default() }));
    town.bring_to("9").await;
    town.turns(&["pending"]).await;
    // Long ago: the number may be forgotten there, so it is not sent again.
    town.run("update topup set created_at = created_at - interval '3 hours', ask_at = now() where state = 'pending'")
        .await;
    town.turns(&["expired"]).await;
    assert_eq!(town.tried(), 0);
    assert_eq!(town.farebox.text("select declines::text || enabled from auto_topup").await, "0true", "nobody declined");
    town.an_hour_passes().await;
    town.turns(&["expired", "paid"]).await;
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_is_sent_again_for_an_hour_given_up_after_two_and_credited_whenever_it_appears() {
    let town = Town::with_rule("1000", "1000").await;
    let unheard = || charges(Switches { fail_before_work: 1, hold_events: true, ..Switches::default() });
    town.shop.stripe.set_switches(unheard());
    town.bring_to("9").await;
    town.turns(&["pending"]).await;
    // After 59 minutes it is sent again, with the same number.
    town.run("update topup set created_at = now() - interval '59 minutes', ask_at = now() where state = 'pending'")
        .await;
    town.turns(&["paid"]).await;
    assert_eq!((town.tried(), town.posted().await), (1, Usd::from_whole(29)));

    town.shop.stripe.set_switches(unheard());
    town.bring_to("9").await;
    town.turns(&["paid", "pending"]).await;
    // After an hour it is not, and stays open: what was sent before may still be on its way.
    for minutes in ["61 minutes", "119 minutes"] {
        sqlx::query("update topup set created_at = now() - $1::text::interval, ask_at = now() where state = 'pending'")
            .bind(minutes)
            .execute(&town.farebox.pool)
            .await
            .expect("time");
        becomes(&town.farebox, "select (ask_at > now())::text from topup where state = 'pending'", "true").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(town.states_now().await, ["paid", "pending"], "{minutes}");
        assert_eq!(town.tried(), 1, "{minutes}");
    }
    // After two hours nobody waits for it any more.
    town.run("update topup set created_at = now() - interval '121 minutes', ask_at = now() where state = 'pending'")
        .await;
    town.turns(&["paid", "expired"]).await;
    assert_eq!(town.posted().await, Usd::from_whole(9));
    // It was on its way after all: the money came in, so it is credited.
    let topup =
        town.farebox.text("select 'top_' || replace(id::text, '-', '') from topup where state = 'expired'").await;
    let form = [
        ("amount", "2110"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("return_url", "https://example.com/"),
        ("metadata[farebox_topup]", topup.as_str()),
    ];
    let url = town.shop.stripe.url().join("v1/payment_intents").expect("an address");
    let request = town.farebox.http.post(url).bearer_auth(crate::support::shop::KEY).form(&form);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    town.shop.stripe.set_switches(Switches::default());
    town.shop.stripe.deliver_all().await;
    becomes(&town.farebox, "select string_agg(state, ',' order by id) from topup where origin = 'auto'", "paid,paid")
        .await;
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_declines_in_a_row_switch_it_off_and_say_so() {
    let town = Town::with_rule("1000", "1000").await;
    let receiver = Receiver::start().await;
    let hook = receiver::add(&mut town.ada(), &receiver.url("/"), &["auto_topup.failed", "auto_topup.stopped"]).await;
    town.shop.stripe.set_switches(Switches { decline: 2, ..Switches::default() });
    town.bring_to("9").await;
    town.turns(&["failed"]).await;
    town.an_hour_passes().await;
    town.turns(&["failed"; 2]).await;
    town.an_hour_passes().await;
    // A success begins the count anew.
    town.turns(&["failed", "failed", "paid"]).await;
    assert_eq!(town.farebox.text("select declines::text from auto_topup").await, "0");
    let failed = town.mailed("auto_topup_failed").await;
    assert_eq!(failed.len(), 2, "{failed:?}");
    for (number, (to, text)) in failed.iter().enumerate() {
        assert_eq!(to, "ada@example.com");
        let in_a_row = format!("This was failure {} in a row", number + 1);
        for part in ["Nothing was bought.", "again in an hour", "To pay: $21.10", "Credits now: $9.00", &in_a_row] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    let first = "select 'top_' || replace(id::text, '-', '') from topup where origin = 'auto' order by id limit 1";
    let topup = town.farebox.text(first).await;
    let reason = town.farebox.text("select failure from topup where origin = 'auto' order by id limit 1").await;
    let said = json!({ "organization": town.key.org, "below": "10", "balance": "9", "topup": topup, "in_a_row": 1,
        "reason": reason });
    assert_eq!(reason, "The payment was declined.");
    assert_eq!(receiver.told("auto_topup.failed", &hook).await, said);

    let insufficient = Switches { decline: 9, decline_code: "insufficient_funds".into(), ..Switches::default() };
    town.shop.stripe.set_switches(insufficient);
    town.bring_to("9").await;
    town.turns(&["failed", "failed", "paid", "failed"]).await;
    let waiting = town
        .farebox
        .text("select count(*)::text from graphile_worker._private_jobs where run_at > now() + interval '50 minutes'")
        .await;
    assert_eq!(waiting, "1", "one more try in an hour");
    town.an_hour_passes().await;
    town.turns(&["failed", "failed", "paid", "failed", "failed"]).await;
    assert_eq!(town.mailed("auto_topup_stopped").await.len(), 0);
    town.an_hour_passes().await;
    town.turns(&["failed", "failed", "paid", "failed", "failed", "failed"]).await;
    let mails = town.mailed("auto_topup_stopped").await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    for part in ["switched off", "Last reason: The card has too little money.", "/credits/auto"] {
        assert!(mails[0].1.contains(part), "{part}: {}", mails[0].1);
    }
    let page = town.ada().get("/credits/auto").await.body;
    assert!(page.contains("It was switched off after 3 failed charges in a row."), "{page}");
    let logged =
        "select count(*)::text from audit_entry where action = 'credits.auto_topup_stopped' and actor_kind = 'system'";
    assert_eq!(town.farebox.text(logged).await, "1");
    // The last one is told of as what it led to. All messages again, also to another process, tell nothing again.
    let second = town.another().await;
    for node in [&town.farebox, &second] {
        sqlx::query("delete from processor_event").execute(&node.pool).await.expect("an inbox that forgot");
        for event in town.shop.stripe.events() {
            assert_eq!(crate::support::shop::deliver_signed(node, &event).await, 200);
        }
        crate::support::shop::applied(node).await;
    }
    assert_eq!(town.mailed("auto_topup_failed").await.len(), 4);
    assert_eq!(town.mailed("auto_topup_stopped").await.len(), 1);
    let told = "select string_agg(kind || ' ' || times, ', ' order by kind) from
        (select kind, count(*) as times from hook_event group by kind) each";
    assert_eq!(town.farebox.text(told).await, "auto_topup.failed 4, auto_topup.stopped 1");
    drop(second);
    // Off is off.
    town.shop.stripe.set_switches(Switches::default());
    town.bring_to("20").await;
    town.bring_to("9").await;
    assert_eq!(town.states().await.len(), 6);
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_that_the_bank_asks_about_is_mailed_confirmed_or_given_up() {
    let town = Town::with_rule("1000", "1000").await;
    let receiver = Receiver::start().await;
    let hook = receiver::add(&mut town.ada(), &receiver.url("/"), &["auto_topup.confirm"]).await;
    // Asked for without the payer, and again with them.
    town.shop.stripe.set_switches(Switches { authenticate: 2, ..Switches::default() });
    town.bring_to("9").await;
    let mut mails = Vec::new();
    for _ in 0..100 {
        mails = town.mailed("auto_topup_confirm").await;
        if !mails.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(mails.len(), 1, "{}", town.farebox.log());
    let link = mails[0].1.split_whitespace().find(|word| word.contains("/credits/topups/")).expect("a link").to_owned();
    let path = format!("/credits{}", link.split_once("/credits").expect("a path").1);
    let (page_of_it, org) = path.split_once("?org=").expect("of which organization");
    assert_eq!(org, town.key.org);
    let topup = page_of_it.rsplit('/').next().expect("a payment");
    let said = json!({ "organization": town.key.org, "below": "10", "balance": "9", "topup": topup });
    assert_eq!(receiver.told("auto_topup.confirm", &hook).await, said);
    let page = town.ada().get(&path).await.body;
    assert!(page.contains("/authenticate/pi_"), "the way to pay stands on the page: {page}");
    town.ask_now().await;
    town.turns(&["pending"]).await;
    assert_eq!(town.mailed("auto_topup_confirm").await.len(), 1, "asking again tells nobody again");
    assert_eq!(receiver.came().len(), 1, "nor the program");
    let intent = town.intents().remove(0);
    town.shop.stripe.authenticate(&intent, true).expect("confirmed");
    town.turns(&["paid"]).await;
    assert_eq!(town.posted().await, Usd::from_whole(29));

    town.shop.stripe.set_switches(Switches { authenticate: 2, ..Switches::default() });
    town.bring_to("9").await;
    town.turns(&["paid", "pending"]).await;
    // The processor's message that it is cancelled is booked before its answer comes.
    let pending = town.intents().pop().expect("a payment");
    let cancel = format!("POST /v1/payment_intents/{pending}/cancel");
    town.shop.stripe.set_switches(Switches { late: 1, late_by_ms: 15_000, requests: cancel, ..Switches::default() });
    town.run("update topup set created_at = created_at - interval '24 hours', ask_at = now() where state = 'pending'")
        .await;
    town.turns(&["paid", "failed"]).await;
    let reason = town.farebox.text("select failure from topup where state = 'failed'").await;
    assert_eq!(reason, "Nobody confirmed it within 23 hours, so it was cancelled.");
    let by_message = "select outcome from processor_event where kind = 'payment_intent.canceled'";
    assert_eq!(town.farebox.text(by_message).await, "failed", "the message ended it, not the answer");
    town.shop.agrees(&town.farebox).await;
}

/// The one automatic purchase waits for its payer, who was told so once and of no failure.
async fn its_payer_is_asked(town: &Town) {
    becomes(&town.farebox, "select count(*)::text from mail where kind = 'auto_topup_confirm'", "1").await;
    assert_eq!(town.states_now().await, ["pending"], "{}", town.farebox.log());
    assert_eq!(town.farebox.text("select count(*)::text from mail where kind = 'auto_topup_failed'").await, "0");
    assert_eq!(town.farebox.text("select declines::text from auto_topup").await, "0");
    let intent = town.intents().remove(0);
    assert_eq!(town.shop.stripe.object(&intent).expect("a payment")["status"], "requires_action");
    let topup = town.farebox.text("select 'top_' || replace(id::text, '-', '') from topup where origin = 'auto'").await;
    let page = town.ada().get(&format!("/credits/topups/{topup}")).await.body;
    assert!(page.contains("/authenticate/pi_"), "the way to pay stands on the page: {page}");
    town.shop.stripe.authenticate(&intent, true).expect("confirmed");
    town.shop.stripe.deliver_all().await;
    becomes(&town.farebox, "select state from topup where origin = 'auto'", "paid").await;
    assert_eq!((town.tried(), town.posted().await), (1, Usd::from_whole(29)));
    jobs_are_done(&town.farebox).await;
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_wants_its_payer_is_no_decline_however_late_they_are_asked() {
    let town = Town::with_rule("1000", "1000").await;
    let second = town.another().await;
    let confirm = format!("{CHARGE}/");
    let slow = Switches { authenticate: 2, delay_ms: 8_000, requests: confirm, ..Switches::default() };
    town.shop.stripe.set_switches(slow);
    town.bring_to("9").await;
    // The processor's message comes, and is looked into, before the payer is asked; by both processes.
    let heard = "select count(*)::text from processor_event where kind = 'payment_intent.payment_failed'
        and applied_at is not null";
    becomes(&town.farebox, heard, "1").await;
    let event = town.shop.stripe.events().into_iter().rfind(|event| event["type"] == "payment_intent.payment_failed");
    assert_eq!(crate::support::shop::deliver_signed(&second, &event.expect("a message")).await, 200);
    town.ask_now().await;
    let intent = town.intents().remove(0);
    assert_eq!(town.shop.stripe.object(&intent).expect("a payment")["status"], "requires_payment_method", "not yet");
    assert_eq!(town.states_now().await, ["pending"]);
    its_payer_is_asked(&town).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_before_the_payer_is_asked_leaves_that_to_another() {
    for hold_events in [false, true] {
        let mut town = Town::with_rule("1000", "1000").await;
        // The bank wants its payer, and whoever would ask them is killed before it hears of it.
        let late = Switches { authenticate: 2, late: 1, late_by_ms: 8_000, hold_events, ..Switches::default() };
        town.shop.stripe.set_switches(charges(late));
        town.bring_to("9").await;
        for _ in 0..400 {
            if town.tried() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(town.tried(), 1, "{}", town.farebox.log());
        town.farebox.kill();
        let intent = town.intents().remove(0);
        assert_eq!(town.shop.stripe.object(&intent).expect("a payment")["status"], "requires_payment_method");
        let base = town.farebox.base.clone();
        town.farebox = town.another_at(&base).await;
        town.shop.deliver_to(&town.farebox);
        if !hold_events {
            town.shop.stripe.deliver_all().await;
            crate::support::shop::applied(&town.farebox).await;
        }
        assert_eq!(town.states_now().await, ["pending"]);
        // Two at once ask for it.
        let second = town.another_at(&base).await;
        town.ask_now().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        town.ask_now().await;
        its_payer_is_asked(&town).await;
        drop(second);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_that_wants_its_payer_while_nobody_may_be_asked_is_given_up_after_an_hour() {
    let town = Town::with_rule("1000", "1000").await;
    // It is declined without its payer, and the question for them is lost.
    let lost = Switches { authenticate: 9, fail_before_work: 9, requests: format!("{CHARGE}/"), ..Switches::default() };
    town.shop.stripe.set_switches(lost);
    town.bring_to("9").await;
    town.turns(&["pending"]).await;
    town.run("update org set frozen_at = now() where id in (select org_id from auto_topup)").await;
    // Only the janitor looks from here on.
    town.shop.stripe.set_switches(Switches { authenticate: 9, hold_events: true, ..Switches::default() });
    let asked = || town.shop.stripe.requests().iter().filter(|seen| seen.path.ends_with("/confirm")).count();
    let before = asked();
    town.ask_now().await;
    becomes(&town.farebox, "select (ask_at > now())::text from topup where state = 'pending'", "true").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!((asked(), town.states_now().await), (before, vec!["pending".to_owned()]), "nobody is asked");
    town.run("update topup set created_at = now() - interval '61 minutes', ask_at = now() where state = 'pending'")
        .await;
    town.turns(&["failed"]).await;
    let intent = town.intents().remove(0);
    assert_eq!(town.shop.stripe.object(&intent).expect("a payment")["status"], "canceled");
    let reason = town.farebox.text("select failure from topup where state = 'failed'").await;
    assert_eq!(reason, "The bank wanted it confirmed, and nobody could be asked. It was cancelled.");
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_is_off_even_between_the_crossing_and_its_job() {
    let town = Town::with_rule("1000", "1000").await;
    // The crossing happens, and its job waits.
    let mut tx = town.farebox.pool.begin().await.expect("a transaction");
    sqlx::query("update credit set posted = posted - 21").execute(&mut *tx).await.expect("less");
    let waits = "update graphile_worker._private_jobs set run_at = now() + interval '1 hour' where key like 'balance_crossed:%'";
    assert_eq!(sqlx::query(waits).execute(&mut *tx).await.expect("later").rows_affected(), 1);
    tx.commit().await.expect("committed");
    let off = town.ada().submit("/credits/auto", "/credits/auto/off", &[]).await;
    assert_eq!(off.status, 303, "{}", off.body);
    town.run("update graphile_worker._private_jobs set run_at = now() where key like 'balance_crossed:%'").await;
    town.turns(&[]).await;
    town.run("update credit set posted = posted + 21").await;
    for _ in 0..3 {
        town.bring_to("20").await;
        town.bring_to("9").await;
    }
    assert_eq!(town.states().await, [""; 0]);
    assert_eq!(town.tried(), 0);
    assert_eq!(town.farebox.text("select count(*)::text from auto_topup_attempt").await, "0");
    // On again, for what is below: at once, and the old crossing once more does nothing.
    let on = town.set("10", "20", "1000", "1000").await;
    assert_eq!(on.status, 303, "{}", on.body);
    town.turns(&["paid"]).await;
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_or_ending_organization_is_charged_nothing() {
    let town = Town::with_rule("1000", "1000").await;
    for closing in [
        "frozen_at = now()",
        "kind = 'team', frozen_at = null, deletion_asked_at = now(), delete_after = now() + interval '7 days'",
    ] {
        let close = format!("update org set {closing}");
        sqlx::query(sqlx::AssertSqlSafe(close)).execute(&town.farebox.pool).await.expect("closed");
        town.bring_to("20").await;
        town.bring_to("9").await;
        assert_eq!(town.states().await, [""; 0], "{closing}");
    }
    assert_eq!(town.tried(), 0);
    // Kept after all: what was passed over is bought now, once.
    let mut ada = town.ada();
    let token = ada.token("/credits").await;
    for _ in 0..2 {
        assert_eq!(ada.post(&token, "/settings/organization/keep", &[]).await.status, 303);
    }
    town.turns(&["paid"]).await;
    assert_eq!((town.tried(), town.posted().await), (1, Usd::from_whole(29)));
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_keeps_the_account_after_all_is_charged_for_what_was_passed_over() {
    let town = Town::with_rule("1000", "1000").await;
    let mut ada = town.ada();
    let gone = ada.submit("/settings/delete", "/settings/delete", &[("typed", "ada@example.com")]).await;
    assert_eq!((gone.status, gone.location.as_str()), (303, "/account/leaving"), "{}", gone.body);
    town.bring_to("9").await;
    assert_eq!(town.states().await, [""; 0]);
    assert_eq!(ada.submit("/account/leaving", "/account/keep", &[]).await.status, 303);
    town.turns(&["paid"]).await;
    assert_eq!((town.tried(), town.posted().await), (1, Usd::from_whole(29)));
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_contested_or_reported_as_fraud_is_not_bought_again() {
    for is_dispute in [true, false] {
        let town = Town::with_rule("1000", "1000").await;
        town.bring_to("9").await;
        town.turns(&["paid"]).await;
        let intent = town.intents().remove(0);
        let state = if is_dispute {
            town.shop.stripe.dispute(&intent, None).expect("a dispute");
            "disputed"
        } else {
            town.shop.stripe.warn_of_fraud(&intent).expect("a warning");
            becomes(&town.farebox, "select count(fraud_warned_at)::text from topup where origin = 'auto'", "1").await;
            town.shop.stripe.refund(&intent, None).expect("a refund");
            "refunded"
        };
        town.turns(&[state]).await;
        becomes(&town.farebox, "select enabled::text from auto_topup", "false").await;
        let mails = town.mailed("auto_topup_stopped").await;
        assert_eq!(mails.len(), 1, "{mails:?}");
        assert!(mails[0].1.contains("reported as fraud"), "{mails:?}");
        assert_eq!((town.states().await, town.tried()), (vec![state.to_owned()], 1), "nothing is charged again");
        assert_eq!(town.posted().await, Usd::from_whole(9));
        let page = town.ada().get("/credits/auto").await.body;
        assert!(page.contains("It was switched off. A payment was contested"), "{page}");
        town.shop.agrees(&town.farebox).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_freeze_ends_what_was_passed_over_is_bought_and_what_was_declined_waits_its_hour() {
    let town = Town::with_rule("1000", "1000").await;
    let _second = town.another().await;
    let mut olive = crate::console::operator(&town.farebox, "olive@example.com").await;
    let here = format!("/admin/organizations/{}", town.key.org);
    let mut turn = async |how: &str| {
        let action = format!("{here}/{how}");
        let done = crate::console::fill(&mut olive, &here, &action, &[("reason", "the test asks for it")]).await;
        assert_eq!(done.status, 303, "{}", done.body);
    };
    turn("freeze").await;
    town.bring_to("9").await;
    assert_eq!(town.states().await, [""; 0]);
    turn("unfreeze").await;
    town.turns(&["paid"]).await;
    assert_eq!((town.tried(), town.posted().await), (1, Usd::from_whole(29)));

    // A decline; frozen when its hour is over, so that it is not tried again.
    town.shop.stripe.set_switches(Switches { decline: 1, ..Switches::default() });
    town.bring_to("9").await;
    town.turns(&["paid", "failed"]).await;
    turn("freeze").await;
    turn("unfreeze").await;
    town.turns(&["paid", "failed"]).await;
    assert_eq!(town.tried(), 2, "its hour is not over");
    turn("freeze").await;
    town.an_hour_passes().await;
    town.turns(&["paid", "failed"]).await;
    turn("unfreeze").await;
    town.turns(&["paid", "failed", "paid"]).await;

    // Off is off, and one that is not below buys nothing.
    town.bring_to("20").await;
    turn("freeze").await;
    turn("unfreeze").await;
    assert_eq!(town.states().await.len(), 3);
    let off = town.ada().submit("/credits/auto", "/credits/auto/off", &[]).await;
    assert_eq!(off.status, 303, "{}", off.body);
    turn("freeze").await;
    town.bring_to("9").await;
    turn("unfreeze").await;
    assert_eq!(town.states().await.len(), 3);
    assert_eq!(town.tried(), 3);
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_was_lost_is_not_sent_again_while_its_organization_is_frozen_or_ends() {
    let town = Town::with_rule("1000", "1000").await;
    town.shop.stripe.set_switches(charges(Switches { fail_before_work: 1, ..Switches::default() }));
    town.bring_to("9").await;
    town.turns(&["pending"]).await;
    for (close, open) in [
        ("update org set frozen_at = now()", "update org set frozen_at = null"),
        (
            "update org set kind = 'team', deletion_asked_at = now(), delete_after = now() + interval '7 days'",
            "update org set deletion_asked_at = null, delete_after = null",
        ),
    ] {
        town.run(close).await;
        town.ask_now().await;
        becomes(&town.farebox, "select (ask_at > now())::text from topup where state = 'pending'", "true").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!((town.tried(), town.states_now().await), (0, vec!["pending".to_owned()]), "{close}");
        town.run(open).await;
    }
    town.ask_now().await;
    town.turns(&["paid"]).await;
    assert_eq!((town.tried(), town.posted().await), (1, Usd::from_whole(29)));
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_automatic_purchase_whose_payment_does_not_fit_ends_and_keeps_no_other_from_being_made() {
    let town = Town::with_rule("1000", "1000").await;
    town.shop.stripe.set_switches(charges(Switches { fail_before_work: 1, ..Switches::default() }));
    town.bring_to("9").await;
    town.turns(&["pending"]).await;
    let topup =
        town.farebox.text("select 'top_' || replace(id::text, '-', '') from topup where state = 'pending'").await;
    let customer = town.farebox.text("select reference from processor_customer").await;
    // Somebody there charges in its name, and in another currency.
    let form = [
        ("amount", "2110"),
        ("currency", "eur"),
        ("confirm", "true"),
        ("customer", customer.as_str()),
        ("payment_method", "pm_card_visa"),
        ("return_url", "https://example.com/"),
        ("metadata[farebox_topup]", topup.as_str()),
    ];
    let url = town.shop.stripe.url().join("v1/payment_intents").expect("an address");
    let request = town.farebox.http.post(url).bearer_auth(crate::support::shop::KEY).form(&form);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    town.run("update topup set created_at = now() - interval '22 hours', ask_at = now() where state = 'pending'").await;
    becomes(&town.farebox, "select (ask_at > now())::text from topup where state = 'pending'", "true").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(town.states_now().await, ["pending"], "it may still be found");
    town.run("update topup set created_at = now() - interval '24 hours', ask_at = now() where state = 'pending'").await;
    town.turns(&["failed"]).await;
    let reason = town.farebox.text("select failure from topup where state = 'failed'").await;
    assert_eq!(reason, "What the payment processor tells does not fit this purchase.");
    assert_eq!(town.farebox.text("select declines::text || enabled from auto_topup").await, "1true");
    town.an_hour_passes().await;
    town.turns(&["failed", "paid"]).await;
    assert_eq!(town.posted().await, Usd::from_whole(29));
    town.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_makes_no_sense_is_explained_and_changing_it_asks_who_one_is() {
    let town = Town::build().await;
    for (below, credits, cap_day, cap_month, told) in [
        ("0.50", "20", "100", "1000", "At least $1.00"),
        ("10", "1", "100", "1000", "between $5.00"),
        ("10", "-5", "100", "1000", "between $5.00"),
        ("10", "20", "21.09", "1000", "At least $21.10"),
        ("10", "20", "100", "99", "cap of a day"),
        ("ten", "20", "100", "1000", "not an amount"),
    ] {
        let page = town.set(below, credits, cap_day, cap_month).await;
        assert!(page.status == 422 && page.body.contains(told), "{told}: {} {}", page.status, page.body);
    }
    assert_eq!(town.farebox.text("select count(*)::text from auto_topup").await, "0");
    let on = town.set("10", "20", "100", "1000").await;
    assert_eq!(on.status, 303, "{}", on.body);

    // Long after the sign-in: looking and switching off are free, changing is not.
    town.run("update session set authenticated_at = now() - interval '1 day'").await;
    let mut ada = town.ada();
    let token = ada.token("/credits/auto").await;
    for page in [ada.get("/credits/auto/edit").await, ada.post(&token, "/credits/auto", &[("below", "10")]).await] {
        assert!(page.status == 303 && page.location.starts_with("/step-up"), "{} {}", page.status, page.location);
    }
    assert_eq!(ada.get("/credits/auto").await.status, 200);
    let off = ada.submit("/credits/auto", "/credits/auto/off", &[]).await;
    assert_eq!((off.status, off.location.as_str()), (303, "/credits/auto"));
    assert_eq!(town.farebox.text("select enabled::text from auto_topup").await, "false");
    let log = "select string_agg(action, ' ' order by seq) from audit_entry where action like 'credits.auto%'";
    assert_eq!(town.farebox.text(log).await, "credits.auto_topup_changed credits.auto_topup_stopped");
    // Without the card there is no choice.
    town.run("update session set authenticated_at = now()").await;
    town.run("update payment_method set removed_at = now()").await;
    assert_eq!(town.ada().get("/credits/auto/edit").await.location, "/credits/auto");
    let page = town.ada().get("/credits/auto").await.body;
    assert!(page.contains("There is no saved payment method yet."), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_that_the_rule_charges_is_kept_until_the_rule_is_off() {
    let town = Town::with_rule("100", "1000").await;
    let (page, action) = ("/settings/profile", format!("/credits/methods/{}/remove", town.card));
    town.ada().submit(page, &action, &[]).await;
    assert_eq!(town.farebox.text("select count(*)::text from payment_method where removed_at is null").await, "1");
    let told = town.ada().get("/credits").await.status;
    assert_eq!(told, 200);
    town.ada().submit("/credits/auto", "/credits/auto/off", &[]).await;
    town.ada().submit(page, &action, &[]).await;
    assert_eq!(town.farebox.text("select count(*)::text from payment_method where removed_at is null").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bank_account_is_charged_once_while_its_money_takes_days_and_may_fail_then() {
    let town = Town::build().await;
    let mut ada = town.ada();
    let bought = town.shop.start(&mut ada, "30", "us_bank_account", true).await;
    town.shop.stripe.pay(&bought.session, PayAs::Succeed).expect("a payment");
    becomes(&town.farebox, "select count(*)::text from payment_method where method = 'us_bank_account'", "1").await;
    let bank: uuid::Uuid = sqlx::query_scalar("select id from payment_method where method = 'us_bank_account'")
        .fetch_one(&town.farebox.pool)
        .await
        .expect("an account");
    let bank = PaymentMethodId(bank).to_string();
    let fields =
        [("below", "10"), ("credits", "20"), ("method", bank.as_str()), ("cap_day", "1000"), ("cap_month", "1000")];
    assert_eq!(town.ada().submit("/credits/auto/edit", "/credits/auto", &fields).await.status, 303);
    let (before, mut states) = (town.tried(), Vec::new());
    for came in [false, true] {
        town.bring_to("9").await;
        states.push("pending");
        town.turns(&states).await;
        // Days go by, and the credits fall again: one is on its way, and no second one is sent.
        town.run(
            "update topup set created_at = created_at - interval '3 days', ask_at = now() where state = 'pending'",
        )
        .await;
        town.bring_to("11").await;
        town.bring_to("9").await;
        town.turns(&states).await;
        assert_eq!(town.tried() - before, states.len(), "one is on its way");
        let intent = town.intents().pop().expect("a payment");
        town.shop.stripe.settle(&intent, came).expect("days later");
        states.pop();
        states.push(if came { "paid" } else { "failed" });
        town.turns(&states).await;
        assert_eq!(town.posted().await, Usd::from_whole(if came { 29 } else { 9 }));
        if !came {
            assert_eq!(town.farebox.text("select declines::text || enabled from auto_topup").await, "1true");
            assert_eq!(town.mailed("auto_topup_failed").await.len(), 1);
            town.run("update auto_topup set retry_at = now()").await;
            town.bring_to("11").await;
        }
    }
    town.shop.agrees(&town.farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_whose_method_is_gone_says_so_and_stops() {
    let town = Town::with_rule("1000", "1000").await;
    town.run("update payment_method set removed_at = now(), is_default = false").await;
    town.bring_to("9").await;
    for failures in 1..=3 {
        town.turns(&[]).await;
        let reasons = "select count(*)::text from auto_topup_attempt
            where reason = 'This payment method cannot be charged here any more.'";
        assert_eq!(town.farebox.text(reasons).await, failures.to_string());
        if failures < 3 {
            assert_eq!(town.mailed("auto_topup_failed").await.len(), failures);
            town.an_hour_passes().await;
        }
    }
    assert_eq!(town.mailed("auto_topup_stopped").await.len(), 1);
    assert_eq!((town.tried(), town.farebox.text("select enabled::text from auto_topup").await.as_str()), (0, "false"));
    town.farebox.books_are_clean().await;
}

//! Our books and those of the processors: what a lost message left out is booked, what only we know is reported, and
//! what nobody answered stays as it is.

use std::process::Output;
use std::time::Duration;

use farebox::base::ids::{OrgId, TopUpId};
use farebox::base::{Secret, Usd};
use farebox::stand_ins::stripe::Switches;
use farebox::topups::processors::sandbox::Sandbox;
use farebox::topups::processors::stripe::{Stripe, StripeSettings};
use farebox::topups::processors::{
    Checkout, Headers, Order, PaymentPage, Processor, ProcessorError, Processors, WebhookError,
};
use farebox::topups::reconcile::{self, Pace, Patience, RunError, When};
use farebox::topups::{Event, Fees, Payment, TopUp};
use tokio_util::sync::CancellationToken;

use crate::support::shop::{KEY, SECRET, Shop, becomes, clearing};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Key, Options};

/// Enough for a kill to fall between two of them.
const PAYMENTS: usize = 24;
const PASSWORD: &str = "correct horse battery";

/// Exit code and words of a command.
fn said(output: &Output) -> (i32, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout) + text(&output.stderr).as_str())
}

async fn compare(farebox: &Farebox, processor: &str) -> (i32, String) {
    said(&farebox.cli(&["topups", "reconcile", "--processor", processor]).await)
}

async fn run(farebox: &Farebox, statement: &'static str) {
    let done = sqlx::query(statement).execute(&farebox.pool).await.expect("done");
    assert!(done.rows_affected() > 0, "{statement}");
}

/// A purchase of $20 that is paid in the sandbox, whose message was lost.
async fn lost(farebox: &Farebox, key: &Key) -> TopUpId {
    let (org, id): (OrgId, TopUpId) = (key.org.parse().expect("an id"), TopUpId::fresh());
    let reference = format!("sandbox_{}", id.0.simple());
    for statement in [
        "insert into topup (org_id, id, method, processor, credits, fee, total, state, processor_ref)
         values ($1, $2, 'sandbox_card', 'sandbox', 20, 1.10, 21.10, 'pending', $3)",
        "insert into sandbox_payment (ref, topup_id, total, state) select $3, $2, 21.10, 'paid' where $1 is not null",
    ] {
        let done = sqlx::query(statement).bind(org.0).bind(id.0).bind(&reference).execute(&farebox.pool).await;
        done.expect("a row");
    }
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_paid_there_is_credited_here_and_what_is_only_here_is_reported() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "", &[]).await;
    let id = lost(&farebox, &key).await;
    let (code, told) = compare(&farebox, "sandbox").await;
    assert_eq!(code, 0, "{told}");
    assert!(told.contains(&format!("done credited {id}")) && told.contains("no difference"), "{told}");
    assert_eq!(farebox.text("select state || ' ' || receipt_number from topup").await, "paid 1");
    assert_eq!(farebox.text("select trim_scale(posted)::text from credit").await, "20");
    // Again there is nothing to do.
    let (code, told) = compare(&farebox, "sandbox").await;
    assert!(code == 0 && !told.contains("done") && told.contains("1 purchases compared"), "{told}");

    // Payments of others, and one that nobody made.
    run(
        &farebox,
        "insert into sandbox_payment (ref, topup_id, total, state)
         select 'of_others_' || n, gen_random_uuid(), 5, case n when 1 then 'paid' else 'open' end
         from generate_series(1, 2) n",
    )
    .await;
    let (code, told) = compare(&farebox, "sandbox").await;
    assert!(code == 0 && told.contains("3 payments there, 1 of them foreign"), "{told}");
    assert!(told.contains("1 of the foreign ones carry the id of a purchase that is not in these books"), "{told}");

    let before = farebox.text("select string_agg(t::text, '' order by id) from transfer t").await;
    run(&farebox, "update sandbox_payment set total = 15 where ref like 'sandbox_%'").await;
    let (code, told) = compare(&farebox, "sandbox").await;
    assert_eq!(code, 1, "{told}");
    assert!(told.contains(&format!("LOOK differs {id}")) && told.contains("DIFFERENCE of −$6.10"), "{told}");
    run(&farebox, "update sandbox_payment set total = 21.10, state = 'declined' where ref like 'sandbox_%'").await;
    let (code, told) = compare(&farebox, "sandbox").await;
    assert!(code == 1 && told.contains(&format!("LOOK not_paid {id}")), "{told}");
    run(&farebox, "delete from sandbox_payment where ref like 'sandbox_%'").await;
    let (code, told) = compare(&farebox, "sandbox").await;
    assert!(code == 1 && told.contains(&format!("LOOK no_payment {id}")), "{told}");
    assert!(told.contains("DIFFERENCE of −$21.10"), "{told}");
    let after = farebox.text("select string_agg(t::text, '' order by id) from transfer t").await;
    assert_eq!(before, after, "what is only here is reported and nothing else");
    assert_eq!(farebox.text("select state from topup").await, "paid");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_stripe_never_told_is_made_up_for() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    shop.hold_messages();
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let mut bought = Vec::new();
    for amount in ["20", "30", "40"] {
        bought.push(shop.buy(&mut ada, amount, "card").await);
    }
    // One whose payment page is open, and one that failed there: neither is money.
    shop.start(&mut ada, "50", "card", false).await;
    let (code, told) = compare(&farebox, "stripe").await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(told.matches("done credited").count(), 3, "{told}");
    assert_eq!(farebox.text("select count(*)::text from topup where state = 'pending'").await, "1");
    shop.agrees(&farebox).await;

    shop.stripe.refund(&shop.intent(&bought[0]), Some(500)).expect("a part");
    let dispute = shop.stripe.dispute(&shop.intent(&bought[1]), None).expect("a dispute");
    let (code, told) = compare(&farebox, "stripe").await;
    assert_eq!(code, 0, "{told}");
    assert_eq!(told.matches("done booked").count(), 2, "{told}");
    assert_eq!(
        farebox.text("select string_agg(state, ',' order by credits) from topup").await,
        "paid,disputed,paid,pending"
    );
    shop.agrees(&farebox).await;

    // Long after the window, what was undecided is still asked for.
    run(&farebox, "update topup set paid_at = paid_at - interval '90 days' where paid_at is not null").await;
    shop.stripe.close_dispute(&dispute, true).expect("won");
    let (code, told) = compare(&farebox, "stripe").await;
    assert!(code == 0 && told.contains("no difference"), "{told}");
    assert_eq!(farebox.text("select state from dispute").await, "won");
    shop.agrees(&farebox).await;

    // Money that no purchase of ours wants, named as if it were: somebody has to send it back.
    let request = farebox.http.post(shop.stripe.url().join("v1/payment_intents").expect("an address"));
    let form = [
        ("amount", "2110"),
        ("currency", "usd"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("return_url", "https://example.com/"),
        ("metadata[farebox_topup]", bought[0].topup.as_str()),
    ];
    let answer = request.bearer_auth(crate::support::shop::KEY).form(&form).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let (code, told) = compare(&farebox, "stripe").await;
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("LOOK refused") && told.contains("DIFFERENCE of $21.10"), "{told}");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_that_does_not_answer_changes_nothing_and_is_asked_again() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    shop.hold_messages();
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    shop.buy(&mut ada, "20", "card").await;
    // Credited here long before its charge was lost there, as far as anybody can tell while nobody answers.
    for requests in ["GET /v1/payment_intents", "GET /v1/refunds"] {
        let failing =
            Switches { fail_before_work: 9, requests: requests.to_owned(), hold_events: true, ..Switches::default() };
        shop.stripe.set_switches(failing);
        let (code, told) = compare(&farebox, "stripe").await;
        assert!(code == 2 && told.contains("INCOMPLETE"), "{requests}: {told}");
        assert!(!told.contains("LOOK"), "{told}");
        assert_eq!(farebox.text("select count(*)::text from transfer").await, "0");
        assert_eq!(farebox.text("select state from topup").await, "pending");
    }
    assert_eq!(farebox.text("select string_agg(distinct state, ',') from reconciliation").await, "incomplete");
    shop.hold_messages();
    let (code, told) = compare(&farebox, "stripe").await;
    assert!(code == 0 && told.contains("done credited"), "{told}");
    shop.agrees(&farebox).await;
    assert_eq!(compare(&farebox, "paypal").await.0, 1, "no such processor");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_at_once_and_again_credit_each_payment_once() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    shop.hold_messages();
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    for _ in 0..6 {
        shop.buy(&mut ada, "20", "card").await;
    }
    // The messages come at the same moment, after all.
    let compares = futures_util::future::join_all((0..4).map(|_| compare(&farebox, "stripe")));
    let (told, _) = tokio::join!(compares, shop.stripe.deliver_all());
    assert!(told.iter().all(|(code, _)| matches!(code, 0 | 2)), "{told:?}");
    assert!(told.iter().any(|(code, _)| *code == 0), "{told:?}");
    becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "6").await;
    assert_eq!(farebox.text("select count(*)::text from transfer where code = 'topup'").await, "6");
    assert_eq!(clearing(&farebox, "processor:stripe").await, Usd::from_cents(6 * 2110));
    shop.agrees(&farebox).await;

    // A process that died in the middle blocks nobody for longer than its lease.
    run(
        &farebox,
        "insert into reconciliation (id, processor, since, state, lease_until)
         values (gen_random_uuid(), 'stripe', now(), 'running', now() + interval '1 minute')",
    )
    .await;
    let (code, told) = compare(&farebox, "stripe").await;
    assert!(code == 2 && told.contains("another process"), "{told}");
    run(&farebox, "update reconciliation set lease_until = now() where state = 'running'").await;
    assert_eq!(compare(&farebox, "stripe").await.0, 0);
    assert_eq!(farebox.text("select count(*)::text from reconciliation where failure like 'the process%'").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_is_due_a_day_after_a_whole_one_and_an_hour_after_another() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "", &[]).await;
    let url = "http://127.0.0.1/".parse().expect("an address");
    let processors = Processors::new(Vec::new(), Some(Sandbox::new(farebox.pool.clone())), &Fees::default(), url);
    let due = || async {
        match reconcile::run(&farebox.pool, &processors, "sandbox", 3, When::IfDue).await {
            Ok((run, _)) => Some(run),
            Err(RunError::Busy(_)) => None,
            Err(error) => panic!("{error}"),
        }
    };
    lost(&farebox, &key).await;
    let first = due().await.expect("there was none before");
    assert!(first.is_complete() && first.open == 0 && first.difference().is_zero(), "{first:?}");
    assert_eq!((first.told, first.booked), (Usd::from_cents(2110), Usd::from_cents(2110)));
    assert!(due().await.is_none(), "one was made a moment ago");
    run(&farebox, "update reconciliation set started_at = started_at - interval '23 hours'").await;
    assert!(due().await.is_none());
    run(&farebox, "update reconciliation set started_at = started_at - interval '2 hours'").await;
    assert!(due().await.is_some());
    run(&farebox, "update reconciliation set state = 'incomplete', started_at = started_at - interval '50 minutes'")
        .await;
    assert!(due().await.is_none(), "the last one was not complete, but is not an hour old");
    run(&farebox, "update reconciliation set started_at = started_at - interval '20 minutes'").await;
    // Several nodes find it due at once.
    let together = futures_util::future::join_all((0..8).map(|_| due())).await;
    assert_eq!(together.iter().flatten().count(), 1);
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_lists_shows_and_refunds_purchases() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let bought = shop.buy(&mut ada, "20", "card").await;
    becomes(&farebox, "select state from topup", "paid").await;
    shop.start(&mut ada, "30", "card", false).await;
    let topups = |arguments: &'static [&'static str]| {
        let all: Vec<&str> = std::iter::once("topups").chain(arguments.iter().copied()).collect();
        let farebox = &farebox;
        async move { said(&farebox.cli(&all).await) }
    };
    assert_eq!(topups(&["list"]).await.1.lines().count(), 2);
    let paid = topups(&["list", "--state", "paid"]).await.1;
    assert!(paid.lines().count() == 1 && paid.contains(&bought.topup), "{paid}");
    assert_ne!(topups(&["list", "--state", "gone"]).await.0, 0);
    assert_eq!(topups(&["list", "--org", "org_00000000000070008000000000000000"]).await.1, "");

    let refund = |amount: &'static str| {
        let (farebox, topup) = (&farebox, bought.topup.clone());
        async move { said(&farebox.cli(&["topups", "refund", &topup, "--amount", amount]).await) }
    };
    for (amount, told) in [("0", "above zero"), ("0.001", "whole cents"), ("21.11", "At most $21.10")] {
        let (code, text) = refund(amount).await;
        assert!(code == 1 && text.contains(told), "{amount}: {text}");
    }
    let (code, text) = refund("5").await;
    assert!(code == 0 && text.contains("refund"), "{text}");
    becomes(&farebox, "select state from refund", "succeeded").await;
    let (code, text) = said(&farebox.cli(&["topups", "refund", &bought.topup]).await);
    assert_eq!(code, 0, "{text}");
    becomes(&farebox, "select state from topup where credits = 20", "refunded").await;
    assert_eq!(shop.stripe.balance(), 0, "the fee as well");
    let shown = said(&farebox.cli(&["topups", "show", &bought.topup]).await).1;
    for part in
        ["receipt R-000001", "topup_fee", "processor:stripe -> credit:", "refund", "operator", "message", "$0.00 left"]
    {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    assert_eq!(topups(&["show", "top_00000000000070008000000000000000"]).await.0, 1);
    assert_eq!(topups(&["refund", "top_00000000000070008000000000000000"]).await.0, 1);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(compare(&farebox, "stripe").await.0, 0);
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_in_the_middle_of_a_comparison_leaves_nothing_half_done() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    shop.hold_messages();
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    for _ in 0..PAYMENTS {
        shop.buy(&mut ada, "20", "card").await;
    }
    // The command is through within a few tenths of a second; each kill comes a little later than the one before.
    for wait in (6..32).map(|step| step * 5) {
        let mut child = farebox.cli_start(&["topups", "reconcile", "--processor", "stripe"]);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        child.kill().ok();
        child.wait().expect("it ended");
        let credited = farebox.text("select count(*)::text from transfer where code = 'topup'").await;
        let found = "select count(*)::text from reconciliation_finding where kind = 'credited'";
        assert_eq!(farebox.text(found).await, credited, "what was credited is reported, and the other way round");
        sqlx::query("update reconciliation set lease_until = now()").execute(&farebox.pool).await.expect("time");
    }
    assert_eq!(compare(&farebox, "stripe").await.0, 0);
    assert_eq!(farebox.text("select count(*)::text from transfer where code = 'topup'").await, PAYMENTS.to_string());
    let options = Options { database_url: Some(farebox.database_url.clone()), ..shop.options() };
    assert_eq!(compare(&Farebox::with(options).await, "stripe").await.0, 0);
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_back_of_an_old_payment_is_found_although_no_message_told() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let mut intents = Vec::new();
    for amount in ["20", "30", "40"] {
        let bought = shop.buy(&mut ada, amount, "card").await;
        intents.push(shop.intent(&bought));
    }
    becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "3").await;
    // Ninety days pass, and the processor's messages do not come any more.
    shop.hold_messages();
    for intent in &intents {
        shop.stripe.age(intent, 90 * 86_400);
    }
    run(&farebox, "update topup set paid_at = paid_at - interval '90 days'").await;
    shop.stripe.refund(&intents[0], Some(500)).expect("a part");
    shop.stripe.dispute(&intents[1], None).expect("a dispute");
    let (code, told) = compare(&farebox, "stripe").await;
    assert!(code == 0 && told.contains("0 payments there"), "the list has none of them: {told}");
    assert_eq!(told.matches("done booked").count(), 2, "{told}");
    assert_eq!(farebox.text("select string_agg(state, ',' order by credits) from topup").await, "paid,disputed,paid");
    shop.agrees(&farebox).await;
    let (code, told) = compare(&farebox, "stripe").await;
    assert!(code == 0 && !told.contains("done"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_processor_keeps_for_itself_is_told_beside_the_books() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let bought = shop.buy(&mut ada, "20", "card").await;
    becomes(&farebox, "select state || ' ' || trim_scale(processor_fee) from topup", "paid 0.91").await;
    let shown = said(&farebox.cli(&["topups", "show", &bought.topup]).await).1;
    assert!(shown.contains("stripe kept $0.91 of it for itself"), "{shown}");
    let (code, told) = compare(&farebox, "stripe").await;
    assert!(code == 0 && told.contains("it kept $0.91 of them for itself"), "{told}");
    shop.stripe.dispute(&shop.intent(&bought), None).expect("a dispute");
    becomes(&farebox, "select state || ' ' || trim_scale(processor_fee) from topup", "disputed 15.91").await;
    assert_eq!(shop.stripe.fees(), 1_591);
    assert_eq!(
        farebox.text("select trim_scale(sum(amount))::text from transfer").await,
        "42.2",
        "it is in no transfer"
    );
    shop.agrees(&farebox).await;
}

/// The stand-in as this process asks it, with little patience.
fn impatient(shop: &Shop) -> Stripe {
    let settings = StripeSettings {
        key: Secret::new(KEY.to_owned()),
        webhook_secrets: vec![Secret::new(SECRET.to_owned())],
        url: shop.stripe.url(),
        timeout: Duration::from_millis(400),
    };
    Stripe::new(&settings).expect("a client")
}

/// It takes every question and answers none.
struct Silent;

#[async_trait::async_trait]
impl Processor for Silent {
    fn name(&self) -> &'static str {
        "stripe"
    }

    async fn checkout(&self, _: &Order<'_>) -> Result<Checkout, ProcessorError> {
        std::future::pending().await
    }

    async fn fetch(&self, _: &str) -> Result<Option<Payment>, ProcessorError> {
        std::future::pending().await
    }

    async fn find(&self, _: &TopUp, _: Option<&str>) -> Result<Option<Payment>, ProcessorError> {
        std::future::pending().await
    }

    async fn payments(&self, _: chrono::DateTime<chrono::Utc>, _: Option<&str>) -> Result<PaymentPage, ProcessorError> {
        std::future::pending().await
    }

    fn read_webhook(&self, _: Headers<'_>, _: &[u8], _: chrono::DateTime<chrono::Utc>) -> Result<Event, WebhookError> {
        Err(WebhookError::Signature)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_that_hangs_ends_the_run_in_time_and_decides_nothing() {
    let shop = Shop::open().await;
    let farebox = shop.farebox().await;
    shop.hold_messages();
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    shop.buy(&mut ada, "20", "card").await;
    let url: url::Url = "http://127.0.0.1/".parse().expect("an address");
    let with = |by: std::sync::Arc<dyn Processor>| Processors::new(vec![by], None, &Fees::default(), url.clone());
    let stuck = |requests: &str| Switches {
        late: 50,
        late_by_ms: 5_000,
        hold_events: true,
        requests: requests.to_owned(),
        ..Switches::default()
    };
    let processors = with(std::sync::Arc::new(impatient(&shop)));
    for requests in ["GET /v1/payment_intents", "GET /v1/refunds"] {
        shop.stripe.set_switches(stuck(requests));
        let begun = std::time::Instant::now();
        let (run, findings) = reconcile::run(&farebox.pool, &processors, "stripe", 3, When::Now).await.expect("a run");
        assert!(begun.elapsed() < Duration::from_secs(20), "{requests}: {:?}", begun.elapsed());
        assert!(!run.is_complete() && run.failure.contains("did not answer"), "{requests}: {run:?}");
        assert!(findings.is_empty(), "{findings:?}");
        assert_eq!(farebox.text("select state from topup").await, "pending");
    }
    // One that never even breaks off.
    let silent = with(std::sync::Arc::new(Silent));
    let patience = Patience { page: Duration::from_millis(200), payment: Duration::from_millis(200) };
    let asked = reconcile::run_within(&farebox.pool, &silent, "stripe", (3, When::Now), patience).await;
    let (run, findings) = asked.expect("a run");
    assert!(!run.is_complete() && run.failure.contains("took too long") && findings.is_empty(), "{run:?}");

    // When it answers again, the next run does what the others could not.
    shop.hold_messages();
    let (run, findings) = reconcile::run(&farebox.pool, &processors, "stripe", 3, When::Now).await.expect("a run");
    assert!(run.is_complete() && findings.len() == 1, "{run:?} {findings:?}");
    shop.agrees(&farebox).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daily_timer_compares_by_itself_once_a_day_in_however_many_processes() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "", &[]).await;
    lost(&farebox, &key).await;
    let url = "http://127.0.0.1/".parse().expect("an address");
    let processors = Processors::new(Vec::new(), Some(Sandbox::new(farebox.pool.clone())), &Fees::default(), url);
    let stop = CancellationToken::new();
    let pace = Pace { first_after: Duration::from_secs(3), every: Duration::from_millis(50) };
    let timers: Vec<_> = (0..3)
        .map(|_| tokio::spawn(reconcile::daily(farebox.pool.clone(), processors.clone(), pace, stop.clone())))
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(farebox.text("select count(*)::text from reconciliation").await, "0", "not at once");
    becomes(&farebox, "select state from topup", "paid").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(farebox.text("select string_agg(state, ',') from reconciliation").await, "complete", "one for all");
    // A day later there is something new, and it is found without anybody asking.
    lost(&farebox, &key).await;
    run(&farebox, "update reconciliation set started_at = started_at - interval '25 hours'").await;
    becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "2").await;
    becomes(&farebox, "select string_agg(state, ',') from reconciliation", "complete,complete").await;
    stop.cancel();
    for timer in timers {
        tokio::time::timeout(Duration::from_secs(10), timer).await.expect("it stops").expect("in order");
    }
    farebox.books_are_clean().await;
}

//! Money that its payers send themselves: confirmed before it is credited, in parts, too much, late, and more than once.
//! Each story is told of BTCPay Server and of Coinbase.

use farebox::stand_ins::booth::Faults;
use rand::seq::SliceRandom;

use crate::support::rail::{Bought, Rail, cents};
use crate::support::shop::{applied, becomes, is_credited_in_time, minutes_pass};
use crate::support::visitor::{Page, Visitor};
use crate::support::{Farebox, Options, scale};

const PASSWORD: &str = "correct horse battery";
const CREDIT: &str = "select trim_scale(posted)::text from credit where org_id = (select org_id from topup limit 1)";
/// What $100 cost.
const TOTAL: i64 = 10_526;

async fn ada(farebox: &Farebox) -> Visitor<'_> {
    Visitor::member(farebox, "ada@example.com", PASSWORD).await
}

async fn page(visitor: &mut Visitor<'_>, bought: &Bought) -> Page {
    visitor.get(&format!("/credits/topups/{}", bought.topup)).await
}

fn shows(page: &Page, words: &[&str]) {
    for word in words {
        assert!(page.body.contains(word), "{word:?} is not on the page:\n{}", page.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_seen_credits_nothing_until_the_network_confirms_it() {
    for rail in Rail::both() {
        let farebox = rail.farebox().await;
        let mut ada = ada(&farebox).await;
        let quote = ada.get(&format!("/credits?amount=100&method={}", rail.name())).await;
        shows(&quote, &["5% of the total", "$5.26", "$105.26", "Buy $100.00 for $105.26"]);
        shows(&ada.get(&format!("/credits?amount=20&method={}", rail.name())).await, &["Buy $20.00 for $21.05"]);
        let bought = rail.start(&mut ada, "100").await;
        let early = page(&mut ada, &bought).await;
        shows(&early, &["Waiting for the payment", "Send the whole total in one payment", "Go to the payment page"]);
        rail.send(&bought, cents(TOTAL));
        minutes_pass(&farebox).await;
        becomes(&farebox, "select trim_scale(seen)::text from topup", "105.26").await;
        assert_eq!(farebox.text("select count(*)::text from transfer").await, "0", "seen is not there");
        assert_eq!(farebox.text("select state from topup").await, "pending");
        let seen = page(&mut ada, &bought).await;
        shows(&seen, &["The payment has been seen"]);
        assert!(!seen.body.contains("Go to the payment page"), "nobody is invited to pay twice");
        rail.confirm(&bought, cents(TOTAL));
        becomes(&farebox, "select state from topup", "paid").await;
        assert_eq!(farebox.text(CREDIT).await, "100");
        shows(&page(&mut ada, &bought).await, &["$100.00 added", "$5.26", "$105.26"]);
        rail.agrees(&farebox).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_credited_when_the_time_is_over_and_the_rest_when_it_comes_each_with_its_receipt() {
    for rail in Rail::both() {
        let farebox = rail.farebox().await;
        let mut ada = ada(&farebox).await;
        let billing = [("name", "Ada"), ("email", "bills@example.com")];
        assert_eq!(ada.submit("/settings/billing", "/settings/billing", &billing).await.status, 303);
        let bought = rail.start(&mut ada, "100").await;
        rail.pay_part(&bought, cents(5_000));
        minutes_pass(&farebox).await;
        becomes(&farebox, "select trim_scale(seen)::text from topup", "50").await;
        assert_eq!(farebox.text("select count(*)::text from transfer").await, "0", "not before the end");
        shows(&page(&mut ada, &bought).await, &["$50.00 of $105.26 has been seen", "Send the rest", "Seen so far"]);
        rail.expire(&bought);
        becomes(&farebox, "select state from topup", "paid").await;
        assert_eq!(farebox.text(CREDIT).await, "47.5");
        assert_eq!(farebox.text("select fee::numeric(10,2)::text from topup").await, "2.50", "the same share");
        shows(&page(&mut ada, &bought).await, &["$47.50 added", "$50.00 came in instead of $105.26"]);
        rail.agrees(&farebox).await;
        let receipt_of = |topup: &str| format!("/credits/topups/{topup}/receipt");
        let before = ada.get(&receipt_of(&bought.topup)).await.body;

        // The rest comes after all, when nobody waits for it any more.
        rail.pay(&bought, cents(5_526));
        becomes(&farebox, "select count(*)::text from topup where state = 'paid'", "2").await;
        assert_eq!(farebox.text(CREDIT).await, "99.99", "each part rounded down to the cent");
        let more =
            farebox.text("select 'top_' || replace(id::text, '-', '') from topup where more_of is not null").await;
        shows(&page(&mut ada, &bought).await, &["Came in later", &more]);
        shows(
            &ada.get(&format!("/credits/topups/{more}")).await,
            &["$52.49 added", "Another $55.26 came in", &bought.topup],
        );
        // The first receipt is what it was, on the page and in its mail; the second has its own number.
        let after = ada.get(&receipt_of(&bought.topup)).await.body;
        let lines = |body: &str| {
            let start = body.find("<article").expect("a receipt");
            body[start..].split("</article>").next().expect("its end").to_owned()
        };
        assert_eq!(lines(&before), lines(&after));
        let (first, second) = (ada.get(&receipt_of(&bought.topup)).await, ada.get(&receipt_of(&more)).await);
        shows(&first, &["R-000001", "$50.00", "$47.50", "$2.50", "came in instead of $105.26"]);
        shows(&second, &["R-000002", "$55.26", "$52.49", "Another $55.26 came in"]);
        let mails = farebox
            .text("select string_agg(text_body, '====' order by created_at) from mail where kind = 'receipt'")
            .await;
        let mails: Vec<&str> = mails.split("====").collect();
        assert_eq!(mails.len(), 2, "{mails:?}");
        for (number, words) in [
            ("R-000001", ["$50.00", "$47.50", "$2.50", "came in instead of $105.26"]),
            ("R-000002", ["$55.26", "$52.49", "$2.77", "Another $55.26 came in"]),
        ] {
            let mail = mails.iter().find(|mail| mail.contains(number)).expect(number);
            let mail = mail.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(words.iter().all(|word| mail.contains(word)), "{number}: {mail}");
        }
        rail.agrees(&farebox).await;
        let pdf = ada.get(&format!("{}.pdf", receipt_of(&more))).await;
        assert_eq!(pdf.status, 200);
        // Nothing new is told, however often.
        for message in rail.messages() {
            assert_eq!(rail.deliver_signed(&farebox, &message).await, 200);
        }
        minutes_pass(&farebox).await;
        applied(&farebox).await;
        assert_eq!(farebox.text("select count(*)::text from topup").await, "2");
        rail.agrees(&farebox).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_is_credited_by_what_came_and_a_payment_after_that_too() {
    for rail in Rail::both() {
        let farebox = rail.farebox().await;
        let mut ada = ada(&farebox).await;
        let bought = rail.start(&mut ada, "100").await;
        rail.pay(&bought, cents(11_526));
        becomes(&farebox, "select state from topup", "paid").await;
        assert_eq!(farebox.text(CREDIT).await, "109.5");
        assert_eq!(farebox.text("select (total - credits)::numeric(10,2)::text from topup").await, "5.76");
        shows(&page(&mut ada, &bought).await, &["$109.50 added", "$115.26 came in instead of $105.26"]);
        rail.agrees(&farebox).await;
        // Somebody pays a settled payment once more.
        rail.pay(&bought, cents(1_000));
        becomes(&farebox, CREDIT, "119").await;
        assert_eq!(farebox.text("select count(*)::text from receipt").await, "2");
        rail.agrees(&farebox).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_many_payments_is_credited_once() {
    for rail in Rail::both() {
        let farebox = rail.farebox().await;
        let mut ada = ada(&farebox).await;
        let bought = rail.start(&mut ada, "100").await;
        rail.pay(&bought, cents(TOTAL));
        becomes(&farebox, "select state from topup", "paid").await;
        // A hundred that came in before, each of a cent, and nothing of them is left to be told.
        sqlx::query(
            "insert into topup (org_id, id, method, processor, credits, fee, total, state, created_by, more_of, paid_at)
             select org_id, gen_random_uuid(), method, processor, 0.01, 0, 0.01, 'paid', created_by, id, now()
             from topup, generate_series(1, 100)",
        )
        .execute(&farebox.pool)
        .await
        .expect("rows");
        rail.pay(&bought, cents(100 + 2_000));
        becomes(&farebox, CREDIT, "119").await;
        for message in rail.messages() {
            assert_eq!(rail.deliver_signed(&farebox, &message).await, 200);
        }
        sqlx::query("update topup set ask_at = now() where more_of is null")
            .execute(&farebox.pool)
            .await
            .expect("a row");
        minutes_pass(&farebox).await;
        applied(&farebox).await;
        assert_eq!(farebox.text(CREDIT).await, "119", "the payment after a hundred is known, too");
        assert_eq!(farebox.text("select count(*)::text from topup").await, "102");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_in_time_expires_and_what_comes_late_is_credited() {
    for rail in Rail::both() {
        let farebox = rail.farebox().await;
        let mut ada = ada(&farebox).await;
        let bought = rail.start(&mut ada, "100").await;
        rail.expire(&bought);
        becomes(&farebox, "select state from topup", "expired").await;
        shows(&page(&mut ada, &bought).await, &["The payment expired", "Should money arrive late"]);
        rail.pay(&bought, cents(TOTAL));
        becomes(&farebox, "select state from topup", "paid").await;
        assert_eq!(farebox.text(CREDIT).await, "100");
        rail.agrees(&farebox).await;

        // Again, and its message is lost: whoever has ended is still asked for.
        let lost = rail.start(&mut ada, "20").await;
        rail.expire(&lost);
        becomes(&farebox, "select state from topup where credits = 20", "expired").await;
        rail.hold_messages();
        rail.pay(&lost, cents(2_105));
        minutes_pass(&farebox).await;
        becomes(&farebox, "select state from topup where credits = 20", "paid").await;
        rail.agrees(&farebox).await;
        // Not for ever.
        sqlx::query("update topup set created_at = created_at - interval '4 days'")
            .execute(&farebox.pool)
            .await
            .expect("a row");
        minutes_pass(&farebox).await;
        becomes(&farebox, "select count(*)::text from topup where ask_at is not null", "0").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_message_is_made_up_for_by_asking() {
    for rail in Rail::both() {
        let farebox = rail.farebox().await;
        rail.hold_messages();
        let mut ada = ada(&farebox).await;
        let bought = rail.start(&mut ada, "20").await;
        rail.pay(&bought, cents(2_105));
        let nameless = rail.start(&mut ada, "30").await;
        rail.pay(&nameless, cents(3_158));
        // The answer that names the payment was lost too.
        sqlx::query("update topup set processor_ref = null, checkout_url = null where credits = 30")
            .execute(&farebox.pool)
            .await
            .expect("a row");
        minutes_pass(&farebox).await;
        becomes(&farebox, "select string_agg(state, ',' order by credits) from topup", "paid,paid").await;
        shows(&page(&mut ada, &nameless).await, &["$30.00 added"]);
        rail.agrees(&farebox).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_many_times_in_disorder_to_two_processes_credits_each_payment_once() {
    let (payments, copies) = (scale(6, 300), scale(6, 50));
    for rail in Rail::both() {
        let one = rail.farebox().await;
        let two = Farebox::with(Options { database_url: Some(one.database_url.clone()), ..rail.options() }).await;
        rail.hold_messages();
        let mut ada = ada(&one).await;
        for number in 0..payments {
            let bought = rail.start(&mut ada, "20").await;
            match number % 3 {
                0 => rail.pay(&bought, cents(2_105)),
                1 => rail.pay(&bought, cents(3_000)),
                _ => {
                    rail.pay_part(&bought, cents(1_000));
                    rail.expire(&bought);
                    rail.pay(&bought, cents(1_105));
                }
            }
        }
        let mut messages = rail.messages();
        assert!(messages.len() >= payments, "{} messages", messages.len());
        for round in 0..copies {
            messages.shuffle(&mut rand::rng());
            let deliveries = messages.iter().enumerate().map(|(at, message)| {
                let (rail, to) = (&rail, if (at + round) % 2 == 0 { &one } else { &two });
                async move { assert_eq!(rail.deliver_signed(to, message).await, 200, "{}", to.log()) }
            });
            let limit = futures_util::stream::iter(deliveries);
            futures_util::StreamExt::for_each_concurrent(limit, 16, |delivery| delivery).await;
        }
        applied(&one).await;
        let count = payments.to_string();
        assert_eq!(one.text("select count(*)::text from topup where state = 'paid' and more_of is null").await, count);
        let numbers = one.text("select (count(*) = max(receipt_number))::text from topup where state = 'paid'").await;
        assert_eq!(numbers, "true", "receipts are numbered without gaps");
        rail.agrees(&one).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_payment_and_credit_loses_none_and_credits_none_twice() {
    let kills: usize = scale(3, 100);
    for rail in Rail::both() {
        let database_url = crate::support::cluster::database().await;
        let options = || Options { database_url: Some(database_url.clone()), ..rail.options() };
        let mut process = Farebox::with(options()).await;
        let cookies = ada(&process).await.cookies().to_vec();
        let mut between = 0;
        for kill in 0..kills {
            // Of every third payment no message comes before the kill.
            rail.set_faults(Faults { hold_events: kill % 3 == 0, ..Faults::default() });
            rail.deliver_to(&process);
            let mut ada = Visitor::with_cookies(&process, &cookies);
            let bought = rail.start(&mut ada, "20").await;
            rail.pay(&bought, cents(if kill % 2 == 0 { 2_105 } else { 2_500 }));
            tokio::time::sleep(std::time::Duration::from_millis(rand::random_range(0..40))).await;
            process.kill();
            let last = "select state from topup order by id desc limit 1";
            between += usize::from(process.text(last).await == "pending");
            process = Farebox::with(options()).await;
        }
        assert!(between >= kills.div_ceil(3), "{between} of {kills} kills fell between payment and credit");
        rail.hold_messages();
        rail.deliver_to(&process);
        let all = kills.to_string();
        is_credited_in_time(&process).await;
        assert_eq!(
            process.text("select count(*)::text from transfer where code = 'topup'").await,
            all,
            "{}",
            process.log()
        );
        rail.agrees(&process).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_that_stumbles_or_two_that_send_the_form_make_one_payment_page() {
    for rail in Rail::both() {
        let farebox = rail.farebox().await;
        let mut ada = ada(&farebox).await;
        let requests = if rail.name() == "btcpay" { "POST /api/v1/stores" } else { "POST /api/v1/checkouts" };
        rail.set_faults(Faults { fail_after_work: 1, requests: requests.to_owned(), ..Faults::default() });
        let first = ada.get("/credits").await;
        let fields = crate::support::visitor::form(&first.body, "/credits/topups");
        let value = |name: &str| fields.iter().find(|(key, _)| key == name).expect(name).1.clone();
        let (token, id) = (value("csrf_token"), value("id"));
        let fields = [("id", id.as_str()), ("amount", "20"), ("method", rail.name())];
        let failed = ada.post(&token, "/credits/topups", &fields).await;
        assert_eq!(failed.status, 503, "{}", failed.body);
        assert!(failed.body.contains("Nothing was charged") && failed.body.contains(&id), "the same form again");
        let again = ada.post(&token, "/credits/topups", &fields).await;
        assert_eq!(again.status, 200, "{}", again.body);
        assert!(again.body.contains("Send all of it in one payment") && !again.body.contains("what you pay with"));
        assert_eq!(rail.objects().len(), 1, "one payment page");

        for purchase in 2..=6 {
            one_form_in_six_windows(&rail, &farebox, &mut ada, &token).await;
            let open = |one: &&serde_json::Value| matches!(one["status"].as_str(), Some("New" | "ACTIVE"));
            assert_eq!(rail.objects().iter().filter(open).count(), purchase, "each purchase has one open page");
        }
        assert!(rail.makes() >= 6);
    }
}

/// The same form at the same moment: everybody is sent to one page, and that page is open.
async fn one_form_in_six_windows(rail: &Rail, farebox: &Farebox, ada: &mut Visitor<'_>, token: &str) {
    let cookies = ada.cookies().to_vec();
    let page = ada.get("/credits").await;
    let fresh = crate::support::visitor::form(&page.body, "/credits/topups");
    let id = fresh.iter().find(|(key, _)| key == "id").expect("an id").1.clone();
    let send = || async {
        let mut window = Visitor::with_cookies(farebox, &cookies);
        let fields = [("id", id.as_str()), ("amount", "30"), ("method", rail.name())];
        window.post(token, "/credits/topups", &fields).await
    };
    let answers = futures_util::future::join_all((0..6).map(|_| send())).await;
    let links: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{}", answer.body);
            let start = if rail.name() == "btcpay" { "/i/" } else { "/payment-links/" };
            crate::support::visitor::between(&answer.body, start, "\"")
        })
        .collect();
    assert_eq!(links.len(), 1, "everybody is sent to the same page: {links:?}");
    let link = links.first().expect("one");
    let open = |one: &&serde_json::Value| matches!(one["status"].as_str(), Some("New" | "ACTIVE"));
    assert!(
        rail.objects().iter().filter(open).any(|one| one.to_string().contains(link)),
        "the page that everybody is sent to is the open one"
    );
}

//! Redemption codes: worth exactly what they say, whoever tries, however often, wherever, and whatever dies meanwhile.

use std::time::Duration;

use farebox::base::ids::RedemptionId;
use rand::RngExt;

use crate::support::visitor::{Page, Visitor};
use crate::support::{Farebox, Options, scale, team};

const PASSWORD: &str = "correct horse battery";

/// The codes of a new batch.
async fn codes(farebox: &Farebox, more: &[&str]) -> Vec<String> {
    let arguments: Vec<&str> = ["codes", "create", "--amount", "10"].into_iter().chain(more.iter().copied()).collect();
    let made = farebox.cli(&arguments).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8_lossy(&made.stdout).lines().map(str::to_owned).collect()
}

async fn member<'a>(farebox: &'a Farebox, name: &str) -> Visitor<'a> {
    Visitor::member(farebox, &format!("{name}@example.com"), PASSWORD).await
}

async fn redeem(visitor: &mut Visitor<'_>, code: &str) -> Page {
    let id = RedemptionId::fresh().to_string();
    visitor.submit("/credits/redeem", "/credits/redeem", &[("id", &id), ("code", code)]).await
}

/// Promotions gave what organizations got, and the books are whole.
async fn adds_up(farebox: &Farebox, wanted: &str) {
    assert_eq!(farebox.text("select trim_scale(coalesce(sum(posted), 0))::text from credit").await, wanted);
    let given = "select trim_scale(coalesce(sum(amount), 0))::text from transfer t
         join ledger_account a on a.id = t.debit_account where a.name = 'promotions' and t.code = 'redeem'";
    assert_eq!(farebox.text(given).await, wanted, "what the promotions account is below zero");
    assert_eq!(farebox.text("select trim_scale(coalesce(sum(amount), 0))::text from redemption").await, wanted);
    farebox.books_are_clean().await;
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_gives_its_credits_once_and_is_read_forgivingly() {
    let farebox = Farebox::start().await;
    let made = codes(&farebox, &["--count", "3", "--note", "autumn"]).await;
    let [code, other, third] = &made[..] else { panic!("{made:?}") };
    let mut ada = member(&farebox, "ada").await;
    let page = redeem(&mut ada, &format!(" {} ", code.to_lowercase().replace('-', " "))).await;
    assert_eq!((page.status, page.location.as_str()), (303, "/credits"), "{}", page.body);
    assert!(ada.get("/credits").await.body.contains("$10.00 added to"));
    assert!(ada.get("/credits").await.body.contains("Redeemed codes"), "it stays in the history");

    let again = redeem(&mut ada, code).await;
    assert_eq!(again.status, 422);
    assert!(again.body.contains("cannot be redeemed"), "{}", again.body);
    // One code of the batch is what an organization gets; another organization may have the other.
    let second = redeem(&mut ada, other).await;
    assert!(second.status == 422 && second.body.contains("as many codes of this kind"), "{}", second.body);
    let mut eve = member(&farebox, "eve").await;
    assert_eq!(redeem(&mut eve, other).await.status, 303);
    adds_up(&farebox, "20").await;

    let listed = String::from_utf8_lossy(&farebox.cli(&["codes", "list"]).await.stdout).into_owned();
    assert!(listed.contains("3 x $10.00") && listed.contains("redeemed 2 times, $20.00"), "{listed}");
    assert!(listed.contains("autumn"), "{listed}");
    let batch = listed.split_whitespace().next().expect("an id").to_owned();
    assert!(farebox.cli(&["codes", "revoke", &batch]).await.status.success());
    let mut grace = member(&farebox, "grace").await;
    assert_eq!(redeem(&mut grace, third).await.status, 422, "revoked");
    let kept = farebox.text("select string_agg(c::text, ' ') from redemption_code c").await;
    let log = format!("{}{listed}{kept}", farebox.log());
    for code in &made {
        assert!(!log.contains(code) && !kept.contains(&code.replace('-', "")), "codes are shown once");
    }
    adds_up(&farebox, "20").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_no_good_code_is_told_the_same_and_waits_after_ten_tries() {
    let farebox = Farebox::start().await;
    let expired = codes(&farebox, &["--expires", "2099-01-31"]).await;
    let revoked = codes(&farebox, &[]).await;
    let used = codes(&farebox, &[]).await;
    for statement in [
        "update code_batch set expires_at = now() where expires_at is not null",
        "update code_batch set revoked_at = now()
         where id = (select id from code_batch where expires_at is null order by id limit 1)",
    ] {
        sqlx::query(statement).execute(&farebox.pool).await.expect("changed");
    }
    let mut eve = member(&farebox, "eve").await;
    assert_eq!(redeem(&mut eve, &used[0]).await.status, 303);
    let mut ada = member(&farebox, "ada").await;
    let unknown = farebox::topups::codes::PlainCode::fresh().reveal();
    let mut answers = Vec::new();
    for code in [&expired[0], &revoked[0], &used[0], &unknown] {
        let page = redeem(&mut ada, code).await;
        let sentence = page.body.split_once("error-text").map(|(_, rest)| rest.split("</p>").next().map(str::to_owned));
        answers.push((page.status, sentence.flatten().expect("an error")));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.0 == 422), "{answers:?}");
    // Typing mistakes never reach the table, so they are not counted.
    for _ in 0..15 {
        let page = redeem(&mut ada, &unknown[..28]).await;
        assert!(page.status == 422 && page.body.contains("five groups of four"), "{}", page.body);
    }
    for _ in 0..6 {
        assert_eq!(redeem(&mut ada, &unknown).await.status, 422);
    }
    let good = codes(&farebox, &[]).await;
    assert_eq!(redeem(&mut ada, &good[0]).await.status, 429, "the eleventh try, even with a good code");
    assert_eq!(farebox.text("select uses::text from redemption_code order by uses limit 1").await, "0");
    // Others are not kept from theirs.
    let mut grace = member(&farebox, "grace").await;
    assert_eq!(redeem(&mut grace, &good[0]).await.status, 303);
    adds_up(&farebox, "20").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_on_two_nodes_get_one_single_use_code_once() {
    let one = Farebox::start().await;
    let two = Farebox::with(Options { database_url: Some(one.database_url.clone()), ..Options::default() }).await;
    let single = codes(&one, &[]).await.remove(0);
    let triple = codes(&one, &["--uses", "3"]).await.remove(0);
    let many = codes(&one, &["--count", "10", "--uses", "1000", "--per-org", "4"]).await;
    let people = scale(5, 25);
    let mut cookies = Vec::new();
    for number in 0..people {
        cookies.push(member(&one, &format!("person{number}")).await.cookies().to_vec());
        sqlx::query("delete from sign_in_failure").execute(&one.pool).await.expect("an hour later, for the next mail");
    }
    let attempt = |number: usize, code: String| {
        let at = if number.is_multiple_of(2) { &one } else { &two };
        let mut visitor = Visitor::with_cookies(at, &cookies[number % people]);
        async move { redeem(&mut visitor, &code).await.status }
    };
    let tally = |statuses: Vec<u16>| {
        assert!(statuses.iter().all(|status| matches!(status, 303 | 422 | 429)), "{statuses:?}");
        statuses.iter().filter(|status| **status == 303).count()
    };
    let got = futures_util::future::join_all((0..50).map(|number| attempt(number, single.clone()))).await;
    assert_eq!(tally(got), 1, "{}", two.log());
    adds_up(&one, "10").await;
    sqlx::query("delete from code_failure").execute(&one.pool).await.expect("a quarter of an hour later");
    let got = futures_util::future::join_all((0..50).map(|number| attempt(number, triple.clone()))).await;
    assert_eq!(tally(got), 3);
    adds_up(&one, "40").await;
    sqlx::query("delete from code_failure").execute(&one.pool).await.expect("a quarter of an hour later");
    // Whatever codes of the batch an organization tries at once, it gets four.
    let tries = (0..people * 10).map(|number| attempt(number, many[number / people].clone()));
    let got = futures_util::future::join_all(tries).await;
    assert_eq!(tally(got), people * 4);
    adds_up(&one, &(40 + people * 40).to_string()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_is_sent_again_redeems_once() {
    let one = Farebox::start().await;
    let two = Farebox::with(Options { database_url: Some(one.database_url.clone()), ..Options::default() }).await;
    let made = codes(&one, &["--uses", "100", "--per-org", "100", "--count", "2"]).await;
    let mut ada = member(&one, "ada").await;
    let (token, id) = (ada.token("/credits/redeem").await, RedemptionId::fresh().to_string());
    let sent = |number: usize, code: String| {
        let mut visitor = Visitor::with_cookies(if number.is_multiple_of(2) { &one } else { &two }, ada.cookies());
        let (token, id) = (token.clone(), id.clone());
        async move { visitor.post(&token, "/credits/redeem", &[("id", &id), ("code", &code)]).await.status }
    };
    let statuses = futures_util::future::join_all((0..20).map(|number| sent(number, made[0].clone()))).await;
    assert!(statuses.iter().all(|status| *status == 303), "{statuses:?}");
    adds_up(&one, "10").await;
    assert_eq!(sent(0, made[1].clone()).await, 422, "the same form with another code");
    assert_eq!(sent(0, made[0].clone()).await, 303);
    adds_up(&one, "10").await;
    // The id of somebody else's redemption is of no use.
    let mut eve = member(&one, "eve").await;
    let page = eve.submit("/credits/redeem", "/credits/redeem", &[("id", &id), ("code", &made[0])]).await;
    assert!(page.status == 422 && page.body.contains("Open the page again"), "{}", page.body);
    adds_up(&one, "10").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_around_the_commit_leaves_a_redemption_whole_or_not_there() {
    let rounds = scale(8, 60);
    let first = Farebox::start().await;
    let url = first.database_url.clone();
    let made = codes(&first, &["--count", &rounds.to_string(), "--per-org", "1000"]).await;
    let mut ada = member(&first, "ada").await;
    let (mut done, mut undone) = (0, 0);
    for code in &made {
        let mut victim = Farebox::with(Options { database_url: Some(url.clone()), ..Options::default() }).await;
        let (token, id) = (ada.token("/credits/redeem").await, RedemptionId::fresh().to_string());
        let (cookies, form_id) = (ada.cookies().to_vec(), id.clone());
        let wait = Duration::from_micros(rand::rng().random_range(500..25_000));
        let request = victim.http.post(victim.url("/credits/redeem"));
        let form = [("csrf_token", token.clone()), ("id", form_id), ("code", code.clone())];
        let cookie: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let sent = tokio::spawn(request.header("cookie", cookie.join("; ")).form(&form).send());
        tokio::time::sleep(wait).await;
        victim.kill();
        let answered = sent.await.expect("no panic").is_ok_and(|answer| answer.status() == 303);
        // The dead process's transaction ends when Postgres notices; then both rows are there or neither is.
        let found = "select (count(*) - (select sum(uses) from redemption_code))::text from redemption";
        assert_eq!(first.text(found).await, "0");
        let there: bool = sqlx::query_scalar("select exists (select from redemption where id = $1)")
            .bind(id.parse::<RedemptionId>().expect("an id").0)
            .fetch_one(&first.pool)
            .await
            .expect("an answer");
        assert!(there || !answered, "what was answered stays");
        if there {
            done += 1
        } else {
            undone += 1
        }
        // Whoever got no answer sends the form again, to a node that lives.
        let page = ada.post(&token, "/credits/redeem", &[("id", &id), ("code", code)]).await;
        assert_eq!(page.status, 303, "{}", page.body);
    }
    assert_eq!(done + undone, rounds);
    adds_up(&first, &(rounds * 10).to_string()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_without_credits_redeem_nothing_and_a_batch_is_made_within_its_limits() {
    let farebox = Farebox::start().await;
    let code = codes(&farebox, &[]).await.remove(0);
    let mut ada = member(&farebox, "ada").await;
    team::create(&mut ada, "Analytical Engines").await;
    let mut carl = member(&farebox, "carl").await;
    team::bring_in(&farebox, &mut ada, &mut carl, "carl@example.com", "member").await;
    let token = carl.token("/settings/profile").await;
    let id = RedemptionId::fresh().to_string();
    let refused = carl.post(&token, "/credits/redeem", &[("id", &id), ("code", &code)]).await;
    assert_eq!(refused.status, 403);
    assert_eq!(redeem(&mut ada, &code).await.status, 303);
    let team = "select trim_scale(posted)::text from credit c join org o on o.id = c.org_id where o.kind = 'team'";
    assert_eq!(farebox.text(team).await, "10", "into the organization that is open");
    for wrong in [
        &["--amount", "0"][..],
        &["--amount", "0.001"],
        &["--amount", "1000000"],
        &["--amount", "1", "--count", "0"],
        &["--amount", "1", "--count", "10001"],
        &["--amount", "1", "--uses", "0"],
        &["--amount", "1", "--per-org", "0"],
        &["--amount", "1", "--expires", "2020-01-31"],
        &["--amount", "1", "--expires", "soon"],
    ] {
        let arguments: Vec<&str> = ["codes", "create"].into_iter().chain(wrong.iter().copied()).collect();
        let made = farebox.cli(&arguments).await;
        assert!(!made.status.success() && made.stdout.is_empty(), "{wrong:?}");
    }
    assert_eq!(farebox.text("select count(*)::text from code_batch").await, "1");
    assert!(!farebox.cli(&["codes", "revoke", "bat_00000000000000000000000000000000"]).await.status.success());
    adds_up(&farebox, "10").await;
}

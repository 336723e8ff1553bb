//! Who counts as one visitor, and how many mails a stranger may have sent.

use futures_util::future::join_all;

use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

const ADA: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

async fn start() -> Farebox {
    Farebox::with(Options { env: vec![("FAREBOX_TRUSTED_PROXIES", "1".into())], ..Options::default() }).await
}

/// Sends forms as one browser, each from an address of its own, in this order or `at_once`. Returns the statuses.
async fn send(farebox: &Farebox, action: &str, forms: &[(String, Vec<(&str, &str)>)], at_once: bool) -> Vec<u16> {
    let mut visitor = Visitor::new(farebox);
    let token = visitor.token("/sign-in").await;
    let cookies: Vec<String> = visitor.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let cookies = cookies.join("; ");
    let ask = async |(ip, fields): &(String, Vec<(&str, &str)>)| {
        let mut form = vec![("csrf_token", token.as_str())];
        form.extend(fields);
        let request = farebox.http.post(farebox.url(action)).header("x-forwarded-for", ip).form(&form);
        request.header("cookie", &cookies).send().await.expect("an answer").status().as_u16()
    };
    if at_once {
        return join_all(forms.iter().map(ask)).await;
    }
    let mut statuses = Vec::new();
    for form in forms {
        statuses.push(ask(form).await);
    }
    statuses
}

/// How many were answered with this status; the others are refused for being too many.
fn answered(statuses: &[u16], status: u16) -> usize {
    assert!(statuses.iter().all(|one| *one == status || *one == 429), "{statuses:?}");
    statuses.iter().filter(|one| **one == status).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_ipv6_is_as_many_visitors_as_its_subscriber() {
    let farebox = start().await;
    Visitor::member(&farebox, ADA, PASSWORD).await;
    let guesses = |network: &str| -> Vec<_> {
        let guess =
            |number: u32| (format!("{network}::{number:x}"), vec![("email", ADA), ("password", "a wrong password")]);
        (1..=10).map(guess).collect()
    };
    let statuses = send(&farebox, "/sign-in", &guesses("2001:db8:7:1"), false).await;
    assert_eq!(answered(&statuses, 422), 8, "one house has one count: {statuses:?}");
    let statuses = send(&farebox, "/sign-in", &guesses("2001:db8:7:2")[..3], false).await;
    assert_eq!(answered(&statuses, 422), 3, "the next house has another one: {statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_gets_few_mails_whoever_asks_and_its_owner_is_not_kept_from_asking() {
    let farebox = start().await;
    let spelled = ["ada@example.com", "Ada@example.com", "ada+1@example.com"];
    let ask = |ip: String, way: usize| (ip, vec![("email", spelled[way % 3])]);
    // From one network, with all its houses and spellings, at the same time.
    let forms: Vec<_> = (0..16).map(|from| ask(format!("2001:db8:7:{from:x}::1"), from)).collect();
    assert_eq!(answered(&send(&farebox, "/recover", &forms, true).await, 200), 6);
    // Its owner is somewhere else.
    assert_eq!(send(&farebox, "/recover", &[ask("203.0.113.9".to_owned(), 0)], false).await, [200]);
    // From everywhere: these seven are counted, and refusals are not.
    let forms: Vec<_> = (0..30).map(|from| ask(format!("10.{from}.0.1"), from)).collect();
    assert_eq!(answered(&send(&farebox, "/recover", &forms, true).await, 200), 24 - 7);
    let counted =
        "select count(*)::text from sign_in_failure where subject like 'mail-to:%' and subject not like '%|%'";
    assert_eq!(farebox.text(counted).await, "24");
    let refused = Visitor::new(&farebox).submit("/recover", "/recover", &[("email", ADA)]).await;
    assert_eq!(refused.status, 429);
    assert!(refused.body.contains("The link that was mailed last still works"), "{}", refused.body);
    // And not by the way of signing in with a password that was chosen for somebody else.
    let bob = vec![("name", "Eve"), ("email", "bob@example.com"), ("password", PASSWORD)];
    assert_eq!(send(&farebox, "/sign-up", &[("10.200.0.1".to_owned(), bob.clone())], false).await, [200]);
    let again: Vec<_> = (0..9).map(|_| ("10.200.0.1".to_owned(), bob[1..].to_vec())).collect();
    assert_eq!(send(&farebox, "/sign-in", &again, false).await, [422; 9], "the answer is always the same");
    assert_eq!(farebox.text("select count(*)::text from mail where recipient = 'bob@example.com'").await, "6");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_closes_the_door_only_for_itself_and_one_network_only_for_itself() {
    let farebox = start().await;
    let names: Vec<String> = (0..300).map(|number| format!("person{number}@example.com")).collect();
    let ask = |ip: String, to: usize| (ip, vec![("email", names[to].as_str())]);
    // One house, to everybody.
    let house: Vec<_> = (1..=24).map(|one| ask(format!("2001:db8:7:1::{one:x}"), one)).collect();
    assert_eq!(answered(&send(&farebox, "/recover", &house, false).await, 200), 20);
    assert_eq!(
        send(&farebox, "/recover", &[ask("2001:db8:7:2::1".to_owned(), 25)], false).await,
        [200],
        "its neighbour"
    );
    // All houses of the network: 21 are counted.
    let street: Vec<_> = (1..=190).map(|one| ask(format!("2001:db8:7:{:x}::1", 0x100 + one), 30 + one)).collect();
    assert_eq!(answered(&send(&farebox, "/recover", &street, false).await, 200), 200 - 21);
    // The door is open for everybody else, and for other purposes.
    let elsewhere = [ask("2001:db8:8::1".to_owned(), 280), ask("203.0.113.9".to_owned(), 281)];
    assert_eq!(send(&farebox, "/recover", &elsewhere, false).await, [200, 200]);
    let new = vec![("name", "Eve"), ("email", "eve@example.com"), ("password", PASSWORD)];
    assert_eq!(send(&farebox, "/sign-up", &[("2001:db8:7:fff::1".to_owned(), new)], false).await, [200]);
}

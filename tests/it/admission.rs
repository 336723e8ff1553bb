//! Whom the operator lets in, and who becomes the operator.

use crate::support::fake_oidc::FakeOidc;
use crate::support::visitor::{Visitor, between};
use crate::support::{Farebox, Options, cluster, team};

const PASSWORD: &str = "correct horse battery";

async fn start(fake: &FakeOidc, policy: &[(&'static str, &str)]) -> Farebox {
    let mut options = fake.options();
    options.env.extend(policy.iter().map(|(name, value)| (*name, (*value).to_owned())));
    Farebox::with(options).await
}

/// The status of a sign-up with a password, and what the page says without the address.
async fn sign_up(farebox: &Farebox, email: &str) -> (u16, String) {
    let mut visitor = Visitor::new(farebox);
    let token = visitor.token("/sign-in").await;
    let page = visitor.post(&token, "/sign-up", &[("name", "X"), ("email", email), ("password", PASSWORD)]).await;
    let plain = page.body.replace(email, "EMAIL");
    (page.status, plain.lines().filter(|line| !line.contains("csrf_token")).collect())
}

/// The status of a sign-up with an account elsewhere.
async fn sign_up_elsewhere(farebox: &Farebox, fake: &FakeOidc, email: &str) -> u16 {
    let mut visitor = Visitor::new(farebox);
    let sent = visitor.submit("/sign-in", "/oidc/sign-in", &[("provider", "fake")]).await;
    let link = between(&sent.body, "<a class=\"button primary large block\" href=\"", "\"").replace("&#38;", "&");
    let (path, query) = fake.grant(&link, email, email);
    let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    visitor.get(&format!("{path}?{query}")).await.status
}

async fn people(farebox: &Farebox) -> String {
    farebox.text("select coalesce(string_agg(email, ' ' order by email), '') from person").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_instance_makes_no_accounts() {
    let fake = FakeOidc::start();
    let farebox = start(&fake, &[("FAREBOX_SIGN_UP", "closed")]).await;
    farebox.cli(&["user", "create", "--email", "known@example.com"]).await;
    let known = sign_up(&farebox, "known@example.com").await;
    assert_eq!(known, sign_up(&farebox, "new@example.com").await, "known and unknown are told the same");
    assert!(known.0 == 422 && known.1.contains("Sign-up is closed here"), "{}", known.1);
    assert_eq!(sign_up_elsewhere(&farebox, &fake, "new@example.com").await, 422);
    let mut visitor = Visitor::new(&farebox);
    assert!(!visitor.get("/sign-in").await.body.contains("/sign-up"), "nothing leads there");
    assert!(visitor.get("/sign-up").await.body.contains("Sign-up is closed here"));
    assert_eq!(people(&farebox).await, "known@example.com");
    assert_eq!(farebox.text("select count(*)::text from mail").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn domains_let_in_their_addresses_only() {
    let fake = FakeOidc::start();
    let policy = [("FAREBOX_SIGN_UP", "domains"), ("FAREBOX_SIGN_UP_DOMAINS", "example.com, Example.org")];
    let farebox = start(&fake, &policy).await;
    let answer = sign_up(&farebox, "ada@example.com").await;
    assert_eq!(answer.0, 200);
    // Who is not among them hears nothing else, and gets no mail.
    for email in ["bob@example.net", "bob@sub.example.com", "bob@notexample.com"] {
        assert_eq!(sign_up(&farebox, email).await, answer, "{email}");
        assert_eq!(sign_up_elsewhere(&farebox, &fake, email).await, 422, "{email}");
    }
    assert!(answer.1.contains("@example.com or @example.org"), "{}", answer.1);
    assert_eq!(sign_up_elsewhere(&farebox, &fake, "eve@example.org").await, 303);
    assert_eq!(people(&farebox).await, "ada@example.com eve@example.org");
    assert_eq!(farebox.text("select string_agg(recipient, ' ') from mail").await, "ada@example.com");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_invitation_nobody_gets_in_and_nobody_learns_who_was_invited() {
    let fake = FakeOidc::start();
    let farebox = start(&fake, &[("FAREBOX_SIGN_UP", "invitation")]).await;
    farebox.cli(&["user", "create", "--email", "known@example.com"]).await;
    let answer = sign_up(&farebox, "known@example.com").await;
    assert_eq!(answer.0, 200);
    assert_eq!(sign_up(&farebox, "new@example.com").await, answer);
    assert_eq!(sign_up_elsewhere(&farebox, &fake, "new@example.com").await, 422);
    assert_eq!(people(&farebox).await, "known@example.com");
    assert_eq!(farebox.text("select string_agg(kind, ' ') from mail").await, "already_registered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_invited_signs_up_by_password_or_elsewhere() {
    let fake = FakeOidc::start();
    let open = Farebox::start().await;
    let mut ada = Visitor::member(&open, "ada@example.com", PASSWORD).await;
    team::create(&mut ada, "Analytical Engines").await;
    for email in ["grace@example.com", "linus@example.com"] {
        assert_eq!(team::invite(&mut ada, email, "member").await.status, 303);
    }
    let mut options = fake.options();
    options.database_url = Some(open.database_url.clone());
    options.env.push(("FAREBOX_SIGN_UP", "invitation".to_owned()));
    let farebox = Farebox::with(options).await;

    let invited = sign_up(&farebox, "grace@example.com").await;
    let stranger = sign_up(&farebox, "eve@example.com").await;
    assert_eq!(invited, stranger, "nobody learns who was invited");
    assert_eq!(sign_up_elsewhere(&farebox, &fake, "linus@example.com").await, 303);
    assert_eq!(sign_up_elsewhere(&farebox, &fake, "mallory@example.com").await, 422);
    assert_eq!(people(&farebox).await, "ada@example.com grace@example.com linus@example.com");
    assert_eq!(
        farebox
            .text(
                "select string_agg(recipient, ' ') from mail where kind = 'verify_email' and recipient not like 'ada%'"
            )
            .await,
        "grace@example.com"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_instance_lets_in_everybody() {
    let fake = FakeOidc::start();
    let farebox = start(&fake, &[("FAREBOX_SIGN_UP", "open")]).await;
    assert_eq!(sign_up(&farebox, "ada@example.com").await.0, 200);
    assert_eq!(sign_up_elsewhere(&farebox, &fake, "bob@example.net").await, 303);
    assert_eq!(people(&farebox).await, "ada@example.com bob@example.net");
}

/// The path that the server printed.
fn printed(farebox: &Farebox) -> Option<String> {
    let log = farebox.log();
    let line = log.lines().find(|line| line.contains("/operator/claim?token="))?;
    line.find("/operator/claim").map(|at| line[at..].trim().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_link_makes_one_operator_once() {
    let url = cluster::database().await;
    let options = || Options { database_url: Some(url.clone()), ..Options::default() };
    let before = {
        let first = Farebox::with(options()).await;
        printed(&first).expect("a link")
    };
    let farebox = Farebox::with(options()).await;
    let link = printed(&farebox).expect("a link");
    assert_ne!(before, link);
    let token = |link: &str| link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a token");
    assert!(Visitor::new(&farebox).get(&link).await.location.starts_with("/sign-in"), "a stranger signs in first");
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let mut eve = Visitor::member(&farebox, "eve@example.com", PASSWORD).await;
    assert!(ada.get(&before).await.body.contains("no longer works"), "a start makes the link before it void");
    let void = ada.submit("/settings/profile", "/operator/claim", &[("token", &token(&before))]).await;
    assert_eq!(void.status, 422);

    // Whoever finds a browser that was left open cannot do it.
    sqlx::query("update session set authenticated_at = now() - interval '6 minutes'")
        .execute(&farebox.pool)
        .await
        .expect("time passes");
    let asked = ada.submit("/settings/profile", "/operator/claim", &[("token", &token(&link))]).await;
    assert!(asked.status == 303 && asked.location.starts_with("/step-up"), "{}", asked.location);
    let asked = ada.get(&link).await;
    assert!(asked.location.starts_with("/step-up?next=%2Foperator%2Fclaim%3Ftoken%3D"), "{}", asked.location);
    assert_eq!(farebox.text("select count(*)::text from operator").await, "0");

    let next = ("next", link.as_str());
    let back = ada.submit(&asked.location, "/step-up", &[("password", PASSWORD), next]).await;
    assert_eq!(back.location, link);
    assert!(ada.get(&link).await.body.contains("Make me the operator"));
    assert_eq!(farebox.text("select count(*)::text from operator").await, "0", "looking changes nothing");
    assert_eq!(ada.submit(&link, "/operator/claim", &[("token", &token(&link))]).await.status, 303);
    let operator = "select email from operator join person on person.id = person_id";
    assert_eq!(farebox.text(operator).await, "ada@example.com");
    let entry =
        "select string_agg(actor_kind || ' ' || action, ',') from audit_entry where action like 'house.operator%'";
    assert_eq!(farebox.text(entry).await, "person house.operator_made");

    eve.submit("/step-up", "/step-up", &[("password", PASSWORD)]).await;
    assert!(eve.get(&link).await.body.contains("no longer works"));
    let again = eve.submit("/settings/profile", "/operator/claim", &[("token", &token(&link))]).await;
    assert_eq!(again.status, 422, "once");
    assert_eq!(farebox.text("select count(*)::text from operator").await, "1");
    let later = Farebox::with(options()).await;
    assert_eq!(printed(&later), None, "nothing is printed once there is an operator");
    assert!(farebox.cli(&["audit", "verify"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_makes_operators_and_ends_the_offer() {
    let farebox = Farebox::start().await;
    let link = printed(&farebox).expect("a link");
    assert!(!farebox.cli(&["user", "operator", "--email", "ada@example.com"]).await.status.success());
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    for said in ["now an operator", "already an operator"] {
        let done = farebox.cli(&["user", "operator", "--email", "ada@example.com"]).await;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && text.contains(said), "{text}");
    }
    assert!(ada.get(&link).await.body.contains("no longer works"));
    let entry =
        "select string_agg(actor_kind || ' ' || action, ',') from audit_entry where action like 'house.operator%'";
    assert_eq!(farebox.text(entry).await, "operator house.operator_made");
}

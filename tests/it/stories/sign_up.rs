//! From nothing to a signed-in person, and what strangers do not learn.

use crate::support::Farebox;

/// A browser without scripts: it keeps cookies and fills in forms.
struct Visitor<'a> {
    farebox: &'a Farebox,
    cookies: Vec<(String, String)>,
}

struct Page {
    status: u16,
    location: String,
    body: String,
}

impl<'a> Visitor<'a> {
    fn new(farebox: &'a Farebox) -> Self {
        Visitor { farebox, cookies: Vec::new() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = request.header("cookie", cookies.join("; ")).send().await.expect("an answer");
        for cookie in answer.headers().get_all("set-cookie") {
            let text = cookie.to_str().expect("text").split(';').next().unwrap_or_default();
            if let Some((name, value)) = text.split_once('=') {
                self.cookies.retain(|(kept, _)| kept != name);
                if !value.is_empty() {
                    self.cookies.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        let location = answer.headers().get("location").and_then(|l| l.to_str().ok()).unwrap_or_default().to_owned();
        Page { status: answer.status().as_u16(), location, body: answer.text().await.expect("a body") }
    }

    async fn get(&mut self, path: &str) -> Page {
        let request = self.farebox.http.get(self.farebox.url(path));
        self.send(request).await
    }

    /// Fetches the page with the form, then sends it.
    async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Page {
        let token = between(&self.get(page).await.body, "name=\"csrf_token\" value=\"", "\"");
        let mut form = vec![("csrf_token", token.as_str())];
        form.extend(fields);
        let request = self.farebox.http.post(self.farebox.url(action)).form(&form);
        self.send(request).await
    }

    async fn is_signed_in(&mut self) -> bool {
        self.get("/").await.status == 200
    }
}

fn between(text: &str, start: &str, end: &str) -> String {
    let rest = text.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(found, _)| found).to_owned()
}

async fn mailed_link(farebox: &Farebox, kind: &str) -> String {
    let text: String = sqlx::query_scalar("select text_body from mail where kind = $1 order by id desc limit 1")
        .bind(kind)
        .fetch_one(&farebox.pool)
        .await
        .expect("a mail");
    let link = text.split_whitespace().find(|word| word.starts_with("http")).expect("a link").to_owned();
    link.split_once("127.0.0.1")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map(|(_, path)| format!("/{path}"))
        .expect("a path")
}

#[tokio::test]
async fn a_person_signs_up_proves_the_address_and_is_signed_in() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::new(&farebox);
    let page = ada
        .submit("/sign-up", "/sign-up", &[("name", "Ada"), ("email", "ada@example.com"), ("password", "correct horse")])
        .await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(!ada.is_signed_in().await, "signing up alone proves nothing");
    let link = mailed_link(&farebox, "verify_email").await;
    let token = link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a token");
    let wrong = ada.submit(&link, "/verify", &[("token", &token), ("password", "another horse")]).await;
    assert_eq!(wrong.status, 422, "the link alone is not enough");
    let right = ada.submit(&link, "/verify", &[("token", &token), ("password", "correct horse")]).await;
    assert_eq!((right.status, right.location.as_str()), (303, "/"), "{}", right.body);
    assert!(ada.is_signed_in().await);
    let again =
        Visitor::new(&farebox).submit(&link, "/verify", &[("token", &token), ("password", "correct horse")]).await;
    assert_eq!(again.status, 422, "a link works once");
    ada.submit("/settings/profile", "/sign-out", &[]).await;
    assert!(!ada.is_signed_in().await);
    let back = ada
        .submit(
            "/sign-in?next=/keys",
            "/sign-in",
            &[("email", "ADA@example.com"), ("password", "correct horse"), ("next", "/keys")],
        )
        .await;
    assert_eq!(back.location, "/keys");
}

/// Lets every insert into a table fail, or no longer.
async fn break_inserts(farebox: &Farebox, table: &str, broken: bool) {
    let statement = if broken {
        format!(
            "create function broken() returns trigger language plpgsql as $$ begin raise 'broken'; end $$;
             create trigger broken before insert on {table} for each row execute function broken()"
        )
    } else {
        "drop function broken cascade".to_owned()
    };
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&farebox.pool).await.expect("a trigger");
}

#[tokio::test]
async fn what_fails_halfway_leaves_nothing_behind() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::new(&farebox);
    let account = [("name", "Ada"), ("email", "ada@example.com"), ("password", "correct horse")];
    ada.submit("/sign-up", "/sign-up", &account).await;
    let link = mailed_link(&farebox, "verify_email").await;
    let token = link.split_once("token=").map(|(_, token)| token.to_owned()).expect("a token");

    let tokens = "select count(*)::text from one_time_token";
    break_inserts(&farebox, "mail", true).await;
    let sign_in = ada.submit("/sign-in", "/sign-in", &account[1..]).await;
    assert_eq!((sign_in.status, farebox.text(tokens).await.as_str()), (500, "1"), "no link without its mail");
    break_inserts(&farebox, "mail", false).await;
    let sign_in = ada.submit("/sign-in", "/sign-in", &account[1..]).await;
    assert_eq!(
        (sign_in.status, farebox.text(tokens).await.as_str()),
        (422, "2"),
        "a fresh link, and the uniform answer"
    );

    let form = [("token", token.as_str()), ("password", "correct horse")];
    break_inserts(&farebox, "session", true).await;
    assert_eq!(ada.submit(&link, "/verify", &form).await.status, 500);
    let failures = "select count(*)::text from sign_in_failure where subject like 'account:%'";
    let before = farebox.text(failures).await;
    let wrong = ada.submit(&link, "/verify", &[form[0], ("password", "another horse")]).await;
    assert_eq!(wrong.status, 422);
    assert_ne!(farebox.text(failures).await, before, "a wrong password is counted");
    break_inserts(&farebox, "session", false).await;
    let right = ada.submit(&link, "/verify", &form).await;
    assert_eq!(right.status, 303, "the link still works: {}", right.body);
}

#[tokio::test]
async fn a_known_and_an_unknown_address_are_told_the_same() {
    let farebox = Farebox::start().await;
    farebox.cli(&["user", "create", "--email", "known@example.com"]).await;
    let mut answers = Vec::new();
    for email in ["known@example.com", "stranger@example.com"] {
        let mut visitor = Visitor::new(&farebox);
        let up = visitor
            .submit("/sign-up", "/sign-up", &[("name", "X"), ("email", email), ("password", "long enough")])
            .await;
        let recover = visitor.submit("/recover", "/recover", &[("email", email)]).await;
        let sign_in = visitor.submit("/sign-in", "/sign-in", &[("email", email), ("password", "wrong password")]).await;
        let plain = |page: &Page| {
            page.body.replace(email, "EMAIL").lines().filter(|l| !l.contains("csrf_token")).collect::<String>()
        };
        answers.push((up.status, plain(&up), recover.status, plain(&recover), sign_in.status, plain(&sign_in)));
    }
    assert_eq!(answers[0], answers[1]);
}

#[tokio::test]
async fn the_command_line_gives_an_address_to_its_owner_and_changes_no_password_that_somebody_has() {
    let farebox = Farebox::start().await;
    let create = |email: &'static str, password: &'static str| {
        let mut arguments = vec!["user", "create", "--email", email];
        arguments.extend((!password.is_empty()).then_some("--password-stdin"));
        let farebox = &farebox;
        async move {
            if password.is_empty() {
                farebox.cli(&arguments).await
            } else {
                farebox.cli_with(&arguments, password).await
            }
        }
    };
    let signs_in = async |email: &str, password: &str| {
        Visitor::new(&farebox).submit("/sign-in", "/sign-in", &[("email", email), ("password", password)]).await.status
    };
    // A stranger was first, and proved nothing.
    for email in ["ada@example.com", "bob@example.com"] {
        let fields = [("name", "Stranger"), ("email", email), ("password", "of a stranger")];
        assert_eq!(Visitor::new(&farebox).submit("/sign-up", "/sign-up", &fields).await.status, 200);
    }
    for (email, password) in [("ada@example.com", "correct horse battery"), ("bob@example.com", "")] {
        let made = create(email, password).await;
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    assert_eq!(farebox.text("select count(*)::text from one_time_token").await, "0", "links that were mailed are void");
    let people =
        "select string_agg(name || ' ' || (email_verified_at is not null) || ' ' || (password_hash is not null), ';'
        order by email) from person";
    assert_eq!(farebox.text(people).await, "ada true true;bob true false");
    assert_eq!(signs_in("ada@example.com", "of a stranger").await, 422);
    assert_eq!(signs_in("ada@example.com", "correct horse battery").await, 303);
    // What somebody has already is left as it is, and said.
    let again = create("ada@example.com", "another battery").await;
    let told = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.code() == Some(1) && told.contains("the password was not changed"), "{told}");
    let again = create("ada@example.com", "").await;
    let told = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && told.contains("exists already"), "{told}");
    assert_eq!(signs_in("ada@example.com", "correct horse battery").await, 303);
}

#[tokio::test]
async fn another_site_and_a_missing_token_change_nothing() {
    let farebox = Farebox::start().await;
    let form = [("email", "x@example.com"), ("password", "long enough"), ("name", "X")];
    let url = farebox.url("/sign-up");
    let no_token = farebox.http.post(&url).form(&form).send().await.expect("an answer");
    assert_eq!(no_token.status(), 403);
    let elsewhere =
        farebox.http.post(&url).header("sec-fetch-site", "cross-site").form(&form).send().await.expect("an answer");
    assert_eq!(elsewhere.status(), 403);
    let foreign =
        farebox.http.post(&url).header("origin", "https://evil.example").form(&form).send().await.expect("an answer");
    assert_eq!(foreign.status(), 403);
    assert_eq!(farebox.text("select count(*)::text from person").await, "0");
}

#[tokio::test]
async fn guessing_is_stopped_and_the_owner_elsewhere_is_not() {
    let farebox = Farebox::with(crate::support::Options {
        env: vec![("FAREBOX_TRUSTED_PROXIES", "1".into())],
        ..Default::default()
    })
    .await;
    let mut guesser = Visitor::new(&farebox);
    let token = between(&guesser.get("/sign-in").await.body, "name=\"csrf_token\" value=\"", "\"");
    let mut last = 0;
    for _ in 0..9 {
        let form = [("csrf_token", token.as_str()), ("email", "ada@example.com"), ("password", "guess guess")];
        let request = farebox.http.post(farebox.url("/sign-in")).header("x-forwarded-for", "203.0.113.9").form(&form);
        last = guesser.send(request).await.status;
    }
    assert_eq!(last, 429);
    let form = [("csrf_token", token.as_str()), ("email", "ada@example.com"), ("password", "guess guess")];
    let request = farebox.http.post(farebox.url("/sign-in")).header("x-forwarded-for", "198.51.100.7").form(&form);
    assert_eq!(guesser.send(request).await.status, 422, "another network may still try");
}

//! The chat room from outside: who may send a message, on whose account, and what is told when it is not sent.

use serde_json::{Value, json};

use crate::support::calendar;
use crate::support::fake_upstream::Behaviour;
use crate::support::lab;
use crate::support::routes::Routes;
use crate::support::team;
use crate::support::visitor::{Visitor, between, form};

const PASSWORD: &str = "another horse battery";

/// What the room's script sends.
async fn write(routes: &Routes, visitor: &mut Visitor<'_>, token: &str, body: &Value) -> (u16, String) {
    let request = routes.farebox.http.post(routes.farebox.url("/chat/completions"));
    let page = visitor.send(request.header("x-csrf-token", token).json(body)).await;
    (page.status, page.body)
}

fn message(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "Say something." }], "stream": true })
}

async fn told(routes: &Routes, visitor: &mut Visitor<'_>, body: &Value) -> (u16, Value) {
    let token = token(visitor).await;
    let (status, body) = write(routes, visitor, &token, body).await;
    (status, serde_json::from_str::<Value>(&body).unwrap_or_default()["error"].clone())
}

async fn token(visitor: &mut Visitor<'_>) -> String {
    between(&visitor.get("/settings/profile").await.body, "name=\"csrf_token\" value=\"", "\"")
}

fn says(error: &Value, text: &str) -> bool {
    error["message"].as_str().is_some_and(|message| message.contains(text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_a_call_of_the_member_and_needs_no_key() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let keys = "select count(*)::text from api_key";
    let before = routes.farebox.text(keys).await;
    let page = ada.get("/chat").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("value=\"lab/chat\"") && !page.body.contains("sk-fb-"), "{}", page.body);
    let token = token(&mut ada).await;
    let (status, body) = write(&routes, &mut ada, &token, &message("lab/chat")).await;
    assert_eq!(status, 200, "{body}");
    let events = lab::events(&body);
    let text: String = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "Hello from the fake upstream.");
    let cost = events.last().expect("events")["usage"]["cost"].to_string();

    // Booked on the member, under a name of its own, and paid.
    routes.farebox.holds_are_closed().await;
    let row = "select concat_ws('|', u.app, p.email, u.status, u.user_agent, u.referer, u.cost = t.amount)
               from usage u join person p on p.id = u.member_id join transfer t on t.id = u.transfer_id";
    assert_eq!(routes.farebox.text(row).await, "Farebox chat|ada@example.com|success|||t");
    let charged = routes.farebox.text("select cost::text from usage").await;
    assert_eq!(charged.trim_end_matches('0'), cost);
    let spent = "select m.spent_total::text from meter m join chat_key k on k.id = m.id";
    assert_eq!(routes.farebox.text(spent).await, charged);
    let call = events[0]["id"].as_str().expect("an id").to_owned();
    let detail = ada.get(&format!("/activity/{call}")).await.body;
    assert!(detail.contains("Chat of Ada") && detail.contains("Farebox chat"), "{detail}");
    let looked_up: Value = serde_json::from_str(&ada.get(&format!("/chat/calls/{call}")).await.body).expect("JSON");
    assert_eq!(looked_up["cost"].as_str().map(str::to_owned), Some(cost));

    // No key was made, none is listed, and nothing of the conversation is stored.
    assert_eq!(routes.farebox.text(keys).await, before);
    assert!(!ada.get("/keys").await.body.contains("Chat of"));
    assert_eq!(
        routes.farebox.text("select count(*)::text from usage where usage::text like '%Say something%'").await,
        "0"
    );
    assert!(!routes.farebox.log().contains("Say something"), "a message is in the log");
    // The same entry again: one for a person.
    assert_eq!(write(&routes, &mut ada, &token, &message("lab/chat")).await.0, 200);
    assert_eq!(routes.farebox.text("select count(*)::text from chat_key").await, "1");
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preset_is_chosen_like_a_model() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let id = farebox::base::ids::PresetId::fresh().to_string();
    let fields =
        [("id", id.as_str()), ("name", "Rhymes"), ("models", "lab/other"), ("system_prompt", "Answer in rhymes.")];
    let made = ada.submit("/settings/presets/new", "/settings/presets", &fields).await;
    assert_eq!(made.status, 303, "{}", made.body);
    assert!(ada.get("/chat").await.body.contains("<option value=\"@preset/rhymes\""));
    routes.until_asked(&json!({ "model": "@preset/rhymes" }), &["beta-other"]).await;
    let token = token(&mut ada).await;
    let (status, body) = write(&routes, &mut ada, &token, &message("@preset/rhymes")).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(routes.sent()["messages"][0]["content"], "Answer in rhymes.");
    let call = lab::events(&body)[0]["id"].as_str().expect("an id").to_owned();
    let detail = ada.get(&format!("/activity/{call}")).await.body;
    assert!(detail.contains("<dt>Preset</dt><dd class=\"mono\">rhymes</dd>"), "{detail}");
    // One that is archived is not offered, and a page that still has it is told.
    assert_eq!(ada.submit("/settings/presets", &format!("/settings/presets/{id}/archive"), &[]).await.status, 303);
    assert!(!ada.get("/chat").await.body.contains("@preset/rhymes"));
    routes.until_asked(&json!({ "model": "@preset/rhymes" }), &[]).await;
    let (status, error) = told(&routes, &mut ada, &message("@preset/rhymes")).await;
    assert_eq!(status, 404, "{error}");
    assert!(says(&error, "archived") && says(&error, "Choose another model or preset"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_session_of_this_site_may_write() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let own = token(&mut ada).await;
    let stranger = Visitor::member(&routes.farebox, "eve@example.com", PASSWORD).await.token("/settings/profile").await;
    for wrong in ["", "0", stranger.as_str()] {
        let (status, body) = write(&routes, &mut ada, wrong, &message("lab/chat")).await;
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("older than your session"), "{body}");
    }
    // From another site, or as a form, it is no message at all.
    let request = routes.farebox.http.post(routes.farebox.url("/chat/completions")).json(&message("lab/chat"));
    let foreign = request
        .header("x-csrf-token", &own)
        .header("origin", "https://evil.example")
        .header("sec-fetch-site", "cross-site");
    assert_eq!(ada.send(foreign).await.status, 403);
    assert_eq!(ada.post(&own, "/chat/completions", &[("model", "lab/chat")]).await.status, 422);
    // A key opens nothing here.
    let request = routes.farebox.http.post(routes.farebox.url("/chat/completions")).bearer_auth(&routes.key.text);
    let answer = request.json(&message("lab/chat")).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    // What the session was, it is no more after signing out; a copy of the cookie neither.
    let copy = ada.cookies().to_vec();
    assert_eq!(ada.submit("/settings/profile", "/sign-out", &[]).await.status, 303);
    let mut thief = Visitor::with_cookies(&routes.farebox, &copy);
    let (status, body) = write(&routes, &mut thief, &own, &message("lab/chat")).await;
    assert_eq!(status, 401, "{body}");
    assert!(body.contains("You are signed out") && body.contains("/sign-in?next=%2Fchat"), "{body}");
    assert_eq!(routes.farebox.text("select count(*)::text from usage").await, "0");
    assert_eq!(routes.farebox.text("select count(*)::text from chat_key").await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stops_a_message_is_told_in_plain_words() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    // Nobody may answer, under the settings.
    routes.set(&mut ada, &[("allowed", "gamma"), ("enforced", "yes")]).await;
    routes.until_asked(&json!({ "model": "lab/other" }), &[]).await;
    let (status, error) = told(&routes, &mut ada, &message("lab/other")).await;
    assert_eq!(status, 404, "{error}");
    assert!(
        says(&error, "under the settings of") && says(&error, "it is not on your list of allowed providers"),
        "{error}"
    );
    assert_eq!(error["action"]["href"], "/settings/preferences");
    routes.set(&mut ada, &[]).await;
    routes.until_asked(&json!({ "model": "lab/other" }), &["beta-other"]).await;
    // No such model.
    let (status, error) = told(&routes, &mut ada, &message("lab/none")).await;
    assert_eq!(status, 404);
    assert!(says(&error, "Choose another model"), "{error}");
    // The provider fails.
    routes.upstream.behave("beta-other", Behaviour::Status { status: 500, retry_after: None });
    let (status, error) = told(&routes, &mut ada, &message("lab/other")).await;
    assert_eq!(status, 502, "{error}");
    assert!(says(&error, "Lab beta failed, and nothing was charged."), "{error}");
    routes.works("beta-other");
    // All keys are stopped.
    assert_eq!(ada.submit("/keys/stop", "/keys/stop", &[]).await.status, 303);
    let (status, error) = told(&routes, &mut ada, &message("lab/chat")).await;
    assert_eq!(status, 403, "{error}");
    assert!(says(&error, "are stopped, and the chat with them"), "{error}");
    assert_eq!(error["action"]["href"], "/keys/stop");
    assert_eq!(ada.submit("/keys/stop", "/keys/resume", &[]).await.status, 303);
    assert_eq!(told(&routes, &mut ada, &message("lab/chat")).await.0, 200);
    // Nothing is left.
    let mut eve = Visitor::member(&routes.farebox, "eve@example.com", PASSWORD).await;
    let (status, error) = told(&routes, &mut eve, &message("lab/chat")).await;
    assert_eq!(status, 402, "{error}");
    assert!(says(&error, "There are $0.00 credits left"), "{error}");
    assert_eq!(error["action"]["href"], "/credits");
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caps_and_roles_of_members_hold_in_the_chat() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    team::create(&mut ada, "Analytical Engines").await;
    move_credits(&mut ada, "5").await;
    let mut bob = Visitor::member(&routes.farebox, "bob@example.com", PASSWORD).await;
    team::bring_in(&routes.farebox, &mut ada, &mut bob, "bob@example.com", "member").await;
    assert_eq!(told(&routes, &mut bob, &message("lab/chat")).await.0, 200);
    assert_eq!(
        routes.farebox.text("select o.name from chat_key k join org o on o.id = k.org_id").await,
        "Analytical Engines",
        "the organization that is open pays"
    );
    // A cap below what an answer needs.
    let person = team::person(&routes.farebox, "bob@example.com").await;
    let page = format!("/settings/members/{person}");
    let capped = ada.submit(&page, &format!("{page}/cap"), &[("day", "0.00001")]).await;
    assert_eq!(capped.status, 303, "{}", capped.body);
    let (status, error) = told(&routes, &mut bob, &message("lab/chat")).await;
    assert_eq!(status, 403, "{error}");
    assert!(says(&error, "Your spend cap in Analytical Engines is reached"), "{error}");
    assert!(error["action"].is_null(), "a member cannot change it: {error}");
    let freed = ada.submit(&page, &format!("{page}/cap"), &[("day", "")]).await;
    assert_eq!(freed.status, 303, "{}", freed.body);
    assert_eq!(told(&routes, &mut bob, &message("lab/chat")).await.0, 200);
    // A role without keys has no chat, and whoever is removed is elsewhere.
    let changed = ada.submit(&page, &format!("{page}/role"), &[("role", "billing")]).await;
    assert_eq!(changed.status, 303, "{}", changed.body);
    let (status, error) = told(&routes, &mut bob, &message("lab/chat")).await;
    assert_eq!(status, 403, "{error}");
    assert!(says(&error, "Your role in this organization"), "{error}");
    assert_eq!(bob.get("/chat").await.status, 403);
    let back = ada.submit(&page, &format!("{page}/role"), &[("role", "member")]).await;
    assert_eq!(back.status, 303);
    assert_eq!(told(&routes, &mut bob, &message("lab/chat")).await.0, 200, "and comes back with it");
    let removed = ada.submit(&format!("{page}/remove"), &format!("{page}/remove"), &[]).await;
    assert_eq!(removed.status, 303, "{}", removed.body);
    let (status, error) = told(&routes, &mut bob, &message("lab/chat")).await;
    assert_eq!(status, 402, "his own organization has nothing: {error}");
    routes.farebox.books_are_clean().await;
}

/// From one's own organization to the one that is open.
async fn move_credits(ada: &mut Visitor<'_>, amount: &str) {
    let page = ada.get("/credits/move").await.body;
    let fields = form(&page, "/credits/move");
    let id = fields.iter().find(|(name, _)| name == "id").map(|(_, value)| value.clone()).expect("an id");
    let moved = ada.submit("/credits/move", "/credits/move", &[("id", &id), ("amount", amount)]).await;
    assert_eq!(moved.status, 303, "{}", moved.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_chat_stops_at_its_own_limit_however_many_tabs_there_are() {
    calendar::within_a_day().await;
    let limit = ("FAREBOX_CHAT_DAILY_LIMIT", "0.00025".to_owned());
    let routes = Routes::with(vec![limit]).await;
    // A call costs 100 millionths of a dollar and holds a few more, so two fit and no third, in whatever order.
    routes.upstream.behave("alpha-chat", Behaviour::Ok { prompt: 90, completion: 5, text: "Yes.".into() });
    let mut ada = routes.ada();
    let page = ada.get("/chat").await.body;
    assert!(page.contains("Your chat stops at $0.00025 a day."), "{page}");
    let token = token(&mut ada).await;
    let mut body = message("lab/chat");
    body["max_tokens"] = 5.into();
    body["provider"] = json!({ "only": ["alpha"] });
    let cookies = ada.cookies().to_vec();
    let tabs = (0..6).map(|_| {
        let mut tab = Visitor::with_cookies(&routes.farebox, &cookies);
        let (routes, token, body) = (&routes, token.clone(), body.clone());
        async move { write(routes, &mut tab, &token, &body).await }
    });
    let answers = futures_util::future::join_all(tabs).await;
    let sent = answers.iter().filter(|(status, _)| *status == 200).count();
    assert_eq!(sent, 2, "{answers:?}");
    for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
        assert_eq!(*status, 403, "{body}");
        assert!(body.contains("Your chat stops at $0.00025 a day here"), "{body}");
    }
    routes.farebox.holds_are_closed().await;
    assert_eq!(routes.farebox.text("select count(*)::text from chat_key").await, "1", "one for all tabs");
    let within = "select (spent_day <= limit_day)::text from meter m join chat_key k on k.id = m.id";
    assert_eq!(routes.farebox.text(within).await, "true");
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_in_the_middle_lets_its_answer_end() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let token = token(&mut ada).await;
    routes.upstream.behave("beta-other", Behaviour::Slow { chunks: 12, ms_per_chunk: 100 });
    let cookies = ada.cookies().to_vec();
    let mut tab = Visitor::with_cookies(&routes.farebox, &cookies);
    let body = message("lab/other");
    let (answer, out) = tokio::join!(write(&routes, &mut tab, &token, &body), async {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        ada.post(&token, "/sign-out", &[]).await.status
    });
    assert_eq!(out, 303);
    assert_eq!(answer.0, 200, "{}", answer.1);
    assert!(answer.1.trim_end().ends_with("data: [DONE]"), "{}", answer.1);
    assert_eq!(write(&routes, &mut tab, &token, &body).await.0, 401);
    routes.farebox.holds_are_closed().await;
    assert_eq!(routes.farebox.text("select status from usage").await, "success");
    routes.farebox.books_are_clean().await;
}

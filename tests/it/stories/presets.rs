//! Presets: each part of one off and on in real calls, the ways of naming one, versions, roles, and the API.

use farebox::base::ids::PresetId;
use serde_json::{Value, json};

use crate::support::fake_upstream::Behaviour;
use crate::support::routes::Routes;
use crate::support::visitor::{Page, Visitor, between};
use crate::support::{Farebox, Key};

const LIST: &str = "/settings/presets";

/// Makes a preset; its id.
pub async fn make(ada: &mut Visitor<'_>, name: &str, fields: &[(&str, &str)]) -> String {
    let id = PresetId::fresh().to_string();
    let page = try_make(ada, &id, name, fields).await;
    assert_eq!((page.status, page.location.as_str()), (303, format!("{LIST}/{id}").as_str()), "{}", page.body);
    id
}

async fn try_make(ada: &mut Visitor<'_>, id: &str, name: &str, fields: &[(&str, &str)]) -> Page {
    let mut all = vec![("id", id), ("name", name)];
    all.extend(fields);
    ada.submit(&format!("{LIST}/new"), LIST, &all).await
}

/// Saves another content; `base` is the version that was open.
async fn save(ada: &mut Visitor<'_>, id: &str, base: &str, fields: &[(&str, &str)]) -> Page {
    let mut all = vec![("id", id), ("base", base)];
    all.extend(fields);
    ada.submit(&format!("{LIST}/{id}"), &format!("{LIST}/{id}"), &all).await
}

/// Calls until the preset is known: other nodes hear of it within a moment, and so does this one.
async fn until(routes: &Routes, body: &Value, wanted: &[&str]) {
    routes.until_asked(body, wanted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_part_of_a_preset_changes_a_call() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let fields = [
        ("system_prompt", "Answer in rhymes."),
        ("models", "lab/chat"),
        ("models", "lab/other"),
        ("order", "gamma"),
        ("order", "alpha"),
        ("ignore", "beta"),
        ("temperature", "0.25"),
        ("top_k", "7"),
        ("max_tokens", "40"),
        ("more", r#"{"stop": ["END"], "tools": [{"type": "function", "function": {"name": "preset_tool"}}]}"#),
    ];
    make(&mut ada, "Rhymes", &fields).await;
    let named = json!({ "model": "@preset/rhymes" });
    until(&routes, &named, &["gamma-chat"]).await;
    let sent = routes.sent();
    assert_eq!(
        sent["messages"],
        json!([{ "role": "system", "content": "Answer in rhymes." }, { "role": "user", "content": "Say something." }])
    );
    assert_eq!(
        (&sent["temperature"], &sent["max_tokens"], &sent["model"]),
        (&json!(0.25), &json!(40), &json!("gamma-chat"))
    );
    assert_eq!(sent["tools"][0]["function"]["name"], "preset_tool");
    // Gamma knows neither top_k nor stop, and only the preset asks for them.
    assert!(sent.get("top_k").is_none() && sent.get("stop").is_none(), "{sent}");

    // Off: none of it.
    assert_eq!(routes.call(json!({ "model": "lab/chat", "provider": { "sort": "price" } })).await.1, ["alpha-chat"]);
    let sent = routes.sent();
    for name in ["temperature", "max_tokens", "tools"] {
        assert!(sent.get(name).is_none(), "{name} in {sent}");
    }
    assert_eq!(sent["messages"].as_array().map(Vec::len), Some(1));

    // The order, exactly; then the next model, without whom it ignores.
    routes.fails("gamma-chat");
    assert_eq!(routes.call(named.clone()).await.1, ["gamma-chat", "alpha-chat"]);
    routes.fails("alpha-chat");
    let (status, asked) = routes.call(named.clone()).await;
    assert_eq!((status, asked), (502, vec!["gamma-chat".to_owned(), "alpha-chat".to_owned()]), "beta is ignored");
    routes.works("gamma-chat");
    routes.works("alpha-chat");

    // The body of the call wins, field by field.
    let own = json!({ "model": "@preset/rhymes", "temperature": 0.5, "max_tokens": 9, "top_k": 3,
        "provider": { "order": ["alpha"] }, "tools": [
            { "type": "function", "function": { "name": "own_tool" } },
            { "type": "function", "function": { "name": "preset_tool", "description": "mine" } }],
        "messages": [{ "role": "system", "content": "Be kind." }, { "role": "user", "content": "Hi" }] });
    assert_eq!(routes.call(own).await.1, ["alpha-chat"]);
    let sent = routes.sent();
    assert_eq!((&sent["temperature"], &sent["max_tokens"]), (&json!(0.5), &json!(9)));
    assert_eq!(sent["top_k"], 3, "what the call asks for itself is passed on");
    let tools: Vec<&str> =
        sent["tools"].as_array().expect("tools").iter().filter_map(|tool| tool["function"]["name"].as_str()).collect();
    assert_eq!(tools, ["own_tool", "preset_tool"]);
    assert_eq!(sent["tools"][1]["function"]["description"], "mine");
    let said: Vec<&str> =
        sent["messages"].as_array().expect("messages").iter().filter_map(|one| one["content"].as_str()).collect();
    assert_eq!(said, ["Answer in rhymes.", "Be kind.", "Hi"]);
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preset_is_named_in_three_ways_and_listed_among_models() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    make(&mut ada, "Dear Ones", &[("models", "lab/chat"), ("order", "gamma"), ("description", "Only the dearest.")])
        .await;
    make(&mut ada, "No Model", &[("order", "beta"), ("slug", "any-model")]).await;
    let first = json!({ "model": "@preset/dear-ones" });
    until(&routes, &first, &["gamma-chat"]).await;
    for body in [
        json!({ "preset": "dear-ones" }),
        json!({ "preset": "@preset/dear-ones" }),
        json!({ "model": "lab/chat", "preset": "dear-ones" }),
        json!({ "model": "lab/chat@preset/dear-ones" }),
        json!({ "model": "lab/chat:floor@preset/dear-ones" }),
    ] {
        assert_eq!(routes.call(body.clone()).await, (200, vec!["gamma-chat".to_owned()]), "{body}");
    }
    assert_eq!(routes.call(json!({ "model": "lab/other@preset/dear-ones" })).await.1, ["beta-other"]);
    assert_eq!(routes.call(json!({ "model": "lab/chat@preset/any-model" })).await.1, ["beta-chat"]);
    let logged = routes.farebox.text("select string_agg(distinct model_asked, ' ' order by model_asked) from usage");
    let logged = logged.await;
    for asked in ["@preset/dear-ones", "lab/chat@preset/dear-ones", "lab/other@preset/dear-ones"] {
        assert!(logged.split(' ').any(|one| one == asked), "{asked} in {logged}");
    }
    for (body, status) in [
        (json!({ "model": "@preset/nothing" }), 404),
        (json!({ "model": "@preset/any-model" }), 400),
        (json!({ "model": "lab/chat@preset/dear-ones", "preset": "any-model" }), 400),
        (json!({ "models": ["lab/chat", "@preset/dear-ones"] }), 400),
    ] {
        let (told, asked) = routes.call(body.clone()).await;
        assert_eq!((told, asked.len()), (status, 0), "{body}");
    }

    // In the list of models for a key of the organization, before all others.
    let listed = routes.farebox.get(&routes.key, "/api/v1/models").await;
    let first = &listed["data"][0];
    assert_eq!((&first["id"], &first["name"]), (&json!("@preset/dear-ones"), &json!("Dear Ones")), "{first}");
    assert_eq!((&first["description"], &first["context_length"]), (&json!("Only the dearest."), &json!(32_000)));
    let ids = |listed: &Value| {
        let ids = listed["data"].as_array().expect("a list").iter().filter_map(|one| one["id"].as_str());
        ids.filter(|id| id.starts_with("@preset/")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ids(&listed), ["@preset/dear-ones"], "one without a model cannot be called alone");
    assert_eq!(ids(&routes.farebox.get(&routes.key, "/api/v1/models?q=dear").await), ["@preset/dear-ones"]);
    // A key that may not call its model does not see it.
    let limit = sqlx::query("update api_key set allowed_models = '{lab/other}' where org_id = $1");
    let org: farebox::base::ids::OrgId = routes.key.org.parse().expect("an id");
    limit.bind(org.0).execute(&routes.farebox.pool).await.expect("limited");
    let mut seen = ids(&routes.farebox.get(&routes.key, "/api/v1/models").await);
    for _ in 0..50 {
        if seen.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        seen = ids(&routes.farebox.get(&routes.key, "/api/v1/models").await);
    }
    assert_eq!(seen, [""; 0]);
    let strange = routes.farebox.key("eve@example.com", "5", &[]).await;
    for key in [&strange, &Key { text: "sk-wrong".into(), ..strange.clone() }] {
        assert_eq!(ids(&routes.farebox.get(key, "/api/v1/models").await), [""; 0], "nobody else's");
    }
    let (status, asked, _) = routes.told(&strange, json!({ "model": "@preset/dear-ones" })).await;
    assert_eq!((status, asked.len()), (404, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_bound_to_a_preset_gets_it_in_every_call() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let fields = [("models", "lab/chat"), ("order", "gamma"), ("temperature", "0.25"), ("system_prompt", "Bound.")];
    let id = make(&mut ada, "Bound", &fields).await;
    make(&mut ada, "Named", &[("order", "beta"), ("top_k", "3")]).await;
    let plain = json!({ "model": "lab/chat", "provider": { "sort": "price" } });
    routes.until_asked(&plain, &["alpha-chat"]).await;
    let bind = sqlx::query("update api_key set preset = 'bound' where preset is null");
    bind.execute(&routes.farebox.pool).await.expect("bound");
    routes.until_asked(&plain, &["gamma-chat"]).await;
    assert_eq!(
        (&routes.sent()["temperature"], &routes.sent()["messages"][0]["content"]),
        (&json!(0.25), &json!("Bound."))
    );
    // It names the model where the call does not; a named preset comes before it, field by field.
    assert_eq!(routes.call(json!({})).await, (200, vec!["gamma-chat".to_owned()]));
    routes.until_asked(&json!({ "model": "@preset/named" }), &["beta-chat"]).await;
    assert_eq!((&routes.sent()["top_k"], &routes.sent()["temperature"]), (&json!(3), &json!(0.25)));
    assert_eq!(routes.sent()["messages"][0]["content"], "Bound.");
    // The page of a call says what it got, also where the call did not say it.
    for (body, got) in
        [(plain.clone(), "bound"), (json!({ "preset": "named", "model": "lab/chat" }), "named, then bound")]
    {
        let (_, _, told) = routes.told(&routes.key, body).await;
        let page = ada.get(&format!("/activity/{}", told["id"].as_str().expect("an id"))).await.body;
        assert!(page.contains(&format!("<dt>Preset</dt><dd class=\"mono\">{got}</dd>")), "{got}: {page}");
    }
    // Whoever archives it hears first which keys it takes along.
    let asked = ada.submit(LIST, &format!("{LIST}/{id}/archive"), &[]).await;
    assert_eq!(asked.status, 200);
    assert!(asked.body.contains("One key is bound to it"), "{}", asked.body);
    assert_eq!(routes.call(plain.clone()).await.1, ["gamma-chat"], "nothing was done yet");
    // Without it the key's limits would be lost in silence.
    assert_eq!(ada.submit(LIST, &format!("{LIST}/{id}/archive"), &[("confirmed", "yes")]).await.status, 303);
    routes.until_asked(&plain, &[]).await;
    let (status, _, told) = routes.told(&routes.key, plain).await;
    assert!(
        status == 404 && told["error"]["message"].as_str().is_some_and(|text| text.contains("this key is bound to")),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_that_a_model_does_not_know_are_dropped_or_refused() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let id = make(&mut ada, "Narrow", &[("models", "lab/chat"), ("sort", "price"), ("seed", "7")]).await;
    let page = ada.get(&format!("{LIST}/{id}")).await.body;
    assert!(page.contains("lab/chat does not know seed: it is asked without."), "{page}");
    let named = json!({ "model": "@preset/narrow" });
    until(&routes, &named, &["alpha-chat"]).await;
    assert!(routes.sent().get("seed").is_none());
    let strict =
        [("name", "Narrow"), ("models", "lab/chat"), ("sort", "price"), ("seed", "7"), ("require_parameters", "yes")];
    assert_eq!(save(&mut ada, &id, "1", &strict).await.status, 303);
    until(&routes, &named, &[]).await;
    let (status, _, told) = routes.told(&routes.key, named.clone()).await;
    assert_eq!(
        (status, &told["error"]["metadata"]["left_out"]["alpha"]),
        (404, &json!("it does not know seed")),
        "{told}"
    );
    // What one of them knows goes there.
    let strict =
        [("name", "Narrow"), ("models", "lab/chat"), ("sort", "price"), ("top_k", "7"), ("require_parameters", "yes")];
    assert_eq!(save(&mut ada, &id, "2", &strict).await.status, 303);
    until(&routes, &named, &["beta-chat"]).await;
    assert_eq!(routes.sent()["top_k"], 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_costs_more_than_its_cap() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    make(&mut ada, "Cheap", &[("models", "lab/chat"), ("order", "alpha"), ("max_cost", "0.001")]).await;
    let named = |more: Value| {
        let mut body = json!({ "model": "@preset/cheap" });
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        body
    };
    until(&routes, &named(json!({})), &["alpha-chat"]).await;
    // A provider that writes on and on is told where to stop: a tenth of a cent pays for fewer than 500 tokens.
    let long = Behaviour::Ok { prompt: 10, completion: 4_000, text: "word ".repeat(4_000) };
    routes.upstream.behave("alpha-chat", long);
    let (status, _, told) = routes.told(&routes.key, named(json!({}))).await;
    let cap = routes.sent()["max_tokens"].as_u64().expect("a cap");
    assert!(status == 200 && (300..500).contains(&cap), "{cap}: {told}");
    assert!(told["usage"]["cost"].as_f64().is_some_and(|cost| cost <= 0.001), "{told}");
    // Off: the whole answer.
    let (_, _, told) =
        routes.told(&routes.key, json!({ "model": "lab/chat", "provider": { "order": ["alpha"] } })).await;
    assert_eq!(told["usage"]["completion_tokens"], 4_000, "{told}");
    // A length that could cost more is refused before anybody is asked; the lowest cap counts.
    let (status, asked, told) = routes.told(&routes.key, named(json!({ "max_tokens": 4_000 }))).await;
    assert_eq!(
        (status, asked.len(), &told["error"]["metadata"]["limit_source"]),
        (402, 0, &json!("max_cost")),
        "{told}"
    );
    assert_eq!(routes.call(named(json!({ "max_tokens": 100 }))).await.0, 200);
    assert_eq!(routes.call(named(json!({ "max_tokens": 100, "max_cost": 0.00001 }))).await.0, 402);
    assert_eq!(routes.call(named(json!({ "max_tokens": 4_000, "max_cost": 1 }))).await.0, 402);
    assert_eq!(routes.call(json!({ "model": "lab/chat", "max_cost": "0.0005", "max_tokens": 4_000 })).await.0, 402);
    routes.farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_kept_compared_and_gone_back_to() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let first = [("system_prompt", "Be brief.\nBe kind."), ("models", "lab/chat"), ("order", "alpha")];
    let id = make(&mut ada, "Letters", &first).await;
    let named = json!({ "model": "@preset/letters" });
    until(&routes, &named, &["alpha-chat"]).await;
    let second = [
        ("name", "Letters"),
        ("system_prompt", "Be brief.\nBe bold."),
        ("models", "lab/chat"),
        ("order", "gamma"),
        ("order", "alpha"),
    ];
    assert_eq!(save(&mut ada, &id, "1", &second).await.status, 303);
    until(&routes, &named, &["gamma-chat"]).await;
    // The same form again changes nothing.
    assert_eq!(save(&mut ada, &id, "1", &second).await.status, 303);
    let count = "select count(*)::text from preset_version";
    assert_eq!(routes.farebox.text(count).await, "2");
    // Somebody who had the old one open overwrites nothing without having been told.
    let third = [("name", "Letters"), ("system_prompt", "Be loud."), ("models", "lab/chat"), ("order", "beta")];
    let late = save(&mut ada, &id, "1", &third).await;
    assert_eq!(late.status, 422);
    assert!(
        late.body.contains("Version 2 was saved while you wrote.") && late.body.contains("Be loud."),
        "{}",
        late.body
    );
    assert_eq!(between(&late.body, "name=\"base\" value=\"", "\""), "2");
    assert_eq!(routes.farebox.text(count).await, "2");

    let versions = format!("{LIST}/{id}/versions");
    let page = ada.get(&versions).await.body;
    for shown in
        ["Provider: order", "gamma, alpha", "<li class=\"gone\">", "Be kind.", "<li class=\"new\">", "Be bold."]
    {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    let back = ada.submit(&versions, &versions, &[("version", "1")]).await;
    assert_eq!(back.status, 303, "{}", back.body);
    until(&routes, &named, &["alpha-chat"]).await;
    assert_eq!(routes.sent()["messages"][0]["content"], "Be brief.\nBe kind.");
    assert_eq!(ada.submit(&versions, &versions, &[("version", "9")]).await.status, 404);
    // From an older one on, the next is a new number.
    assert_eq!(save(&mut ada, &id, "1", &third).await.status, 303);
    until(&routes, &named, &["beta-chat"]).await;
    assert_eq!(routes.farebox.text("select version::text from preset").await, "3");

    // A copy is a preset of its own.
    let copy = ada.get(&format!("{LIST}/new?from={id}")).await.body;
    assert!(copy.contains("value=\"Letters copy\"") && copy.contains("Be loud."), "{copy}");

    // Archived: refused, and its slug stays taken; taken back: as before.
    assert_eq!(ada.submit(LIST, &format!("{LIST}/{id}/archive"), &[]).await.status, 303);
    until(&routes, &named, &[]).await;
    let (status, _, told) = routes.told(&routes.key, named.clone()).await;
    assert!(status == 404 && told["error"]["message"].as_str().is_some_and(|text| text.contains("archived")), "{told}");
    let taken = try_make(&mut ada, &PresetId::fresh().to_string(), "Letters", &[]).await;
    assert!(taken.status == 422 && taken.body.contains("Another preset has this slug."), "{}", taken.body);
    assert_eq!(ada.submit(LIST, &format!("{LIST}/{id}/restore"), &[]).await.status, 303);
    until(&routes, &named, &["beta-chat"]).await;
    let log = routes
        .farebox
        .text("select string_agg(action, ' ' order by seq) from audit_entry where action like 'preset.%'");
    assert_eq!(
        log.await,
        "preset.created preset.changed preset.rolled_back preset.changed preset.archived preset.restored"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_editor_works_without_scripts_and_says_what_is_wrong() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let draft = format!("{LIST}/draft");
    let mut look = async |fields: &[(&str, &str)]| {
        let page = ada.submit(&format!("{LIST}/new"), &draft, fields).await;
        assert_eq!(page.status, 200, "{}", page.body);
        page.body
    };
    let id = PresetId::fresh().to_string();
    let base = [("id", id.as_str()), ("name", "Draft"), ("models", "lab/chat"), ("models", "lab/other")];
    let with =
        |more: &[(&'static str, &'static str)]| base.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
    let place =
        |page: &str, model: &str| page.find(&format!("name=\"models\" value=\"{model}\"")).expect("it is there");
    let page = look(&with(&[("do", "models.up.lab/other")])).await;
    assert!(place(&page, "lab/other") < place(&page, "lab/chat"));
    let page = look(&with(&[("models_new", "lab/third"), ("do", "add")])).await;
    assert!(place(&page, "lab/other") < place(&page, "lab/third"), "an added one is the last");
    assert!(page.contains("There is no model lab/third here now."), "{page}");
    let page = look(&with(&[("do", "models.drop.lab/chat")])).await;
    assert!(!page.contains("name=\"models\" value=\"lab/chat\""));
    let page = look(&with(&[("temperature", "3"), ("order", "nobody"), ("do", "check")])).await;
    assert!(page.contains("Temperature must be a number from 0 to 2."), "{page}");
    let page = look(&with(&[("order", "nobody"), ("top_p", "0.5")])).await;
    assert!(page.contains("There is no provider nobody here now."), "{page}");
    assert!(page.contains("lab/chat does not know top_p: it is asked without."), "{page}");
    assert_eq!(routes.farebox.text("select count(*)::text from preset").await, "0", "nothing was saved");

    let id = PresetId::fresh().to_string();
    for (fields, said) in [
        (vec![("temperature", "3")], "must be a number from 0 to 2."),
        (vec![("max_cost", "free")], "must be an amount above zero"),
        (vec![("more", "{")], "is not JSON"),
        (vec![("more", r#"{"stop": ["\u0000"]}"#)], "cannot hold the character with the number zero"),
        (vec![("models", "gpt")], "is not the id of a model"),
        (vec![("slug", "No Slug")], "lower-case letters"),
    ] {
        let page = try_make(&mut ada, &id, "Draft", &fields).await;
        assert!(page.status == 422 && page.body.contains(said), "{said}: {}", page.body);
    }
    let page = try_make(&mut ada, &id, "日本語", &[]).await;
    let told = between(&page.body, "id=\"slug-error\"", "</p>");
    assert!(page.status == 422 && told.contains("The slug cannot be made of this name"), "{}", page.body);
    // The same form twice makes one.
    for _ in 0..2 {
        assert_eq!(try_make(&mut ada, &id, "日本語", &[("slug", "nihongo")]).await.status, 303);
    }
    assert_eq!(routes.farebox.text("select string_agg(slug, ' ') from preset").await, "nihongo");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prompt_may_be_as_long_as_is_said_in_every_script() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    // As forms are sent, these take nine and twelve bytes.
    for (slug, letter) in [("chinese", "字"), ("crabs", "🦀")] {
        let longest = letter.repeat(30_000);
        let fields = [("models", "lab/chat"), ("slug", slug), ("system_prompt", longest.as_str())];
        let id = make(&mut ada, slug, &fields).await;
        let all = [("id", id.as_str()), ("base", "1"), ("name", slug), ("system_prompt", longest.as_str())];
        let drawn = ada.submit(&format!("{LIST}/{id}"), &format!("{LIST}/draft"), &all).await;
        assert_eq!(drawn.status, 200, "{slug}");
        assert!(drawn.body.contains(&longest), "{slug}");
        let more = format!("{longest}{letter}");
        let page = save(&mut ada, &id, "1", &[("name", slug), ("system_prompt", &more)]).await;
        assert!(
            page.status == 422 && page.body.contains("can have 30000 characters at most"),
            "{slug}: {}",
            page.status
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trying_a_preset_is_a_real_call_with_ones_own_key() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let id =
        make(&mut ada, "Tried", &[("models", "lab/chat"), ("order", "beta"), ("system_prompt", "Be brief.")]).await;
    until(&routes, &json!({ "model": "@preset/tried" }), &["beta-chat"]).await;
    let path = format!("{LIST}/{id}/try");
    let page = ada.get(&path).await.body;
    assert!(page.contains(&format!("<option value=\"{}\"", routes.key.id)), "{page}");
    routes.upstream.forget();
    let page = ada.submit(&path, &path, &[("key", &routes.key.id), ("message", "Hello <b>you</b>")]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(
        page.body.contains("Hello from the fake upstream.") && page.body.contains("lab/chat at Lab beta"),
        "{}",
        page.body
    );
    assert_eq!(routes.sent()["messages"][1]["content"], "Hello <b>you</b>");
    let call = between(&page.body, "href=\"/activity/gen-", "\"");
    assert_eq!(ada.get(&format!("/activity/gen-{call}")).await.status, 200, "and it stands in the log");
    routes.fails("beta-chat");
    let failed = ada.submit(&path, &path, &[("key", &routes.key.id), ("message", "Again")]).await;
    assert_eq!(failed.status, 200, "it falls back: {}", failed.body);
    let strange = routes.farebox.key("eve@example.com", "5", &[]).await;
    assert_eq!(ada.submit(&path, &path, &[("key", &strange.id), ("message", "Hi")]).await.status, 404);
    assert_eq!(ada.submit(&path, &path, &[("key", &routes.key.id), ("message", " ")]).await.status, 422);
    routes.farebox.books_are_clean().await;
}

/// A key that manages others.
async fn manager(farebox: &Farebox) -> Key {
    let manager = farebox.key(crate::support::routes::EMAIL, "", &[]).await;
    sqlx::query("update api_key set kind = 'provisioning', can_manage = true, can_call = false where id = $1")
        .bind(manager.id.parse::<farebox::base::ids::KeyId>().expect("an id").0)
        .execute(&farebox.pool)
        .await
        .expect("done");
    manager
}

async fn write(farebox: &Farebox, key: &Key, path: &str, body: Value) -> (u16, Value) {
    let answer = farebox.post(key, path, &body).await;
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_read_presets_and_write_them_with_a_key_that_manages() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let manager = manager(farebox).await;
    let body = json!({ "model": "lab/chat", "temperature": 0.7, "stream": true, "provider": { "order": ["gamma"] },
        "messages": [{ "role": "system", "content": "You are a poet." }, { "role": "user", "content": "Hello!" }] });
    let path = "/api/v1/presets/poet/chat/completions";
    let (status, told) = write(farebox, &routes.key, path, body.clone()).await;
    assert_eq!((status, told["error"]["code"].as_u64()), (403, Some(403)), "{told}");
    let (status, told) = write(farebox, &manager, path, body.clone()).await;
    assert_eq!(status, 200, "{told}");
    let made = &told["data"];
    assert_eq!(
        (&made["slug"], &made["name"], &made["status"], &made["description"]),
        (&json!("poet"), &json!("poet"), &json!("active"), &Value::Null)
    );
    let version = &made["designated_version"];
    assert_eq!(
        (&version["version"], &version["system_prompt"], &version["config"]),
        (
            &json!(1),
            &json!("You are a poet."),
            &json!({ "model": "lab/chat", "provider": { "order": ["gamma"] }, "temperature": 0.7 })
        )
    );
    assert_eq!(made["designated_version_id"], version["id"]);
    assert_eq!(version["preset_id"], made["id"]);
    routes.until_asked(&json!({ "model": "@preset/poet" }), &["gamma-chat"]).await;

    // The same again is the same version; another is the next.
    let (_, again) = write(farebox, &manager, path, body).await;
    assert_eq!(again["data"]["designated_version"]["version"], 1);
    let messages = json!({ "model": "lab/chat", "max_tokens": 1024, "system": [{ "type": "text", "text": "Be brief." }],
        "messages": [{ "role": "user", "content": "Hello!" }] });
    let (status, next) = write(farebox, &manager, "/api/v1/presets/poet/messages", messages).await;
    assert_eq!((status, &next["data"]["designated_version"]["version"]), (200, &json!(2)), "{next}");
    assert_eq!(next["data"]["designated_version"]["config"], json!({ "model": "lab/chat", "max_tokens": 1024 }));
    assert_eq!(next["data"]["designated_version"]["system_prompt"], "Be brief.");
    let responses = json!({ "model": "lab/other", "instructions": "Sing.", "input": "Hello!" });
    let (status, other) = write(farebox, &manager, "/api/v1/presets/singer/responses", responses).await;
    assert_eq!((status, &other["data"]["designated_version"]["system_prompt"]), (200, &json!("Sing.")), "{other}");

    // Any key reads.
    let list = farebox.get(&routes.key, "/api/v1/presets").await;
    assert_eq!(
        (&list["total_count"], &list["data"][0]["slug"], &list["data"][1]["slug"]),
        (&json!(2), &json!("singer"), &json!("poet"))
    );
    assert!(list["data"][0].get("designated_version").is_none());
    let list = farebox.get(&routes.key, "/api/v1/presets?limit=1&offset=1").await;
    assert_eq!((list["data"].as_array().map(Vec::len), &list["data"][0]["slug"]), (Some(1), &json!("poet")));
    let one = farebox.get(&routes.key, "/api/v1/presets/poet").await;
    assert_eq!(one["data"], next["data"]);
    let versions = farebox.get(&routes.key, "/api/v1/presets/poet/versions").await;
    assert_eq!((&versions["total_count"], &versions["data"][1]), (&json!(2), version));
    let versions = farebox.get(&routes.key, "/api/v1/presets/poet/versions?offset=1&limit=1").await;
    assert_eq!((versions["data"].as_array().map(Vec::len), &versions["data"][0]["version"]), (Some(1), &json!(1)));
    assert_eq!(&farebox.get(&routes.key, "/api/v1/presets/poet/versions/1").await["data"], version);
    let strange = farebox.key("eve@example.com", "5", &[]).await;
    for path in ["/api/v1/presets/poet", "/api/v1/presets/poet/versions", "/api/v1/presets/poet/versions/1"] {
        assert_eq!(farebox.get(&strange, path).await["error"]["code"], 404, "{path}");
    }
    for path in [
        "/api/v1/presets/poet/versions/3",
        "/api/v1/presets/poet/versions/x",
        "/api/v1/presets/none",
        "/api/v1/presets/%00",
        "/api/v1/presets/%00/versions",
        "/api/v1/presets/po%00et/versions/1",
    ] {
        assert_eq!(farebox.get(&routes.key, path).await["error"]["code"], 404, "{path}");
    }
    assert_eq!(farebox.get(&strange, "/api/v1/presets").await["data"], json!([]));
    for (path, body) in [
        ("/api/v1/presets/Not-A-Slug/chat/completions", json!({ "model": "lab/chat" })),
        ("/api/v1/presets/poet/chat/completions", json!({ "model": "lab/chat", "temperature": 9 })),
        ("/api/v1/presets/poet/chat/completions", json!([])),
        ("/api/v1/presets/poet/chat/completions", json!({ "model": "lab/chat", "stop": ["\u{0}"] })),
        ("/api/v1/presets/poet/chat/completions", json!({ "provider": { "order": ["\u{0}"] } })),
    ] {
        let (status, told) = write(farebox, &manager, path, body).await;
        assert_eq!(status, 400, "{told}");
    }
    assert_eq!(farebox.text("select count(*)::text from preset_version").await, "3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preset_that_cannot_be_read_as_a_whole_is_refused_until_it_is_saved_again() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    let id = make(&mut ada, "Odd", &[("models", "lab/chat"), ("order", "gamma"), ("max_cost", "0.001")]).await;
    let named = json!({ "model": "@preset/odd" });
    until(&routes, &named, &["gamma-chat"]).await;
    // As a version before this one wrote it.
    let stored =
        json!({ "model": "lab/chat", "max_tokens": 0, "max_cost": "0.001", "provider": { "order": ["gamma"] } });
    sqlx::query("update preset_version set config = $1").bind(&stored).execute(&farebox.pool).await.expect("done");
    sqlx::query("update preset set updated_at = now()").execute(&farebox.pool).await.expect("done");
    until(&routes, &named, &[]).await;
    let (status, _, told) = routes.told(&routes.key, named.clone()).await;
    assert!(
        status == 404 && told["error"]["message"].as_str().is_some_and(|text| text.contains("cannot be read")),
        "{told}"
    );
    assert!(farebox.log().contains("a preset cannot be read"), "{}", farebox.log());
    let read = farebox.get(&routes.key, "/api/v1/presets/odd").await;
    assert_eq!(read["data"]["designated_version"]["config"], stored, "nothing of it is left out");
    let page = ada.get(&format!("{LIST}/{id}")).await.body;
    assert!(page.contains("This version cannot be read as a whole") && page.contains("value=\"0.001\""), "{page}");
    // What could be read, saved again, is a version that can be.
    let again = [("name", "Odd"), ("models", "lab/chat"), ("order", "gamma"), ("max_cost", "0.001")];
    assert_eq!(save(&mut ada, &id, "1", &again).await.status, 303);
    until(&routes, &named, &["gamma-chat"]).await;
    assert_eq!(farebox.text("select version::text from preset").await, "2");

    // Programs write no such thing.
    let manager = manager(farebox).await;
    for wrong in [json!(0), json!(1_000_000_001_u64), json!(-1), json!("40")] {
        let body = json!({ "model": "lab/chat", "max_completion_tokens": wrong, "max_cost": 0.001 });
        let (status, told) = write(farebox, &manager, "/api/v1/presets/poet/chat/completions", body).await;
        let message = told["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains("max_completion_tokens must be a whole number"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_bound_to_a_preset_does_not_write_that_one() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    make(&mut ada, "Bound", &[("models", "lab/chat"), ("max_cost", "0.001")]).await;
    let manager = manager(farebox).await;
    let bind = sqlx::query("update api_key set preset = 'bound' where kind = 'provisioning'");
    bind.execute(&farebox.pool).await.expect("bound");
    let body = json!({ "model": "lab/chat", "max_cost": 100 });
    for way in ["chat/completions", "messages", "responses"] {
        let (status, told) = write(farebox, &manager, &format!("/api/v1/presets/bound/{way}"), body.clone()).await;
        let message = told["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 403 && message.contains("bound to this preset"), "{way}: {told}");
    }
    assert_eq!(farebox.text("select max(version)::text from preset_version").await, "1");
    let (status, told) = write(farebox, &manager, "/api/v1/presets/another/chat/completions", body).await;
    assert_eq!(status, 200, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_change_the_name_do_not_overwrite_each_other() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    let id = make(&mut ada, "Named", &[("models", "lab/chat")]).await;
    let path = format!("{LIST}/{id}");
    let opened = between(&ada.get(&path).await.body, "name=\"seen\" value=\"", "\"");
    let named = |name: &'static str, description: &'static str, seen: &str| {
        let mut fields = vec![("name", name.to_owned()), ("description", description.to_owned())];
        fields.extend([("models", "lab/chat".to_owned()), ("seen", seen.to_owned())]);
        fields
    };
    let mut save_as = async |fields: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        save(&mut ada, &id, "1", &fields).await
    };
    assert_eq!(save_as(named("First", "Of one.", &opened)).await.status, 303);
    // The same form again is done already.
    assert_eq!(save_as(named("First", "Of one.", &opened)).await.status, 303);
    let late = save_as(named("Second", "", &opened)).await;
    assert!(late.status == 422 && late.body.contains("it is called “First” now"), "{}", late.body);
    let stands = "select name || ': ' || description from preset";
    assert_eq!(farebox.text(stands).await, "First: Of one.");
    // Whoever was told may go on.
    let again = between(&late.body, "name=\"seen\" value=\"", "\"");
    assert_eq!(save_as(named("Second", "", &again)).await.status, 303);
    assert_eq!(farebox.text(stands).await, "Second: ");
    assert_eq!(farebox.text("select version::text from preset").await, "1", "a name alone makes no version");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_save_at_once_make_one_next_version() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    let id = make(&mut ada, "Contested", &[("models", "lab/chat")]).await;
    let path = format!("{LIST}/{id}");
    let token = ada.token(&path).await;
    let cookies = ada.cookies().to_vec();
    let saves = (0..6).map(|n| {
        let (token, path, cookies, id) = (token.clone(), path.clone(), cookies.clone(), id.clone());
        let farebox = &routes.farebox;
        async move {
            let mut browser = Visitor::with_cookies(farebox, &cookies);
            let prompt = format!("Prompt {n}");
            let fields = [
                ("id", id.as_str()),
                ("base", "1"),
                ("name", "Contested"),
                ("models", "lab/chat"),
                ("system_prompt", &prompt),
            ];
            browser.post(&token, &path, &fields).await.status
        }
    });
    let mut told = futures_util::future::join_all(saves).await;
    told.sort_unstable();
    assert_eq!(told, [303, 422, 422, 422, 422, 422], "one is saved, the others are told");
    assert_eq!(routes.farebox.text("select count(*)::text from preset_version").await, "2");
}

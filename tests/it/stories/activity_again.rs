//! A call in detail: the command that makes it again is true in every language, each try says its model, and texts are not
//! for an operator who looks.

use serde_json::{Value, json};

use super::activity_figures::after;
use super::privacy::{USUAL, says, set, stored};
use crate::console::{fill, operator};
use crate::support::routes::Routes;
use crate::support::visitor::{Visitor, between};
use crate::support::{Farebox, Key};

fn plain(html: &str) -> String {
    [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")]
        .iter()
        .fold(html.to_owned(), |text, (mark, letter)| text.replace(mark, letter))
}

/// Where the command of a page goes to, and with what, as a shell would read it.
fn command(page: &str) -> (String, Value) {
    let shown = plain(&between(page, "id=\"curl\" tabindex=\"0\">", "</pre>"));
    let url = between(&shown, "curl ", " \\");
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| format!("/{path}"));
    let body = shown.split_once("-d '").and_then(|(_, rest)| rest.strip_suffix('\'')).expect("a body");
    let body = serde_json::from_str(&body.replace("'\\''", "'")).unwrap_or_else(|error| panic!("{error}: {body}"));
    assert!(!shown.contains("sk-"), "the key stands nowhere: {shown}");
    (path.expect("a path"), body)
}

async fn made(farebox: &Farebox, key: &Key, path: &str, body: &Value) -> String {
    let answer = farebox.post(key, path, body).await;
    assert_eq!(answer.status(), 200, "{path} {body}");
    let id = answer.headers()["x-generation-id"].to_str().expect("text").to_owned();
    answer.bytes().await.expect("the answer");
    id
}

fn requests() -> [(&'static str, Value); 7] {
    let messages = json!([{ "role": "user", "content": "it's 5 o'clock" }]);
    [
        ("/api/v1/chat/completions", json!({ "model": "sandbox/echo", "messages": messages })),
        ("/api/v1/chat/completions", json!({ "model": "sandbox/echo", "messages": messages, "stream": true })),
        ("/api/v1/completions", json!({ "model": "sandbox/echo", "prompt": "it's 5 o'clock" })),
        ("/api/v1/responses", json!({ "model": "sandbox/echo", "input": "it's 5 o'clock" })),
        ("/api/v1/messages", json!({ "model": "sandbox/echo", "max_tokens": 50, "messages": messages })),
        ("/api/v1/embeddings", json!({ "model": "sandbox/embed", "input": "it's 5 o'clock" })),
        ("/api/v1/rerank", json!({ "model": "sandbox/rerank", "query": "it's", "documents": ["5", "o'clock"] })),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_makes_a_call_again_in_the_language_in_which_it_was_made() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    for (path, request) in requests() {
        let id = made(&farebox, &key, path, &request).await;
        farebox.holds_are_closed().await;
        let page = ada.get(&format!("/activity/{id}")).await.body;
        let (to, body) = command(&page);
        assert_eq!((to.as_str(), &body["model"]), (path, &request["model"]), "{page}");
        assert!(page.contains("The text is a placeholder."), "{page}");
        let streams = request["stream"] == true;
        assert_eq!(body.get("stream").is_some_and(|stream| stream == true), streams, "{body}");
        // It does what it says, and the page of what it made says the same.
        let again = made(&farebox, &key, &to, &body).await;
        farebox.holds_are_closed().await;
        assert_eq!(command(&ada.get(&format!("/activity/{again}")).await.body), (to, body));
    }
    // Refused before anybody was asked: the model still tells what it does.
    let poor = Visitor::member(&farebox, "bob@example.com", "correct horse battery").await;
    let mut bob = Visitor::with_cookies(&farebox, poor.cookies());
    let empty = farebox.key("bob@example.com", "", &[]).await;
    let (path, request) = &requests()[5];
    let answer = farebox.post(&empty, path, request).await;
    assert_eq!(answer.status(), 402);
    let id = answer.headers()["x-generation-id"].to_str().expect("text").to_owned();
    for _ in 0..100 {
        if bob.get(&format!("/activity/{id}")).await.status == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(&command(&bob.get(&format!("/activity/{id}")).await.body).0, path);

    // Where texts are stored, whoever may read them gets the command with them.
    set(&mut ada, &[USUAL, &[("log_texts", "yes")]].concat()).await;
    let mut kept = 0;
    for _ in 0..100 {
        made(&farebox, &key, requests()[0].0, &requests()[0].1).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        kept = farebox.text("select count(*)::text from call_text").await.parse().expect("a count");
        if kept > 0 {
            break;
        }
    }
    for (path, request) in requests() {
        let id = made(&farebox, &key, path, &request).await;
        kept += 1;
        stored(&farebox, kept).await;
        let page = ada.get(&format!("/activity/{id}")).await.body;
        let (to, body) = command(&page);
        assert!(page.contains("With what was asked, as it is stored"), "{page}");
        // What is stored is the call as it was routed, which is a chat for all that write.
        let ranks = path.ends_with("/embeddings") || path.ends_with("/rerank");
        assert_eq!(to, if ranks { path } else { "/api/v1/chat/completions" });
        assert!(body.to_string().contains("it's"), "{body}");
        made(&farebox, &key, &to, &body).await;
        kept += 1;
        stored(&farebox, kept).await;
    }
    // What is too long for a command is not pressed into one.
    let long = json!({ "model": "sandbox/free", "messages": [{ "role": "user", "content": "x".repeat(105_000) }], "max_tokens": 9 });
    let id = made(&farebox, &key, "/api/v1/chat/completions", &long).await;
    stored(&farebox, kept + 1).await;
    let page = ada.get(&format!("/activity/{id}")).await.body;
    assert!(page.contains("what was asked is too long for a command"), "{}", page.len());
    assert_eq!(command(&page).1["messages"][0]["content"], "Hello");
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_provider_tried_says_for_which_model() {
    let routes = Routes::start().await;
    let mut ada = routes.ada();
    for model in ["alpha-chat", "beta-chat", "gamma-chat"] {
        routes.fails(model);
    }
    let (status, _, told) = routes.told(&routes.key, json!({ "models": ["lab/chat", "lab/other"] })).await;
    assert_eq!(status, 200, "{told}");
    let id = told["id"].as_str().expect("an id");
    let page = ada.get(&format!("/activity/{id}")).await.body;
    let list = between(&page, "<ol class=\"timeline\">", "</ol>");
    let shown: Vec<(String, String)> = list
        .split("<li>")
        .skip(1)
        .map(|item| {
            (between(item, "<strong>", "</strong>"), between(item, "<div class=\"small muted mono\">", "</div>"))
        })
        .collect();
    let tried: Vec<(String, String)> = sqlx::query_as(
        "select a ->> 'provider', a ->> 'model' from usage, jsonb_array_elements(attempts) with ordinality t(a, n)
         where status = 'success' order by usage.id desc, n",
    )
    .fetch_all(&routes.farebox.pool)
    .await
    .expect("tries");
    assert_eq!(shown, tried);
    assert!(
        shown.len() > 1 && shown.iter().filter(|(_, model)| model == "lab/chat").count() + 1 == shown.len(),
        "{shown:?}"
    );
    assert_eq!(shown.last(), Some(&("beta".to_owned(), "lab/other".to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_who_looks_sees_what_was_called_and_not_what_was_said() {
    let routes = Routes::start().await;
    let farebox = &routes.farebox;
    let mut ada = routes.ada();
    set(&mut ada, &[USUAL, &[("log_texts", "yes")]].concat()).await;
    let secret = "the spare key hangs behind the third barrel";
    let mut told = Value::Null;
    for _ in 0..100 {
        told = routes.told(&routes.key, says(secret, false)).await.2;
        if told["usage"]["cost_details"].get("data_discount").is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    stored(farebox, 1).await;
    let id = told["id"].as_str().expect("an id");
    let call = format!("/activity/{id}");
    let page = ada.get(&call).await.body;
    assert!(page.contains("third barrel") && page.contains("Stored texts"), "{page}");
    assert!(command(&page).1.to_string().contains("third barrel"));

    let mut olive = operator(farebox, "olive@example.com").await;
    let here = format!("/admin/organizations/{}", routes.key.org);
    let looks = fill(&mut olive, &here, &format!("{here}/look"), &[("reason", "a question of theirs")]).await;
    assert_eq!(looks.status, 303, "{}", looks.body);
    let page = olive.get(&call).await;
    assert!(page.status == 200 && page.body.contains("as its owner sees it"), "{}", page.body);
    assert!(after(&page.body, "Hold and settlement").contains("Charged"), "the cost is there: {}", page.body);
    assert_eq!(command(&page.body).1["messages"][0]["content"], "Hello");
    let request = farebox.http.get(farebox.url(&call)).header("HX-Request", "true");
    let drawer = olive.send(request).await;
    assert_eq!(drawer.status, 200);
    let (csv, lines) =
        (olive.get("/activity/export?format=csv").await, olive.get("/activity/export?format=jsonl").await);
    assert!(csv.body.contains(id) && lines.body.contains(id), "{} {}", csv.status, lines.status);
    let console = olive.get(&format!("{here}/calls/{id}")).await;
    for page in [page, drawer, csv, lines, console, olive.get("/activity").await] {
        assert!(page.status == 200 && !page.body.contains("third barrel"), "{} {}", page.status, page.body);
        assert!(!page.body.contains("Stored texts"), "not even that they are there: {}", page.body);
    }
    assert!(!olive.get("/settings/privacy").await.body.contains("third barrel"));
    let token = olive.token("/credits").await;
    assert_eq!(olive.post(&token, "/admin/look/end", &[]).await.status, 303);
    assert_eq!(olive.get(&call).await.status, 404, "without looking it is nobody's of theirs");
    assert!(ada.get(&call).await.body.contains("third barrel"), "and nothing was lost");
}

//! Responses, with any provider.

use serde_json::{Value, json};

use super::{Call, events, is_booked, laboratory};
use crate::support::fake_upstream::{Behaviour, FakeUpstream};
use crate::support::{Farebox, lab};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_and_reasoning_come_as_items() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    let function =
        json!({ "type": "function", "name": "get_weather", "parameters": { "type": "object" }, "strict": false });
    upstream.behave("text", Behaviour::ToolCall);
    for streamed in [false, true] {
        let more =
            json!({ "tools": [function], "tool_choice": "required", "stream": streamed, "instructions": "be brief" });
        let answer = Call::Responses.send(&farebox, &key, "lab/text", more).await;
        let text = answer.text().await.expect("a body");
        let response = if streamed {
            events(&text).pop().expect("events").1["response"].clone()
        } else {
            serde_json::from_str(&text).expect("JSON")
        };
        let item = &response["output"][0];
        assert_eq!((&item["type"], &item["name"]), (&json!("function_call"), &json!("get_weather")), "{text}");
        assert_eq!(item["arguments"], "{\"city\":\"Zürich\"}", "{text}");
        assert_eq!(
            (&response["instructions"], &response["status"]),
            (&json!("be brief"), &json!("completed")),
            "{text}"
        );
        let sent = upstream.produced().pop().expect("it was asked").body;
        assert_eq!(sent["messages"][0], json!({"role":"system","content":"be brief"}));
        assert_eq!(sent["tools"][0]["function"]["name"], "get_weather");
        assert!(sent.get("instructions").is_none() && sent.get("input").is_none(), "{sent}");
    }
    let thought = Behaviour::Reasoning {
        prompt: 10,
        completion: 6,
        reasoning: 3,
        thought: "Hm, well.".into(),
        text: "Yes.".into(),
    };
    upstream.behave("text", thought);
    let answer = Call::Responses.send(&farebox, &key, "lab/text", json!({ "reasoning": { "effort": "low" } })).await;
    let response: Value = answer.json().await.expect("JSON");
    assert_eq!(response["output"][0]["content"][0], json!({"type":"reasoning_text","text":"Hm, well."}));
    assert_eq!(response["output_text"], "Yes.");
    assert_eq!(response["usage"]["output_tokens_details"]["reasoning_tokens"], 3);
    let sent = upstream.produced().pop().expect("it was asked").body;
    assert!(sent.get("reasoning_effort").is_none(), "the endpoint does not list it: {sent}");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_cut_is_incomplete_and_costs_what_was_written() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    for streamed in [false, true] {
        let more = json!({ "max_output_tokens": 3, "stream": streamed });
        let answer = Call::Responses.send(&farebox, &key, "lab/text", more).await;
        let text = answer.text().await.expect("a body");
        let response = if streamed {
            let (name, last) = events(&text).pop().expect("events");
            assert_eq!(name, "response.incomplete");
            last["response"].clone()
        } else {
            serde_json::from_str(&text).expect("JSON")
        };
        assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens", "{text}");
        assert_eq!(response["usage"]["output_tokens"], 3, "{text}");
        if !streamed {
            is_booked(&farebox, "lab/text", &response["usage"], "0.000016").await;
        }
    }
    assert_eq!(lab::rows(&farebox, "lab/text").await.len(), 2);
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_memory_or_runs_elsewhere_is_refused_before_it_costs() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    for (call, more, word) in [
        (Call::Responses, json!({ "previous_response_id": "resp_1" }), "previous_response_id"),
        (Call::Responses, json!({ "background": true }), "background"),
        (Call::Responses, json!({ "tools": [{ "type": "web_search" }] }), "web_search"),
        (Call::Messages, json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search" }] }), "web_search"),
        (Call::Messages, json!({ "mcp_servers": [{ "type": "url", "url": "https://a.example" }] }), "mcp_servers"),
        (Call::Completions, json!({ "suffix": "the end" }), "suffix"),
        (Call::Completions, json!({ "prompt": ["one", "two"] }), "prompt"),
        (Call::Embeddings, json!({ "input": [] }), "input"),
        (Call::Rerank, json!({ "documents": [] }), "documents"),
    ] {
        let answer = call.send(&farebox, &key, "sandbox/echo", more).await;
        assert_eq!(answer.status(), 400, "{call:?} {word}");
        let told = call.told(400, &answer.json().await.expect("JSON"));
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(farebox.text("select count(*)::text from usage").await, "0");
}

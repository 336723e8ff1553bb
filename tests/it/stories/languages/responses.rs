//! Responses, with any provider.

use serde_json::{Value, json};

use super::{Call, events, is_booked, laboratory};
use crate::support::fake_upstream::{Behaviour, FakeUpstream};
use crate::support::{Farebox, Key, lab};

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

/// What Codex sends with every call besides the conversation.
fn of_codex(tools: &Value, streamed: bool) -> Value {
    json!({ "tools": tools, "tool_choice": "auto", "parallel_tool_calls": true, "store": false, "stream": streamed,
        "reasoning": { "summary": "auto" }, "include": ["reasoning.encrypted_content"], "text": { "verbosity": "low" },
        "prompt_cache_key": "01a227b1", "client_metadata": { "turn_id": "01a227b1" } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codex_calls_its_tools_by_its_own_names() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    upstream.behave("text", Behaviour::ToolCall);
    let function =
        |name: &str| json!({ "type": "function", "name": name, "strict": false, "parameters": { "type": "object" } });
    let agents = json!({ "type": "namespace", "name": "agents", "description": "", "tools": [function("spawn")] });
    let exec = json!({ "type": "custom", "name": "exec", "description": "Runs code.",
        "format": { "type": "grammar", "syntax": "lark", "definition": "start: /.+/" } });
    let more =
        json!({ "type": "namespace", "name": "functions", "description": "", "tools": [exec, function("wait")] });
    let said =
        json!({ "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Fix hello.txt" }] });
    for streamed in [false, true] {
        // As models that Codex does not know are asked: the tools stand in the request, a search of the provider among them.
        let mut body = of_codex(&json!([agents, { "type": "web_search", "external_web_access": true }]), streamed);
        body["input"] = json!([said,
            { "type": "function_call", "call_id": "c1", "namespace": "agents", "name": "spawn", "arguments": "{}" },
            { "type": "function_call_output", "call_id": "c1", "output": "done" }]);
        let (item, response, kinds) = called(&farebox, &key, body).await;
        assert_eq!(
            (&item["type"], &item["namespace"], &item["name"], &item["arguments"]),
            (&json!("function_call"), &json!("agents"), &json!("spawn"), &json!("{\"city\":\"Zürich\"}"))
        );
        assert_eq!(response["tools"], json!([agents]), "what was left out is told");
        assert!(!streamed || kinds.iter().any(|kind| kind == "response.function_call_arguments.done"), "{kinds:?}");
        let sent = upstream.produced().pop().expect("it was asked").body;
        assert_eq!(sent["tools"].as_array().map(Vec::len), Some(1), "{sent}");
        assert_eq!(sent["tools"][0]["function"]["name"], "agents__spawn");
        assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["name"], "agents__spawn");
        for name in ["client_metadata", "include", "store", "text"] {
            assert!(sent.get(name).is_none(), "{name}: {sent}");
        }
        assert!(
            ["prompt_cache_key", "verbosity"].iter().all(|name| sent[name].is_string()),
            "the operator's own: {sent}"
        );

        // As models that it knows: the tools stand in the input, and one takes a text.
        let mut body = of_codex(&Value::Null, streamed);
        body["input"] = json!([{ "type": "additional_tools", "role": "developer", "tools": [more, agents] }, said,
            { "type": "custom_tool_call", "call_id": "c1", "namespace": "functions", "name": "exec", "input": "text(1)" },
            { "type": "custom_tool_call_output", "call_id": "c1", "output": [{ "type": "input_text", "text": "1" }] }]);
        let (item, _, kinds) = called(&farebox, &key, body).await;
        assert_eq!(
            (&item["type"], &item["namespace"], &item["name"], &item["input"]),
            (&json!("custom_tool_call"), &json!("functions"), &json!("exec"), &json!("{\"city\":\"Zürich\"}"))
        );
        assert!(!streamed || kinds.iter().any(|kind| kind == "response.custom_tool_call_input.done"), "{kinds:?}");
        let sent = upstream.produced().pop().expect("it was asked").body;
        let names: Vec<_> =
            sent["tools"].as_array().into_iter().flatten().map(|tool| &tool["function"]["name"]).collect();
        assert_eq!(names, ["exec", "wait", "agents__spawn"]);
        let call = &sent["messages"][1]["tool_calls"][0]["function"];
        assert_eq!((&call["name"], &call["arguments"]), (&json!("exec"), &json!("{\"input\":\"text(1)\"}")));
        assert_eq!(sent["messages"][2], json!({ "role": "tool", "tool_call_id": "c1", "content": "1" }));
    }
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

/// The first item of an answer, the whole of it, and the kinds of its events where it was streamed.
async fn called(farebox: &Farebox, key: &Key, body: Value) -> (Value, Value, Vec<String>) {
    let answer = Call::Responses.send(farebox, key, "lab/text", body).await;
    let text = answer.text().await.expect("a body");
    let mut seen = events(&text);
    let kinds = seen.iter().map(|(kind, _)| kind.clone()).collect();
    let response = match seen.pop() {
        Some((_, last)) => last["response"].clone(),
        None => serde_json::from_str(&text).expect("JSON"),
    };
    assert_eq!(response["status"], "completed", "{text}");
    (response["output"][0].clone(), response, kinds)
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

//! A call is answered, billed to the last digit, and found in the log.

use serde_json::{Value, json};

use crate::support::Farebox;

#[tokio::test]
async fn a_call_costs_what_its_tokens_cost() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let answer = farebox.chat(&key, "sandbox/echo", "hello there", json!({})).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["provider"].as_str().map(str::is_empty), Some(false), "{body}");
    let usage = &body["usage"];
    let (prompt, completion) = (usage["prompt_tokens"].as_i64(), usage["completion_tokens"].as_i64());
    // A dollar and two per million tokens.
    let expected = prompt.zip(completion).map(|(prompt, completion)| prompt + 2 * completion);
    let cost = usage["cost"].to_string().parse::<rust_decimal::Decimal>().expect("a number");
    assert_eq!(
        (cost * rust_decimal::Decimal::from(1_000_000)).normalize().to_string(),
        expected.map(|e| e.to_string()).unwrap_or_default()
    );

    let id = body["id"].as_str().expect("an id");
    let record = farebox.get(&key, &format!("/api/v1/generation?id={id}")).await;
    assert_eq!(record["data"]["usage"].to_string(), usage["cost"].to_string(), "{record}");
    let credits = farebox.get(&key, "/api/v1/credits").await;
    assert_eq!(credits["data"]["total_usage"].to_string(), usage["cost"].to_string(), "{credits}");
    farebox.books_are_clean().await;
}

#[tokio::test]
async fn a_stream_ends_with_its_usage_after_the_settlement() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let answer = farebox.chat(&key, "sandbox/echo", "hello there", json!({ "stream": true })).await;
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.expect("a stream");
    let events: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(events.last(), Some(&"[DONE]"), "{text}");
    let last: Value = serde_json::from_str(events[events.len() - 2]).expect("JSON");
    assert!(last["usage"]["cost"].is_number(), "{last}");
    for event in &events[..events.len() - 1] {
        let chunk: Value = serde_json::from_str(event).expect("JSON");
        for field in ["id", "object", "created", "model", "provider", "choices"] {
            assert!(!chunk[field].is_null(), "{field} is missing in {chunk}");
        }
    }
    farebox.books_are_clean().await;
}

#[tokio::test]
async fn a_call_is_found_by_the_request_id_of_its_answer() {
    let farebox = Farebox::start().await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    let poor = farebox.key("poor@example.com", "", &[]).await;
    for (key, own, status) in [(&key, None, 200), (&key, Some("mine"), 200), (&poor, Some("mine"), 402)] {
        let body = json!({ "model": "sandbox/echo", "messages": [{ "role": "user", "content": "hi" }] });
        let request = farebox.http.post(farebox.url("/api/v1/chat/completions")).bearer_auth(&key.text).json(&body);
        let request = own.into_iter().fold(request, |request, own| request.header("x-request-id", own));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status);
        let told = answer.headers()["x-request-id"].to_str().expect("text").to_owned();
        assert!(told.starts_with("req_"), "two clients may choose the same id, so theirs is not taken: {told}");
        answer.bytes().await.expect("a body");
        let mut stored = String::new();
        for _ in 0..100 {
            // A refused call is logged after it was answered.
            stored = farebox.text("select (select request_id from usage order by id desc limit 1)").await;
            if stored == told {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(stored, told);
    }
}

#[tokio::test]
async fn strangers_get_one_sentence() {
    let farebox = Farebox::start().await;
    let mut key = farebox.key("ada@example.com", "1", &[]).await;
    let good = key.text.clone();
    let mut answers = Vec::new();
    for text in ["", "sk-fb-v1-nonsense", "' or 1=1 --", &good.replace(&good[20..22], "zz")] {
        key.text = text.to_owned();
        let answer = farebox.chat(&key, "sandbox/echo", "hi", json!({})).await;
        assert_eq!(answer.status(), 401, "{text}");
        answers.push(answer.json::<Value>().await.expect("JSON")["error"]["message"].to_string());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

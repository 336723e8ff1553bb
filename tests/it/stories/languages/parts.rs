//! Images and sound have prices of their own.

use serde_json::{Value, json};

use super::{Call, is_billed, is_booked, laboratory};
use crate::support::fake_upstream::{Behaviour, FakeUpstream};
use crate::support::{Farebox, Key, lab};

fn picture() -> Value {
    json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0KGgo=" } })
}

fn sound() -> Value {
    json!({ "type": "input_audio", "input_audio": { "data": "UklGRg==", "format": "wav" } })
}

async fn chat(farebox: &Farebox, key: &Key, content: Value, more: Value) -> reqwest::Response {
    let mut body =
        json!({ "model": "lab/media", "max_tokens": 50, "messages": [{ "role": "user", "content": content }] });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    farebox.post(key, "/api/v1/chat/completions", &body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_image_is_paid_for_in_every_language() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    upstream.behave("media", Behaviour::Ok { prompt: 1_000, completion: 50, text: "Two pictures.".into() });
    let answer = chat(&farebox, &key, json!([picture(), picture()]), json!({})).await;
    let body: Value = answer.json().await.expect("JSON");
    // Two cents for the images, and the tokens.
    is_booked(&farebox, "lab/media", &body["usage"], "0.0211").await;
    is_billed(&farebox, "lab/media", &[("Input tokens", 1_000), ("Output tokens", 50), ("Images", 2)]).await;
    let block =
        json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=" } });
    let turns = json!([{ "role": "user", "content": [block] }]);
    let answer = Call::Messages.send(&farebox, &key, "lab/media", json!({ "messages": turns })).await;
    assert_eq!(answer.json::<Value>().await.expect("JSON")["usage"]["cost"].to_string(), "0.0111");
    let part = json!({ "type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=" });
    let input = json!([{ "role": "user", "content": [part] }]);
    let answer = Call::Responses.send(&farebox, &key, "lab/media", json!({ "input": input })).await;
    assert_eq!(answer.json::<Value>().await.expect("JSON")["usage"]["cost"].to_string(), "0.0111");
    for one in upstream.produced() {
        assert_eq!(one.body["messages"][0]["content"][0]["type"], "image_url", "{}", one.body);
    }
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_is_paid_for_as_sound_and_held_for_before() {
    let upstream = FakeUpstream::start();
    let (farebox, key) = laboratory(&upstream).await;
    upstream.behave("media", Behaviour::Spoken { prompt: 300, heard: 200, completion: 40, spoken: 30 });
    let more = json!({ "modalities": ["text", "audio"], "audio": { "voice": "alloy", "format": "wav" } });
    let answer = chat(&farebox, &key, json!([{ "type": "text", "text": "Who is it?" }, sound()]), more).await;
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.expect("JSON");
    // 100 + 200 x 10 of the prompt, 10 x 2 + 30 x 20 of the answer, in millionths.
    is_booked(&farebox, "lab/media", &body["usage"], "0.00272").await;
    let lines =
        [("Input tokens", 100), ("Audio input tokens", 200), ("Output tokens", 10), ("Audio output tokens", 30)];
    is_billed(&farebox, "lab/media", &lines).await;
    let row = lab::row(&farebox, "lab/media").await;
    assert_eq!(row.overrun, "0.000000000000", "the hold was enough: {row:?}");

    // What could be that dear is held for: six cents do not pay for sound, and pay for text.
    let poor = farebox.key("poor@example.com", "0.06", &[]).await;
    let refused = chat(&farebox, &poor, json!([sound()]), json!({})).await;
    assert_eq!(refused.status(), 402, "{}", refused.text().await.unwrap_or_default());
    upstream.behave("media", Behaviour::default());
    assert_eq!(chat(&farebox, &poor, json!("Who is it?"), json!({})).await.status(), 200);
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

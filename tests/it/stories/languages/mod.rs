//! The other languages of the API: whoever speaks them gets what a chat completion gets, is billed the same, and is told of
//! limits and errors in their own words.

mod elsewhere;
mod limits;
mod listed;
mod messages;
mod parts;
mod responses;
mod search;
mod shapes;
mod streams;

use std::fmt::Write as _;

use farebox::activity::{self, BillLine};
use farebox::base::Usd;
use farebox::base::ids::{CallId, OrgId};
use serde_json::{Value, json};

use crate::support::fake_upstream::FakeUpstream;
use crate::support::{Farebox, Key, Options, lab};

/// What is called, and how a model of it is named in the catalog below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Completions,
    Responses,
    Messages,
    Embeddings,
    Rerank,
}

impl Call {
    pub const ALL: [Call; 5] = [Call::Completions, Call::Responses, Call::Messages, Call::Embeddings, Call::Rerank];
    /// Those that can stream.
    pub const WRITTEN: [Call; 3] = [Call::Completions, Call::Responses, Call::Messages];

    pub fn path(self) -> &'static str {
        match self {
            Call::Completions => "/api/v1/completions",
            Call::Responses => "/api/v1/responses",
            Call::Messages => "/api/v1/messages",
            Call::Embeddings => "/api/v1/embeddings",
            Call::Rerank => "/api/v1/rerank",
        }
    }

    /// The model of the laboratory that can do it, at a provider of the kind `openai`.
    pub fn model(self) -> &'static str {
        match self {
            Call::Completions | Call::Responses | Call::Messages => "lab/text",
            Call::Embeddings => "lab/vectors",
            Call::Rerank => "lab/ranks",
        }
    }

    /// The smallest request; `more` is merged into it.
    pub fn body(self, model: &str, more: Value) -> Value {
        let mut body = match self {
            Call::Completions => json!({ "model": model, "prompt": "hello there" }),
            Call::Responses => json!({ "model": model, "input": "hello there" }),
            Call::Messages => {
                json!({ "model": model, "max_tokens": 100, "messages": [{ "role": "user", "content": "hello there" }] })
            }
            Call::Embeddings => json!({ "model": model, "input": ["hello there", "you"] }),
            Call::Rerank => json!({ "model": model, "query": "who", "documents": ["nobody", "somebody"] }),
        };
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        body
    }

    pub async fn send(self, farebox: &Farebox, key: &Key, model: &str, more: Value) -> reqwest::Response {
        farebox.post(key, self.path(), &self.body(model, more)).await
    }

    /// The message of an error, which must have the shape of this language.
    pub fn told(self, status: u16, body: &Value) -> String {
        let error = &body["error"];
        if self == Call::Messages {
            assert_eq!(body["type"], "error", "{body}");
            assert!(error["type"].is_string() && body.get("request_id").is_some(), "{body}");
        } else {
            assert_eq!(error["code"], status, "{body}");
            assert!(error["metadata"]["error_type"].is_string(), "{body}");
        }
        error["message"].as_str().expect("a message").to_owned()
    }
}

/// Models at fake providers. Text costs a dollar per million tokens of the prompt and two of the answer, as in the usual
/// laboratory; vectors a dollar; ranks a tenth of a cent for each unit. `lab/claude` is at a provider of the kind
/// `anthropic`. `lab/media` takes images and sound: a cent for each image, ten dollars per million tokens of sound that is
/// sent and twenty of sound that is answered.
pub fn catalog(upstream: &FakeUpstream, cancel_stops_billing: bool) -> String {
    let mut text = String::new();
    for (slug, kind) in [("alpha", "openai"), ("claude", "anthropic")] {
        let _ = write!(
            text,
            "[[providers]]\nslug = \"{slug}\"\nname = \"Lab {slug}\"\nkind = \"{kind}\"\nbase_url = \"{}\"\n\
             cancel_stops_billing = {cancel_stops_billing}\ntrains_on_inputs = false\nretains_logs = false\n\n",
            upstream.base_url()
        );
    }
    let text_price = "prompt = \"1\", completion = \"2\"";
    let media = "prompt = \"1\", completion = \"2\", image = \"0.01\", audio = \"10\", audio_output = \"20\"";
    for (model, provider, takes, gives, price) in [
        ("lab/text", "alpha", "\"text\"", "text", text_price),
        ("lab/claude", "claude", "\"text\", \"image\"", "text", text_price),
        ("lab/media", "alpha", "\"text\", \"image\", \"audio\"", "text", media),
        ("lab/vectors", "alpha", "\"text\"", "embeddings", "prompt = \"1\", completion = \"0\""),
        ("lab/ranks", "alpha", "\"text\"", "rerank", "prompt = \"0\", completion = \"0\", request = \"0.001\""),
    ] {
        let _ = write!(
            text,
            "[[models]]\nid = \"{model}\"\nname = \"{model}\"\ndescription = \"A model of the tests.\"\n\
             created = 1767225600\ncontext_length = 32000\nmax_output = 4096\ninput_modalities = [{takes}]\n\
             output_modalities = [\"{gives}\"]\ntokenizer = \"Other\"\nsupported_parameters = [\"max_tokens\", \"tools\"]\n\n\
             [[endpoints]]\nmodel = \"{model}\"\nprovider = \"{provider}\"\nupstream_model = \"{}\"\n\
             context_length = 32000\nmax_output = 4096\nsupported_parameters = [\"max_tokens\", \"tools\"]\n\
             price = {{ {price} }}\n\n",
            model.trim_start_matches("lab/"),
        );
    }
    text
}

pub async fn laboratory(upstream: &FakeUpstream) -> (Farebox, Key) {
    let farebox = lab::start(&catalog(upstream, true), Options::default()).await;
    let key = farebox.key("ada@example.com", "10", &[]).await;
    (farebox, key)
}

/// The JSON of every event with its name; `[DONE]` and comments are left out.
pub fn events(text: &str) -> Vec<(String, Value)> {
    let mut name = String::new();
    let mut out = Vec::new();
    for line in text.lines() {
        if let Some(named) = line.strip_prefix("event: ") {
            named.clone_into(&mut name);
        } else if let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") {
            out.push((std::mem::take(&mut name), serde_json::from_str(data).expect("JSON")));
        }
    }
    out
}

/// The usage that an answer tells, whole or streamed.
pub fn usage(call: Call, events: &[(String, Value)]) -> Value {
    let (_, last) = events
        .iter()
        .rev()
        .find(|(_, event)| event["usage"]["cost"].is_number() || event["response"]["usage"]["cost"].is_number())
        .unwrap_or_else(|| panic!("{call:?} tells no cost: {events:?}"));
    if last["usage"].is_object() { last["usage"].clone() } else { last["response"]["usage"].clone() }
}

/// The amount of the books is what the client was told, and the books are clean.
/// The bill of the last call of a model has these lines, each with its quantity, and no other one.
pub async fn is_billed(farebox: &Farebox, model: &str, expected: &[(&str, u64)]) {
    let (org, call): (uuid::Uuid, uuid::Uuid) =
        sqlx::query_as("select org_id, id from usage where model = $1 order by id desc limit 1")
            .bind(model)
            .fetch_one(&farebox.pool)
            .await
            .expect("a call");
    let mut conn = farebox.pool.acquire().await.expect("a connection");
    let detail = activity::detail(&mut conn, OrgId(org), CallId(call)).await.expect("a call").expect("it is there");
    let bill = detail.bill();
    let lines: Vec<(&str, u64)> = bill
        .iter()
        .map(|line| match line {
            BillLine::Priced(line) => (line.label, line.quantity),
            other => panic!("{other:?} in {bill:?}"),
        })
        .collect();
    assert_eq!(lines, expected);
    assert_eq!(bill.iter().map(BillLine::amount).sum::<Usd>(), detail.cost);
}

pub async fn is_booked(farebox: &Farebox, model: &str, told: &Value, expected: &str) {
    let row = lab::row(farebox, model).await;
    let cost: rust_decimal::Decimal = row.cost.parse().expect("an amount");
    let said: rust_decimal::Decimal = told["cost"].to_string().parse().expect("an amount");
    assert_eq!(cost, said, "the client is told what the books say: {row:?} {told}");
    assert_eq!(cost, expected.parse::<rust_decimal::Decimal>().expect("an amount"), "{row:?}");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

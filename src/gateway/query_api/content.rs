//! What was said in a call, where its organization stores that.

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::generation::visible;
use super::{GenerationQuery, QueryApi};
use crate::activity::Detail;
use crate::base::ids::CallId;
use crate::gateway::Attempt;
use crate::gateway::error::ApiError;
use crate::gateway::providers::{NO_ANSWER, NOT_REACHED, STOPPED, TOO_LONG};
use crate::keys::Caller;
use crate::keys::management::extract::AnyCaller;
use crate::orgs::{self, Permission};
use crate::privacy::{self, MAX_TEXT, Seen};
use crate::vault::{Vault, VaultError};
use crate::web::api::{ErrorBody, answered, private, to_bytes};

/// How a try is noted that took too long.
const SLOW: [&str; 4] = [NO_ANSWER, NOT_REACHED, STOPPED, TOO_LONG];

/// The answer of `GET /generation/content`.
#[derive(Serialize, ToSchema)]
pub struct ContentBody {
    pub data: Content,
}

/// What was said in a call.
#[derive(Serialize, ToSchema)]
pub struct Content {
    /// `messages`, or `prompt` where there were none or only their beginning is stored.
    #[schema(value_type = Object)]
    pub input: Value,
    pub output: Output,
    /// `null` for a call that succeeded.
    pub error: Option<Failure>,
    /// Only the beginning of the request is stored.
    pub input_cut: bool,
    /// Only the beginning of the answer is stored.
    pub output_cut: bool,
    /// When it is deleted.
    pub expires_at: DateTime<Utc>,
}

/// What was written. `null` where nothing was.
#[derive(Serialize, ToSchema, Default, PartialEq, Eq, Debug)]
pub struct Output {
    pub completion: Option<String>,
    pub reasoning: Option<String>,
}

/// How a call failed.
#[derive(Serialize, ToSchema)]
pub struct Failure {
    /// The HTTP status that the client got.
    pub status: i16,
    pub message: Option<String>,
    pub provider_name: Option<String>,
    /// Always `null`: what a provider wrote is not kept.
    pub raw: Option<String>,
    /// The tries before the last one.
    pub previous_errors: Vec<FailedTry>,
}

/// One try that failed.
#[derive(Serialize, ToSchema)]
pub struct FailedTry {
    /// The provider's HTTP status where that is one of an error, else 504 where it took too long, and 502.
    pub code: u16,
    pub message: String,
    pub provider_name: Option<String>,
    /// Always `null`.
    pub raw: Option<String>,
}

impl Content {
    fn of(detail: &Detail, seen: Seen) -> Content {
        let is_cut = |bytes: u64| bytes > u64::try_from(MAX_TEXT).unwrap_or(u64::MAX);
        Content {
            error: (detail.status != "success").then(|| Failure::of(detail)),
            input_cut: is_cut(seen.request_bytes),
            output_cut: is_cut(seen.response_bytes),
            expires_at: seen.expires_at,
            output: output(&seen.response),
            input: input(seen.request),
        }
    }
}

impl Failure {
    fn of(detail: &Detail) -> Failure {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let mut tries: Vec<Attempt> = serde_json::from_value(detail.attempts.clone()).unwrap_or_default();
        tries.pop();
        Failure {
            status: detail.http_status,
            message: some(&detail.error),
            provider_name: some(&detail.provider),
            raw: None,
            previous_errors: tries.iter().map(FailedTry::of).collect(),
        }
    }
}

impl FailedTry {
    fn of(one: &Attempt) -> FailedTry {
        let took_too_long = SLOW.iter().any(|words| one.error.contains(words));
        FailedTry {
            code: one.status.filter(|status| *status >= 400).unwrap_or(if took_too_long { 504 } else { 502 }),
            message: one.status.map_or("It did not answer.".to_owned(), |status| format!("It answered {status}.")),
            provider_name: Some(one.provider.clone()).filter(|name| !name.is_empty()),
            raw: None,
        }
    }
}

/// A request as it was routed.
fn input(request: String) -> Value {
    let parsed = serde_json::from_str::<Value>(&request).ok();
    let field = |name: &str| parsed.as_ref().and_then(|body| body.get(name)).filter(|value| !value.is_null());
    if let Some(messages) = field("messages").filter(|messages| messages.is_array()) {
        return json!({ "messages": messages });
    }
    // What vectors are made of, or the question of a ranking.
    match field("input").or_else(|| field("query")) {
        Some(Value::String(text)) => json!({ "prompt": text }),
        Some(other) => json!({ "prompt": other.to_string() }),
        None => json!({ "prompt": request }),
    }
}

/// What an answer says, whole or as a stream of events, in whichever language the client got it.
fn output(response: &str) -> Output {
    let mut said = Said::default();
    match serde_json::from_str::<Value>(response) {
        Ok(whole) => said.whole(&whole),
        Err(_) => {
            let mut events = response.lines().filter_map(|line| line.strip_prefix("data:")).peekable();
            if events.peek().is_none() {
                // The beginning of something longer: as it is.
                said.text.push_str(response);
            }
            let events = events.filter_map(|event| serde_json::from_str::<Value>(event.trim()).ok());
            events.for_each(|event| said.event(&event));
        }
    }
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    Output { completion: some(said.text), reasoning: some(said.thought) }
}

#[derive(Default)]
struct Said {
    text: String,
    thought: String,
}

impl Said {
    fn add(&mut self, text: Option<&Value>, thought: Option<&Value>) {
        self.text.push_str(text.and_then(Value::as_str).unwrap_or_default());
        self.thought.push_str(thought.and_then(Value::as_str).unwrap_or_default());
    }

    /// Parts of a message, or of one of the things that a response is made of.
    fn parts(&mut self, parts: Option<&Value>) {
        for part in parts.and_then(Value::as_array).into_iter().flatten() {
            match part.get("type").and_then(Value::as_str) {
                Some("text" | "output_text") => self.add(part.get("text"), None),
                Some("thinking") => self.add(None, part.get("thinking")),
                Some("summary_text" | "reasoning_text") => self.add(None, part.get("text")),
                Some("message") => self.parts(part.get("content")),
                Some("reasoning") => {
                    self.parts(part.get("summary"));
                    self.parts(part.get("content"));
                }
                _ => {}
            }
        }
    }

    fn whole(&mut self, answer: &Value) {
        if let Some(choice) = first_choice(answer) {
            let message = choice.get("message").unwrap_or(&Value::Null);
            self.add(message.get("content").or_else(|| choice.get("text")), message.get("reasoning"));
            self.parts(message.get("content"));
        }
        self.parts(answer.get("content"));
        self.parts(answer.get("output"));
    }

    fn event(&mut self, event: &Value) {
        if let Some(choice) = first_choice(event) {
            let delta = choice.get("delta").unwrap_or(&Value::Null);
            self.add(delta.get("content").or_else(|| choice.get("text")), delta.get("reasoning"));
        }
        let delta = event.get("delta");
        let of_delta = |name: &str| delta.and_then(|delta| delta.get(name));
        match event.get("type").and_then(Value::as_str) {
            Some("content_block_delta") => self.add(of_delta("text"), of_delta("thinking")),
            Some("response.output_text.delta") => self.add(delta, None),
            Some("response.reasoning_summary_text.delta" | "response.reasoning_text.delta") => self.add(None, delta),
            _ => {}
        }
    }
}

/// Of several answers to one prompt the first.
fn first_choice(answer: &Value) -> Option<&Value> {
    let choices = answer.get("choices")?.as_array()?;
    choices.iter().find(|choice| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0)
}

/// A key reads what was said with itself. One that manages keys reads what whoever made it reads on the page of a call: all
/// of it, if they may change the organization's settings.
async fn may_read(conn: &mut PgConnection, caller: &Caller, detail: &Detail) -> Result<bool, sqlx::Error> {
    if detail.key == caller.key {
        return Ok(true);
    }
    let Some(maker) = caller.created_by.filter(|_| caller.powers.manage) else { return Ok(false) };
    if detail.member == Some(maker) {
        return Ok(true);
    }
    let member = orgs::member_row(conn, caller.org, maker).await?;
    Ok(member.is_some_and(|member| member.role().may(Permission::ManageSettings)))
}

impl QueryApi {
    /// The stored texts of a call as JSON.
    ///
    /// # Errors
    /// 403 for a key that may not read them, 404 for a call that it does not see or of which nothing is stored, 503 while the
    /// database is away.
    async fn content(&self, caller: &Caller, vault: &Vault, id: &str) -> Result<Bytes, ApiError> {
        let id: CallId = id.parse().map_err(|_| ApiError::not_found())?;
        let mut conn = self.tenant(caller).await?;
        let detail = answered(visible(&mut conn, caller, id)).await?.ok_or_else(ApiError::not_found)?;
        if !answered(may_read(&mut conn, caller, &detail)).await? {
            let told = "What was said in this call is for the key that made it, and for keys that manage keys and whose \
                        maker may read it on the page of the call.";
            return Err(ApiError::forbidden(told));
        }
        let seen = privacy::read(&mut conn, vault, caller.org, id).await.map_err(|error| match error {
            VaultError::Database(error) => {
                tracing::warn!(%error, "the texts of a call could not be read");
                ApiError::unavailable()
            }
            error @ VaultError::Seal(_) => {
                tracing::error!(%error, "the stored texts of a call cannot be opened");
                ApiError::internal()
            }
        })?;
        let seen = seen.ok_or_else(|| ApiError::nothing("Nothing of what was said in this call is stored."))?;
        to_bytes(&ContentBody { data: Content::of(&detail, seen) })
    }
}

/// Tells what was said in a call, where the organization stores inputs and outputs. A key reads its own calls; a provisioning
/// key that may manage keys reads what its maker may read on the page of a call.
///
/// # Errors
/// 400 without an id, 401 without a valid key, 403 for what the key may not read, 404 for a call that the organization did
/// not make or of which nothing is stored, 503 while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/generation/content",
    tag = "Account",
    params(("id" = String, Query, description = "The id of the call, as in the answer and in `X-Generation-Id`")),
    responses(
        (status = 200, body = ContentBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn generation_content(
    api: web::Data<QueryApi>,
    vault: web::Data<Vault>,
    caller: AnyCaller,
    query: Result<web::Query<GenerationQuery>, actix_web::Error>,
) -> Result<HttpResponse, ApiError> {
    let query = query.map_err(|_| ApiError::invalid("The address must have an id."))?;
    Ok(private(api.content(caller.get(), &vault, &query.id).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_found_in_every_language() {
        let both = Output { completion: Some("Hello".into()), reasoning: Some("Hm".into()) };
        for response in [
            r#"{"choices":[{"index":0,"message":{"content":"Hello","reasoning":"Hm"}},{"index":1,"message":{"content":"x"}}]}"#,
            r#"{"type":"message","content":[{"type":"thinking","thinking":"Hm"},{"type":"text","text":"Hello"}]}"#,
            r#"{"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"Hm"}]},{"type":"message","content":[{"type":"output_text","text":"Hello"}]}]}"#,
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"Hm\"}}]}\n\n: still here\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\ndata: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"x\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"}}]}\n\ndata: [DONE]\n\n",
            "event: a\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"Hm\"}}\n\nevent: a\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
            "data: {\"type\":\"response.reasoning_summary_text.delta\",\"delta\":\"Hm\"}\n\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}\n\n",
        ] {
            assert_eq!(output(response), both, "{response}");
        }
        let plain = |text: &str| Output { completion: Some(text.into()), reasoning: None };
        assert_eq!(output(r#"{"choices":[{"index":0,"text":"Hello"}]}"#), plain("Hello"));
        assert_eq!(output("data: {\"choices\":[{\"index\":0,\"text\":\"Hello\"}]}\n\n"), plain("Hello"));
        assert_eq!(output(r#"{"choices":[{"index":0,"mess"#), plain(r#"{"choices":[{"index":0,"mess"#), "what was cut");
        assert_eq!(output(r#"{"data":[{"embedding":[1]}]}"#), Output::default());
    }

    #[test]
    fn a_try_that_failed_has_a_number_in_any_case() {
        let code = |status: Option<u16>, error: &str| {
            let one = json!({"provider":"p","model":"m","status":status,"error":error,"duration_ms":5});
            let one: Attempt = serde_json::from_value(one).expect("a try");
            FailedTry::of(&one).code
        };
        assert_eq!(code(Some(429), "the provider answered 429"), 429);
        for words in [
            "the provider did not answer in time",
            "the provider could not be reached in time",
            "the provider stopped answering",
            "the call took too long",
        ] {
            assert_eq!(code(None, words), 504, "{words}");
        }
        assert_eq!(code(None, "the provider could not be reached"), 502);
        assert_eq!(code(Some(200), "the provider's answer is no JSON object"), 502, "200 is no error");
    }

    #[test]
    fn what_was_asked_is_messages_or_a_prompt() {
        let asked = |text: &str| input(text.to_owned());
        assert_eq!(asked(r#"{"model":"a/b","messages":[{"role":"user"}]}"#), json!({"messages":[{"role":"user"}]}));
        assert_eq!(asked(r#"{"model":"a/b","input":"x"}"#), json!({"prompt":"x"}));
        assert_eq!(asked(r#"{"model":"a/b","input":["x"]}"#), json!({"prompt":"[\"x\"]"}));
        assert_eq!(asked(r#"{"model":"a/b","mess"#), json!({"prompt":"{\"model\":\"a/b\",\"mess"}));
    }
}

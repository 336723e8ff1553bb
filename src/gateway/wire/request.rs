//! What a client asks for: a typed view of what Farebox decides by, and the rest as it came.

use serde_json::{Map, Value};

use super::bound::{MAX_DEPTH, check_depth};
use crate::gateway::error::ApiError;
use crate::gateway::route::Preferences;

/// Bytes of a request body.
pub(crate) const MAX_BODY: usize = 20_000_000;
const MAX_MESSAGES: usize = 1_000;
/// Answers to one prompt.
const MAX_CHOICES: u64 = 16;
/// Models to fall back on, the first included.
const MAX_MODELS: usize = 16;

/// Fields that speak to the router. No upstream sees them.
const ROUTER_FIELDS: &[&str] = &[
    "model",
    "models",
    "provider",
    "route",
    "preset",
    "transforms",
    "plugins",
    "usage",
    "debug",
    "session_id",
    "trace",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "stop_server_tools_when",
    "image_config",
];

/// A chat completion as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    /// In the order in which they should be tried; at least one.
    pub models: Vec<String>,
    pub preferences: Preferences,
    pub stream: bool,
    /// The longest answer that the caller wants, in tokens.
    pub cap: Option<u64>,
    /// Answers asked for.
    pub choices: u64,
    /// Everything that the upstream should see, unknown fields included.
    pub body: Map<String, Value>,
}

impl ChatRequest {
    /// # Errors
    /// 400 for what is no chat request, 422 for what is beyond a limit.
    pub(crate) fn parse(bytes: &[u8]) -> Result<ChatRequest, ApiError> {
        if !check_depth(bytes) {
            return Err(ApiError::unprocessable(format!("The request nests deeper than {MAX_DEPTH} levels.")));
        }
        let body = serde_json::from_slice::<Value>(bytes);
        let Ok(Value::Object(body)) = body else {
            return Err(ApiError::invalid("The request body is not a JSON object."));
        };
        ChatRequest::from_map(body)
    }

    /// The same from a body that was read already, such as one that a preset was merged into.
    ///
    /// # Errors
    /// As for [`ChatRequest::parse`].
    pub(crate) fn from_map(mut body: Map<String, Value>) -> Result<ChatRequest, ApiError> {
        check_messages(&body)?;
        let models = models(&body)?;
        let preferences = Preferences::parse(body.get("provider"))?;
        let stream = flag(&body, "stream")?;
        let cap = match (count(&body, "max_tokens")?, count(&body, "max_completion_tokens")?) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let choices = count(&body, "n")?.unwrap_or(1);
        if choices > MAX_CHOICES {
            return Err(ApiError::unprocessable(format!("At most {MAX_CHOICES} choices can be asked for.")));
        }
        body.retain(|name, _| !ROUTER_FIELDS.contains(&name.as_str()));
        Ok(ChatRequest { models, preferences, stream, cap, choices, body })
    }

    /// The first model as it was asked for.
    pub(crate) fn model(&self) -> &str {
        self.models.first().map_or("", String::as_str)
    }
}

fn check_messages(body: &Map<String, Value>) -> Result<(), ApiError> {
    let Some(Value::Array(messages)) = body.get("messages") else {
        return Err(ApiError::invalid("messages is missing or is not an array."));
    };
    if messages.is_empty() {
        return Err(ApiError::invalid("messages is empty."));
    }
    if messages.len() > MAX_MESSAGES {
        return Err(ApiError::unprocessable(format!("More than {MAX_MESSAGES} messages were sent.")));
    }
    if messages.iter().any(|message| !message.is_object()) {
        return Err(ApiError::invalid("Each of messages must be an object."));
    }
    Ok(())
}

fn models(body: &Map<String, Value>) -> Result<Vec<String>, ApiError> {
    let mut models = Vec::new();
    match body.get("model") {
        None | Some(Value::Null) => {}
        Some(Value::String(model)) => models.push(model.trim().to_owned()),
        Some(_) => return Err(ApiError::invalid("model is not a string.")),
    }
    match body.get("models") {
        None | Some(Value::Null) => {}
        Some(Value::Array(more)) => {
            for model in more {
                let model = model.as_str().ok_or_else(|| ApiError::invalid("Each of models must be a string."))?.trim();
                if !models.iter().any(|known| known == model) {
                    models.push(model.to_owned());
                }
            }
        }
        Some(_) => return Err(ApiError::invalid("models is not an array.")),
    }
    models.retain(|model| !model.is_empty());
    if models.is_empty() {
        return Err(ApiError::invalid("model is missing."));
    }
    if models.len() > MAX_MODELS {
        return Err(ApiError::unprocessable(format!("At most {MAX_MODELS} models can be named.")));
    }
    Ok(models)
}

fn flag(body: &Map<String, Value>, name: &'static str) -> Result<bool, ApiError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(ApiError::invalid(format!("{name} is not true or false."))),
    }
}

/// A positive whole number; absent and null are the same. Some clients write `100.0`.
fn count(body: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, ApiError> {
    let wrong = || ApiError::invalid(format!("{name} is not a positive whole number."));
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let text = number.to_string();
            let value: u64 = text.strip_suffix(".0").unwrap_or(&text).parse().map_err(|_| wrong())?;
            if value == 0 { Err(wrong()) } else { Ok(Some(value)) }
        }
        Some(_) => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ChatRequest, u16> {
        ChatRequest::parse(text.as_bytes()).map_err(|error| error.status())
    }

    #[test]
    fn unknown_fields_pass_and_router_fields_do_not() {
        let request = parse(
            r#"{"model":"a/b","messages":[{"role":"user","content":"hi"}],"top_k":3,"future":{"x":1},
                "models":["a/b","c/d"],"provider":{"order":["x"]},"route":"fallback","stream":true,"max_tokens":7.0,
                "max_completion_tokens":5,"transforms":["middle-out"],"usage":{"include":true}}"#,
        )
        .expect("a request");
        assert_eq!(request.models, ["a/b", "c/d"]);
        assert_eq!((request.stream, request.cap), (true, Some(5)));
        let names: Vec<_> = request.body.keys().map(String::as_str).collect();
        assert_eq!(names, ["messages", "top_k", "future"]);
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_right_status() {
        for bad in [
            "",
            "[]",
            "{",
            "null",
            r#"{"model":"a/b"}"#,
            r#"{"model":"a/b","messages":[]}"#,
            r#"{"model":"a/b","messages":[1]}"#,
            r#"{"messages":[{}]}"#,
            r#"{"model":7,"messages":[{}]}"#,
            r#"{"model":"a/b","messages":[{}],"max_tokens":0}"#,
            r#"{"model":"a/b","messages":[{}],"max_tokens":-1}"#,
            r#"{"model":"a/b","messages":[{}],"stream":"yes"}"#,
            r#"{"model":"a/b","messages":[{}],"max_tokens":1.5}"#,
        ] {
            assert_eq!(parse(bad).err(), Some(400), "{bad}");
        }
        let many = vec!["{}"; MAX_MESSAGES + 1].join(",");
        assert_eq!(parse(&format!(r#"{{"model":"a/b","messages":[{many}]}}"#)).err(), Some(422));
        let deep = format!(r#"{{"model":"a/b","messages":{}{}}}"#, "[".repeat(70), "]".repeat(70));
        assert_eq!(parse(&deep).err(), Some(422));
    }
}

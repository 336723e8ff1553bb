//! What a client asks for: a typed view of what Farebox decides by, and the rest as it came.

use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Map, Value};

use super::bound::{MAX_DEPTH, check_depth};
use crate::base::Usd;
use crate::catalog::Task;
use crate::gateway::dialect::Kept;
use crate::gateway::error::ApiError;
use crate::routing::Preferences;

/// Bytes of a request body.
pub(crate) const MAX_BODY: usize = 20_000_000;
const MAX_MESSAGES: usize = 1_000;
/// Answers to one prompt.
const MAX_CHOICES: u64 = 16;
/// Dollars; far above what any call costs.
const MAX_COST: u32 = 1_000_000;
/// Models to fall back on, the first included.
const MAX_MODELS: usize = 16;
/// Characters of what the caller calls a conversation.
pub(crate) const MAX_SESSION: usize = 256;

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
    "max_cost",
    "stop_server_tools_when",
    "image_config",
];

/// A call as it was asked for, in the words of chat completions whatever the client speaks.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    pub task: Task,
    /// What the answer needs to know of the request's own shape.
    pub kept: Kept,
    /// The model as it was asked for, with the preset that was named beside it.
    pub asked: String,
    /// In the order in which they should be tried; none where a preset or the organization decides.
    pub models: Vec<String>,
    /// The slug of the preset that was named.
    pub preset: Option<String>,
    pub preferences: Preferences,
    /// What the call may cost at most.
    pub max_cost: Option<Usd>,
    /// What the caller calls the conversation.
    pub session: Option<String>,
    pub stream: bool,
    /// The longest answer that the caller wants, in tokens.
    pub cap: Option<u64>,
    /// Answers asked for.
    pub choices: u64,
    /// Everything that the upstream should see, unknown fields included.
    pub body: Map<String, Value>,
    /// Fields of the body that presets have added. Endpoints that do not know one are asked without it.
    pub added: Vec<String>,
}

impl ChatRequest {
    /// # Errors
    /// 400 for what is no chat request, 422 for what is beyond a limit.
    #[cfg(test)]
    pub(crate) fn parse(bytes: &[u8]) -> Result<ChatRequest, ApiError> {
        ChatRequest::from_map(object(bytes)?)
    }

    /// The same from a body that was read already, such as one that a preset was merged into.
    ///
    /// # Errors
    /// As for [`ChatRequest::parse`].
    pub(crate) fn from_map(body: Map<String, Value>) -> Result<ChatRequest, ApiError> {
        check_messages(&body)?;
        ChatRequest::of(body, Task::Answer)
    }

    /// The same for any task; what the task itself needs must have been checked.
    ///
    /// # Errors
    /// As for [`ChatRequest::parse`].
    pub(crate) fn of(mut body: Map<String, Value>, task: Task) -> Result<ChatRequest, ApiError> {
        let mut models = models(&body)?;
        let (asked, preset) = preset(&body, &mut models)?;
        let preferences = Preferences::parse(body.get("provider")).map_err(|bad| ApiError::invalid(bad.0))?;
        let max_cost = max_cost(&body)?;
        let session = session(&body)?;
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
        let (added, kept) = (Vec::new(), Kept::default());
        // Where nothing is written, nothing is streamed, and its length is none.
        let (stream, cap, choices) = if task == Task::Answer { (stream, cap, choices) } else { (false, Some(0), 1) };
        let request = ChatRequest {
            task,
            kept,
            asked,
            models,
            preset,
            preferences,
            max_cost,
            session,
            stream,
            cap,
            choices,
            body,
            added,
        };
        Ok(request)
    }

    /// The longest answer that the caller fixed, where there is one to be written.
    pub(crate) fn has_cap(&self) -> bool {
        self.cap.is_some() && self.task == Task::Answer
    }
}

/// The object in a body.
///
/// # Errors
/// 400 for what is none, 422 for what nests too deep.
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if !check_depth(bytes) {
        return Err(ApiError::unprocessable(format!("The request nests deeper than {MAX_DEPTH} levels.")));
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Object(body)) => Ok(body),
        _ => Err(ApiError::invalid("The request body is not a JSON object.")),
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
    if models.len() > MAX_MODELS {
        return Err(ApiError::unprocessable(format!("At most {MAX_MODELS} models can be named.")));
    }
    Ok(models)
}

/// Between a model and a preset, or before a preset alone.
const PRESET_MARK: &str = "@preset/";

/// How the model was asked for, and the preset that it or the field `preset` names; takes the preset out of the models.
fn preset(body: &Map<String, Value>, models: &mut Vec<String>) -> Result<(String, Option<String>), ApiError> {
    let named = match body.get("preset") {
        None | Some(Value::Null) => None,
        Some(Value::String(slug)) => Some(slug.trim().strip_prefix(PRESET_MARK).unwrap_or(slug.trim()).to_owned())
            .filter(|slug| !slug.is_empty()),
        Some(_) => return Err(ApiError::invalid("preset is not a string.")),
    };
    let asked = models.first().cloned().unwrap_or_default();
    let beside = asked.split_once(PRESET_MARK).map(|(model, slug)| (model.to_owned(), slug.to_owned()));
    if let Some((model, slug)) = beside {
        if named.as_ref().is_some_and(|named| *named != slug) {
            return Err(ApiError::invalid("model and preset name two presets; one call can have only one."));
        }
        if model.is_empty() {
            models.remove(0);
        } else if let Some(first) = models.first_mut() {
            *first = model;
        }
        return Ok((asked, Some(slug)));
    }
    if models.iter().any(|model| model.contains(PRESET_MARK)) {
        return Err(ApiError::invalid("A preset can be named in model or in preset, not in models."));
    }
    let asked = match &named {
        Some(slug) if asked.is_empty() => format!("{PRESET_MARK}{slug}"),
        _ => asked,
    };
    Ok((asked, named))
}

/// An amount of dollars above zero; absent and null are the same.
fn max_cost(body: &Map<String, Value>) -> Result<Option<Usd>, ApiError> {
    let wrong = || ApiError::invalid("max_cost is not an amount of dollars above zero.");
    let text = match body.get("max_cost") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(_) => return Err(wrong()),
    };
    let amount = text.parse().or_else(|_| Decimal::from_scientific(&text)).map_err(|_| wrong())?;
    // More digits than the books have would be less than nothing.
    let amount = amount.round_dp_with_strategy(12, RoundingStrategy::ToZero);
    if amount <= Decimal::ZERO || amount > Decimal::from(MAX_COST) { Err(wrong()) } else { Ok(Some(Usd::new(amount))) }
}

fn session(body: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    match body.get("session_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if id.chars().count() <= MAX_SESSION => {
            Ok(Some(id.clone()).filter(|id| !id.is_empty()))
        }
        Some(_) => Err(ApiError::invalid(format!("session_id is not a string of at most {MAX_SESSION} characters."))),
    }
}

pub(crate) fn flag(body: &Map<String, Value>, name: &'static str) -> Result<bool, ApiError> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(_) => Err(ApiError::invalid(format!("{name} is not true or false."))),
    }
}

/// A positive whole number; absent and null are the same. Some clients write `100.0`.
pub(crate) fn count(body: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, ApiError> {
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
            r#"{"model":"a/b@preset/x","preset":"y","messages":[{}]}"#,
            r#"{"models":["a/b","@preset/x"],"messages":[{}]}"#,
            r#"{"preset":7,"messages":[{}]}"#,
            r#"{"model":"a/b","messages":[{}],"max_cost":0}"#,
            r#"{"model":"a/b","messages":[{}],"max_cost":"much"}"#,
            r#"{"model":7,"messages":[{}]}"#,
            r#"{"model":"a/b","messages":[{}],"session_id":7}"#,
            r#"{"model":"a/b","messages":[{}],"provider":{"max_price":{"video":1}}}"#,
            r#"{"model":"a/b","messages":[{}],"provider":{"enforce_distillable_text":true}}"#,
            r#"{"model":"a/b","messages":[{}],"provider":{"options":{"openai":{"x":1}}}}"#,
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

    #[test]
    fn a_preset_is_named_in_three_ways() {
        let named = |text: &str| {
            let request = parse(text).expect("a request");
            (request.asked, request.models, request.preset)
        };
        let slug = || Some("copy-writer".to_owned());
        assert_eq!(
            named(r#"{"model":"@preset/copy-writer","messages":[{}]}"#),
            ("@preset/copy-writer".into(), vec![], slug())
        );
        assert_eq!(
            named(r#"{"model":"a/b:nitro@preset/copy-writer","messages":[{}]}"#),
            ("a/b:nitro@preset/copy-writer".into(), vec!["a/b:nitro".into()], slug())
        );
        for preset in ["copy-writer", "@preset/copy-writer"] {
            let text = format!(r#"{{"preset":"{preset}","messages":[{{}}]}}"#);
            assert_eq!(named(&text), ("@preset/copy-writer".into(), vec![], slug()));
        }
        assert_eq!(
            named(r#"{"model":"a/b","models":["c/d"],"preset":"copy-writer","messages":[{}]}"#),
            ("a/b".into(), vec!["a/b".into(), "c/d".into()], slug())
        );
        assert_eq!(named(r#"{"messages":[{}]}"#), (String::new(), vec![], None));
    }

    #[test]
    fn a_cap_on_the_cost_keeps_its_digits() {
        let cost = |text: &str| {
            parse(&format!(r#"{{"model":"a/b","messages":[{{}}],"max_cost":{text}}}"#))
                .map(|r| r.max_cost.map(Usd::exact))
        };
        assert_eq!(cost("0.02"), Ok(Some("0.02".into())));
        assert_eq!(cost("\"0.000123456789\""), Ok(Some("0.000123456789".into())));
        assert_eq!(cost("1e-4"), Ok(Some("0.0001".into())));
        assert_eq!(cost("null"), Ok(None));
        assert_eq!(cost("1e-13"), Err(400));
    }
}

//! Refusals in the form of Stripe's errors.

use serde_json::{Map, Value, json};

use super::objects::random_letters;

/// Why a request was refused: the status and the body of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    status: u16,
    fields: Map<String, Value>,
}

impl Refusal {
    pub(super) fn new(status: u16, kind: &str, message: impl Into<String>) -> Refusal {
        let mut fields = Map::new();
        fields.insert("message".to_owned(), Value::String(message.into()));
        let log = format!("https://dashboard.stripe.com/test/logs/req_{}", random_letters(14));
        fields.insert("request_log_url".to_owned(), Value::String(log));
        fields.insert("type".to_owned(), Value::String(kind.to_owned()));
        Refusal(Box::new(Parts { status, fields }))
    }

    /// The request itself is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new(400, "invalid_request_error", message)
    }

    pub(super) fn missing_parameter(name: &str) -> Refusal {
        Refusal::invalid(format!("The parameter {name} is required.")).code("parameter_missing").param(name)
    }

    /// There is no such object. In the path that is 404, in a parameter 400.
    pub(super) fn no_such(kind: &str, id: &str, param: Option<&str>) -> Refusal {
        let refusal = Refusal::new(
            if param.is_some() { 400 } else { 404 },
            "invalid_request_error",
            format!("No such {}: '{id}'", kind.replace(['.', '_'], " ")),
        );
        refusal.code("resource_missing").param(param.unwrap_or("id"))
    }

    /// The object is not in a state for this.
    pub(super) fn unexpected_state(intent: &Value, message: impl Into<String>) -> Refusal {
        let kind = intent["object"].as_str().unwrap_or("payment_intent").to_owned();
        let code = format!("{kind}_unexpected_state");
        Refusal::invalid(message).code(&code).with(&kind, intent.clone())
    }

    pub(super) fn code(self, code: &str) -> Refusal {
        let link = json!(format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")));
        self.with("code", json!(code)).with("doc_url", link)
    }

    pub(super) fn param(self, name: &str) -> Refusal {
        self.with("param", json!(name))
    }

    pub(super) fn with(mut self, field: &str, value: Value) -> Refusal {
        self.0.fields.insert(field.to_owned(), value);
        self
    }

    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    #[must_use]
    pub fn message(&self) -> &str {
        self.0.fields["message"].as_str().unwrap_or_default()
    }

    /// What tells programs the reason, such as `card_declined`; empty if there is nothing to tell.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0.fields.get("code").and_then(Value::as_str).unwrap_or_default()
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> Value {
        json!({ "error": self.0.fields })
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message(), self.status())
    }
}

impl std::error::Error for Refusal {}

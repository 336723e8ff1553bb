//! The shapes of chat completions for the API document. Requests and answers may have more fields than these.

use utoipa::ToSchema;

use crate::web::api::Object;

/// A chat completion to be made. Unknown fields are passed to the provider.
#[derive(ToSchema)]
pub struct ChatCompletionRequest {
    /// The id of a model, such as `sandbox/echo`; may end in `:free`, `:nitro` or `:floor`. May be left out where `models` has
    /// one.
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub model: String,
    /// Models to fall back on, in order.
    #[schema(max_items = 15)]
    pub models: Option<Vec<String>>,
    #[schema(min_items = 1, max_items = 1000)]
    pub messages: Vec<ChatMessage>,
    pub stream: Option<bool>,
    /// The longest answer, in tokens.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub max_tokens: Option<u64>,
    /// The newer name of `max_tokens`.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub max_completion_tokens: Option<u64>,
    pub tools: Option<Vec<Object>>,
    /// Which providers may answer, and in which order.
    pub provider: Option<ProviderPreferences>,
}

/// One message.
#[derive(ToSchema)]
pub struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// A text, or an array of parts.
    pub content: Option<serde_json::Value>,
}

/// Conditions on who answers.
#[derive(ToSchema)]
pub struct ProviderPreferences {
    pub order: Option<Vec<String>>,
    pub only: Option<Vec<String>>,
    pub ignore: Option<Vec<String>>,
    pub allow_fallbacks: Option<bool>,
    pub require_parameters: Option<bool>,
    pub data_collection: Option<DataCollection>,
    pub zdr: Option<bool>,
    pub quantizations: Option<Vec<String>>,
    pub sort: Option<SortBy>,
}

/// Whether providers may keep what is sent to them.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum DataCollection {
    Allow,
    Deny,
}

/// What the first provider is best in.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum SortBy {
    Price,
    Throughput,
    Latency,
}

/// An answer in one piece.
#[derive(ToSchema)]
pub struct ChatCompletion {
    pub id: String,
    pub object: String,
    pub created: i64,
    pub model: String,
    pub provider: String,
    pub choices: Vec<ChatChoice>,
    pub usage: ChatUsage,
}

/// One of the answers.
#[derive(ToSchema)]
pub struct ChatChoice {
    pub index: u32,
    pub message: ChatMessage,
    /// `stop`, `length`, `tool_calls`, `content_filter` or `error`.
    pub finish_reason: Option<String>,
}

/// What the call used and what was charged.
#[derive(ToSchema)]
pub struct ChatUsage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    /// US dollars.
    #[schema(value_type = f64)]
    pub cost: rust_decimal::Decimal,
    pub is_byok: bool,
}

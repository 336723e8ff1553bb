//! The shapes of the other languages for the API document. Requests and answers may have more fields than these.

use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Object as PlainObject, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::gateway::wire::schema::{ChatUsage, ProviderPreferences};
use crate::web::api::Object;

/// A text to be completed.
#[derive(ToSchema)]
pub struct CompletionRequest {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub model: String,
    #[schema(min_length = 1)]
    pub prompt: String,
    pub stream: Option<bool>,
    /// The longest answer, in tokens.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub max_tokens: Option<u64>,
    /// Whether the prompt stands before the answer.
    pub echo: Option<bool>,
    /// Models to fall back on, in order.
    #[schema(max_items = 15)]
    pub models: Option<Vec<String>>,
    pub provider: Option<ProviderPreferences>,
    /// The slug of a preset.
    pub preset: Option<String>,
    /// What tells one conversation from another. Also in the header `X-Session-Id`.
    #[schema(max_length = 256)]
    pub session_id: Option<String>,
    /// US dollars that the call may cost at most.
    #[schema(minimum = 0.000000000001, maximum = 1_000_000)]
    pub max_cost: Option<f64>,
}

/// A text that goes on.
#[derive(ToSchema)]
pub struct Completion {
    pub id: String,
    /// `text_completion`
    pub object: String,
    pub created: i64,
    pub model: String,
    pub provider: String,
    pub choices: Vec<CompletionChoice>,
    pub usage: ChatUsage,
}

#[derive(ToSchema)]
pub struct CompletionChoice {
    pub index: u32,
    pub text: String,
    /// `stop`, `length`, `content_filter` or `error`.
    pub finish_reason: Option<String>,
}

/// A text of at least one letter.
fn some_text() -> PlainObject {
    ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build()
}

/// A text or a list of texts.
pub struct Texts;

impl ToSchema for Texts {}

impl PartialSchema for Texts {
    fn schema() -> RefOr<Schema> {
        let list = ArrayBuilder::new().items(some_text()).min_items(Some(1)).max_items(Some(2_048));
        let said = "A text or a list of texts. Also tokens, a list of lists of tokens, or a list of objects with parts in `content`, \
            where the model takes them.";
        RefOr::T(Schema::AnyOf(AnyOfBuilder::new().item(some_text()).item(list).description(Some(said)).build()))
    }
}

/// Texts to make vectors of.
#[derive(ToSchema)]
pub struct EmbeddingsRequest {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub model: String,
    pub input: Texts,
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub dimensions: Option<u64>,
    pub encoding_format: Option<EncodingFormat>,
    /// Models to fall back on, in order.
    #[schema(max_items = 15)]
    pub models: Option<Vec<String>>,
    pub provider: Option<ProviderPreferences>,
    /// The slug of a preset.
    pub preset: Option<String>,
    /// What tells one conversation from another. Also in the header `X-Session-Id`.
    #[schema(max_length = 256)]
    pub session_id: Option<String>,
    /// US dollars that the call may cost at most.
    #[schema(minimum = 0.000000000001, maximum = 1_000_000)]
    pub max_cost: Option<f64>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum EncodingFormat {
    Float,
    Base64,
}

/// A vector for each text.
#[derive(ToSchema)]
pub struct Embeddings {
    pub id: String,
    /// `list`
    pub object: String,
    pub data: Vec<Embedding>,
    pub model: String,
    pub provider: String,
    pub usage: InputUsage,
}

#[derive(ToSchema)]
pub struct Embedding {
    /// `embedding`
    pub object: String,
    pub index: u32,
    /// Numbers, or their bytes as base64.
    pub embedding: serde_json::Value,
}

/// What a call used in which nothing was written, and what was charged.
#[derive(ToSchema)]
pub struct InputUsage {
    pub prompt_tokens: u64,
    pub total_tokens: u64,
    /// US dollars.
    #[schema(value_type = f64)]
    pub cost: rust_decimal::Decimal,
    pub is_byok: bool,
}

/// Documents to be put into order.
#[derive(ToSchema)]
pub struct RerankRequest {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub model: String,
    #[schema(min_length = 1)]
    pub query: String,
    /// Texts, or objects with `text` or `image`.
    #[schema(min_items = 1, max_items = 1000)]
    pub documents: Vec<String>,
    /// Only so many of the best.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub top_n: Option<u64>,
    /// Models to fall back on, in order.
    #[schema(max_items = 15)]
    pub models: Option<Vec<String>>,
    pub provider: Option<ProviderPreferences>,
    /// The slug of a preset.
    pub preset: Option<String>,
    /// What tells one conversation from another. Also in the header `X-Session-Id`.
    #[schema(max_length = 256)]
    pub session_id: Option<String>,
    /// US dollars that the call may cost at most.
    #[schema(minimum = 0.000000000001, maximum = 1_000_000)]
    pub max_cost: Option<f64>,
}

/// The documents that answer best, the best first.
#[derive(ToSchema)]
pub struct Ranking {
    pub id: String,
    pub model: String,
    pub provider: String,
    pub results: Vec<Ranked>,
    pub usage: RankingUsage,
}

#[derive(ToSchema)]
pub struct Ranked {
    /// Its place in the request.
    pub index: u32,
    pub relevance_score: f64,
    pub document: Object,
}

/// What a ranking used and what was charged.
#[derive(ToSchema)]
pub struct RankingUsage {
    pub search_units: u64,
    pub total_tokens: u64,
    /// US dollars.
    #[schema(value_type = f64)]
    pub cost: rust_decimal::Decimal,
    pub is_byok: bool,
}

/// Turns of a conversation.
fn turns(roles: &[&str]) -> utoipa::openapi::schema::Array {
    let turn = ObjectBuilder::new()
        .property("role", ObjectBuilder::new().schema_type(Type::String).enum_values(Some(roles.iter().copied())))
        .property("content", ObjectBuilder::new().schema_type(Type::String))
        .required("role")
        .required("content");
    ArrayBuilder::new().items(turn).min_items(Some(1)).max_items(Some(900)).build()
}

/// A text or turns.
pub struct ResponseInput;

impl ToSchema for ResponseInput {}

impl PartialSchema for ResponseInput {
    fn schema() -> RefOr<Schema> {
        let said = "A text, or a list of messages, calls of functions, their outputs, and reasoning. The content of a message may \
            also be a list of `input_text`, `input_image`, `input_file` and `input_audio`.";
        let turns = turns(&["user", "assistant", "system", "developer"]);
        RefOr::T(Schema::AnyOf(AnyOfBuilder::new().item(some_text()).item(turns).description(Some(said)).build()))
    }
}

/// A response to be made. Unknown fields are passed to the provider; nothing is stored.
#[derive(ToSchema)]
pub struct ResponseRequest {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub model: String,
    pub input: ResponseInput,
    pub instructions: Option<String>,
    pub stream: Option<bool>,
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub max_output_tokens: Option<u64>,
    /// Models to fall back on, in order.
    #[schema(max_items = 15)]
    pub models: Option<Vec<String>>,
    pub provider: Option<ProviderPreferences>,
    /// The slug of a preset.
    pub preset: Option<String>,
    /// What tells one conversation from another. Also in the header `X-Session-Id`.
    #[schema(max_length = 256)]
    pub session_id: Option<String>,
    /// US dollars that the call may cost at most.
    #[schema(minimum = 0.000000000001, maximum = 1_000_000)]
    pub max_cost: Option<f64>,
}

/// A response.
#[derive(ToSchema)]
pub struct ResponseBody {
    pub id: String,
    /// `response`
    pub object: String,
    /// Unix seconds.
    pub created_at: i64,
    pub model: String,
    pub provider: String,
    /// `completed`, `incomplete`, `failed` or `in_progress`.
    pub status: String,
    pub output: Vec<Object>,
    pub output_text: String,
    pub incomplete_details: Option<Object>,
    pub usage: ResponseUsage,
}

/// What a response used and what was charged.
#[derive(ToSchema)]
pub struct ResponseUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub total_tokens: u64,
    /// US dollars.
    #[schema(value_type = f64)]
    pub cost: rust_decimal::Decimal,
    pub is_byok: bool,
}

/// What a message answers.
pub struct MessageTurns;

impl ToSchema for MessageTurns {}

impl PartialSchema for MessageTurns {
    fn schema() -> RefOr<Schema> {
        let said = "Turns of the user and the model. Their content may also be a list of blocks: `text`, `image`, `document`, \
            `tool_use`, `tool_result` and `thinking`.";
        let mut turns = turns(&["user", "assistant"]);
        turns.description = Some(said.to_owned());
        turns.into()
    }
}

/// A message to be made. Fields that only Anthropic knows reach it where the model runs there.
#[derive(ToSchema)]
pub struct MessageRequest {
    #[schema(min_length = 1, max_length = 200, pattern = r"\S")]
    pub model: String,
    pub messages: MessageTurns,
    /// A text; blocks of text are taken as well.
    pub system: Option<String>,
    pub stream: Option<bool>,
    /// The longest answer, in tokens.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub max_tokens: Option<u64>,
    /// Models to fall back on, in order; `models` may be sent instead.
    #[schema(max_items = 3)]
    pub fallbacks: Option<Vec<FallbackModel>>,
    pub provider: Option<ProviderPreferences>,
    /// The slug of a preset.
    pub preset: Option<String>,
    /// What tells one conversation from another. Also in the header `X-Session-Id`.
    #[schema(max_length = 256)]
    pub session_id: Option<String>,
    /// US dollars that the call may cost at most.
    #[schema(minimum = 0.000000000001, maximum = 1_000_000)]
    pub max_cost: Option<f64>,
}

/// A model to fall back on.
#[derive(ToSchema)]
pub struct FallbackModel {
    pub model: String,
}

/// A message of the model.
#[derive(ToSchema)]
pub struct Message {
    pub id: String,
    /// `message`
    pub r#type: String,
    /// `assistant`
    pub role: String,
    pub model: String,
    pub provider: String,
    pub content: Vec<Object>,
    /// `end_turn`, `max_tokens`, `stop_sequence`, `tool_use` or `refusal`.
    pub stop_reason: Option<String>,
    pub stop_sequence: Option<String>,
    pub usage: MessageUsage,
}

/// What a message used and what was charged. Input leaves out what was read from or written to a cache.
#[derive(ToSchema)]
pub struct MessageUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_input_tokens: u64,
    pub cache_creation_input_tokens: u64,
    /// US dollars.
    #[schema(value_type = f64)]
    pub cost: rust_decimal::Decimal,
    pub is_byok: bool,
}

/// What a prompt would come to.
#[derive(serde::Serialize, ToSchema)]
pub struct TokenCount {
    pub input_tokens: u64,
}

/// An error in the words of the messages API.
#[derive(ToSchema)]
pub struct MessageErrorBody {
    /// `error`
    pub r#type: String,
    pub error: MessageError,
    pub metadata: Object,
    pub request_id: Option<String>,
}

#[derive(ToSchema)]
pub struct MessageError {
    /// `invalid_request_error`, `authentication_error`, `billing_error`, `permission_error`, `not_found_error`,
    /// `rate_limit_error`, `api_error`, `overloaded_error` or `timeout_error`.
    pub r#type: String,
    pub message: String,
    /// The same as `metadata.error_type` elsewhere.
    pub error_type: String,
}

//! The shapes of chat completions for the API document. Requests and answers may have more fields than these.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

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
    /// Answers to one prompt.
    #[schema(minimum = 1, maximum = 16)]
    pub n: Option<u64>,
    pub tools: Option<Vec<Object>>,
    pub tool_choice: Option<serde_json::Value>,
    pub response_format: Option<Object>,
    /// How hard to think: `effort`, `max_tokens`, `enabled`, `exclude`, as far as the model knows it.
    pub reasoning: Option<Object>,
    /// These and others go to the provider as they are.
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub repetition_penalty: Option<f64>,
    pub seed: Option<i64>,
    pub stop: Option<serde_json::Value>,
    /// Which providers may answer, and in which order.
    pub provider: Option<ProviderPreferences>,
    /// The slug of a preset, which may also stand in `model`: `@preset/slug` or `author/model@preset/slug`.
    pub preset: Option<String>,
    /// What tells one conversation from another, so that whoever has its beginning in a cache goes on with it. Also in the
    /// header `X-Session-Id`.
    #[schema(max_length = 256)]
    pub session_id: Option<String>,
    /// US dollars that the call may cost at most.
    #[schema(minimum = 0.000000000001, maximum = 1_000_000)]
    pub max_cost: Option<f64>,
}

/// One message.
#[derive(ToSchema)]
pub struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// A text, or an array of parts.
    pub content: Option<serde_json::Value>,
}

/// Conditions on who answers. `enforce_distillable_text: true` and `options` are refused, because they could not be obeyed.
#[derive(ToSchema)]
pub struct ProviderPreferences {
    /// Asked first, in this order. A provider by its slug, or `slug/fp8` for its endpoints of that quantization.
    #[schema(max_items = 200)]
    pub order: Option<Vec<String>>,
    #[schema(max_items = 200)]
    pub only: Option<Vec<String>>,
    #[schema(max_items = 200)]
    pub ignore: Option<Vec<String>>,
    /// `false`: exactly one try.
    pub allow_fallbacks: Option<bool>,
    /// Nobody who does not know every parameter of the call.
    pub require_parameters: Option<bool>,
    pub data_collection: Option<DataCollection>,
    /// Nobody who keeps what they are sent.
    pub zdr: Option<bool>,
    #[schema(max_items = 200)]
    pub quantizations: Option<Vec<String>>,
    pub sort: Option<Sorting>,
    pub max_price: Option<MaxPrices>,
    /// Tokens a second. Who is slower is asked later.
    pub preferred_min_throughput: Option<PreferredSpeed>,
    /// Seconds to the first token. Who takes longer is asked later.
    pub preferred_max_latency: Option<PreferredSpeed>,
}

/// Nobody who costs more.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxPrices {
    /// US dollars per million tokens of the prompt.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub prompt: Option<f64>,
    /// US dollars per million tokens of the answer.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub completion: Option<f64>,
    /// US dollars per call.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub request: Option<f64>,
    /// US dollars per image.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub image: Option<f64>,
    /// US dollars per million tokens of sound in the prompt.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub audio: Option<f64>,
}

/// A number that half of the answers reach, or one for each of several parts of them.
pub struct PreferredSpeed;

impl ToSchema for PreferredSpeed {}

impl PartialSchema for PreferredSpeed {
    fn schema() -> RefOr<Schema> {
        let number =
            || ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0_u32)).maximum(Some(1_000_000_u32));
        let parts = ["p50", "p75", "p90", "p99"]
            .into_iter()
            .fold(ObjectBuilder::new(), |parts, name| parts.property(name, number()));
        let parts =
            parts.min_properties(Some(1)).additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
        let said = "A number that at least half of the answers of the last five minutes reach, or an object: `p90` is reached by \
            nine of ten.";
        RefOr::T(Schema::AnyOf(AnyOfBuilder::new().item(number()).item(parts).description(Some(said)).build()))
    }
}

/// In which order endpoints are asked.
pub struct Sorting;

impl ToSchema for Sorting {}

impl PartialSchema for Sorting {
    fn schema() -> RefOr<Schema> {
        let words =
            |words: &[&str]| ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied()));
        let orders = || words(&["balanced", "price", "throughput", "latency", "exacto"]);
        let object = ObjectBuilder::new()
            .property("by", orders())
            .required("by")
            .property("partition", words(&["model", "none"]));
        let said = "What the first one is best in. `balanced` draws, each with a chance by the inverse square of its price; \
            `exacto` is another word for `throughput`. As an object with `partition: none` it counts across all named models.";
        RefOr::T(Schema::AnyOf(AnyOfBuilder::new().item(orders()).item(object).description(Some(said)).build()))
    }
}

/// Whether providers may keep what is sent to them.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum DataCollection {
    Allow,
    Deny,
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

//! An endpoint: one model at one provider, with the limits and the price that hold there.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::model::{check_parameters, check_tokens};
use super::provider::{enabled, is_enabled};
use super::{Flaw, ModelSlug, Price, ProviderSlug};

/// Identifies an endpoint in the database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, sqlx::Type)]
#[sqlx(transparent)]
pub struct EndpointId(pub Uuid);

/// What makes an endpoint the same endpoint from one file to the next.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EndpointKey {
    pub model: ModelSlug,
    pub provider: ProviderSlug,
    pub upstream_model: String,
}

impl fmt::Display for EndpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} as {}", self.model, self.provider, self.upstream_model)
    }
}

/// What the catalog says about an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    pub model: ModelSlug,
    pub provider: ProviderSlug,
    /// What the provider calls the model.
    pub upstream_model: String,
    /// The largest prompt that the provider takes, in tokens.
    pub context_length: u32,
    /// The longest answer that the provider gives, in tokens, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u32>,
    /// The most tokens that one image comes to, where known. Calls hold that much for each image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_tokens: Option<u32>,
    /// How the weights are stored, such as `fp8`, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// Request parameters that the provider understands for this model.
    pub supported_parameters: Vec<String>,
    /// The operator's switch.
    #[serde(default = "enabled", skip_serializing_if = "is_enabled")]
    pub enabled: bool,
    pub price: Price,
}

impl Endpoint {
    #[must_use]
    pub fn key(&self) -> EndpointKey {
        EndpointKey {
            model: self.model.clone(),
            provider: self.provider.clone(),
            upstream_model: self.upstream_model.clone(),
        }
    }

    /// The most tokens that an answer can have: the provider's maximum, or the whole context where it gives none.
    #[must_use]
    pub fn output_limit(&self) -> u32 {
        self.max_output.unwrap_or(self.context_length)
    }

    /// # Errors
    /// The first field that breaks a rule which spans fields or is not carried by a type.
    pub(super) fn check(&self) -> Result<(), Flaw> {
        let named = !self.upstream_model.trim().is_empty() && !self.upstream_model.contains(char::is_control);
        Flaw::unless(named, "upstream_model", "must not be empty or have control characters")?;
        check_tokens("context_length", Some(self.context_length))?;
        check_tokens("max_output", self.max_output)?;
        check_tokens("image_tokens", self.image_tokens)?;
        let quantization = self.quantization.as_deref();
        Flaw::unless(quantization.is_none_or(|name| !name.trim().is_empty()), "quantization", "must not be empty")?;
        check_parameters(&self.supported_parameters)
    }
}

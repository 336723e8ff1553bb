//! A model: what a caller names, and what is known about it wherever it runs.

use std::fmt;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use super::pricing::MAX_QUANTITY;
use super::provider::{enabled, is_enabled};
use super::{Flaw, ProviderSlug};

const MAX_SLUG: usize = 120;

/// `author/name`, the id of a model in requests.
///
/// A colon is not allowed in it: what follows a colon in a request is a variant, such as `:floor`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelSlug(String);

/// Why a text is not the id of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be author/name in lower-case letters, digits, '.', '_' and '-'")]
pub struct ParseModelSlugError;

impl ModelSlug {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the slash.
    #[must_use]
    pub fn author(&self) -> &str {
        self.0.split_once('/').map_or("", |(author, _)| author)
    }

    /// The part after the slash.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, name)| name)
    }
}

impl TryFrom<String> for ModelSlug {
    type Error = ParseModelSlugError;
    fn try_from(text: String) -> Result<Self, ParseModelSlugError> {
        let (author, name) = text.split_once('/').ok_or(ParseModelSlugError)?;
        // An author follows the rules of a provider, so that both are safe as one segment of a path.
        ProviderSlug::try_from(author.to_owned()).map_err(|_| ParseModelSlugError)?;
        let plain = name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'));
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !plain || !starts_well || text.len() > MAX_SLUG {
            return Err(ParseModelSlugError);
        }
        Ok(ModelSlug(text))
    }
}

impl From<ModelSlug> for String {
    fn from(slug: ModelSlug) -> String {
        slug.0
    }
}

impl fmt::Display for ModelSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModelSlug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a model can take in or give out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    Text,
    Image,
    File,
    Audio,
    Video,
    /// Vectors that stand for what was sent.
    Embeddings,
    /// Documents in the order in which they answer a question.
    Rerank,
}

impl Modality {
    pub const ALL: [Modality; 7] = [
        Modality::Text,
        Modality::Image,
        Modality::File,
        Modality::Audio,
        Modality::Video,
        Modality::Embeddings,
        Modality::Rerank,
    ];

    /// The word that the catalog file, the database and the API use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Modality::Text => "text",
            Modality::Image => "image",
            Modality::File => "file",
            Modality::Audio => "audio",
            Modality::Video => "video",
            Modality::Embeddings => "embeddings",
            Modality::Rerank => "rerank",
        }
    }

    /// `None` for a word that is none of them.
    #[must_use]
    pub fn parse(word: &str) -> Option<Modality> {
        Modality::ALL.into_iter().find(|modality| modality.as_str() == word)
    }
}

/// What a call wants of a model. A model does one of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Task {
    /// To go on with a conversation or a text.
    #[default]
    Answer,
    Embed,
    Rerank,
}

impl Task {
    /// The address for it, below `/api/v1`.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Task::Answer => "/chat/completions",
            Task::Embed => "/embeddings",
            Task::Rerank => "/rerank",
        }
    }
}

/// What the catalog says about a model. Every field that clients demand is always there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    #[serde(rename = "id")]
    pub slug: ModelSlug,
    /// Other ids under which the model is found. They are not listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<ModelSlug>,
    pub name: String,
    pub description: String,
    /// Unix seconds of its release, or of the day it joined the catalog where the release is not known.
    pub created: i64,
    /// The largest context that any endpoint offers, in tokens.
    pub context_length: u32,
    /// The longest answer that any endpoint gives, in tokens, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_output: Option<u32>,
    pub input_modalities: Vec<Modality>,
    pub output_modalities: Vec<Modality>,
    /// The tokenizer's family, such as `GPT` or `Claude`; `Other` where not known.
    pub tokenizer: String,
    /// Request parameters that at least one endpoint understands.
    pub supported_parameters: Vec<String>,
    /// The last day that its training data covers, where its maker says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge_cutoff: Option<NaiveDate>,
    /// The operator's switch.
    #[serde(default = "enabled", skip_serializing_if = "is_enabled")]
    pub enabled: bool,
}

impl Model {
    /// What it is for.
    #[must_use]
    pub fn task(&self) -> Task {
        if self.output_modalities.contains(&Modality::Embeddings) {
            Task::Embed
        } else if self.output_modalities.contains(&Modality::Rerank) {
            Task::Rerank
        } else {
            Task::Answer
        }
    }

    /// `text+image->text`, the arrow form that some clients read.
    #[must_use]
    pub fn modality(&self) -> String {
        let join = |list: &[Modality]| list.iter().map(|m| m.as_str()).collect::<Vec<_>>().join("+");
        format!("{}->{}", join(&self.input_modalities), join(&self.output_modalities))
    }

    /// # Errors
    /// The first field that breaks a rule which spans fields or is not carried by a type.
    pub(super) fn check(&self) -> Result<(), Flaw> {
        Flaw::unless(!self.name.trim().is_empty(), "name", "must not be empty")?;
        Flaw::unless(!self.description.trim().is_empty(), "description", "must not be empty")?;
        Flaw::unless(self.created > 0, "created", "must be Unix seconds")?;
        check_tokens("context_length", Some(self.context_length))?;
        check_tokens("max_output", self.max_output)?;
        Flaw::unless(!self.input_modalities.is_empty(), "input_modalities", "must not be empty")?;
        Flaw::unless(!self.output_modalities.is_empty(), "output_modalities", "must not be empty")?;
        let alone = |modality| !self.output_modalities.contains(&modality) || self.output_modalities.len() == 1;
        let one_task = alone(Modality::Embeddings) && alone(Modality::Rerank);
        Flaw::unless(one_task, "output_modalities", "must have embeddings or rerank alone")?;
        Flaw::unless(!self.tokenizer.trim().is_empty(), "tokenizer", "must not be empty")?;
        Flaw::unless(!self.aliases.contains(&self.slug), "aliases", "must not repeat the id")?;
        check_parameters(&self.supported_parameters)
    }
}

pub(super) fn check_tokens(field: &'static str, tokens: Option<u32>) -> Result<(), Flaw> {
    let plausible = |count: u32| count > 0 && u64::from(count) <= MAX_QUANTITY;
    Flaw::unless(tokens.is_none_or(plausible), field, "must be between 1 and 1,000,000,000 tokens")
}

pub(super) fn check_parameters(names: &[String]) -> Result<(), Flaw> {
    let plain = |name: &String| !name.is_empty() && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    Flaw::unless(names.iter().all(plain), "supported_parameters", "must be names of request parameters")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_author_slash_name_and_nothing_else() {
        let good = ModelSlug::try_from("openai/gpt-4.1".to_owned()).ok();
        assert_eq!(good.as_ref().map(ModelSlug::author), Some("openai"));
        assert_eq!(good.as_ref().map(ModelSlug::name), Some("gpt-4.1"));
        for bad in ["gpt", "a/b/c", "a/b:free", "A/b", "a/", "/b", "a/ b", "a/../b", "a/.."] {
            assert!(ModelSlug::try_from(bad.to_owned()).is_err(), "{bad:?} was read as an id");
        }
    }
}

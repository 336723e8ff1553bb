//! The catalog as a file: strict TOML, so that a misspelt field is an error and never a silent default.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Endpoint, Flaw, Model, Provider};

/// A larger file is a mistake.
pub const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;

/// The file that every Farebox carries with it.
const SHIPPED: &str = include_str!("../../catalog.toml");

/// What a catalog file declares. A file may name only a part of the catalog.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CatalogFile {
    pub providers: Vec<Provider>,
    pub models: Vec<Model>,
    pub endpoints: Vec<Endpoint>,
}

/// Why a text is not a catalog file. Each names the place.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("the file has {0} bytes, more than the {MAX_FILE_BYTES} that are read")]
    TooLarge(usize),
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    #[error("line {line}: {entry}: {flaw}")]
    Invalid { line: usize, entry: String, flaw: Flaw },
    #[error("line {line}: {entry} is written twice")]
    Duplicate { line: usize, entry: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    providers: Vec<Spanned<Provider>>,
    #[serde(default)]
    models: Vec<Spanned<Model>>,
    #[serde(default)]
    endpoints: Vec<Spanned<Endpoint>>,
}

impl CatalogFile {
    /// Reads a catalog file.
    ///
    /// # Errors
    /// When it is too large, is not TOML, has an unknown, missing or wrong field, or says a thing twice.
    pub fn parse(text: &str) -> Result<CatalogFile, FileError> {
        if text.len() > MAX_FILE_BYTES {
            return Err(FileError::TooLarge(text.len()));
        }
        let raw: RawFile = toml::from_str(text)?;
        Ok(CatalogFile {
            providers: checked(text, raw.providers, Provider::check, provider_entry)?,
            models: checked(text, raw.models, Model::check, model_entry)?,
            endpoints: checked(text, raw.endpoints, Endpoint::check, endpoint_entry)?,
        })
    }

    /// The first entry that breaks a rule which its types do not carry, and the rule.
    pub(super) fn check(&self) -> Result<(), (String, Flaw)> {
        let providers = self.providers.iter().map(|one| (provider_entry(one), one.check()));
        let models = self.models.iter().map(|one| (model_entry(one), one.check()));
        let endpoints = self.endpoints.iter().map(|one| (endpoint_entry(one), one.check()));
        let mut all = providers.chain(models).chain(endpoints);
        all.try_for_each(|(entry, checked)| checked.map_err(|flaw| (entry, flaw)))
    }

    /// The file that this program was built with.
    ///
    /// # Errors
    /// Never in a released program: a test reads it.
    pub fn shipped() -> Result<CatalogFile, FileError> {
        CatalogFile::parse(SHIPPED)
    }

    /// The file as text that [`CatalogFile::parse`] reads back to the same declarations.
    ///
    /// # Errors
    /// When a value has no TOML form; none of the catalog's values lacks one.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}

fn provider_entry(provider: &Provider) -> String {
    format!("provider {}", provider.slug)
}

fn model_entry(model: &Model) -> String {
    format!("model {}", model.slug)
}

fn endpoint_entry(endpoint: &Endpoint) -> String {
    format!("endpoint {}", endpoint.key())
}

fn checked<T>(
    text: &str,
    entries: Vec<Spanned<T>>,
    check: impl Fn(&T) -> Result<(), Flaw>,
    name: impl Fn(&T) -> String,
) -> Result<Vec<T>, FileError> {
    let mut seen = std::collections::BTreeSet::new();
    let mut values = Vec::with_capacity(entries.len());
    for entry in entries {
        let start = entry.span().start;
        let line = || 1 + text.bytes().take(start).filter(|&b| b == b'\n').count();
        let value = entry.into_inner();
        let entry = name(&value);
        check(&value).map_err(|flaw| FileError::Invalid { line: line(), entry: entry.clone(), flaw })?;
        if !seen.insert(entry.clone()) {
            return Err(FileError::Duplicate { line: line(), entry });
        }
        values.push(value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Current, Missing, Price, ProviderKind, UnitPrice, Usage, cost, diff};

    const PROVIDER: &str = "\n[[providers]]\nslug = \"local\"\nname = \"Local\"\nkind = \"openai\"\n\
        base_url = \"http://10.0.0.5:8000/v1\"\ncancel_stops_billing = true\ntrains_on_inputs = false\nretains_logs = false\n";

    fn message(text: &str) -> String {
        CatalogFile::parse(text).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_unknown_field_is_named_with_its_line() {
        let text = message(&PROVIDER.replace("name =", "nmae ="));
        assert!(text.contains("line 4") && text.contains("nmae"), "{text}");
    }

    #[test]
    fn a_broken_rule_is_named_with_its_line_and_field() {
        let text = message(&PROVIDER.replace("http://10.0.0.5:8000/v1", "http://10.0.0.5:8000/v1/"));
        assert!(text.starts_with("line 2: provider local: base_url: "), "{text}");
        assert_eq!(message(&format!("{PROVIDER}{PROVIDER}")), "line 11: provider local is written twice");
    }

    #[test]
    fn a_price_must_be_a_string() {
        let endpoint = "[[endpoints]]\nmodel = \"a/b\"\nprovider = \"local\"\nupstream_model = \"b\"\ncontext_length = 1\n\
            supported_parameters = []\nprice = { prompt = \"1.25\", completion = 10 }\n";
        let text = message(endpoint);
        assert!(text.contains("line 7") && text.contains("string"), "{text}");
        let text = message(&endpoint.replace("10 }", "\"-1\" }"));
        assert!(text.contains("line 7") && text.contains("is not a price"), "{text}");
    }

    #[test]
    fn the_shipped_file_is_sound_and_round_trips() {
        let file = CatalogFile::shipped().expect("the shipped file is read");
        let again = CatalogFile::parse(&file.to_toml().expect("it has a TOML form")).expect("the export is read");
        assert_eq!(file, again);
        assert!(diff(&Current::default(), &file, Missing::Retire).is_ok(), "every reference is met");
        for model in &file.models {
            assert!(
                file.endpoints.iter().any(|endpoint| endpoint.model == model.slug),
                "{} has no endpoint",
                model.slug
            );
        }
    }

    #[test]
    fn only_the_sandbox_needs_no_key() {
        let file = CatalogFile::shipped().expect("the shipped file is read");
        for provider in &file.providers {
            assert_eq!(provider.key_env.is_none(), provider.kind == ProviderKind::Sandbox, "{}", provider.slug);
        }
    }

    #[test]
    fn the_sandbox_costs_what_its_descriptions_say() {
        let file = CatalogFile::shipped().expect("the shipped file is read");
        let price = |slug: &str| {
            file.endpoints.iter().find(|e| e.model.as_str() == slug).map_or_else(Price::default, |e| e.price)
        };
        let usage = Usage { prompt_tokens: 7, completion_tokens: 5, requests: 1, ..Usage::default() };
        let total = |slug: &str| cost(&usage, &price(slug)).map(|cost| cost.total.exact());
        assert_eq!(total("sandbox/echo"), Ok("0.000017".into()));
        assert_eq!(total("sandbox/slow"), Ok("0.000017".into()));
        assert_eq!(total("sandbox/penny"), Ok("0.01".into()));
        assert!(price("sandbox/free").is_free());
        assert_eq!(price("sandbox/penny").request, UnitPrice::parse("0.01").ok());
    }
}

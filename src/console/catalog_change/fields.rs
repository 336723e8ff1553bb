//! The fields of the catalog's forms: those of the catalog file, by the same names, and read by the same rules.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::catalog::{Modality, ModelSlug, ParsePriceError, ProviderSlug, UnitPrice};

/// What was typed, by the names of fields.
pub type Typed = BTreeMap<String, String>;
/// What is wrong with it, by the names of fields.
pub type Problems = BTreeMap<&'static str, String>;

/// Letters of a line, unless a field says otherwise.
const LINE: u16 = 200;
/// Letters of a text or a list.
const LONG: u16 = 4_000;

/// What a field holds, and so how it is typed, read and shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Line,
    Text,
    Tokens,
    /// Names with commas or spaces between them.
    Words,
    Modalities,
    /// Ids of models.
    Ids,
    Id,
    /// One of the models that are there.
    Model,
    /// One of the providers that are there.
    Provider,
    Day,
    /// Dollars for a million of them.
    Million,
    /// Dollars for one.
    Unit,
    /// What yes and no are called.
    Switch(&'static str, &'static str),
}

/// A field of a form, named as in the catalog file.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    /// What it means to leave it empty, where that is not that nothing is known.
    pub blank: &'static str,
    pub kind: Kind,
    pub required: bool,
    /// In letters.
    pub max: u16,
}

const fn field(name: &'static str, label: &'static str, kind: Kind) -> Field {
    let max = match kind {
        Kind::Text | Kind::Words | Kind::Ids => LONG,
        _ => LINE,
    };
    Field { name, label, hint: "", blank: "", kind, required: false, max }
}

const fn required(name: &'static str, label: &'static str, kind: Kind) -> Field {
    Field { required: true, ..field(name, label, kind) }
}

impl Field {
    const fn hint(self, hint: &'static str) -> Field {
        Field { hint, ..self }
    }

    const fn blank(self, blank: &'static str) -> Field {
        Field { blank, ..self }
    }
}

const ON: Kind = Kind::Switch("On", "Switched off");
const YES: Kind = Kind::Switch("Yes", "No");
const PARAMETERS: &str = "Names of request parameters, with commas or spaces between them.";

pub const PROVIDER: &[Field] = &[
    required("name", "Name", Kind::Line),
    required("enabled", "State", ON).hint("Switched off, none of its endpoints is called."),
    required("trains_on_inputs", "It may train on what it is sent", YES),
    required("retains_logs", "It keeps what it is sent", YES).hint("No means zero data retention."),
    required("cancel_stops_billing", "Closing the connection ends what it charges for", YES)
        .hint("If not, calls that a client left are read to their end."),
    field("privacy_url", "Privacy policy", Kind::Line).hint("An https address."),
    field("terms_url", "Terms", Kind::Line).hint("An https address."),
    field("status_url", "Status page", Kind::Line).hint("An https address."),
    field("headquarters", "Country of its seat", Kind::Line).hint("Two letters, like US."),
];

pub const MODEL: &[Field] = &[
    required("name", "Name", Kind::Line),
    required("enabled", "State", ON),
    required("description", "Description", Kind::Text),
    required("context_length", "Context length", Kind::Tokens).hint("The most tokens that any endpoint takes."),
    field("max_output", "Longest answer", Kind::Tokens).hint("In tokens, the longest that any endpoint gives."),
    required("input_modalities", "Takes", Kind::Modalities).hint("Of text, image, file, audio, video."),
    required("output_modalities", "Gives", Kind::Modalities).hint("Such as text; embeddings or rerank stand alone."),
    required("tokenizer", "Tokenizer", Kind::Line).hint("The family, such as GPT or Claude; Other where not known."),
    field("supported_parameters", "Parameters that an endpoint understands", Kind::Words).hint(PARAMETERS),
    field("knowledge_cutoff", "Training data until", Kind::Day),
    field("aliases", "Other ids that lead to it", Kind::Ids).hint("With commas. They are not listed."),
];

pub const NEW_MODEL: &[Field] = &[
    required("id", "Id", Kind::Id).hint("What callers name: author/name."),
    required("released", "Released", Kind::Day).hint("Where not known, the day it joins the catalog."),
];

/// Where a new endpoint is.
pub const PLACE: &[Field] = &[
    required("provider", "Provider", Kind::Provider),
    required("upstream_model", "What the provider calls the model", Kind::Line),
];

pub const OF_MODEL: &[Field] = &[required("model", "Model", Kind::Model)];

/// What a model does not say for its endpoints.
pub const OWN: &[Field] = &[
    field("image_tokens", "Most tokens of an image", Kind::Tokens)
        .hint("Calls hold that much for each.")
        .blank("6,000"),
    field("quantization", "Quantization", Kind::Line).hint("How the weights are stored, such as fp8."),
];

pub const ENDPOINT: &[Field] = &[
    required("enabled", "State", ON),
    required("context_length", "Context length", Kind::Tokens).hint("The most tokens that the provider takes."),
    field("max_output", "Longest answer", Kind::Tokens).hint("In tokens."),
    field("supported_parameters", "Parameters that are understood here", Kind::Words).hint(PARAMETERS),
];

pub const PRICE: &[Field] = &[
    required("prompt", "Input", Kind::Million),
    required("completion", "Output", Kind::Million).hint("Reasoning included."),
    field("cache_read", "Read from a cache", Kind::Million).blank("as input"),
    field("cache_write", "Written to a cache", Kind::Million).blank("as input"),
    field("request", "A call", Kind::Unit).hint("Of a model that ranks, a search unit.").blank("nothing"),
    field("image", "An image", Kind::Unit).hint("In the input, besides its tokens.").blank("nothing"),
    field("audio", "Sound in", Kind::Million).blank("as input"),
    field("audio_output", "Sound out", Kind::Million).blank("as output"),
];

impl Field {
    /// A value as the catalog file has it; `None` where nothing was typed.
    fn read(&self, typed: &str) -> Result<Option<Value>, String> {
        let text = typed.replace("\r\n", "\n");
        let text = text.trim();
        let broken = |letter: char| letter.is_control() && !(self.kind == Kind::Text && letter == '\n');
        if text.chars().count() > usize::from(self.max) || text.contains(broken) {
            return Err(format!("must be at most {} characters, without control characters", self.max));
        }
        let is_list = matches!(self.kind, Kind::Words | Kind::Modalities | Kind::Ids);
        if text.is_empty() && self.required {
            return Err("must not be empty".into());
        }
        if text.is_empty() && !is_list {
            return Ok(None);
        }
        self.value(text).map(Some)
    }

    fn value(&self, text: &str) -> Result<Value, String> {
        let word = |text: &str| text.to_owned();
        Ok(match self.kind {
            Kind::Line | Kind::Text => json!(text),
            Kind::Tokens => json!(tokens(text)?),
            Kind::Words => json!(words(text)),
            Kind::Modalities => json!(each(text, modality)?),
            Kind::Ids => json!(each(text, |one| ModelSlug::try_from(word(one)))?),
            Kind::Id | Kind::Model => json!(ModelSlug::try_from(word(text)).map_err(|error| error.to_string())?),
            Kind::Provider => json!(ProviderSlug::try_from(word(text)).map_err(|error| error.to_string())?),
            Kind::Day => json!(text.parse::<NaiveDate>().map_err(|_| "must be a day, like 2026-11-27")?),
            Kind::Million => {
                json!(UnitPrice::parse_per_million(text).map_err(no_price)?.per_million().to_string())
            }
            Kind::Unit => json!(UnitPrice::parse(text).map_err(no_price)?),
            Kind::Switch(..) => match text {
                "yes" => json!(true),
                "no" => json!(false),
                _ => return Err("must be chosen".into()),
            },
        })
    }

    /// A value as it is typed; one that the file leaves out at its default is at it.
    fn text(&self, value: Option<&Value>) -> String {
        match (value, self.kind) {
            (Some(Value::Bool(false)), _) => "no".into(),
            (Some(Value::Bool(true)), _) | (None, Kind::Switch(..)) => "yes".into(),
            (Some(Value::Array(list)), _) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
            (Some(Value::String(text)), _) => text.clone(),
            (Some(Value::Number(number)), _) => number.to_string(),
            _ => String::new(),
        }
    }
}

/// In a form nothing stands in quotes.
fn no_price(error: ParsePriceError) -> String {
    match error {
        ParsePriceError::NotANumber => "is not a price; write dollars as a plain decimal, like 1.25".into(),
        other => other.to_string(),
    }
}

/// A whole number; commas between its digits are let pass.
fn tokens(text: &str) -> Result<u32, &'static str> {
    text.replace(',', "").parse().map_err(|_| "must be a whole number of tokens")
}

fn modality(word: &str) -> Result<&'static str, String> {
    let known = || Modality::ALL.map(Modality::as_str).join(", ");
    Modality::parse(word).map(Modality::as_str).ok_or_else(|| format!("is none of {}", known()))
}

/// Each once, in their order.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in text.split(|letter: char| letter == ',' || letter.is_whitespace()).filter(|word| !word.is_empty()) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

fn each<T, E: std::fmt::Display>(text: &str, read: impl Fn(&str) -> Result<T, E>) -> Result<Vec<T>, String> {
    words(text)
        .into_iter()
        .map(|word| read(word).map_err(|error| format!("must not have “{word}”, which {error}")))
        .collect()
}

/// The fields of a value as the catalog file writes them.
pub fn object<T: Serialize>(value: &T) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// A value as its fields are typed.
pub fn typed<T: Serialize>(value: &T, fields: &[Field]) -> Typed {
    let known = object(value);
    fields.iter().map(|field| (field.name.to_owned(), field.text(known.get(field.name)))).collect()
}

/// Puts what was typed over what was there. What the form has no field for stays.
pub fn over(
    mut known: Map<String, Value>,
    fields: &[Field],
    typed: &Typed,
    wrong: &mut Problems,
) -> Map<String, Value> {
    for field in fields {
        let read = typed.get(field.name).map_or_else(|| Err("is missing in the form".into()), |text| field.read(text));
        match read {
            Ok(Some(value)) => drop(known.insert(field.name.to_owned(), value)),
            Ok(None) => drop(known.remove(field.name)),
            Err(problem) => drop(wrong.insert(field.name, problem)),
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{CatalogFile, Price};

    fn read(fields: &'static [Field], typed: &Typed) -> (Map<String, Value>, Problems) {
        let mut wrong = Problems::new();
        (over(Map::new(), fields, typed, &mut wrong), wrong)
    }

    #[test]
    fn what_is_shown_reads_back_to_the_same_catalog() {
        let file = CatalogFile::shipped().expect("the shipped file is read");
        let mut wrong = Problems::new();
        for model in &file.models {
            let again = over(object(model), MODEL, &typed(model, MODEL), &mut wrong);
            assert_eq!(serde_json::from_value(Value::Object(again)).ok().as_ref(), Some(model));
        }
        for provider in &file.providers {
            let again = over(object(provider), PROVIDER, &typed(provider, PROVIDER), &mut wrong);
            assert_eq!(serde_json::from_value(Value::Object(again)).ok().as_ref(), Some(provider));
        }
        for endpoint in &file.endpoints {
            let all = [ENDPOINT, OWN].concat();
            let again = over(object(endpoint), &all, &typed(endpoint, &all), &mut wrong);
            assert_eq!(serde_json::from_value(Value::Object(again)).ok().as_ref(), Some(endpoint));
            let price = over(Map::new(), PRICE, &typed(&endpoint.price, PRICE), &mut wrong);
            assert_eq!(serde_json::from_value::<Price>(Value::Object(price)).ok(), Some(endpoint.price));
        }
        assert_eq!(wrong, Problems::new());
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_field() {
        let mut typed: Typed = [("prompt", "1.5"), ("completion", "-1"), ("request", ""), ("image", "0.01")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        for left in ["cache_read", "cache_write", "audio"] {
            typed.insert(left.into(), String::new());
        }
        let (known, wrong) = read(PRICE, &typed);
        assert_eq!(wrong.keys().copied().collect::<Vec<_>>(), ["audio_output", "completion"]);
        assert!(wrong["completion"].contains("is not a price") && wrong["audio_output"].contains("missing"));
        assert_eq!((known.get("prompt"), known.get("request")), (Some(&json!("1.5")), None));
        let typed: Typed = [("model".to_owned(), "No/Model".to_owned())].into();
        assert!(read(OF_MODEL, &typed).1["model"].contains("author/name"));
        assert_eq!(words("a, b  b,\nc"), ["a", "b", "c"]);
        assert_eq!((tokens("1,048,576"), tokens("-1").is_err()), (Ok(1_048_576), true));
    }
}

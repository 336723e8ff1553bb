//! What a version of a preset holds besides its system prompt, and what is checked when it is written.

use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::settings::is_model;
use crate::base::Usd;
use crate::base::money::thousands;
use crate::catalog::{Catalog, ListedModel};
use crate::routing::Preferences;

/// Characters of a system prompt.
pub const MAX_PROMPT: usize = 30_000;
/// As many as a call may name.
pub const MAX_MODELS: usize = 16;
/// Bytes of all else, written as JSON.
const MAX_BYTES: usize = 48 * 1_024;
/// More than this a call never costs.
const MAX_COST: u32 = 10_000;

/// A number that a preset can set, and between which values it makes sense.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub label: &'static str,
    pub min: i64,
    pub max: i64,
    pub whole: bool,
}

const fn parameter(name: &'static str, label: &'static str, min: i64, max: i64, whole: bool) -> Parameter {
    Parameter { name, label, min, max, whole }
}

const MAX_TOKENS: Parameter = parameter("max_tokens", "Max tokens", 1, 1_000_000_000, true);

/// In the order of the editor.
pub const PARAMETERS: &[Parameter] = &[
    parameter("temperature", "Temperature", 0, 2, false),
    parameter("top_p", "Top P", 0, 1, false),
    parameter("top_k", "Top K", 0, 1_000_000, true),
    parameter("frequency_penalty", "Frequency penalty", -2, 2, false),
    parameter("presence_penalty", "Presence penalty", -2, 2, false),
    parameter("repetition_penalty", "Repetition penalty", 0, 2, false),
    MAX_TOKENS,
    parameter("seed", "Seed", -9_007_199_254_740_991, 9_007_199_254_740_991, true),
];

/// Further fields of a request that a preset keeps as they are.
const OTHERS: &[&str] = &[
    "top_a",
    "min_p",
    "stop",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
    "structured_outputs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "reasoning_effort",
    "include_reasoning",
    "verbosity",
    "modalities",
    "plugins",
    "transforms",
];

/// What is wrong, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flaw {
    /// A field of the editor or of the request.
    pub field: String,
    pub problem: String,
}

impl Flaw {
    pub fn new(field: &str, problem: impl Into<String>) -> Flaw {
        Flaw { field: field.to_owned(), problem: problem.into() }
    }
}

/// A stored config that cannot be read as a whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Unread {
    pub flaws: Vec<Flaw>,
    /// As it stands there.
    pub stored: Map<String, Value>,
}

/// Always checked: it can be used as it is.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Config {
    /// The first is asked first; none: any.
    pub models: Vec<String>,
    /// The `provider` object of a request.
    pub provider: Map<String, Value>,
    /// What goes into the request's body.
    pub parameters: Map<String, Value>,
    pub max_tokens: Option<u64>,
    /// What a call may cost at most.
    pub max_cost: Option<Usd>,
}

impl Config {
    /// Reads the fields of a request that a preset keeps; the others (messages, stream and so on) are passed over.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn parse(map: &Map<String, Value>) -> Result<Config, Vec<Flaw>> {
        let (config, mut flaws) = Config::read(map);
        if serde_json::to_vec(&config.to_map()).map_or(0, |bytes| bytes.len()) > MAX_BYTES {
            flaws.push(Flaw::new("parameters", format!("are longer than {} KB", MAX_BYTES / 1_024)));
        }
        if flaws.is_empty() { Ok(config) } else { Err(flaws) }
    }

    /// What can be read, and what is wrong with the rest.
    fn read(map: &Map<String, Value>) -> (Config, Vec<Flaw>) {
        let mut flaws = Vec::new();
        let models = models(map, &mut flaws);
        let provider = match map.get("provider") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(provider)) => provider.clone(),
            Some(_) => {
                flaws.push(Flaw::new("provider", "must be an object"));
                Map::new()
            }
        };
        if let Err(bad) = Preferences::parse(Some(&Value::Object(provider.clone()))) {
            flaws.push(Flaw::new("provider", bad.0));
        }
        let mut parameters = Map::new();
        for parameter in PARAMETERS {
            if let Some(value) = map.get(parameter.name).filter(|value| !value.is_null()) {
                match parameter.check(value) {
                    Ok(number) => drop(parameters.insert(parameter.name.to_owned(), number)),
                    Err(problem) => flaws.push(Flaw::new(parameter.name, problem)),
                }
            }
        }
        for name in OTHERS {
            if let Some(value) = map.get(*name).filter(|value| !value.is_null()) {
                parameters.insert((*name).to_owned(), value.clone());
            }
        }
        // Both names of it, as in a call: the lower counts.
        let newer = map.get("max_completion_tokens").filter(|value| !value.is_null());
        let newer = newer.and_then(|value| match MAX_TOKENS.check(value) {
            Ok(number) => Some(number),
            Err(problem) => {
                flaws.push(Flaw::new("max_completion_tokens", problem));
                None
            }
        });
        let caps = [parameters.remove("max_tokens"), newer];
        let max_tokens = caps.into_iter().flatten().filter_map(|cap| cap.as_u64()).min();
        let max_cost = match map.get("max_cost") {
            None | Some(Value::Null) => None,
            Some(value) => match cost(value) {
                Some(cost) => Some(cost),
                None => {
                    flaws.push(Flaw::new("max_cost", format!("must be an amount above zero and up to ${MAX_COST}")));
                    None
                }
            },
        };
        (Config { models, provider, parameters, max_tokens, max_cost }, flaws)
    }

    /// The fields of a request that this stands for.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        match self.models.as_slice() {
            [] => {}
            [one] => drop(map.insert("model".into(), one.as_str().into())),
            several => drop(map.insert("models".into(), several.into())),
        }
        if !self.provider.is_empty() {
            map.insert("provider".into(), self.provider.clone().into());
        }
        map.extend(self.parameters.clone());
        if let Some(cap) = self.max_tokens {
            map.insert("max_tokens".into(), cap.into());
        }
        if let Some(cost) = self.max_cost {
            // Text, so that no digit is lost on the way.
            map.insert("max_cost".into(), cost.exact().into());
        }
        map
    }

    /// What was stored, as far as it can be read. Where that is not all of it, no call may get it: one part less could be
    /// the price cap, or who may see what is sent.
    pub(super) fn stored(value: Value) -> (Config, Option<Unread>) {
        let Value::Object(stored) = value else {
            let flaws = vec![Flaw::new("parameters", "are not an object")];
            return (Config::default(), Some(Unread { flaws, stored: Map::new() }));
        };
        let mut map = stored.clone();
        if let Some(Value::Object(provider)) = map.get_mut("provider") {
            Preferences::forgive(provider);
        }
        let (config, flaws) = Config::read(&map);
        let unread = (!flaws.is_empty()).then_some(Unread { flaws, stored });
        (config, unread)
    }

    /// Conditions on providers, read.
    #[must_use]
    pub fn preferences(&self) -> Preferences {
        Preferences::parse(Some(&Value::Object(self.provider.clone()))).unwrap_or_default()
    }

    /// For each of its models, the parameters that no endpoint of it knows.
    #[must_use]
    pub fn unsupported(&self, catalog: &Catalog) -> Vec<(String, Vec<String>)> {
        let listed = self.models.iter().filter_map(|model| catalog.model(super::settings::base(model)));
        let unknown = |listed: &std::sync::Arc<ListedModel>| {
            let names: Vec<String> = self.used().filter(|name| !knows(listed, name)).map(str::to_owned).collect();
            (!names.is_empty()).then(|| (listed.model.slug.to_string(), names))
        };
        listed.filter_map(unknown).collect()
    }

    /// Its models that the catalog does not have.
    #[must_use]
    pub fn unknown_models(&self, catalog: &Catalog) -> Vec<&str> {
        let unknown = |model: &&String| catalog.model(super::settings::base(model)).is_none();
        self.models.iter().filter(unknown).map(String::as_str).collect()
    }

    /// Names of its parameters, in the catalog's words.
    fn used(&self) -> impl Iterator<Item = &str> {
        let names = self.parameters.keys().map(|name| match name.as_str() {
            "reasoning_effort" => "reasoning",
            name => name,
        });
        names.filter(|name| !matches!(*name, "plugins" | "transforms")).chain(self.max_tokens.map(|_| "max_tokens"))
    }
}

fn knows(listed: &ListedModel, parameter: &str) -> bool {
    listed.offers.iter().any(|offer| offer.endpoint.supported_parameters.iter().any(|known| known == parameter))
}

impl Parameter {
    /// The number as it was written.
    ///
    /// # Errors
    /// What it must be.
    pub fn check(&self, value: &Value) -> Result<Value, String> {
        let wrong = || {
            let kind = if self.whole { "a whole number" } else { "a number" };
            format!("must be {kind} from {} to {}", self.min, thousands(&self.max.to_string()))
        };
        let Value::Number(number) = value else { return Err(wrong()) };
        let text = number.to_string();
        let decimal: Decimal = text.parse().or_else(|_| Decimal::from_scientific(&text)).map_err(|_| wrong())?;
        let fits = decimal >= Decimal::from(self.min) && decimal <= Decimal::from(self.max);
        if !fits || (self.whole && !decimal.is_integer()) {
            return Err(wrong());
        }
        if self.whole {
            // 100.0 is 100.
            return decimal.trunc().normalize().to_string().parse::<i64>().map(Value::from).map_err(|_| wrong());
        }
        Ok(value.clone())
    }

    /// As a person types it.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let number = serde_json::from_str::<Value>(text.trim()).unwrap_or(Value::Null);
        self.check(&number)
    }
}

fn models(map: &Map<String, Value>, flaws: &mut Vec<Flaw>) -> Vec<String> {
    let mut models: Vec<String> = Vec::new();
    let first = map.get("model").filter(|value| !value.is_null()).into_iter();
    let more = match map.get("models") {
        None | Some(Value::Null) => &[],
        Some(Value::Array(more)) => more.as_slice(),
        Some(_) => {
            flaws.push(Flaw::new("models", "must be an array"));
            &[]
        }
    };
    for value in first.chain(more) {
        match value.as_str().map(str::trim).filter(|model| is_model(model)) {
            Some(model) if models.iter().any(|known| known == model) => {}
            Some(model) => models.push(model.to_owned()),
            None => {
                let said: String = value.as_str().unwrap_or("it").chars().take(80).collect();
                flaws
                    .push(Flaw::new("models", format!("“{said}” is not the id of a model, such as openai/gpt-5-mini")));
            }
        }
    }
    if models.len() > MAX_MODELS {
        flaws.push(Flaw::new("models", format!("can be {MAX_MODELS} at most")));
    }
    models
}

fn cost(value: &Value) -> Option<Usd> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let amount: Decimal = text.trim().parse().or_else(|_| Decimal::from_scientific(text.trim())).ok()?;
    let fits = amount > Decimal::ZERO && amount <= Decimal::from(MAX_COST) && amount.scale() <= 12;
    fits.then(|| Usd::new(amount.normalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Config, Vec<Flaw>> {
        Config::parse(value.as_object().expect("an object"))
    }

    #[test]
    fn a_request_leaves_what_a_preset_keeps() {
        let config = read(json!({
            "model": "a/b", "models": ["a/b", "c/d:nitro"], "messages": [{}], "stream": true, "user": "x",
            "temperature": 0.7, "top_k": 40.0, "max_tokens": 100, "tools": [{"type":"function"}],
            "provider": {"order": ["x"], "quantizations": ["fp8"]}, "max_cost": 0.05, "seed": null, "future": 1,
        }))
        .expect("a config");
        assert_eq!(config.models, ["a/b", "c/d:nitro"]);
        assert_eq!(config.max_cost.map(Usd::exact).as_deref(), Some("0.05"));
        assert_eq!(
            Value::Object(config.to_map()),
            json!({"models":["a/b","c/d:nitro"],"provider":{"order":["x"],"quantizations":["fp8"]},"temperature":0.7,
                "top_k":40,"tools":[{"type":"function"}],"max_tokens":100,"max_cost":"0.05"})
        );
        assert_eq!(Config::stored(config.to_map().into()), (config.clone(), None), "and reads back");
        assert_eq!(config.preferences().order, ["x"]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let flaws = read(json!({
            "model": "gpt", "temperature": 3, "top_p": "high", "top_k": 1.5, "max_tokens": 0, "seed": 1e300,
            "provider": {"sort": "beauty"}, "max_cost": 0, "frequency_penalty": -2.01,
        }))
        .expect_err("wrong");
        let fields: Vec<&str> = flaws.iter().map(|flaw| flaw.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "models",
                "provider",
                "temperature",
                "top_p",
                "top_k",
                "frequency_penalty",
                "max_tokens",
                "seed",
                "max_cost"
            ]
        );
        assert!(flaws[2].problem.contains("from 0 to 2"), "{flaws:?}");
    }

    #[test]
    fn whatever_is_accepted_reads_back_as_it_was() {
        let largest = 1_000_000_000_u64;
        let odd = [json!(0), json!(1), json!(-1), json!(1.5), json!(7.0), json!(largest), json!(largest + 1)];
        let odder = [json!(u64::MAX), json!(1e300), json!("40"), json!(true), json!([]), Value::Null];
        for value in odd.iter().chain(&odder) {
            for name in ["max_tokens", "max_completion_tokens", "seed", "top_k", "temperature", "max_cost"] {
                let mut map = json!({ "model": "a/b", "provider": { "ignore": ["x"] } });
                map[name] = value.clone();
                let Ok(config) = read(map) else { continue };
                let stored = Value::Object(config.to_map());
                assert_eq!(Config::stored(stored), (config, None), "{name}: {value}");
            }
        }
        for wrong in [json!(0), json!(largest + 1), json!(-1), json!(1.5), json!("40")] {
            let flaws = read(json!({ "max_completion_tokens": wrong.clone() })).expect_err("wrong");
            assert_eq!(flaws[0].field, "max_completion_tokens", "{wrong}");
        }
        let both = read(json!({ "max_tokens": 100, "max_completion_tokens": 40.0 })).expect("a config");
        assert_eq!(both.max_tokens, Some(40), "the lower counts, as in a call");
    }

    #[test]
    fn what_cannot_be_read_any_more_is_told_and_not_left_out() {
        let stored = json!({ "model": "a/b", "max_tokens": 0, "max_cost": "0.01", "provider": { "ignore": ["x"] } });
        let (config, unread) = Config::stored(stored.clone());
        let unread = unread.expect("it is not whole");
        assert_eq!(unread.flaws[0].field, "max_tokens");
        assert_eq!(Value::Object(unread.stored), stored);
        assert_eq!((config.models, config.max_tokens), (vec!["a/b".to_owned()], None), "the rest is for the editor");
        assert!(Config::stored(json!([])).1.is_some());
        // An older version wrote what is passed over since.
        assert!(Config::stored(json!({ "provider": { "options": {} } })).1.is_none());
    }

    #[test]
    fn edges_are_in_and_beyond_them_is_out() {
        for parameter in PARAMETERS {
            for (value, fits) in
                [(parameter.min, true), (parameter.max, true), (parameter.min - 1, false), (parameter.max + 1, false)]
            {
                assert_eq!(parameter.check(&json!(value)).is_ok(), fits, "{} {value}", parameter.name);
            }
        }
        for cost in [json!("0.000000000001"), json!(10_000), json!("1e-3")] {
            assert!(read(json!({ "max_cost": cost })).is_ok(), "{cost}");
        }
        for cost in [json!(10_000.01), json!(-1), json!("much"), json!([]), json!("0.0000000000001")] {
            assert!(read(json!({ "max_cost": cost })).is_err(), "{cost}");
        }
    }
}

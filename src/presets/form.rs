//! The form of the editor: what was typed, and what it comes to.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Map, Value};

use super::config::{Config, Flaw, PARAMETERS};
use super::preset::{Preset, PresetName, Version};
use super::revise::{Base, Content};
use crate::base::slug::Slug;
use crate::catalog::Catalog;
use crate::web::Fields;

/// Conditions on providers that have fields of their own.
const CONDITIONS: [&str; 4] = ["allow_fallbacks", "sort", "data_collection", "require_parameters"];
const LISTS: [&str; 3] = ["order", "only", "ignore"];

/// The fields as they were sent, or as they are of a version that is opened.
#[derive(Clone, Default)]
pub struct Draft {
    pub name: String,
    pub slug: String,
    pub description: String,
    pub system_prompt: String,
    pub models: Vec<String>,
    /// `order`, `only` and `ignore`.
    pub lists: BTreeMap<&'static str, Vec<String>>,
    /// Empty: as whoever decides next says.
    pub conditions: BTreeMap<&'static str, String>,
    /// By the name of the parameter; empty: not set.
    pub parameters: BTreeMap<&'static str, String>,
    pub max_cost: String,
    /// A JSON object of what has no field of its own.
    pub more: String,
    /// The version that is edited; `None` for a new preset.
    pub base: Option<i32>,
    /// When that preset had been changed last, in microseconds of Unix time.
    pub seen: String,
}

/// The moment of the last change of a preset, for a form that changes it.
pub fn seen(preset: &Preset) -> String {
    preset.updated_at.timestamp_micros().to_string()
}

impl Draft {
    pub fn read(fields: &Fields) -> Draft {
        let text = |name: &str| fields.one(name).to_owned();
        let list = |name: &str, new: &str| {
            let mut found: Vec<String> = Vec::new();
            for one in fields.all(name).into_iter().chain(fields.all(new)) {
                if !found.contains(&one) {
                    found.push(one);
                }
            }
            found
        };
        Draft {
            name: text("name"),
            slug: text("slug"),
            description: text("description"),
            // Browsers send line ends of two characters.
            system_prompt: text("system_prompt").replace("\r\n", "\n"),
            models: list("models", "models_new"),
            lists: LISTS.iter().map(|name| (*name, list(name, &format!("{name}_new")))).collect(),
            conditions: CONDITIONS.iter().map(|name| (*name, text(name))).collect(),
            parameters: PARAMETERS.iter().map(|one| (one.name, text(one.name).trim().to_owned())).collect(),
            max_cost: text("max_cost").trim().trim_start_matches('$').to_owned(),
            more: text("more").replace("\r\n", "\n"),
            base: fields.one("base").parse().ok(),
            seen: text("seen"),
        }
    }

    /// A version as the editor opens it.
    pub fn of(preset: &Preset, version: &Version) -> Draft {
        let mut more = version.config.to_map();
        let mut provider = match more.remove("provider") {
            Some(Value::Object(provider)) => provider,
            _ => Map::new(),
        };
        for name in ["model", "models", "max_tokens", "max_cost"] {
            more.remove(name);
        }
        let mut list = |name: &'static str| {
            let names = match provider.remove(name) {
                Some(Value::Array(names)) => names,
                _ => Vec::new(),
            };
            (name, names.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
        };
        let lists = LISTS.into_iter().map(&mut list).collect();
        let conditions = CONDITIONS.into_iter().map(|name| {
            let word = match provider.get(name) {
                Some(Value::Bool(yes)) => if *yes { "yes" } else { "no" }.to_owned(),
                Some(Value::String(word)) => word.clone(),
                // Such as a sort across models, which has no field.
                _ => return (name, String::new()),
            };
            provider.remove(name);
            (name, word)
        });
        let conditions = conditions.collect();
        let cap = version.config.max_tokens.map(Value::from);
        let parameters = PARAMETERS.iter().map(|parameter| {
            let value = if parameter.name == "max_tokens" { cap.clone() } else { more.remove(parameter.name) };
            (parameter.name, value.map(|value| value.to_string()).unwrap_or_default())
        });
        let parameters = parameters.collect();
        if !provider.is_empty() {
            more.insert("provider".into(), provider.into());
        }
        let more =
            if more.is_empty() { String::new() } else { serde_json::to_string_pretty(&more).unwrap_or_default() };
        Draft {
            name: preset.name.clone(),
            slug: preset.slug.clone(),
            description: preset.description.clone(),
            system_prompt: version.system_prompt.clone(),
            models: version.config.models.clone(),
            lists,
            conditions,
            parameters,
            max_cost: version.config.max_cost.map(crate::base::Usd::exact).unwrap_or_default(),
            more,
            base: Some(version.number),
            seen: seen(preset),
        }
    }

    /// What was open when this was written. A form of an older page says no moment.
    pub fn opened(&self) -> Base {
        let seen = self.seen.parse().ok().and_then(DateTime::from_timestamp_micros);
        Base { version: self.base.unwrap_or(0), seen }
    }

    /// Moves or removes one entry of a list, as a button says: `models.up.openai/gpt-5-mini`. What it does not know it
    /// leaves alone.
    pub fn rearrange(&mut self, what: &str) {
        let mut parts = what.splitn(3, '.');
        let (Some(list), Some(how), Some(which)) = (parts.next(), parts.next(), parts.next()) else { return };
        let list = match list {
            "models" => &mut self.models,
            other => match self.lists.get_mut(other) {
                Some(list) => list,
                None => return,
            },
        };
        let Some(at) = list.iter().position(|one| one == which) else { return };
        match how {
            "up" if at > 0 => list.swap(at, at - 1),
            "down" if at + 1 < list.len() => list.swap(at, at + 1),
            "drop" => drop(list.remove(at)),
            _ => {}
        }
    }

    /// # Errors
    /// Everything that is wrong, by field.
    pub fn content(&self) -> Result<Content, Vec<Flaw>> {
        let mut flaws = Vec::new();
        let name = PresetName::parse(&self.name);
        if name.is_none() {
            flaws.push(Flaw::new("name", "needs one to eighty characters"));
        }
        let config = match self.map(&mut flaws).map(|map| Config::parse(&map)) {
            Some(Ok(config)) => Some(config),
            Some(Err(wrong)) => {
                flaws.extend(wrong);
                None
            }
            None => None,
        };
        match (name, config) {
            (Some(name), Some(config)) if flaws.is_empty() => {
                let content = Content {
                    name,
                    description: self.description.trim().to_owned(),
                    system_prompt: self.system_prompt.clone(),
                    config,
                };
                let flaws = content.flaws();
                if flaws.is_empty() { Ok(content) } else { Err(flaws) }
            }
            _ => Err(flaws),
        }
    }

    /// The slug that was typed, or the one that the name suggests.
    ///
    /// # Errors
    /// What to do about it.
    pub fn slug(&self) -> Result<Slug, Flaw> {
        let typed = self.slug.trim();
        if typed.is_empty() {
            let made = PresetName::parse(&self.name).and_then(|name| name.slug());
            return made.ok_or_else(|| {
                Flaw::new("slug", "cannot be made of this name: type one of the letters a to z, digits and hyphens")
            });
        }
        Slug::parse(typed).map_err(|error| Flaw::new("slug", error.to_string()))
    }

    /// The fields as those of a request; `None` where the JSON is none.
    fn map(&self, flaws: &mut Vec<Flaw>) -> Option<Map<String, Value>> {
        let mut map = match self.more.trim() {
            "" => Map::new(),
            text => match serde_json::from_str(text) {
                Ok(Value::Object(map)) => map,
                Ok(_) => {
                    flaws.push(Flaw::new("more", "must be a JSON object, such as {\"stop\": [\"END\"]}"));
                    return None;
                }
                Err(error) => {
                    flaws.push(Flaw::new("more", format!("is not JSON: {error}")));
                    return None;
                }
            },
        };
        let mut provider = match map.remove("provider") {
            None => Map::new(),
            Some(Value::Object(provider)) => provider,
            Some(_) => {
                flaws.push(Flaw::new("more", "has a provider that is not an object"));
                Map::new()
            }
        };
        for (name, list) in self.lists.iter().filter(|(_, list)| !list.is_empty()) {
            provider.insert((*name).to_owned(), list.clone().into());
        }
        for (name, word) in self.conditions.iter().filter(|(_, word)| !word.is_empty()) {
            let value = match word.as_str() {
                "yes" => true.into(),
                "no" => false.into(),
                word => word.into(),
            };
            provider.insert((*name).to_owned(), value);
        }
        if !provider.is_empty() {
            map.insert("provider".into(), provider.into());
        }
        map.remove("model");
        map.insert("models".into(), self.models.clone().into());
        for parameter in PARAMETERS {
            let text = self.parameters.get(parameter.name).map_or("", String::as_str);
            if text.is_empty() {
                continue;
            }
            match parameter.parse(text) {
                Ok(value) => drop(map.insert(parameter.name.to_owned(), value)),
                Err(problem) => {
                    map.remove(parameter.name);
                    flaws.push(Flaw::new(parameter.name, problem));
                }
            }
        }
        if !self.max_cost.is_empty() {
            map.insert("max_cost".into(), self.max_cost.clone().into());
        }
        Some(map)
    }

    /// What is worth knowing about a content that can be saved.
    pub fn remarks(content: &Content, catalog: &Catalog) -> Vec<String> {
        let config = &content.config;
        let mut out = Vec::new();
        for model in config.unknown_models(catalog) {
            out.push(format!("There is no model {model} here now. Calls pass over it."));
        }
        let preferences = config.preferences();
        let strict = preferences.require_parameters == Some(true);
        for (model, names) in config.unsupported(catalog) {
            let names = names.join(", ");
            out.push(if strict {
                format!("{model} does not know {names}, and parameters are required: it would not be asked.")
            } else {
                format!("{model} does not know {names}: it is asked without.")
            });
        }
        let named = [&preferences.order, &preferences.only, &preferences.ignore].into_iter().flatten();
        let slug = |name: &str| name.split('/').next().unwrap_or_default().to_owned();
        let unknown = named.filter(|name| {
            let by_name = |listed: &std::sync::Arc<crate::catalog::ListedProvider>| {
                listed.provider.name.eq_ignore_ascii_case(name)
            };
            catalog.provider(&slug(name)).is_none() && !catalog.providers().iter().any(by_name)
        });
        for name in unknown {
            out.push(format!("There is no provider {name} here now."));
        }
        if config.models.is_empty() {
            out.push("No model is named: a call has to name one, or gets the default model.".to_owned());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn draft(pairs: &[(&str, &str)]) -> Draft {
        Draft::read(&pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into())
    }

    #[test]
    fn a_form_becomes_a_content_and_opens_as_it_was() {
        let sent = draft(&[
            ("name", "Copywriter"),
            ("system_prompt", "Be brief.\r\nBe kind."),
            ("models", "a/b"),
            ("models", "c/d"),
            ("models_new", "e/f:free"),
            ("order", "two"),
            ("order", "one"),
            ("ignore", "three"),
            ("allow_fallbacks", "no"),
            ("sort", "price"),
            ("temperature", "0.7"),
            ("max_tokens", "100"),
            ("max_cost", "$0.05"),
            ("more", "{\"stop\": [\"END\"], \"provider\": {\"quantizations\": [\"fp8\"]}}"),
        ]);
        let content = sent.content().expect("nothing is wrong");
        assert_eq!(content.system_prompt, "Be brief.\nBe kind.");
        assert_eq!(
            Value::Object(content.config.to_map()),
            json!({"models":["a/b","c/d","e/f:free"],
                "provider":{"quantizations":["fp8"],"ignore":["three"],"order":["two","one"],"allow_fallbacks":false,
                    "sort":"price"},
                "temperature":0.7,"stop":["END"],"max_tokens":100,"max_cost":"0.05"})
        );
        let now = chrono::DateTime::UNIX_EPOCH;
        let preset = Preset {
            org: crate::base::ids::OrgId::fresh(),
            id: crate::base::ids::PresetId::fresh(),
            slug: "copywriter".into(),
            name: "Copywriter".into(),
            description: String::new(),
            status: super::super::Status::Active,
            status_changed_at: None,
            version: 3,
            author: super::super::Author::default(),
            created_at: now,
            updated_at: now,
        };
        let version = Version {
            id: preset.id.0,
            number: 3,
            system_prompt: content.system_prompt.clone(),
            config: content.config.clone(),
            unread: None,
            author: super::super::Author::default(),
            created_at: now,
        };
        let opened = Draft::of(&preset, &version);
        assert_eq!(opened.content().expect("nothing is wrong"), content);
        assert_eq!((opened.models.len(), opened.base), (3, Some(3)));
        assert_eq!((opened.opened().version, opened.opened().seen), (3, Some(now)));
        assert_eq!(sent.opened().seen, None, "a form that says no moment");
        assert_eq!(opened.conditions["allow_fallbacks"], "no");
    }

    #[test]
    fn a_list_is_rearranged_by_its_buttons() {
        let mut draft = draft(&[("models", "a/b.1"), ("models", "c/d"), ("order", "x"), ("order", "y")]);
        draft.rearrange("models.up.c/d");
        assert_eq!(draft.models, ["c/d", "a/b.1"]);
        draft.rearrange("models.down.a/b.1");
        draft.rearrange("models.up.c/d");
        assert_eq!(draft.models, ["c/d", "a/b.1"], "nothing moves beyond an end");
        draft.rearrange("order.down.x");
        assert_eq!(draft.lists["order"], ["y", "x"]);
        draft.rearrange("models.drop.a/b.1");
        for nonsense in ["models", "models.up", "models.up.z/z", "else.up.x", "order.sideways.x", ""] {
            draft.rearrange(nonsense);
        }
        assert_eq!((draft.models, draft.lists["order"].clone()), (vec!["c/d".into()], vec!["y".into(), "x".into()]));
    }

    #[test]
    fn mistakes_are_named_by_their_field() {
        let wrong = draft(&[("name", " "), ("temperature", "hot"), ("more", "{}"), ("models", "nonsense")]);
        let fields: Vec<String> = wrong.content().expect_err("wrong").into_iter().map(|flaw| flaw.field).collect();
        assert_eq!(fields, ["name", "temperature", "models"]);
        let wrong = draft(&[("name", "x"), ("more", "{")]);
        assert_eq!(wrong.content().expect_err("wrong")[0].field, "more");
        assert!(draft(&[("name", "日本語")]).slug().is_err(), "asks for a slug");
        assert_eq!(
            draft(&[("name", "日本語"), ("slug", "nihongo")]).slug().map(|s| s.to_string()),
            Ok("nihongo".into())
        );
        assert!(draft(&[("name", "x"), ("slug", "No Spaces")]).slug().is_err());
    }
}

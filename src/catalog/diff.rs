//! What a file would change. Pure: the list that an operator reads is the list that is applied.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{CatalogFile, Endpoint, EndpointKey, Flaw, Model, ModelSlug, Price, Provider, ProviderSlug};

/// What to do with what is in the catalog and not in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    /// Leave it alone: the file declares a part.
    Keep,
    /// Retire it: the file declares the whole.
    Retire,
}

/// The catalog as the database has it, retired parts included.
#[derive(Clone, Debug, Default)]
pub struct Current {
    pub providers: BTreeMap<ProviderSlug, Kept<Provider>>,
    pub models: BTreeMap<ModelSlug, Kept<Model>>,
    pub endpoints: BTreeMap<EndpointKey, Kept<Endpoint>>,
}

/// A part of the catalog and whether it is retired.
#[derive(Clone, Debug)]
pub struct Kept<T> {
    pub value: T,
    pub retired: bool,
}

/// One step, with the line that describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// `+` adds, `~` changes, `-` retires.
    pub line: String,
    pub action: Action,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// What a step does to the database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    PutProvider(Provider),
    PutModel(Model),
    /// Everything but the price.
    PutEndpoint(Endpoint),
    /// A new version on top of the endpoint's current price, if it has one.
    AddPrice(EndpointKey, Price),
    RetireProvider(ProviderSlug),
    RetireModel(ModelSlug),
    RetireEndpoint(EndpointKey),
}

/// Why a file does not fit the catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    #[error("endpoint {0}: the model is neither in the file nor in the catalog")]
    NoModel(EndpointKey),
    #[error("endpoint {0}: the provider is neither in the file nor in the catalog")]
    NoProvider(EndpointKey),
    #[error("{0} would name two models")]
    Ambiguous(ModelSlug),
    /// A file that was read has none; one that a program put together may.
    #[error("{entry}: {flaw}")]
    Flawed { entry: String, flaw: Flaw },
}

/// The steps from `current` to `file`, in an order in which each can be taken.
///
/// # Errors
/// When an entry breaks a rule, an endpoint would lack its model or provider, or an id would name two models.
pub fn diff(current: &Current, file: &CatalogFile, missing: Missing) -> Result<Vec<Change>, DiffError> {
    file.check().map_err(|(entry, flaw)| DiffError::Flawed { entry, flaw })?;
    check_references(current, file, missing)?;
    check_names(current, file, missing)?;
    let mut changes = Vec::new();
    for provider in &file.providers {
        let what = format!("provider {}", provider.slug);
        let old = current.providers.get(&provider.slug);
        changes.extend(put(&what, old, provider, Action::PutProvider(provider.clone())));
    }
    for model in &file.models {
        let what = format!("model {}", model.slug);
        changes.extend(put(&what, current.models.get(&model.slug), model, Action::PutModel(model.clone())));
    }
    for endpoint in &file.endpoints {
        changes.extend(put_endpoint(current.endpoints.get(&endpoint.key()), endpoint));
    }
    if missing == Missing::Retire {
        changes.extend(retire(current, file));
    }
    Ok(changes)
}

/// Whether an entry of the catalog that the file does not name stays in use.
fn stays<T>(kept: &Kept<T>, missing: Missing) -> bool {
    !kept.retired && missing == Missing::Keep
}

fn check_references(current: &Current, file: &CatalogFile, missing: Missing) -> Result<(), DiffError> {
    for endpoint in &file.endpoints {
        let declared = file.models.iter().any(|model| model.slug == endpoint.model);
        if !declared && !current.models.get(&endpoint.model).is_some_and(|kept| stays(kept, missing)) {
            return Err(DiffError::NoModel(endpoint.key()));
        }
        let declared = file.providers.iter().any(|provider| provider.slug == endpoint.provider);
        if !declared && !current.providers.get(&endpoint.provider).is_some_and(|kept| stays(kept, missing)) {
            return Err(DiffError::NoProvider(endpoint.key()));
        }
    }
    Ok(())
}

/// An id or alias must lead to one model, or a call could be billed by another model's price.
fn check_names(current: &Current, file: &CatalogFile, missing: Missing) -> Result<(), DiffError> {
    let declared: BTreeSet<_> = file.models.iter().map(|model| &model.slug).collect();
    let remaining = current.models.values().filter(|kept| stays(kept, missing) && !declared.contains(&kept.value.slug));
    let models = file.models.iter().chain(remaining.map(|kept| &kept.value));
    let mut taken = BTreeSet::new();
    for name in models.flat_map(|model| std::iter::once(&model.slug).chain(&model.aliases)) {
        if !taken.insert(name) {
            return Err(DiffError::Ambiguous(name.clone()));
        }
    }
    Ok(())
}

fn put<T: Serialize + PartialEq>(what: &str, old: Option<&Kept<T>>, new: &T, action: Action) -> Option<Change> {
    let line = match old {
        None => format!("+ {what}"),
        Some(old) if old.value == *new && !old.retired => return None,
        Some(old) if old.value == *new => format!("+ {what}: in use again"),
        Some(old) => {
            let again = if old.retired { " in use again;" } else { "" };
            format!("~ {what}:{again} {}", field_changes(&old.value, new))
        }
    };
    Some(Change { line, action })
}

fn put_endpoint(old: Option<&Kept<Endpoint>>, new: &Endpoint) -> Vec<Change> {
    let key = new.key();
    let old_price = old.map(|kept| kept.value.price);
    // The price has a step of its own, so the rest is compared as if it were the same.
    let old =
        old.map(|kept| Kept { value: Endpoint { price: new.price, ..kept.value.clone() }, retired: kept.retired });
    let facts = put(&format!("endpoint {key}"), old.as_ref(), new, Action::PutEndpoint(new.clone()));
    let line = match old_price {
        None => format!("+ price {key}: {}", all_fields(&new.price)),
        Some(old) => format!("~ price {key}: {}", field_changes(&old, &new.price)),
    };
    let price = (old_price != Some(new.price)).then_some(Change { line, action: Action::AddPrice(key, new.price) });
    facts.into_iter().chain(price).collect()
}

/// Endpoints first: a model that is gone must not leave an endpoint behind.
fn retire(current: &Current, file: &CatalogFile) -> Vec<Change> {
    let endpoints: BTreeSet<_> = file.endpoints.iter().map(Endpoint::key).collect();
    let models: BTreeSet<_> = file.models.iter().map(|model| &model.slug).collect();
    let providers: BTreeSet<_> = file.providers.iter().map(|provider| &provider.slug).collect();
    let mut changes = Vec::new();
    for (key, _) in current.endpoints.iter().filter(|(key, kept)| !kept.retired && !endpoints.contains(*key)) {
        changes.push(Change { line: format!("- endpoint {key}"), action: Action::RetireEndpoint(key.clone()) });
    }
    for (slug, _) in current.models.iter().filter(|(slug, kept)| !kept.retired && !models.contains(*slug)) {
        changes.push(Change { line: format!("- model {slug}"), action: Action::RetireModel(slug.clone()) });
    }
    for (slug, _) in current.providers.iter().filter(|(slug, kept)| !kept.retired && !providers.contains(*slug)) {
        changes.push(Change { line: format!("- provider {slug}"), action: Action::RetireProvider(slug.clone()) });
    }
    changes
}

/// `name "A" → "B", context_length 8192 → 16384`. Only for reading: equality is decided on the values.
fn field_changes<T: Serialize>(old: &T, new: &T) -> String {
    let (old, new) = (fields(old), fields(new));
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let shown = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), Value::to_string);
    let parts = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| format!("{name} {} → {}", shown(old.get(name)), shown(new.get(name))));
    parts.collect::<Vec<_>>().join(", ")
}

fn all_fields<T: Serialize>(value: &T) -> String {
    fields(value).iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

/// Fields as the file writes them, without those that are absent or at their default.
fn fields<T: Serialize>(value: &T) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::UnitPrice;

    fn shipped() -> CatalogFile {
        CatalogFile::shipped().expect("the shipped file is read")
    }

    /// The catalog after `file` was applied to an empty one.
    fn applied(file: &CatalogFile) -> Current {
        fn kept<K: Ord, T: Clone>(values: &[T], key: impl Fn(&T) -> K) -> BTreeMap<K, Kept<T>> {
            values.iter().map(|value| (key(value), Kept { value: value.clone(), retired: false })).collect()
        }
        Current {
            providers: kept(&file.providers, |provider| provider.slug.clone()),
            models: kept(&file.models, |model| model.slug.clone()),
            endpoints: kept(&file.endpoints, Endpoint::key),
        }
    }

    fn lines(current: &Current, file: &CatalogFile, missing: Missing) -> Vec<String> {
        diff(current, file, missing).expect("the file fits").into_iter().map(|change| change.line).collect()
    }

    #[test]
    fn the_same_file_changes_nothing() {
        let file = shipped();
        assert_eq!(lines(&applied(&file), &file, Missing::Retire), [""; 0]);
    }

    #[test]
    fn a_new_price_is_a_new_version_and_says_from_what_to_what() {
        let file = shipped();
        let current = applied(&file);
        let mut cheaper = file.clone();
        for endpoint in cheaper.endpoints.iter_mut().filter(|e| e.model.as_str() == "sandbox/echo") {
            endpoint.price.prompt = UnitPrice::parse_per_million("0.5").unwrap_or_default();
        }
        let changes = lines(&current, &cheaper, Missing::Keep);
        assert_eq!(changes, [r#"~ price sandbox/echo at sandbox as echo: prompt "1" → "0.5""#]);
    }

    #[test]
    fn what_is_missing_is_kept_or_retired_as_asked() {
        let file = shipped();
        let current = applied(&file);
        let mut part = file.clone();
        part.models.retain(|model| model.slug.as_str() != "sandbox/slow");
        part.endpoints.retain(|endpoint| endpoint.model.as_str() != "sandbox/slow");
        assert_eq!(lines(&current, &part, Missing::Keep), [""; 0]);
        let retired = lines(&current, &part, Missing::Retire);
        assert_eq!(retired, ["- endpoint sandbox/slow at sandbox as slow", "- model sandbox/slow"]);
    }

    #[test]
    fn an_endpoint_needs_its_model_and_provider() {
        let file = shipped();
        let only_endpoints = CatalogFile { endpoints: file.endpoints.clone(), ..CatalogFile::default() };
        assert!(diff(&applied(&file), &only_endpoints, Missing::Keep).is_ok());
        assert!(matches!(diff(&Current::default(), &only_endpoints, Missing::Keep), Err(DiffError::NoModel(_))));
        assert!(matches!(diff(&applied(&file), &only_endpoints, Missing::Retire), Err(DiffError::NoModel(_))));
    }

    #[test]
    fn what_a_program_put_together_is_held_to_the_rules_of_a_file() {
        let mut file = shipped();
        for model in file.models.iter_mut().filter(|model| model.slug.as_str() == "sandbox/echo") {
            model.name = " ".into();
        }
        let told = diff(&Current::default(), &file, Missing::Keep).err().map(|error| error.to_string());
        assert_eq!(told.as_deref(), Some("model sandbox/echo: name: must not be empty"));
    }

    #[test]
    fn an_alias_may_not_be_the_name_of_another_model() {
        let file = shipped();
        let mut clash = file.clone();
        for model in clash.models.iter_mut().filter(|model| model.slug.as_str() == "sandbox/echo") {
            model.aliases =
                file.models.iter().filter(|m| m.slug.as_str() == "sandbox/free").map(|m| m.slug.clone()).collect();
        }
        assert!(matches!(diff(&Current::default(), &clash, Missing::Keep), Err(DiffError::Ambiguous(_))));
    }
}

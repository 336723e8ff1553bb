//! From what was typed to a part of a catalog file. Pure.

use chrono::{NaiveDate, NaiveTime};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::fields::{self, Field, Problems, Typed, object, over, typed};
use super::{Ask, Refusal};
use crate::base::Digest;
use crate::catalog::{CatalogFile, Endpoint, EndpointKey, Missing, Model, ModelSlug, Price, Provider, ProviderSlug};

/// The basis of what is not there yet.
const NEW: &str = "new";

/// What to apply, and what it is a change of.
#[derive(Clone, Debug)]
pub struct Draft {
    pub file: CatalogFile,
    pub missing: Missing,
    /// The fields that change, as they were and as they will be.
    pub before: Value,
    pub after: Value,
}

fn provider<'a>(now: &'a CatalogFile, slug: &ProviderSlug) -> Option<&'a Provider> {
    now.providers.iter().find(|one| one.slug == *slug)
}

fn model<'a>(now: &'a CatalogFile, slug: &ModelSlug) -> Option<&'a Model> {
    now.models.iter().find(|one| one.slug == *slug)
}

fn endpoint<'a>(now: &'a CatalogFile, key: &EndpointKey) -> Option<&'a Endpoint> {
    now.endpoints.iter().find(|one| one.key() == *key)
}

/// The price is changed by a form of its own.
fn facts(endpoint: &Endpoint) -> Endpoint {
    Endpoint { price: Price::default(), ..endpoint.clone() }
}

fn digest(value: &impl Serialize) -> String {
    Digest::of(serde_json::to_string(value).unwrap_or_default()).to_hex()
}

impl Ask {
    /// What a form of it is made from, in short; `None` where that is not there.
    #[must_use]
    pub fn basis(&self, now: &CatalogFile) -> Option<String> {
        match self {
            Ask::Provider(slug) => provider(now, slug).map(digest),
            Ask::Model(slug) => model(now, slug).map(digest),
            Ask::Endpoint(key) => endpoint(now, key).map(|one| digest(&facts(one))),
            Ask::Price(key) => endpoint(now, key).map(|one| digest(&one.price)),
            Ask::NewModel | Ask::NewEndpoint => Some(NEW.to_owned()),
            Ask::RetireModel(slug) => {
                let places: Vec<_> = now.endpoints.iter().filter(|one| one.model == *slug).collect();
                model(now, slug).map(|one| digest(&(one, places)))
            }
            Ask::RetireEndpoint(key) => endpoint(now, key).map(digest),
        }
    }

    /// What its form shows before anything is typed; `None` where what it changes is not there.
    #[must_use]
    pub fn typed_now(&self, now: &CatalogFile) -> Option<Typed> {
        match self {
            Ask::Provider(slug) => provider(now, slug).map(|one| typed(one, fields::PROVIDER)),
            Ask::Model(slug) => model(now, slug).map(|one| typed(one, fields::MODEL)),
            Ask::Endpoint(key) => endpoint(now, key).map(|one| {
                let mut all = typed(one, fields::ENDPOINT);
                all.extend(typed(one, fields::OWN));
                all
            }),
            Ask::Price(key) => endpoint(now, key).map(|one| typed(&one.price, fields::PRICE)),
            Ask::NewModel | Ask::NewEndpoint | Ask::RetireModel(_) | Ask::RetireEndpoint(_) => Some(Typed::new()),
        }
    }

    /// # Errors
    /// `Gone`, `There` or `Wrong`.
    pub fn draft(&self, now: &CatalogFile, typed: &Typed) -> Result<Draft, Refusal> {
        match self {
            Ask::Provider(slug) => {
                let old = provider(now, slug).ok_or(Refusal::Gone)?;
                let new: Provider = changed(old, &[fields::PROVIDER], typed)?;
                let (before, after) = difference(&object(old), &object(&new));
                Ok(Draft::part(before, after, CatalogFile { providers: vec![new], ..CatalogFile::default() }))
            }
            Ask::Model(slug) => {
                let old = model(now, slug).ok_or(Refusal::Gone)?;
                let new: Model = changed(old, &[fields::MODEL], typed)?;
                let (before, after) = difference(&object(old), &object(&new));
                Ok(Draft::part(before, after, CatalogFile { models: vec![new], ..CatalogFile::default() }))
            }
            Ask::Endpoint(key) => {
                let old = endpoint(now, key).ok_or(Refusal::Gone)?;
                let new: Endpoint = changed(old, &[fields::ENDPOINT, fields::OWN], typed)?;
                let (before, after) = difference(&object(old), &object(&new));
                Ok(Draft::part(before, after, places(vec![new])))
            }
            Ask::Price(key) => {
                let old = endpoint(now, key).ok_or(Refusal::Gone)?;
                let price: Price = changed(&old.price, &[fields::PRICE], typed)?;
                let (before, after) = difference(&object(&old.price), &object(&price));
                Ok(Draft::part(before, after, places(vec![Endpoint { price, ..old.clone() }])))
            }
            Ask::NewModel => new_model(now, typed),
            Ask::NewEndpoint => new_endpoint(now, typed),
            Ask::RetireModel(slug) => retire_model(now, slug),
            Ask::RetireEndpoint(key) => retire_endpoint(now, key),
        }
    }
}

impl Draft {
    fn part(before: Value, after: Value, file: CatalogFile) -> Draft {
        Draft { file, missing: Missing::Keep, before, after }
    }

    /// The rest of the catalog, without what was retired.
    fn rest(what: &str, file: CatalogFile) -> Draft {
        let (before, after) = (json!({ what: "in use" }), json!({ what: "retired" }));
        Draft { file, missing: Missing::Retire, before, after }
    }
}

fn places(endpoints: Vec<Endpoint>) -> CatalogFile {
    CatalogFile { endpoints, ..CatalogFile::default() }
}

/// Reads fields over `known`; problems are gathered.
fn all_over(known: Map<String, Value>, groups: &[&[Field]], typed: &Typed, wrong: &mut Problems) -> Map<String, Value> {
    groups.iter().fold(known, |known, fields| over(known, fields, typed, wrong))
}

/// # Errors
/// `Unfit` for what its type does not take, though each field was read.
fn made<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Refusal> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| Refusal::Unfit(error.to_string()))
}

fn changed<T: Serialize + DeserializeOwned>(old: &T, groups: &[&[Field]], typed: &Typed) -> Result<T, Refusal> {
    let mut wrong = Problems::new();
    let known = all_over(object(old), groups, typed, &mut wrong);
    if wrong.is_empty() { made(known) } else { Err(Refusal::Wrong(wrong)) }
}

/// The fields that differ, in both; null where one has none.
fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> (Value, Value) {
    let names = old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name));
    let (mut before, mut after) = (Map::new(), Map::new());
    for name in names {
        before.insert(name.clone(), old.get(name).cloned().unwrap_or_default());
        after.insert(name.clone(), new.get(name).cloned().unwrap_or_default());
    }
    (Value::Object(before), Value::Object(after))
}

fn new_model(now: &CatalogFile, typed: &Typed) -> Result<Draft, Refusal> {
    let mut wrong = Problems::new();
    let mut known = all_over(Map::new(), &[fields::NEW_MODEL, fields::MODEL], typed, &mut wrong);
    let mut place = all_over(Map::new(), &[fields::PLACE, fields::OWN], typed, &mut wrong);
    let price = over(Map::new(), fields::PRICE, typed, &mut wrong);
    if !wrong.is_empty() {
        return Err(Refusal::Wrong(wrong));
    }
    let released = known.remove("released");
    let day: Option<NaiveDate> = released.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok());
    known.insert("created".into(), json!(day.map(|day| day.and_time(NaiveTime::MIN).and_utc().timestamp())));
    place.insert("model".into(), known.get("id").cloned().unwrap_or_default());
    for name in ["context_length", "max_output", "supported_parameters"] {
        if let Some(value) = known.get(name) {
            place.insert(name.into(), value.clone());
        }
    }
    place.insert("price".into(), Value::Object(price));
    let new: Model = made(known)?;
    let first: Endpoint = made(place)?;
    if model(now, &new.slug).is_some() {
        return Err(Refusal::There);
    }
    let after = json!({ "model": object(&new), "endpoint": object(&first) });
    let file = CatalogFile { models: vec![new], endpoints: vec![first], ..CatalogFile::default() };
    Ok(Draft::part(Value::Null, after, file))
}

fn new_endpoint(now: &CatalogFile, typed: &Typed) -> Result<Draft, Refusal> {
    let mut wrong = Problems::new();
    let groups = [fields::OF_MODEL, fields::PLACE, fields::ENDPOINT, fields::OWN];
    let mut known = all_over(Map::new(), &groups, typed, &mut wrong);
    let price = over(Map::new(), fields::PRICE, typed, &mut wrong);
    if !wrong.is_empty() {
        return Err(Refusal::Wrong(wrong));
    }
    known.insert("price".into(), Value::Object(price));
    let new: Endpoint = made(known)?;
    if endpoint(now, &new.key()).is_some() {
        return Err(Refusal::There);
    }
    let after = json!({ "endpoint": object(&new) });
    Ok(Draft::part(Value::Null, after, places(vec![new])))
}

fn retire_model(now: &CatalogFile, slug: &ModelSlug) -> Result<Draft, Refusal> {
    let mut rest = now.clone();
    rest.models.retain(|one| one.slug != *slug);
    rest.endpoints.retain(|one| one.model != *slug);
    if rest.models.len() == now.models.len() { Err(Refusal::Gone) } else { Ok(Draft::rest("model", rest)) }
}

fn retire_endpoint(now: &CatalogFile, key: &EndpointKey) -> Result<Draft, Refusal> {
    let mut rest = now.clone();
    rest.endpoints.retain(|one| one.key() != *key);
    if rest.endpoints.len() == now.endpoints.len() { Err(Refusal::Gone) } else { Ok(Draft::rest("endpoint", rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> CatalogFile {
        CatalogFile::shipped().expect("the shipped file is read")
    }

    fn echo() -> ModelSlug {
        ModelSlug::try_from("sandbox/echo".to_owned()).expect("an id")
    }

    fn key(now: &CatalogFile) -> EndpointKey {
        now.endpoints.iter().find(|one| one.model == echo()).expect("an endpoint").key()
    }

    #[test]
    fn a_form_sent_back_as_it_was_changes_nothing() {
        let now = shipped();
        let price = Ask::Price(key(&now));
        for ask in [Ask::Model(echo()), Ask::Endpoint(key(&now)), price] {
            let draft = ask.draft(&now, &ask.typed_now(&now).expect("there")).expect("it fits");
            assert_eq!((draft.before, draft.after), (json!({}), json!({})), "{ask:?}");
            assert!(draft.file.models.iter().all(|one| now.models.contains(one)));
            assert!(draft.file.endpoints.iter().all(|one| now.endpoints.contains(one)));
        }
    }

    #[test]
    fn a_change_says_what_was_and_keeps_what_its_form_has_no_field_for() {
        let now = shipped();
        let ask = Ask::Endpoint(key(&now));
        let mut typed = ask.typed_now(&now).expect("there");
        typed.insert("enabled".into(), "no".into());
        typed.insert("quantization".into(), "fp8".into());
        let draft = ask.draft(&now, &typed).expect("it fits");
        assert_eq!(draft.after, json!({ "enabled": false, "quantization": "fp8" }));
        let old = endpoint(&now, &key(&now)).expect("there");
        assert_eq!(draft.file.endpoints[0].price, old.price);
    }

    #[test]
    fn a_basis_sees_what_its_form_would_write_over_and_nothing_else() {
        let now = shipped();
        let mut other = now.clone();
        for one in other.endpoints.iter_mut().filter(|one| one.model == echo()) {
            one.price = Price::default();
        }
        let key = key(&now);
        let same = |ask: Ask| ask.basis(&now) == ask.basis(&other);
        assert!(same(Ask::Endpoint(key.clone())) && same(Ask::Model(echo())));
        assert!(!same(Ask::Price(key.clone())) && !same(Ask::RetireEndpoint(key)) && !same(Ask::RetireModel(echo())));
        other.models.retain(|one| one.slug != echo());
        assert_eq!(Ask::Model(echo()).basis(&other), None);
    }

    #[test]
    fn what_is_retired_is_missing_in_a_file_of_the_whole() {
        let now = shipped();
        let draft = Ask::RetireModel(echo()).draft(&now, &Typed::new()).expect("it is there");
        assert_eq!(draft.missing, Missing::Retire);
        assert_eq!((draft.file.models.len(), draft.file.providers.len()), (now.models.len() - 1, now.providers.len()));
        assert!(draft.file.endpoints.iter().all(|one| one.model != echo()));
        assert!(matches!(Ask::RetireModel(echo()).draft(&draft.file, &Typed::new()), Err(Refusal::Gone)));
    }
}

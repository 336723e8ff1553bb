//! Routes over catalogs that are made up for each test.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::candidates::{Variant, of_model};
use super::order::{balanced, weights};
use super::*;
use crate::base::ids::CallId;
use crate::catalog::{
    CatalogFile, Endpoint, EndpointId, ListedModel, ListedProvider, Model, Offer, Price, PriceVersionId, Provider,
    ProviderId, ProviderKind, UnitPrice,
};

fn provider(slug: &str) -> Provider {
    Provider {
        slug: slug.to_owned().try_into().expect("a slug"),
        name: slug.to_uppercase(),
        kind: ProviderKind::OpenAi,
        base_url: Some("http://127.0.0.1:9/v1".into()),
        key_env: None,
        privacy_url: None,
        terms_url: None,
        status_url: None,
        headquarters: None,
        cancel_stops_billing: false,
        trains_on_inputs: false,
        retains_logs: false,
        enabled: true,
    }
}

/// An offer with prices per million tokens.
pub(in crate::gateway) fn offer(model: &str, slug: &str, prompt: &str, completion: &str) -> Offer {
    let price = Price {
        prompt: UnitPrice::parse_per_million(prompt).expect("a price"),
        completion: UnitPrice::parse_per_million(completion).expect("a price"),
        ..Price::default()
    };
    Offer {
        id: EndpointId(CallId::fresh().0),
        price_version: PriceVersionId(CallId::fresh().0),
        endpoint: Endpoint {
            model: model.to_owned().try_into().expect("a model"),
            provider: slug.to_owned().try_into().expect("a slug"),
            upstream_model: "up".into(),
            context_length: 100_000,
            max_output: Some(4_000),
            quantization: None,
            supported_parameters: vec!["max_tokens".into()],
            enabled: true,
            price,
        },
        provider: Arc::new(ListedProvider {
            id: ProviderId(CallId::fresh().0),
            provider: provider(slug),
            has_key: false,
        }),
    }
}

fn model(slug: &str) -> Model {
    let file = CatalogFile::shipped().expect("the shipped file is read");
    let mut model = file.models.into_iter().next().expect("it has models");
    model.slug = slug.to_owned().try_into().expect("a model");
    model
}

pub(in crate::gateway) fn listed(slug: &str, offers: Vec<Offer>) -> Arc<ListedModel> {
    Arc::new(ListedModel { model: model(slug), offers })
}

pub(in crate::gateway) fn candidate(offer: Offer) -> Candidate {
    let slug = offer.endpoint.model.as_str().to_owned();
    Candidate::new(listed(&slug, vec![offer]), 0).expect("it has one offer")
}

/// The slugs of the providers that would be asked, in order.
fn asked(offers: Vec<Offer>, preferences: Value, body: Value, variant: Variant, health: &Health) -> Vec<String> {
    let preferences = Preferences::parse(Some(&preferences)).expect("preferences");
    let body = body.as_object().cloned().unwrap_or_default();
    let asked = Asked { models: &[], preferences: &preferences, body: &body, has_cap: false, allowed: None };
    let found = of_model(&listed("a/b", offers), variant, &asked, health, Instant::now(), &mut |_| 0);
    found.iter().map(|candidate| candidate.provider_slug().to_owned()).collect()
}

fn three() -> Vec<Offer> {
    vec![offer("a/b", "one", "1", "1"), offer("a/b", "two", "2", "2"), offer("a/b", "three", "10", "10")]
}

#[test]
fn order_comes_first_and_only_and_ignore_are_obeyed() {
    let health = Health::new(Instant::now());
    let route = |preferences| asked(three(), preferences, json!({}), Variant::Standard, &health);
    assert_eq!(route(json!({"order":["three","TWO"]})), ["three", "two", "one"]);
    assert_eq!(route(json!({"only":["two"]})), ["two"]);
    assert_eq!(route(json!({"ignore":["one","three"]})), ["two"]);
    assert_eq!(route(json!({"sort":"price"})), ["one", "two", "three"]);
    assert_eq!(route(json!({"max_price":{"prompt":2.0}, "sort":{"by":"price"}})), ["one", "two"]);
    assert_eq!(route(json!({"quantizations":["fp8"]})), [""; 0]);
}

#[test]
fn privacy_and_parameters_leave_out_who_does_not_comply() {
    let health = Health::new(Instant::now());
    let mut offers = three();
    let change = |offer: &mut Offer, change: fn(&mut Provider)| {
        let mut listed = (*offer.provider).clone();
        change(&mut listed.provider);
        offer.provider = Arc::new(listed);
    };
    change(&mut offers[0], |provider| provider.trains_on_inputs = true);
    change(&mut offers[1], |provider| provider.retains_logs = true);
    offers[2].endpoint.supported_parameters.push("top_k".into());
    let route = |preferences, body| asked(offers.clone(), preferences, body, Variant::Standard, &health);
    assert_eq!(route(json!({"data_collection":"deny","sort":"price"}), json!({})), ["two", "three"]);
    assert_eq!(route(json!({"zdr":true,"sort":"price"}), json!({})), ["one", "three"]);
    assert_eq!(route(json!({"require_parameters":true}), json!({"messages":[],"top_k":3})), ["three"]);
}

#[test]
fn who_failed_a_moment_ago_is_asked_last() {
    let health = Health::new(Instant::now());
    let offers = three();
    health.failed(offers[0].id, Instant::now());
    assert_eq!(
        asked(offers.clone(), json!({"sort":"price"}), json!({}), Variant::Standard, &health),
        ["two", "three", "one"]
    );
    health.answered(offers[0].id, Instant::now(), 10, 10, 10);
    assert_eq!(asked(offers, json!({"sort":"price"}), json!({}), Variant::Standard, &health), ["one", "two", "three"]);
}

#[test]
fn speed_sorts_by_what_was_measured() {
    let now = Instant::now();
    let health = Health::new(now);
    let offers = three();
    health.answered(offers[1].id, now, 50, 1_000, 100);
    health.answered(offers[2].id, now, 400, 1_000, 900);
    let route = |sort: &str| asked(offers.clone(), json!({ "sort": sort }), json!({}), Variant::Standard, &health);
    assert_eq!(route("throughput"), ["three", "two", "one"]);
    assert_eq!(route("latency"), ["two", "three", "one"]);
    let later = now + Duration::from_secs(60 * 6);
    assert_eq!(health.speed(offers[1].id, later), None);
}

#[test]
fn the_cheaper_is_drawn_more_often_by_the_square() {
    let group: Vec<Candidate> = three().into_iter().map(candidate).collect();
    assert_eq!(weights(&group), [1_000_000, 250_000, 10_000]);
    let drawn = |ticket: u64| balanced(group.clone(), &mut |_| ticket)[0].provider_slug().to_owned();
    assert_eq!(
        (drawn(0), drawn(999_999), drawn(1_000_000), drawn(1_250_000)),
        ("one".into(), "one".into(), "two".into(), "three".into())
    );
}

#[test]
fn free_means_free() {
    let health = Health::new(Instant::now());
    let mut offers = three();
    offers.push(offer("a/b", "gift", "0", "0"));
    assert_eq!(asked(offers, json!({}), json!({}), Variant::Free, &health), ["gift"]);
}

#[test]
fn a_condition_that_makes_no_sense_is_refused() {
    for bad in [
        json!([]),
        json!({"only":"x"}),
        json!({"order":[1]}),
        json!({"zdr":"yes"}),
        json!({"data_collection":"no"}),
        json!({"sort":"beauty"}),
        json!({"max_price":{"prompt":"much"}}),
    ] {
        assert_eq!(Preferences::parse(Some(&bad)).map_err(|error| error.status()).err(), Some(400), "{bad}");
    }
}

//! Routes over catalogs that are made up for each test.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::candidates::{Variant, left_out, of_model, pooled};
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
pub(crate) fn offer(model: &str, slug: &str, prompt: &str, completion: &str) -> Offer {
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
            image_tokens: None,
            quantization: None,
            supported_parameters: vec!["max_tokens".into()],
            enabled: true,
            price,
        },
        provider: Arc::new(ListedProvider::new(ProviderId(CallId::fresh().0), provider(slug), false)),
    }
}

fn model(slug: &str) -> Model {
    let file = CatalogFile::shipped().expect("the shipped file is read");
    let mut model = file.models.into_iter().next().expect("it has models");
    model.slug = slug.to_owned().try_into().expect("a model");
    model
}

pub(crate) fn listed(slug: &str, offers: Vec<Offer>) -> Arc<ListedModel> {
    Arc::new(ListedModel { model: model(slug), offers })
}

pub(crate) fn candidate(offer: Offer) -> Candidate {
    let slug = offer.endpoint.model.as_str().to_owned();
    Candidate::new(listed(&slug, vec![offer]), 0).expect("it has one offer")
}

/// The slugs of the providers that would be asked, in order.
fn asked(offers: Vec<Offer>, preferences: Value, body: Value, variant: Variant, health: &Health) -> Vec<String> {
    let preferences = Preferences::parse(Some(&preferences)).expect("preferences");
    let body = body.as_object().cloned().unwrap_or_default();
    let policy = Policy::default();
    let asked =
        Asked { models: &[], preferences: &preferences, policy: &policy, body: &body, has_cap: false, last: None };
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
    let marked = json!({"messages":[],"top_k":3,"cache_control":{"type":"ephemeral"}});
    assert_eq!(route(json!({"require_parameters":true}), marked), ["three"], "a mark is no condition");
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
    health.answered(offers[0].id, Instant::now(), took(Some(10), 10, 10));
    assert_eq!(asked(offers, json!({"sort":"price"}), json!({}), Variant::Standard, &health), ["one", "two", "three"]);
}

fn took(first_token_ms: Option<u64>, writing_ms: u64, tokens: u64) -> Took {
    Took { first_token_ms, writing_ms, tokens }
}

#[test]
fn speed_sorts_by_what_was_measured() {
    let now = Instant::now();
    let health = Health::new(now);
    let offers = three();
    health.answered(offers[1].id, now, took(Some(50), 1_000, 100));
    health.answered(offers[2].id, now, took(Some(400), 1_000, 900));
    // In one piece: how fast it was is known, when it began is not.
    health.answered(offers[0].id, now, took(None, 2_000, 20));
    let route = |preferences: Value| asked(offers.clone(), preferences, json!({}), Variant::Standard, &health);
    assert_eq!(route(json!({"sort":"throughput"})), ["three", "two", "one"]);
    assert_eq!(route(json!({"sort":"latency"})), ["two", "three", "one"]);
    // Who is slower than wanted is asked later, and is still asked.
    assert_eq!(route(json!({"sort":"price","preferred_max_latency":0.1})), ["one", "two", "three"]);
    assert_eq!(route(json!({"sort":"price","preferred_min_throughput":{"p50":50}})), ["two", "three", "one"]);
    assert_eq!(
        route(json!({"sort":"price","preferred_min_throughput":50,"preferred_max_latency":{"p90":0.1}})),
        ["two", "one", "three"]
    );
    let later = now + Duration::from_secs(60 * 6);
    assert_eq!(health.speed(offers[1].id, later), None);
}

#[test]
fn a_part_of_the_answers_must_be_fast_enough() {
    let now = Instant::now();
    let health = Health::new(now);
    let offers = three();
    // Seven of ten begin after a tenth of a second, three after two; all at a hundred tokens a second but one.
    for call in 0..10 {
        let (first, tokens) = (if call < 7 { 100 } else { 2_000 }, if call == 0 { 10 } else { 100 });
        health.answered(offers[0].id, now, took(Some(first), 1_000, tokens));
    }
    let is_first = |wish: Value| {
        let mut preferences = json!({"sort":"price"});
        preferences.as_object_mut().expect("fields").extend(wish.as_object().cloned().unwrap_or_default());
        asked(offers.clone(), preferences, json!({}), Variant::Standard, &health)[0] == "one"
    };
    for (wish, fast) in [
        (json!({"preferred_max_latency":0.5}), true),
        (json!({"preferred_max_latency":{"p50":0.5}}), true),
        (json!({"preferred_max_latency":{"p75":0.5}}), false),
        (json!({"preferred_max_latency":{"p50":0.5,"p99":0.5}}), false),
        (json!({"preferred_max_latency":{"p99":2}}), true),
        (json!({"preferred_min_throughput":{"p90":50}}), true),
        (json!({"preferred_min_throughput":{"p99":50}}), false),
        (json!({"preferred_min_throughput":{"p99":5},"preferred_max_latency":{"p50":null,"p75":3}}), true),
    ] {
        assert_eq!(is_first(wish.clone()), fast, "{wish}");
    }
    assert!(health.is_fast_enough(offers[1].id, now, &[Cutoff { of_100: 99, at: 1 }], &[]), "who was not measured");
}

#[test]
fn what_was_stored_before_means_what_it_meant() {
    let mut stored = json!({"only":["two"],"options":{"x":1},"enforce_distillable_text":true,
        "max_price":{"prompt":2,"video":1},"preferred_max_latency":{"p50":1,"p90":"soon","p95":2}});
    let map = stored.as_object_mut().expect("an object");
    assert!(Preferences::parse(Some(&Value::Object(map.clone()))).is_err());
    Preferences::forgive(map);
    let read = Preferences::parse(Some(&stored)).expect("preferences");
    assert_eq!((read.only, read.max_latency), (vec!["two".to_owned()], vec![Cutoff { of_100: 50, at: 1_000 }]));
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
        json!({"preferred_max_latency":-1}),
        json!({"preferred_min_throughput":{}}),
        json!({"preferred_min_throughput":{"p95":1}}),
        json!({"max_price":{"video":1}}),
        json!({"enforce_distillable_text":true}),
        json!({"options":{"one":{}}}),
        json!({"sort":{"by":"price","partition":"some"}}),
        json!({"only":vec!["x"; 201]}),
    ] {
        assert!(Preferences::parse(Some(&bad)).is_err(), "{bad}");
    }
}

/// Numbers that look random and are the same in each run.
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    let mut dice = StdRng::seed_from_u64(seed);
    move |below| dice.random_range(0..below)
}

#[test]
fn order_is_obeyed_every_time() {
    let mut dice = dice(7);
    let health = Health::new(Instant::now());
    let slugs = ["one", "two", "three", "four", "five"];
    let offers: Vec<Offer> =
        slugs.iter().zip(1..).map(|(slug, price)| offer("a/b", slug, &format!("{price}"), "1")).collect();
    let model = listed("a/b", offers.clone());
    let (policy, body) = (Policy::default(), serde_json::Map::new());
    for call in 0..10_000 {
        // Now and then somebody has just failed; who is named goes first all the same.
        if call % 100 == 0 {
            health.failed(offers[call / 100 % 5].id, Instant::now());
        }
        let mut left: Vec<&str> = slugs.to_vec();
        let count = usize::try_from(dice(5)).expect("small") + 1;
        let order: Vec<String> = (0..count)
            .map(|_| {
                left.remove(usize::try_from(dice(u64::try_from(left.len()).expect("small"))).expect("small")).to_owned()
            })
            .collect();
        let sort = Sort::ALL[usize::try_from(dice(4)).expect("small")];
        let preferences = Preferences { order: order.clone(), sort: Some(sort), ..Preferences::default() };
        let asked = Asked {
            models: &[],
            preferences: &preferences,
            policy: &policy,
            body: &body,
            has_cap: false,
            last: Some(offers[0].id),
        };
        let found = of_model(&model, Variant::Standard, &asked, &health, Instant::now(), &mut dice);
        let found: Vec<&str> = found.iter().map(Candidate::provider_slug).collect();
        assert_eq!(found[..count], order, "call {call}, sorted by {sort:?}");
        assert_eq!(found.len(), 5, "and the others are there to fall back on");
    }
}

#[test]
fn balanced_keeps_its_weights() {
    let group: Vec<Candidate> = three().into_iter().map(candidate).collect();
    let weights = weights(&group);
    let draws: u32 = 20_000;
    let mut dice = dice(11);
    let mut first = [0_u32; 3];
    for _ in 0..draws {
        let drawn = balanced(group.clone(), &mut dice);
        let at = group.iter().position(|one| one.offer().id == drawn[0].offer().id).expect("one of them");
        first[at] += 1;
    }
    let sum: u64 = weights.iter().sum();
    for (seen, weight) in first.into_iter().zip(weights) {
        let expected = u64::from(draws) * weight / sum;
        let off = u64::from(seen).abs_diff(expected);
        assert!(off * 50 <= u64::from(draws), "{seen} of {draws} instead of {expected}");
    }
}

#[test]
fn what_an_organization_enforces_no_call_can_widen() {
    let health = Health::new(Instant::now());
    let model = listed("a/b", three());
    let route = |policy: &Policy, preferences: Value| {
        let preferences = Preferences::parse(Some(&preferences)).expect("preferences");
        let body = serde_json::Map::new();
        let asked = Asked { models: &[], preferences: &preferences, policy, body: &body, has_cap: false, last: None };
        let found = of_model(&model, Variant::Standard, &asked, &health, Instant::now(), &mut |_| 0);
        let out = left_out(&model, Variant::Standard, &asked);
        let found: Vec<String> = found.iter().map(|candidate| candidate.provider_slug().to_owned()).collect();
        let out: Vec<(String, Why)> =
            out.into_iter().map(|(candidate, why)| (candidate.provider_slug().to_owned(), why)).collect();
        (found, out)
    };
    let mut policy = Policy { allowed: vec!["one".into(), "two".into()], ..Policy::default() };
    assert_eq!(route(&policy, json!({})).0, ["one", "two"]);
    assert_eq!(route(&policy, json!({"only":["three"]})).0, ["three"], "a call may name others");
    policy.enforced = true;
    assert_eq!(route(&policy, json!({"only":["three"]})).0, [""; 0]);
    assert_eq!(route(&policy, json!({"only":["three","two"]})).0, ["two"]);
    assert_eq!(
        route(&policy, json!({"only":["two"]})).1,
        [("one".to_owned(), Why::NotNamed), ("three".to_owned(), Why::NotAllowed)]
    );
    policy = Policy { ignored: vec!["one".into()], sort: Some(Sort::Price), ..Policy::default() };
    assert_eq!(route(&policy, json!({"order":["one","three"]})).0, ["three", "two"], "ignored is ignored");
}

#[test]
fn one_try_goes_to_whom_it_names() {
    let health = Health::new(Instant::now());
    let route = |preferences| asked(three(), preferences, json!({}), Variant::Standard, &health);
    assert_eq!(route(json!({"order":["three"],"allow_fallbacks":false})), ["three"]);
    assert_eq!(route(json!({"order":["nobody"],"allow_fallbacks":false})), [""; 0]);
    assert_eq!(route(json!({"order":["nobody"],"sort":"price"})), ["one", "two", "three"]);
}

#[test]
fn a_provider_can_be_named_with_its_quantization() {
    let health = Health::new(Instant::now());
    let mut offers = three();
    offers[1].endpoint.quantization = Some("fp8".into());
    let route = |preferences| asked(offers.clone(), preferences, json!({}), Variant::Standard, &health);
    assert_eq!(route(json!({"only":["two/fp8","three/fp8"]})), ["two"]);
    assert_eq!(route(json!({"ignore":["two/fp8"],"sort":"price"})), ["one", "three"]);
    assert_eq!(route(json!({"quantizations":["fp8"]})), ["two"]);
}

#[test]
fn a_sort_can_count_across_models() {
    let (dear, cheap) = (
        listed("a/dear", vec![offer("a/dear", "one", "9", "9")]),
        listed("a/cheap", vec![offer("a/cheap", "two", "1", "1")]),
    );
    let pool = |across| {
        let preferences = Preferences { sort: Some(Sort::Price), across_models: across, ..Preferences::default() };
        let (policy, body) = (Policy::default(), serde_json::Map::new());
        let asked =
            Asked { models: &[], preferences: &preferences, policy: &policy, body: &body, has_cap: false, last: None };
        let health = Health::new(Instant::now());
        let found = pooled(
            vec![(&dear, Variant::Standard), (&cheap, Variant::Standard)],
            &asked,
            &health,
            Instant::now(),
            &mut |_| 0,
        );
        found.iter().map(|candidate| candidate.model().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(pool(false), ["a/dear", "a/cheap"]);
    assert_eq!(pool(true), ["a/cheap", "a/dear"]);
}

#[test]
fn a_draw_remembers_a_conversation_and_an_asked_sort_does_not() {
    let health = Health::new(Instant::now());
    let model = listed("a/b", three());
    let last = model.offers[2].id;
    let route = |preferences: Value| {
        let preferences = Preferences::parse(Some(&preferences)).expect("preferences");
        let (policy, body) = (Policy::default(), serde_json::Map::new());
        let asked = Asked {
            models: &[],
            preferences: &preferences,
            policy: &policy,
            body: &body,
            has_cap: false,
            last: Some(last),
        };
        let found = of_model(&model, Variant::Standard, &asked, &health, Instant::now(), &mut |_| 0);
        found.iter().map(|candidate| candidate.provider_slug().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(route(json!({})), ["three", "one", "two"]);
    assert_eq!(route(json!({"sort":"price"})), ["one", "two", "three"]);
    assert_eq!(route(json!({"order":["two"]})), ["two", "three", "one"]);
    health.failed(last, Instant::now());
    assert_eq!(route(json!({})), ["one", "two", "three"], "who has just failed is not gone back to");
}

#[test]
fn a_conversation_is_known_by_its_beginning_or_by_its_id() {
    let memory = Conversations::default();
    let (org, other) = (crate::base::ids::OrgId::fresh(), crate::base::ids::OrgId::fresh());
    let models = ["a/b".to_owned()];
    let body = |messages: Value| json!({ "messages": messages }).as_object().cloned().unwrap_or_default();
    let first = body(json!([{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"}]));
    let later = body(json!([{"role":"system","content":"Be brief."},{"role":"user","content":"Hello"},
        {"role":"assistant","content":"Hi"},{"role":"user","content":"More"}]));
    let strange = body(json!([{"role":"system","content":"Be brief."},{"role":"user","content":"Hello!"}]));
    let of = |org, session, body: &serde_json::Map<String, Value>| memory.of(org, session, &models, body);
    assert_eq!(of(org, None, &first), of(org, None, &later));
    assert_ne!(of(org, None, &first), of(org, None, &strange));
    assert_ne!(of(org, None, &first), of(other, None, &first), "of one organization");
    assert_eq!(of(org, Some("s"), &first), of(org, Some("s"), &strange));
    assert_eq!(memory.last(of(org, None, &first)), None);
    let endpoint = three()[0].id;
    memory.remember(of(org, None, &first), endpoint);
    assert_eq!(memory.last(of(org, None, &later)), Some(endpoint));
}

#[test]
fn the_outlook_says_who_and_why_not() {
    let health = Health::new(Instant::now());
    let file = CatalogFile::shipped().expect("the shipped file is read");
    assert!(!file.models.is_empty());
    let model = listed("a/b", three());
    let preferences = Preferences::default();
    let policy = Policy { ignored: vec!["three".into()], ..Policy::default() };
    let body = serde_json::Map::new();
    let asked =
        Asked { models: &[], preferences: &preferences, policy: &policy, body: &body, has_cap: false, last: None };
    let seen = super::outlook::of_listed(&model, Variant::Standard, &asked, &health, Instant::now());
    let next: Vec<(&str, u64)> = seen.next.iter().map(|next| (next.provider.as_str(), next.first_of_1000)).collect();
    assert_eq!(next, [("ONE", 800), ("TWO", 200)]);
    assert_eq!(seen.left_out, [LeftOut { provider: "THREE".into(), why: Why::Ignored }]);
    assert!(seen.drawn);
    health.failed(model.offers[0].id, Instant::now());
    let seen = super::outlook::of_listed(&model, Variant::Standard, &asked, &health, Instant::now());
    assert_eq!(seen.next[0].provider, "TWO");
    assert_eq!((seen.next[0].first_of_1000, seen.next[1].failed, seen.drawn), (1_000, true, false));
}

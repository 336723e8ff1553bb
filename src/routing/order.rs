//! In which order the endpoints of a model are asked.

use std::cmp::Reverse;
use std::time::Instant;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::candidates::{Candidate, is_named};
use super::{Asked, Health, Sort};
use crate::catalog::Price;

/// Named ones first as named, then keys of the organization's own, then the operator's. Among these: who answered this
/// conversation before, then the healthy ones as sorted, then those that are slower than wanted, then those that failed
/// a moment ago. Own keys that are for the worst case come after all of them.
pub(super) fn order(
    found: Vec<Candidate>,
    sort: Sort,
    asked: &Asked<'_>,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Vec<Candidate> {
    if found.len() < 2 {
        return found;
    }
    let (worst, found): (Vec<_>, Vec<_>) = found.into_iter().partition(Candidate::is_last_resort);
    let named = &asked.preferences.order;
    let position = |candidate: &Candidate| named.iter().position(|name| is_named(candidate.offer(), name));
    let (mut first, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|candidate| position(candidate).is_some());
    first.sort_by_key(|candidate| (position(candidate), candidate.own().is_none()));
    let (own, shared): (Vec<_>, Vec<_>) = rest.into_iter().partition(|candidate| candidate.own().is_some());
    for group in [own, shared, worst] {
        if !group.is_empty() {
            first.extend(by_health(group, sort, asked, health, now, draw));
        }
    }
    first
}

fn by_health(
    group: Vec<Candidate>,
    sort: Sort,
    asked: &Asked<'_>,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Vec<Candidate> {
    let mut first = Vec::with_capacity(group.len());
    let (well, ill): (Vec<_>, Vec<_>) =
        group.into_iter().partition(|candidate| health.is_well(candidate.offer().id, now));
    let (mut well, slow): (Vec<_>, Vec<_>) =
        well.into_iter().partition(|candidate| is_fast_enough(candidate, asked, health, now));
    // A sort that somebody asked for is obeyed; a draw may remember.
    let last = well.iter().position(|candidate| sort == Sort::Balanced && asked.last == Some(candidate.offer().id));
    if let Some(last) = last {
        first.push(well.remove(last));
    }
    for group in [well, slow, ill] {
        first.extend(sorted(group, sort, health, now, draw));
    }
    first
}

/// Whether an endpoint is as fast as wanted, as far as is known.
fn is_fast_enough(candidate: &Candidate, asked: &Asked<'_>, health: &Health, now: Instant) -> bool {
    let (least, most) = (&asked.preferences.min_throughput, &asked.preferences.max_latency);
    (least.is_empty() && most.is_empty()) || health.is_fast_enough(candidate.offer().id, now, least, most)
}

fn sorted(
    mut group: Vec<Candidate>,
    sort: Sort,
    health: &Health,
    now: Instant,
    draw: &mut dyn FnMut(u64) -> u64,
) -> Vec<Candidate> {
    let speed = |candidate: &Candidate| health.speed(candidate.offer().id, now).unwrap_or_default();
    match sort {
        Sort::Balanced => return balanced(group, draw),
        Sort::Price => group.sort_by_key(|candidate| weight_price(&candidate.offer().endpoint.price)),
        // Who was not measured comes after who was; the catalog's order, cheapest first, decides among equals.
        Sort::Throughput => group.sort_by_cached_key(|candidate| Reverse(speed(candidate).tokens_per_1000s)),
        Sort::Latency => group.sort_by_cached_key(|candidate| speed(candidate).first_token_ms.unwrap_or(u64::MAX)),
    }
    group
}

/// Draws without putting back, each with a chance by the inverse square of its price.
pub(super) fn balanced(mut group: Vec<Candidate>, draw: &mut dyn FnMut(u64) -> u64) -> Vec<Candidate> {
    let mut out = Vec::with_capacity(group.len());
    while group.len() > 1 {
        let weights = weights(&group);
        let mut ticket = draw(weights.iter().sum::<u64>().max(1));
        let chosen = weights.iter().position(|weight| {
            let hit = ticket < *weight;
            ticket = ticket.saturating_sub(*weight);
            hit
        });
        out.push(group.remove(chosen.unwrap_or(0)));
    }
    out.extend(group);
    out
}

/// Whole numbers: the cheapest has a million, one at ten times its price ten thousand.
pub(super) fn weights(group: &[Candidate]) -> Vec<u64> {
    const SCALE: u64 = 1_000;
    let prices: Vec<Decimal> = group.iter().map(|candidate| weight_price(&candidate.offer().endpoint.price)).collect();
    let cheapest = prices.iter().min().copied().unwrap_or_default();
    let ratio = |price: Decimal| {
        if price == cheapest {
            return SCALE;
        }
        (cheapest * Decimal::from(SCALE)).checked_div(price).and_then(|ratio| ratio.to_u64()).unwrap_or(0)
    };
    prices.into_iter().map(|price| ratio(price).pow(2).max(1)).collect()
}

/// One number for a price. A flat price per call stands for a thousand tokens of each kind.
fn weight_price(price: &Price) -> Decimal {
    price.prompt.amount()
        + price.completion.amount()
        + price.request.unwrap_or_default().amount() / Decimal::ONE_THOUSAND
}

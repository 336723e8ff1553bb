//! What would happen to a call, for the pages that show it.

use std::sync::Arc;
use std::time::Instant;

use super::candidates::{self, Candidate, Variant};
use super::order::{order, weights};
use super::{Asked, Health, Sort, Why};
use crate::catalog::{Catalog, ListedModel};

/// A call to one model, as it would go now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outlook {
    /// In the order in which they would be asked; for a drawn one, the likeliest order.
    pub next: Vec<Next>,
    pub left_out: Vec<LeftOut>,
    /// Whether chance decides who is first.
    pub drawn: bool,
}

/// A provider that may answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Next {
    pub provider: String,
    /// Of a thousand calls, those that it is asked first in.
    pub first_of_1000: u64,
    /// It failed a moment ago, so that it is asked after the others.
    pub failed: bool,
}

/// A provider that has the model and is not asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    pub provider: String,
    pub why: Why,
}

/// What would become of a call to the first of the named models; `None` where there is no such model.
#[must_use]
pub fn outlook(catalog: &Catalog, asked: &Asked<'_>, health: &Health, now: Instant) -> Option<Outlook> {
    let (listed, variant) = candidates::find(catalog, asked.models.first()?)?;
    Some(of_listed(listed, variant, asked, health, now))
}

pub(super) fn of_listed(
    listed: &Arc<ListedModel>,
    variant: Variant,
    asked: &Asked<'_>,
    health: &Health,
    now: Instant,
) -> Outlook {
    let sort = candidates::sort_of(variant, asked);
    // The lowest ticket draws the cheapest, which is the likeliest.
    let found = order(candidates::allowed(listed, variant, asked), sort, asked, health, now, &mut |_| 0);
    let failed = |candidate: &Candidate| !health.is_well(candidate.offer().id, now);
    let drawn_from: Vec<Candidate> = match found.first() {
        Some(first) if sort == Sort::Balanced && !is_certain(first, asked) => {
            let ill = failed(first);
            let own = first.own().is_some();
            let like_first = |candidate: &&Candidate| failed(candidate) == ill && candidate.own().is_some() == own;
            found.iter().filter(like_first).cloned().collect()
        }
        Some(first) => vec![first.clone()],
        None => Vec::new(),
    };
    let weights = weights(&drawn_from);
    let sum = weights.iter().sum::<u64>().max(1);
    let chance = |candidate: &Candidate| {
        let same = |one: &Candidate| one.offer().id == candidate.offer().id && one.own() == candidate.own();
        let drawn = drawn_from.iter().position(same);
        drawn.and_then(|at| weights.get(at)).map_or(0, |weight| weight * 1_000 / sum)
    };
    let name = |candidate: &Candidate| {
        let name = &candidate.offer().provider.provider.name;
        if candidate.own().is_some() { format!("{name} with your own key") } else { name.clone() }
    };
    let next = found.iter().map(|candidate| Next {
        provider: name(candidate),
        first_of_1000: chance(candidate),
        failed: failed(candidate),
    });
    let left_out = candidates::left_out(listed, variant, asked);
    Outlook {
        next: next.collect(),
        left_out: left_out.into_iter().map(|(candidate, why)| LeftOut { provider: name(&candidate), why }).collect(),
        drawn: drawn_from.len() > 1,
    }
}

/// Whether no dice are thrown for the first.
fn is_certain(first: &Candidate, asked: &Asked<'_>) -> bool {
    asked.last == Some(first.offer().id)
        || asked.preferences.order.iter().any(|name| candidates::is_named(first.offer(), name))
}

//! What of the models is shown, as the address says it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::shown_offers;
use super::words::capitalized;
use crate::catalog::{Catalog, EndpointId, ListedModel, Modality, Offer, UnitPrice};
use crate::routing::{Measured, Policy};
use crate::web::Fields;
use crate::web::views::Choice;

/// Longer than any name of a model.
const MAX_SEARCH: usize = 80;
/// Models beside each other; more do not fit on a screen.
pub const MAX_COMPARED: usize = 4;
/// Models on one page.
pub const PAGE: usize = 50;
const INPUTS: [Modality; 5] = [Modality::Text, Modality::Image, Modality::File, Modality::Audio, Modality::Video];
const SORTS: [(&str, &str); 6] = [
    ("newest", "Newest"),
    ("name", "Name"),
    ("price", "Input price"),
    ("output", "Output price"),
    ("context", "Longest context"),
    ("speed", "Fastest here"),
];
/// Dollars per million tokens of the prompt.
const PRICES: [(&str, &str); 6] = [
    ("free", "Free"),
    ("0.25", "Up to $0.25"),
    ("1", "Up to $1"),
    ("3", "Up to $3"),
    ("5", "Up to $5"),
    ("15", "Up to $15"),
];
const CONTEXTS: [(&str, &str); 4] =
    [("32000", "32K or more"), ("128000", "128K or more"), ("200000", "200K or more"), ("1000000", "1M or more")];

/// What was measured of each endpoint in the last day.
pub type Day = HashMap<EndpointId, Measured>;

/// The filters. An empty one lets everything through; so does one that cannot be read.
#[derive(Clone, Default)]
pub struct Filter {
    pub search: String,
    provider: String,
    modality: String,
    price: String,
    context: String,
    sort: String,
    /// From 0.
    pub page: usize,
    /// Ids of models, each once.
    pub compared: Vec<String>,
}

impl Filter {
    pub fn read(fields: &Fields) -> Filter {
        let text = |name: &str| -> String {
            fields.one(name).chars().filter(|c| !c.is_control()).take(MAX_SEARCH).collect::<String>().trim().to_owned()
        };
        let mut compared: Vec<String> = Vec::new();
        for id in fields.all("compare") {
            if compared.len() < MAX_COMPARED && !compared.contains(&id) {
                compared.push(id);
            }
        }
        Filter {
            search: text("q"),
            provider: text("provider"),
            modality: text("modality"),
            price: text("price"),
            context: text("context"),
            // The first one needs no word in the address.
            sort: Some(text("sort")).filter(|sort| sort != SORTS[0].0).unwrap_or_default(),
            page: text("page").parse::<usize>().unwrap_or(1).saturating_sub(1),
            compared,
        }
    }

    /// The address that shows the same, without what is empty.
    pub fn address(&self, page: usize) -> String {
        let page = if page == 0 { String::new() } else { (page + 1).to_string() };
        let pairs = [
            ("q", self.search.as_str()),
            ("provider", &self.provider),
            ("modality", &self.modality),
            ("price", &self.price),
            ("context", &self.context),
            ("sort", &self.sort),
            ("page", &page),
        ];
        let compared = self.compared.iter().map(|id| ("compare", id.as_str()));
        let pairs: Vec<_> = pairs.into_iter().chain(compared).filter(|(_, value)| !value.is_empty()).collect();
        match serde_urlencoded::to_string(pairs).unwrap_or_default().as_str() {
            "" => "/models".to_owned(),
            query => format!("/models?{query}"),
        }
    }

    pub fn without_compared(&self) -> Filter {
        Filter { compared: Vec::new(), ..self.clone() }
    }

    pub fn lets_through(&self, listed: &Arc<ListedModel>, policy: &Policy) -> bool {
        let model = &listed.model;
        let search = self.search.to_lowercase();
        let found = search.split_whitespace().all(|word| {
            [model.name.as_str(), model.slug.as_str()].iter().any(|text| text.to_lowercase().contains(word))
        });
        let served = self.provider.is_empty()
            || shown_offers(listed, policy).iter().any(|offer| offer.provider.provider.slug.as_str() == self.provider);
        let takes = self.modality.is_empty() || model.input_modalities.iter().any(|m| m.as_str() == self.modality);
        let long = !self.context.parse::<u32>().is_ok_and(|least| model.context_length < least);
        found && served && takes && long && self.affords(listed)
    }

    fn affords(&self, listed: &ListedModel) -> bool {
        let Some(price) = listed.lead_offer().map(|offer| offer.endpoint.price) else { return true };
        if self.price == "free" {
            return price.is_free();
        }
        let most = UnitPrice::parse_per_million(&self.price).ok();
        most.is_none_or(|most| price.prompt <= most)
    }

    /// The catalog's own order is by age.
    pub fn sort(&self, models: &mut [&Arc<ListedModel>], day: &Day, policy: &Policy) {
        let price = |listed: &ListedModel, of: fn(&Offer) -> UnitPrice| listed.lead_offer().map(of);
        match self.sort.as_str() {
            "name" => models.sort_by_cached_key(|listed| listed.model.name.to_lowercase()),
            "price" => models.sort_by_key(|listed| price(listed, |offer| offer.endpoint.price.prompt)),
            "output" => models.sort_by_key(|listed| price(listed, |offer| offer.endpoint.price.completion)),
            "context" => models.sort_by_key(|listed| Reverse(listed.model.context_length)),
            "speed" => models.sort_by_cached_key(|listed| Reverse(fastest(listed, day, policy))),
            _ => {}
        }
    }

    pub fn providers(&self, catalog: &Catalog, policy: &Policy) -> Vec<Choice> {
        let own = |slug: &str| policy.own.usable.iter().any(|key| key.provider == slug);
        let open = catalog.providers().iter().filter(|listed| listed.is_open() || own(listed.provider.slug.as_str()));
        let open = open.map(|listed| &listed.provider);
        let all = Choice::new("", "All providers", "", self.provider.is_empty());
        std::iter::once(all)
            .chain(open.map(|one| Choice::new(one.slug.as_str(), &one.name, "", one.slug.as_str() == self.provider)))
            .collect()
    }

    pub fn modalities(&self) -> Vec<Choice> {
        let all = Choice::new("", "Anything", "", self.modality.is_empty());
        let one =
            |one: Modality| Choice::new(one.as_str(), &capitalized(one.as_str()), "", one.as_str() == self.modality);
        std::iter::once(all).chain(INPUTS.map(one)).collect()
    }

    pub fn prices(&self) -> Vec<Choice> {
        choices("Any price", &PRICES, &self.price)
    }

    pub fn contexts(&self) -> Vec<Choice> {
        choices("Any length", &CONTEXTS, &self.context)
    }

    pub fn sorts(&self) -> Vec<Choice> {
        let chosen = |word: &str| word == self.sort || (self.sort.is_empty() && word == SORTS[0].0);
        SORTS.map(|(word, label)| Choice::new(word, label, "", chosen(word))).to_vec()
    }
}

fn choices(all: &str, offered: &[(&str, &str)], chosen: &str) -> Vec<Choice> {
    let all = Choice::new("", all, "", !offered.iter().any(|(word, _)| *word == chosen));
    std::iter::once(all)
        .chain(offered.iter().map(|(word, label)| Choice::new(word, label, "", *word == chosen)))
        .collect()
}

/// Tokens in a thousand seconds of the fastest provider that is shown; `None` where none was measured.
fn fastest(listed: &Arc<ListedModel>, day: &Day, policy: &Policy) -> Option<u64> {
    super::shown_offers(listed, policy).iter().filter_map(|offer| day.get(&offer.id)?.speed().tokens_per_1000s).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(pairs: &[(&str, &str)]) -> Filter {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Filter::read(&Fields::from(pairs))
    }

    #[test]
    fn an_address_has_what_was_chosen_and_nothing_else() {
        assert_eq!(filter(&[("q", " "), ("sort", "")]).address(0), "/models");
        let chosen = filter(&[("q", "gpt 5"), ("price", "1"), ("compare", "a/b"), ("compare", "a/b"), ("page", "3")]);
        assert_eq!(chosen.page, 2);
        assert_eq!(chosen.address(1), "/models?q=gpt+5&price=1&page=2&compare=a%2Fb");
        assert_eq!(chosen.without_compared().address(0), "/models?q=gpt+5&price=1");
    }

    #[test]
    fn no_more_are_compared_than_fit() {
        let many: Vec<String> = (0..9).map(|n| format!("a/{n}")).collect();
        let pairs: Vec<(&str, &str)> = many.iter().map(|id| ("compare", id.as_str())).collect();
        assert_eq!(filter(&pairs).compared.len(), MAX_COMPARED);
    }
}

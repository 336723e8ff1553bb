//! Models in words: prices, lengths, and how fast they were here.

use rust_decimal::Decimal;

use crate::base::Usd;
use crate::base::money::thousands;
use crate::catalog::{ListedModel, Modality, Price, ProviderKind, UnitPrice};
use crate::overview::call_rows;
use crate::routing::Measured;
use crate::web::present::duration;
use crate::web::views::Fact;

/// Such as `$0.25`: at least cents, and every digit that there is.
pub(super) fn per_million(price: UnitPrice) -> String {
    dollars(price.per_million())
}

/// With the price of a call beside it, where there is one: $0.00 alone would promise a free call.
pub(super) fn input_price(price: &Price) -> String {
    let input = per_million(price.prompt);
    match price.request.filter(|request| !request.is_zero()) {
        Some(request) => format!("{input} + {} a call", dollars(request.amount())),
        None => input,
    }
}

/// An amount with at least cents, and every digit that there is.
pub(in crate::overview) fn dollars(amount: Decimal) -> String {
    let amount = amount.normalize();
    if amount.scale() <= 2 { Usd::new(amount).display() } else { Usd::new(amount).display_exact() }
}

/// Such as `400K` or `1.05M`.
pub(super) fn tokens(count: u32) -> String {
    let count = u64::from(count);
    match count {
        999_500.. => format!("{}M", hundredths((count + 5_000) / 10_000)),
        1_000.. => format!("{}K", (count + 500) / 1_000),
        _ => count.to_string(),
    }
}

fn hundredths(count: u64) -> String {
    let text = format!("{}.{:02}", count / 100, count % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub(super) fn words(modalities: &[Modality]) -> String {
    modalities.iter().map(|modality| modality.as_str()).collect::<Vec<_>>().join(", ")
}

pub(super) fn is_sandbox(listed: &ListedModel) -> bool {
    !listed.offers.is_empty() && listed.offers.iter().all(|offer| offer.provider.provider.kind == ProviderKind::Sandbox)
}

pub(super) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

pub(super) fn figures(listed: &ListedModel) -> Vec<Fact> {
    let model = &listed.model;
    let mut figures = vec![
        ("Context", format!("{} tokens", tokens(model.context_length))),
        ("Longest answer", longest(model.max_output)),
        ("Takes", words(&model.input_modalities)),
        ("Gives", words(&model.output_modalities)),
    ];
    if let Some(day) = model.knowledge_cutoff {
        figures.push(("Knows up to", day.format("%b %Y").to_string()));
    }
    // A price that only some models have is told where it stands, so that no price is left out.
    let lead = listed.lead_offer().map(|offer| offer.endpoint.price).unwrap_or_default();
    for (label, price) in [("Per call", lead.request), ("Per image", lead.image)] {
        figures.extend(price.filter(|price| !price.is_zero()).map(|price| (label, dollars(price.amount()))));
    }
    if let Some(price) = lead.cache_write {
        figures.push(("Cache writes / 1M", per_million(price)));
    }
    figures.into_iter().map(|(label, value)| Fact { label: label.to_owned(), value, mono: false }).collect()
}

pub(super) fn longest(count: Option<u32>) -> String {
    count.map_or_else(|| "not stated".to_owned(), |count| format!("{} tokens", tokens(count)))
}

/// What was measured of an endpoint or a model. Where nothing was, nothing is said, which is not zero.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// Such as `62 tok/s`.
    pub speed: Option<String>,
    /// Such as `312 ms`.
    pub first_token: Option<String>,
    /// Such as `99.8%`.
    pub uptime: Option<String>,
    /// Such as `of 1,204 tries`.
    pub tries: String,
}

impl Seen {
    pub(super) fn of(measured: Option<&Measured>) -> Seen {
        let Some(measured) = measured else { return Seen::default() };
        let speed = measured.speed();
        Seen {
            speed: speed.tokens_per_1000s.map(|speed| call_rows::speed(whole(speed / 100))),
            first_token: speed.first_token_ms.map(|ms| duration(whole(ms))),
            uptime: measured.answered_of_1000().map(percent),
            tries: match measured.answered + measured.failed {
                0 => String::new(),
                1 => "of one try".to_owned(),
                tries => format!("of {} tries", thousands(&tries.to_string())),
            },
        }
    }
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Rounded down, so that only what never failed is a hundred.
fn percent(of_1000: u64) -> String {
    match (of_1000 / 10, of_1000 % 10) {
        (whole, 0) => format!("{whole}%"),
        (whole, tenths) => format!("{whole}.{tenths}%"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_show_every_digit_and_at_least_cents() {
        let shown = |text: &str| UnitPrice::parse_per_million(text).map(per_million).unwrap_or_default();
        assert_eq!(shown("3"), "$3.00");
        assert_eq!(shown("0.25"), "$0.25");
        assert_eq!(shown("0.075"), "$0.075");
        assert_eq!(shown("1.2345"), "$1.2345");
        assert_eq!(shown("0"), "$0.00");
        let flat = Price { request: UnitPrice::parse("0.01").ok(), ..Price::default() };
        assert_eq!(input_price(&flat), "$0.00 + $0.01 a call");
    }

    #[test]
    fn counts_of_tokens_are_short() {
        assert_eq!(
            ["800", "32000", "163840", "999999", "1048576"].map(|n| tokens(n.parse().unwrap_or(0))),
            ["800", "32K", "164K", "1M", "1.05M"]
        );
    }

    #[test]
    fn what_was_not_measured_is_not_zero() {
        let nothing = Seen::of(None);
        assert_eq!((nothing.speed, nothing.first_token, nothing.uptime), (None, None, None));
        let failed = Seen::of(Some(&Measured { failed: 3, ..Measured::default() }));
        assert_eq!((failed.uptime.as_deref(), failed.speed), (Some("0%"), None));
        assert_eq!(failed.tries, "of 3 tries");
        let seen =
            Measured { answered: 999, failed: 1, begun: 2, first_token_ms: 2_500, tokens: 620, writing_ms: 10_000 };
        let seen = Seen::of(Some(&seen));
        assert_eq!(seen.uptime.as_deref(), Some("99.9%"));
        assert_eq!((seen.speed.as_deref(), seen.first_token.as_deref()), (Some("62 tok/s"), Some("1.2 s")));
        assert_eq!(percent(1_000), "100%");
    }
}

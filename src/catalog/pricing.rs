//! Usage times price, exactly. Pure: the same inputs always cost the same.

use rust_decimal::Decimal;
use serde::Serialize;

use super::{Price, UnitPrice};
use crate::base::Usd;
use crate::base::money::SCALE;

/// More of anything in one call is not plausible. With the greatest unit price a line stays below 10^12 dollars, so a
/// product never overflows and never loses a digit.
pub const MAX_QUANTITY: u64 = 1_000_000_000;

const IMAGES: &str = "Images";
const REQUESTS: &str = "Requests";
const SEARCH_UNITS: &str = "Search units";

/// What one call consumed.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Serialize)]
pub struct Usage {
    /// Every token of the prompt, those read from and written to a cache included.
    pub prompt_tokens: u64,
    /// Every token of the answer, reasoning included.
    pub completion_tokens: u64,
    /// Of the prompt: read from a cache.
    pub cached_tokens: u64,
    /// Of the prompt: written to a cache.
    pub cache_write_tokens: u64,
    /// Of the answer: reasoning. Costs the same as the rest of the answer.
    pub reasoning_tokens: u64,
    /// Images in the prompt.
    pub images: u64,
    /// Of the prompt: audio that was not cached.
    pub audio_tokens: u64,
    /// Of the answer: audio.
    pub audio_output_tokens: u64,
    /// Calls that the provider charges for: one, or none where nothing was produced. Of a call that ranks documents, its
    /// search units.
    pub requests: u64,
}

/// The most that a call can consume, known before it is made.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Bounds {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub images: u64,
    /// Of the prompt.
    pub audio_tokens: u64,
    /// Whether the answer may be audio, at its own price.
    pub audio_output: bool,
    pub requests: u64,
}

/// What a call costs and why.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Cost {
    pub total: Usd,
    /// Their amounts add up to the total, to the last digit. Empty where nothing was consumed.
    pub lines: Vec<CostLine>,
}

/// One factor of a cost.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CostLine {
    pub label: &'static str,
    pub quantity: u64,
    pub unit_price: UnitPrice,
    pub amount: Usd,
}

impl CostLine {
    /// Its price is for one piece, not for tokens by the million.
    #[must_use]
    pub fn is_per_piece(&self) -> bool {
        matches!(self.label, IMAGES | REQUESTS | SEARCH_UNITS)
    }

    /// Of a call that ranks documents: what others are charged for each call, it is for each search unit.
    pub fn name_search_units(&mut self) {
        if self.label == REQUESTS {
            self.label = SEARCH_UNITS;
        }
    }
}

/// A quantity beyond [`MAX_QUANTITY`]: a broken report, which must not become a bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} units in one call are not plausible")]
pub struct ImplausibleUsage(pub u64);

/// What `usage` costs at `price`.
///
/// A report in which more tokens were cached than sent is cut to the prompt, so that no token is paid for twice.
///
/// # Errors
/// When a quantity is beyond [`MAX_QUANTITY`].
pub fn cost(usage: &Usage, price: &Price) -> Result<Cost, ImplausibleUsage> {
    let cached = usage.cached_tokens.min(usage.prompt_tokens);
    let written = usage.cache_write_tokens.min(usage.prompt_tokens - cached);
    let fresh = usage.prompt_tokens - cached - written;
    let audio = usage.audio_tokens.min(fresh);
    let reasoning = usage.reasoning_tokens.min(usage.completion_tokens);
    let spoken = usage.audio_output_tokens.min(usage.completion_tokens - reasoning);
    let parts = [
        ("Input tokens", fresh - audio, price.prompt),
        ("Audio input tokens", audio, price.audio.unwrap_or(price.prompt)),
        ("Cached input tokens", cached, price.cache_read.unwrap_or(price.prompt)),
        ("Tokens written to cache", written, price.cache_write.unwrap_or(price.prompt)),
        ("Output tokens", usage.completion_tokens - reasoning - spoken, price.completion),
        ("Audio output tokens", spoken, price.audio_output.unwrap_or(price.completion)),
        ("Reasoning tokens", reasoning, price.completion),
        (IMAGES, usage.images, price.image.unwrap_or_default()),
        (REQUESTS, usage.requests, price.request.unwrap_or_default()),
    ];
    // Tokens are always worth a line. An image or a call is one only where it has a price.
    let shown = |&(label, quantity, unit): &(&str, u64, UnitPrice)| {
        quantity > 0 && (!unit.is_zero() || !matches!(label, IMAGES | REQUESTS))
    };
    let lines = parts
        .into_iter()
        .filter(shown)
        .map(|(label, quantity, unit_price)| {
            Ok(CostLine { label, quantity, unit_price, amount: Usd::new(times(quantity, unit_price)?) })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let total = lines.iter().map(|line| line.amount.amount()).sum::<Decimal>();
    Ok(Cost { total: Usd::new(total), lines })
}

/// A price that no call within `most` can exceed, whatever part of it turns out to be cached.
///
/// # Errors
/// When a quantity is beyond [`MAX_QUANTITY`].
pub fn upper_bound(most: &Bounds, price: &Price) -> Result<Usd, ImplausibleUsage> {
    let total = fixed_bound(most, price)? + times(most.completion_tokens, answer_price(most, price))?;
    Ok(Usd::new(total))
}

/// The most output tokens, up to those of `most`, for which the upper bound still fits into `budget`.
/// `None` where not even an empty answer fits.
///
/// # Errors
/// When a quantity is beyond [`MAX_QUANTITY`].
pub fn affordable_completion(budget: Usd, most: &Bounds, price: &Price) -> Result<Option<u64>, ImplausibleUsage> {
    let answer = answer_price(most, price);
    times(most.completion_tokens, answer)?;
    let rest = budget.amount() - fixed_bound(most, price)?;
    if rest.is_sign_negative() && !rest.is_zero() {
        return Ok(None);
    }
    if answer.is_zero() {
        return Ok(Some(most.completion_tokens));
    }
    // Whole numbers of the smallest unit divide exactly; a decimal quotient might round up.
    let tokens = smallest_units(rest) / smallest_units(answer.amount());
    Ok(Some(u64::try_from(tokens).unwrap_or(u64::MAX).min(most.completion_tokens)))
}

/// The most that a token of the answer may cost.
fn answer_price(most: &Bounds, price: &Price) -> UnitPrice {
    let spoken = price.audio_output.filter(|_| most.audio_output);
    spoken.map_or(price.completion, |spoken| spoken.max(price.completion))
}

/// Everything but the answer.
fn fixed_bound(most: &Bounds, price: &Price) -> Result<Decimal, ImplausibleUsage> {
    let dearest = [price.cache_read, price.cache_write].into_iter().flatten().fold(price.prompt, UnitPrice::max);
    // Any token may turn out to be audio only as far as audio was sent.
    let audio = most.audio_tokens.min(most.prompt_tokens);
    let dearest_audio = price.audio.unwrap_or(dearest).max(dearest);
    Ok(times(most.prompt_tokens - audio, dearest)?
        + times(audio, dearest_audio)?
        + times(most.images, price.image.unwrap_or_default())?
        + times(most.requests, price.request.unwrap_or_default())?)
}

/// The one multiplication of a quantity and a price. Exact: a unit price has at most twelve digits after the point.
fn times(quantity: u64, unit: UnitPrice) -> Result<Decimal, ImplausibleUsage> {
    if quantity > MAX_QUANTITY {
        return Err(ImplausibleUsage(quantity));
    }
    Ok(unit.amount() * Decimal::from(quantity))
}

fn smallest_units(amount: Decimal) -> i128 {
    let mut amount = amount;
    amount.rescale(SCALE);
    amount.mantissa()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unit() -> impl Strategy<Value = UnitPrice> {
        prop_oneof![
            Just(UnitPrice::ZERO),
            Just(UnitPrice::MAX),
            (0..=100_000_000_000_000_i64)
                .prop_map(|n| Decimal::new(n, SCALE).to_string())
                .prop_map(|text| { UnitPrice::parse(&text).unwrap_or_default() }),
        ]
    }

    fn price() -> impl Strategy<Value = Price> {
        let maybe = || proptest::option::of(unit());
        (unit(), unit(), maybe(), maybe(), maybe(), maybe(), maybe(), maybe()).prop_map(
            |(prompt, completion, cache_read, cache_write, request, image, audio, audio_output)| Price {
                prompt,
                completion,
                cache_read,
                cache_write,
                request,
                image,
                audio,
                audio_output,
            },
        )
    }

    fn count() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), Just(MAX_QUANTITY), 0..=200_000_u64, 0..=MAX_QUANTITY]
    }

    fn usage() -> impl Strategy<Value = Usage> {
        let audio = (count(), count());
        (count(), count(), count(), count(), count(), count(), 0..=2_u64, audio).prop_map(|n| Usage {
            prompt_tokens: n.0,
            completion_tokens: n.1,
            cached_tokens: n.2,
            cache_write_tokens: n.3,
            reasoning_tokens: n.4,
            images: n.5,
            requests: n.6,
            audio_tokens: n.7.0,
            audio_output_tokens: n.7.1,
        })
    }

    fn total(usage: &Usage, price: &Price) -> Decimal {
        cost(usage, price).expect("generated within the limits").total.amount()
    }

    proptest! {
        #[test]
        fn the_lines_add_up_to_the_total(usage in usage(), price in price()) {
            let cost = cost(&usage, &price).expect("generated within the limits");
            let sum: Decimal = cost.lines.iter().map(|line| line.amount.amount()).sum();
            prop_assert_eq!(sum, cost.total.amount());
            prop_assert!(cost.total.amount().scale() <= SCALE);
            for line in &cost.lines {
                // In whole numbers of the smallest unit nothing can have been rounded.
                let exact = smallest_units(line.unit_price.amount()) * i128::from(line.quantity);
                prop_assert_eq!(smallest_units(line.amount.amount()), exact);
            }
        }

        #[test]
        fn more_never_costs_less(usage in usage(), price in price(), more in 0..=1_000_u64) {
            let before = total(&usage, &price);
            let raise = |n: u64| (n + more).min(MAX_QUANTITY);
            let tokens = Usage { prompt_tokens: raise(usage.prompt_tokens), ..usage };
            // With a cache or audio that costs less than fresh input, more prompt alone is still more money.
            let audio = usage.audio_tokens + usage.audio_output_tokens;
            if audio == 0 && usage.cached_tokens + usage.cache_write_tokens <= usage.prompt_tokens {
                prop_assert!(total(&tokens, &price) >= before);
            }
            if audio == 0 {
                let tokens = Usage { completion_tokens: raise(usage.completion_tokens), ..usage };
                prop_assert!(total(&tokens, &price) >= before);
            }
            let images = Usage { images: raise(usage.images), ..usage };
            prop_assert!(total(&images, &price) >= before);
            let requests = Usage { requests: usage.requests + 1, ..usage };
            prop_assert!(total(&requests, &price) >= before);
        }

        #[test]
        fn no_call_within_the_bounds_costs_more_than_the_upper_bound(
            usage in usage(), price in price(), slack in (0..=9_u64, 0..=9_u64),
        ) {
            let bounds = Bounds {
                prompt_tokens: (usage.prompt_tokens + slack.0).min(MAX_QUANTITY),
                completion_tokens: (usage.completion_tokens + slack.1).min(MAX_QUANTITY),
                images: usage.images,
                requests: usage.requests,
                audio_tokens: usage.audio_tokens,
                audio_output: usage.audio_output_tokens > 0,
            };
            let bound = upper_bound(&bounds, &price).expect("generated within the limits");
            prop_assert!(bound.amount() >= total(&usage, &price));
        }

        #[test]
        fn what_is_affordable_fits_and_one_token_more_does_not(
            price in price(), prompt in 0..=10_000_u64, most in 0..=100_000_u64, budget in 0..=2_000_000_000_000_000_i64,
        ) {
            let budget = Usd::new(Decimal::new(budget, SCALE));
            let bounds = Bounds { prompt_tokens: prompt, completion_tokens: most, requests: 1, ..Bounds::default() };
            let bound = |completion_tokens| {
                upper_bound(&Bounds { completion_tokens, ..bounds }, &price).expect("generated within the limits")
            };
            match affordable_completion(budget, &bounds, &price).expect("generated within the limits") {
                None => prop_assert!(bound(0) > budget),
                Some(tokens) => {
                    prop_assert!(bound(tokens) <= budget);
                    prop_assert!(tokens == most || bound(tokens + 1) > budget);
                }
            }
        }
    }

    #[test]
    fn a_cached_prompt_is_billed_line_by_line() {
        let of = |text| UnitPrice::parse_per_million(text).ok();
        let price = Price {
            prompt: of("3").unwrap_or_default(),
            completion: of("15").unwrap_or_default(),
            cache_read: of("0.3"),
            cache_write: of("3.75"),
            ..Price::default()
        };
        let usage = Usage {
            prompt_tokens: 1_000,
            completion_tokens: 100,
            cached_tokens: 600,
            cache_write_tokens: 300,
            requests: 1,
            ..Usage::default()
        };
        let cost = cost(&usage, &price).expect("plausible");
        let lines: Vec<_> = cost.lines.iter().map(|line| (line.label, line.quantity, line.amount.exact())).collect();
        assert_eq!(
            lines,
            [
                ("Input tokens", 100, "0.0003".to_owned()),
                ("Cached input tokens", 600, "0.00018".to_owned()),
                ("Tokens written to cache", 300, "0.001125".to_owned()),
                ("Output tokens", 100, "0.0015".to_owned()),
            ]
        );
        assert_eq!(cost.total.exact(), "0.003105");
    }

    #[test]
    fn a_broken_report_is_not_a_bill() {
        let usage = Usage { prompt_tokens: u64::MAX, ..Usage::default() };
        assert_eq!(cost(&usage, &Price::default()), Err(ImplausibleUsage(u64::MAX)));
    }
}

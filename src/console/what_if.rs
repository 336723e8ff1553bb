//! What the calls of the past would have cost by other prices.
//!
//! Both sides are computed in one way from the same counts: list price times tokens, once by the prices of today and once by
//! the others. So prices that are the same make no difference, to the last digit. What customers really paid is another
//! figure, with other things in it, and is shown beside these two and never subtracted from them.

use super::margin::Charged;
use super::store::{PricedEndpoint, UsedTokens};
use crate::base::Usd;

/// What stands in neither side.
pub const LEFT_OUT: &str = "Both sides are tokens in, cached and out, times list prices. On both sides are left out: what \
                            calls, images and audio cost beside their tokens, the price of tokens written to a cache where \
                            it is another one, discounts, earlier prices, and calls on customers’ own accounts.";

/// The prices of an endpoint that are compared.
#[must_use]
pub fn prices_of(one: &PricedEndpoint) -> Charged {
    Charged { prompt: one.prompt, completion: one.completion, cache_read: one.cache_read }
}

/// The same calls by two price lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compared {
    pub prompt_tokens: i64,
    pub cached_tokens: i64,
    pub completion_tokens: i64,
    /// By the list prices of today.
    pub now: Usd,
    /// By the others.
    pub then: Usd,
    /// What customers really paid for these calls, with everything.
    pub paid: Usd,
}

impl Compared {
    /// Adds calls of one endpoint.
    pub fn add(&mut self, used: &UsedTokens, now: &Charged, then: &Charged) {
        self.prompt_tokens += used.prompt_tokens;
        self.cached_tokens += used.cached_tokens;
        self.completion_tokens += used.completion_tokens;
        self.now += now.cost(used);
        self.then += then.cost(used);
        self.paid += used.cost;
    }

    #[must_use]
    pub fn difference(&self) -> Usd {
        self.then - self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::UnitPrice;

    fn prices(prompt: &str, completion: &str, cached: Option<&str>) -> Charged {
        let price = |text: &str| UnitPrice::parse_per_million(text).unwrap_or_default();
        Charged { prompt: price(prompt), completion: price(completion), cache_read: cached.map(price) }
    }

    #[test]
    fn unchanged_prices_make_no_difference_whatever_was_paid() {
        let used = UsedTokens {
            model: "a/b".into(),
            provider: "c".into(),
            requests: 3,
            prompt_tokens: 1_000_000,
            completion_tokens: 500_000,
            cached_tokens: 400_000,
            // With prices per call and image, and a discount: not what the tokens come to.
            cost: Usd::from_whole(7),
            aside: Usd::ZERO,
        };
        let mut same = Compared::default();
        let now = prices("3", "15", Some("0.3"));
        same.add(&used, &now, &now);
        assert_eq!((same.difference(), same.now.exact(), same.paid), (Usd::ZERO, "9.42".into(), Usd::from_whole(7)));
        let mut dearer = Compared::default();
        dearer.add(&used, &now, &prices("4", "15", Some("0.3")));
        assert_eq!(dearer.difference().exact(), "0.6", "a dollar more for six of ten parts of a million");
        // Without a price of their own, cached tokens cost what others do.
        let mut plain = Compared::default();
        plain.add(&used, &now, &prices("3", "15", None));
        assert_eq!(plain.difference().exact(), "1.08");
    }
}

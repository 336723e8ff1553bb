//! What calls earned: what customers paid, less what providers charge for the tokens by their price lists.
//!
//! What the operator pays for a call is not settled with it: a provider's bill comes by the month and by account, and
//! `upstream_cost` of a call is only known where an organization's own account pays it. So a margin is an estimate from tokens
//! and price lists, and says where it is one of the most there can be: for models of which customers also pay calls, images,
//! audio or tokens written to a cache, whose cost no price list tells.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;

use super::store::{self, PricedEndpoint, UsedTokens};
use crate::base::Usd;
use crate::base::money::thousands;
use crate::catalog::UnitPrice;

/// What providers charge for a unit of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Charged {
    pub prompt: UnitPrice,
    pub completion: UnitPrice,
    /// Tokens from the cache cost this, or as much as others.
    pub cache_read: Option<UnitPrice>,
}

impl Charged {
    /// What tokens come to, to the last digit of the books.
    #[must_use]
    pub fn cost(&self, used: &UsedTokens) -> Usd {
        let count = |tokens: i64| Decimal::from(tokens.max(0));
        let cached = used.cached_tokens.clamp(0, used.prompt_tokens.max(0));
        let cached_price = self.cache_read.unwrap_or(self.prompt);
        let sum = count(used.prompt_tokens - cached) * self.prompt.amount()
            + count(cached) * cached_price.amount()
            + count(used.completion_tokens) * self.completion.amount();
        Usd::new(sum)
    }
}

/// What is known of what the operator pays for a model at a provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    pub charged: Charged,
    /// There are costs that are not known, so a margin is at most what it says.
    pub is_partial: bool,
}

/// What the operator pays, by model and provider; the dearest where a model has several names there.
#[must_use]
pub fn charged(endpoints: &[PricedEndpoint]) -> HashMap<(String, String), Known> {
    let mut known: HashMap<(String, String), Known> = HashMap::new();
    for one in endpoints {
        let (Some(prompt), Some(completion)) = (one.cost_prompt, one.cost_completion) else { continue };
        let charged = Charged { prompt, completion, cache_read: one.cost_cache_read };
        let new = Known { charged, is_partial: one.has_more_prices };
        let place = known.entry((one.model.clone(), one.provider.clone())).or_insert(new);
        if charged.completion.amount() > place.charged.completion.amount() {
            place.charged = charged;
        }
        place.is_partial |= new.is_partial;
    }
    known
}

/// Earnings of a span.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Earned {
    /// What customers paid, for whichever calls.
    pub paid: Usd,
    /// Of it, for calls whose cost is known.
    pub known: Usd,
    pub cost: Usd,
    /// Of what is known, for calls some of whose costs are not.
    pub partial: Usd,
}

impl Earned {
    pub fn add(&mut self, used: &UsedTokens, known: Option<&Known>) {
        self.paid += used.cost + used.aside;
        if let Some(known) = known {
            self.known += used.cost;
            self.cost += known.charged.cost(used);
            if known.is_partial {
                self.partial += used.cost;
            }
        }
    }

    /// `None` where no cost is known.
    #[must_use]
    pub fn margin(&self) -> Option<Usd> {
        (!self.known.is_zero() || !self.cost.is_zero()).then_some(self.known - self.cost)
    }

    /// Costs are missing, so the margin is at most what it says.
    #[must_use]
    pub fn is_at_most(&self) -> bool {
        !self.partial.is_zero()
    }

    /// How much of what was paid the margin speaks of.
    #[must_use]
    pub fn coverage(&self) -> String {
        let of = format!("For calls of {} of {}", self.known.display(), self.paid.display());
        if self.is_at_most() {
            let partial = self.partial.display();
            return format!(
                "{of}. Of {partial} only the tokens are known, not what calls, images, audio or cache writes cost"
            );
        }
        of
    }
}

/// Earnings of all calls in a span of whole hours.
///
/// # Errors
/// Database errors only.
pub async fn total(conn: &mut PgConnection, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<Earned, sqlx::Error> {
    let known = charged(&store::priced_endpoints(conn).await?);
    let mut earned = Earned::default();
    for used in store::used_tokens(conn, from, until).await? {
        earned.add(&used, known.get(&(used.model.clone(), used.provider.clone())));
    }
    Ok(earned)
}

/// A number of tokens or calls.
#[must_use]
pub fn whole(number: i64) -> String {
    thousands(&number.max(0).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_is_what_is_left_of_calls_whose_cost_is_known() {
        let price = |text: &str| UnitPrice::parse_per_million(text).unwrap_or_default();
        let charged = Charged { prompt: price("1"), completion: price("4"), cache_read: Some(price("0.1")) };
        let used = UsedTokens {
            model: "a/b".into(),
            provider: "c".into(),
            requests: 2,
            prompt_tokens: 1_000_000,
            completion_tokens: 500_000,
            cached_tokens: 400_000,
            cost: Usd::from_whole(5),
            aside: Usd::from_whole(1),
        };
        assert_eq!(charged.cost(&used).exact(), "2.64");
        let mut earned = Earned::default();
        assert_eq!(earned.margin(), None);
        earned.add(&used, Some(&Known { charged, is_partial: false }));
        earned.add(&used, None);
        assert_eq!((earned.margin(), earned.paid), (Usd::parse("2.36").ok(), Usd::from_whole(12)));
        assert_eq!(earned.coverage(), "For calls of $5.00 of $12.00");
        earned.add(&used, Some(&Known { charged, is_partial: true }));
        assert!(earned.is_at_most() && earned.coverage().contains("Of $5.00 only the tokens"));
    }
}

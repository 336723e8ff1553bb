//! What a purchase costs beyond its credits.

use rust_decimal::Decimal;
use rust_decimal::dec;

use crate::base::Usd;

/// The least and the most that one purchase may buy.
pub const MIN_PURCHASE: Usd = Usd::from_whole(5);
pub const MAX_PURCHASE: Usd = Usd::from_whole(25_000);

/// A share of the credits, on top of them, with a minimum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeeRule {
    pub percent: Decimal,
    pub minimum: Usd,
}

/// A way to pay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Method {
    pub slug: &'static str,
    pub name: &'static str,
    pub note: &'static str,
    pub processor: &'static str,
    pub fee: FeeRule,
    /// Only there in development.
    pub sandbox: bool,
}

/// Every way to pay that this instance knows.
pub const METHODS: &[Method] = &[Method {
    slug: "sandbox_card",
    name: "Sandbox card",
    note: "Pretend money: no card is asked for and nothing is charged.",
    processor: "sandbox",
    fee: FeeRule { percent: dec!(5.5), minimum: Usd::from_hundredths(80) },
    sandbox: true,
}];

/// The method of a slug, as far as this instance offers it.
#[must_use]
pub fn method(slug: &str, dev: bool) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.slug == slug && (dev || !method.sandbox))
}

/// What somebody would pay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quote {
    pub credits: Usd,
    pub fee: Usd,
    pub total: Usd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("must be whole cents")]
    Fractions,
    #[error("must be between $5 and $25,000")]
    OutOfRange,
}

/// Computes fee and total, rounded to the cent.
///
/// # Errors
/// When the amount has parts of a cent or lies outside of what one purchase may buy.
pub fn quote(credits: Usd, method: &Method) -> Result<Quote, AmountError> {
    if credits.whole_cents().is_none() {
        return Err(AmountError::Fractions);
    }
    if credits < MIN_PURCHASE || credits > MAX_PURCHASE {
        return Err(AmountError::OutOfRange);
    }
    let share = Usd::new(credits.amount() * method.fee.percent / Decimal::ONE_HUNDRED).to_cents();
    let fee = share.max(method.fee.minimum);
    Ok(Quote { credits, fee, total: credits + fee })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fee(text: &str) -> Option<String> {
        let credits = Usd::parse(text).ok()?;
        quote(credits, METHODS.first()?).ok().map(|quote| quote.fee.display())
    }

    #[test]
    fn the_minimum_bites_below_fourteen_dollars_and_fifty_five_cents() {
        assert_eq!(fee("5").as_deref(), Some("$0.80"));
        assert_eq!(fee("14.54").as_deref(), Some("$0.80"));
        assert_eq!(fee("20").as_deref(), Some("$1.10"));
        assert_eq!(fee("25").as_deref(), Some("$1.38"), "half a cent is rounded up");
    }

    #[test]
    fn only_sensible_amounts_are_sold() {
        for bad in ["4.99", "25000.01", "10.001", "-10"] {
            assert_eq!(fee(bad), None, "{bad}");
        }
        assert_eq!(method("sandbox_card", false), None, "no sandbox in production");
    }
}

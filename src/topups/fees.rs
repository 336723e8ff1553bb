//! What can be paid with, and what a purchase costs beyond its credits.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::dec;

use crate::base::Usd;

/// The least and the most that one purchase may buy, where the operator says nothing else.
pub const MIN_PURCHASE: Usd = Usd::from_whole(5);
pub const MAX_PURCHASE: Usd = Usd::from_whole(25_000);

/// How a fee is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeeKind {
    /// A share of the credits, on top of them.
    Additive,
    /// A share of the total: `total = credits / (1 - share)`.
    GrossUp,
}

/// A share with a minimum. In text: `5.5% min 0.80`, `5% gross-up`, `0%`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeeRule {
    pub percent: Decimal,
    pub minimum: Usd,
    pub kind: FeeKind,
}

impl FeeRule {
    const CARD: FeeRule = FeeRule { percent: dec!(5.5), minimum: Usd::from_hundredths(80), kind: FeeKind::Additive };
    const CRYPTO: FeeRule = FeeRule { percent: dec!(5), minimum: Usd::ZERO, kind: FeeKind::GrossUp };

    /// The rule in words, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let percent = self.percent.normalize();
        match self.kind {
            FeeKind::Additive if self.minimum.is_positive() => {
                format!("{percent}%, at least {}", self.minimum.display())
            }
            FeeKind::Additive => format!("{percent}%"),
            FeeKind::GrossUp => format!("{percent}% of the total"),
        }
    }

    fn total(&self, credits: Usd) -> Usd {
        let share = self.percent / Decimal::ONE_HUNDRED;
        let total = match self.kind {
            FeeKind::Additive => credits + Usd::new(credits.amount() * share).to_cents(),
            FeeKind::GrossUp => Usd::new(credits.amount() / (Decimal::ONE - share)).to_cents(),
        };
        total.max(credits + self.minimum)
    }
}

/// As it is read.
impl fmt::Display for FeeRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent.normalize())?;
        if self.kind == FeeKind::GrossUp {
            f.write_str(" gross-up")?;
        }
        if self.minimum.is_positive() { write!(f, " min {}", self.minimum.exact()) } else { Ok(()) }
    }
}

impl FromStr for FeeRule {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<FeeRule, &'static str> {
        const HELP: &str = "must be like `5.5% min 0.80`, `5% gross-up` or `off`";
        let mut words = text.split_whitespace();
        let percent = words.next().and_then(|word| word.strip_suffix('%')).ok_or(HELP)?;
        let percent: Decimal = percent.parse().map_err(|_| HELP)?;
        if percent < Decimal::ZERO || percent >= dec!(50) || percent.scale() > 4 {
            return Err("must have a share from 0% to below 50%");
        }
        let mut rule = FeeRule { percent, minimum: Usd::ZERO, kind: FeeKind::Additive };
        while let Some(word) = words.next() {
            match word {
                "gross-up" => rule.kind = FeeKind::GrossUp,
                "min" => {
                    let minimum = words.next().and_then(|word| Usd::parse(word).ok()).ok_or(HELP)?;
                    rule.minimum = minimum;
                }
                _ => return Err(HELP),
            }
        }
        if rule.minimum.is_negative() || rule.minimum.whole_cents().is_none() {
            return Err("must have a minimum in whole cents");
        }
        Ok(rule)
    }
}

/// What a method can do beyond being paid once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// May be saved and charged again without its owner.
    Reusable,
    OneTime,
    Crypto,
}

/// A way to pay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Method {
    pub slug: &'static str,
    pub name: &'static str,
    pub note: &'static str,
    pub processor: &'static str,
    pub family: Family,
    pub fee: FeeRule,
}

const fn method(slug: &'static str, name: &'static str, note: &'static str, family: Family) -> Method {
    Method { slug, name, note, processor: "stripe", family, fee: FeeRule::CARD }
}

/// Every way to pay that Farebox knows, with the fees that hold until the operator sets others.
/// Which of them an instance offers depends on its processors.
pub const METHODS: &[Method] = &[
    method("card", "Card", "Credit or debit card, Apple Pay, Google Pay.", Family::Reusable),
    method("us_bank_account", "US bank account", "ACH debit. The credits arrive in about four days.", Family::Reusable),
    method("cashapp", "Cash App Pay", "Confirmed in the Cash App.", Family::Reusable),
    method("amazon_pay", "Amazon Pay", "With what your Amazon account holds.", Family::Reusable),
    method("alipay", "Alipay", "Paid once; it cannot be saved.", Family::OneTime),
    method("wechat_pay", "WeChat Pay", "Paid once, by a QR code.", Family::OneTime),
    Method {
        slug: "btcpay",
        name: "Bitcoin",
        note: "On-chain or Lightning, through BTCPay Server.",
        processor: "btcpay",
        family: Family::Crypto,
        fee: FeeRule::CRYPTO,
    },
    Method {
        slug: "coinbase",
        name: "USDC",
        note: "A stablecoin, through Coinbase Business.",
        processor: "coinbase",
        family: Family::Crypto,
        fee: FeeRule::CRYPTO,
    },
    Method {
        slug: "sandbox_card",
        name: "Sandbox card",
        note: "Pretend money: no card is asked for and nothing is charged.",
        processor: "sandbox",
        family: Family::OneTime,
        fee: FeeRule::CARD,
    },
];

/// What the operator changed about fees and amounts.
#[derive(Clone, Debug)]
pub struct Fees {
    /// Slug and rule; `None` for a method that is switched off.
    pub rules: Vec<(String, Option<FeeRule>)>,
    pub min: Usd,
    pub max: Usd,
    /// Which version of the operators' rules this is; 0: the environment's.
    pub version: i64,
}

impl Default for Fees {
    fn default() -> Fees {
        Fees { rules: Vec::new(), min: MIN_PURCHASE, max: MAX_PURCHASE, version: 0 }
    }
}

impl Fees {
    /// Where these say nothing of a way to pay, the others hold: it was not there when these were set.
    #[must_use]
    pub fn over(mut self, others: &Fees) -> Fees {
        let missing = others.rules.iter().filter(|(slug, _)| !self.rules.iter().any(|(known, _)| known == slug));
        let missing: Vec<_> = missing.cloned().collect();
        self.rules.extend(missing);
        self
    }
}

/// The methods and fees of this instance.
#[derive(Clone, Debug)]
pub struct Schedule {
    methods: Vec<Method>,
    pub min: Usd,
    pub max: Usd,
    /// As [`Fees::version`].
    pub version: i64,
}

impl Schedule {
    /// What the named processors can take, with the operator's fees.
    #[must_use]
    pub fn new(fees: &Fees, processors: &[&str]) -> Schedule {
        let rule = |method: &Method| match fees.rules.iter().find(|(slug, _)| slug == method.slug) {
            Some((_, rule)) => *rule,
            None => Some(method.fee),
        };
        let known = METHODS.iter().filter(|method| processors.contains(&method.processor));
        let methods = known.filter_map(|method| Some(Method { fee: rule(method)?, ..*method })).collect();
        Schedule { methods, min: fees.min, max: fees.max, version: fees.version }
    }

    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// Those that can be charged again without their payer.
    pub fn reusable(&self) -> impl Iterator<Item = &Method> {
        self.methods.iter().filter(|method| method.family == Family::Reusable)
    }

    /// The method of a slug, if it is offered here.
    #[must_use]
    pub fn method(&self, slug: &str) -> Option<&Method> {
        self.methods.iter().find(|method| method.slug == slug)
    }

    /// Computes fee and total, rounded half up to the cent.
    ///
    /// # Errors
    /// When the amount has parts of a cent or lies outside of what one purchase may buy.
    pub fn quote(&self, credits: Usd, method: &Method) -> Result<Quote, AmountError> {
        if credits.whole_cents().is_none() {
            return Err(AmountError::Fractions);
        }
        if credits < self.min || credits > self.max {
            return Err(AmountError::OutOfRange { min: self.min, max: self.max });
        }
        let total = method.fee.total(credits);
        Ok(Quote { credits, fee: total - credits, total })
    }
}

/// The name of a method for people, also of one that is no longer offered.
#[must_use]
pub fn method_name(slug: &str) -> &str {
    METHODS.iter().find(|method| method.slug == slug).map_or(slug, |method| method.name)
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
    #[error("must be between {} and {}", .min.display(), .max.display())]
    OutOfRange { min: Usd, max: Usd },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule::new(&Fees::default(), &["sandbox", "stripe", "btcpay"])
    }

    fn total(text: &str, slug: &str) -> Option<String> {
        let schedule = schedule();
        let quote = schedule.quote(Usd::parse(text).ok()?, schedule.method(slug)?).ok()?;
        assert_eq!(quote.credits + quote.fee, quote.total);
        Some(quote.total.display())
    }

    #[test]
    fn the_minimum_bites_below_fourteen_dollars_and_fifty_five_cents() {
        for slug in ["card", "alipay", "sandbox_card"] {
            assert_eq!(total("5", slug).as_deref(), Some("$5.80"));
            assert_eq!(total("14.54", slug).as_deref(), Some("$15.34"));
            assert_eq!(total("20", slug).as_deref(), Some("$21.10"));
            assert_eq!(total("25", slug).as_deref(), Some("$26.38"), "half a cent is rounded up");
        }
    }

    #[test]
    fn crypto_is_a_share_of_the_total() {
        assert_eq!(total("100", "btcpay").as_deref(), Some("$105.26"));
        assert_eq!(total("20", "btcpay").as_deref(), Some("$21.05"));
        assert_eq!(total("25000", "btcpay").as_deref(), Some("$26,315.79"));
    }

    #[test]
    fn only_sensible_amounts_are_sold() {
        for bad in ["4.99", "25000.01", "10.001", "-10"] {
            assert_eq!(total(bad, "card"), None, "{bad}");
        }
        assert_eq!(total("10", "coinbase"), None, "a processor that is not there");
    }

    #[test]
    fn the_operator_sets_fees_and_switches_methods_off() {
        let rules = vec![("card".to_owned(), "3% min 1".parse().ok()), ("alipay".to_owned(), None)];
        let fees = Fees { rules, min: Usd::from_whole(1), max: Usd::from_whole(50), version: 0 };
        let schedule = Schedule::new(&fees, &["stripe"]);
        assert!(schedule.method("alipay").is_none() && schedule.method("wechat_pay").is_some());
        let card = schedule.method("card").map(|card| card.fee);
        assert_eq!(card.map(|fee| fee.describe()).as_deref(), Some("3%, at least $1.00"));
        assert_eq!(card.map(|fee| fee.total(Usd::from_whole(2))), Some(Usd::from_whole(3)));
    }

    #[test]
    fn a_rule_is_read_strictly() {
        for bad in ["", "5", "5.5% minimum 1", "-1%", "50%", "5% min", "5% min 0.001", "5% min -1", "x%"] {
            assert!(bad.parse::<FeeRule>().is_err(), "{bad}");
        }
        for text in ["5.5% min 0.8", "5% gross-up", "0%", "2.25%", "5% gross-up min 1"] {
            assert_eq!(text.parse::<FeeRule>().map(|rule| rule.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("5.5% min 0.80".parse(), Ok(FeeRule::CARD));
        assert_eq!("5% gross-up".parse(), Ok(FeeRule::CRYPTO));
    }
}

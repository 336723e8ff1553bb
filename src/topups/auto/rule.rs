//! The rule: when, how much, with what, and how much at most.

use serde_json::{Value, json};

use super::limits::MIN_BELOW;
use crate::base::Usd;
use crate::base::ids::{OrgId, PaymentMethodId, PersonId};
use crate::orgs::OrgError;
use crate::topups::fees::{AmountError, Family, Method, Quote, Schedule};
use crate::topups::store::MethodRow;

/// What somebody wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    pub below: Usd,
    pub credits: Usd,
    pub method: PaymentMethodId,
    pub cap_day: Usd,
    pub cap_month: Usd,
}

/// The rule of an organization, as it stands.
#[derive(Clone, Debug)]
pub struct Rule {
    pub org: OrgId,
    pub enabled: bool,
    pub below: Usd,
    pub credits: Usd,
    pub method: PaymentMethodId,
    pub cap_day: Usd,
    pub cap_month: Usd,
    pub version: i64,
    /// In a row.
    pub declines: i32,
    /// Whether no failed attempt has to be waited for.
    pub may_retry: bool,
    /// Why the program switched it off; empty when a person did, or while it is on.
    pub stopped_reason: String,
    pub set_by: Option<PersonId>,
}

#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    #[error("The amount {0}.")]
    Credits(AmountError),
    #[error("At least {}: below that, running calls use up what is left before a payment can arrive.", MIN_BELOW.display())]
    Below,
    #[error("This payment method cannot be charged here any more. Choose another one.")]
    Method,
    #[error("At least {}, which is what one purchase costs with its fee.", .0.display())]
    CapDay(Usd),
    #[error("At least as much as the cap of a day.")]
    CapMonth,
    #[error(transparent)]
    Org(#[from] OrgError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

/// What a saved payment method is in the fee schedule, where it can be charged here without its payer.
#[must_use]
pub fn offered<'s>(schedule: &'s Schedule, saved: &MethodRow) -> Option<&'s Method> {
    let method = schedule.method(&saved.method)?;
    (method.family == Family::Reusable && method.processor == saved.processor).then_some(method)
}

impl Wanted {
    /// What one purchase costs, if the rule makes sense.
    ///
    /// # Errors
    /// Says what is wrong with which part.
    pub fn check(&self, schedule: &Schedule, saved: &MethodRow) -> Result<Quote, RuleError> {
        let method = offered(schedule, saved).ok_or(RuleError::Method)?;
        let quote = schedule.quote(self.credits, method).map_err(RuleError::Credits)?;
        if self.below < MIN_BELOW || self.below.whole_cents().is_none() {
            return Err(RuleError::Below);
        }
        if self.cap_day < quote.total || self.cap_day.whole_cents().is_none() {
            return Err(RuleError::CapDay(quote.total));
        }
        if self.cap_month < self.cap_day || self.cap_month.whole_cents().is_none() {
            return Err(RuleError::CapMonth);
        }
        Ok(quote)
    }
}

impl Rule {
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let Rule { below, credits, method, cap_day, cap_month, .. } = *self;
        Wanted { below, credits, method, cap_day, cap_month }
    }

    /// For the log.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut shown = self.wanted().shown();
        shown["enabled"] = json!(self.enabled);
        shown
    }
}

impl Wanted {
    /// For the log.
    #[must_use]
    pub fn shown(&self) -> Value {
        json!({
            "enabled": true,
            "below": self.below.exact(),
            "credits": self.credits.exact(),
            "method": self.method.to_string(),
            "cap_day": self.cap_day.exact(),
            "cap_month": self.cap_month.exact(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topups::fees::Fees;

    fn saved(method: &str, processor: &str) -> MethodRow {
        MethodRow {
            id: PaymentMethodId::fresh(),
            processor: processor.into(),
            processor_ref: "pm_1".into(),
            method: method.into(),
            label: "Visa ending in 4242".into(),
            expires: "12/34".into(),
            is_default: true,
        }
    }

    fn check(below: &str, credits: &str, day: &str, month: &str, saved: &MethodRow) -> Result<String, String> {
        let usd = |text: &str| Usd::parse(text).unwrap_or_default();
        let schedule = Schedule::new(&Fees::default(), &["stripe"]);
        let wanted = Wanted {
            below: usd(below),
            credits: usd(credits),
            method: saved.id,
            cap_day: usd(day),
            cap_month: usd(month),
        };
        wanted.check(&schedule, saved).map(|quote| quote.total.display()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_rule_must_be_able_to_buy_once_and_not_more_a_day_than_a_month() {
        let card = saved("card", "stripe");
        assert_eq!(check("10", "20", "21.10", "21.10", &card), Ok("$21.10".to_owned()));
        assert_eq!(check("1", "5", "100", "1000", &card), Ok("$5.80".to_owned()));
        for (below, credits, day, month, told) in [
            ("10", "20", "21.09", "100", "At least $21.10"),
            ("10", "20", "50", "49.99", "cap of a day"),
            ("0.99", "20", "50", "100", "At least $1.00"),
            ("10", "4.99", "50", "100", "between $5.00"),
            ("10", "0", "50", "100", "between $5.00"),
            ("10", "20.001", "50", "100", "whole cents"),
        ] {
            let error = check(below, credits, day, month, &card).expect_err("a rule that makes no sense");
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn only_what_can_be_charged_again_is_charged() {
        for (method, processor) in [("alipay", "stripe"), ("card", "sandbox"), ("sandbox_card", "sandbox")] {
            assert!(check("10", "20", "50", "100", &saved(method, processor)).is_err(), "{method}");
        }
    }
}

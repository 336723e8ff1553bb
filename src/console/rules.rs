//! Rules that operators change while everything runs, over those of the environment: what purchases cost, and who may
//! sign up. Fees on calls are not among them: an allowance of a month has one fee in that month.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::Mutex;

use super::store;
use crate::accounts::{SignUpPolicy, SignUpRules};
use crate::base::Usd;
use crate::topups::processors::Processors;
use crate::topups::{FeeRule, Fees};

/// On this channel nodes hear that a rule was changed.
pub const CHANGED_CHANNEL: &str = "house_changed";
pub const FEES: &str = "fees";
pub const SIGN_UP: &str = "sign_up";

/// Fees as a version keeps them: texts, so that no digit is lost.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct KeptFees {
    min: String,
    max: String,
    /// By the slug of a way to pay; `off` where it is not offered.
    rules: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct KeptSignUp {
    policy: String,
    #[serde(default)]
    domains: String,
}

/// What a version of the fees keeps.
#[must_use]
pub fn write_fees(fees: &Fees) -> Value {
    let word = |rule: &Option<FeeRule>| rule.map_or_else(|| "off".to_owned(), |rule| rule.to_string());
    let rules = fees.rules.iter().map(|(slug, rule)| (slug.clone(), word(rule))).collect();
    json!(KeptFees { min: fees.min.exact(), max: fees.max.exact(), rules })
}

/// Reads fees; `typed` is what somebody wrote beside each way to pay.
///
/// # Errors
/// What is wrong, for people.
pub fn read_fees(min: &str, max: &str, typed: &BTreeMap<String, String>) -> Result<Fees, String> {
    let amount = |what: &str, text: &str| {
        let amount = Usd::parse(text.trim()).ok();
        amount
            .filter(|amount| amount.is_positive() && amount.whole_cents().is_some())
            .ok_or_else(|| format!("The {what} of a purchase must be dollars in whole cents, like 5 or 25000.00."))
    };
    let (min, max) = (amount("least", min)?, amount("most", max)?);
    if min > max {
        return Err("The least of a purchase must not be above the most.".to_owned());
    }
    let mut rules = Vec::new();
    for (slug, text) in typed {
        let rule = match text.trim() {
            "off" => None,
            text => Some(text.parse::<FeeRule>().map_err(|problem| format!("The fee of {slug} {problem}."))?),
        };
        rules.push((slug.clone(), rule));
    }
    Ok(Fees { rules, min, max, version: 0 })
}

fn fees_of(value: &Value) -> Result<Fees, String> {
    let kept = KeptFees::deserialize(value).map_err(|error| error.to_string())?;
    read_fees(&kept.min, &kept.max, &kept.rules)
}

/// What a version of the sign-up policy keeps.
#[must_use]
pub fn write_sign_up(policy: &SignUpPolicy) -> Value {
    json!(KeptSignUp { policy: policy.word().to_owned(), domains: policy.domains() })
}

fn sign_up_of(value: &Value) -> Result<SignUpPolicy, String> {
    let kept = KeptSignUp::deserialize(value).map_err(|error| error.to_string())?;
    SignUpPolicy::read(&kept.policy, &kept.domains)
}

/// Why this version of the program cannot read a rule; `None` where it can.
#[must_use]
pub fn unreadable(name: &str, value: Option<&Value>) -> Option<String> {
    match name {
        FEES => fees_of(value?).err(),
        SIGN_UP => sign_up_of(value?).err(),
        _ => None,
    }
}

/// A version in words, for people.
#[must_use]
pub fn told(name: &str, value: Option<&Value>) -> String {
    let Some(value) = value else { return "What the environment says".to_owned() };
    match name {
        SIGN_UP => sign_up_of(value).map_or_else(|_| value.to_string(), |policy| policy.describe()),
        _ => match KeptFees::deserialize(value) {
            Ok(kept) => {
                let rules: Vec<String> = kept.rules.iter().map(|(slug, rule)| format!("{slug} {rule}")).collect();
                format!("{}; from ${} to ${}", rules.join(", "), kept.min, kept.max)
            }
            Err(_) => value.to_string(),
        },
    }
}

/// Reads what holds now. What a later version of this program wrote and this one cannot read changes nothing.
///
/// # Errors
/// Database errors only; what held before stays.
pub async fn reload(pool: &PgPool, sign_up: &SignUpRules, processors: &Processors) -> Result<(), sqlx::Error> {
    // Of two at once the one that reads later also sets later.
    static READING: Mutex<()> = Mutex::const_new(());
    let _reading = READING.lock().await;
    let rules = store::current_rules(&mut *pool.acquire().await?).await?;
    let find = |name: &str| rules.iter().find(|rule| rule.name == name);
    match find(FEES).and_then(|rule| Some((rule.version, rule.value.as_ref()?))) {
        None => processors.set_fees(None),
        Some((version, value)) => match fees_of(value) {
            Ok(fees) => processors.set_fees(Some(&Fees { version, ..fees })),
            Err(error) => tracing::error!(error, version, "the fees cannot be read; those before stay"),
        },
    }
    match find(SIGN_UP).and_then(|rule| rule.value.as_ref()) {
        None => sign_up.decide(None),
        Some(value) => match sign_up_of(value) {
            Ok(policy) => sign_up.decide(Some(policy)),
            Err(error) => tracing::error!(error, "the sign-up policy cannot be read; the one before stays"),
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_nonsense_is_refused() {
        let typed = |rule: &str| BTreeMap::from([("card".to_owned(), rule.to_owned())]);
        let fees = read_fees("5", "100.50", &typed("3.25% min 0.50")).unwrap_or_else(|error| panic!("{error}"));
        let again = fees_of(&write_fees(&fees)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(unreadable(FEES, Some(&write_fees(&fees))), None);
        assert_eq!((again.min, again.max, again.rules), (fees.min, fees.max, fees.rules));
        assert!(read_fees("5", "100", &typed("off")).is_ok_and(|fees| fees.rules == [("card".to_owned(), None)]));
        for (min, max, rule) in
            [("0", "1", "1%"), ("5", "4", "1%"), ("5", "x", "1%"), ("5", "6", "a lot"), ("5", "6", "")]
        {
            assert!(read_fees(min, max, &typed(rule)).is_err(), "{min} {max} {rule}");
        }
        assert!(unreadable(FEES, Some(&json!({ "min": "5" }))).is_some() && unreadable(FEES, None).is_none());
        let policy =
            SignUpPolicy::read("domains", "@Example.com, example.org").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(sign_up_of(&write_sign_up(&policy)), Ok(policy));
        for (word, domains) in [("domains", ""), ("domains", "a b@c"), ("", ""), ("some", "")] {
            assert!(SignUpPolicy::read(word, domains).is_err(), "{word} {domains}");
        }
    }
}

//! Settings of payment processors, and of what a purchase costs.

use super::{ConfigError, Environment, Sources, wrong};
use crate::base::{Secret, Usd};
use crate::topups::processors::stripe::{StripeSettings, TIMEOUT};
use crate::topups::{FeeRule, Fees, METHODS};

const FEE: &str = "FAREBOX_FEE_";
const REFUND_WARNED: &str = "FAREBOX_REFUND_ON_FRAUD_WARNING";
/// While one secret is being replaced by another, both hold.
const MAX_SECRETS: usize = 2;

/// What takes money here, and for how much.
#[derive(Clone, Debug)]
pub struct PaymentSettings {
    pub fees: Fees,
    pub stripe: Option<StripeSettings>,
    /// Whether a payment that its bank reports as fraud is sent back by itself.
    pub refund_warned: bool,
}

fn method_of(name: &str) -> Option<&'static str> {
    let method = name.strip_prefix(FEE)?.to_lowercase();
    METHODS.iter().map(|known| known.slug).find(|slug| *slug == method)
}

/// Whether a variable sets the fee of a method.
pub fn is_setting(name: &str) -> bool {
    method_of(name).is_some()
}

pub fn is_described(name: &str) -> bool {
    is_setting(name)
        || name == REFUND_WARNED
        || name.starts_with("FAREBOX_PURCHASE_")
        || name.starts_with("FAREBOX_STRIPE_")
}

/// The effective value of a setting that is no secret.
pub fn describe(name: &str, settings: &PaymentSettings, sources: &Sources) -> String {
    match name {
        "FAREBOX_PURCHASE_MIN" => settings.fees.min.exact(),
        "FAREBOX_PURCHASE_MAX" => settings.fees.max.exact(),
        REFUND_WARNED => settings.refund_warned.to_string(),
        "FAREBOX_STRIPE_URL" => settings.stripe.as_ref().map(|stripe| stripe.url.to_string()).unwrap_or_default(),
        _ => sources.get(name).unwrap_or_default().to_owned(),
    }
}

/// # Errors
/// Names the setting, what is wrong with it, and what it must be.
pub fn read(sources: &Sources, environment: Environment) -> Result<PaymentSettings, ConfigError> {
    let refund_warned = sources.parse(REFUND_WARNED, false, "`true` or `false`")?;
    Ok(PaymentSettings { fees: fees(sources)?, stripe: stripe(sources, environment)?, refund_warned })
}

/// # Errors
/// When pretend money is asked for in production.
pub fn stand_ins(sources: &Sources, environment: Environment) -> Result<bool, ConfigError> {
    const NAME: &str = "FAREBOX_STAND_INS";
    let asked = sources.parse(NAME, false, "`true` or `false`")?;
    if asked && environment == Environment::Production {
        return Err(wrong(NAME, "must not be set in production: its money is pretend"));
    }
    Ok(asked)
}

fn fees(sources: &Sources) -> Result<Fees, ConfigError> {
    let mut fees = Fees::default();
    for (name, text) in &sources.values {
        let Some(slug) = method_of(name) else { continue };
        let rule = match text.trim() {
            "off" => None,
            text => Some(
                text.parse::<FeeRule>()
                    .map_err(|problem| ConfigError::Provider { name: name.clone(), problem: problem.to_owned() })?,
            ),
        };
        fees.rules.push((slug.to_owned(), rule));
    }
    let amount = |name: &'static str, default: Usd| match sources.get(name) {
        None => Ok(default),
        Some(text) => Usd::parse(text)
            .ok()
            .filter(|amount| amount.is_positive() && amount.whole_cents().is_some())
            .ok_or_else(|| wrong(name, "must be an amount in dollars and whole cents, like 5 or 25000.00")),
    };
    fees.min = amount("FAREBOX_PURCHASE_MIN", fees.min)?;
    fees.max = amount("FAREBOX_PURCHASE_MAX", fees.max)?;
    if fees.min > fees.max {
        return Err(wrong("FAREBOX_PURCHASE_MIN", "must not be above FAREBOX_PURCHASE_MAX"));
    }
    Ok(fees)
}

fn stripe(sources: &Sources, environment: Environment) -> Result<Option<StripeSettings>, ConfigError> {
    const KEY: &str = "FAREBOX_STRIPE_SECRET_KEY";
    const URL: &str = "FAREBOX_STRIPE_URL";
    const SECRET: &str = "FAREBOX_STRIPE_WEBHOOK_SECRET";
    let Some(key) = sources.get(KEY) else {
        if sources.get(SECRET).is_some() {
            return Err(wrong(KEY, "must be set, as its webhook secret is"));
        }
        return Ok(None);
    };
    if !["sk_test_", "sk_live_", "rk_test_", "rk_live_"].iter().any(|prefix| key.starts_with(prefix)) {
        return Err(wrong(KEY, "must be a secret or restricted key of Stripe, like sk_live_..."));
    }
    let secrets = webhook_secrets(sources, SECRET, "of the endpoint in Stripe's dashboard, like whsec_...")?;
    let url = base_url(sources, URL, "https://api.stripe.com/", environment)?;
    let key = Secret::new(key.to_owned());
    Ok(Some(StripeSettings { key, webhook_secrets: secrets, url, timeout: TIMEOUT }))
}

/// The secrets that sign a processor's messages: one, or two while they change.
///
/// # Errors
/// When there is none, because whoever knows an empty secret could make money come in.
pub fn webhook_secrets(
    sources: &Sources,
    name: &'static str,
    where_from: &str,
) -> Result<Vec<Secret<String>>, ConfigError> {
    let text = sources.get(name).unwrap_or_default();
    let secrets: Vec<&str> = text.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect();
    if secrets.is_empty() {
        return Err(wrong(name, format!("must be the signing secret {where_from}; without it anybody could pay")));
    }
    if secrets.len() > MAX_SECRETS || secrets.iter().any(|secret| secret.len() < 12) {
        return Err(wrong(name, "must be one signing secret, or two with a comma between while they change"));
    }
    Ok(secrets.into_iter().map(|secret| Secret::new(secret.to_owned())).collect())
}

/// An address to call; plain http only in development.
///
/// # Errors
/// When it is no such address.
pub fn base_url(
    sources: &Sources,
    name: &'static str,
    default: &str,
    environment: Environment,
) -> Result<url::Url, ConfigError> {
    let help = "must be an https address, like https://pay.example.com/";
    let mut url: url::Url = sources.get(name).unwrap_or(default).parse().map_err(|_| wrong(name, help))?;
    let plain = url.scheme() == "http" && environment == Environment::Development;
    if !(url.scheme() == "https" || plain) || url.host().is_none() || url.query().is_some() {
        return Err(wrong(name, help));
    }
    // Clients put their paths behind it.
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<PaymentSettings, ConfigError> {
        let pairs: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        read(&Sources::from_map(pairs)?, Environment::Production)
    }

    #[test]
    fn a_processor_without_its_webhook_secret_is_refused() {
        let key = ("FAREBOX_STRIPE_SECRET_KEY", "sk_test_1");
        for secret in ["", " ", ",", "short"] {
            let error = load(&[key, ("FAREBOX_STRIPE_WEBHOOK_SECRET", secret)]).err();
            assert!(error.is_some_and(|e| e.to_string().starts_with("FAREBOX_STRIPE_WEBHOOK_SECRET")), "{secret:?}");
        }
        let secret = ("FAREBOX_STRIPE_WEBHOOK_SECRET", "whsec_old_secret, whsec_new_secret");
        let found = load(&[key, secret]).ok().and_then(|settings| settings.stripe);
        assert_eq!(found.map(|stripe| stripe.webhook_secrets.len()), Some(2));
        assert!(load(&[secret]).is_err(), "a secret without its key");
        assert!(load(&[key, secret, ("FAREBOX_STRIPE_URL", "http://127.0.0.1:1/")]).is_err(), "http in production");
    }

    #[test]
    fn fees_and_amounts_are_set_by_the_operator() {
        let settings = load(&[
            ("FAREBOX_FEE_CARD", "3% min 0.50"),
            ("FAREBOX_FEE_ALIPAY", "off"),
            ("FAREBOX_PURCHASE_MIN", "1"),
            ("FAREBOX_PURCHASE_MAX", "100"),
        ]);
        let fees = settings.unwrap_or_else(|error| panic!("{error}")).fees;
        assert_eq!(fees.rules.len(), 2);
        assert_eq!((fees.min.exact(), fees.max.exact()), ("1".to_owned(), "100".to_owned()));
        for bad in [("FAREBOX_FEE_CARD", "a lot"), ("FAREBOX_PURCHASE_MIN", "0"), ("FAREBOX_PURCHASE_MIN", "30000")] {
            assert!(load(&[bad]).is_err(), "{bad:?}");
        }
        assert!(load(&[("FAREBOX_FEE_GOLD", "1%")]).is_err(), "a method that there is not");
    }
}

//! Settings of payment processors, and of what a purchase costs.

use super::{ConfigError, Environment, Sources, wrong};
use crate::base::{Secret, Usd};
use crate::topups::processors::btcpay::{BtcPaySettings, Confirmations};
use crate::topups::processors::coinbase::{CoinbaseSettings, jwt};
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
    pub btcpay: Option<BtcPaySettings>,
    pub coinbase: Option<CoinbaseSettings>,
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
    const STARTS: [&str; 4] = ["FAREBOX_PURCHASE_", "FAREBOX_STRIPE_", "FAREBOX_BTCPAY_", "FAREBOX_COINBASE_"];
    is_setting(name) || name == REFUND_WARNED || STARTS.iter().any(|start| name.starts_with(start))
}

/// The effective value of a setting that is no secret.
pub fn describe(name: &str, settings: &PaymentSettings, sources: &Sources) -> String {
    match name {
        "FAREBOX_PURCHASE_MIN" => settings.fees.min.exact(),
        "FAREBOX_PURCHASE_MAX" => settings.fees.max.exact(),
        REFUND_WARNED => settings.refund_warned.to_string(),
        "FAREBOX_STRIPE_URL" => settings.stripe.as_ref().map(|stripe| stripe.url.to_string()).unwrap_or_default(),
        "FAREBOX_COINBASE_URL" => settings.coinbase.as_ref().map(|there| there.url.to_string()).unwrap_or_default(),
        _ => sources.get(name).unwrap_or_default().to_owned(),
    }
}

/// # Errors
/// Names the setting, what is wrong with it, and what it must be.
pub fn read(sources: &Sources, environment: Environment) -> Result<PaymentSettings, ConfigError> {
    Ok(PaymentSettings {
        fees: fees(sources)?,
        stripe: stripe(sources, environment)?,
        btcpay: btcpay(sources, environment)?,
        coinbase: coinbase(sources, environment)?,
        refund_warned: sources.parse(REFUND_WARNED, false, "`true` or `false`")?,
    })
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

fn btcpay(sources: &Sources, environment: Environment) -> Result<Option<BtcPaySettings>, ConfigError> {
    const URL: &str = "FAREBOX_BTCPAY_URL";
    const STORE: &str = "FAREBOX_BTCPAY_STORE_ID";
    const KEY: &str = "FAREBOX_BTCPAY_API_KEY";
    const SECRET: &str = "FAREBOX_BTCPAY_WEBHOOK_SECRET";
    const CONFIRMATIONS: &str = "FAREBOX_BTCPAY_CONFIRMATIONS";
    if [URL, STORE, KEY, SECRET].iter().all(|name| sources.get(name).is_none()) {
        return Ok(None);
    }
    if sources.get(URL).is_none() {
        return Err(wrong(URL, "must be set with the other settings of BTCPay Server, like https://pay.example.com/"));
    }
    let store = sources.get(STORE).filter(|store| store.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let store = store.ok_or_else(|| wrong(STORE, "must be the id of a store, from its general settings"))?.to_owned();
    let key = sources.get(KEY).ok_or_else(|| wrong(KEY, "must be an API key that may view and create invoices"))?;
    let webhook_secrets = webhook_secrets(sources, SECRET, "of the webhook in the store's settings")?;
    let count: u32 = sources.parse(CONFIRMATIONS, 1, "1, 2 or 6")?;
    let confirmations = Confirmations::of(count)
        .ok_or_else(|| wrong(CONFIRMATIONS, "must be 1, 2 or 6; without any, a payment can still be taken back"))?;
    let url = base_url(sources, URL, "", environment)?;
    Ok(Some(BtcPaySettings { url, store, key: Secret::new(key.to_owned()), webhook_secrets, confirmations }))
}

fn coinbase(sources: &Sources, environment: Environment) -> Result<Option<CoinbaseSettings>, ConfigError> {
    const ID: &str = "FAREBOX_COINBASE_KEY_ID";
    const KEY: &str = "FAREBOX_COINBASE_KEY_SECRET";
    const SECRET: &str = "FAREBOX_COINBASE_WEBHOOK_SECRET";
    if [ID, KEY, SECRET].iter().all(|name| sources.get(name).is_none()) {
        return Ok(None);
    }
    let key_id = sources.get(ID).ok_or_else(|| wrong(ID, "must be the id of a secret API key of Coinbase"))?.to_owned();
    let key = sources.get(KEY).and_then(jwt::Key::parse).ok_or_else(|| {
        wrong(KEY, "must be the secret of that key: the base64 text of an Ed25519 key, or the PEM of an ECDSA key")
    })?;
    let webhook_secrets = webhook_secrets(sources, SECRET, "of the webhook subscription")?;
    let url = base_url(sources, "FAREBOX_COINBASE_URL", "https://business.coinbase.com/", environment)?;
    Ok(Some(CoinbaseSettings { url, key_id, key, webhook_secrets }))
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

    const BTCPAY: [(&str, &str); 4] = [
        ("FAREBOX_BTCPAY_URL", "https://pay.example.com"),
        ("FAREBOX_BTCPAY_STORE_ID", "9CiNzKoANXxmk5ayZngSXrHTiVvvgCrwrpFQd4m2K776"),
        ("FAREBOX_BTCPAY_API_KEY", "a key of BTCPay"),
        ("FAREBOX_BTCPAY_WEBHOOK_SECRET", "a secret of BTCPay, another secret of it"),
    ];
    const COINBASE: [(&str, &str); 3] = [
        ("FAREBOX_COINBASE_KEY_ID", "8f2b0c51-0f3a-4b5c-9d3e-2a1b3c4d5e6f"),
        (
            "FAREBOX_COINBASE_KEY_SECRET",
            "m3tcer+ztCw5z8wRdIrsLj2+U0nqHCFPmchY2rQqwYXoxuSc2v8ODSEh1aHdkW93dE1Adg4FtuYq2nfFJPIhvg==",
        ),
        ("FAREBOX_COINBASE_WEBHOOK_SECRET", "a secret of Coinbase"),
    ];

    #[test]
    fn crypto_is_taken_with_all_of_its_settings_and_refused_without_any_one() {
        let all = load(&[BTCPAY.as_slice(), &COINBASE].concat()).unwrap_or_else(|error| panic!("{error}"));
        let btcpay = all.btcpay.unwrap_or_else(|| panic!("BTCPay"));
        assert_eq!((btcpay.url.as_str(), btcpay.webhook_secrets.len()), ("https://pay.example.com/", 2));
        assert_eq!(btcpay.confirmations, Confirmations::Medium);
        let coinbase = all.coinbase.unwrap_or_else(|| panic!("Coinbase"));
        assert_eq!(coinbase.url.as_str(), "https://business.coinbase.com/");
        let shown = format!("{:?} {:?}", coinbase.key, btcpay.key);
        assert!(!shown.contains("BTCPay"), "{shown}");
        for settings in [BTCPAY.as_slice(), &COINBASE] {
            for (at, (name, _)) in settings.iter().enumerate() {
                let mut rest = settings.to_vec();
                rest.remove(at);
                let said = load(&rest).err().map(|error| error.to_string()).unwrap_or_default();
                assert!(said.starts_with(name), "{name}: {said}");
            }
        }
    }

    #[test]
    fn settings_of_crypto_are_read_strictly() {
        for (name, bad) in [
            ("FAREBOX_BTCPAY_URL", "http://pay.example.com"),
            ("FAREBOX_BTCPAY_STORE_ID", "../other"),
            ("FAREBOX_BTCPAY_WEBHOOK_SECRET", "short"),
            ("FAREBOX_BTCPAY_CONFIRMATIONS", "0"),
            ("FAREBOX_BTCPAY_CONFIRMATIONS", "3"),
            ("FAREBOX_COINBASE_KEY_SECRET", "no key"),
            ("FAREBOX_COINBASE_WEBHOOK_SECRET", ","),
            ("FAREBOX_COINBASE_URL", "http://business.coinbase.com"),
        ] {
            let mut settings: Vec<(&str, &str)> = BTCPAY.into_iter().chain(COINBASE).collect();
            settings.retain(|(known, _)| *known != name);
            settings.push((name, bad));
            let said = load(&settings).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.starts_with(name) && !said.contains("no key"), "{name}={bad}: {said}");
        }
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

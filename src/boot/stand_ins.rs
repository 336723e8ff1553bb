//! Pretend payment processors for development, so that the whole way of money can be tried without an account anywhere.
//! Each speaks its model's protocol at an address of its own on this machine, and keeps its state over restarts.

use std::net::SocketAddr;

use anyhow::Context;
use url::Url;

use crate::base::Secret;
use crate::config::{Config, derived_key};
use crate::stand_ins::booth::BoothOptions;
use crate::stand_ins::btcpay::{BtcPayConfig, BtcPayStandIn};
use crate::stand_ins::coinbase::{CoinbaseConfig, CoinbaseStandIn};
use crate::stand_ins::stripe::{StripeOptions, StripeStandIn};
use crate::topups::processors::btcpay::{BtcPaySettings, Confirmations};
use crate::topups::processors::coinbase::{CoinbaseSettings, jwt};
use crate::topups::processors::stripe::{StripeSettings, TIMEOUT};

/// Opens no account anywhere.
const STRIPE_KEY: &str = "sk_test_stand_in";
const BTCPAY_STORE: &str = "StandInStore";
const COINBASE_KEY: &str = "stand-in";

/// Those that run; dropping them ends them.
pub struct StandIns {
    _stripe: Option<StripeStandIn>,
    _btcpay: Option<BtcPayStandIn>,
    _coinbase: Option<CoinbaseStandIn>,
}

/// Starts those whose model is not configured, and configures them instead.
///
/// # Errors
/// When one cannot listen or its state cannot be read.
pub async fn start(config: &mut Config) -> anyhow::Result<StandIns> {
    let folder = config.data_dir.join("stand-ins");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let secret = |name: &str| hex::encode(derived_key(&config.secret_key, name).expose());
    let webhook = |name: &str| Url::parse(&format!("http://{}/webhooks/{name}", config.listen));
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut started = StandIns { _stripe: None, _btcpay: None, _coinbase: None };
    if config.payments.stripe.is_none() {
        let signing = format!("whsec_{}", secret("stand-in stripe"));
        let options = StripeOptions {
            secret_key: STRIPE_KEY.to_owned(),
            webhook_url: Some(webhook("stripe")?),
            webhook_secrets: vec![signing.clone()],
            state_file: Some(folder.join("stripe.json")),
            account: "acct_stand_in".to_owned(),
            livemode: false,
        };
        let stripe = StripeStandIn::start(listen, options).await?;
        config.payments.stripe = Some(StripeSettings {
            key: Secret::new(STRIPE_KEY.to_owned()),
            webhook_secrets: vec![Secret::new(signing)],
            url: stripe.url(),
            timeout: TIMEOUT,
        });
        tracing::info!(url = %stripe.url(), "a stand-in for Stripe takes pretend money");
        started._stripe = Some(stripe);
    }
    if config.payments.btcpay.is_none() {
        let (key, signing) = (secret("stand-in btcpay key"), secret("stand-in btcpay"));
        let known = BtcPayConfig { store: BTCPAY_STORE.to_owned(), api_key: key.clone() };
        let options = BoothOptions {
            webhook: Some((webhook("btcpay")?, signing.clone())),
            state_file: Some(folder.join("btcpay.json")),
        };
        let btcpay = BtcPayStandIn::start(listen, known, options)?;
        config.payments.btcpay = Some(BtcPaySettings {
            url: btcpay.url(),
            store: BTCPAY_STORE.to_owned(),
            key: Secret::new(key),
            webhook_secrets: vec![Secret::new(signing)],
            confirmations: Confirmations::default(),
        });
        tracing::info!(url = %btcpay.url(), "a stand-in for BTCPay Server takes pretend coins");
        started._btcpay = Some(btcpay);
    }
    if config.payments.coinbase.is_none() {
        let key = jwt::Key::from_seed(derived_key(&config.secret_key, "stand-in coinbase key").expose());
        let key = key.context("the stand-in for Coinbase has no key")?;
        let signing = secret("stand-in coinbase");
        let known = CoinbaseConfig { key_id: COINBASE_KEY.to_owned(), public_key: key.public() };
        let options = BoothOptions {
            webhook: Some((webhook("coinbase")?, signing.clone())),
            state_file: Some(folder.join("coinbase.json")),
        };
        let coinbase = CoinbaseStandIn::start(listen, known, options)?;
        config.payments.coinbase = Some(CoinbaseSettings {
            url: coinbase.url(),
            key_id: COINBASE_KEY.to_owned(),
            key,
            webhook_secrets: vec![Secret::new(signing)],
        });
        tracing::info!(url = %coinbase.url(), "a stand-in for Coinbase takes pretend coins");
        started._coinbase = Some(coinbase);
    }
    Ok(started)
}

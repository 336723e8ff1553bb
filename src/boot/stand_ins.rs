//! Pretend payment processors for development, so that the whole way of money can be tried without an account anywhere.
//! Each speaks its model's protocol at an address of its own on this machine, and keeps its state over restarts.

use std::net::SocketAddr;

use anyhow::Context;
use url::Url;

use crate::base::Secret;
use crate::config::{Config, derived_key};
use crate::stand_ins::stripe::{StripeOptions, StripeStandIn};
use crate::topups::processors::stripe::{StripeSettings, TIMEOUT};

/// Opens no account anywhere.
const STRIPE_KEY: &str = "sk_test_stand_in";

/// Those that run; dropping them ends them.
pub struct StandIns {
    _stripe: Option<StripeStandIn>,
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
    let mut started = StandIns { _stripe: None };
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
    Ok(started)
}

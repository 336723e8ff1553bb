//! The payment processors of an instance.

use std::sync::Arc;

use sqlx::PgPool;

use crate::config::Config;
use crate::topups::processors::btcpay::BtcPay;
use crate::topups::processors::coinbase::Coinbase;
use crate::topups::processors::sandbox::Sandbox;
use crate::topups::processors::stripe::Stripe;
use crate::topups::processors::{Processor, Processors};

/// The payment processors that are configured, and pretend payments in development.
///
/// # Errors
/// When the settings of one make no client.
pub fn processors(config: &Config, pool: &PgPool) -> anyhow::Result<Processors> {
    let sandbox = (!config.is_production()).then(|| Sandbox::new(pool.clone()));
    let processors =
        Processors::new(real_processors(config)?, sandbox, &config.payments.fees, config.public_url.clone());
    Ok(processors.refunding_warned(config.payments.refund_warned))
}

/// Those that take real money, or that speak like one that does.
///
/// # Errors
/// When the settings of one make no client.
pub fn real_processors(config: &Config) -> anyhow::Result<Vec<Arc<dyn Processor>>> {
    let mut list: Vec<Arc<dyn Processor>> = Vec::new();
    if let Some(settings) = &config.payments.stripe {
        list.push(Arc::new(Stripe::new(settings)?));
    }
    if let Some(settings) = &config.payments.btcpay {
        list.push(Arc::new(BtcPay::new(settings)?));
    }
    if let Some(settings) = &config.payments.coinbase {
        list.push(Arc::new(Coinbase::new(settings)?));
    }
    Ok(list)
}

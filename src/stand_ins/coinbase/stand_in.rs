//! Starting it, and what the people around it do.

use std::net::SocketAddr;

use actix_web::web;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::business::{Business, CoinbaseConfig};
use super::{api, pages};
use crate::base::Usd;
use crate::stand_ins::booth::{BoothOptions, Stand};

/// A running stand-in of Coinbase Business.
pub type CoinbaseStandIn = Stand<Business>;

fn digest(secret: &str, parts: &[&[u8]]) -> String {
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    parts.iter().for_each(|part| mac.update(part));
    hex::encode(mac.finalize().into_bytes())
}

/// The header `X-Hook0-Signature` over a moment, these headers and a body.
#[must_use]
pub fn signature(secret: &str, seconds: i64, headers: &[(&str, String)], body: &[u8]) -> String {
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let values: Vec<&str> = headers.iter().map(|(_, value)| value.as_str()).collect();
    let (names, values) = (names.join(" "), values.join("."));
    let body_alone = digest(secret, &[format!("{seconds}.").as_bytes(), body]);
    let whole = digest(secret, &[format!("{seconds}.{names}.{values}.").as_bytes(), body]);
    format!("t={seconds},v0={body_alone},h={names},v1={whole}")
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/api/v1/checkouts", web::route().to(api::answer))
        .route("/api/v1/checkouts/{path:.*}", web::route().to(api::answer))
        .configure(pages::routes);
}

impl Stand<Business> {
    /// Starts one at this address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the port is taken, or the state file cannot be read: delete it then.
    pub fn start(listen: SocketAddr, config: CoinbaseConfig, options: BoothOptions) -> anyhow::Result<CoinbaseStandIn> {
        Stand::open(listen, config, options, routes)
    }

    /// Somebody pays, and it is on its way.
    pub fn start_payment(&self, checkout: &str) {
        self.booth.work(|business, now_ms| business.start(checkout, now_ms));
    }

    /// So much came in, whether it is what was asked, in time, or neither.
    pub fn complete(&self, checkout: &str, amount: Usd) {
        self.booth.work(|business, now_ms| business.complete(checkout, amount, now_ms));
    }

    /// A part came in, and the checkout stays open.
    pub fn pay_part(&self, checkout: &str, amount: Usd) {
        self.booth.work(|business, now_ms| business.part(checkout, amount, now_ms));
    }

    pub fn fail(&self, checkout: &str) {
        self.booth.work(|business, now_ms| business.fail(checkout, now_ms));
    }

    /// The time of the payment page runs out.
    pub fn expire(&self, checkout: &str) {
        self.booth.work(|business, now_ms| business.expire(checkout, now_ms));
    }

    /// Somebody refunds so much in the dashboard; it is on its way. False where that cannot be.
    #[must_use]
    pub fn refund(&self, checkout: &str, amount: Usd) -> bool {
        self.booth.work(|business, now_ms| business.refund(checkout, amount, None, now_ms).is_some())
    }

    /// All refunds of a checkout that are on their way arrive, or do not.
    pub fn finish_refunds(&self, checkout: &str, arrive: bool) {
        self.booth.work(|business, now_ms| business.finish_refunds(checkout, arrive, now_ms));
    }

    /// Makes a checkout so many seconds older than it is.
    pub fn age(&self, checkout: &str, seconds: i64) {
        self.booth.work(|business, _| business.age(checkout, seconds * 1_000));
    }

    /// What it holds for us: what settled, less what goes or went back. Its own fee is left out.
    #[must_use]
    pub fn balance(&self) -> Usd {
        self.booth.look(Business::balance)
    }

    /// A checkout as the API tells it.
    #[must_use]
    pub fn checkout(&self, id: &str) -> Option<Value> {
        self.booth.look(|business| business.object(id))
    }

    /// The id of the checkout with this payment page.
    #[must_use]
    pub fn checkout_of_link(&self, link: &str) -> Option<String> {
        self.booth.look(|business| business.by_link(link).map(|checkout| checkout.id.clone()))
    }

    /// All checkouts, oldest first.
    #[must_use]
    pub fn checkouts(&self) -> Vec<Value> {
        self.booth.look(|business| business.checkouts().iter().map(|one| one.object(&business.base)).collect())
    }

    /// What each message says, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        self.booth.look(Business::messages)
    }
}

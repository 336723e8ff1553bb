//! Starting it, and what the people around it do.

use std::net::SocketAddr;

use actix_web::web;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::invoice::Status;
use super::store::{BtcPayConfig, Store};
use super::{api, pages};
use crate::base::Usd;
use crate::stand_ins::booth::{BoothOptions, Stand};

/// A running stand-in of BTCPay Server.
pub type BtcPayStandIn = Stand<Store>;

/// The header `BTCPay-Sig`.
#[must_use]
pub fn signature(secret: &str, body: &[u8]) -> String {
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn routes(config: &mut web::ServiceConfig) {
    config.route("/api/v1/{path:.*}", web::route().to(api::answer)).configure(pages::routes);
}

impl Stand<Store> {
    /// Starts one at this address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the port is taken, or the state file cannot be read: delete it then.
    pub fn start(listen: SocketAddr, config: BtcPayConfig, options: BoothOptions) -> anyhow::Result<BtcPayStandIn> {
        Stand::open(listen, config, options, routes)
    }

    /// Somebody sends so much on the chain, and nobody has confirmed it yet.
    pub fn send(&self, invoice: &str, amount: Usd) {
        self.booth.work(|store, now_ms| store.send(invoice, amount, false, now_ms));
    }

    /// Somebody pays so much by Lightning, which is there at once.
    pub fn send_by_lightning(&self, invoice: &str, amount: Usd) {
        self.booth.work(|store, now_ms| store.send(invoice, amount, true, now_ms));
    }

    /// The network confirms all that was sent for an invoice.
    pub fn confirm(&self, invoice: &str) {
        self.booth.work(|store, now_ms| store.confirm(invoice, now_ms));
    }

    /// Somebody sends so much, and the network confirms it.
    pub fn pay(&self, invoice: &str, amount: Usd) {
        self.send(invoice, amount);
        self.confirm(invoice);
    }

    /// Whoever sent it takes back what is not confirmed.
    pub fn take_back(&self, invoice: &str) {
        self.booth.work(|store, now_ms| store.take_back(invoice, now_ms));
    }

    /// The time of the payment page runs out.
    pub fn expire(&self, invoice: &str) {
        self.booth.work(|store, now_ms| store.expire(invoice, now_ms));
    }

    /// Nobody looks at the invoice any more.
    pub fn stop_watching(&self, invoice: &str) {
        self.booth.work(|store, now_ms| store.stop_watching(invoice, now_ms));
    }

    /// Somebody marks an invoice as settled or invalid by hand. False where that cannot be.
    #[must_use]
    pub fn mark(&self, invoice: &str, status: Status) -> bool {
        self.booth.work(|store, now_ms| store.mark(invoice, status, now_ms))
    }

    /// Somebody sends so much back out of the wallet; no invoice tells of it.
    pub fn send_back(&self, amount: Usd) {
        self.booth.work(|store, _| store.send_back(amount));
    }

    /// What the store holds for us: confirmed, less what was sent back.
    #[must_use]
    pub fn balance(&self) -> Usd {
        self.booth.look(Store::balance)
    }

    /// An invoice as the API tells it.
    #[must_use]
    pub fn invoice(&self, id: &str) -> Option<Value> {
        self.booth.look(|store| store.get(id).map(|invoice| store.object(invoice)))
    }

    /// All invoices, oldest first.
    #[must_use]
    pub fn invoices(&self) -> Vec<Value> {
        self.booth.look(|store| store.invoices().iter().map(|invoice| store.object(invoice)).collect())
    }

    /// All messages, in no order.
    #[must_use]
    pub fn messages(&self) -> Vec<Value> {
        self.booth.look(Store::messages)
    }
}

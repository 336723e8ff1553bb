//! The one store of the pretend server: its invoices, and the messages about them.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::invoice::{
    Additional, CoinStatus, Coins, Invoice, LIGHTNING, NewInvoice, ON_CHAIN, Status, Told, coins_for,
};
use crate::base::{Secret, Usd};
use crate::stand_ins::booth::{Company, Outgoing};

/// Invoices that are kept. The state file is written as a whole, so it must stay small.
pub const MAX_INVOICES: usize = 5_000;
const EXPIRATION_MINUTES: i64 = 15;
const MONITORING_MINUTES: i64 = 1_440;
const WEBHOOK: &str = "StandInWebhook0000000A";

/// Who may ask.
#[derive(Clone, Debug)]
pub struct BtcPayConfig {
    pub store: String,
    pub api_key: String,
}

#[derive(Default, Serialize, Deserialize)]
pub struct Store {
    /// In the order of making.
    invoices: Vec<Invoice>,
    messages: BTreeMap<String, Value>,
    #[serde(skip)]
    untold: Vec<String>,
    made: u64,
    /// What somebody sent back out of the wallet, of which no invoice tells.
    sent_back: Usd,
    #[serde(skip)]
    id: String,
    #[serde(skip)]
    key: Option<Secret<String>>,
    #[serde(skip)]
    base: String,
}

impl Store {
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn key(&self) -> &str {
        self.key.as_ref().map_or("", |key| key.expose().as_str())
    }

    /// Ids there are letters and digits.
    fn fresh(&mut self) -> String {
        self.made += 1;
        let noise = crate::base::Digest::of(crate::base::secret::random_bytes()).to_hex();
        format!("{}{:06}", &noise[..16], self.made)
    }

    pub fn invoices(&self) -> &[Invoice] {
        &self.invoices
    }

    pub fn get(&self, id: &str) -> Option<&Invoice> {
        self.invoices.iter().find(|invoice| invoice.id == id)
    }

    pub fn object(&self, invoice: &Invoice) -> Value {
        invoice.object(&self.id, &self.base)
    }

    pub fn make(&mut self, new: NewInvoice, now_ms: i64) -> String {
        let id = self.fresh();
        let now = now_ms / 1000;
        let expires = now + 60 * new.checkout.expiration_minutes.unwrap_or(EXPIRATION_MINUTES);
        self.invoices.push(Invoice {
            id: id.clone(),
            amount: new.amount,
            currency: new.currency,
            metadata: new.metadata,
            watched_until: expires + 60 * new.checkout.monitoring_minutes.unwrap_or(MONITORING_MINUTES),
            checkout: new.checkout,
            created: now,
            expires,
            status: Status::New,
            additional: Additional::None,
            coins: Vec::new(),
        });
        self.tell(&id, "InvoiceCreated", json!({}), now_ms);
        id
    }

    fn tell(&mut self, invoice: &str, kind: &str, more: Value, now_ms: i64) {
        let id = self.fresh();
        let metadata = self.get(invoice).map(|invoice| invoice.metadata.clone()).unwrap_or_default();
        let mut message = json!({
            "deliveryId": id, "webhookId": WEBHOOK, "originalDeliveryId": id, "isRedelivery": false, "type": kind,
            "timestamp": now_ms / 1000, "storeId": self.id, "invoiceId": invoice, "metadata": metadata,
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            message[field] = value.clone();
        }
        self.messages.insert(id.clone(), message);
        self.untold.push(id);
    }

    fn change(&mut self, id: &str, change: impl FnOnce(&mut Invoice)) {
        if let Some(invoice) = self.invoices.iter_mut().find(|invoice| invoice.id == id) {
            change(invoice);
        }
    }

    /// Looks what has to change, and tells.
    pub fn watch(&mut self, id: &str, now_ms: i64) {
        let Some(invoice) = self.invoices.iter_mut().find(|invoice| invoice.id == id) else { return };
        let told = invoice.watch(now_ms / 1000);
        let (partial, over) =
            (invoice.additional == Additional::PaidPartial, invoice.additional == Additional::PaidOver);
        for one in told {
            let (kind, more) = match one {
                Told::Expired => ("InvoiceExpired", json!({ "partiallyPaid": partial })),
                Told::PaidInFull => ("InvoiceProcessing", json!({ "overPaid": over })),
                Told::Confirmed => ("InvoiceSettled", json!({ "manuallyMarked": false, "overPaid": over })),
                Told::FailedToConfirm => ("InvoiceInvalid", json!({ "manuallyMarked": false })),
                // The company tells of it with the payment only.
                Told::PaidAfterExpiration => continue,
            };
            self.tell(id, kind, more, now_ms);
        }
    }

    fn tell_of_coins(&mut self, id: &str, kind: &str, coins: &Coins, late: bool, now_ms: i64) {
        let more = json!({
            "afterExpiration": late, "paymentMethodId": coins.way, "payment": Invoice::coins_object(coins),
        });
        self.tell(id, kind, more, now_ms);
    }

    /// Somebody sends so much. By Lightning it is there at once.
    pub fn send(&mut self, id: &str, amount: Usd, lightning: bool, now_ms: i64) {
        let value = match self.get(id) {
            // What is due is paid to the smallest part, whatever its rounding.
            Some(invoice) if Invoice::worth(invoice.due() - invoice.paid()) == amount => invoice.due() - invoice.paid(),
            Some(_) => coins_for(amount),
            None => return,
        };
        if value <= Decimal::ZERO {
            return;
        }
        let coins = Coins {
            id: self.fresh(),
            way: if lightning { LIGHTNING } else { ON_CHAIN }.to_owned(),
            value,
            status: if lightning { CoinStatus::Settled } else { CoinStatus::Processing },
            at: now_ms / 1000,
        };
        let late = self.get(id).is_some_and(|invoice| invoice.status == Status::Expired);
        self.change(id, |invoice| invoice.coins.push(coins.clone()));
        self.tell_of_coins(id, "InvoiceReceivedPayment", &coins, late, now_ms);
        if lightning {
            self.tell_of_coins(id, "InvoicePaymentSettled", &coins, late, now_ms);
        }
        self.watch(id, now_ms);
    }

    /// The network confirms all that was sent for an invoice.
    pub fn confirm(&mut self, id: &str, now_ms: i64) {
        let Some(invoice) = self.get(id) else { return };
        let late = invoice.status == Status::Expired;
        let waiting = invoice.coins.iter().filter(|coins| coins.status == CoinStatus::Processing).cloned();
        for coins in waiting.collect::<Vec<_>>() {
            self.change(id, |invoice| {
                let found = invoice.coins.iter_mut().find(|one| one.id == coins.id);
                found.into_iter().for_each(|one| one.status = CoinStatus::Settled);
            });
            let settled = Coins { status: CoinStatus::Settled, ..coins };
            self.tell_of_coins(id, "InvoicePaymentSettled", &settled, late, now_ms);
        }
        self.watch(id, now_ms);
    }

    /// Whoever sent it takes back what is not confirmed.
    pub fn take_back(&mut self, id: &str, now_ms: i64) {
        self.change(id, |invoice| {
            let waiting = invoice.coins.iter_mut().filter(|coins| coins.status == CoinStatus::Processing);
            waiting.for_each(|coins| coins.status = CoinStatus::Invalid);
        });
        self.watch(id, now_ms);
    }

    /// The time of the payment page runs out.
    pub fn expire(&mut self, id: &str, now_ms: i64) {
        let now = now_ms / 1000;
        self.change(id, |invoice| {
            let watched = invoice.watched_until - invoice.expires;
            invoice.expires = invoice.expires.min(now);
            invoice.watched_until = invoice.expires + watched;
        });
        self.watch(id, now_ms);
    }

    /// Nobody looks at it any more.
    pub fn stop_watching(&mut self, id: &str, now_ms: i64) {
        self.change(id, |invoice| invoice.watched_until = now_ms / 1000);
        self.watch(id, now_ms);
    }

    /// Somebody marks it by hand. False where that cannot be.
    pub fn mark(&mut self, id: &str, status: Status, now_ms: i64) -> bool {
        let Some(invoice) = self.get(id) else { return false };
        if invoice.status == status || !matches!(status, Status::Settled | Status::Invalid) {
            return false;
        }
        self.change(id, |invoice| {
            invoice.status = status;
            invoice.additional = Additional::Marked;
        });
        let kind = if status == Status::Settled { "InvoiceSettled" } else { "InvoiceInvalid" };
        self.tell(id, kind, json!({ "manuallyMarked": true, "overPaid": false }), now_ms);
        true
    }

    pub fn send_back(&mut self, amount: Usd) {
        self.sent_back += amount;
    }

    /// What the store holds for us: confirmed, less what was sent back.
    pub fn balance(&self) -> Usd {
        let settled: Usd = self.invoices.iter().map(|invoice| Invoice::worth(invoice.settled())).sum();
        settled - self.sent_back
    }

    pub fn messages(&self) -> Vec<Value> {
        self.messages.values().cloned().collect()
    }
}

impl Company for Store {
    type Config = BtcPayConfig;
    const NAME: &'static str = "BTCPay Server";

    fn configure(&mut self, config: BtcPayConfig, base: &str) {
        self.id = config.store;
        self.key = Some(Secret::new(config.api_key));
        base.clone_into(&mut self.base);
    }

    fn pass(&mut self, now_ms: i64) {
        let now = now_ms / 1000;
        let due = |invoice: &&Invoice| match invoice.status {
            Status::New => invoice.expires <= now,
            Status::Processing => invoice.watched_until <= now,
            _ => false,
        };
        let due: Vec<String> = self.invoices.iter().filter(due).map(|invoice| invoice.id.clone()).collect();
        for id in due {
            self.watch(&id, now_ms);
        }
    }

    fn untold(&mut self) -> Vec<String> {
        std::mem::take(&mut self.untold)
    }

    fn message(&self, id: &str, tries: usize, secret: &str, _now_ms: i64) -> Option<Outgoing> {
        let mut message = self.messages.get(id)?.clone();
        if tries > 0 {
            message["deliveryId"] = json!(format!("{id}R{tries}"));
            message["isRedelivery"] = json!(true);
        }
        let body = message.to_string();
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", "BTCPayServer/2.4.1".to_owned()),
            ("btcpay-sig", super::stand_in::signature(secret, body.as_bytes())),
        ];
        Some(Outgoing { headers, body })
    }
}

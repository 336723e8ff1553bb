//! BTCPay Server: invoices that are paid on a network, in one payment or several, in time or late. Nothing outside of this
//! file and its folder knows its words. API: Greenfield, <https://docs.btcpayserver.org/API/Greenfield/v1/>.
//!
//! It has no idempotency keys: an invoice is found again by the purchase that it names. Where two were made at the same
//! moment, our own database says which one counts, and only then the other is closed: what is seen here meanwhile is no
//! ground to close anything, because somebody may just be sent to it. It never tells of money that was sent back.

mod read;
mod webhook;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::json;
use url::Url;

use self::read::Invoice;
use super::remote::{Answer, Remote, cents};
use super::{Checkout, Headers, Order, PaymentPage, Processor, ProcessorError, Returns, WebhookError};
use crate::base::{Clock, Secret};
use crate::topups::inbox::Event;
use crate::topups::payment::Payment;
use crate::topups::topup::TopUp;

/// How long after its end an invoice is watched for late money.
const MONITORING_MINUTES: u32 = 1_440;
/// Invoices of one page.
const PAGE: usize = 50;
/// Invoices of one purchase that are looked at; there is one, or a few that were made at the same moment.
const TWINS: usize = 10;

/// How many confirmations a payment needs. None at all is not offered: credits are spent within seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Confirmations {
    /// One.
    #[default]
    Medium,
    /// Two.
    LowMedium,
    /// Six.
    Low,
}

impl Confirmations {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Confirmations::Medium => "MediumSpeed",
            Confirmations::LowMedium => "LowMediumSpeed",
            Confirmations::Low => "LowSpeed",
        }
    }

    /// `None` unless it is one, two or six.
    #[must_use]
    pub fn of(count: u32) -> Option<Confirmations> {
        match count {
            1 => Some(Confirmations::Medium),
            2 => Some(Confirmations::LowMedium),
            6 => Some(Confirmations::Low),
            _ => None,
        }
    }
}

/// How to reach a BTCPay Server.
#[derive(Clone, Debug)]
pub struct BtcPaySettings {
    pub url: Url,
    pub store: String,
    pub key: Secret<String>,
    /// One, or two while they change.
    pub webhook_secrets: Vec<Secret<String>>,
    pub confirmations: Confirmations,
}

pub struct BtcPay {
    remote: Remote,
    settings: BtcPaySettings,
    clock: Clock,
}

impl BtcPay {
    /// # Errors
    /// When the settings make no client.
    pub fn new(settings: &BtcPaySettings) -> anyhow::Result<BtcPay> {
        Ok(BtcPay { remote: Remote::new(&settings.url)?, settings: settings.clone(), clock: Clock::system() })
    }

    /// The address of something of our store.
    fn address(&self, parts: &[&str]) -> Url {
        let store = ["api", "v1", "stores", self.settings.store.as_str()];
        self.remote.address(&[store.as_slice(), parts].concat())
    }

    async fn ask(&self, method: Method, url: Url, body: Option<serde_json::Value>) -> Result<Answer, ProcessorError> {
        let key = format!("token {}", self.settings.key.expose());
        let mut request = self.remote.request(method, url).header("authorization", key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.remote.send(request).await
    }

    /// The invoice of a purchase: that with money in it, or else the oldest that was not closed as a twin. Those of one
    /// second are told apart by their ids, so that everybody who looks finds the same one.
    async fn invoice_of(&self, topup: &TopUp) -> Result<Option<Invoice>, ProcessorError> {
        let order = topup.id.to_string();
        let mut url = self.address(&["invoices"]);
        url.query_pairs_mut().append_pair("orderId", &order).append_pair("take", &TWINS.to_string());
        let found: Vec<Invoice> = self.ask(Method::GET, url, None).await?.read()?;
        let ours = found.into_iter().filter(|invoice| invoice.topup() == Some(topup.id));
        Ok(ours.min_by_key(Invoice::rank))
    }

    /// Closes an invoice that nobody is sent to. That it is closed is tidiness, so a refusal does not matter.
    async fn close(&self, invoice: &str) {
        let url = self.address(&["invoices", invoice, "status"]);
        let asked = self.ask(Method::POST, url, Some(json!({ "status": "Invalid" }))).await;
        if !asked.is_ok_and(|answer| answer.is_success()) {
            tracing::info!(invoice, "an invoice that was made twice could not be closed; nobody has its address");
        }
    }

    async fn with_payments(&self, invoice: Invoice) -> Result<Payment, ProcessorError> {
        let ways = if invoice.may_have_money() {
            let url = self.address(&["invoices", &invoice.id, "payment-methods"]);
            self.ask(Method::GET, url, None).await?.read()?
        } else {
            Vec::new()
        };
        read::payment(&invoice, &ways, self.clock.now())
    }
}

#[async_trait]
impl Processor for BtcPay {
    fn name(&self) -> &'static str {
        "btcpay"
    }

    fn payers_choose(&self) -> bool {
        true
    }

    fn returns(&self) -> Returns {
        Returns::ByHand
    }

    async fn checkout(&self, order: &Order<'_>) -> Result<Checkout, ProcessorError> {
        let topup = order.topup;
        if let Some(known) = self.invoice_of(topup).await? {
            return Ok(known.checkout());
        }
        let request = json!({
            "amount": cents(topup.total)?,
            "currency": "USD",
            "metadata": {
                "orderId": topup.id.to_string(),
                "orderUrl": order.return_url.as_str(),
                "itemDesc": format!("{} credits, fee included", topup.credits.display()),
            },
            "checkout": {
                "speedPolicy": self.settings.confirmations.as_str(),
                "monitoringMinutes": MONITORING_MINUTES,
                "paymentTolerance": 0,
                "redirectURL": order.return_url.as_str(),
                "redirectAutomatically": true,
            },
        });
        let made: Invoice = self.ask(Method::POST, self.address(&["invoices"]), Some(request)).await?.read()?;
        Ok(made.checkout())
    }

    async fn withdraw(&self, checkout: &str) {
        self.close(checkout).await;
    }

    async fn fetch(&self, reference: &str) -> Result<Option<Payment>, ProcessorError> {
        let answer = self.ask(Method::GET, self.address(&["invoices", reference]), None).await?;
        match answer.find::<Invoice>()? {
            Some(invoice) if invoice.store_id == self.settings.store => self.with_payments(invoice).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn find(&self, topup: &TopUp, _customer: Option<&str>) -> Result<Option<Payment>, ProcessorError> {
        match self.invoice_of(topup).await? {
            Some(invoice) => self.with_payments(invoice).await.map(Some),
            None => Ok(None),
        }
    }

    /// Newest first; an invoice that is made meanwhile only shows one of them twice.
    async fn payments(&self, since: DateTime<Utc>, page: Option<&str>) -> Result<PaymentPage, ProcessorError> {
        let skip: usize =
            page.unwrap_or("0").parse().map_err(|_| ProcessorError::Refused("no such page".to_owned()))?;
        let mut url = self.address(&["invoices"]);
        url.query_pairs_mut()
            .append_pair("startDate", &since.timestamp().to_string())
            .append_pair("includeArchived", "true")
            .append_pair("skip", &skip.to_string())
            .append_pair("take", &PAGE.to_string());
        let invoices: Vec<Invoice> = self.ask(Method::GET, url, None).await?.read()?;
        let next = (invoices.len() >= PAGE).then(|| (skip + invoices.len()).to_string());
        let mut payments = Vec::with_capacity(invoices.len());
        for invoice in invoices {
            payments.push(self.with_payments(invoice).await?);
        }
        Ok(PaymentPage { payments, next })
    }

    fn read_webhook(&self, headers: Headers<'_>, body: &[u8], _now: DateTime<Utc>) -> Result<Event, WebhookError> {
        let signature = headers("btcpay-sig").ok_or(WebhookError::Signature)?;
        webhook::verify(signature, body, &self.settings.webhook_secrets)?;
        webhook::read(body, &self.settings.store)
    }
}

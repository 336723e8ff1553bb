//! Coinbase Business: checkouts that are paid in USDC, one dollar each. Nothing outside of this file and its folder knows
//! its words. API: <https://docs.cdp.coinbase.com/api-reference/business-api/rest-api/checkouts/introduction>.

pub mod jwt;
mod read;
mod webhook;

use async_trait::async_trait;
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use self::read::{CheckoutPage, Found, Refunded};
use super::remote::{Answer, Remote, cents};
use super::{
    Checkout, Headers, Order, PaymentPage, Processor, ProcessorError, ReferencePage, RefundOrder, Returns, WebhookError,
};
use crate::base::{Clock, Digest, Secret};
use crate::topups::inbox::Event;
use crate::topups::payment::{Payment, RefundSeen};
use crate::topups::topup::TopUp;

/// How long a person may take at the payment page.
const OPEN: Duration = Duration::hours(1);
/// Clocks differ a little.
const SKEW: Duration = Duration::minutes(5);
/// Checkouts of one page; the most that one has.
const PAGE: usize = 100;
/// Refunds of checkouts that are older than this are not looked for: there is no list of refunds, so all checkouts are
/// looked through.
const REFUNDED_WITHIN: Duration = Duration::days(400);
/// Pages that are looked through for one purchase whose answer was lost.
const MAX_PAGES: usize = 50;
/// Under this name our purchases stand in a checkout's metadata.
const TOPUP: &str = "farebox_topup";
/// A refund of ours says so in its reason, followed by its id.
const REFUND: &str = "Farebox refund";

/// How to reach Coinbase Business.
#[derive(Clone, Debug)]
pub struct CoinbaseSettings {
    pub url: Url,
    pub key_id: String,
    pub key: jwt::Key,
    /// One, or two while they change.
    pub webhook_secrets: Vec<Secret<String>>,
}

pub struct Coinbase {
    remote: Remote,
    settings: CoinbaseSettings,
    clock: Clock,
}

impl Coinbase {
    /// # Errors
    /// When the settings make no client.
    pub fn new(settings: &CoinbaseSettings) -> anyhow::Result<Coinbase> {
        Ok(Coinbase { remote: Remote::new(&settings.url)?, settings: settings.clone(), clock: Clock::system() })
    }

    fn address(&self, parts: &[&str]) -> Url {
        self.remote.address(&[["api", "v1", "checkouts"].as_slice(), parts].concat())
    }

    /// Each request carries a token of its own, good for it alone and for two minutes.
    async fn ask(&self, method: Method, url: Url, once: Option<(&str, Value)>) -> Result<Answer, ProcessorError> {
        let token = self.settings.key.token(&self.settings.key_id, method.as_str(), &url, self.clock.now());
        let token = token.ok_or_else(|| ProcessorError::Refused("the key cannot sign".to_owned()))?;
        let mut request = self.remote.request(method, url).bearer_auth(token);
        if let Some((key, body)) = once {
            request = request.header("x-idempotency-key", idempotency_key(key)).json(&body);
        }
        self.remote.send(request).await
    }

    async fn page(&self, page: Option<&str>) -> Result<CheckoutPage, ProcessorError> {
        let mut url = self.address(&[]);
        url.query_pairs_mut().append_pair("pageSize", &PAGE.to_string());
        if let Some(page) = page {
            url.query_pairs_mut().append_pair("pageToken", page);
        }
        self.ask(Method::GET, url, None).await?.read()
    }

    /// Where a browser comes back to: only secure addresses are taken. Over plain http nobody real is asked.
    fn may_come_back_to(&self, url: &Url) -> bool {
        url.scheme() == "https" || self.remote.base().scheme() == "http"
    }
}

/// Keys must look like random ids; ours is as unique as what it stands for.
fn idempotency_key(of: &str) -> String {
    let digest = Digest::of(of);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[async_trait]
impl Processor for Coinbase {
    fn name(&self) -> &'static str {
        "coinbase"
    }

    fn payers_choose(&self) -> bool {
        true
    }

    fn returns(&self) -> Returns {
        Returns::AskedByOperator
    }

    async fn checkout(&self, order: &Order<'_>) -> Result<Checkout, ProcessorError> {
        let topup = order.topup;
        let expires = (topup.created_at + OPEN).to_rfc3339_opts(SecondsFormat::Secs, true);
        let mut body = json!({
            "amount": cents(topup.total)?,
            "currency": read::CURRENCY,
            "network": "base",
            "description": format!("{} credits, fee included", topup.credits.display()),
            "expiresAt": expires,
            "metadata": { TOPUP: topup.id.to_string() },
        });
        if self.may_come_back_to(&order.return_url) {
            for field in ["successRedirectUrl", "failRedirectUrl"] {
                body[field] = json!(order.return_url.as_str());
            }
        }
        let once = (topup.id.to_string(), body);
        let answer = self.ask(Method::POST, self.address(&[]), Some((&once.0, once.1))).await?;
        let made: Found = answer.read()?;
        Ok(Checkout { reference: made.id, url: made.url })
    }

    async fn fetch(&self, reference: &str) -> Result<Option<Payment>, ProcessorError> {
        let answer = self.ask(Method::GET, self.address(&[reference]), None).await?;
        answer.find::<Found>()?.map(|found| read::payment(&found)).transpose()
    }

    async fn find(&self, topup: &TopUp, _customer: Option<&str>) -> Result<Option<Payment>, ProcessorError> {
        let since = topup.created_at - SKEW;
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let page = self.page(next.as_deref()).await?;
            if let Some(found) = page.checkouts.iter().find(|found| found.topup() == Some(topup.id)) {
                return read::payment(found).map(Some);
            }
            match page.after(since) {
                Some(token) => next = Some(token),
                None => return Ok(None),
            }
        }
        Err(ProcessorError::Unknown(format!("it is on none of the first {MAX_PAGES} pages")))
    }

    async fn payments(&self, since: DateTime<Utc>, page: Option<&str>) -> Result<PaymentPage, ProcessorError> {
        let page = self.page(page).await?;
        let recent = page.checkouts.iter().filter(|found| found.created_at >= since);
        let payments = recent.map(read::payment).collect::<Result<Vec<Payment>, _>>()?;
        Ok(PaymentPage { payments, next: page.after(since) })
    }

    async fn went_back(&self, since: DateTime<Utc>, page: Option<&str>) -> Result<ReferencePage, ProcessorError> {
        let page = self.page(page).await?;
        let went = page.checkouts.iter().filter(|found| found.may_have_gone_back(since));
        let references = went.map(|found| found.id.clone()).collect();
        Ok(ReferencePage { references, next: page.after(since - REFUNDED_WITHIN) })
    }

    fn read_webhook(&self, headers: Headers<'_>, body: &[u8], now: DateTime<Utc>) -> Result<Event, WebhookError> {
        webhook::verify(headers, body, &self.settings.webhook_secrets, now)?;
        webhook::read(body)
    }

    async fn refund(&self, order: &RefundOrder) -> Result<RefundSeen, ProcessorError> {
        let body = json!({
            "amount": cents(order.amount)?,
            "currency": read::CURRENCY,
            "reason": format!("{REFUND} {}", order.id),
        });
        let url = self.address(&[&order.payment, "refund"]);
        let answer = self.ask(Method::POST, url, Some((&order.id.to_string(), body))).await?;
        read::refund(&answer.read::<Refunded>()?.refund)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_a_random_id_by_its_look_and_the_same_each_time() {
        let key = idempotency_key("top_1");
        assert_eq!(key, idempotency_key("top_1"));
        assert_ne!(key, idempotency_key("top_2"));
        assert_eq!((key.len(), &key[14..15]), (36, "4"));
        assert!(matches!(&key[19..20], "8" | "9" | "a" | "b"), "{key}");
    }
}

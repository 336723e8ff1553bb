//! Stripe: Checkout for people, off-session charges for auto top-up. Nothing outside of this file and its folder knows
//! Stripe's words. API: <https://docs.stripe.com/api>, version 2026-09-30.endive by async-stripe's types.

mod read;
mod webhook;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError, StripeRequest};
use stripe_checkout::checkout_session as checkout;
use stripe_core::charge::RetrieveCharge;
use stripe_core::customer::{CreateCustomer, DeleteCustomer};
use stripe_core::dispute::ListDispute;
use stripe_core::payment_intent as intent;
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_fraud::radar_early_fraud_warning::RetrieveRadarEarlyFraudWarning;
use stripe_payment::payment_method::DetachPaymentMethod;
use stripe_shared::{CheckoutSession, CheckoutSessionMode, PaymentIntent};
use stripe_types::Currency;
use url::Url;

use super::{
    Charge, Checkout, Headers, NewCustomer, Order, PaymentPage, Processor, ProcessorError, ReferencePage, RefundOrder,
    Returns, SetupOrder, SetupState, WebhookError,
};
use crate::base::{Secret, Usd};
use crate::topups::inbox::Event;
use crate::topups::payment::{Payment, PaymentState, RefundSeen};
use crate::topups::topup::TopUp;

/// Of one request. Stripe answers in less than a second; a charge may take a bank several.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a person may take at the payment page. Stripe allows 30 minutes to a day.
const OPEN_SECONDS: i64 = 3_600;
/// Objects of one list. One payment has fewer refunds and disputes; payments are paged.
const PAGE: i64 = 100;
/// What is told of a payment besides itself: its last charge, and what Stripe took of it.
const CHARGE: &str = "latest_charge";
const FEE: &str = "latest_charge.balance_transaction";
/// Under these names our purchases stand in Stripe's metadata.
const TOPUP: &str = "farebox_topup";
const REFUND: &str = "farebox_refund";
/// The lists of what went back.
const REFUNDS: &str = "refunds";
const DISPUTES: &str = "disputes";

/// How to reach Stripe.
#[derive(Clone, Debug)]
pub struct StripeSettings {
    pub key: Secret<String>,
    /// One, or two while they change.
    pub webhook_secrets: Vec<Secret<String>>,
    pub url: Url,
    /// Of one request; usually [`TIMEOUT`].
    pub timeout: Duration,
}

pub struct Stripe {
    client: Client,
    secrets: Vec<Secret<String>>,
    live: bool,
}

impl Stripe {
    /// # Errors
    /// When the settings make no client.
    pub fn new(settings: &StripeSettings) -> anyhow::Result<Stripe> {
        let client = ClientBuilder::new(settings.key.expose().clone())
            .url(settings.url.to_string())
            .timeout(settings.timeout)
            .build()?;
        let live = settings.key.expose().contains("_live_");
        Ok(Stripe { client, secrets: settings.webhook_secrets.clone(), live })
    }

    /// Sends a request that must not happen twice.
    async fn once<R>(&self, request: R, key: &str) -> Result<R::Output, StripeError>
    where
        R: StripeRequest,
        R::Output: miniserde::Deserialize,
    {
        let key = IdempotencyKey::new(key).map_err(|error| StripeError::ConfigError(error.to_string()))?;
        request.customize().request_strategy(RequestStrategy::Idempotent(key)).send(&self.client).await
    }

    async fn session(&self, reference: &str) -> Result<Option<Payment>, ProcessorError> {
        let request = checkout::RetrieveCheckoutSession::new(reference).expand(vec![
            "payment_intent".to_owned(),
            format!("payment_intent.{CHARGE}"),
            format!("payment_intent.{FEE}"),
        ]);
        match found(request.send(&self.client).await)? {
            Some(session) => self.of_session(&session).await.map(Some),
            None => Ok(None),
        }
    }

    async fn of_session(&self, session: &CheckoutSession) -> Result<Payment, ProcessorError> {
        let mut payment = read::session(session, self.live);
        if payment.state == PaymentState::Paid {
            self.add_reversals(&mut payment).await?;
        }
        Ok(payment)
    }

    async fn intent(&self, reference: &str) -> Result<Option<PaymentIntent>, ProcessorError> {
        let request = intent::RetrievePaymentIntent::new(reference).expand(vec![CHARGE.to_owned(), FEE.to_owned()]);
        found(request.send(&self.client).await)
    }

    /// A payment belongs to the checkout that led to it, if one did: only the checkout says whether it is over.
    async fn of_intent(&self, intent: &PaymentIntent) -> Result<Payment, ProcessorError> {
        let mut payment = read::intent(intent, self.live);
        if payment.state == PaymentState::Paid {
            self.add_reversals(&mut payment).await?;
            return Ok(payment);
        }
        let request = checkout::ListCheckoutSession::new().payment_intent(intent.id.as_str()).limit(1);
        let sessions = request.send(&self.client).await.map_err(failed)?;
        match sessions.data.first() {
            Some(session) => Ok(self.session(session.id.as_str()).await?.unwrap_or(payment)),
            None => Ok(payment),
        }
    }

    /// All that went back of a payment, however it was ordered.
    async fn add_reversals(&self, payment: &mut Payment) -> Result<(), ProcessorError> {
        let Some(intent) = payment.payment_ref.clone() else { return Ok(()) };
        let refunds = ListRefund::new().payment_intent(intent.clone()).limit(PAGE);
        let refunds = refunds.send(&self.client).await.map_err(failed)?;
        payment.refunds = refunds.data.iter().map(read::refund).collect();
        let disputes = ListDispute::new().payment_intent(intent).limit(PAGE);
        let disputes = disputes.send(&self.client).await.map_err(failed)?;
        payment.disputes = disputes.data.iter().filter_map(read::dispute).collect();
        let more: Usd = disputes.data.iter().map(read::dispute_fee).sum();
        payment.processor_fee = payment.processor_fee.map(|fee| fee + more);
        Ok(())
    }

    async fn warned(&self, reference: &str) -> Result<Option<Payment>, ProcessorError> {
        let request = RetrieveRadarEarlyFraudWarning::new(reference);
        let Some(warning) = found(request.send(&self.client).await)? else { return Ok(None) };
        let intent = match warning.payment_intent.as_ref() {
            Some(intent) => Some(intent.id().to_string()),
            None => {
                let charge = RetrieveCharge::new(warning.charge.id().as_str()).send(&self.client).await;
                found(charge)?.and_then(|charge| charge.payment_intent.map(|intent| intent.id().to_string()))
            }
        };
        let Some(intent) = intent else { return Ok(None) };
        let payment = self.fetch(&intent).await?;
        Ok(payment.map(|payment| Payment { fraud_warning: Some(warning.fraud_type.clone()), ..payment }))
    }

    /// Confirms with the payer present what the bank would not do without them: its answer is where they go. A bank that
    /// still asks for them then has declined.
    async fn confirm_with_payer(&self, charge: &Charge<'_>, id: &str) -> Result<Payment, ProcessorError> {
        let request = intent::ConfirmPaymentIntent::new(id)
            .payment_method(charge.method.clone())
            .return_url(charge.return_url.to_string())
            .expand(vec![CHARGE.to_owned(), FEE.to_owned()]);
        let key = format!("{}:confirm", charge.topup.id);
        match self.once(request, &key).await {
            Ok(intent) => Ok(read::intent(&intent, self.live)),
            Err(error) => match declined(&error) {
                Some(intent) => {
                    let payment = read::intent(intent, self.live);
                    let reason = read::reason(intent).unwrap_or_default();
                    Ok(match payment.state {
                        PaymentState::WantsPayer => Payment { state: PaymentState::Failed { reason }, ..payment },
                        _ => payment,
                    })
                }
                None => Err(failed(error)),
            },
        }
    }
}

fn metadata(topup: &TopUp) -> HashMap<String, String> {
    HashMap::from([(TOPUP.to_owned(), topup.id.to_string())])
}

/// What an error says of whether it happened.
fn failed(error: StripeError) -> ProcessorError {
    match error {
        // A conflict is another request with our key that is still running.
        StripeError::Stripe(error, status @ (409 | 429 | 500..)) => {
            ProcessorError::Unknown(format!("{status}: {}", error.message.unwrap_or_default()))
        }
        StripeError::Stripe(error, status) => {
            ProcessorError::Refused(error.message.unwrap_or_else(|| format!("status {status}")))
        }
        StripeError::ConfigError(error) => ProcessorError::Refused(error),
        StripeError::Timeout => ProcessorError::Unknown("no answer in time".to_owned()),
        StripeError::JSONDeserialize(error) | StripeError::ClientError(error) => ProcessorError::Unknown(error),
    }
}

/// `None` for what Stripe does not know.
fn found<T>(answer: Result<T, StripeError>) -> Result<Option<T>, ProcessorError> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(StripeError::Stripe(_, 404)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// The payment that a bank declined: an answer, not a failure to ask.
fn declined(error: &StripeError) -> Option<&PaymentIntent> {
    match error {
        StripeError::Stripe(error, 402) => error.payment_intent.as_ref(),
        _ => None,
    }
}

fn allowed(method: &str) -> checkout::CreateCheckoutSessionAllowedPaymentMethodTypes {
    use checkout::CreateCheckoutSessionAllowedPaymentMethodTypes as Kind;
    match method {
        "us_bank_account" => Kind::UsBankAccount,
        "cashapp" => Kind::Cashapp,
        "amazon_pay" => Kind::AmazonPay,
        "alipay" => Kind::Alipay,
        "wechat_pay" => Kind::WechatPay,
        _ => Kind::Card,
    }
}

/// The one thing that is bought.
fn line(topup: &TopUp) -> Result<checkout::CreateCheckoutSessionLineItems, ProcessorError> {
    let cents = topup.total.whole_cents().ok_or_else(|| ProcessorError::Refused("parts of a cent".to_owned()))?;
    let name = format!("{} credits, fee included", topup.credits.display());
    let mut price = checkout::CreateCheckoutSessionLineItemsPriceData::new(Currency::USD);
    price.unit_amount = Some(cents);
    price.product_data = Some(checkout::ProductData::new(name));
    let mut item = checkout::CreateCheckoutSessionLineItems::new();
    item.price_data = Some(price);
    item.quantity = Some(1);
    Ok(item)
}

#[async_trait]
impl Processor for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn returns(&self) -> Returns {
        Returns::Asked
    }

    async fn checkout(&self, order: &Order<'_>) -> Result<Checkout, ProcessorError> {
        let topup = order.topup;
        let mut payment = checkout::CreateCheckoutSessionPaymentIntentData::new();
        payment.metadata = Some(metadata(topup));
        if order.save {
            payment.setup_future_usage =
                Some(checkout::CreateCheckoutSessionPaymentIntentDataSetupFutureUsage::OffSession);
        }
        let mut adaptive = checkout::CreateCheckoutSessionAdaptivePricing::new();
        adaptive.enabled = Some(false);
        let mut request = checkout::CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Payment)
            .allowed_payment_method_types(vec![allowed(&topup.method)])
            .line_items(vec![line(topup)?])
            .payment_intent_data(payment)
            .adaptive_pricing(adaptive)
            .client_reference_id(topup.id.to_string())
            .metadata(metadata(topup))
            .expires_at(topup.created_at.timestamp() + OPEN_SECONDS)
            .success_url(order.return_url.to_string())
            .cancel_url(order.return_url.to_string());
        if let Some(customer) = &order.customer {
            request = request.customer(customer.clone());
        }
        if topup.method == "wechat_pay" {
            use checkout::CreateCheckoutSessionPaymentMethodOptionsWechatPay as WeChat;
            let mut options = checkout::CreateCheckoutSessionPaymentMethodOptions::new();
            options.wechat_pay =
                Some(WeChat::new(checkout::CreateCheckoutSessionPaymentMethodOptionsWechatPayClient::Web));
            request = request.payment_method_options(options);
        }
        let session = self.once(request, &topup.id.to_string()).await.map_err(failed)?;
        let url = session.url.ok_or_else(|| ProcessorError::Unknown("the checkout has no address".to_owned()))?;
        Ok(Checkout { reference: session.id.to_string(), url })
    }

    async fn fetch(&self, reference: &str) -> Result<Option<Payment>, ProcessorError> {
        if reference.starts_with("cs_") {
            return self.session(reference).await;
        }
        if reference.starts_with("issfr_") {
            return self.warned(reference).await;
        }
        match self.intent(reference).await? {
            Some(intent) => self.of_intent(&intent).await.map(Some),
            None => Ok(None),
        }
    }

    async fn find(&self, topup: &TopUp, customer: Option<&str>) -> Result<Option<Payment>, ProcessorError> {
        let Some(customer) = customer else { return Ok(None) };
        // Clocks differ a little.
        let since = topup.created_at.timestamp() - 300;
        let range = stripe_types::RangeQueryTs::gte(since);
        if topup.is_auto() {
            let request = intent::ListPaymentIntent::new().customer(customer).created(range).limit(PAGE);
            let intents = request.send(&self.client).await.map_err(failed)?;
            let ours = intents.data.into_iter().find(|intent| read::topup_of(&intent.metadata) == Some(topup.id));
            return match ours {
                Some(intent) => self.fetch(intent.id.as_str()).await,
                None => Ok(None),
            };
        }
        let request = checkout::ListCheckoutSession::new().customer(customer).created(range).limit(PAGE);
        let sessions = request.send(&self.client).await.map_err(failed)?;
        let is_ours = |session: &CheckoutSession| session.metadata.as_ref().and_then(read::topup_of) == Some(topup.id);
        match sessions.data.into_iter().find(is_ours) {
            Some(session) => self.session(session.id.as_str()).await,
            None => Ok(None),
        }
    }

    async fn payments(&self, since: DateTime<Utc>, page: Option<&str>) -> Result<PaymentPage, ProcessorError> {
        let mut request = intent::ListPaymentIntent::new()
            .created(stripe_types::RangeQueryTs::gte(since.timestamp()))
            .expand(vec![format!("data.{CHARGE}"), format!("data.{FEE}")])
            .limit(PAGE);
        if let Some(page) = page {
            request = request.starting_after(page);
        }
        let list = request.send(&self.client).await.map_err(failed)?;
        let next = list.data.last().filter(|_| list.has_more).map(|intent| intent.id.to_string());
        let mut payments = Vec::with_capacity(list.data.len());
        for intent in &list.data {
            let mut payment = read::intent(intent, self.live);
            if payment.state == PaymentState::Paid && payment.topup.is_some() {
                self.add_reversals(&mut payment).await?;
            }
            payments.push(payment);
        }
        Ok(PaymentPage { payments, next })
    }

    async fn went_back(&self, since: DateTime<Utc>, page: Option<&str>) -> Result<ReferencePage, ProcessorError> {
        let range = stripe_types::RangeQueryTs::gte(since.timestamp());
        // All refunds, then all disputes; the page says of which list it is.
        let (of, after) = page.and_then(|page| page.split_once(' ')).unwrap_or((REFUNDS, ""));
        let (intents, last): (Vec<Option<String>>, _) = if of == REFUNDS {
            let mut request = ListRefund::new().created(range).limit(PAGE);
            if !after.is_empty() {
                request = request.starting_after(after);
            }
            let list = request.send(&self.client).await.map_err(failed)?;
            let last = list.data.last().filter(|_| list.has_more).map(|refund| refund.id.to_string());
            (list.data.iter().map(|one| one.payment_intent.as_ref().map(|it| it.id().to_string())).collect(), last)
        } else {
            let mut request = ListDispute::new().created(range).limit(PAGE);
            if !after.is_empty() {
                request = request.starting_after(after);
            }
            let list = request.send(&self.client).await.map_err(failed)?;
            let last = list.data.last().filter(|_| list.has_more).map(|dispute| dispute.id.to_string());
            (list.data.iter().map(|one| one.payment_intent.as_ref().map(|it| it.id().to_string())).collect(), last)
        };
        let next = match last {
            Some(last) => Some(format!("{of} {last}")),
            None if of == REFUNDS => Some(format!("{DISPUTES} ")),
            None => None,
        };
        Ok(ReferencePage { references: intents.into_iter().flatten().collect(), next })
    }

    fn read_webhook(&self, headers: Headers<'_>, body: &[u8], now: DateTime<Utc>) -> Result<Event, WebhookError> {
        let signature = headers("stripe-signature").ok_or(WebhookError::Signature)?;
        webhook::verify(signature, body, &self.secrets, now)?;
        webhook::read(body, self.live)
    }

    async fn customer(&self, new: &NewCustomer) -> Result<Option<String>, ProcessorError> {
        let about = HashMap::from([("farebox_org".to_owned(), new.org.to_string())]);
        let request = CreateCustomer::new().email(new.email.clone()).name(new.name.clone()).metadata(about);
        // By name and address as well: with other words, Stripe refuses a repeated key.
        let text = format!("{}\n{}", new.name, new.email);
        let key = format!("{}:{}", new.org, &crate::base::Digest::of(&text).to_hex()[..16]);
        let customer = self.once(request, &key).await.map_err(failed)?;
        Ok(Some(customer.id.to_string()))
    }

    async fn charge(&self, charge: &Charge<'_>) -> Result<Payment, ProcessorError> {
        let cents = charge.topup.total.whole_cents();
        let cents = cents.ok_or_else(|| ProcessorError::Refused("parts of a cent".to_owned()))?;
        let request = intent::CreatePaymentIntent::new(cents, Currency::USD)
            .customer(charge.customer.clone())
            .payment_method(charge.method.clone())
            .off_session(intent::CreatePaymentIntentOffSession::Bool(true))
            .confirm(true)
            .return_url(charge.return_url.to_string())
            .description(format!("{} credits, fee included", charge.topup.credits.display()))
            .metadata(metadata(charge.topup))
            .expand(vec![CHARGE.to_owned(), FEE.to_owned()]);
        match self.once(request, &charge.topup.id.to_string()).await {
            Ok(intent) => Ok(read::intent(&intent, self.live)),
            Err(error) => {
                let intent = declined(&error).map(|intent| read::intent(intent, self.live));
                match intent {
                    Some(payment) if payment.state == PaymentState::WantsPayer => {
                        self.confirm_with_payer(charge, &payment.reference).await
                    }
                    Some(payment) => Ok(payment),
                    None => Err(failed(error)),
                }
            }
        }
    }

    async fn cancel(&self, payment: &str) -> Result<(), ProcessorError> {
        let request = intent::CancelPaymentIntent::new(payment);
        match request.send(&self.client).await {
            // Not to be cancelled any more: what it is then, asking tells.
            Ok(_) | Err(StripeError::Stripe(_, 400 | 404)) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn refund(&self, order: &RefundOrder) -> Result<RefundSeen, ProcessorError> {
        let cents = order.amount.whole_cents();
        let cents = cents.ok_or_else(|| ProcessorError::Refused("parts of a cent".to_owned()))?;
        let request = CreateRefund::new()
            .payment_intent(order.payment.clone())
            .amount(cents)
            .metadata(HashMap::from([(REFUND.to_owned(), order.id.to_string())]));
        let refund = self.once(request, &order.id.to_string()).await.map_err(failed)?;
        Ok(read::refund(&refund))
    }

    async fn setup(&self, order: &SetupOrder) -> Result<Checkout, ProcessorError> {
        let mut request = checkout::CreateCheckoutSession::new()
            .mode(CheckoutSessionMode::Setup)
            .currency(Currency::USD)
            .allowed_payment_method_types(vec![allowed(&order.method)])
            .client_reference_id(order.id.to_string())
            .success_url(order.return_url.to_string())
            .cancel_url(order.return_url.to_string());
        if let Some(customer) = &order.customer {
            request = request.customer(customer.clone());
        }
        let session = self.once(request, &order.id.to_string()).await.map_err(failed)?;
        let url = session.url.ok_or_else(|| ProcessorError::Unknown("the page has no address".to_owned()))?;
        Ok(Checkout { reference: session.id.to_string(), url })
    }

    async fn setup_state(&self, reference: &str) -> Result<Option<SetupState>, ProcessorError> {
        let request = checkout::RetrieveCheckoutSession::new(reference)
            .expand(vec!["setup_intent".to_owned(), "setup_intent.payment_method".to_owned()]);
        let session = found(request.send(&self.client).await)?;
        Ok(session.map(|session| read::setup(&session, self.live)))
    }

    async fn forget_customer(&self, customer: &str) -> Result<(), ProcessorError> {
        match DeleteCustomer::new(customer).send(&self.client).await {
            Ok(_) | Err(StripeError::Stripe(_, 404)) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn forget(&self, method: &str) -> Result<(), ProcessorError> {
        match DetachPaymentMethod::new(method).send(&self.client).await {
            Ok(_) | Err(StripeError::Stripe(_, 400 | 404)) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

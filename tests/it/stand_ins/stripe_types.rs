//! What the stand-in answers is read by the strict types of a client that is made from Stripe's published schema, and
//! what that client sends is understood.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use farebox::stand_ins::stripe::{PayAs, StripeStandIn};
use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError, StripeRequest};
use stripe_checkout::checkout_session as sessions;
use stripe_checkout::checkout_session::{
    CreateCheckoutSession, CreateCheckoutSessionLineItems, CreateCheckoutSessionLineItemsPriceData,
    CreateCheckoutSessionPaymentIntentData, CreateCheckoutSessionPaymentIntentDataSetupFutureUsage,
};
use stripe_core::balance::RetrieveForMyAccountBalance;
use stripe_core::charge::{ListCharge, RetrieveCharge};
use stripe_core::customer::CreateCustomer;
use stripe_core::dispute::ListDispute;
use stripe_core::event::ListEvent;
use stripe_core::payment_intent::{
    CreatePaymentIntent, CreatePaymentIntentOffSession, ListPaymentIntent, RetrievePaymentIntent,
};
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_core::setup_intent::RetrieveSetupIntent;
use stripe_fraud::radar_early_fraud_warning::ListRadarEarlyFraudWarning;
use stripe_payment::payment_method::ListPaymentMethod;
use stripe_types::{Currency, Expandable};
use tracing_subscriber::fmt::MakeWriter;

use super::{KEY, start};

/// What the client says of values that the schema does not know.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<u8>>>);

impl Write for Warnings {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Warnings {
    type Writer = Warnings;

    fn make_writer(&'a self) -> Warnings {
        self.clone()
    }
}

fn client(stripe: &StripeStandIn) -> Client {
    let builder = ClientBuilder::new(KEY).url(stripe.url().as_str()).timeout(Duration::from_secs(30));
    builder.build().expect("a client")
}

fn item() -> CreateCheckoutSessionLineItems {
    let mut price = CreateCheckoutSessionLineItemsPriceData::new(Currency::USD);
    price.unit_amount = Some(2110);
    price.product_data = Some(sessions::ProductData::new("Credits"));
    let mut item = CreateCheckoutSessionLineItems::new();
    item.quantity = Some(1);
    item.price_data = Some(price);
    item
}

fn session(kind: &str) -> CreateCheckoutSession {
    let kind: sessions::CreateCheckoutSessionAllowedPaymentMethodTypes = kind.parse().expect("a method");
    CreateCheckoutSession::new()
        .mode(stripe_checkout::CheckoutSessionMode::Payment)
        .success_url("http://127.0.0.1:1/done")
        .cancel_url("http://127.0.0.1:1/back")
        .line_items(vec![item()])
        .allowed_payment_method_types(vec![kind])
}

/// A session that was paid with a method of this kind, keeping the method for the customer.
async fn paid(stripe: &StripeStandIn, client: &Client, kind: &str, customer: &str) -> Result<String, StripeError> {
    let mut data = CreateCheckoutSessionPaymentIntentData::new();
    data.metadata = Some([("topup".to_owned(), "1".to_owned())].into());
    let mut asks = session(kind).customer(customer);
    if matches!(kind, "card" | "us_bank_account" | "cashapp" | "amazon_pay") {
        data.setup_future_usage = Some(CreateCheckoutSessionPaymentIntentDataSetupFutureUsage::OffSession);
        asks = asks.payment_intent_data(data);
    }
    let open = asks.send(client).await?;
    assert!(open.payment_intent.is_none(), "nobody has paid yet");
    stripe.pay(open.id.as_str(), PayAs::Succeed).expect("paid");
    Ok(open.id.to_string())
}

/// Makes one of everything and reads it all back.
async fn round(stripe: &StripeStandIn, client: &Client) -> Result<(), StripeError> {
    let customer = CreateCustomer::new().email("a@example.com").send(client).await?.id.to_string();
    for kind in ["card", "us_bank_account", "cashapp", "amazon_pay", "alipay", "wechat_pay"] {
        let id = paid(stripe, client, kind, &customer).await?;
        let expand = vec!["payment_intent.latest_charge".to_owned(), "customer".to_owned()];
        let told = sessions::RetrieveCheckoutSession::new(id).expand(expand).send(client).await?;
        assert_eq!(told.payment_status.as_str(), "paid", "{kind}");
        let intent = told.payment_intent.and_then(Expandable::into_object).expect("a payment intent");
        let charge = intent.latest_charge.and_then(Expandable::into_object).expect("a charge");
        assert_eq!((intent.amount_received, charge.amount), (2110, 2110));
        assert_eq!(RetrieveCharge::new(charge.id).send(client).await?.status.as_str(), "succeeded");
        let refund = CreateRefund::new().payment_intent(intent.id.as_str()).amount(100).send(client).await?;
        assert_eq!(refund.amount, 100);
    }
    let kept = ListPaymentMethod::new().customer(customer.as_str()).send(client).await?;
    assert_eq!(kept.data.len(), 4, "those that can be charged again");
    let newest = ListPaymentIntent::new().limit(1).expand(vec!["data.latest_charge".to_owned()]).send(client).await?;
    let intent = newest.data[0].id.to_string();
    stripe.warn_of_fraud(&intent).expect("a warning");
    let dispute = stripe.dispute(&intent, None).expect("a dispute");
    stripe.close_dispute(&dispute, false).expect("lost");
    let disputes = ListDispute::new().payment_intent(intent.as_str()).send(client).await?;
    assert_eq!(disputes.data[0].status.as_str(), "lost");
    let warnings = ListRadarEarlyFraudWarning::new().payment_intent(intent.as_str()).send(client).await?;
    assert_eq!(warnings.data.len(), 1);
    assert_eq!(ListCharge::new().payment_intent(intent.as_str()).send(client).await?.data.len(), 1);
    assert_eq!(ListRefund::new().payment_intent(intent.as_str()).send(client).await?.data.len(), 1);
    let found = sessions::ListCheckoutSession::new().payment_intent(intent.as_str()).send(client).await?;
    assert_eq!(found.data.len(), 1);
    let told = RetrieveForMyAccountBalance::new().send(client).await?;
    assert_eq!(told.available[0].amount, stripe.balance() - stripe.fees());
    assert!(!ListEvent::new().limit(100).send(client).await?.data.is_empty());
    Ok(())
}

#[tokio::test]
async fn everything_parses_and_nothing_is_unknown() {
    let stripe = start().await;
    let warnings = Warnings::default();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(warnings.clone()).finish();
    {
        // For this thread only, on which everything here runs.
        let _heard = tracing::subscriber::set_default(subscriber);
        tracing::warn!("heard");
        round(&stripe, &client(&stripe)).await.expect("every answer parses");
    }
    let said = String::from_utf8(warnings.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("text");
    assert!(said.contains("heard"), "warnings are heard");
    assert!(!said.contains("Unknown value"), "{said}");
}

#[tokio::test]
async fn a_card_is_saved_without_paying() {
    let stripe = start().await;
    let client = client(&stripe);
    let customer = CreateCustomer::new().send(&client).await.expect("a customer").id.to_string();
    let asks = CreateCheckoutSession::new()
        .mode(stripe_checkout::CheckoutSessionMode::Setup)
        .currency(Currency::USD)
        .customer(customer.as_str())
        .success_url("http://127.0.0.1:1/done")
        .allowed_payment_method_types(vec![sessions::CreateCheckoutSessionAllowedPaymentMethodTypes::Card]);
    let open = asks.send(&client).await.expect("a session");
    let setup = open.setup_intent.expect("a setup intent").id().to_string();
    stripe.pay(open.id.as_str(), PayAs::Succeed).expect("saved");
    let setup = RetrieveSetupIntent::new(setup).send(&client).await.expect("a setup intent");
    assert_eq!(setup.status.as_str(), "succeeded");
    let kept = ListPaymentMethod::new().customer(customer.as_str()).send(&client).await.expect("a list");
    assert_eq!(kept.data[0].id, *setup.payment_method.expect("a method").id());
    assert_eq!(stripe.balance(), 0);
}

#[tokio::test]
async fn a_charge_without_the_person_is_sent_again_under_its_key() {
    let stripe = start().await;
    let client = client(&stripe);
    let charge = CreatePaymentIntent::new(500, Currency::USD)
        .payment_method("pm_card_visa")
        .off_session(CreatePaymentIntentOffSession::Bool(true))
        .confirm(true);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let key = RequestStrategy::Idempotent(IdempotencyKey::new("topup-1").expect("a key"));
        ids.push(charge.customize().request_strategy(key).send(&client).await.expect("paid").id);
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(stripe.balance(), 500);
    let seen = stripe.requests();
    assert!(seen.iter().all(|one| one.idempotency_key.as_deref() == Some("topup-1")), "{seen:?}");
}

#[tokio::test]
async fn a_decline_is_read_with_its_payment_intent() {
    let stripe = start().await;
    let client = client(&stripe);
    for (method, code) in [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined"),
        ("pm_card_authenticationRequired", "authentication_required"),
    ] {
        let charge = CreatePaymentIntent::new(500, Currency::USD)
            .payment_method(method)
            .off_session(CreatePaymentIntentOffSession::Bool(true))
            .confirm(true);
        let Err(StripeError::Stripe(error, status)) = charge.send(&client).await else { panic!("declined") };
        assert_eq!((status, error.code.expect("a code").as_str()), (402, code));
        let intent = error.payment_intent.expect("the payment intent");
        let told = RetrievePaymentIntent::new(intent.id).send(&client).await.expect("it is there");
        assert_eq!(told.status.as_str(), "requires_payment_method");
    }
}

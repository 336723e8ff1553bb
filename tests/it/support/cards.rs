//! A Farebox that takes cards, with the stand-in for Stripe beside it.

use farebox::base::ids::{OrgId, PaymentMethodId};
use farebox::stand_ins::stripe::{StripeOptions, StripeStandIn};
use serde_json::Value;
use url::Url;

use super::{Farebox, Key, Options};

pub const STRIPE_KEY: &str = "sk_test_0123456789abcdef";
pub const STRIPE_WEBHOOK_SECRET: &str = "whsec_0123456789abcdef";

/// Starts the stand-in. Whom it tells, [`tell`] says.
pub async fn stripe() -> StripeStandIn {
    let options = StripeOptions {
        secret_key: STRIPE_KEY.to_owned(),
        webhook_url: None,
        webhook_secrets: Vec::new(),
        state_file: None,
        account: "acct_standin".to_owned(),
        livemode: false,
    };
    StripeStandIn::start(([127, 0, 0, 1], 0).into(), options).await.expect("the stand-in")
}

/// Settings of a process that takes cards there.
pub fn with_cards(stripe: &StripeStandIn, database_url: Option<&str>) -> Options {
    Options {
        database_url: database_url.map(str::to_owned),
        env: vec![
            ("FAREBOX_STRIPE_SECRET_KEY", STRIPE_KEY.to_owned()),
            ("FAREBOX_STRIPE_WEBHOOK_SECRET", STRIPE_WEBHOOK_SECRET.to_owned()),
            ("FAREBOX_STRIPE_URL", stripe.url().to_string()),
        ],
        ..Options::default()
    }
}

/// Lets the stand-in deliver its events to this process.
pub fn tell(stripe: &StripeStandIn, farebox: &Farebox) {
    let url = Url::parse(&farebox.url("/webhooks/stripe")).expect("a URL");
    stripe.set_webhook(Some(url), vec![STRIPE_WEBHOOK_SECRET.to_owned()]);
}

async fn post(farebox: &Farebox, stripe: &StripeStandIn, path: &str, form: &[(&str, &str)]) -> Value {
    let url = stripe.url().join(path).expect("a URL");
    let answer = farebox.http.post(url).bearer_auth(STRIPE_KEY).form(form).send().await.expect("an answer");
    answer.json().await.expect("JSON")
}

/// A card that the key's organization has saved at the processor; `name` is one of Stripe's names of test cards.
pub async fn saved_card(farebox: &Farebox, stripe: &StripeStandIn, key: &Key, name: &str) -> PaymentMethodId {
    let customer = post(farebox, stripe, "/v1/customers", &[("email", "ada@example.com")]).await;
    let customer = customer["id"].as_str().expect("a customer");
    let path = format!("/v1/payment_methods/{name}/attach");
    let method = post(farebox, stripe, &path, &[("customer", customer)]).await;
    let method = method["id"].as_str().expect("a method").to_owned();
    let (org, id): (OrgId, _) = (key.org.parse().expect("an id"), PaymentMethodId::fresh());
    sqlx::query(
        "with c as (insert into processor_customer (org_id, processor, reference) values ($1, 'stripe', $3))
         insert into payment_method (org_id, id, processor, processor_ref, method, label, expires)
         values ($1, $2, 'stripe', $4, 'card', 'Visa ending in 4242', '12/34')",
    )
    .bind(org.0)
    .bind(id.0)
    .bind(customer)
    .bind(&method)
    .execute(&farebox.pool)
    .await
    .expect("a card");
    id
}

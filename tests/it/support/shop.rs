//! A Farebox that sells, and the stand-in of the card processor that takes the money.

use std::net::SocketAddr;

use farebox::base::Usd;
use farebox::stand_ins::stripe::{PayAs, StripeOptions, StripeStandIn, Switches};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::farebox::{Farebox, Options};
use super::visitor::{Visitor, between, form};

pub const KEY: &str = "sk_test_shop";
pub const SECRET: &str = "whsec_of_the_shop";
/// The one before; both hold while they change.
pub const OLD_SECRET: &str = "whsec_of_last_year";

/// A purchase whose payment page is open.
#[derive(Clone, Debug)]
pub struct Bought {
    /// `top_...`
    pub topup: String,
    /// Stripe's checkout session.
    pub session: String,
}

pub struct Shop {
    pub stripe: StripeStandIn,
}

impl Shop {
    pub async fn open() -> Shop {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = StripeOptions {
            secret_key: KEY.to_owned(),
            webhook_url: None,
            webhook_secrets: vec![SECRET.to_owned()],
            state_file: None,
            account: "acct_shop".to_owned(),
            livemode: false,
        };
        Shop { stripe: StripeStandIn::start(listen, options).await.expect("a stand-in") }
    }

    /// How a process that sells here is started.
    pub fn options(&self) -> Options {
        let env = vec![
            ("FAREBOX_STRIPE_SECRET_KEY", KEY.to_owned()),
            ("FAREBOX_STRIPE_WEBHOOK_SECRET", format!("{SECRET},{OLD_SECRET}")),
            ("FAREBOX_STRIPE_URL", self.stripe.url().to_string()),
            // Those who hear of payments listen here.
            ("FAREBOX_ALLOW_PRIVATE_WEBHOOKS", "true".to_owned()),
        ];
        Options { env, ..Options::default() }
    }

    /// A process that sells here and gets the messages.
    pub async fn farebox(&self) -> Farebox {
        let farebox = Farebox::with(self.options()).await;
        self.deliver_to(&farebox);
        farebox
    }

    pub fn deliver_to(&self, farebox: &Farebox) {
        let url = farebox.url("/webhooks/stripe").parse().expect("an address");
        self.stripe.set_webhook(Some(url), vec![SECRET.to_owned()]);
    }

    /// Messages are kept back until a test delivers them.
    pub fn hold_messages(&self) {
        self.stripe.set_switches(Switches { hold_events: true, ..Switches::default() });
    }

    /// Up to the payment page.
    pub async fn start(&self, visitor: &mut Visitor<'_>, amount: &str, method: &str, save: bool) -> Bought {
        let page = visitor.get("/credits").await;
        let fields = form(&page.body, "/credits/topups");
        let value = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).expect("a field").1.as_str();
        let mut order = vec![("id", value("id")), ("amount", amount), ("method", method)];
        order.extend(save.then_some(("save", "1")));
        self.order(visitor, value("csrf_token"), &order).await
    }

    /// Sends the form of the credits page.
    pub async fn order(&self, visitor: &mut Visitor<'_>, token: &str, fields: &[(&str, &str)]) -> Bought {
        let bought = visitor.post(token, "/credits/topups", fields).await;
        assert_eq!(bought.status, 200, "{}\n{}", bought.body, visitor.log());
        let topup = between(&bought.body, "/credits/topups/", "\"");
        let session = between(&bought.body, "/pay/", "\"");
        assert!(topup.starts_with("top_") && session.starts_with("cs_"), "{}", bought.body);
        Bought { topup, session }
    }

    /// The page on which a way to pay is kept: its number here, and the session there.
    pub async fn keep(&self, visitor: &mut Visitor<'_>, method: &str) -> (String, String) {
        let page = visitor.get("/credits/methods/new").await;
        let fields = form(&page.body, "/credits/methods");
        let value = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).expect("a field").1.as_str();
        let order = [("id", value("id")), ("method", method)];
        let mut sessions = Vec::new();
        // Sent twice, it is one.
        for _ in 0..2 {
            let sent = visitor.post(value("csrf_token"), "/credits/methods", &order).await;
            assert_eq!(sent.status, 200, "{}\n{}", sent.body, visitor.log());
            sessions.push(between(&sent.body, "/pay/", "\""));
        }
        assert!(sessions[0].starts_with("cs_") && sessions[0] == sessions[1], "{sessions:?}");
        (value("id").to_owned(), sessions.remove(0))
    }

    /// Up to the money, without its message having been delivered if those are held.
    pub async fn buy(&self, visitor: &mut Visitor<'_>, amount: &str, method: &str) -> Bought {
        let bought = self.start(visitor, amount, method, false).await;
        self.stripe.pay(&bought.session, PayAs::Succeed).expect("a payment");
        bought
    }

    pub fn intent(&self, bought: &Bought) -> String {
        self.stripe.intent_of(&bought.session).expect("a payment")
    }

    /// What Stripe holds is what the books say that it holds, to the cent.
    pub async fn agrees(&self, farebox: &Farebox) {
        let booked = clearing(farebox, "processor:stripe").await;
        assert_eq!(booked, Usd::from_cents(self.stripe.balance()), "the books, and what Stripe holds");
        farebox.books_are_clean().await;
    }
}

/// What a processor holds for us by our books.
pub async fn clearing(farebox: &Farebox, account: &str) -> Usd {
    let sum: rust_decimal::Decimal = sqlx::query_scalar(
        "select coalesce(sum(case when t.debit_account = a.id then t.amount else -t.amount end), 0)
         from ledger_account a left join transfer t on a.id in (t.debit_account, t.credit_account) where a.name = $1",
    )
    .bind(account)
    .fetch_one(&farebox.pool)
    .await
    .expect("a sum");
    Usd::new(sum)
}

/// The header with which a message is signed at a moment.
pub fn signature(secret: &str, seconds: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

pub fn now() -> i64 {
    farebox::base::Clock::system().now().timestamp()
}

/// Delivers a message as it stands. The status that it is answered with.
pub async fn deliver(farebox: &Farebox, processor: &str, header: &str, body: Vec<u8>) -> u16 {
    let request = farebox.http.post(farebox.url(&format!("/webhooks/{processor}"))).header("stripe-signature", header);
    request.body(body).send().await.expect("an answer").status().as_u16()
}

/// Delivers a message, signed now.
pub async fn deliver_signed(farebox: &Farebox, event: &Value) -> u16 {
    let body = event.to_string().into_bytes();
    deliver(farebox, "stripe", &signature(SECRET, now(), &body), body).await
}

/// Waits until every stored message is applied, at most a minute.
pub async fn applied(farebox: &Farebox) {
    applied_within(farebox, 60).await;
}

/// Waits until every stored message is applied, at most so many seconds.
pub async fn applied_within(farebox: &Farebox, seconds: u32) {
    for _ in 0..seconds * 20 {
        let open: i64 = sqlx::query_scalar("select count(*) from processor_event where applied_at is null")
            .fetch_one(&farebox.pool)
            .await
            .expect("a count");
        if open == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("messages were not applied\n{}", farebox.log());
}

/// Waits until a query answers this, at most half a minute.
pub async fn becomes(farebox: &Farebox, query: &'static str, wanted: &str) {
    let mut last = String::new();
    for _ in 0..600 {
        last = farebox.text(query).await;
        if last == wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let events = farebox.text("select string_agg(kind || chr(58) || outcome, chr(10)) from processor_event").await;
    panic!("{query}: {last}, not {wanted}\n{events}\n{}", farebox.log());
}

/// The janitor finds that its time has come.
pub async fn minutes_pass(farebox: &Farebox) {
    for statement in [
        "update topup set ask_at = now() where ask_at is not null",
        "update refund set ask_at = now() where ask_at is not null",
        "update method_setup set ask_at = now() where ask_at is not null",
    ] {
        sqlx::query(statement).execute(&farebox.pool).await.expect("a clock");
    }
}

/// What a payment may take to be credited after a crash, in minutes.
pub const CREDITED_WITHIN: u32 = 5;

/// Lets minutes pass for what is open, one after the other, by the schedule on which it is asked for, until everything is
/// credited. That may take as long as a crash may delay a payment, and no longer.
pub async fn is_credited_in_time(farebox: &Farebox) {
    let open = "select count(*)::text from topup where state = 'pending'";
    let due = "select count(*)::text from topup where state = 'pending' and ask_at <= now()";
    for _ in 0..CREDITED_WITHIN {
        let minute =
            "update topup set created_at = created_at - interval '1 minute', ask_at = ask_at - interval '1 minute'
            where state = 'pending'";
        sqlx::query(minute).execute(&farebox.pool).await.expect("a clock");
        becomes(farebox, due, "0").await;
        // What was due is being asked for at this moment.
        for _ in 0..40 {
            if farebox.text(open).await == "0" {
                let slowest =
                    "select (max(paid_at - created_at) < interval '5 minutes')::text from topup where more_of is null";
                assert_eq!(farebox.text(slowest).await, "true");
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    panic!("{} are not credited after {CREDITED_WITHIN} minutes\n{}", farebox.text(open).await, farebox.log());
}

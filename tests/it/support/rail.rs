//! A Farebox that takes crypto, and the stand-in of the processor that receives it. Both processors go by the same words,
//! so that one story is told of each.

use std::net::SocketAddr;

use farebox::base::Usd;
use farebox::stand_ins::booth::{BoothOptions, Faults};
use farebox::stand_ins::btcpay::{BtcPayConfig, BtcPayStandIn};
use farebox::stand_ins::coinbase::{CoinbaseConfig, CoinbaseStandIn};
use farebox::topups::processors::coinbase::jwt;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::farebox::{Farebox, Options};
use super::shop::{clearing, now};
use super::visitor::{Visitor, between, form};

pub const STORE: &str = "Store9CiNzKoANXxmk5ayZng";
pub const API_KEY: &str = "key-of-the-store";
pub const KEY_ID: &str = "8f2b0c51-0f3a-4b5c-9d3e-2a1b3c4d5e6f";
/// An Ed25519 key that is used nowhere else.
pub const KEY_SECRET: &str = "m3tcer+ztCw5z8wRdIrsLj2+U0nqHCFPmchY2rQqwYXoxuSc2v8ODSEh1aHdkW93dE1Adg4FtuYq2nfFJPIhvg==";
pub const SECRET: &str = "the signing secret of now";
/// The one before; both hold while they change.
pub const OLD_SECRET: &str = "the signing secret of last year";

/// A purchase whose payment page is open.
#[derive(Clone, Debug)]
pub struct Bought {
    /// `top_...`
    pub topup: String,
    /// The invoice, or the checkout.
    pub reference: String,
}

pub enum Rail {
    BtcPay(BtcPayStandIn),
    Coinbase(CoinbaseStandIn),
}

fn here() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub fn cents(cents: i64) -> Usd {
    Usd::from_cents(cents)
}

pub fn btcpay() -> BtcPayStandIn {
    let config = BtcPayConfig { store: STORE.to_owned(), api_key: API_KEY.to_owned() };
    BtcPayStandIn::start(here(), config, BoothOptions::default()).expect("a stand-in")
}

pub fn coinbase() -> CoinbaseStandIn {
    let key = jwt::Key::parse(KEY_SECRET).expect("a key");
    let config = CoinbaseConfig { key_id: KEY_ID.to_owned(), public_key: key.public() };
    CoinbaseStandIn::start(here(), config, BoothOptions::default()).expect("a stand-in")
}

impl Rail {
    pub fn both() -> [Rail; 2] {
        [Rail::BtcPay(btcpay()), Rail::Coinbase(coinbase())]
    }

    pub fn name(&self) -> &'static str {
        match self {
            Rail::BtcPay(_) => "btcpay",
            Rail::Coinbase(_) => "coinbase",
        }
    }

    /// How a process that sells here is started.
    pub fn options(&self) -> Options {
        let secrets = format!("{SECRET},{OLD_SECRET}");
        let env = match self {
            Rail::BtcPay(there) => vec![
                ("FAREBOX_BTCPAY_URL", there.url().to_string()),
                ("FAREBOX_BTCPAY_STORE_ID", STORE.to_owned()),
                ("FAREBOX_BTCPAY_API_KEY", API_KEY.to_owned()),
                ("FAREBOX_BTCPAY_WEBHOOK_SECRET", secrets),
            ],
            Rail::Coinbase(there) => vec![
                ("FAREBOX_COINBASE_URL", there.url().to_string()),
                ("FAREBOX_COINBASE_KEY_ID", KEY_ID.to_owned()),
                ("FAREBOX_COINBASE_KEY_SECRET", KEY_SECRET.to_owned()),
                ("FAREBOX_COINBASE_WEBHOOK_SECRET", secrets),
            ],
        };
        Options { env, ..Options::default() }
    }

    /// A process that sells here and gets the messages.
    pub async fn farebox(&self) -> Farebox {
        let farebox = Farebox::with(self.options()).await;
        self.deliver_to(&farebox);
        farebox
    }

    pub fn deliver_to(&self, farebox: &Farebox) {
        let url = farebox.url(&format!("/webhooks/{}", self.name())).parse().expect("an address");
        let target = Some((url, SECRET.to_owned()));
        match self {
            Rail::BtcPay(there) => there.set_webhook(target),
            Rail::Coinbase(there) => there.set_webhook(target),
        }
    }

    pub fn set_faults(&self, faults: Faults) {
        match self {
            Rail::BtcPay(there) => there.set_faults(faults),
            Rail::Coinbase(there) => there.set_faults(faults),
        }
    }

    /// Messages are kept back until a test delivers them.
    pub fn hold_messages(&self) {
        self.set_faults(Faults { hold_events: true, ..Faults::default() });
    }

    /// Up to the payment page.
    pub async fn start(&self, visitor: &mut Visitor<'_>, amount: &str) -> Bought {
        let page = visitor.get("/credits").await;
        let fields = form(&page.body, "/credits/topups");
        let value = |name: &str| fields.iter().find(|(key, _)| key == name).expect(name).1.clone();
        let (token, id) = (value("csrf_token"), value("id"));
        let fields = [("id", id.as_str()), ("amount", amount), ("method", self.name())];
        let bought = visitor.post(&token, "/credits/topups", &fields).await;
        assert_eq!(bought.status, 200, "{}\n{}", bought.body, visitor.log());
        let topup = between(&bought.body, "/credits/topups/", "\"");
        let reference = match self {
            Rail::BtcPay(_) => between(&bought.body, "/i/", "\""),
            Rail::Coinbase(there) => {
                let link = between(&bought.body, "/payment-links/", "\"");
                there.checkout_of_link(&link).expect("a checkout")
            }
        };
        assert!(topup.starts_with("top_"), "{}", bought.body);
        Bought { topup, reference }
    }

    /// So much comes in and is confirmed, and the payment is over if it is enough.
    pub fn pay(&self, bought: &Bought, amount: Usd) {
        match self {
            Rail::BtcPay(there) => there.pay(&bought.reference, amount),
            Rail::Coinbase(there) => there.complete(&bought.reference, amount),
        }
    }

    /// A part comes in and is confirmed; the payment page stays open.
    pub fn pay_part(&self, bought: &Bought, amount: Usd) {
        match self {
            Rail::BtcPay(there) => there.pay(&bought.reference, amount),
            Rail::Coinbase(there) => there.pay_part(&bought.reference, amount),
        }
    }

    /// All of it is on its way and not confirmed.
    pub fn send(&self, bought: &Bought, amount: Usd) {
        match self {
            Rail::BtcPay(there) => there.send(&bought.reference, amount),
            Rail::Coinbase(there) => there.start_payment(&bought.reference),
        }
    }

    pub fn confirm(&self, bought: &Bought, amount: Usd) {
        match self {
            Rail::BtcPay(there) => there.confirm(&bought.reference),
            Rail::Coinbase(there) => there.complete(&bought.reference, amount),
        }
    }

    pub fn expire(&self, bought: &Bought) {
        match self {
            Rail::BtcPay(there) => there.expire(&bought.reference),
            Rail::Coinbase(there) => there.expire(&bought.reference),
        }
    }

    pub fn balance(&self) -> Usd {
        match self {
            Rail::BtcPay(there) => there.balance(),
            Rail::Coinbase(there) => there.balance(),
        }
    }

    pub fn messages(&self) -> Vec<Value> {
        match self {
            Rail::BtcPay(there) => there.messages(),
            Rail::Coinbase(there) => there.messages(),
        }
    }

    /// Payments as the processor lists them.
    pub fn objects(&self) -> Vec<Value> {
        match self {
            Rail::BtcPay(there) => there.invoices(),
            Rail::Coinbase(there) => there.checkouts(),
        }
    }

    /// Requests that made a payment page.
    pub fn makes(&self) -> usize {
        let requests = match self {
            Rail::BtcPay(there) => there.requests(),
            Rail::Coinbase(there) => there.requests(),
        };
        let makes = |path: &str| path.ends_with("/invoices") || path.ends_with("/checkouts");
        requests.iter().filter(|seen| seen.method == "POST" && makes(&seen.path)).count()
    }

    /// What the processor holds is what the books say that it holds, to the cent.
    pub async fn agrees(&self, farebox: &Farebox) {
        let booked = clearing(farebox, &format!("processor:{}", self.name())).await;
        assert_eq!(booked, self.balance(), "the books, and what {} holds", self.name());
        farebox.books_are_clean().await;
    }

    /// The headers of a good message.
    pub fn headers(&self, secret: &str, seconds: i64, body: &[u8]) -> Vec<(String, String)> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        match self {
            Rail::BtcPay(_) => vec![header("btcpay-sig", &format!("sha256={}", digest(secret, b"", body)))],
            Rail::Coinbase(_) => {
                let (names, values) = ("content-type x-event-id", "application/json.evt-1");
                let before = format!("{seconds}.{names}.{values}.");
                let signed = format!("t={seconds},h={names},v1={}", digest(secret, before.as_bytes(), body));
                vec![
                    header("content-type", "application/json"),
                    header("x-event-id", "evt-1"),
                    header("x-hook0-signature", &signed),
                ]
            }
        }
    }

    /// Delivers a message, signed now.
    pub async fn deliver_signed(&self, farebox: &Farebox, message: &Value) -> u16 {
        let body = message.to_string().into_bytes();
        deliver(farebox, self.name(), &self.headers(SECRET, now(), &body), body).await
    }
}

/// A digest of both parts, one after the other.
pub fn digest(secret: &str, before: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(before);
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// Delivers a message as it stands. The status that it is answered with.
pub async fn deliver(farebox: &Farebox, door: &str, headers: &[(String, String)], body: Vec<u8>) -> u16 {
    let mut request = farebox.http.post(farebox.url(&format!("/webhooks/{door}")));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(body).send().await.expect("an answer").status().as_u16()
}

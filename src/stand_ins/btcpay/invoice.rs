//! An invoice, the coins that were sent for it, and the rules by which it changes.

use rust_decimal::{Decimal, RoundingStrategy, dec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::base::Usd;

/// What one bitcoin costs, always.
pub const RATE: Decimal = dec!(64392.23);
/// Digits of its smallest part.
const DIVISIBILITY: u32 = 8;
pub const ON_CHAIN: &str = "BTC-CHAIN";
pub const LIGHTNING: &str = "BTC-LN";

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Status {
    New,
    Processing,
    Expired,
    Invalid,
    Settled,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Additional {
    None,
    PaidLate,
    PaidPartial,
    Marked,
    Invalid,
    PaidOver,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum CoinStatus {
    Processing,
    Settled,
    Invalid,
}

/// Coins that somebody sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Coins {
    pub id: String,
    /// On the chain, or by Lightning.
    pub way: String,
    pub value: Decimal,
    pub status: CoinStatus,
    /// Seconds since 1970.
    pub at: i64,
}

/// What an invoice was made with.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInvoice {
    pub amount: Usd,
    pub currency: String,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    #[serde(default)]
    pub checkout: CheckoutOptions,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CheckoutOptions {
    pub speed_policy: Option<String>,
    pub expiration_minutes: Option<i64>,
    pub monitoring_minutes: Option<i64>,
    pub payment_tolerance: Option<Decimal>,
    #[serde(rename = "redirectURL")]
    pub redirect_url: Option<String>,
    pub redirect_automatically: Option<bool>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Invoice {
    pub id: String,
    pub amount: Usd,
    pub currency: String,
    pub metadata: Map<String, Value>,
    pub checkout: CheckoutOptions,
    /// Seconds since 1970.
    pub created: i64,
    pub expires: i64,
    pub watched_until: i64,
    pub status: Status,
    pub additional: Additional,
    pub coins: Vec<Coins>,
}

/// Something that a change tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    Expired,
    PaidInFull,
    PaidAfterExpiration,
    Confirmed,
    FailedToConfirm,
}

/// The coins that are worth so much, rounded up to the smallest part.
pub fn coins_for(amount: Usd) -> Decimal {
    (amount.amount() / RATE).round_dp_with_strategy(DIVISIBILITY, RoundingStrategy::ToPositiveInfinity)
}

impl Invoice {
    fn coins_in(&self, wanted: impl Fn(CoinStatus) -> bool) -> Decimal {
        self.coins.iter().filter(|coins| wanted(coins.status)).map(|coins| coins.value).sum()
    }

    /// Coins that were sent and not taken back.
    pub fn paid(&self) -> Decimal {
        self.coins_in(|status| status != CoinStatus::Invalid)
    }

    pub fn settled(&self) -> Decimal {
        self.coins_in(|status| status == CoinStatus::Settled)
    }

    pub fn due(&self) -> Decimal {
        coins_for(self.amount)
    }

    /// What is paid, in the currency of the invoice, to the cent.
    pub fn worth(coins: Decimal) -> Usd {
        Usd::new(coins * RATE).to_cents()
    }

    /// Changes what has to change by now, as the watcher of BTCPay Server does, and says what happened.
    pub fn watch(&mut self, now: i64) -> Vec<Told> {
        let mut told = Vec::new();
        if self.status == Status::New && self.expires <= now {
            self.status = Status::Expired;
            told.push(Told::Expired);
        }
        let (paid, due) = (self.paid(), self.due());
        let is_paid = paid >= due;
        match self.status {
            Status::New if is_paid => {
                self.status = Status::Processing;
                self.additional = if paid > due { Additional::PaidOver } else { Additional::None };
                told.push(Told::PaidInFull);
            }
            Status::Expired if is_paid && self.additional != Additional::PaidLate => {
                self.additional = Additional::PaidLate;
                told.push(Told::PaidAfterExpiration);
            }
            Status::New | Status::Expired if !is_paid && !self.coins.is_empty() => {
                self.additional = if paid.is_zero() { Additional::None } else { Additional::PaidPartial };
            }
            _ => {}
        }
        if self.status == Status::Processing {
            // A payment may be taken back before it is confirmed.
            if is_paid {
                self.additional = if paid > due { Additional::PaidOver } else { Additional::None };
            } else {
                self.status = Status::New;
                self.additional = if paid.is_zero() { Additional::None } else { Additional::PaidPartial };
            }
        }
        if self.status == Status::Processing {
            if self.settled() >= due {
                self.status = Status::Settled;
                told.push(Told::Confirmed);
            } else if self.watched_until <= now {
                self.status = Status::Invalid;
                told.push(Told::FailedToConfirm);
            }
        }
        told
    }

    /// As the API tells it.
    pub fn object(&self, store: &str, base: &str) -> Value {
        let minutes = |seconds: i64| seconds / 60;
        let options = &self.checkout;
        let markable: &[&str] = match self.status {
            Status::Settled => &["Invalid"],
            Status::Invalid => &["Settled"],
            _ => &["Settled", "Invalid"],
        };
        json!({
            "id": self.id,
            "storeId": store,
            "amount": self.amount.exact(),
            "paidAmount": Self::worth(self.paid()).exact(),
            "currency": self.currency,
            "type": "Standard",
            "checkoutLink": format!("{base}/i/{}", self.id),
            "createdTime": self.created,
            "expirationTime": self.expires,
            "monitoringExpiration": self.watched_until,
            "status": self.status,
            "additionalStatus": self.additional,
            "availableStatusesForManualMarking": markable,
            "archived": false,
            "metadata": self.metadata,
            "checkout": {
                "speedPolicy": options.speed_policy.as_deref().unwrap_or("MediumSpeed"),
                "paymentMethods": [ON_CHAIN, LIGHTNING],
                "defaultPaymentMethod": null,
                "lazyPaymentMethods": null,
                "expirationMinutes": minutes(self.expires - self.created),
                "monitoringMinutes": minutes(self.watched_until - self.expires),
                "paymentTolerance": options.payment_tolerance.unwrap_or_default().normalize().to_string(),
                "redirectURL": options.redirect_url,
                "redirectAutomatically": options.redirect_automatically.unwrap_or_default(),
                "defaultLanguage": null,
            },
            "receipt": { "enabled": null, "showQR": null, "showPayments": null },
        })
    }

    pub fn coins_object(coins: &Coins) -> Value {
        json!({
            "id": coins.id,
            "receivedDate": coins.at,
            "value": coins.value.normalize().to_string(),
            "fee": "0",
            "status": coins.status,
            "destination": destination(&coins.way),
        })
    }

    /// The ways to pay, as the API tells them. `all` tells coins that were taken back too.
    pub fn ways(&self, all: bool) -> Value {
        let way = |name: &str| {
            let mine = self.coins.iter().filter(|coins| coins.way == name);
            let mine: Vec<&Coins> = mine.filter(|coins| all || coins.status != CoinStatus::Invalid).collect();
            let counted = mine.iter().filter(|coins| coins.status != CoinStatus::Invalid);
            let paid: Decimal = counted.map(|coins| coins.value).sum();
            let text = |value: Decimal| value.normalize().to_string();
            json!({
                "paymentMethodId": name,
                "currency": "BTC",
                "destination": destination(name),
                "paymentLink": "",
                "rate": text(RATE),
                "paymentMethodPaid": text(paid),
                "totalPaid": text(self.paid()),
                "due": text(self.due() - self.paid()),
                "amount": text(self.due()),
                "paymentMethodFee": "0",
                "payments": mine.into_iter().map(Self::coins_object).collect::<Vec<Value>>(),
                "activated": true,
                "additionalData": {},
            })
        };
        json!([way(ON_CHAIN), way(LIGHTNING)])
    }
}

fn destination(way: &str) -> &'static str {
    if way == LIGHTNING { "lnbc1standin" } else { "bc1qstandin0000000000000000000000000000000" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CENTS: fn(u32) -> Usd = Usd::from_hundredths;

    fn invoice(sent: &[(u32, CoinStatus)]) -> Invoice {
        let coins = sent.iter().map(|(cents, status)| Coins {
            id: "1".into(),
            way: ON_CHAIN.into(),
            value: coins_for(CENTS(*cents)),
            status: *status,
            at: 0,
        });
        Invoice {
            id: "I".into(),
            amount: CENTS(10_526),
            currency: "USD".into(),
            metadata: Map::new(),
            checkout: CheckoutOptions::default(),
            created: 0,
            expires: 900,
            watched_until: 900 + 86_400,
            status: Status::New,
            additional: Additional::None,
            coins: coins.collect(),
        }
    }

    #[test]
    fn an_invoice_changes_as_the_company_says() {
        use CoinStatus::{Invalid, Processing, Settled};
        for (sent, now, status, additional, told) in [
            (vec![], 0, Status::New, Additional::None, vec![]),
            (vec![], 900, Status::Expired, Additional::None, vec![Told::Expired]),
            (vec![(5_000, Settled)], 0, Status::New, Additional::PaidPartial, vec![]),
            (vec![(5_000, Settled)], 900, Status::Expired, Additional::PaidPartial, vec![Told::Expired]),
            (vec![(10_526, Processing)], 0, Status::Processing, Additional::None, vec![Told::PaidInFull]),
            (vec![(10_526, Settled)], 0, Status::Settled, Additional::None, vec![Told::PaidInFull, Told::Confirmed]),
            (
                vec![(12_000, Settled)],
                0,
                Status::Settled,
                Additional::PaidOver,
                vec![Told::PaidInFull, Told::Confirmed],
            ),
            (
                vec![(10_526, Settled)],
                901,
                Status::Expired,
                Additional::PaidLate,
                vec![Told::Expired, Told::PaidAfterExpiration],
            ),
            (vec![(10_526, Invalid)], 0, Status::New, Additional::None, vec![]),
        ] {
            let mut invoice = invoice(&sent);
            assert_eq!(invoice.watch(now), told, "{sent:?} at {now}");
            assert_eq!((invoice.status, invoice.additional), (status, additional), "{sent:?} at {now}");
            assert_eq!(invoice.watch(now), [], "once");
        }
        let mut slow = invoice(&[(10_526, Processing)]);
        slow.watch(0);
        assert_eq!(slow.watch(900 + 86_400), [Told::FailedToConfirm]);
        assert_eq!(slow.status, Status::Invalid);
    }

    #[test]
    fn what_an_amount_costs_in_coins_is_worth_that_amount() {
        for cents in [1, 580, 2_105, 10_526, 2_631_579] {
            assert_eq!(Invoice::worth(coins_for(CENTS(cents))), CENTS(cents));
        }
    }
}

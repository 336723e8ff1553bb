//! Invoices of BTCPay Server in our words.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::super::remote::{decimal, maybe_decimal};
use super::super::{Checkout, ProcessorError};
use crate::base::Usd;
use crate::base::ids::TopUpId;
use crate::topups::payment::{Payment, PaymentState};

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Invoice {
    pub id: String,
    pub store_id: String,
    currency: String,
    status: String,
    #[serde(default)]
    additional_status: String,
    /// Missing from servers before 2.1.
    #[serde(default, deserialize_with = "maybe_decimal")]
    paid_amount: Option<Decimal>,
    #[serde(default)]
    metadata: Metadata,
    checkout_link: String,
    pub created_time: i64,
    monitoring_expiration: i64,
}

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    /// Text of ours; others write what they like.
    #[serde(default)]
    order_id: serde_json::Value,
}

/// One way in which an invoice can be paid, with what was paid in it.
#[derive(Deserialize, Debug)]
pub struct Way {
    /// What one of its coins is worth in the currency of the invoice; fixed when that was made.
    #[serde(deserialize_with = "decimal")]
    rate: Decimal,
    payments: Vec<Coins>,
}

#[derive(Deserialize, Debug)]
struct Coins {
    #[serde(deserialize_with = "decimal")]
    value: Decimal,
    /// What the store adds to the price for moving the coins; it buys nothing.
    #[serde(default, deserialize_with = "maybe_decimal")]
    fee: Option<Decimal>,
    status: String,
}

impl Invoice {
    /// The purchase that it names.
    pub fn topup(&self) -> Option<TopUpId> {
        self.metadata.order_id.as_str()?.parse().ok()
    }

    /// False only where it says that nothing was paid.
    pub fn may_have_money(&self) -> bool {
        let nothing = self.paid_amount.is_some_and(|paid| paid.is_zero());
        !(nothing && matches!(self.status.as_str(), "New" | "Expired"))
    }

    /// Lowest for the invoice that stands for its purchase among those that were made for it.
    pub fn rank(&self) -> (u8, i64, String) {
        let nothing = self.paid_amount.is_some_and(|paid| paid.is_zero());
        let place = match () {
            () if nothing && self.status == "Invalid" => 2,
            () if self.may_have_money() => 0,
            () => 1,
        };
        (place, self.created_time, self.id.clone())
    }

    pub fn checkout(self) -> Checkout {
        Checkout { reference: self.id, url: self.checkout_link }
    }
}

/// What was paid in a state, to the cent.
fn sum(ways: &[Way], status: &str) -> Usd {
    let coins = ways.iter().flat_map(|way| way.payments.iter().map(move |coins| (way.rate, coins)));
    let worth = |(rate, coins): (Decimal, &Coins)| rate * (coins.value - coins.fee.unwrap_or_default());
    let exact: Decimal = coins.filter(|(_, coins)| coins.status == status).map(worth).sum();
    Usd::new(exact).to_cents()
}

/// An invoice with what was paid for it.
///
/// What is confirmed when it is over counts, whether it is all, a part, too much, or late. Before the end, and while
/// something is unconfirmed and still watched, nothing does.
///
/// # Errors
/// `Unknown` for a status that we do not know.
pub fn payment(invoice: &Invoice, ways: &[Way], now: DateTime<Utc>) -> Result<Payment, ProcessorError> {
    let (settled, waiting) = (sum(ways, "Settled"), sum(ways, "Processing"));
    let seen = settled + waiting;
    let marked = invoice.additional_status == "Marked";
    let watched = now.timestamp() < invoice.monitoring_expiration;
    let mut unfit = (invoice.currency != "USD").then(|| format!("it is in {}, not in US dollars", invoice.currency));
    let (state, received) = match invoice.status.as_str() {
        "New" => (PaymentState::Open, Usd::ZERO),
        "Processing" => (PaymentState::Processing, Usd::ZERO),
        "Settled" if marked => {
            // Whoever marked it vouches for what came in, not for what did not.
            if seen.is_zero() {
                unfit = Some("it was marked as settled by hand there, and nothing came in".to_owned());
            }
            (PaymentState::Paid, seen)
        }
        "Settled" => (PaymentState::Paid, settled),
        "Invalid" if marked && seen.is_positive() => {
            unfit = Some(format!("it was marked as invalid by hand there, though {} came in", seen.display()));
            (PaymentState::Paid, seen)
        }
        "Expired" | "Invalid" if waiting.is_positive() && watched => (PaymentState::Processing, Usd::ZERO),
        "Expired" | "Invalid" if settled.is_positive() => (PaymentState::Paid, settled),
        "Expired" => (PaymentState::Expired, Usd::ZERO),
        "Invalid" => {
            let reason = "The network did not confirm the payment.".to_owned();
            (PaymentState::Failed { reason }, Usd::ZERO)
        }
        other => return Err(ProcessorError::Unknown(format!("an invoice has the unknown status {other:?}"))),
    };
    Ok(Payment {
        state,
        received,
        seen,
        unfit,
        created_at: DateTime::from_timestamp(invoice.created_time, 0),
        ..Payment::open(invoice.id.clone(), invoice.topup())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_790_000_000;

    fn told(status: &str, additional: &str, coins: &[(&str, &str)]) -> Payment {
        let invoice = json!({
            "id": "Inv1", "storeId": "Store1", "amount": "105.26", "paidAmount": "1.00", "currency": "USD",
            "status": status, "additionalStatus": additional, "checkoutLink": "https://pay.example.com/i/Inv1",
            "metadata": { "orderId": TopUpId::fresh().to_string() }, "createdTime": NOW - 900,
            "expirationTime": NOW, "monitoringExpiration": NOW + 86_400,
        });
        let coins: Vec<_> = coins
            .iter()
            .map(|(value, status)| json!({ "id": "x", "value": value, "fee": "0.0", "status": status }))
            .collect();
        let ways = json!([
            { "paymentMethodId": "BTC-CHAIN", "rate": "50000.0", "payments": coins },
            { "paymentMethodId": "BTC-LN", "rate": "50000.0", "payments": [] },
        ]);
        let invoice: Invoice = serde_json::from_value(invoice).unwrap_or_else(|error| panic!("{error}"));
        let ways: Vec<Way> = serde_json::from_value(ways).unwrap_or_else(|error| panic!("{error}"));
        let now = DateTime::from_timestamp(NOW, 0).unwrap_or_default();
        payment(&invoice, &ways, now).unwrap_or_else(|error| panic!("{error}"))
    }

    fn cents(told: &Payment) -> (i64, i64) {
        (told.received.whole_cents().unwrap_or(-1), told.seen.whole_cents().unwrap_or(-1))
    }

    #[test]
    fn nothing_counts_before_it_is_confirmed() {
        let open = told("New", "None", &[]);
        assert_eq!((open.state.clone(), cents(&open)), (PaymentState::Open, (0, 0)));
        let part = told("New", "PaidPartial", &[("0.001", "Settled")]);
        assert_eq!((part.state.clone(), cents(&part)), (PaymentState::Open, (0, 5_000)));
        let seen = told("Processing", "None", &[("0.0021052", "Processing")]);
        assert_eq!((seen.state.clone(), cents(&seen)), (PaymentState::Processing, (0, 10_526)));
        let late = told("Expired", "PaidLate", &[("0.0021052", "Processing")]);
        assert_eq!((late.state.clone(), cents(&late)), (PaymentState::Processing, (0, 10_526)));
    }

    #[test]
    fn what_is_confirmed_at_the_end_counts_whether_it_is_all_a_part_too_much_or_late() {
        for (status, additional, value, received) in [
            ("Settled", "None", "0.0021052", 10_526),
            ("Settled", "PaidOver", "0.003", 15_000),
            ("Expired", "PaidPartial", "0.001", 5_000),
            ("Expired", "PaidLate", "0.0021052", 10_526),
            ("Invalid", "None", "0.0021052", 10_526),
        ] {
            let told = told(status, additional, &[(value, "Settled"), ("0.5", "Invalid")]);
            assert_eq!((told.state.clone(), cents(&told).0), (PaymentState::Paid, received), "{status} {additional}");
            assert_eq!(told.unfit, None);
        }
        assert_eq!(told("Expired", "None", &[]).state, PaymentState::Expired);
        assert!(matches!(told("Invalid", "None", &[]).state, PaymentState::Failed { .. }));
        // Coins are divided more finely than cents; the price of an invoice is met by rounding up.
        let dust = told("Settled", "None", &[("0.00210521", "Settled")]);
        assert_eq!(cents(&dust).0, 10_526);
    }

    #[test]
    fn what_somebody_marked_by_hand_counts_only_as_far_as_money_came() {
        let vouched = told("Settled", "Marked", &[("0.001", "Settled"), ("0.001", "Processing")]);
        assert_eq!((cents(&vouched).0, vouched.unfit), (10_000, None));
        assert!(told("Settled", "Marked", &[]).unfit.is_some());
        assert!(told("Invalid", "Marked", &[("0.001", "Settled")]).unfit.is_some());
        assert!(matches!(told("Invalid", "Marked", &[]).state, PaymentState::Failed { .. }));
    }

    #[test]
    fn a_fee_that_the_store_adds_buys_nothing() {
        let ways: Vec<Way> = serde_json::from_value(json!([
            { "rate": 50_000, "payments": [{ "value": "0.0022", "fee": "0.0001", "status": "Settled" }] },
        ]))
        .unwrap_or_default();
        assert_eq!(sum(&ways, "Settled"), Usd::from_cents(10_500));
    }
}

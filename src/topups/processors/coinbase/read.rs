//! Checkouts of Coinbase Business in our words.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;

use super::super::ProcessorError;
use super::super::remote::{decimal, maybe_decimal};
use super::{REFUND, TOPUP};
use crate::base::Usd;
use crate::base::ids::TopUpId;
use crate::topups::payment::{Payment, PaymentState, RefundSeen, RefundState};

/// The one currency of checkouts. Coinbase changes one of it into one dollar and back.
pub const CURRENCY: &str = "USDC";

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    pub id: String,
    pub url: String,
    status: String,
    #[serde(deserialize_with = "decimal")]
    amount: Decimal,
    currency: String,
    pub created_at: DateTime<Utc>,
    #[serde(default)]
    updated_at: Option<DateTime<Utc>>,
    #[serde(default)]
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
    /// There once money came in.
    #[serde(default)]
    settlement: Option<Settlement>,
    #[serde(default, deserialize_with = "maybe_decimal")]
    refunded_amount: Option<Decimal>,
    #[serde(default)]
    refunds: Option<Vec<Refund>>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Settlement {
    /// Before Coinbase's own fee, which is not in these books.
    #[serde(deserialize_with = "decimal")]
    total_amount: Decimal,
    currency: String,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Refund {
    id: String,
    #[serde(deserialize_with = "decimal")]
    amount: Decimal,
    #[serde(default)]
    currency: Option<String>,
    status: String,
    #[serde(default)]
    reason: Option<String>,
}

/// The answer to a refund that was asked for.
#[derive(Deserialize, Debug)]
pub struct Refunded {
    pub refund: Refund,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub struct CheckoutPage {
    pub checkouts: Vec<Found>,
    #[serde(default)]
    next_page_token: Option<String>,
}

impl CheckoutPage {
    /// The page after this one, unless it can only hold what was made before `since`. The order of pages is not
    /// documented, so that is only believed where this page falls.
    pub fn after(&self, since: DateTime<Utc>) -> Option<String> {
        let token = self.next_page_token.clone().filter(|token| !token.is_empty())?;
        let falls = self.checkouts.is_sorted_by(|one, next| one.created_at >= next.created_at);
        let past = self.checkouts.last().is_some_and(|last| last.created_at < since);
        (!(falls && past)).then_some(token)
    }
}

impl Found {
    /// The purchase that it names.
    pub fn topup(&self) -> Option<TopUpId> {
        self.metadata.as_ref()?.get(TOPUP)?.as_str()?.parse().ok()
    }

    /// Whether something of it went back, and that may have changed since then.
    pub fn may_have_gone_back(&self, since: DateTime<Utc>) -> bool {
        let told = self.refunds.as_ref().is_some_and(|refunds| !refunds.is_empty());
        let summed = self.refunded_amount.is_some_and(|back| !back.is_zero());
        let status = matches!(self.status.as_str(), "REFUNDED" | "PARTIALLY_REFUNDED");
        (told || summed || status) && self.updated_at.is_none_or(|at| at >= since)
    }

    fn unfit(&self) -> Option<String> {
        let settled = self.settlement.as_ref().map(|settlement| settlement.currency.as_str());
        let foreign = [Some(self.currency.as_str()), settled].into_iter().flatten().find(|code| *code != CURRENCY);
        foreign.map(|code| format!("it is in {code}, not in {CURRENCY}"))
    }
}

/// A checkout, with what came in for it and went back. Money that settled counts, whatever became of the checkout.
///
/// # Errors
/// `Unknown` for a status that we do not know, and for refunds that are not told in full.
pub fn payment(found: &Found) -> Result<Payment, ProcessorError> {
    let settled = found.settlement.as_ref().map(|settlement| Usd::new(settlement.total_amount).to_cents());
    let came = settled.filter(|settled| settled.is_positive());
    let asked = Usd::new(found.amount).to_cents();
    let failed = |reason: &str| PaymentState::Failed { reason: reason.to_owned() };
    let (state, received, seen) = match (found.status.as_str(), came) {
        ("COMPLETED" | "REFUNDED" | "PARTIALLY_REFUNDED", came) => {
            let received = came.unwrap_or(asked);
            (PaymentState::Paid, received, received)
        }
        ("ACTIVE", came) => (PaymentState::Open, Usd::ZERO, came.unwrap_or_default()),
        ("PROCESSING", came) => (PaymentState::Processing, Usd::ZERO, came.unwrap_or(asked)),
        ("EXPIRED" | "DEACTIVATED" | "FAILED", Some(came)) => (PaymentState::Paid, came, came),
        ("EXPIRED", None) => (PaymentState::Expired, Usd::ZERO, Usd::ZERO),
        ("DEACTIVATED", None) => (failed("The payment page was closed."), Usd::ZERO, Usd::ZERO),
        ("FAILED", None) => (failed("The payment did not go through."), Usd::ZERO, Usd::ZERO),
        (other, _) => return Err(ProcessorError::Unknown(format!("a checkout has the unknown status {other:?}"))),
    };
    let refunds = found.refunds.as_deref().unwrap_or_default();
    if refunds.is_empty() && found.refunded_amount.is_some_and(|back| !back.is_zero()) {
        return Err(ProcessorError::Unknown("a checkout does not tell its refunds".to_owned()));
    }
    Ok(Payment {
        state,
        received,
        seen,
        unfit: found.unfit(),
        refunds: refunds.iter().map(refund).collect::<Result<_, _>>()?,
        created_at: Some(found.created_at),
        ..Payment::open(found.id.clone(), found.topup())
    })
}

/// # Errors
/// `Unknown` for another currency and for a status that we do not know.
pub fn refund(refund: &Refund) -> Result<RefundSeen, ProcessorError> {
    if let Some(code) = refund.currency.as_deref().filter(|code| *code != CURRENCY) {
        return Err(ProcessorError::Unknown(format!("a refund is in {code}, not in {CURRENCY}")));
    }
    let ours = refund.reason.as_deref().and_then(|reason| reason.strip_prefix(REFUND));
    let state = match refund.status.as_str() {
        "COMPLETED" => RefundState::Succeeded,
        "FAILED" => RefundState::Failed,
        "PENDING" => RefundState::Pending,
        other => return Err(ProcessorError::Unknown(format!("a refund has the unknown status {other:?}"))),
    };
    Ok(RefundSeen {
        reference: refund.id.clone(),
        ours: ours.and_then(|id| id.trim().parse().ok()),
        amount: Usd::new(refund.amount).to_cents(),
        state,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn checkout(status: &str, more: Value) -> Found {
        let mut object = json!({
            "id": "68f7a946db0529ea9b6d3a12", "url": "https://payments.coinbase.com/payment-links/pl_1",
            "status": status, "amount": "105.26", "currency": "USDC", "network": "base",
            "createdAt": "2026-03-20T10:30:00Z", "updatedAt": "2026-03-20T10:30:00Z",
            "metadata": { TOPUP: TopUpId::fresh().to_string() },
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            object[field] = value.clone();
        }
        serde_json::from_value(object).unwrap_or_else(|error| panic!("{error}"))
    }

    fn told(status: &str, more: Value) -> Payment {
        payment(&checkout(status, more)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn settled(total: &str) -> Value {
        json!({ "settlement": { "totalAmount": total, "feeAmount": "1.25", "netAmount": "98.75", "currency": "USDC" } })
    }

    #[test]
    fn a_checkout_is_paid_when_it_is_completed_and_by_what_settled() {
        assert_eq!(told("ACTIVE", json!({})).state, PaymentState::Open);
        let under_way = told("PROCESSING", json!({}));
        assert_eq!((under_way.state, under_way.received), (PaymentState::Processing, Usd::ZERO));
        for (status, more, cents) in [
            ("COMPLETED", json!({}), 10_526),
            ("COMPLETED", settled("105.26"), 10_526),
            ("COMPLETED", settled("110.00"), 11_000),
            ("EXPIRED", settled("50.00"), 5_000),
            ("FAILED", settled("50.00"), 5_000),
            ("PARTIALLY_REFUNDED", settled("105.26"), 10_526),
        ] {
            let told = told(status, more);
            assert_eq!((told.state, told.received.whole_cents()), (PaymentState::Paid, Some(cents)), "{status}");
        }
        assert_eq!(told("EXPIRED", json!({})).state, PaymentState::Expired);
        for status in ["FAILED", "DEACTIVATED"] {
            assert!(matches!(told(status, json!({})).state, PaymentState::Failed { .. }), "{status}");
        }
        assert!(payment(&checkout("SOMETHING", json!({}))).is_err());
    }

    #[test]
    fn only_its_own_currency_counts() {
        assert!(told("COMPLETED", json!({ "currency": "EURC" })).unfit.is_some());
        let mut other = settled("105.26");
        other["settlement"]["currency"] = json!("ETH");
        assert!(told("COMPLETED", other).unfit.is_some());
    }

    #[test]
    fn refunds_are_ours_or_those_of_somebody_there() {
        let id = crate::base::ids::RefundId::fresh();
        let refunds = json!({ "refundedAmount": "30.00", "refunds": [
            { "id": "a", "checkoutId": "1", "amount": "25.00", "currency": "USDC", "status": "COMPLETED",
              "reason": format!("{REFUND} {id}"), "createdAt": "2026-03-20T10:30:00Z" },
            { "id": "b", "checkoutId": "1", "amount": "5.00", "currency": "USDC", "status": "PENDING",
              "reason": "Customer requested refund", "createdAt": "2026-03-20T10:30:00Z" },
        ]});
        let told = told("PARTIALLY_REFUNDED", refunds);
        let seen: Vec<_> = told.refunds.iter().map(|refund| (refund.ours, refund.state)).collect();
        assert_eq!(seen, [(Some(id), RefundState::Succeeded), (None, RefundState::Pending)]);
        assert!(payment(&checkout("REFUNDED", json!({ "refundedAmount": "105.26" }))).is_err());
    }

    #[test]
    fn pages_end_where_they_fall_below_what_is_asked_for() {
        let at = |time: &str| checkout("ACTIVE", json!({ "createdAt": time }));
        let since: DateTime<Utc> = "2026-03-20T00:00:00Z".parse().unwrap_or_default();
        let page = |times: [&str; 2]| CheckoutPage {
            checkouts: times.into_iter().map(at).collect(),
            next_page_token: Some("more".to_owned()),
        };
        assert_eq!(page(["2026-03-22T00:00:00Z", "2026-03-21T00:00:00Z"]).after(since).as_deref(), Some("more"));
        assert_eq!(page(["2026-03-21T00:00:00Z", "2026-03-19T00:00:00Z"]).after(since), None);
        assert_eq!(page(["2026-03-18T00:00:00Z", "2026-03-19T00:00:00Z"]).after(since).as_deref(), Some("more"));
    }
}

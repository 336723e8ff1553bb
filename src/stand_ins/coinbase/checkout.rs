//! A checkout, its refunds, and how the API tells them.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::base::Usd;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Active,
    Processing,
    Deactivated,
    Expired,
    Completed,
    Failed,
    Refunded,
    PartiallyRefunded,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundStatus {
    Pending,
    Completed,
    Failed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refund {
    pub id: String,
    pub amount: Usd,
    pub reason: Option<String>,
    pub status: RefundStatus,
    pub created_ms: i64,
    pub completed_ms: Option<i64>,
}

/// What a checkout is made with.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCheckout {
    pub amount: String,
    pub currency: String,
    pub network: Option<String>,
    pub description: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    pub success_redirect_url: Option<String>,
    pub fail_redirect_url: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkout {
    pub id: String,
    /// Its name on the payment page.
    pub link: String,
    pub status: Status,
    pub amount: Usd,
    pub description: Option<String>,
    pub metadata: Map<String, Value>,
    pub success_url: Option<String>,
    pub fail_url: Option<String>,
    pub created_ms: i64,
    pub updated_ms: i64,
    pub expires_ms: i64,
    /// What came in.
    pub settled: Option<Usd>,
    pub refunds: Vec<Refund>,
}

pub fn time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// With two digits, as amounts are written there.
pub fn text(amount: Usd) -> String {
    format!("{:.2}", amount.amount())
}

impl Refund {
    pub fn object(&self, checkout: &str) -> Value {
        let mut object = json!({
            "id": self.id, "checkoutId": checkout, "amount": text(self.amount), "currency": "USDC",
            "status": self.status, "createdAt": time(self.created_ms),
        });
        if let Some(reason) = &self.reason {
            object["reason"] = json!(reason);
        }
        if let Some(at) = self.completed_ms {
            object["completedAt"] = json!(time(at));
            object["transactionHash"] = json!(hash(&self.id));
        }
        object
    }
}

/// What a transaction is found by on the chain.
fn hash(of: &str) -> String {
    format!("0x{}", crate::base::Digest::of(of).to_hex())
}

impl Checkout {
    pub fn refunded(&self) -> Usd {
        let done = self.refunds.iter().filter(|refund| refund.status == RefundStatus::Completed);
        done.map(|refund| refund.amount).sum()
    }

    /// Refunded or on its way.
    pub fn going_back(&self) -> Usd {
        let going = self.refunds.iter().filter(|refund| refund.status != RefundStatus::Failed);
        going.map(|refund| refund.amount).sum()
    }

    /// As the API tells it; what does not apply is left out.
    pub fn object(&self, base: &str) -> Value {
        let mut object = json!({
            "id": self.id,
            "url": format!("{base}/payment-links/{}", self.link),
            "status": self.status,
            "amount": text(self.amount),
            "currency": "USDC",
            "network": "base",
            "address": "0x742d35Cc6634C0532925a3b844Bc454e4438f44e",
            "tokenAddress": "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913",
            "createdAt": time(self.created_ms),
            "updatedAt": time(self.updated_ms),
            "expiresAt": time(self.expires_ms),
            "metadata": self.metadata,
        });
        let more = [
            ("description", &self.description),
            ("successRedirectUrl", &self.success_url),
            ("failRedirectUrl", &self.fail_url),
        ];
        for (field, value) in more {
            if let Some(value) = value {
                object[field] = json!(value);
            }
        }
        if let Some(settled) = self.settled {
            // Its own fee of 1.25 % leaves what the shop gets; our books are before it.
            let fee = Usd::new(settled.amount() * rust_decimal::dec!(0.0125)).to_cents();
            object["settlement"] = json!({
                "totalAmount": text(settled), "feeAmount": text(fee), "netAmount": text(settled - fee),
                "currency": "USDC",
            });
            object["transactionHash"] = json!(hash(&self.id));
        }
        if !self.refunds.is_empty() {
            object["refundedAmount"] = json!(text(self.refunded()));
            object["refunds"] = self.refunds.iter().map(|refund| refund.object(&self.id)).collect();
        }
        object
    }
}

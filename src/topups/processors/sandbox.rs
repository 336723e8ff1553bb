//! Pretend payments for development. Its table stands for a company's database elsewhere: the rest of
//! Farebox learns of a payment only by its events and by asking, as with every other processor.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{Checkout, Headers, Order, PaymentPage, Processor, ProcessorError, WebhookError};
use crate::base::Usd;
use crate::base::ids::{EventId, TopUpId};
use crate::jobs::{self, IntoTaskHandlerResult, TaskHandler, WorkerContext};
use crate::topups::inbox::{self, Event};
use crate::topups::payment::{Payment, PaymentState};
use crate::topups::topup::TopUp;

/// How long a delayed payment takes.
const DELAY_SECONDS: i32 = 10;

/// Of payments at once.
const PAGE: i64 = 100;

/// What the person at the pretend payment page chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Paid,
    Declined,
    Delayed,
}

#[derive(Clone, Debug)]
pub struct Sandbox {
    pool: PgPool,
}

impl Sandbox {
    #[must_use]
    pub fn new(pool: PgPool) -> Sandbox {
        Sandbox { pool }
    }

    /// What happens when somebody clicks on the pretend payment page: the payment changes, and its event
    /// goes to the inbox as a webhook would. False when the payment was decided before.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn decide(&self, topup: TopUpId, outcome: Outcome) -> Result<bool, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let next = match outcome {
            Outcome::Paid => "paid",
            Outcome::Declined => "declined",
            Outcome::Delayed => "processing",
        };
        let changed = sqlx::query!(
            "update sandbox_payment set state = $2 where topup_id = $1 and state in ('open', 'processing') returning ref",
            topup.0,
            next,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = changed else { return Ok(false) };
        inbox::receive(&mut tx, Event::new("sandbox", EventId::fresh().to_string(), next, row.r#ref)).await?;
        if outcome == Outcome::Delayed {
            let later = SettleSandboxPayment { topup };
            jobs::enqueue_after(&mut tx, &later, &format!("sandbox:{topup}"), DELAY_SECONDS).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

#[async_trait]
impl Processor for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    async fn checkout(&self, order: &Order<'_>) -> Result<Checkout, ProcessorError> {
        let topup = order.topup;
        let reference = format!("sandbox_{}", topup.id.0.simple());
        sqlx::query!(
            "insert into sandbox_payment (ref, topup_id, total, state) values ($1, $2, $3, 'open')
             on conflict (ref) do nothing",
            reference,
            topup.id.0,
            topup.total.amount(),
        )
        .execute(&self.pool)
        .await
        .map_err(unknown)?;
        Ok(Checkout { reference, url: format!("/sandbox/checkout/{}", topup.id) })
    }

    async fn fetch(&self, reference: &str) -> Result<Option<Payment>, ProcessorError> {
        let row = sqlx::query!(
            r#"select ref as reference, topup_id as "topup: TopUpId", total as "total: Usd", state, created_at
               from sandbox_payment where ref = $1"#,
            reference,
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(unknown)?;
        Ok(row.map(|row| Payment {
            state: state(&row.state),
            received: if row.state == "paid" { row.total } else { Usd::ZERO },
            created_at: Some(row.created_at),
            ..Payment::open(row.reference, Some(row.topup))
        }))
    }

    async fn find(&self, topup: &TopUp, _customer: Option<&str>) -> Result<Option<Payment>, ProcessorError> {
        self.fetch(&format!("sandbox_{}", topup.id.0.simple())).await
    }

    async fn payments(&self, since: DateTime<Utc>, page: Option<&str>) -> Result<PaymentPage, ProcessorError> {
        let references = sqlx::query_scalar!(
            "select ref from sandbox_payment where created_at >= $1 and ref > $2 order by ref limit $3",
            since,
            page.unwrap_or_default(),
            PAGE,
        )
        .fetch_all(&self.pool)
        .await
        .map_err(unknown)?;
        let next = references.last().filter(|_| i64::try_from(references.len()) == Ok(PAGE)).cloned();
        let mut payments = Vec::with_capacity(references.len());
        for reference in &references {
            payments.extend(self.fetch(reference).await?);
        }
        Ok(PaymentPage { payments, next })
    }

    /// Its events come from its own page, inside of this program.
    fn read_webhook(&self, _: Headers<'_>, _: &[u8], _: DateTime<Utc>) -> Result<Event, WebhookError> {
        Err(WebhookError::Signature)
    }
}

fn unknown(error: sqlx::Error) -> ProcessorError {
    ProcessorError::Unknown(error.to_string())
}

fn state(text: &str) -> PaymentState {
    match text {
        "paid" => PaymentState::Paid,
        "declined" => PaymentState::Failed { reason: "The payment was declined.".into() },
        "processing" => PaymentState::Processing,
        _ => PaymentState::Open,
    }
}

/// A delayed pretend payment comes through.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SettleSandboxPayment {
    pub topup: TopUpId,
}

impl TaskHandler for SettleSandboxPayment {
    const IDENTIFIER: &'static str = "settle_sandbox_payment";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        let decided = Sandbox::new(pool.clone()).decide(self.topup, Outcome::Paid).await;
        decided.map(drop).map_err(|error| error.to_string())
    }
}

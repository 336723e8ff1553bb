//! Payment processors. Each answers the same three questions; only their own files know their words.

pub mod sandbox;

use sqlx::PgPool;

use super::topup::TopUp;
use crate::base::Usd;

/// What a processor says of a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PaymentState {
    Open,
    Processing,
    Paid,
    Declined,
}

/// A payment as its processor tells it, fetched anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment {
    pub reference: String,
    pub total: Usd,
    pub state: PaymentState,
}

/// Where a person goes to pay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkout {
    pub reference: String,
    pub url: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// Nobody knows whether it happened; ask again later, with the same id.
    #[error("the processor did not answer: {0}")]
    Unknown(String),
    #[error("this instance has no processor `{0}`")]
    Missing(String),
}

/// The processors of this instance.
#[derive(Clone, Debug)]
pub struct Processors {
    sandbox: Option<sandbox::Sandbox>,
}

impl Processors {
    #[must_use]
    pub fn new(pool: PgPool, dev: bool) -> Processors {
        Processors { sandbox: dev.then(|| sandbox::Sandbox::new(pool)) }
    }

    #[must_use]
    pub fn sandbox(&self) -> Option<&sandbox::Sandbox> {
        self.sandbox.as_ref()
    }

    /// Opens a checkout; with the same top-up again, the same one.
    ///
    /// # Errors
    /// See [`ProcessorError`].
    pub async fn checkout(&self, topup: &TopUp) -> Result<Checkout, ProcessorError> {
        match (topup.processor.as_str(), &self.sandbox) {
            ("sandbox", Some(sandbox)) => sandbox.checkout(topup).await,
            (other, _) => Err(ProcessorError::Missing(other.to_owned())),
        }
    }

    /// Asks the processor for a payment.
    ///
    /// # Errors
    /// See [`ProcessorError`].
    pub async fn fetch(&self, processor: &str, reference: &str) -> Result<Option<Payment>, ProcessorError> {
        match (processor, &self.sandbox) {
            ("sandbox", Some(sandbox)) => sandbox.fetch(reference).await,
            (other, _) => Err(ProcessorError::Missing(other.to_owned())),
        }
    }
}

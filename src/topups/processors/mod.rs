//! Payment processors. Each answers the same questions; only their own files know their words.

pub mod btcpay;
pub mod coinbase;
mod remote;
pub mod sandbox;
pub mod stripe;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use url::Url;

use super::fees::{Fees, METHODS, Method, Schedule};
use super::inbox::Event;
use super::payment::{Payment, RefundSeen, SavedMethod};
use super::topup::TopUp;
use crate::base::Usd;
use crate::base::ids::{MethodSetupId, OrgId, RefundId};

/// Where a person goes to pay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checkout {
    pub reference: String,
    pub url: String,
}

/// A purchase to open a checkout for.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    pub topup: &'a TopUp,
    /// The organization's name at this processor, where it has customers.
    pub customer: Option<String>,
    /// Keep the way to pay for charging it again, as the payer asked.
    pub save: bool,
    /// Where the person comes back to, having paid or not. Coming back credits nothing.
    pub return_url: Url,
}

/// A charge without its payer being there.
#[derive(Clone, Debug)]
pub struct Charge<'a> {
    pub topup: &'a TopUp,
    pub customer: String,
    /// The saved way to pay.
    pub method: String,
    /// Where the payer comes back to from confirming.
    pub return_url: Url,
}

/// A way to pay to be kept without buying.
#[derive(Clone, Debug)]
pub struct SetupOrder {
    /// Also the idempotency key.
    pub id: MethodSetupId,
    /// Of the fee schedule.
    pub method: String,
    pub customer: Option<String>,
    /// Where the person comes back to. Coming back keeps nothing.
    pub return_url: Url,
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetupState {
    /// Its owner may still finish it.
    Open,
    Kept(SavedMethod),
    /// It ended without anything to keep.
    Over,
}

/// Money to send back.
#[derive(Clone, Debug)]
pub struct RefundOrder {
    /// Also the idempotency key.
    pub id: RefundId,
    /// The payment, as [`Payment::payment_ref`] or else its reference.
    pub payment: String,
    pub amount: Usd,
}

/// Somebody to charge.
#[derive(Clone, Debug)]
pub struct NewCustomer {
    pub org: OrgId,
    pub name: String,
    pub email: String,
}

/// Names of payments, such as [`Processor::fetch`] understands.
#[derive(Clone, Debug, Default)]
pub struct ReferencePage {
    pub references: Vec<String>,
    /// Ask again with this to get more.
    pub next: Option<String>,
}

/// Payments of a processor, oldest or newest first, as it likes.
#[derive(Clone, Debug, Default)]
pub struct PaymentPage {
    pub payments: Vec<Payment>,
    /// Ask again with this to get more.
    pub next: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// Nobody knows whether it happened; ask again later, with the same id.
    #[error("the processor did not answer: {0}")]
    Unknown(String),
    /// It certainly did not happen, for this reason.
    #[error("the processor refused: {0}")]
    Refused(String),
    #[error("the processor cannot do this")]
    Unsupported,
    #[error("this instance has no processor `{0}`")]
    Missing(String),
}

/// Why a delivered message is not believed. The reason is for the log, never for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    #[error("the signature is missing or wrong")]
    Signature,
    #[error("the message is too old or from the future")]
    Stale,
    #[error("the message is damaged: {0}")]
    Damaged(&'static str),
    #[error("the message is for another account or mode")]
    Elsewhere,
    /// Well signed, and about nothing that matters here: answered with success, not stored.
    #[error("the message is about something else")]
    Irrelevant,
}

/// Headers of a delivered message, by lower-case name.
pub type Headers<'a> = &'a dyn for<'n> Fn(&'n str) -> Option<&'a str>;

/// How money goes back through a processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Returns {
    Never,
    /// We ask it to, for the payer's organization and for an operator.
    Asked,
    /// We ask it to, for an operator only: where money came from need not be where its payer can take it back.
    AskedByOperator,
    /// It cannot, or tells nobody: somebody sends it by hand, and an operator writes it down here.
    ByHand,
}

/// A company or a server that takes payments. Every method that changes something is safe to repeat with the same
/// order. No database connection may be held while one is awaited.
#[async_trait]
pub trait Processor: Send + Sync {
    /// As in the fee schedule, the books and `/webhooks/{name}`.
    fn name(&self) -> &'static str;

    /// Whether payers send amounts themselves: then what comes in may differ from what was asked, may come in parts
    /// and after the end, and is credited by what came.
    fn payers_choose(&self) -> bool {
        false
    }

    fn returns(&self) -> Returns {
        Returns::Never
    }

    /// Opens a checkout; with the same top-up again, the same one.
    async fn checkout(&self, order: &Order<'_>) -> Result<Checkout, ProcessorError>;

    /// Closes a checkout that nobody was sent to, because another of the same purchase came first. Tidiness only: what is
    /// paid on it all the same is not credited by itself, but is a finding of the comparison for somebody to look at. Where
    /// the processor itself makes one of a purchase, there is nothing to do.
    async fn withdraw(&self, _checkout: &str) {}

    /// The payment that something of the processor is about: a checkout, a payment, a refund, a dispute, a warning.
    /// `None` when the processor does not know it or it is no payment of ours.
    async fn fetch(&self, reference: &str) -> Result<Option<Payment>, ProcessorError>;

    /// The payment of a purchase whose answer was lost, by what we had told the processor of it.
    async fn find(&self, topup: &TopUp, customer: Option<&str>) -> Result<Option<Payment>, ProcessorError>;

    /// Payments made since then, for comparing books.
    async fn payments(&self, since: DateTime<Utc>, page: Option<&str>) -> Result<PaymentPage, ProcessorError>;

    /// Payments of which something went back since then, by a refund or a dispute, however old the payment is. None where
    /// the processor never tells of it.
    async fn went_back(&self, _since: DateTime<Utc>, _page: Option<&str>) -> Result<ReferencePage, ProcessorError> {
        Ok(ReferencePage::default())
    }

    /// Reads a delivered message: verifies the signature over its raw bytes, its age, and that it is for us.
    fn read_webhook(&self, headers: Headers<'_>, body: &[u8], now: DateTime<Utc>) -> Result<Event, WebhookError>;

    /// Makes the organization known to the processor and returns its name there.
    async fn customer(&self, _new: &NewCustomer) -> Result<Option<String>, ProcessorError> {
        Ok(None)
    }

    /// Charges a saved way to pay. A decline is an answer, not an error.
    async fn charge(&self, _charge: &Charge<'_>) -> Result<Payment, ProcessorError> {
        Err(ProcessorError::Unsupported)
    }

    async fn refund(&self, _order: &RefundOrder) -> Result<RefundSeen, ProcessorError> {
        Err(ProcessorError::Unsupported)
    }

    /// Gives up a payment that waits for its payer. What it is then, [`Processor::fetch`] says.
    async fn cancel(&self, _payment: &str) -> Result<(), ProcessorError> {
        Err(ProcessorError::Unsupported)
    }

    /// Opens a page on which a way to pay is kept; with the same order again, the same one.
    async fn setup(&self, _order: &SetupOrder) -> Result<Checkout, ProcessorError> {
        Err(ProcessorError::Unsupported)
    }

    /// How that ended. `None` when the processor does not know it.
    async fn setup_state(&self, _reference: &str) -> Result<Option<SetupState>, ProcessorError> {
        Ok(None)
    }

    /// Makes the processor forget a saved way to pay. True also when it was gone.
    async fn forget(&self, _method: &str) -> Result<(), ProcessorError> {
        Err(ProcessorError::Unsupported)
    }

    /// Makes the processor forget a customer, with every way to pay that it keeps. What was paid stays there, as the law
    /// wants it. Also fine when it was forgotten before.
    async fn forget_customer(&self, _customer: &str) -> Result<(), ProcessorError> {
        Ok(())
    }
}

/// The processors of this instance, and what they sell for how much.
#[derive(Clone)]
pub struct Processors {
    list: Vec<Arc<dyn Processor>>,
    sandbox: Option<sandbox::Sandbox>,
    /// What the environment says.
    configured: Fees,
    schedule: Arc<RwLock<Arc<Schedule>>>,
    /// Where browsers reach this instance.
    pub public_url: Url,
    /// Whether a payment that its bank reports as fraud is sent back by itself.
    pub refund_warned: bool,
}

impl fmt::Debug for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list.iter().map(|one| one.name())).finish()
    }
}

impl Processors {
    /// `fees` decides what of the processors' methods is offered.
    #[must_use]
    pub fn new(
        list: Vec<Arc<dyn Processor>>,
        sandbox: Option<sandbox::Sandbox>,
        fees: &Fees,
        public_url: Url,
    ) -> Processors {
        let mut list = list;
        if let Some(sandbox) = &sandbox {
            list.push(Arc::new(sandbox.clone()));
        }
        let names: Vec<&str> = list.iter().map(|one| one.name()).collect();
        let schedule = Arc::new(RwLock::new(Arc::new(Schedule::new(fees, &names))));
        Processors { list, sandbox, configured: fees.clone(), schedule, public_url, refund_warned: false }
    }

    /// The same, sending payments back that are reported as fraud if `refund`.
    #[must_use]
    pub fn refunding_warned(self, refund: bool) -> Processors {
        Processors { refund_warned: refund, ..self }
    }

    /// What can be paid with and what it costs now. Whoever computes more than one figure keeps it meanwhile.
    #[must_use]
    pub fn schedule(&self) -> Arc<Schedule> {
        Arc::clone(&self.schedule.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fees as the environment sets them.
    #[must_use]
    pub fn configured_fees(&self) -> &Fees {
        &self.configured
    }

    /// From now on purchases cost this; `None`: what the environment says. Those that were begun keep their fee.
    pub fn set_fees(&self, fees: Option<&Fees>) {
        let names: Vec<&str> = self.list.iter().map(|one| one.name()).collect();
        let schedule = match fees {
            None => Schedule::new(&self.configured, &names),
            Some(fees) => Schedule::new(&fees.clone().over(&self.configured), &names),
        };
        let schedule = Arc::new(schedule);
        *self.schedule.write().unwrap_or_else(PoisonError::into_inner) = schedule;
    }

    /// Every way to pay that the processors here could take, offered or not.
    pub fn possible_methods(&self) -> impl Iterator<Item = &'static Method> {
        METHODS.iter().filter(|method| self.list.iter().any(|one| one.name() == method.processor))
    }

    #[must_use]
    pub fn sandbox(&self) -> Option<&sandbox::Sandbox> {
        self.sandbox.as_ref()
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Processor>> {
        self.list.iter()
    }

    /// # Errors
    /// `Missing` when this instance has none of that name.
    pub fn get(&self, name: &str) -> Result<&dyn Processor, ProcessorError> {
        let found = self.list.iter().find(|one| one.name() == name);
        found.map(AsRef::as_ref).ok_or_else(|| ProcessorError::Missing(name.to_owned()))
    }

    /// The address at which a person sees a purchase.
    #[must_use]
    pub fn topup_url(&self, topup: &TopUp) -> Url {
        self.url(&format!("/credits/topups/{}", topup.id))
    }

    /// One of our own pages, as browsers reach it.
    #[must_use]
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.public_url.clone();
        url.set_path(path);
        url
    }
}

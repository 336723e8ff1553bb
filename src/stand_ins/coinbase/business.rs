//! The books of one pretend business: its checkouts, and the messages about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::checkout::{Checkout, NewCheckout, Refund, RefundStatus, Status};
use super::stand_in::signature;
use crate::base::{Digest, Usd};
use crate::stand_ins::booth::{Company, Outgoing, Reply};

/// Checkouts that are kept. The state file is written as a whole, so it must stay small.
pub const MAX_CHECKOUTS: usize = 5_000;
/// How long a checkout is open if nobody said.
const OPEN_MS: i64 = 3_600_000;

/// Who may ask.
#[derive(Clone, Debug)]
pub struct CoinbaseConfig {
    pub key_id: String,
    /// The public half of the key: 32 bytes of Ed25519, or a point on P-256.
    pub public_key: Vec<u8>,
}

/// A message: what it says, and what kind of event it is.
#[derive(Clone, Serialize, Deserialize)]
struct Message {
    kind: String,
    body: Value,
}

#[derive(Default, Serialize, Deserialize)]
pub struct Business {
    /// In the order of making.
    checkouts: Vec<Checkout>,
    messages: BTreeMap<String, Message>,
    /// By idempotency key: the digest of the request, and its answer.
    answers: BTreeMap<String, (String, Reply)>,
    #[serde(skip)]
    untold: Vec<String>,
    #[serde(skip)]
    pub key_id: String,
    #[serde(skip)]
    pub public_key: Vec<u8>,
    #[serde(skip)]
    pub base: String,
}

/// Twenty-four hex digits that rise with the time.
fn fresh_id(now_ms: i64) -> String {
    let noise = Digest::of(crate::base::secret::random_bytes()).to_hex();
    format!("{:08x}{}", now_ms / 1000, &noise[..16])
}

impl Business {
    pub fn checkouts(&self) -> &[Checkout] {
        &self.checkouts
    }

    pub fn get(&self, id: &str) -> Option<&Checkout> {
        self.checkouts.iter().find(|checkout| checkout.id == id)
    }

    pub fn by_link(&self, link: &str) -> Option<&Checkout> {
        self.checkouts.iter().find(|checkout| checkout.link == link)
    }

    pub fn object(&self, id: &str) -> Option<Value> {
        self.get(id).map(|checkout| checkout.object(&self.base))
    }

    /// The first answer to a key, or what is wrong with using it again.
    pub fn answered(&self, key: &str, digest: &str) -> Option<Result<Reply, ()>> {
        let (first, reply) = self.answers.get(key)?;
        Some(if first == digest { Ok(reply.clone()) } else { Err(()) })
    }

    pub fn keep_answer(&mut self, key: &str, digest: String, reply: &Reply) {
        self.answers.insert(key.to_owned(), (digest, reply.clone()));
    }

    pub fn make(&mut self, new: NewCheckout, amount: Usd, now_ms: i64) -> String {
        let id = fresh_id(now_ms);
        let noise = Digest::of(crate::base::secret::random_bytes()).to_hex();
        self.checkouts.push(Checkout {
            id: id.clone(),
            link: format!("pl_{}", &noise[..26]),
            status: Status::Active,
            amount,
            description: new.description,
            metadata: new.metadata,
            success_url: new.success_redirect_url,
            fail_url: new.fail_redirect_url,
            created_ms: now_ms,
            updated_ms: now_ms,
            expires_ms: new.expires_at.map_or(now_ms + OPEN_MS, |at| at.timestamp_millis()),
            settled: None,
            refunds: Vec::new(),
        });
        id
    }

    /// Changes a checkout and tells of it, where there is something to tell.
    fn change(&mut self, id: &str, now_ms: i64, kind: Option<&str>, change: impl FnOnce(&mut Checkout)) {
        let Some(checkout) = self.checkouts.iter_mut().find(|checkout| checkout.id == id) else { return };
        change(checkout);
        checkout.updated_ms = now_ms;
        if let Some(kind) = kind {
            let mut body = checkout.object(&self.base);
            body["eventType"] = json!(kind);
            let message = format!("evt-{:05}-{}", self.messages.len(), fresh_id(now_ms));
            self.messages.insert(message.clone(), Message { kind: kind.to_owned(), body });
            self.untold.push(message);
        }
    }

    /// A payment of so much is on its way; what is on its way already stays.
    pub fn start(&mut self, id: &str, now_ms: i64) {
        self.change(id, now_ms, None, |checkout| checkout.status = Status::Processing);
    }

    /// So much came in, whether it is what was asked, in time, or neither.
    pub fn complete(&mut self, id: &str, amount: Usd, now_ms: i64) {
        self.change(id, now_ms, Some("checkout.payment.success"), |checkout| {
            checkout.status = Status::Completed;
            checkout.settled = Some(checkout.settled.unwrap_or_default() + amount);
        });
    }

    /// A part came in; the checkout stays open until its time runs out.
    pub fn part(&mut self, id: &str, amount: Usd, now_ms: i64) {
        self.change(id, now_ms, None, |checkout| {
            checkout.settled = Some(checkout.settled.unwrap_or_default() + amount);
        });
    }

    pub fn fail(&mut self, id: &str, now_ms: i64) {
        self.change(id, now_ms, Some("checkout.payment.failed"), |checkout| checkout.status = Status::Failed);
    }

    pub fn expire(&mut self, id: &str, now_ms: i64) {
        self.change(id, now_ms, Some("checkout.payment.expired"), |checkout| {
            checkout.status = Status::Expired;
            checkout.expires_ms = checkout.expires_ms.min(now_ms);
        });
    }

    pub fn deactivate(&mut self, id: &str, now_ms: i64) {
        self.change(id, now_ms, None, |checkout| checkout.status = Status::Deactivated);
    }

    /// Somebody sends so much back; it is on its way. Nothing where that is too much, or nothing came in.
    pub fn refund(&mut self, id: &str, amount: Usd, reason: Option<String>, now_ms: i64) -> Option<Refund> {
        let checkout = self.get(id)?;
        let left = checkout.settled? - checkout.going_back();
        let may = matches!(checkout.status, Status::Completed | Status::PartiallyRefunded);
        if !may || !amount.is_positive() || amount > left {
            return None;
        }
        let refund = Refund {
            id: fresh_id(now_ms),
            amount,
            reason,
            status: RefundStatus::Pending,
            created_ms: now_ms,
            completed_ms: None,
        };
        self.change(id, now_ms, None, |checkout| checkout.refunds.push(refund.clone()));
        Some(refund)
    }

    /// Makes a checkout older than it is.
    pub fn age(&mut self, id: &str, ms: i64) {
        for one in self.checkouts.iter_mut().filter(|one| one.id == id) {
            one.created_ms -= ms;
            one.updated_ms -= ms;
            one.expires_ms -= ms;
        }
    }

    /// All refunds of a checkout that are on their way arrive, or do not.
    pub fn finish_refunds(&mut self, id: &str, arrive: bool, now_ms: i64) {
        let kind = if arrive { "checkout.refund.success" } else { "checkout.refund.failed" };
        self.change(id, now_ms, Some(kind), |checkout| {
            for refund in checkout.refunds.iter_mut().filter(|refund| refund.status == RefundStatus::Pending) {
                refund.status = if arrive { RefundStatus::Completed } else { RefundStatus::Failed };
                refund.completed_ms = arrive.then_some(now_ms);
            }
            let back = checkout.refunded();
            checkout.status = match checkout.settled {
                Some(settled) if back >= settled => Status::Refunded,
                _ if back.is_positive() => Status::PartiallyRefunded,
                _ => Status::Completed,
            };
        });
    }

    /// What it holds for us: what settled, less what goes or went back. Its own fee is left out.
    pub fn balance(&self) -> Usd {
        let each = self.checkouts.iter().map(|one| one.settled.unwrap_or_default() - one.going_back());
        each.sum()
    }

    /// What each message says, oldest first.
    pub fn messages(&self) -> Vec<Value> {
        self.messages.values().map(|message| message.body.clone()).collect()
    }
}

impl Company for Business {
    type Config = CoinbaseConfig;
    const NAME: &'static str = "Coinbase Business";

    fn configure(&mut self, config: CoinbaseConfig, base: &str) {
        self.key_id = config.key_id;
        self.public_key = config.public_key;
        base.clone_into(&mut self.base);
    }

    fn pass(&mut self, now_ms: i64) {
        let over = |one: &&Checkout| one.status == Status::Active && one.expires_ms <= now_ms;
        let over: Vec<String> = self.checkouts.iter().filter(over).map(|one| one.id.clone()).collect();
        for id in over {
            self.expire(&id, now_ms);
        }
    }

    fn untold(&mut self) -> Vec<String> {
        std::mem::take(&mut self.untold)
    }

    fn message(&self, id: &str, _tries: usize, secret: &str, now_ms: i64) -> Option<Outgoing> {
        let message = self.messages.get(id)?;
        let body = message.body.to_string();
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("x-event-id", id.to_owned()),
            ("x-event-type", message.kind.clone()),
        ];
        let signed = signature(secret, now_ms / 1000, &headers, body.as_bytes());
        Some(Outgoing { headers: [headers, vec![("x-hook0-signature", signed)]].concat(), body })
    }
}

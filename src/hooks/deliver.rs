//! Sending what waits, in every process: claimed, sent, written down.

use std::time::{Duration, Instant};

use metrics::counter;
use rand::RngExt as _;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::endpoint::{Hook, purpose};
use super::send::{Courier, Message, Outcome};
use super::sign::{SigningSecret, signatures};
use super::store::{self, Claimed};
use crate::accounts::Links;
use crate::audit::{self, Action, Actor, Chain, Entry, Target};
use crate::base::ids::DeliveryId;
use crate::base::seal::{SealError, Sealed};
use crate::base::{Clock, Origin};
use crate::mail::{About, Kind, Topic};
use crate::notices;
use crate::orgs;
use crate::vault::{DataKey, Vault};
use crate::web::views::emails::NoticeMail;

/// How often it is looked for what is due while nothing is.
const EVERY: Duration = Duration::from_secs(1);
/// A message whose process was killed is sent again after this; far above what one try can take.
pub const LEASE: Duration = Duration::from_secs(60);
/// Messages that one process sends at once, and all processes to one address and for one organization. Organizations take
/// turns for them: whoever is slow keeps nobody else waiting.
const AT_ONCE: usize = 32;
const OF_HOOK: i64 = 4;
const OF_ORG: i64 = 8;
/// Tries of one message, with the waits below some forty hours.
pub const MAX_TRIES: i32 = 12;
/// The wait after the first try; each next one is four times as long, up to the last of these.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_hours(8);
/// Waits differ by up to so many percent, so that what failed together is not tried together.
const JITTER: u32 = 20;
/// An address at which every try failed for so long is switched off, if so many were made in the last of that time: one that
/// is seldom told anything is not judged by the first try after a long silence. By its eighth try a message has waited for
/// more than seven hours, so a short trouble is not enough.
pub const OFF_AFTER: Duration = Duration::from_hours(5 * 24);
pub const OFF_TRIES: i64 = 8;
/// Messages are kept for so long, and looked for that often.
const KEPT: Duration = Duration::from_hours(30 * 24);
const FORGET_EVERY: Duration = Duration::from_hours(1);
const FORGET_AT_ONCE: i64 = 2_000;

/// What sending needs. Cloning it is cheap.
#[derive(Clone)]
pub struct Dispatcher {
    pub pool: PgPool,
    pub vault: Vault,
    pub courier: Courier,
    pub links: Links,
    pub clock: Clock,
}

/// Runs until `stop`. What is being sent then is given ten seconds; the rest is somebody else's after [`LEASE`].
pub async fn run(dispatcher: Dispatcher, stop: CancellationToken) {
    let mut sending = JoinSet::new();
    let mut forgotten: Option<Instant> = None;
    while !stop.is_cancelled() {
        if let Err(error) = dispatcher.fill(&mut sending).await {
            tracing::warn!(%error, "webhooks wait: what is due could not be read");
        }
        if forgotten.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
            forgotten = Some(Instant::now());
            if let Err(error) = dispatcher.forget().await {
                tracing::warn!(%error, "old webhook messages were not deleted");
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
            Some(_) = sending.join_next() => {}
        }
    }
    let ended = async { while sending.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(10), ended).await;
}

/// How long to wait after so many tries; `percent` is around a hundred.
fn wait_after(tries: i32, percent: u32) -> Option<Duration> {
    let doubled = u32::try_from(tries).ok().filter(|tries| (1..MAX_TRIES.unsigned_abs()).contains(tries))? - 1;
    let wait = FIRST_WAIT.saturating_mul(4_u32.saturating_pow(doubled)).min(LONGEST_WAIT);
    Some(wait * percent / 100)
}

impl Dispatcher {
    async fn fill(&self, sending: &mut JoinSet<()>) -> Result<(), sqlx::Error> {
        let free = AT_ONCE.saturating_sub(sending.len());
        if free == 0 {
            return Ok(());
        }
        let claim = claim_id();
        for claimed in self.claim(claim, free).await? {
            let dispatcher = self.clone();
            sending.spawn(async move {
                let (org, id) = (claimed.org, claimed.id);
                if let Err(error) = dispatcher.deliver(claim, claimed).await {
                    tracing::warn!(%org, delivery = %id, %error, "a webhook was sent, but what became of it was not written down; it is sent again");
                }
            });
        }
        Ok(())
    }

    async fn claim(&self, claim: Uuid, most: usize) -> Result<Vec<Claimed>, sqlx::Error> {
        let mut conn = self.pool.acquire().await?;
        if !store::is_due(&mut conn).await? {
            return Ok(Vec::new());
        }
        let mut tx = conn.begin().await?;
        store::lock_claims(&mut tx).await?;
        let most = i64::try_from(most).unwrap_or(1);
        let claimed = store::claim(&mut tx, claim, LEASE, (most, OF_HOOK, OF_ORG)).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    async fn forget(&self) -> Result<(), sqlx::Error> {
        let mut conn = self.pool.acquire().await?;
        while store::forget_old(&mut conn, KEPT, FORGET_AT_ONCE).await? >= FORGET_AT_ONCE.unsigned_abs() {}
        Ok(())
    }

    async fn deliver(&self, claim: Uuid, claimed: Claimed) -> anyhow::Result<()> {
        let outcome = match self.secrets(&claimed).await {
            Ok(secrets) => {
                // The time of this try; receivers refuse what is signed as too old.
                let (id, timestamp) = (claimed.event.to_string(), self.clock.now().timestamp());
                let signatures = signatures(&secrets, &id, timestamp, &claimed.body);
                let body = claimed.body.clone();
                self.courier.send(Message { url: &claimed.url, id: &id, timestamp, signatures, body }).await
            }
            Err(error) => {
                tracing::error!(org = %claimed.org, hook = %claimed.hook, %error, "the secret of a webhook cannot be opened");
                Outcome::failed("Its secret cannot be opened. Rotate it, or ask whoever runs this server.")
            }
        };
        counter!("farebox_webhook_attempts_total", "outcome" => if outcome.is_taken() { "taken" } else { "failed" })
            .increment(1);
        self.write_down(claim, &claimed, &outcome).await
    }

    /// The one that signs, and the one before it while its grace lasts.
    async fn secrets(&self, claimed: &Claimed) -> anyhow::Result<Vec<SigningSecret>> {
        let mut conn = self.pool.acquire().await?;
        let data_key = self.vault.find(&mut conn, claimed.org).await?.ok_or(SealError::OtherKey)?;
        drop(conn);
        let mut secrets = vec![open(&data_key, claimed, &claimed.nonce, &claimed.ciphertext)?];
        if let (Some(nonce), Some(ciphertext)) = (&claimed.old_nonce, &claimed.old_ciphertext) {
            secrets.push(open(&data_key, claimed, nonce, ciphertext)?);
        }
        Ok(secrets)
    }

    async fn write_down(&self, claim: Uuid, claimed: &Claimed, outcome: &Outcome) -> anyhow::Result<()> {
        let percent = rand::rng().random_range(100 - JITTER..=100 + JITTER);
        let again = wait_after(claimed.tries, percent).filter(|_| !outcome.is_gone());
        let mut tx = self.pool.begin().await?;
        // It was deleted meanwhile, and with it the message.
        let Some(hook) = store::lock(&mut tx, claimed.org, claimed.hook).await? else { return Ok(()) };
        if !store::finish(&mut tx, claim, claimed, outcome, again).await? {
            return Ok(());
        }
        if outcome.is_taken() {
            store::note_working(&mut tx, hook.org, hook.id).await?;
        } else {
            let long = store::note_failing(&mut tx, hook.org, hook.id, (OFF_AFTER, OFF_TRIES)).await?;
            if hook.disabled_at.is_none() && (long || outcome.is_gone()) {
                let why = if outcome.is_gone() { "gone" } else { "failing" };
                self.switch_off(&mut tx, &hook, why, outcome).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }

    async fn switch_off(&self, tx: &mut PgConnection, hook: &Hook, why: &str, last: &Outcome) -> anyhow::Result<()> {
        store::disable(tx, hook.org, hook.id, why).await?;
        let name = orgs::find_org(tx, hook.org).await?.unwrap_or_default();
        let usual = |role| notices::usual(Topic::Webhooks, role);
        let readers = notices::readers(tx, hook.org, Topic::Webhooks, &[], &usual).await?;
        let told = if why == "gone" {
            format!(
                "The webhook of {name} at {} answered that it is gone for good, so it is switched off.",
                hook.host()
            )
        } else {
            let days = OFF_AFTER.as_secs() / 86_400;
            format!("The webhook of {name} at {} took no message for {days} days, so it is switched off.", hook.host())
        };
        let notice = NoticeMail {
            subject: format!("A webhook of {name} is switched off"),
            lines: vec![
                told,
                "What waits for it is kept for 30 days and sent once it is switched on again. What happens meanwhile is not."
                    .to_owned(),
            ],
            facts: vec![("Webhook".into(), hook.description.clone()), ("Last answer".into(), last.error.clone())],
            action: "See the webhook".into(),
            link: self.links.to_page_of(hook.org, &format!("/settings/webhooks/{}", hook.id)),
            footer: "Who gets this stands under Settings, Notifications.".into(),
            ..NoticeMail::default()
        };
        // Switched on and off again it is told of anew.
        let event = format!("webhook_off:{}:{}", hook.id, hook.updated_at.timestamp_micros());
        notices::write(tx, &event, Kind::WebhookOff, readers, &notice, About::org(hook.org)).await?;
        let entry = Entry::new(Chain::Org(hook.org), Actor::System, Action::WebhookDisabled, &Origin::here());
        let entry = entry.on(Target::new("webhook", hook.id, hook.description.clone()));
        audit::record(tx, entry.change(serde_json::Value::Null, serde_json::json!({ "why": why }))).await?;
        tracing::info!(org = %hook.org, hook = %hook.id, why, "a webhook was switched off");
        Ok(())
    }
}

/// A number for the claims of one look; nothing but its difference from all others matters.
fn claim_id() -> Uuid {
    DeliveryId::fresh().0
}

fn open(data_key: &DataKey, claimed: &Claimed, nonce: &[u8], ciphertext: &[u8]) -> Result<SigningSecret, SealError> {
    let sealed =
        Sealed { key_id: claimed.data_key.to_string(), nonce: nonce.to_vec(), ciphertext: ciphertext.to_vec() };
    let bytes = data_key.open(&purpose(claimed.org, claimed.hook), sealed)?;
    SigningSecret::from_bytes(bytes).ok_or(SealError::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let seconds: Vec<u64> =
            (1..MAX_TRIES).filter_map(|tries| wait_after(tries, 100)).map(|w| w.as_secs()).collect();
        assert_eq!(seconds, [5, 20, 80, 320, 1_280, 5_120, 20_480, 28_800, 28_800, 28_800, 28_800]);
        assert_eq!((wait_after(MAX_TRIES, 100), wait_after(0, 100), wait_after(-1, 100)), (None, None, None));
        assert_eq!(wait_after(1, 120), Some(Duration::from_secs(6)));
        assert!(LEASE > Duration::from_secs(30), "above what one try can take");
    }
}

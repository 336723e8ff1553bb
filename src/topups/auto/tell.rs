//! What people are mailed about auto top-up, each thing once.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};

use super::limits::{CONFIRM_WITHIN, CONTESTED, MAX_DECLINES};
use super::rule::Rule;
use crate::accounts::Links;
use crate::base::Usd;
use crate::base::ids::{OrgId, TopUpId};
use crate::hooks::{self, EventKind, Payload};
use crate::jobs::{self, IntoTaskHandlerResult, TaskHandler, WorkerContext};
use crate::ledger;
use crate::mail::{self, Kind, Topic};
use crate::notices;
use crate::orgs;
use crate::topups::mails::{self, Reader, fact};
use crate::topups::processors::Processors;
use crate::topups::store::{self, AutoCharged};
use crate::topups::topup::{State, TopUp};
use crate::web::views::emails::NoticeMail;

const PAGE: &str = "/credits/auto";

/// What there is to tell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A charge failed, and will be tried again while the rule is on; which one in a row it was, and why.
    Failed { attempt: TopUpId, in_a_row: i32, reason: String },
    /// Too many declines in a row; the last attempt.
    Stopped { attempt: TopUpId },
    /// A cap is reached, and nothing is bought before this day.
    Capped { until: NaiveDate },
    /// A bank asks its customer.
    Confirm { attempt: TopUpId },
}

impl About {
    /// Adds the job that tells of it, in the caller's transaction.
    pub async fn enqueue(&self, conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
        jobs::enqueue(conn, &TellOfAutoTopup { org, about: self.clone() }, &self.event(org)).await
    }

    /// Its name, for ever.
    fn event(&self, org: OrgId) -> String {
        match self {
            About::Failed { attempt, .. } => format!("auto_topup_failed:{org}:{attempt}"),
            About::Stopped { attempt } => format!("auto_topup_stopped:{org}:{attempt}"),
            About::Capped { until } => format!("auto_topup_capped:{org}:{until}"),
            About::Confirm { attempt } => format!("auto_topup_confirm:{org}:{attempt}"),
        }
    }
}

/// The job that writes the mails about one thing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TellOfAutoTopup {
    pub org: OrgId,
    pub about: About,
}

impl TaskHandler for TellOfAutoTopup {
    const IDENTIFIER: &'static str = "tell_of_auto_topup";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        let processors = context.get_ext::<Processors>().ok_or("no processors")?;
        let links = Links { base: processors.public_url.clone() };
        tell(pool, &links, self.org, &self.about).await.map_err(|error| {
            tracing::error!(org = %self.org, %error, "mails about auto top-up were not written yet");
            error.to_string()
        })
    }
}

async fn tell(pool: &PgPool, links: &Links, org: OrgId, about: &About) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let Some(name) = orgs::find_org(&mut tx, org).await? else { return Ok(()) };
    let Some(rule) = store::rule(&mut tx, org).await? else { return Ok(()) };
    let balance = ledger::credit_state(&mut tx, org).await?.posted;
    let (kind, notice) = match about {
        About::Failed { attempt, in_a_row, reason } => {
            let topup = store::find(&mut tx, org, *attempt).await?;
            let failed = failed(links, &rule, &name, (balance, topup.as_ref()), (*in_a_row, reason));
            (Kind::AutoTopupFailed, Some(failed))
        }
        About::Stopped { .. } => (Kind::AutoTopupStopped, Some(stopped(links, &rule, &name, balance))),
        About::Capped { until } => {
            let charged = store::auto_charged(&mut tx, org).await?;
            (Kind::AutoTopupCapped, Some(capped(links, &rule, &name, (balance, &charged), *until)))
        }
        About::Confirm { attempt } => (Kind::AutoTopupConfirm, confirm(&mut tx, links, org, &name, *attempt).await?),
    };
    if let Some(notice) = notice {
        let readers = readers(&mut tx, &rule).await?;
        let (event, payload) = told(&rule, balance, about);
        hooks::emit(&mut tx, org, event, &about.event(org), payload).await?;
        mails::write(&mut tx, &about.event(org), kind, readers, &notice, mail::About::org(org)).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// Usually the owners, and whoever set the rule while they are a member who may.
async fn readers(conn: &mut PgConnection, rule: &Rule) -> Result<Vec<Reader>, sqlx::Error> {
    let setter: Vec<_> = rule.set_by.into_iter().collect();
    let usual = |role| notices::usual(Topic::AutoTopup, role);
    notices::readers(conn, rule.org, Topic::AutoTopup, &setter, &usual).await
}

/// The same for webhooks.
fn told(rule: &Rule, balance: Usd, about: &About) -> (EventKind, Payload) {
    let payload = Payload::new().with("below", rule.below.exact()).with("balance", balance.exact());
    match about {
        About::Failed { attempt, in_a_row, reason } => (
            EventKind::AutoTopupFailed,
            payload.with("topup", attempt.to_string()).with("in_a_row", *in_a_row).with("reason", reason.clone()),
        ),
        About::Stopped { attempt } => (
            EventKind::AutoTopupStopped,
            payload.with("topup", attempt.to_string()).with("reason", rule.stopped_reason.clone()),
        ),
        About::Capped { until } => (
            EventKind::AutoTopupCapped,
            payload
                .with("until", until.to_string())
                .with("cap_day", rule.cap_day.exact())
                .with("cap_month", rule.cap_month.exact()),
        ),
        About::Confirm { attempt } => (EventKind::AutoTopupConfirm, payload.with("topup", attempt.to_string())),
    }
}

fn failed(
    links: &Links,
    rule: &Rule,
    name: &str,
    (balance, topup): (Usd, Option<&TopUp>),
    (in_a_row, reason): (i32, &str),
) -> NoticeMail {
    let again = if rule.enabled {
        format!(
            "It is tried again in an hour if the credits are still below {} then. This was failure {in_a_row} in a row; \
             with {MAX_DECLINES} it is switched off.",
            rule.below.display()
        )
    } else {
        "Auto top-up is switched off, so it is not tried again.".to_owned()
    };
    let mut facts = vec![("Reason".to_owned(), reason.to_owned())];
    facts.extend(topup.into_iter().flat_map(|topup| [fact("Credits", topup.credits), fact("To pay", topup.total)]));
    facts.push(fact("Credits now", balance));
    NoticeMail {
        subject: format!("A charge for {name} failed"),
        lines: vec![
            format!(
                "Auto top-up of {name} on {} tried to buy credits, and the charge failed. Nothing was bought.",
                links.instance()
            ),
            format!("{again} You can add credits yourself or choose another payment method."),
        ],
        facts,
        action: "See auto top-up".into(),
        link: links.to_page_of(rule.org, PAGE),
        footer: "Who gets this stands under Settings, Notifications.".into(),
        ..NoticeMail::default()
    }
}

fn stopped(links: &Links, rule: &Rule, name: &str, balance: Usd) -> NoticeMail {
    let instance = links.instance();
    let line = match rule.stopped_reason.as_str() {
        CONTESTED => format!(
            "A payment of {name} on {instance} was contested with its bank or reported as fraud, so auto top-up is switched off, \
             and nothing is charged again for what is taken back. Find out why before somebody switches it on again."
        ),
        _ => format!(
            "{MAX_DECLINES} charges in a row failed, so auto top-up of {name} on {instance} is switched off. Nothing is bought \
             until somebody switches it on again. Choose another payment method, or add credits yourself."
        ),
    };
    NoticeMail {
        subject: format!("Auto top-up of {name} is switched off"),
        lines: vec![line],
        facts: vec![("Last reason".into(), rule.stopped_reason.clone()), fact("Credits now", balance)],
        action: "See auto top-up".into(),
        link: links.to_page_of(rule.org, PAGE),
        footer: "You get this because you own the organization or set auto top-up.".into(),
        ..NoticeMail::default()
    }
}

fn capped(
    links: &Links,
    rule: &Rule,
    name: &str,
    (balance, charged): (Usd, &AutoCharged),
    until: NaiveDate,
) -> NoticeMail {
    NoticeMail {
        subject: format!("Auto top-up of {name} reached its cap"),
        lines: vec![format!(
            "The credits of {name} on {} are below {}, but a cap of auto top-up is reached, so nothing was bought. It \
             looks again on {}. Until then you can raise the cap or add credits yourself.",
            links.instance(),
            rule.below.display(),
            until.format("%-d %b %Y, 00:00 UTC")
        )],
        facts: vec![
            fact("Credits now", balance),
            fact("Charged today", charged.today),
            fact("Cap of a day", rule.cap_day),
            fact("Charged this month", charged.this_month),
            fact("Cap of a month", rule.cap_month),
        ],
        action: "See auto top-up".into(),
        link: links.to_page_of(rule.org, PAGE),
        footer: "This is told once a day at most. You get it because you own the organization or set auto top-up."
            .into(),
        ..NoticeMail::default()
    }
}

/// `None` when it was confirmed or given up meanwhile.
async fn confirm(
    conn: &mut PgConnection,
    links: &Links,
    org: OrgId,
    name: &str,
    attempt: TopUpId,
) -> Result<Option<NoticeMail>, sqlx::Error> {
    let topup = store::find(conn, org, attempt).await?.filter(|topup| topup.state() == State::Pending);
    Ok(topup.map(|topup| NoticeMail {
        subject: format!("Confirm a payment for {name}"),
        lines: vec![format!(
            "Auto top-up of {name} on {} wants to buy credits, and the bank asks its customer to confirm the payment. The \
             credits arrive when that is done. After {} hours it is cancelled.",
            links.instance(),
            CONFIRM_WITHIN.num_hours()
        )],
        facts: vec![fact("Credits", topup.credits), fact("To pay", topup.total)],
        action: "See the payment".into(),
        link: links.to_page_of(org, &format!("/credits/topups/{attempt}")),
        footer: "Whoever the payment method belongs to can confirm it, after signing in. If nobody knows of it, switch \
                 auto top-up off."
            .into(),
        ..NoticeMail::default()
    }))
}

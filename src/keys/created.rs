//! Telling of a new key: webhooks with the key, people by mail where a person made it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, PgPool};

use super::issue::NewKey;
use super::key::KeyKind;
use super::store;
use crate::accounts::Links;
use crate::audit::Actor;
use crate::base::Usd;
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::hooks::{self, EventKind, Payload};
use crate::jobs::{self, IntoTaskHandlerResult, TaskHandler, WorkerContext};
use crate::ledger::Limits;
use crate::mail::{About, Kind, Topic};
use crate::notices;
use crate::orgs;
use crate::web::views::emails::NoticeMail;

/// The job that mails of a key that a person made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TellOfKey {
    pub org: OrgId,
    pub key: KeyId,
    /// Who made it, as the log names them.
    pub by: String,
}

/// Tells of a key in the transaction that makes it.
pub(super) async fn tell(
    conn: &mut PgConnection,
    org: OrgId,
    id: KeyId,
    (actor, by): (Actor, &str),
    maker: Option<PersonId>,
    new: &NewKey,
) -> Result<(), sqlx::Error> {
    let payload = Payload::new()
        .with("key", id.to_string())
        .with("name", new.name.as_str())
        .with("kind", new.kind.as_str())
        .with("made_by", maker.map(|maker| maker.to_string()))
        .with("issued_by", new.issued_by.map(|key| key.to_string()))
        .with("limits", limits(&new.limits))
        .with("expires_at", new.expires_at.map(hooks::stamp));
    hooks::emit(conn, org, EventKind::KeyCreated, &format!("key_created:{id}"), payload).await?;
    // Programs make thousands; their provisioning key was told of.
    if new.issued_by.is_none() && matches!(actor, Actor::Person(_)) {
        let job = TellOfKey { org, key: id, by: by.to_owned() };
        jobs::enqueue(conn, &job, &format!("key_created:{id}")).await?;
    }
    Ok(())
}

/// The limits of a meter as messages have them; null where there is none.
pub(super) fn limits(limits: &Limits) -> Value {
    let exact = |limit: Option<Usd>| limit.map(Usd::exact);
    serde_json::json!({
        "total": exact(limits.total),
        "day": exact(limits.day),
        "week": exact(limits.week),
        "month": exact(limits.month),
    })
}

impl TaskHandler for TellOfKey {
    const IDENTIFIER: &'static str = "tell_of_key";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let pool = context.get_ext::<PgPool>().ok_or("no database")?;
        let links = context.get_ext::<Links>().ok_or("no links")?;
        mail(pool, links, &self).await.map_err(|error| {
            tracing::error!(org = %self.org, key = %self.key, %error, "mails about a new key were not written yet");
            error.to_string()
        })
    }
}

async fn mail(pool: &PgPool, links: &Links, told: &TellOfKey) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let Some(key) = store::find(&mut tx, told.org, told.key).await? else { return Ok(()) };
    let org = orgs::find_org(&mut tx, told.org).await?.unwrap_or_default();
    let usual = |role| notices::usual(Topic::KeyCreated, role);
    let concerned: Vec<PersonId> = key.created_by.into_iter().collect();
    let readers = notices::readers(&mut tx, told.org, Topic::KeyCreated, &concerned, &usual).await?;
    let mut facts = vec![("Key".to_owned(), key.name.clone()), ("Made by".to_owned(), told.by.clone())];
    facts.extend((!key.label.is_empty()).then(|| ("Looks like".to_owned(), key.label.clone())));
    let notice = NoticeMail {
        subject: format!("A new key of {org}: {}", key.name),
        lines: vec![format!("{} made the key “{}” of {org} on {}.", told.by, key.name, links.instance())],
        facts,
        action: "See the key".into(),
        link: links.to_page_of(
            told.org,
            &match key.kind {
                KeyKind::Provisioning => format!("/settings/provisioning/{}", key.id),
                KeyKind::Inference => format!("/keys/{}", key.id),
            },
        ),
        footer:
            "If nobody should have made it, delete it there and look at who is signed in. Who gets this stands under \
                 Settings, Notifications."
                .into(),
        ..NoticeMail::default()
    };
    let about = About::org(told.org).and(key.created_by);
    notices::write(&mut tx, &format!("key_created:{}", key.id), Kind::KeyCreated, readers, &notice, about).await?;
    tx.commit().await?;
    Ok(())
}

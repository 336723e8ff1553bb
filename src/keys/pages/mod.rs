//! The pages of keys: for members who have them, and for whoever holds a key or a link.

pub mod alarm;
pub mod claim;
pub mod forms;
pub mod give;
pub mod holder;
pub mod list;
pub mod provisioning;
pub mod rotate;
pub mod several;
pub mod show;
pub mod switch;

use chrono::{DateTime, Utc};

use super::key::{Key, KeyKind, KeyState};
use super::shown::Tightest;
use super::{key_form, store};
use crate::base::Usd;
use crate::base::ids::KeyId;
use crate::catalog::{Catalog, Shelf};
use crate::ledger::MeterState;
use crate::orgs::{KeyUser, Member, Org};
use crate::presets::{self, Status};
use crate::web::flash::told;
use crate::web::snippets::{Example, KEY_PLACEHOLDER, MODEL_PLACEHOLDER};
use crate::web::views::{Badge, Snippets};
use crate::web::{App, PageError};

/// A key that ends within this time is marked, so that its program can get another one before.
const EXPIRES_SOON: chrono::TimeDelta = chrono::TimeDelta::days(7);
/// The list that every key's page leads back to.
const KEYS: &str = "/keys";

fn page_of(key: KeyId) -> String {
    format!("{KEYS}/{key}")
}

/// A key of this member, or of the organization for those who see all of them. Provisioning keys have pages of their own,
/// which ask for more.
async fn own_key(app: &App, member: &KeyUser, id: &str) -> Result<Key, PageError> {
    let id: KeyId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = member.tenant(app).await?;
    let key = store::find(&mut conn, member.org_id(), id).await?;
    // What somebody else made is as if it were not there for whoever sees only their own.
    let whose = member.keys_of();
    key.filter(|key| key.kind == KeyKind::Inference && (whose.is_none() || key.created_by == whose))
        .ok_or(PageError::NotFound)
}

/// What a form wants to bind a key to, as it is. `None` for what is no preset here, and for nothing.
pub(super) async fn named_preset(app: &App, member: &Member, text: &str) -> Result<Option<Status>, PageError> {
    let Ok(Some(slug)) = key_form::preset(text) else { return Ok(None) };
    let mut conn = member.tenant(app).await?;
    Ok(presets::find_by_slug(&mut conn, member.org_id(), slug.as_str()).await?.map(|preset| preset.status))
}

fn spent(meter: Option<&MeterState>) -> Usd {
    meter.map_or(Usd::ZERO, |meter| meter.spent.total)
}

fn state_badge(key: &Key, meter: Option<&MeterState>, now: DateTime<Utc>) -> Badge {
    let at_limit = meter.and_then(Tightest::of).is_some_and(|tightest| tightest.is_reached());
    match key.state(now) {
        KeyState::Unclaimed => Badge::new("", "ticket", "Not claimed"),
        KeyState::Disabled => Badge::new("", "ban", "Disabled"),
        KeyState::Expired => Badge::new("", "clock", "Expired"),
        KeyState::Active if at_limit => Badge::new("warn", "ban", "At its limit"),
        KeyState::Active if key.expires_at.is_some_and(|at| at - now <= EXPIRES_SOON) => {
            Badge::new("warn", "clock", "Expires soon")
        }
        KeyState::Active => Badge::new("good", "check", "Active"),
    }
}

/// The same for members, who see what stops all keys of their organization.
fn badge_within(org: &Org, key: &Key, meter: Option<&MeterState>, now: DateTime<Utc>) -> Badge {
    let stopped = all_stopped(org).filter(|_| key.state(now) == KeyState::Active);
    stopped.unwrap_or_else(|| state_badge(key, meter, now))
}

/// What stops every key of an organization, while something does.
pub(super) fn all_stopped(org: &Org) -> Option<Badge> {
    let word = if org.frozen_at.is_some() {
        "Frozen"
    } else if org.keys_stopped_at.is_some() || org.delete_after.is_some() {
        "Stopped"
    } else {
        return None;
    };
    Some(Badge::new("bad", "octagon-x", word))
}

/// How to use a key, with a model that it may call. Without the key's text a placeholder stands for it.
fn snippets(app: &App, catalog: &Catalog, key: &Key, text: Option<&str>) -> Snippets {
    let allowed = key.rules.models.as_ref().and_then(|models| models.iter().next());
    let any = catalog.example().map_or(MODEL_PLACEHOLDER, |listed| listed.model.slug.as_str());
    let base_url = base_url(app);
    Example { base_url: &base_url, key: text.unwrap_or(KEY_PLACEHOLDER), model: allowed.unwrap_or(any) }
        .languages_and_programs()
}

fn base_url(app: &App) -> String {
    app.url("/api/v1")
}

/// Whether there is a model of this id, called so or by another name.
pub(super) fn knows(shelf: &Shelf) -> impl Fn(&str) -> bool + use<> {
    let catalog = shelf.current();
    move |model: &str| catalog.model(model).is_some_and(|listed| listed.model.slug.as_str() == model)
}

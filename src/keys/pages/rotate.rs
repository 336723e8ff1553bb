//! A new secret for a key.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::forms::{issued_view, read_seen, seen};
use super::{own_key, page_of, told};
use crate::base::Viewer;
use crate::catalog::Shelf;
use crate::keys::edit::EditError;
use crate::keys::key::Key;
use crate::keys::rotate::{self, Grace, RotateError};
use crate::keys::store;
use crate::ledger::{self, MeterState};
use crate::orgs::KeyUser;
use crate::web::present::when;
use crate::web::views::keys as views;
use crate::web::views::{Choice, Shell};
use crate::web::{App, PageError, Protected, html, once};

/// Graces that are offered, in hours.
const GRACES: [(u32, &str); 6] =
    [(0, "Not at all"), (1, "An hour"), (8, "8 hours"), (24, "A day"), (48, "2 days"), (72, "3 days")];
const USUAL: u32 = 24;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RotateForm {
    seen: String,
    grace: String,
}

impl RotateForm {
    /// For how long the old key works, and the version that the form was made of.
    ///
    /// # Errors
    /// `Invalid` for a grace that is not offered, and for a damaged form.
    pub(super) fn read(&self) -> Result<(Grace, DateTime<Utc>), PageError> {
        let grace = self.grace.parse().ok().and_then(Grace::hours);
        let grace = grace.ok_or_else(|| PageError::Invalid("The old key can work for 0 to 72 hours.".into()))?;
        Ok((grace, read_seen(&self.seen)?))
    }
}

/// `GET /keys/{key}/rotate`
///
/// # Errors
/// `NotFound` for what is not this member's.
pub async fn form(app: web::Data<App>, member: KeyUser, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let mut conn = member.tenant(&app).await?;
    let meters = ledger::meter_states(&mut conn, key.org, &[key.meter()]).await?;
    let shell = member.shell("keys", &format!("Rotate “{}”", key.name), "");
    html(&rotate_view(shell, page_of(key.id), &key, meters.first(), (now, viewer)))
}

/// The form, for a key with its page at `href`.
pub(super) fn rotate_view(
    shell: Shell,
    href: String,
    key: &Key,
    meter: Option<&MeterState>,
    (now, viewer): (DateTime<Utc>, Viewer),
) -> views::Rotate {
    let last_used = meter.and_then(|meter| meter.last_used_at);
    let still = key.previous_until.filter(|until| *until > now).map(|until| {
        format!(
            "The key before this one still works until {}. It stops at once when you rotate again.",
            viewer.moment_in_zone(until)
        )
    });
    views::Rotate {
        shell,
        href,
        seen: seen(key),
        masked: key.label.clone(),
        last_used: last_used.map(|at| when(at, now, viewer)),
        warning: still.unwrap_or_default(),
        graces: GRACES.map(|(hours, label)| Choice::new(&hours.to_string(), label, "", hours == USUAL)).to_vec(),
    }
}

/// What the page with the new key says of the old one.
pub(super) fn old_until(key: &Key, viewer: Viewer) -> String {
    match key.previous_until {
        Some(until) => format!("The old key works until {}.", viewer.moment_in_zone(until)),
        None => "The old key no longer works.".to_owned(),
    }
}

/// `POST /keys/{key}/rotate`: the answer is the only page that ever shows the new key.
///
/// # Errors
/// `NotFound` for what is not this member's; `Invalid` for a grace that is not offered.
pub async fn rotate(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: KeyUser,
    id: web::Path<String>,
    Protected(form): Protected<RotateForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let (grace, seen) = form.read()?;
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let mut tx = member.tenant(&app).await?;
    let rotated = rotate::rotate(&mut tx, &member.acting().into(), key.org, key.id, Some(seen), grace, now).await;
    let issued = match rotated {
        Ok(issued) => issued,
        Err(RotateError::Edit(EditError::NotFound)) => return Err(PageError::NotFound),
        Err(RotateError::Edit(EditError::Database(error))) => return Err(error.into()),
        Err(error) => return Ok(told(&app, &page_of(key.id), false, &error.to_string())),
    };
    let key = store::find(&mut tx, key.org, key.id).await?.ok_or(PageError::NotFound)?;
    let meters = ledger::meter_states(&mut tx, key.org, &[key.meter()]).await?;
    tx.commit().await?;
    let limits = meters.first().map(|meter| meter.limits).unwrap_or_default();
    let shell = member.shell("keys", "The new key", "Copy it now: it is not shown again.");
    let mut view = issued_view(&app, &shelf, shell, &issued, &key, &limits, (now, viewer));
    view.done_href = page_of(key.id);
    view.old_until = old_until(&key, viewer);
    once(&view)
}

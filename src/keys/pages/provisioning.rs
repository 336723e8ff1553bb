//! Changing a provisioning key, and giving it another secret. Both could lift what was set for it, so both ask first who is
//! there.

use actix_web::{HttpResponse, web};

use super::forms::{read_changes, read_seen, saved, stored};
use super::rotate::{RotateForm, old_until, rotate_view};
use super::told;
use crate::accounts::Recent;
use crate::catalog::Shelf;
use crate::keys::edit::{self, EditError};
use crate::keys::key::Key;
use crate::keys::key_form::{KeyForm, Mistakes};
use crate::keys::provisioning::pages::{SECTION, is_orphan, issued_view, own_key, page_of};
use crate::keys::rotate::{RotateError, rotate_provisioning};
use crate::keys::store;
use crate::ledger;
use crate::orgs::{KeyManager, Permission};
use crate::web::views::provisioning as views;
use crate::web::{App, PageError, Protected, html, once, unprocessable};

fn edit_view(member: &KeyManager, key: &Key, form: &KeyForm, wrong: &Mistakes) -> views::Edit {
    views::Edit {
        shell: member.shell(SECTION, &format!("Edit “{}”", key.name), ""),
        href: page_of(key.id),
        seen: form.seen.clone(),
        fields: form.fields(wrong, Some(key.expires_at), member.person().viewer()),
    }
}

/// `GET /settings/provisioning/{key}/edit`
///
/// # Errors
/// `NotFound` for what is no provisioning key of this organization; asks first to show again who one is.
pub async fn edit_form(
    app: web::Data<App>,
    member: KeyManager,
    _recent: Recent,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut conn = member.tenant(&app).await?;
    let meters = ledger::meter_states(&mut conn, key.org, &[key.meter()]).await?;
    let meter = meters.first().ok_or(PageError::NotFound)?;
    html(&edit_view(&member, &key, &stored(&key, &meter.limits, meter.include_byok), &Mistakes::default()))
}

/// `POST /settings/provisioning/{key}/edit`: holds for it and for everything that it issued from the next call on.
///
/// # Errors
/// As [`edit_form`]; mistakes are shown beside their field.
pub async fn edit(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: KeyManager,
    _recent: Recent,
    id: web::Path<String>,
    Protected(form): Protected<KeyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let seen = read_seen(&form.seen)?;
    let changes = match read_changes(&app, &shelf, &member, &key, &form).await? {
        Ok(changes) => changes,
        Err(wrong) => return unprocessable(&edit_view(&member, &key, &form, &wrong)),
    };
    let (acting, page) = (member.acting(), page_of(key.id));
    let mut tx = member.tenant(&app).await?;
    acting.lock(&mut tx, Permission::ManageAllKeys).await?;
    let edited = edit::edit(&mut tx, &acting.into(), key.org, key.id, Some(seen), changes).await;
    saved(&app, tx, &page, edited, "from the next call on, for what it issued too").await
}

/// `GET /settings/provisioning/{key}/rotate`
///
/// # Errors
/// As [`edit_form`].
pub async fn rotate_form(
    app: web::Data<App>,
    member: KeyManager,
    _recent: Recent,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let moment = (app.clock.now(), member.person().viewer());
    let mut conn = member.tenant(&app).await?;
    let meters = ledger::meter_states(&mut conn, key.org, &[key.meter()]).await?;
    let shell = member.shell(SECTION, &format!("Rotate “{}”", key.name), "");
    let mut view = rotate_view(shell, page_of(key.id), &key, meters.first(), moment);
    if is_orphan(&mut conn, &key).await? {
        "Whoever made this key is no owner or admin any more. It becomes yours, and the old key stops at once, whatever \
         you choose here. What it issued goes on."
            .clone_into(&mut view.warning);
    }
    html(&view)
}

/// `POST /settings/provisioning/{key}/rotate`: the answer is the only page that ever shows the new key.
///
/// # Errors
/// As [`edit_form`]; `Invalid` for a grace that is not offered.
pub async fn rotate(
    app: web::Data<App>,
    member: KeyManager,
    _recent: Recent,
    id: web::Path<String>,
    Protected(form): Protected<RotateForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let (grace, seen) = form.read()?;
    let mut tx = member.tenant(&app).await?;
    let rotated = rotate_provisioning(&mut tx, &member.acting(), key.id, seen, grace, app.clock.now()).await;
    let issued = match rotated {
        Ok(issued) => issued,
        Err(RotateError::Edit(EditError::NotFound)) => return Err(PageError::NotFound),
        Err(RotateError::Edit(EditError::Database(error))) => return Err(error.into()),
        Err(RotateError::Org(error)) => return Err(error.into()),
        Err(error) => return Ok(told(&app, &page_of(key.id), false, &error.to_string())),
    };
    let key = store::find(&mut tx, key.org, key.id).await?.ok_or(PageError::NotFound)?;
    let mut view = issued_view(&app, &member, &mut tx, &issued, &key).await?;
    tx.commit().await?;
    view.old_until = old_until(&key, member.person().viewer());
    once(&view)
}

//! Giving a key away by a link.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::forms::refused;
use super::{knows, named_preset, own_key, page_of, told};
use crate::base::Secret;
use crate::base::ids::KeyId;
use crate::catalog::Shelf;
use crate::keys::give::{self, GiveError};
use crate::keys::key::Key;
use crate::keys::key_form::{KeyForm, Mistakes, Reading};
use crate::keys::shown::limit_lines;
use crate::keys::store;
use crate::ledger::{self, Limits};
use crate::orgs::KeyUser;
use crate::web::views::keys as views;
use crate::web::{App, EmptyForm, PageError, Protected, html, once, unprocessable};

fn view(member: &KeyUser, form: &KeyForm, wrong: &Mistakes) -> views::New {
    views::New {
        shell: member.shell(
            "keys",
            "Give a key",
            "A link that shows a new key once, to a friend or a colleague without an account.",
        ),
        form_id: form.id.clone(),
        fields: form.fields(wrong, None, member.person().viewer()),
        links: form.link_choices(),
    }
}

/// `GET /keys/give`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn form(member: KeyUser) -> Result<HttpResponse, PageError> {
    let form = KeyForm { id: KeyId::fresh().to_string(), ..KeyForm::default() };
    html(&view(&member, &form, &Mistakes::default()))
}

/// `POST /keys/give`: the answer is the only page that ever shows the link.
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn give(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: KeyUser,
    Protected(form): Protected<KeyForm>,
) -> Result<HttpResponse, PageError> {
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let id = form.new_id(now).map_err(|error| PageError::Invalid(error.to_string()))?;
    let knows = knows(&shelf);
    let preset = named_preset(&app, &member, &form.preset).await?;
    let against = Reading { now, viewer, knows: &knows, preset, kept: None, undone: "No link was made." };
    let new = match form.read(&against) {
        Ok(asked) => asked.into_new(),
        Err(wrong) => return unprocessable(&view(&member, &form, &wrong)),
    };
    let (limits, lasts) = (new.limits, form.link_lasts());
    let mut tx = member.tenant(&app).await?;
    let (org, maker) = (member.org_id(), member.person().id);
    let given = give::give(&mut tx, &member.acting().into(), id, org, maker, now, new, lasts).await;
    let Some(token) = given.map_err(refused)? else {
        let text = "This form has made its link already. If you did not keep it, make another one here.";
        return Ok(told(&app, &page_of(id), false, text));
    };
    let key = store::find(&mut tx, org, id).await?.ok_or(PageError::NotFound)?;
    tx.commit().await?;
    given_page(&app, &member, &key, &limits, &token, viewer.moment_in_zone(now + lasts))
}

fn given_page(
    app: &App,
    member: &KeyUser,
    key: &Key,
    limits: &Limits,
    token: &Secret<String>,
    until: String,
) -> Result<HttpResponse, PageError> {
    once(&views::Given {
        shell: member.shell("keys", "The link to the key", "It works once. Copy it now: it is not shown again."),
        link: app.url(&format!("/claim?token={}", token.expose())),
        name: key.name.clone(),
        limits: limit_lines(limits),
        until,
        key_href: page_of(key.id),
    })
}

#[derive(Deserialize)]
pub struct LinkForm {
    #[serde(default)]
    lasts: String,
}

/// `POST /keys/{key}/link`: another link in the place of the one before.
///
/// # Errors
/// `NotFound` for what is not this member's.
pub async fn again(
    app: web::Data<App>,
    member: KeyUser,
    id: web::Path<String>,
    Protected(form): Protected<LinkForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let lasts = KeyForm { lasts: form.lasts, ..KeyForm::default() }.link_lasts();
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let mut tx = member.tenant(&app).await?;
    let token = match give::give_again(&mut tx, &member.acting().into(), key.org, key.id, now, lasts).await {
        Ok(token) => token,
        Err(GiveError::NotFound) => return Err(PageError::NotFound),
        Err(GiveError::Database(error)) => return Err(error.into()),
        Err(error @ GiveError::Claimed) => return Ok(told(&app, &page_of(key.id), false, &error.to_string())),
    };
    let meters = ledger::meter_states(&mut tx, key.org, &[key.meter()]).await?;
    tx.commit().await?;
    let limits = meters.first().map(|meter| meter.limits).unwrap_or_default();
    given_page(&app, &member, &key, &limits, &token, viewer.moment_in_zone(now + lasts))
}

/// `POST /keys/{key}/unlink`
///
/// # Errors
/// `NotFound` for what is not this member's.
pub async fn revoke(
    app: web::Data<App>,
    member: KeyUser,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    let revoked = give::revoke_link(&mut tx, &member.acting().into(), key.org, key.id).await?;
    tx.commit().await?;
    let text = if revoked {
        "The link no longer works. The key stays without a secret until you make another link."
    } else {
        "There is no link to revoke: it was used or revoked before."
    };
    Ok(told(&app, &page_of(key.id), revoked, text))
}

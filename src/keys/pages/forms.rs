//! Making and editing a key.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Transaction};

use super::{KEYS, base_url, knows, named_preset, own_key, page_of, snippets, told};
use crate::base::Viewer;
use crate::base::ids::KeyId;
use crate::catalog::Shelf;
use crate::keys::edit::{self, Changes, EditError};
use crate::keys::issue::{self, IssueError, Issued, NewKey};
use crate::keys::key::Key;
use crate::keys::key_form::{self, Asked, KeyForm, Mistakes, Reading};
use crate::keys::rules::{Models, Networks, PerMinute};
use crate::keys::shown::limit_lines;
use crate::keys::store;
use crate::ledger::{self, Limits};
use crate::orgs::{KeyUser, Member};
use crate::presets::Status;
use crate::web::present::when;
use crate::web::views::keys as views;
use crate::web::{App, PageError, Protected, html, once, unprocessable};

const USED_BEFORE: &str = "This form has made its key already, so no second one was made. A key is shown only once: if \
                           you did not keep it, delete it and create another.";

fn new_view(member: &KeyUser, form: &KeyForm, wrong: &Mistakes) -> views::New {
    views::New {
        shell: member.shell("keys", "Create a key", "A key for one program, with limits of its own."),
        form_id: form.id.clone(),
        fields: form.fields(wrong, None, member.person().viewer()),
        links: Vec::new(),
    }
}

/// `GET /keys/new`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn new_form(member: KeyUser) -> Result<HttpResponse, PageError> {
    let form = KeyForm { id: KeyId::fresh().to_string(), ..KeyForm::default() };
    html(&new_view(&member, &form, &Mistakes::default()))
}

/// `POST /keys`: the answer is the only page that ever shows the key.
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn create(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: KeyUser,
    Protected(form): Protected<KeyForm>,
) -> Result<HttpResponse, PageError> {
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let id = form.new_id(now).map_err(|error| PageError::Invalid(error.to_string()))?;
    let knows = knows(&shelf);
    let preset = named_preset(&app, &member, &form.preset).await?;
    let against = Reading { now, viewer, knows: &knows, preset, kept: None, undone: "No key was made." };
    let new = match form.read(&against) {
        Ok(asked) => asked.into_new(),
        Err(wrong) => return unprocessable(&new_view(&member, &form, &wrong)),
    };
    let limits = new.limits;
    let Some((issued, key)) = issue(&app, &member, id, now, new).await? else {
        return Ok(told(&app, KEYS, false, USED_BEFORE));
    };
    let shell = member.shell("keys", "Your new key", "Copy it now: it is not shown again.");
    once(&issued_view(&app, &shelf, shell, &issued, &key, &limits, (now, viewer)))
}

/// The page that shows a key, after it was made or rotated.
pub(super) fn issued_view(
    app: &App,
    shelf: &Shelf,
    shell: crate::web::views::Shell,
    issued: &Issued,
    key: &Key,
    limits: &Limits,
    (now, viewer): (DateTime<Utc>, Viewer),
) -> views::Issued {
    let text = issued.plain.reveal();
    views::Issued {
        shell,
        key: text.to_owned(),
        name: key.name.clone(),
        limits: limit_lines(limits),
        expires: key.expires_at.map_or_else(|| "Never".to_owned(), |at| when(at, now, viewer).exact),
        old_until: String::new(),
        done_href: KEYS.to_owned(),
        snippets: snippets(app, &shelf.current(), key, Some(text)),
        base_url: base_url(app),
    }
}

/// One transaction for the key and its meter. `None` when the form was used before.
async fn issue(
    app: &App,
    member: &KeyUser,
    id: KeyId,
    now: DateTime<Utc>,
    new: NewKey,
) -> Result<Option<(Issued, Key)>, PageError> {
    let mut tx = member.tenant(app).await?;
    let (org, maker) = (member.org_id(), Some(member.person().id));
    let issued = issue::issue_once(&mut tx, &member.acting().into(), id, org, maker, now, new).await;
    let Some(issued) = issued.map_err(refused)? else { return Ok(None) };
    let key = store::find(&mut tx, org, id).await?.ok_or(PageError::NotFound)?;
    tx.commit().await?;
    Ok(Some((issued, key)))
}

pub(super) fn refused(error: IssueError) -> PageError {
    match error {
        IssueError::Database(error) => error.into(),
        told => PageError::Invalid(told.to_string()),
    }
}

/// The form of a key as it stands.
pub(super) fn stored(key: &Key, limits: &Limits, include_byok: bool) -> KeyForm {
    let dollars = |limit: Option<crate::base::Usd>| limit.map(|usd| plain(usd.exact())).unwrap_or_default();
    let lines = |all: Vec<String>| all.join("\n");
    KeyForm {
        id: key.id.to_string(),
        seen: seen(key),
        name: key.name.clone(),
        total: dollars(limits.total),
        day: dollars(limits.day),
        week: dollars(limits.week),
        month: dollars(limits.month),
        byok: if include_byok { "on".to_owned() } else { String::new() },
        models: lines(key.rules.models.iter().flat_map(Models::iter).map(str::to_owned).collect()),
        networks: lines(key.rules.networks.iter().flat_map(Networks::iter).map(|one| one.to_string()).collect()),
        per_minute: key.rules.per_minute.map(|calls: PerMinute| calls.get().to_string()).unwrap_or_default(),
        preset: key.rules.preset.as_ref().map(ToString::to_string).unwrap_or_default(),
        ..KeyForm::default()
    }
}

/// An amount as somebody would type it.
fn plain(exact: String) -> String {
    match exact.split_once('.') {
        Some((whole, parts)) => {
            let parts = parts.trim_end_matches('0');
            match parts.len() {
                0 => whole.to_owned(),
                1 => format!("{whole}.{parts}0"),
                _ => format!("{whole}.{parts}"),
            }
        }
        None => exact,
    }
}

/// The version of a key, for a form that changes it.
pub(super) fn seen(key: &Key) -> String {
    key.updated_at.timestamp_micros().to_string()
}

/// A form that names no version is damaged: without one it could undo what it never showed.
pub(super) fn read_seen(text: &str) -> Result<DateTime<Utc>, PageError> {
    let at = text.parse().ok().and_then(DateTime::from_timestamp_micros);
    at.ok_or_else(|| PageError::Invalid("The form is damaged.".into()))
}

fn edit_view(member: &KeyUser, key: &Key, form: &KeyForm, wrong: &Mistakes) -> views::Edit {
    views::Edit {
        shell: member.shell("keys", &format!("Edit “{}”", key.name), ""),
        id: key.id.to_string(),
        seen: form.seen.clone(),
        fields: form.fields(wrong, Some(key.expires_at), member.person().viewer()),
    }
}

/// `GET /keys/{key}/edit`
///
/// # Errors
/// `NotFound` for what is not this member's.
pub async fn edit_form(app: web::Data<App>, member: KeyUser, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut conn = member.tenant(&app).await?;
    let meters = ledger::meter_states(&mut conn, key.org, &[key.meter()]).await?;
    let meter = meters.first().ok_or(PageError::NotFound)?;
    html(&edit_view(&member, &key, &stored(&key, &meter.limits, meter.include_byok), &Mistakes::default()))
}

/// `POST /keys/{key}/edit`
///
/// # Errors
/// `NotFound` for what is not this member's; mistakes are shown beside their field.
pub async fn edit(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: KeyUser,
    id: web::Path<String>,
    Protected(form): Protected<KeyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let seen = read_seen(&form.seen)?;
    let changes = match read_changes(&app, &shelf, &member, &key, &form).await? {
        Ok(changes) => changes,
        Err(wrong) => return unprocessable(&edit_view(&member, &key, &form, &wrong)),
    };
    let mut tx = member.tenant(&app).await?;
    let edited = edit::edit(&mut tx, &member.acting().into(), key.org, key.id, Some(seen), changes).await;
    saved(&app, tx, &page_of(key.id), edited, "from the next call on").await
}

/// Commits an edit and says what came of it, on the page of the key. `holds` is from when on and for what it counts.
///
/// # Errors
/// `NotFound` for a key that was deleted meanwhile, and database errors.
pub(super) async fn saved(
    app: &App,
    tx: Transaction<'_, Postgres>,
    page: &str,
    edited: Result<Key, EditError>,
    holds: &str,
) -> Result<HttpResponse, PageError> {
    match edited {
        Ok(changed) => {
            tx.commit().await?;
            Ok(told(app, page, true, &format!("“{}” is saved. It holds {holds}.", changed.name)))
        }
        Err(EditError::NotFound) => Err(PageError::NotFound),
        Err(EditError::Database(error)) => Err(error.into()),
        Err(error @ EditError::ChangedMeanwhile) => Ok(told(app, page, false, &error.to_string())),
    }
}

/// What a form changes of a key, or what is wrong with it. What stands on the key may stay there, whatever became of the model
/// or the preset.
pub(super) async fn read_changes(
    app: &App,
    shelf: &Shelf,
    member: &Member,
    key: &Key,
    form: &KeyForm,
) -> Result<Result<Changes, Mistakes>, PageError> {
    let known = knows(shelf);
    let knows = |model: &str| known(model) || key.rules.models.as_ref().is_some_and(|models| models.allow(model));
    let stands = key_form::preset(&form.preset).is_ok_and(|slug| slug.is_some() && slug == key.rules.preset);
    let preset = if stands { Some(Status::Active) } else { named_preset(app, member, &form.preset).await? };
    let against = Reading {
        now: app.clock.now(),
        viewer: member.person().viewer(),
        knows: &knows,
        preset,
        kept: Some(key.expires_at),
        undone: "Nothing was changed.",
    };
    Ok(form.read(&against).map(Asked::into_changes))
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn an_amount_is_shown_as_it_would_be_typed() {
        for (exact, typed) in [("2.000000000000", "2"), ("2.5", "2.50"), ("0.001", "0.001"), ("12", "12"), ("10", "10")]
        {
            assert_eq!(plain(exact.to_owned()), typed);
        }
    }
}

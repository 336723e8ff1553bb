//! `/settings/webhooks`: the list, adding, editing, the secret, switching, trying, deleting.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::add::{HookError, Wish};
use super::endpoint::{Hook, HookUrl, MAX_HOOKS};
use super::event::EventKind;
use super::messages::pages::message_view;
use super::send::Courier;
use super::{add, change, emit, store};
use crate::accounts;
use crate::base::ids::{DeliveryId, HookId};
use crate::base::paging::{Rows, fetch_limit};
use crate::orgs::{Permission, SettingsEditor};
use crate::vault::Vault;
use crate::web::flash::told;
use crate::web::present::when;
use crate::web::views::hooks as views;
use crate::web::views::{Badge, Choice, Field, Pager};
use crate::web::{App, EmptyForm, Fields, PageError, Protected, html, once, unprocessable};

pub(super) const HERE: &str = "/settings/webhooks";
pub(super) const SECTION: &str = "webhooks";
const ROWS: u16 = 25;
/// Graces that are offered, in hours.
const GRACES: [(i64, &str); 5] = [(0, "Not at all"), (1, "An hour"), (24, "A day"), (72, "3 days"), (168, "A week")];
const USUAL_GRACE: i64 = 24;

impl From<HookError> for PageError {
    fn from(error: HookError) -> PageError {
        match error {
            HookError::NotFound => PageError::NotFound,
            HookError::Org(error) => error.into(),
            HookError::Database(error) => error.into(),
            HookError::Vault(error) => PageError::Internal(error.into()),
            told => PageError::Invalid(told.to_string()),
        }
    }
}

pub(super) fn page_of(id: HookId) -> String {
    format!("{HERE}/{id}")
}

async fn own(app: &App, member: &SettingsEditor, id: &str) -> Result<Hook, PageError> {
    let id: HookId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = member.tenant(app).await?;
    store::find(&mut conn, member.org_id(), id).await?.ok_or(PageError::NotFound)
}

fn name(hook: &Hook) -> String {
    if hook.description.is_empty() { hook.host() } else { hook.description.clone() }
}

fn state(hook: &Hook) -> Badge {
    match (hook.disabled_at, hook.failing_since) {
        (Some(_), _) if hook.disabled_why.is_empty() => Badge::new("", "ban", "Off"),
        (Some(_), _) => Badge::new("bad", "octagon-x", "Switched off"),
        (None, Some(_)) => Badge::new("warn", "triangle-alert", "Failing"),
        (None, None) => Badge::new("good", "circle-check", "On"),
    }
}

/// `GET /settings/webhooks`
///
/// # Errors
/// Database errors only.
pub async fn index(app: web::Data<App>, member: SettingsEditor) -> Result<HttpResponse, PageError> {
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let mut conn = member.tenant(&app).await?;
    let hooks = store::list(&mut conn, member.org_id(), MAX_HOOKS).await?;
    let sums = store::hook_sums(&mut conn, member.org_id()).await?;
    let row = |hook: &Hook| {
        let sums = sums.iter().find(|sums| sums.hook == hook.id);
        views::Row {
            href: page_of(hook.id),
            name: name(hook),
            url: hook.url.clone(),
            events: match hook.events.as_ref().map(Vec::len) {
                None => "all events".to_owned(),
                Some(1) => "1 event".to_owned(),
                Some(more) => format!("{more} events"),
            },
            waiting: sums.map_or(0, |sums| sums.waiting).to_string(),
            dead: sums.map_or(0, |sums| sums.dead).to_string(),
            last_taken: sums.and_then(|sums| sums.last_taken).map(|at| when(at, now, viewer)),
            state: state(hook),
        }
    };
    html(&views::Index {
        shell: member.shell(SECTION, "Webhooks", "Addresses of yours that are told what happens here."),
        full: i64::try_from(hooks.len()).unwrap_or(i64::MAX) >= MAX_HOOKS,
        most: MAX_HOOKS.to_string(),
        rows: hooks.iter().map(row).collect(),
    })
}

/// What a form says, whatever it says.
#[derive(Default)]
struct Typed {
    url: Field,
    description: Field,
    some: bool,
    events: Vec<String>,
    events_error: String,
    error: String,
}

impl Typed {
    fn of(hook: &Hook) -> Typed {
        Typed {
            url: Field::of(hook.url.clone()),
            description: Field::of(hook.description.clone()),
            some: hook.events.is_some(),
            events: hook.events.clone().unwrap_or_default(),
            ..Typed::default()
        }
    }

    fn read(fields: &Fields) -> Typed {
        Typed {
            url: Field::of(fields.one("url").trim()),
            description: Field::of(fields.one("description").trim()),
            some: fields.one("which") == "some",
            events: fields.all("event"),
            ..Typed::default()
        }
    }

    /// `None` leaves the mistakes beside their fields.
    fn wish(&mut self, courier: &Courier) -> Option<Wish> {
        let url = match HookUrl::parse(&self.url.value) {
            Ok(url) => match courier.may_call(url.url()) {
                Ok(()) => Some(url),
                Err(why) => {
                    self.url.error = format!("This address is not taken: {why}.");
                    None
                }
            },
            Err(why) => {
                self.url.error = why.to_string();
                None
            }
        };
        let events: Vec<EventKind> = self.events.iter().filter_map(|code| EventKind::parse(code)).collect();
        let events = self.some.then_some(events);
        Some(Wish { url: url?, description: self.description.value.clone(), events })
    }

    /// Puts a mistake beside its field.
    fn refuse(&mut self, error: HookError) -> Result<(), PageError> {
        match error {
            HookError::Description => self.description.error = error.to_string(),
            HookError::NoEvents => self.events_error = error.to_string(),
            HookError::TooMany => self.error = error.to_string(),
            other => return Err(other.into()),
        }
        Ok(())
    }

    fn view(self, member: &SettingsEditor, hook: Option<&Hook>, id: String) -> views::Form {
        let (title, action, back_href) = match hook {
            Some(hook) => ("Edit the webhook", format!("{}/edit", page_of(hook.id)), page_of(hook.id)),
            None => ("Add a webhook", HERE.to_owned(), HERE.to_owned()),
        };
        let chosen = |kind: &EventKind| self.events.iter().any(|code| code == kind.code());
        views::Form {
            shell: member.shell(SECTION, title, "An address of yours that is told what happens here."),
            action,
            back_href,
            id,
            which: vec![
                Choice::new("all", "Everything", "Also what later versions tell", !self.some),
                Choice::new("some", "Chosen events", "Those that are ticked below", self.some),
            ],
            events: EventKind::ALL
                .iter()
                .map(|kind| Choice::new(kind.code(), kind.label(), kind.note(), chosen(kind)))
                .collect(),
            url: self.url,
            description: self.description,
            events_error: self.events_error,
            error: self.error,
        }
    }
}

/// `GET /settings/webhooks/new`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn new_form(member: SettingsEditor) -> Result<HttpResponse, PageError> {
    html(&Typed::default().view(&member, None, HookId::fresh().to_string()))
}

/// `POST /settings/webhooks`: the answer is the only page that ever shows the secret.
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn create(
    app: web::Data<App>,
    vault: web::Data<Vault>,
    courier: web::Data<Courier>,
    member: SettingsEditor,
    Protected(form): Protected<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let fields = Fields::from(form);
    let id: HookId = fields.one("id").parse().map_err(|_| PageError::Invalid("The form is damaged.".into()))?;
    let mut typed = Typed::read(&fields);
    let Some(wish) = typed.wish(&courier) else {
        return unprocessable(&typed.view(&member, None, id.to_string()));
    };
    let mut tx = member.tenant(&app).await?;
    let url = wish.url.as_str().to_owned();
    match add::add(&mut tx, &member.acting(), &vault, id, wish).await {
        Ok(secret) => {
            tx.commit().await?;
            let shell = member.shell(SECTION, "The secret", "Copy it now: it is not shown again.");
            once(&views::Shown { shell, secret: secret.reveal(), url, old: String::new(), done_href: page_of(id) })
        }
        Err(error @ HookError::Again) => Ok(told(&app, HERE, false, &error.to_string())),
        Err(error) => {
            typed.refuse(error)?;
            unprocessable(&typed.view(&member, None, id.to_string()))
        }
    }
}

#[derive(Deserialize)]
pub struct Before {
    #[serde(default)]
    before: String,
}

/// `GET /settings/webhooks/{hook}`
///
/// # Errors
/// `NotFound` for what is not of this organization.
pub async fn show(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
    query: web::Query<Before>,
) -> Result<HttpResponse, PageError> {
    let hook = own(&app, &member, &id).await?;
    let before: Option<DeliveryId> = query.before.parse().ok();
    let (now, viewer, href) = (app.clock.now(), member.person().viewer(), page_of(hook.id));
    let mut conn = member.tenant(&app).await?;
    let messages = Rows::of(store::deliveries(&mut conn, hook.org, hook.id, before, fetch_limit(ROWS)).await?, ROWS);
    let made_by = match hook.created_by {
        Some(person) => accounts::name_of(&mut conn, person).await?,
        None => None,
    };
    drop(conn);
    let on = hook.disabled_at.is_none();
    let labels = |code: &String| EventKind::parse(code).map_or_else(|| code.clone(), |kind| kind.label().to_owned());
    let state_note = match hook.disabled_why.as_str() {
        _ if on => "",
        "gone" => "It answered that it is gone for good. What waits is sent once it is switched on again.",
        "failing" => "It took no message for five days. What waits is sent once it is switched on again.",
        _ => "It is told nothing while it is off. What waited before is sent once it is switched on again.",
    };
    html(&views::Show {
        shell: member.shell(SECTION, &name(&hook), "An address of yours that is told what happens here."),
        url: hook.url.clone(),
        on,
        state: state(&hook),
        state_note: state_note.to_owned(),
        events: hook.events.iter().flatten().map(labels).collect(),
        made: when(hook.created_at, now, viewer),
        made_by: made_by.unwrap_or_default(),
        failing_since: hook.failing_since.filter(|_| on).map(|at| when(at, now, viewer)),
        old_until: still_signs(&hook, now).map_or_else(String::new, |until| {
            let until = viewer.moment_in_zone(until);
            format!("The secret before this one signs too until {until}. It ends at once when you rotate again.")
        }),
        seen: hook.updated_at.timestamp_micros().to_string(),
        graces: GRACES.map(|(h, label)| Choice::new(&h.to_string(), label, "", h == USUAL_GRACE)).to_vec(),
        pager: Pager {
            older_href: messages.rows.last().filter(|_| messages.more).map(|last| format!("{href}?before={}", last.id)),
            newest_href: before.map(|_| href.clone()),
            ..Pager::default()
        },
        messages: messages.rows.iter().map(|row| message_view(row, on, now, viewer)).collect(),
        href,
    })
}

fn still_signs(hook: &Hook, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    hook.old_until.filter(|until| *until > now)
}

/// `GET /settings/webhooks/{hook}/edit`
///
/// # Errors
/// `NotFound` for what is not of this organization.
pub async fn edit_form(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let hook = own(&app, &member, &id).await?;
    html(&Typed::of(&hook).view(&member, Some(&hook), String::new()))
}

/// `POST /settings/webhooks/{hook}/edit`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn edit(
    app: web::Data<App>,
    courier: web::Data<Courier>,
    member: SettingsEditor,
    id: web::Path<String>,
    Protected(form): Protected<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let hook = own(&app, &member, &id).await?;
    let mut typed = Typed::read(&Fields::from(form));
    let Some(wish) = typed.wish(&courier) else {
        return unprocessable(&typed.view(&member, Some(&hook), String::new()));
    };
    let mut tx = member.tenant(&app).await?;
    match change::edit(&mut tx, &member.acting(), hook.id, wish).await {
        Ok(()) => {
            tx.commit().await?;
            Ok(told(&app, &page_of(hook.id), true, "Saved."))
        }
        Err(error) => {
            typed.refuse(error)?;
            unprocessable(&typed.view(&member, Some(&hook), String::new()))
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct RotateForm {
    seen: String,
    grace: String,
}

/// `POST /settings/webhooks/{hook}/rotate`: the answer is the only page that ever shows the new secret.
///
/// # Errors
/// `NotFound` for what is not of this organization; `Invalid` for a grace that is not offered.
pub async fn rotate(
    app: web::Data<App>,
    vault: web::Data<Vault>,
    member: SettingsEditor,
    id: web::Path<String>,
    Protected(form): Protected<RotateForm>,
) -> Result<HttpResponse, PageError> {
    let hook = own(&app, &member, &id).await?;
    let grace: Option<i64> = form.grace.parse().ok().filter(|hours| GRACES.iter().any(|(one, _)| one == hours));
    let grace = grace.ok_or_else(|| PageError::Invalid("The old secret can sign for up to a week.".into()))?;
    let seen = form.seen.parse().ok().and_then(DateTime::from_timestamp_micros);
    let seen = seen.ok_or_else(|| PageError::Invalid("The form is damaged.".into()))?;
    let mut tx = member.tenant(&app).await?;
    let rotated = change::rotate(&mut tx, &member.acting(), &vault, hook.id, seen, TimeDelta::hours(grace)).await;
    let secret = match rotated {
        Ok(secret) => secret,
        Err(error @ HookError::Changed) => return Ok(told(&app, &page_of(hook.id), false, &error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let until = store::find(&mut tx, hook.org, hook.id).await?.and_then(|hook| hook.old_until);
    tx.commit().await?;
    let viewer = member.person().viewer();
    once(&views::Shown {
        shell: member.shell(SECTION, "The new secret", "Copy it now: it is not shown again."),
        secret: secret.reveal(),
        url: hook.url,
        old: match until {
            Some(until) => format!("The old secret signs too until {}.", viewer.moment_in_zone(until)),
            None => "The old secret no longer signs.".to_owned(),
        },
        done_href: page_of(hook.id),
    })
}

async fn switch(app: &App, member: &SettingsEditor, id: &str, on: bool) -> Result<HttpResponse, PageError> {
    let hook = own(app, member, id).await?;
    let mut tx = member.tenant(app).await?;
    change::switch(&mut tx, &member.acting(), hook.id, on).await?;
    tx.commit().await?;
    let text = if on { "It is on. What waited is sent now." } else { "It is off and is told nothing." };
    Ok(told(app, &page_of(hook.id), true, text))
}

/// `POST /settings/webhooks/{hook}/disable`
///
/// # Errors
/// `NotFound` for what is not of this organization.
pub async fn disable(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    switch(&app, &member, &id, false).await
}

/// `POST /settings/webhooks/{hook}/enable`
///
/// # Errors
/// `NotFound` for what is not of this organization.
pub async fn enable(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    switch(&app, &member, &id, true).await
}

/// `POST /settings/webhooks/{hook}/test`
///
/// # Errors
/// `NotFound` for what is not of this organization.
pub async fn test(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let hook = own(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    member.acting().lock(&mut tx, Permission::ManageSettings).await?;
    let here = page_of(hook.id);
    if hook.disabled_at.is_some() {
        return Ok(told(&app, &here, false, "Switch it on first."));
    }
    let sent = emit::emit_test(&mut tx, hook.org, hook.id, &member.person().id.to_string()).await?;
    tx.commit().await?;
    if sent {
        Ok(told(&app, &here, true, "A test event is on its way. Reload the page in a moment to see what became of it."))
    } else {
        Ok(told(
            &app,
            &here,
            false,
            "A test event was sent a moment ago, to this address or another. Wait five seconds.",
        ))
    }
}

/// `GET /settings/webhooks/{hook}/delete`
///
/// # Errors
/// `NotFound` for what is not of this organization.
pub async fn delete_form(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let hook = own(&app, &member, &id).await?;
    let mut conn = member.tenant(&app).await?;
    let sums = store::hook_sums(&mut conn, hook.org).await?;
    let waiting = sums.iter().find(|sums| sums.hook == hook.id).map_or(0, |sums| sums.waiting);
    html(&views::Delete {
        shell: member.shell(SECTION, &format!("Delete “{}”", name(&hook)), ""),
        href: page_of(hook.id),
        on: hook.disabled_at.is_none(),
        url: hook.url,
        waiting: waiting.to_string(),
    })
}

/// `POST /settings/webhooks/{hook}/delete`
///
/// # Errors
/// `NotFound` for what is not of this organization.
pub async fn delete(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let hook = own(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    change::delete(&mut tx, &member.acting(), hook.id).await?;
    tx.commit().await?;
    Ok(told(&app, HERE, true, "The webhook is deleted."))
}

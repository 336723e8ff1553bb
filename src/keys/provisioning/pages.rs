//! The pages of provisioning keys: the list, making one, showing it once, what it issued, stopping and deleting it.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::form::{ProvisioningForm, Wrong};
use crate::accounts::Recent;
use crate::base::ids::{KeyId, MeterId, OrgId};
use crate::base::paging::{Rows, fetch_limit};
use crate::base::{Usd, Viewer};
use crate::catalog::Shelf;
use crate::keys::issue::{IssueError, Issued, issue_once};
use crate::keys::key::{Key, KeyKind, KeyState};
use crate::keys::key_form::Reading;
use crate::keys::pages::show::may_do;
use crate::keys::pages::{all_stopped, knows, named_preset};
use crate::keys::revoke::{EnableError, manages};
use crate::keys::shown::{Tightest, bar, limit_lines};
use crate::keys::store;
use crate::ledger::{self, Limits, MeterState};
use crate::orgs::{self, KeyManager};
use crate::web::present::{amount, when};
use crate::web::views::provisioning as views;
use crate::web::views::{Badge, Fact, Meter, Pager};
use crate::web::{App, EmptyForm, PageError, Protected, flash, html, once, unprocessable};

const HERE: &str = "/settings/provisioning";
pub(in crate::keys) const SECTION: &str = "provisioning";
const ROWS: u16 = 50;

#[derive(Deserialize)]
pub struct Before {
    #[serde(default)]
    before: String,
}

/// Shows keys to one reader.
struct Reader {
    now: DateTime<Utc>,
    viewer: Viewer,
    /// What stops all keys of the organization, while something does.
    stopped: Option<Badge>,
}

impl Reader {
    fn of(app: &App, member: &KeyManager) -> Reader {
        Reader { now: app.clock.now(), viewer: member.person().viewer(), stopped: all_stopped(&member.org) }
    }

    fn row(&self, key: &Key, meter: Option<&MeterState>, issued: Option<i64>) -> views::Row {
        views::Row {
            href: format!("{HERE}/{}", key.id),
            activity_href: format!("/activity?key={}", key.id),
            name: key.name.clone(),
            masked: key.label.clone(),
            may: powers(key),
            issued: issued.map(|count| count.to_string()).unwrap_or_default(),
            meter: meter.and_then(|meter| bar(&key.name, meter, self.viewer.locale)),
            used: amount(spent(meter)),
            last_used: meter.and_then(|meter| meter.last_used_at).map(|at| when(at, self.now, self.viewer)),
            expires: key.expires_at.map(|at| when(at, self.now, self.viewer)),
            state: self.badge(key, meter),
            maker: key.maker.clone().unwrap_or_else(|| "the command line".to_owned()),
        }
    }

    fn badge(&self, key: &Key, meter: Option<&MeterState>) -> Badge {
        let reached = meter.and_then(Tightest::of).is_some_and(|tightest| tightest.is_reached());
        match (key.state(self.now), &self.stopped) {
            (KeyState::Disabled, _) => Badge::new("", "ban", "Disabled"),
            (KeyState::Expired, _) => Badge::new("", "clock", "Expired"),
            (KeyState::Unclaimed, _) => Badge::new("", "ticket", "Not claimed"),
            (KeyState::Active, Some(stopped)) => stopped.clone(),
            (KeyState::Active, None) if reached => Badge::new("warn", "ban", "At its limit"),
            (KeyState::Active, None) => Badge::new("good", "check", "Active"),
        }
    }
}

fn powers(key: &Key) -> String {
    match (key.powers.manage, key.powers.call) {
        (true, true) => "manage keys and call models",
        (true, false) => "manage keys",
        (false, true) => "call models",
        (false, false) => "nothing",
    }
    .to_owned()
}

fn spent(meter: Option<&MeterState>) -> Usd {
    meter.map_or(Usd::ZERO, |meter| meter.spent.total)
}

async fn meters_of(
    conn: &mut PgConnection,
    org: OrgId,
    keys: &[Key],
) -> Result<HashMap<MeterId, MeterState>, sqlx::Error> {
    let ids: Vec<MeterId> = keys.iter().map(Key::meter).collect();
    let meters = ledger::meter_states(conn, org, &ids).await?;
    Ok(meters.into_iter().map(|meter| (meter.id, meter)).collect())
}

fn pager(path: &str, keys: &Rows<Key>, before: Option<KeyId>) -> Pager {
    Pager {
        older_href: keys.rows.last().filter(|_| keys.more).map(|last| format!("{path}?before={}", last.id)),
        newest_href: before.map(|_| path.to_owned()),
        ..Pager::default()
    }
}

/// `GET /settings/provisioning`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    member: KeyManager,
    query: web::Query<Before>,
) -> Result<HttpResponse, PageError> {
    let (reader, org, before) = (Reader::of(&app, &member), member.org_id(), query.before.parse().ok());
    let mut conn = member.tenant(&app).await?;
    let keys = Rows::of(store::provisioning(&mut conn, org, before, fetch_limit(ROWS)).await?, ROWS);
    let ids: Vec<KeyId> = keys.rows.iter().map(|key| key.id).collect();
    let counts = store::issued_counts(&mut conn, org, &ids).await?;
    let meters = meters_of(&mut conn, org, &keys.rows).await?;
    let rows = keys.rows.iter();
    html(&views::Index {
        shell: member.shell(
            SECTION,
            "Provisioning keys",
            "What programs show to make and stop keys. All keys of one together stop at its limit.",
        ),
        keys: rows
            .map(|key| reader.row(key, meters.get(&key.meter()), Some(counts.get(&key.id).copied().unwrap_or(0))))
            .collect(),
        pager: pager(HERE, &keys, before),
    })
}

fn new_view(member: &KeyManager, form: &ProvisioningForm, wrong: &Wrong) -> views::New {
    views::New {
        shell: member.shell(SECTION, "Create a provisioning key", "For a program that makes keys for others."),
        form_id: form.key.id.clone(),
        may_manage: form.may_manage == "on",
        may_call: form.may_call == "on",
        powers_error: wrong.powers.to_owned(),
        fields: form.key.fields(&wrong.fields, None, member.person().viewer()),
    }
}

/// `GET /settings/provisioning/new`. Whoever has one makes keys without end, so it is asked first who is there.
///
/// # Errors
/// When the page cannot be rendered.
pub async fn new_form(member: KeyManager, _recent: Recent) -> Result<HttpResponse, PageError> {
    html(&new_view(&member, &ProvisioningForm::fresh(KeyId::fresh().to_string()), &Wrong::default()))
}

/// `POST /settings/provisioning`: the answer is the only page that ever shows the key.
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn create(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: KeyManager,
    _recent: Recent,
    Protected(form): Protected<ProvisioningForm>,
) -> Result<HttpResponse, PageError> {
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let id = form.key.new_id(now).map_err(|error| PageError::Invalid(error.to_string()))?;
    let knows = knows(&shelf);
    let preset = named_preset(&app, &member, &form.key.preset).await?;
    let against = Reading { now, viewer, knows: &knows, preset, kept: None, undone: "No key was made." };
    let new = match form.read(&against) {
        Ok(new) => new,
        Err(wrong) => return unprocessable(&new_view(&member, &form, &wrong)),
    };
    let mut tx = member.tenant(&app).await?;
    let maker = Some(member.person().id);
    let issued = issue_once(&mut tx, &member.acting().into(), id, member.org_id(), maker, now, new).await;
    let issued = issued.map_err(|error| match error {
        IssueError::Database(error) => PageError::from(error),
        told => PageError::Invalid(told.to_string()),
    })?;
    let Some(issued) = issued else {
        let text = "This form has made its key already, so no second one was made. A key is shown only once: if you \
                    did not keep it, delete it and create another.";
        return Ok(flash::told(&app, HERE, false, text));
    };
    let key = store::find(&mut tx, member.org_id(), issued.id).await?.ok_or(PageError::NotFound)?;
    let view = issued_view(&app, &member, &mut tx, &issued, &key).await?;
    tx.commit().await?;
    once(&view)
}

/// The page that shows a key, after it was made or rotated.
pub(in crate::keys) async fn issued_view(
    app: &App,
    member: &KeyManager,
    conn: &mut PgConnection,
    issued: &Issued,
    key: &Key,
) -> Result<views::Issued, PageError> {
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let meters = ledger::meter_states(conn, key.org, &[key.meter()]).await?;
    let limits = limit_lines(&meters.first().map(|meter| meter.limits).unwrap_or_default());
    Ok(views::Issued {
        shell: member.shell(SECTION, "Your new provisioning key", "Copy it now: it is not shown again."),
        key: issued.plain.reveal().to_owned(),
        name: key.name.clone(),
        limit: if limits.is_empty() { "No limit of its own".to_owned() } else { limits.join(", ") },
        expires: key.expires_at.map_or_else(|| "Never".to_owned(), |at| when(at, now, viewer).exact),
        old_until: String::new(),
        href: page_of(key.id),
        base_url: app.url("/api/v1"),
    })
}

pub(in crate::keys) fn page_of(key: KeyId) -> String {
    format!("{HERE}/{key}")
}

/// A provisioning key of the organization.
pub(in crate::keys) async fn own_key(app: &App, member: &KeyManager, id: &str) -> Result<Key, PageError> {
    let id: KeyId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = member.tenant(app).await?;
    let key = store::find(&mut conn, member.org_id(), id).await?;
    key.filter(|key| key.kind == KeyKind::Provisioning).ok_or(PageError::NotFound)
}

/// `GET /settings/provisioning/{key}`
///
/// # Errors
/// `NotFound` for what is no provisioning key of this organization.
pub async fn show(
    app: web::Data<App>,
    member: KeyManager,
    id: web::Path<String>,
    query: web::Query<Before>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let (reader, org, before) = (Reader::of(&app, &member), member.org_id(), query.before.parse().ok());
    let mut conn = member.tenant(&app).await?;
    let issued = Rows::of(store::issued_page(&mut conn, org, key.id, before, fetch_limit(ROWS)).await?, ROWS);
    let counts = store::issued_counts(&mut conn, org, &[key.id]).await?;
    let mut meters = meters_of(&mut conn, org, &issued.rows).await?;
    let own = ledger::meter_states(&mut conn, org, &[key.meter()]).await?.into_iter().next();
    let path = page_of(key.id);
    html(&views::Show {
        orphan: key.powers.manage && is_orphan(&mut conn, &key).await?,
        shell: member.shell(SECTION, &key.name, "What it may do, and what the keys that it issued have spent."),
        facts: facts(&key, own.as_ref(), &reader),
        limits: own.as_ref().map(|meter| limits(meter, &key, &reader)).unwrap_or_default(),
        row: reader.row(&key, own.as_ref(), counts.get(&key.id).copied().or(Some(0))),
        enabled: key.disabled_at.is_none(),
        pager: pager(&path, &issued, before),
        issued: issued.rows.iter().map(|key| reader.row(key, meters.remove(&key.meter()).as_ref(), None)).collect(),
    })
}

/// A bar for each window that has a limit.
fn limits(meter: &MeterState, key: &Key, reader: &Reader) -> Vec<(&'static str, Meter)> {
    let (own, none) = (meter.limits, Limits::default());
    let each = [
        ("each day", Limits { day: own.day, ..none }),
        ("each week", Limits { week: own.week, ..none }),
        ("each month", Limits { month: own.month, ..none }),
        ("in all", Limits { total: own.total, ..none }),
    ];
    let only = |limits| MeterState { limits, ..meter.clone() };
    let bars = each.into_iter().map(|(name, limits)| (name, bar(&key.name, &only(limits), reader.viewer.locale)));
    bars.filter_map(|(name, bar)| bar.map(|bar| (name, bar))).collect()
}

fn facts(key: &Key, meter: Option<&MeterState>, reader: &Reader) -> Vec<Fact> {
    let fact = |label: &str, value: String, mono: bool| Fact { label: label.to_owned(), value, mono };
    let mut facts = vec![
        fact("Key", key.label.clone(), true),
        fact("It may", powers(key), false),
        fact("Made by", key.maker.clone().unwrap_or_else(|| "the command line".to_owned()), false),
        fact("Made", when(key.created_at, reader.now, reader.viewer).exact, false),
    ];
    if let Some(until) = key.previous_until.filter(|until| *until > reader.now) {
        facts.push(fact("Old key until", reader.viewer.moment_in_zone(until), false));
    }
    facts.extend(may_do(key, meter, reader.viewer));
    facts
}

/// Whether whoever made a key is no owner or admin any more, so that it manages nothing.
pub(in crate::keys) async fn is_orphan(conn: &mut PgConnection, key: &Key) -> Result<bool, sqlx::Error> {
    let Some(maker) = key.created_by else { return Ok(false) };
    let member = orgs::member_row(conn, key.org, maker).await?;
    Ok(!manages(member.as_ref().map(|member| member.role.as_str())))
}

/// `POST /settings/provisioning/{key}/disable`
///
/// # Errors
/// `NotFound` for what is no provisioning key of this organization.
pub async fn disable(
    app: web::Data<App>,
    member: KeyManager,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    crate::keys::disable(&mut tx, &member.acting().into(), key.org, key.id).await?;
    tx.commit().await?;
    let text = format!("“{}” is disabled, and with it every key that it issued, until it is enabled again.", key.name);
    Ok(flash::told(&app, &format!("{HERE}/{}", key.id), true, &text))
}

/// `POST /settings/provisioning/{key}/enable`
///
/// # Errors
/// `NotFound` for what is no provisioning key of this organization.
pub async fn enable(
    app: web::Data<App>,
    _recent: Recent,
    member: KeyManager,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let to = format!("{HERE}/{}", key.id);
    let mut tx = member.tenant(&app).await?;
    match crate::keys::enable(&mut tx, &member.acting().into(), key.org, key.id).await {
        Ok(_) => tx.commit().await?,
        Err(EnableError::Database(error)) => return Err(error.into()),
        Err(told) => return Ok(flash::told(&app, &to, false, &told.to_string())),
    }
    let text = format!("“{}” is enabled, and the keys that it issued work again.", key.name);
    Ok(flash::told(&app, &to, true, &text))
}

/// `GET /settings/provisioning/{key}/delete`: says what would be lost.
///
/// # Errors
/// `NotFound` for what is no provisioning key of this organization.
pub async fn confirm_delete(
    app: web::Data<App>,
    _recent: Recent,
    member: KeyManager,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut conn = member.tenant(&app).await?;
    let counts = store::issued_counts(&mut conn, key.org, &[key.id]).await?;
    let meters = ledger::meter_states(&mut conn, key.org, &[key.meter()]).await?;
    html(&views::ConfirmDelete {
        shell: member.shell(SECTION, &format!("Delete “{}”", key.name), ""),
        href: format!("{HERE}/{}", key.id),
        issued: counts.get(&key.id).copied().unwrap_or(0),
        used: amount(spent(meters.first())),
        enabled: key.disabled_at.is_none(),
        masked: key.label,
        name: key.name,
    })
}

/// `POST /settings/provisioning/{key}/delete`
///
/// # Errors
/// `NotFound` for what is no provisioning key of this organization.
pub async fn delete(
    app: web::Data<App>,
    _recent: Recent,
    member: KeyManager,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    crate::keys::delete(&mut tx, &member.acting().into(), key.org, key.id).await?;
    tx.commit().await?;
    let text = format!("“{}” is deleted with every key that it issued. Past calls stay in the activity log.", key.name);
    Ok(flash::told(&app, HERE, true, &text))
}

//! The pages of keys: the list, making one, showing it once, stopping and deleting it.

use std::collections::HashMap;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::issue::{IssueError, Issued};
use super::key::{Key, KeyState};
use super::key_form::{Asked, KeyForm};
use super::listing::{Listing, Order};
use super::revoke::EnableError;
use super::shown::{Tightest, bar};
use super::store;
use crate::base::ids::{KeyId, MeterId};
use crate::base::money::thousands;
use crate::base::paging::{Rows, fetch_limit};
use crate::base::{Usd, Viewer};
use crate::catalog::Shelf;
use crate::ledger::{self, MeterState};
use crate::orgs::KeyUser;
use crate::web::present::{amount, day, when};
use crate::web::snippets::{Example, MODEL_PLACEHOLDER};
use crate::web::views::keys as views;
use crate::web::views::{Badge, Field, Pager};
use crate::web::{App, EmptyForm, PageError, Protected, flash, html, see_other, unprocessable};

const ROWS: u16 = 50;
/// A key that ends within this time is marked, so that its program can get another one before.
const EXPIRES_SOON: chrono::TimeDelta = chrono::TimeDelta::days(7);

#[derive(Deserialize)]
pub struct IndexQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    show: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    after: String,
}

/// `GET /keys`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    member: KeyUser,
    query: web::Query<IndexQuery>,
) -> Result<HttpResponse, PageError> {
    let listing = Listing::read(member.keys_of(), &query.q, &query.show, &query.sort, &query.after);
    let (now, viewer, org) = (app.clock.now(), member.person().viewer(), member.org_id());
    let mut conn = member.tenant(&app).await?;
    let keys = Rows::of(store::list(&mut conn, org, &listing, fetch_limit(ROWS)).await?, ROWS);
    let ids: Vec<MeterId> = keys.rows.iter().map(Key::meter).collect();
    let meters = ledger::meter_states(&mut conn, org, &ids).await?;
    let meters: HashMap<MeterId, MeterState> = meters.into_iter().map(|meter| (meter.id, meter)).collect();
    let count = store::count(&mut conn, org, member.keys_of()).await?;
    html(&views::Index {
        shell: member.shell(
            "keys",
            "Keys",
            "What programs show to spend your credits. Each key stops at its own limit.",
        ),
        pager: pager(&keys, &listing, count),
        keys: keys.rows.iter().map(|key| row(key, meters.get(&key.meter()), now, viewer)).collect(),
        search: listing.text.clone(),
    })
}

fn pager(keys: &Rows<Key>, listing: &Listing, count: i64) -> Pager {
    let total = format!("{} {}", thousands(&count.to_string()), if count == 1 { "key" } else { "keys" });
    Pager {
        older_href: keys.rows.last().filter(|_| keys.more).map(|last| listing.address(Some(last.id))),
        newest_href: listing.after.map(|_| listing.address(None)),
        note: if listing.is_filtered() { format!("Those of {total} that match") } else { total },
        by_name: listing.order == Order::Name,
    }
}

fn row(key: &Key, meter: Option<&MeterState>, now: DateTime<Utc>, viewer: Viewer) -> views::KeyRow {
    views::KeyRow {
        id: key.id.to_string(),
        name: key.name.clone(),
        masked: key.label.clone(),
        activity_href: format!("/activity?key={}", key.id),
        meter: meter.and_then(|meter| bar(&key.name, meter, viewer.locale)),
        used: amount(spent(meter)),
        last_used: meter.and_then(|meter| meter.last_used_at).map(|at| when(at, now, viewer)),
        maker: key.maker.clone().unwrap_or_else(|| "another program".to_owned()),
        expires: key.expires_at.map(|at| day(at, viewer)),
        expires_time: key.expires_at.map(|at| viewer.time_in_zone(at)).unwrap_or_default(),
        state: state_badge(key, meter, now),
        enabled: key.disabled_at.is_none(),
    }
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

fn new_view(member: &KeyUser, form: &KeyForm) -> views::New {
    views::New {
        shell: member.shell("keys", "Create a key", "A key for one program, with a limit of its own."),
        form_id: form.id.clone(),
        name: Field::of(&form.name),
        limit: Field::of(&form.limit),
        resets: form.reset_choices(),
        expiries: form.expiry_choices(),
    }
}

/// `GET /keys/new`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn new_form(member: KeyUser) -> Result<HttpResponse, PageError> {
    html(&new_view(&member, &KeyForm { id: KeyId::fresh().to_string(), ..KeyForm::default() }))
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
    let id: KeyId = form.id.parse().map_err(|_| PageError::Invalid("The form is damaged.".into()))?;
    let now = app.clock.now();
    let asked = match form.read(now) {
        Ok(asked) => asked,
        Err(wrong) => {
            return unprocessable(&views::New { name: wrong.name, limit: wrong.limit, ..new_view(&member, &form) });
        }
    };
    let (limit, reset) = (asked.limit, asked.reset);
    let (name, expires_at) = (asked.new.name.as_str().to_owned(), asked.new.expires_at);
    let Some(issued) = issue(&app, &member, id, now, asked).await? else {
        return Ok(back(
            &app,
            false,
            "This form has made its key already, so no second one was made. A key is shown only once: if you did not \
             keep it, delete it and create another.",
        ));
    };
    let viewer = member.person().viewer();
    let (base_url, catalog) = (app.url("/api/v1"), shelf.current());
    let key = issued.plain.reveal();
    let model = catalog.example().map_or(MODEL_PLACEHOLDER, |listed| listed.model.slug.as_str());
    let mut response = html(&views::Issued {
        shell: member.shell("keys", "Your new key", "Copy it now: it is not shown again."),
        key: key.to_owned(),
        name,
        limit: limit.map_or_else(|| "No limit of its own".to_owned(), Usd::display),
        reset: limit.map_or_else(|| "Never".to_owned(), |_| reset.in_words()),
        expires: expires_at.map_or_else(|| "Never".to_owned(), |at| when(at, now, viewer).exact),
        snippets: Example { base_url: &base_url, key, model }.languages_and_programs(),
        base_url: base_url.clone(),
    })?;
    // Nobody keeps a copy of this page: no cache, no history.
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    Ok(response)
}

/// One transaction for the key and its meter. `None` when the form was used before.
async fn issue(
    app: &App,
    member: &KeyUser,
    id: KeyId,
    now: DateTime<Utc>,
    asked: Asked,
) -> Result<Option<Issued>, PageError> {
    let mut tx = member.tenant(app).await?;
    let maker = Some(member.person().id);
    let issued = super::issue_once(&mut tx, &member.acting().into(), id, member.org_id(), maker, now, asked.new).await;
    let issued = issued.map_err(|error| match error {
        IssueError::Database(error) => PageError::from(error),
        told => PageError::Invalid(told.to_string()),
    })?;
    if issued.is_some() {
        tx.commit().await?;
    }
    Ok(issued)
}

fn back(app: &App, good: bool, text: &str) -> HttpResponse {
    let mut response = see_other("/keys");
    flash::set(&mut response, app, good, text);
    response
}

async fn own_key(app: &App, member: &KeyUser, id: &str) -> Result<Key, PageError> {
    let id: KeyId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = member.tenant(app).await?;
    let key = store::find(&mut conn, member.org_id(), id).await?;
    // What somebody else made is as if it were not there for whoever sees only their own.
    let whose = member.keys_of();
    key.filter(|key| whose.is_none() || key.created_by == whose).ok_or(PageError::NotFound)
}

/// `POST /keys/{id}/disable`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn disable(
    app: web::Data<App>,
    member: KeyUser,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    super::disable(&mut tx, &member.acting().into(), key.org, key.id).await?;
    tx.commit().await?;
    let text = format!("“{}” is disabled. Calls with it are refused until it is enabled again.", key.name);
    Ok(back(&app, true, &text))
}

/// `POST /keys/{id}/enable`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn enable(
    app: web::Data<App>,
    member: KeyUser,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    match super::enable(&mut tx, &member.acting().into(), key.org, key.id).await {
        Ok(_) => tx.commit().await?,
        Err(EnableError::Database(error)) => return Err(error.into()),
        Err(told) => return Ok(back(&app, false, &told.to_string())),
    }
    Ok(back(&app, true, &format!("“{}” is enabled and can be used again.", key.name)))
}

/// `GET /keys/{id}/delete`: says what would be lost.
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn confirm_delete(
    app: web::Data<App>,
    member: KeyUser,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut conn = member.tenant(&app).await?;
    let meters = ledger::meter_states(&mut conn, key.org, &[key.meter()]).await?;
    let meter = meters.first();
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    html(&views::ConfirmDelete {
        shell: member.shell("keys", &format!("Delete “{}”", key.name), ""),
        id: key.id.to_string(),
        used: amount(spent(meter)),
        last_used: meter.and_then(|meter| meter.last_used_at).map(|at| when(at, now, viewer)),
        enabled: key.disabled_at.is_none(),
        masked: key.label,
        name: key.name,
    })
}

/// `POST /keys/{id}/delete`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn delete(
    app: web::Data<App>,
    member: KeyUser,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    super::delete(&mut tx, &member.acting().into(), key.org, key.id).await?;
    tx.commit().await?;
    Ok(back(&app, true, &format!("“{}” is deleted. Its past calls stay in the activity log.", key.name)))
}

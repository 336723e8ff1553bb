//! What whoever holds a key sees of it, without an account.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::show::may_do;
use super::{base_url, snippets, state_badge};
use crate::activity::{LogRow, MAX_COUNTED};
use crate::base::Viewer;
use crate::base::ids::CallId;
use crate::base::money::thousands;
use crate::catalog::Shelf;
use crate::db;
use crate::keys::authenticate::{AuthError, KeyCache};
use crate::keys::extract::{forget_holder, held, keep_holder};
use crate::keys::holder::{self, Above, refused};
use crate::keys::key::{Key, KeyState};
use crate::keys::shown::{bars, spent_by_window};
use crate::keys::store;
use crate::orgs;
use crate::web::present::{amount, when};
use crate::web::views::holders as views;
use crate::web::views::{Badge, Fact, Field, Pager};
use crate::web::{App, EmptyForm, PageError, Protected, client, html, public_page, see_other, unprocessable};

const ROWS: u16 = 25;
const PAGE: &str = "/key";
const ASK: &str = "Look up a key";

#[derive(Deserialize)]
pub struct PageQuery {
    #[serde(default)]
    before: String,
}

/// `GET /key`
///
/// # Errors
/// Database errors only; without a key the page asks for one.
pub async fn show(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    request: HttpRequest,
    query: web::Query<PageQuery>,
) -> Result<HttpResponse, PageError> {
    let Some((key, found)) = held(&app, &request).await? else {
        return html(&views::Open { page: public_page(&app, &request, ASK), ..views::Open::default() });
    };
    let (now, viewer, before) = (app.clock.now(), Viewer::ANYBODY, query.before.parse::<CallId>().ok());
    let mut conn = db::tenant(&app.db, key.org).await?;
    let seen = holder::look(&mut conn, &found.caller, before, ROWS).await?;
    let org_name = orgs::find_org(&mut conn, key.org).await?.unwrap_or_default();
    let meter = seen.meter.as_ref();
    let windows = meter.map(spent_by_window).unwrap_or_default();
    let refused = refused(&key, &found, seen.above, now);
    let state = match key.state(now) {
        // Without credits, what costs none goes on.
        KeyState::Active if !refused.is_empty() && seen.above != Above::NoCredits => {
            Badge::new("warn", "ban", "Refused now")
        }
        _ => state_badge(&key, meter, now),
    };
    html(&views::Holder {
        page: public_page(&app, &request, &key.name),
        name: key.name.clone(),
        masked: key.label.clone(),
        org_name,
        state,
        refused: refused.to_owned(),
        limits: meter.map(|meter| bars(&key.name, meter, viewer.locale)).unwrap_or_default(),
        today: amount(windows.day),
        week: amount(windows.week),
        month: amount(windows.month),
        total: amount(windows.total),
        calls_note: counted(seen.count),
        facts: facts(&key, meter, viewer),
        pager: Pager {
            older_href: seen
                .calls
                .rows
                .last()
                .filter(|_| seen.calls.more)
                .map(|last| format!("{PAGE}?before={}", last.call)),
            newest_href: before.map(|_| PAGE.to_owned()),
            note: String::new(),
            by_name: false,
        },
        calls: seen.calls.rows.iter().map(|call| row(call, now, viewer)).collect(),
        base_url: base_url(&app),
        snippets: snippets(&app, &shelf.current(), &key, None),
    })
}

fn facts(key: &Key, meter: Option<&crate::ledger::MeterState>, viewer: Viewer) -> Vec<Fact> {
    let fact = |label: &str, at: DateTime<Utc>| Fact {
        label: label.to_owned(),
        value: viewer.moment_in_zone(at),
        mono: false,
    };
    let mut facts = may_do(key, meter, viewer);
    // What concerns the organization and not its holder.
    facts.retain(|fact| fact.label != super::show::BYOK);
    facts.extend(meter.and_then(|meter| meter.last_used_at).map(|at| fact("Last used", at)));
    facts
}

fn counted(count: i64) -> String {
    match count {
        0 => String::new(),
        1 => "1 call".to_owned(),
        count if count > MAX_COUNTED => format!("More than {} calls", thousands(&MAX_COUNTED.to_string())),
        count => format!("{} calls", thousands(&count.to_string())),
    }
}

fn row(call: &LogRow, now: DateTime<Utc>, viewer: Viewer) -> views::HeldCall {
    let tokens = |number: i64| {
        if call.has_tokens() { thousands(&number.max(0).to_string()) } else { String::new() }
    };
    views::HeldCall {
        time: when(call.created_at, now, viewer),
        model: call.shown_model().to_owned(),
        app: call.app.clone(),
        tokens_in: tokens(call.prompt_tokens),
        tokens_out: tokens(call.completion_tokens),
        cost: amount(call.cost),
        status: match call.status.as_str() {
            "success" if call.cancelled => Badge::new("warn", "ban", "Cut short"),
            "success" => Badge::new("good", "circle-check", "Success"),
            "failed" => Badge::new("bad", "circle-x", "Failed"),
            "rejected" => Badge::new("warn", "ban", "Rejected"),
            _ => Badge::new("", "clock", "Abandoned"),
        },
    }
}

#[derive(Deserialize)]
pub struct KeyForm {
    #[serde(default)]
    key: String,
}

/// `POST /key`: looks a key up. It is not kept; the browser gets a mark that names it.
///
/// # Errors
/// Database errors; what is wrong with the key is said beside its field, without repeating the key.
pub async fn open(
    app: web::Data<App>,
    cache: web::Data<KeyCache>,
    request: HttpRequest,
    Protected(form): Protected<KeyForm>,
) -> Result<HttpResponse, PageError> {
    let now = app.clock.now();
    let wrong = |text: String| {
        let page = public_page(&app, &request, ASK);
        unprocessable(&views::Open { page, key: Field::wrong("", text) })
    };
    let found = match cache.find(form.key.trim()).await {
        Ok(found) => found,
        Err(AuthError::Unavailable(error)) => return Err(error.into()),
        Err(_) => return wrong("There is no such key. Check that you pasted all of it, from “sk-” to its end.".into()),
    };
    let caller = &found.caller;
    if let Some(networks) = &caller.rules.networks
        && !client::address(&app, &request).is_some_and(|address| networks.contain(address))
    {
        return wrong(format!("This key may not be used from your address, {}.", client::ip(&app, &request)));
    }
    let mut conn = db::tenant(&app.db, caller.org).await?;
    let Some(key) = store::find(&mut conn, caller.org, caller.key).await? else {
        return wrong("There is no such key.".into());
    };
    let over = |end: Option<DateTime<Utc>>| end.is_some_and(|at| at <= now);
    if over(caller.expires_at) && !over(key.expires_at) {
        return wrong("This key was replaced by another one and no longer works.".into());
    }
    let mut response = see_other(PAGE);
    keep_holder(&app, &mut response, &key, now);
    Ok(response)
}

/// `POST /key/close`
///
/// # Errors
/// None of its own.
pub async fn close(app: web::Data<App>, _form: Protected<EmptyForm>) -> Result<HttpResponse, PageError> {
    let mut response = see_other(PAGE);
    forget_holder(&app, &mut response);
    Ok(response)
}

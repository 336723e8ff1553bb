//! One key: what it may do, what is left, and stopping it.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};

use super::{KEYS, badge_within, base_url, own_key, snippets, spent, told};
use crate::base::Viewer;
use crate::catalog::Shelf;
use crate::keys::key::Key;
use crate::keys::key_form::KeyForm;
use crate::keys::revoke::{self, EnableError};
use crate::keys::rules::PerMinute;
use crate::keys::shown::{bars, spent_by_window};
use crate::keys::store::{self, Claim};
use crate::ledger::{self, MeterState, Spent};
use crate::orgs::KeyUser;
use crate::web::present::{amount, when};
use crate::web::views::Fact;
use crate::web::views::keys as views;
use crate::web::{App, EmptyForm, PageError, Protected, html};

/// What a page says of a key about its organization's own provider accounts.
pub(super) const BYOK: &str = "Own providers";

/// `GET /keys/{key}`
///
/// # Errors
/// `NotFound` for what is not this member's.
pub async fn show(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: KeyUser,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let mut conn = member.tenant(&app).await?;
    let meters = ledger::meter_states(&mut conn, key.org, &[key.meter()]).await?;
    let meter = meters.first();
    let claim = match key.digest {
        Some(_) => None,
        None => Some(claim_state(store::claim_of(&mut conn, key.org, key.id).await?, now, viewer)),
    };
    let windows = meter.map(spent_by_window).unwrap_or_default();
    html(&views::Show {
        shell: member.shell("keys", &key.name, ""),
        id: key.id.to_string(),
        masked: key.label.clone(),
        state: badge_within(&member.org, &key, meter, now),
        enabled: key.disabled_at.is_none(),
        activity_href: format!("/activity?key={}", key.id),
        limits: meter.map(|meter| bars(&key.name, meter, viewer.locale)).unwrap_or_default(),
        today: amount(windows.day),
        week: amount(windows.week),
        month: amount(windows.month),
        total: amount(windows.total),
        own: meter.and_then(|meter| own_spent(meter.byok_now())),
        facts: facts(&key, meter, now, viewer),
        claim,
        base_url: base_url(&app),
        snippets: snippets(&app, &shelf.current(), &key, None),
        links: KeyForm::default().link_choices(),
    })
}

/// What calls on the organization's own provider accounts came to there; `None` where there were none.
fn own_spent(byok: Spent) -> Option<views::OwnSpent> {
    (!byok.total.is_zero()).then(|| views::OwnSpent {
        today: amount(byok.day),
        week: amount(byok.week),
        month: amount(byok.month),
        total: amount(byok.total),
    })
}

fn claim_state(claim: Option<Claim>, now: DateTime<Utc>, viewer: Viewer) -> views::ClaimState {
    match claim {
        Some(claim) if claim.expires_at > now => views::ClaimState {
            open: true,
            text: format!(
                "Its link works once, until {}. The key has no secret before and cannot be used.",
                viewer.moment_in_zone(claim.expires_at)
            ),
        },
        Some(claim) => views::ClaimState {
            open: false,
            text: format!("Its link was not used before {}.", viewer.moment_in_zone(claim.expires_at)),
        },
        None => views::ClaimState { open: false, text: "Its link was revoked, and it cannot be used.".to_owned() },
    }
}

fn facts(key: &Key, meter: Option<&MeterState>, now: DateTime<Utc>, viewer: Viewer) -> Vec<Fact> {
    let fact = |label: &str, value: String| Fact { label: label.to_owned(), value, mono: false };
    let last_used = meter.and_then(|meter| meter.last_used_at);
    let mut facts = Vec::new();
    if !key.label.is_empty() {
        facts.push(Fact { label: "Key".to_owned(), value: key.label.clone(), mono: true });
    }
    if let Some(until) = key.previous_until.filter(|until| *until > now) {
        facts.push(fact("Old key until", viewer.moment_in_zone(until)));
    }
    facts.extend(may_do(key, meter, viewer));
    facts.push(fact("Made by", key.maker.clone().unwrap_or_else(|| "another program".to_owned())));
    facts.push(fact("Made", viewer.moment_in_zone(key.created_at)));
    facts.push(fact("Last used", last_used.map_or_else(|| "Never".to_owned(), |at| when(at, now, viewer).text)));
    facts
}

/// What a key may do, for its owners and for whoever holds it.
pub(in crate::keys) fn may_do(key: &Key, meter: Option<&MeterState>, viewer: Viewer) -> Vec<Fact> {
    let fact = |label: &str, value: String| Fact { label: label.to_owned(), value, mono: false };
    let rules = &key.rules;
    let list = |some: Option<Vec<String>>, all: &str| match some {
        None => all.to_owned(),
        Some(none) if none.is_empty() => "None".to_owned(),
        Some(some) => some.join(", "),
    };
    // What a key and its issuer may only both do can be nothing at all.
    let models = rules.models.as_ref().map(|some| some.iter().map(str::to_owned).collect());
    let networks = rules.networks.as_ref().map(|some| some.iter().map(|one| one.to_string()).collect());
    let pace = rules.per_minute.map(|calls: PerMinute| format!("{} a minute", calls.get()));
    let byok = meter.is_some_and(|meter| meter.include_byok);
    vec![
        fact("Expires", key.expires_at.map_or_else(|| "Never".to_owned(), |at| viewer.moment_in_zone(at))),
        fact("Models", list(models, "Every model")),
        fact("Addresses", list(networks, "Every address")),
        fact("Calls", pace.unwrap_or_else(|| "No pace set".to_owned())),
        fact("Preset", rules.preset.as_ref().map_or_else(|| "None".to_owned(), ToString::to_string)),
        fact(BYOK, if byok { "Count too" } else { "Not counted" }.to_owned()),
    ]
}

/// `POST /keys/{key}/disable`
///
/// # Errors
/// `NotFound` for what is not this member's.
pub async fn disable(
    app: web::Data<App>,
    member: KeyUser,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    revoke::disable(&mut tx, &member.acting().into(), key.org, key.id).await?;
    tx.commit().await?;
    let text = format!("“{}” is disabled. Calls with it are refused until it is enabled again.", key.name);
    Ok(told(&app, KEYS, true, &text))
}

/// `POST /keys/{key}/enable`
///
/// # Errors
/// `NotFound` for what is not this member's.
pub async fn enable(
    app: web::Data<App>,
    member: KeyUser,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    match revoke::enable(&mut tx, &member.acting().into(), key.org, key.id).await {
        Ok(_) => tx.commit().await?,
        Err(EnableError::Database(error)) => return Err(error.into()),
        Err(error) => return Ok(told(&app, KEYS, false, &error.to_string())),
    }
    Ok(told(&app, KEYS, true, &format!("“{}” is enabled and can be used again.", key.name)))
}

/// `GET /keys/{key}/delete`: says what would be lost.
///
/// # Errors
/// `NotFound` for what is not this member's.
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

/// `POST /keys/{key}/delete`
///
/// # Errors
/// `NotFound` for what is not this member's.
pub async fn delete(
    app: web::Data<App>,
    member: KeyUser,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let key = own_key(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    revoke::delete(&mut tx, &member.acting().into(), key.org, key.id).await?;
    tx.commit().await?;
    let text = format!("“{}” is deleted. Its past calls stay in the activity log.", key.name);
    Ok(told(&app, KEYS, true, &text))
}

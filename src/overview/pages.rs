//! The first page: how much there is, where it goes, and what to do next.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::call_rows::{call_row, keys_of};
use super::charts::draw;
use crate::activity::{self, Group, LogFilter, Metric, Period, Slice, Summary};
use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::{Locale, Usd, Viewer};
use crate::catalog::Shelf;
use crate::keys::{self, shown};
use crate::ledger::{self, MeterKind};
use crate::orgs::{self, Member};
use crate::topups::pages::lasts;
use crate::web::present::amount;
use crate::web::snippets::{Example, KEY_PLACEHOLDER, MODEL_PLACEHOLDER};
use crate::web::views::activity::CallRow;
use crate::web::views::overview as views;
use crate::web::{App, PageError, html};

const RECENT_CALLS: u16 = 8;
/// Keys near their limit that are shown.
const NEAR_KEYS: usize = 5;
/// Meters that are looked at to find them; some are of deleted keys or of windows that have passed.
const NEAR_CANDIDATES: i64 = 100;
/// The balance is low when it lasts for fewer days than this.
const LOW_DAYS: u64 = 3;

/// `GET /`
///
/// # Errors
/// Database errors only.
pub async fn index(app: web::Data<App>, shelf: web::Data<Shelf>, member: Member) -> Result<HttpResponse, PageError> {
    let (now, viewer, org) = (app.clock.now(), member.person().viewer(), member.org_id());
    let slice = Slice { member: member.calls_of(), ..Slice::default() };
    // It concerns another organization than the one that is open.
    let invited = orgs::waiting_for(&mut *app.db.acquire().await?, member.person()).await?;
    let mut conn = member.tenant(&app).await?;
    let spent = activity::summary(&mut conn, org, now, viewer.zone, &slice).await?;
    let has_keys = keys::count_up_to(&mut conn, org, member.keys_of(), 1).await? > 0;
    let near = near_limit(&mut conn, org, member.keys_of(), viewer.locale).await?;
    let calls = recent_calls(&mut conn, org, member.calls_of(), now, viewer).await?;
    let any_calls = !calls.is_empty() || activity::any_calls(&mut conn, org, member.calls_of()).await?;
    let spend =
        match any_calls {
            false => None,
            true => {
                let view = (Period::ThirtyDays, Group::Model);
                let measured = (view.0, view.1, Metric::Spend);
                let chart = activity::chart(&mut conn, org, measured, &slice, now, viewer.zone).await?;
                Some(draw(&chart, view.1, viewer, None, |name| {
                    if name.is_empty() { "no model".into() } else { name.to_owned() }
                }))
            }
        };
    let available = member.credit.available();
    let low_text = low_text(available, &spent, any_calls);
    html(&views::Index {
        invited: invited.map(|invitation| views::Invited {
            org: invitation.org_name,
            by: invitation.inviter.unwrap_or_else(|| "Somebody".to_owned()),
            href: format!("/invitations?token={}", invitation.id),
        }),
        shell: member.shell("overview", "Overview", "What you can spend, where it goes, and what needs you."),
        available: amount(available),
        held: amount(member.credit.held),
        today: amount(spent.today),
        month: amount(spent.this_month),
        lasts: lasts(spent.days_left(available)),
        low: low_text.is_some(),
        low_text: low_text.unwrap_or_default(),
        has_keys,
        near,
        first_call: (!any_calls).then(|| first_call(&app, &shelf, available, has_keys)),
        spend,
        calls,
    })
}

/// What a low balance means; `None` while it is not low. Before the first call the steps say it instead.
fn low_text(available: Usd, spent: &Summary, any_calls: bool) -> Option<String> {
    if !any_calls {
        return None;
    }
    if available.is_negative() {
        return Some(
            "Your balance is below zero after a refund or a correction. Every call is refused, free ones too."
                .to_owned(),
        );
    }
    if available.is_zero() {
        return Some("No credits are left, so calls that cost something are refused.".to_owned());
    }
    match spent.days_left(available) {
        Some(0) => {
            Some("At this pace your credits are used up within a day. Calls are refused from then on.".to_owned())
        }
        Some(1) => {
            Some("At this pace your credits are used up in about a day. Calls are refused from then on.".to_owned())
        }
        Some(days) if days < LOW_DAYS => {
            Some(format!("At this pace your credits are used up in about {days} days. Calls are refused from then on."))
        }
        _ => None,
    }
}

fn first_call(app: &App, shelf: &Shelf, available: Usd, has_key: bool) -> views::FirstCall {
    let (base_url, catalog) = (app.url("/api/v1"), shelf.current());
    let model = catalog.example().map_or(MODEL_PLACEHOLDER, |listed| listed.model.slug.as_str());
    let has_credits = available.is_positive();
    views::FirstCall {
        has_credits,
        has_key,
        snippets: Example { base_url: &base_url, key: KEY_PLACEHOLDER, model }.languages(),
        base_url: base_url.clone(),
        poll: has_credits && has_key,
    }
}

async fn recent_calls(
    conn: &mut PgConnection,
    org: OrgId,
    member: Option<PersonId>,
    now: DateTime<Utc>,
    viewer: Viewer,
) -> Result<Vec<CallRow>, sqlx::Error> {
    let rows = activity::log(conn, org, &LogFilter { member, ..LogFilter::default() }, RECENT_CALLS).await?.rows;
    let names = keys::labels(conn, org, member, &keys_of(&rows)).await?;
    Ok(rows.iter().map(|row| call_row(row, &names, &HashMap::new(), now, viewer)).collect())
}

async fn near_limit(
    conn: &mut PgConnection,
    org: OrgId,
    maker: Option<PersonId>,
    locale: Locale,
) -> Result<Vec<views::KeyNear>, sqlx::Error> {
    let percent = shown::NEAR_PERCENT;
    let meters = ledger::meters_near_limit(conn, org, MeterKind::Key, percent, NEAR_CANDIDATES).await?;
    // A key's meter has the key's own number.
    let ids: Vec<KeyId> = meters.iter().map(|meter| KeyId(meter.id.0)).collect();
    let names = keys::live(conn, org, maker, &ids).await?;
    let near = meters.iter().zip(ids).filter_map(|(meter, id)| {
        let name = names.get(&id)?;
        let bar = shown::bar(name, meter, locale).filter(|bar| bar.percent >= percent)?;
        Some(views::KeyNear { name: name.clone(), href: format!("/activity?key={id}"), meter: bar })
    });
    Ok(near.take(NEAR_KEYS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_is_low_when_it_is_gone_or_soon_will_be() {
        let spent = Summary { last_seven_days: Usd::from_cents(700), ..Summary::default() };
        let low = |cents| low_text(Usd::from_cents(cents), &spent, true);
        assert!(low(-1).is_some_and(|text| text.contains("free ones too")));
        assert!(low(0).is_some() && low(50).is_some() && low(250).is_some_and(|text| text.contains("2 days")));
        assert_eq!(low(400), None);
        assert_eq!(low_text(Usd::ZERO, &spent, false), None, "the steps to a first call say it");
        assert_eq!(low_text(Usd::from_cents(1), &Summary::default(), true), None);
    }
}

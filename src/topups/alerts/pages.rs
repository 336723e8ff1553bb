//! `/settings/balance`: when low credits are told of, and to whom.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::alert::{Alert, AlertError, MAX_MORE};
use crate::activity::{self, Slice};
use crate::base::{EmailAddress, Usd};
use crate::orgs::Billing;
use crate::topups::{pages, store};
use crate::web::present::amount;
use crate::web::views::Field;
use crate::web::views::topup_rules as views;
use crate::web::{App, PageError, Protected, flash, html, see_other, unprocessable};

const HERE: &str = "/settings/balance";

#[derive(Default, Deserialize)]
pub struct AlertForm {
    /// A box that is not ticked is not sent.
    #[serde(default)]
    enabled: Option<String>,
    #[serde(default)]
    below: String,
    #[serde(default)]
    owners: Option<String>,
    #[serde(default)]
    billing: Option<String>,
    #[serde(default)]
    more: String,
}

async fn view(app: &App, member: &Billing, alert: &Alert) -> Result<views::Alert, PageError> {
    let mut conn = member.tenant(app).await?;
    let (now, zone) = (app.clock.now(), member.person().zone());
    let spent = activity::summary(&mut conn, member.org_id(), now, zone, &Slice::default()).await?;
    let more: Vec<String> = alert.more.iter().map(ToString::to_string).collect();
    Ok(views::Alert {
        shell: member.shell("credits", "Low-balance alert", "A mail before the credits are used up."),
        enabled: alert.enabled,
        below: Field::of(alert.below.display().trim_start_matches('$')),
        owners: alert.to_owners,
        billing: alert.to_billing,
        more: Field::of(more.join(", ")),
        is_team: member.org.is_team(),
        readers_error: String::new(),
        balance: amount(member.credit.posted),
        lasts: pages::lasts(spent.days_left(member.credit.available())),
    })
}

/// `GET /settings/balance`
///
/// # Errors
/// Database errors only.
pub async fn show(app: web::Data<App>, member: Billing) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let alert = store::alert(&mut conn, member.org_id()).await?;
    drop(conn);
    html(&view(&app, &member, &alert).await?)
}

/// What was typed, or what is wrong with the amount and with the addresses.
fn read(form: &AlertForm) -> Result<Alert, (String, String)> {
    let below = Usd::parse(&form.below).map_err(|error| format!("This {error}."));
    let words = form.more.split([',', ';', ' ', '\n']).map(str::trim).filter(|word| !word.is_empty());
    // One more than may be, so that too many are noticed and no more are looked at.
    let more: Result<Vec<EmailAddress>, String> = words
        .take(MAX_MORE * 2)
        .map(|word| EmailAddress::parse(word).map_err(|error| format!("“{word}” {error}.")))
        .collect();
    match (below, more) {
        (Ok(below), Ok(more)) => Ok(Alert {
            enabled: form.enabled.is_some(),
            below,
            to_owners: form.owners.is_some(),
            to_billing: form.billing.is_some(),
            more,
        }),
        (below, more) => Err((below.err().unwrap_or_default(), more.err().unwrap_or_default())),
    }
}

/// `POST /settings/balance`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn save(
    app: web::Data<App>,
    member: Billing,
    Protected(form): Protected<AlertForm>,
) -> Result<HttpResponse, PageError> {
    let (mut below, mut more, mut readers) = (String::new(), String::new(), String::new());
    match read(&form) {
        Err(wrong) => (below, more) = wrong,
        Ok(alert) => {
            let enabled = alert.enabled;
            let mut tx = member.tenant(&app).await?;
            match super::save(&mut tx, &member.acting(), alert).await {
                Ok(()) => {
                    tx.commit().await?;
                    let text = if enabled { "The alert is saved." } else { "The alert is off. Nobody is told." };
                    let mut response = see_other(HERE);
                    flash::set(&mut response, &app, true, text);
                    return Ok(response);
                }
                Err(error @ AlertError::Amount) => below = error.to_string(),
                Err(error @ AlertError::TooMany) => more = error.to_string(),
                Err(error @ AlertError::Nobody) => readers = error.to_string(),
                Err(AlertError::Org(error)) => return Err(error.into()),
                Err(AlertError::Database(error)) => return Err(error.into()),
                Err(AlertError::Internal(error)) => return Err(PageError::Internal(error)),
            }
        }
    }
    let shown = Alert {
        enabled: form.enabled.is_some(),
        to_owners: form.owners.is_some(),
        to_billing: form.billing.is_some(),
        ..Alert::default()
    };
    unprocessable(&views::Alert {
        below: Field { value: form.below, error: below },
        more: Field { value: form.more, error: more },
        readers_error: readers,
        ..view(&app, &member, &shown).await?
    })
}

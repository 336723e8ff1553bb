//! How long an organization keeps its calls.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use crate::activity::{self, DAYS_KEPT, Retention};
use crate::audit::{self, Action};
use crate::orgs::{Permission, SettingsEditor};
use crate::web::views::Choice;
use crate::web::views::activity as views;
use crate::web::{App, PageError, Protected, flash, html, see_other};

#[derive(Deserialize)]
pub struct KeptForm {
    #[serde(default)]
    days: String,
}

/// `GET /settings/activity`
///
/// # Errors
/// Database errors only.
pub async fn form(
    app: web::Data<App>,
    retention: web::Data<Retention>,
    member: SettingsEditor,
) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let own = activity::own_days(&mut conn, member.org_id()).await?;
    let now = match (retention.with(own), retention.days) {
        (None, _) => "Calls are kept for ever.".to_owned(),
        (Some(days), Some(most)) if days == most => {
            format!("Calls are kept for {days} days, which is the longest that this instance keeps any.")
        }
        (Some(days), _) => format!("Calls are kept for {days} days."),
    };
    html(&views::Kept {
        shell: member.shell("activity", "How long calls are kept", "For the privacy of those who call."),
        now,
        choices: choices(**retention, own),
    })
}

fn choices(instance: Retention, own: Option<u16>) -> Vec<Choice> {
    let never = match instance.days {
        None => "never".to_owned(),
        Some(days) => format!("after {days} days, as the instance says"),
    };
    let mut offered: Vec<u16> = DAYS_KEPT.into_iter().chain(own).collect();
    offered.retain(|days| instance.days.is_none_or(|most| *days < most) || Some(*days) == own);
    offered.sort_unstable();
    offered.dedup();
    let first = Choice::new("", &never, "", own.is_none());
    let one = |days: u16| Choice::new(&days.to_string(), &format!("after {days} days"), "", own == Some(days));
    std::iter::once(first).chain(offered.into_iter().map(one)).collect()
}

/// `POST /settings/activity`
///
/// # Errors
/// `Invalid` for a number of days that is not offered.
pub async fn save(
    app: web::Data<App>,
    member: SettingsEditor,
    Protected(form): Protected<KeptForm>,
) -> Result<HttpResponse, PageError> {
    let days = match form.days.as_str() {
        "" => None,
        text => Some(text.parse::<u16>().ok().filter(|days| DAYS_KEPT.contains(days)).ok_or_else(|| {
            PageError::Invalid("Choose one of the numbers of days that the form offers. Nothing was changed.".into())
        })?),
    };
    let mut tx = member.tenant(&app).await?;
    member.acting().lock(&mut tx, Permission::ManageSettings).await?;
    let before = activity::set_own_days(&mut tx, member.org_id(), days).await?;
    if before != days {
        let entry = member.acting().entry(Action::UsageKept);
        audit::record(&mut tx, entry.change(json!({ "days": before }), json!({ "days": days }))).await?;
    }
    tx.commit().await?;
    let mut response = see_other("/settings/activity");
    flash::set(&mut response, &app, true, "Saved.");
    Ok(response)
}

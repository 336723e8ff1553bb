//! `/settings/webhooks/deliveries/{delivery}`: one message, its tries, and sending it again.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::base::Viewer;
use crate::base::ids::DeliveryId;
use crate::hooks::pages::{HERE, SECTION, page_of};
use crate::hooks::send_again::{Again, AgainError, MAX_ATTEMPTS, send_again};
use crate::hooks::store::{self, AttemptRow, DeliveryRow};
use crate::orgs::SettingsEditor;
use crate::web::flash::told;
use crate::web::present::when;
use crate::web::views::Badge;
use crate::web::views::hooks as views;
use crate::web::{App, EmptyForm, PageError, Protected, html};

/// A message as a row; `on` is whether its address is.
pub(crate) fn message_view(row: &DeliveryRow, on: bool, now: DateTime<Utc>, viewer: Viewer) -> views::Message {
    let here = format!("{HERE}/deliveries/{}", row.id);
    let backing_off = row.state == "pending" && !row.claimed && row.next_at > now;
    let state = match row.state.as_str() {
        "delivered" => Badge::new("good", "circle-check", "Taken"),
        "dead" => Badge::new("bad", "circle-x", "Given up"),
        "held" => Badge::new("", "ban", "Held"),
        _ if row.claimed => Badge::new("accent", "send", "Being sent"),
        _ if row.attempts > 0 => Badge::new("warn", "clock", "Not taken yet"),
        _ => Badge::new("", "clock", "Waiting"),
    };
    views::Message {
        again_href: format!("{here}/again"),
        href: here,
        kind: row.kind.clone(),
        made: when(row.created_at, now, viewer),
        attempts: row.attempts.to_string(),
        status: status(row.last_status),
        error: row.last_error.clone(),
        state,
        last: row.last_at.map(|at| when(at, now, viewer)),
        next: backing_off.then(|| when(row.next_at, now, viewer)),
        may_again: on
            && row.attempts < MAX_ATTEMPTS
            && (backing_off || matches!(row.state.as_str(), "delivered" | "dead")),
    }
}

fn status(status: Option<i32>) -> String {
    status.map_or_else(|| "–".to_owned(), |status| status.to_string())
}

/// `GET /settings/webhooks/deliveries/{delivery}`
///
/// # Errors
/// `NotFound` for what is not of this organization.
pub async fn show(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id: DeliveryId = id.parse().map_err(|_| PageError::NotFound)?;
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let mut conn = member.tenant(&app).await?;
    let row = store::delivery(&mut conn, member.org_id(), id).await?.ok_or(PageError::NotFound)?;
    let hook = store::find(&mut conn, member.org_id(), row.hook).await?.ok_or(PageError::NotFound)?;
    let tries = store::attempts(&mut conn, member.org_id(), id, i64::from(MAX_ATTEMPTS)).await?;
    drop(conn);
    let one = |row: &AttemptRow| views::Try {
        number: row.number.to_string(),
        at: when(row.at, now, viewer),
        took: format!("{} ms", row.milliseconds),
        status: status(row.status),
        error: row.error.clone(),
        excerpt: row.excerpt.clone(),
    };
    let body: Option<Value> = serde_json::from_str(&row.body).ok();
    html(&views::MessagePage {
        shell: member.shell(SECTION, "A message", "What was sent, and what was answered."),
        back_href: page_of(row.hook),
        message: message_view(&row, hook.disabled_at.is_none(), now, viewer),
        id: row.event.to_string(),
        body: body.and_then(|body| serde_json::to_string_pretty(&body).ok()).unwrap_or(row.body),
        tries: tries.iter().map(one).collect(),
    })
}

/// `POST /settings/webhooks/deliveries/{delivery}/again`
///
/// # Errors
/// `NotFound` for what is not of this organization.
pub async fn again(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let id: DeliveryId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut tx = member.tenant(&app).await?;
    match send_again(&mut tx, &member.acting(), id).await {
        Ok((hook, again)) => {
            tx.commit().await?;
            let text = match again {
                Again::Sent => "It is sent again, under the same id.",
                Again::OnItsWay => "It is being sent already, under the same id.",
            };
            Ok(told(&app, &page_of(hook), true, text))
        }
        Err(AgainError::NotFound) => Err(PageError::NotFound),
        Err(AgainError::Org(error)) => Err(error.into()),
        Err(AgainError::Database(error)) => Err(error.into()),
        Err(error) => Ok(told(&app, &format!("{HERE}/deliveries/{id}"), false, &error.to_string())),
    }
}

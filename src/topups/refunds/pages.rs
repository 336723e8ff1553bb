//! Returning unused credits.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};

use crate::audit::Action;
use crate::base::Viewer;
use crate::orgs::Billing;
use crate::topups::fees::method_name;
use crate::topups::pages::own_topup;
use crate::topups::payment::RefundState;
use crate::topups::processors::Processors;
use crate::topups::refund::{By, OWNER_MAY_WITHIN, RefundError, refundable};
use crate::topups::store::RefundView;
use crate::web::present::{amount, when};
use crate::web::views::Badge;
use crate::web::views::topups as views;
use crate::web::{App, EmptyForm, PageError, Protected, flash, html, see_other};

/// One refund in the list of a purchase.
#[must_use]
pub fn refund_view(refund: &RefundView, now: DateTime<Utc>, viewer: Viewer) -> views::RefundRow {
    let (state, note) = match (refund.state.as_str(), refund.origin.as_str()) {
        ("failed", _) if !refund.failure.is_empty() => {
            (Badge::new("bad", "circle-x", "Failed"), refund.failure.as_str())
        }
        ("failed", _) => (Badge::new("bad", "circle-x", "Failed"), "It did not arrive; the credits are back."),
        (state, origin) => (
            match state {
                "succeeded" => Badge::new("good", "circle-check", "Returned"),
                _ => Badge::new("warn", "clock", "On its way"),
            },
            match origin {
                "owner" => "Unused credits",
                "operator" => "By whoever runs this instance",
                _ => "By the payment processor",
            },
        ),
    };
    views::RefundRow {
        time: when(refund.created_at, now, viewer),
        amount: amount(refund.amount),
        state,
        note: note.to_owned(),
    }
}

/// `GET /credits/topups/{id}/refund`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn refund_form(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    member: Billing,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let topup = own_topup(&app, &member, &id).await?;
    let (now, viewer) = (app.clock.now(), member.person().viewer());
    let sum = refundable(&topup, member.credit.available(), &processors, now);
    let Some(paid_at) = topup.paid_at.filter(|_| sum.is_positive()) else {
        let mut response = see_other(&format!("/credits/topups/{}", topup.id));
        flash::set(&mut response, &app, false, "Nothing of this payment can be returned from here.");
        return Ok(response);
    };
    let until = paid_at + OWNER_MAY_WITHIN;
    let less =
        [("Fee, kept", topup.fee), ("Returned before", topup.refunded), ("Spent, held, or moved", topup.gone(sum))];
    html(&views::Refund {
        shell: member.shell("credits", "Return unused credits", "What goes back, and what does not."),
        id: topup.id.to_string(),
        amount: amount(sum),
        paid: amount(topup.total),
        less: less.into_iter().filter(|(_, part)| part.is_positive()).map(|(why, part)| (why, amount(-part))).collect(),
        method: method_name(&topup.method).to_owned(),
        until: when(until, now, viewer),
    })
}

/// `POST /credits/topups/{id}/refund`
///
/// # Errors
/// `NotFound` for what is not this organization's; what stands against it is told on the page.
pub async fn refund(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    member: Billing,
    id: web::Path<String>,
    Protected(EmptyForm {}): Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let topup = own_topup(&app, &member, &id).await?;
    let acting = member.acting();
    let entry = acting.entry(Action::RefundAsked);
    let by = By::Owner(acting.person.id);
    let (good, text) = match crate::topups::refund(&app.db, &processors, (acting.org, topup.id), None, by, entry).await
    {
        Ok(RefundState::Succeeded) => (true, "The unused credits were returned.".to_owned()),
        Ok(_) => (true, "The unused credits are on their way back.".to_owned()),
        Err(RefundError::Database(error)) => return Err(error.into()),
        Err(RefundError::Internal(error)) => return Err(error.into()),
        Err(error) => (false, error.to_string()),
    };
    let mut response = see_other(&format!("/credits/topups/{}", topup.id));
    flash::set(&mut response, &app, good, &text);
    Ok(response)
}

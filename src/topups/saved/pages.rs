//! Saved ways to pay: the default one, and forgetting one.

use actix_web::{HttpResponse, web};

use crate::accounts::Recent;
use crate::base::ids::PaymentMethodId;
use crate::orgs::Billing;
use crate::topups::fees::method_name;
use crate::topups::methods::{self, MethodError};
use crate::topups::processors::Processors;
use crate::topups::store::{self, MethodRow};
use crate::web::views::topups as views;
use crate::web::{App, EmptyForm, PageError, Protected, flash, html, see_other};

/// One of them in the list on the credits page.
#[must_use]
pub fn method_view(method: &MethodRow) -> views::MethodRow {
    let name = method_name(&method.method);
    views::MethodRow {
        id: method.id.to_string(),
        label: method.label.clone(),
        note: match method.expires.as_str() {
            "" => name.to_owned(),
            expires => format!("{name}, expires {expires}"),
        },
        is_default: method.is_default,
    }
}

async fn own_method(app: &App, member: &Billing, id: &str) -> Result<MethodRow, PageError> {
    let id: PaymentMethodId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = member.tenant(app).await?;
    store::payment_method(&mut conn, member.org_id(), id).await?.ok_or(PageError::NotFound)
}

/// `POST /credits/methods/{method}/default`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn default_method(
    app: web::Data<App>,
    _recent: Recent,
    member: Billing,
    id: web::Path<String>,
    Protected(EmptyForm {}): Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let method = own_method(&app, &member, &id).await?;
    let mut tx = member.tenant(&app).await?;
    methods::choose_default(&mut tx, &member.acting(), &method).await?;
    tx.commit().await?;
    let mut response = see_other("/credits");
    flash::set(&mut response, &app, true, &format!("{} is the default now.", method.label));
    Ok(response)
}

/// `GET /credits/methods/{method}/remove`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn remove_method_form(
    app: web::Data<App>,
    _recent: Recent,
    member: Billing,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let method = own_method(&app, &member, &id).await?;
    html(&views::MethodRemove {
        shell: member.shell("credits", "Remove a payment method", "What this means."),
        id: method.id.to_string(),
        label: method.label,
    })
}

/// `POST /credits/methods/{method}/remove`
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn remove_method(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    _recent: Recent,
    member: Billing,
    id: web::Path<String>,
    Protected(EmptyForm {}): Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let method = own_method(&app, &member, &id).await?;
    let (good, text) = match methods::remove(&app.db, &processors, &member.acting(), &method).await {
        Ok(()) => (true, format!("{} was removed.", method.label)),
        Err(error @ MethodError::InUse) => (false, error.to_string()),
        Err(MethodError::Database(error)) => return Err(error.into()),
        Err(MethodError::Processor(error)) => {
            tracing::warn!(%error, "a payment method was not removed");
            (false, "The payment processor does not answer, so nothing was removed. Try again in a moment.".to_owned())
        }
    };
    let mut response = see_other("/credits");
    flash::set(&mut response, &app, good, &text);
    Ok(response)
}

//! Saved ways to pay: keeping one without buying, the default one, and forgetting one.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::setup::{self, Setup};
use crate::accounts::Recent;
use crate::base::ids::{MethodSetupId, PaymentMethodId};
use crate::orgs::Billing;
use crate::topups::fees::{Family, method_name};
use crate::topups::methods::{self, MethodError};
use crate::topups::processors::{ProcessorError, Processors};
use crate::topups::start::StartError;
use crate::topups::store::{self, MethodRow};
use crate::web::page::with_status;
use crate::web::views::topups as views;
use crate::web::views::{Badge, Choice};
use crate::web::{App, Destination, EmptyForm, PageError, Protected, away, flash, html, see_other};

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

fn new_view(processors: &Processors, member: &Billing, id: String, method: &str, problem: &str) -> views::MethodNew {
    let first = processors.schedule().reusable().next().map_or("", |first| first.slug);
    let chosen = if method.is_empty() { first } else { method };
    let choice = |method: &crate::topups::fees::Method| {
        Choice::new(method.slug, method.name, method.note, method.slug == chosen)
    };
    views::MethodNew {
        shell: member.shell("credits", "Save a payment method", "For auto top-up, without buying anything now."),
        id,
        methods: processors.schedule().reusable().map(choice).collect(),
        problem: problem.to_owned(),
    }
}

/// `GET /credits/methods/new`
///
/// # Errors
/// When the template cannot be written.
pub async fn form(
    processors: web::Data<Processors>,
    _recent: Recent,
    member: Billing,
) -> Result<HttpResponse, PageError> {
    let page = new_view(&processors, &member, MethodSetupId::fresh().to_string(), "", "");
    // Where nothing can be charged again, that page says so.
    if page.methods.is_empty() { Ok(see_other("/credits/auto")) } else { html(&page) }
}

#[derive(Deserialize)]
pub struct BeginForm {
    id: String,
    method: String,
}

/// `POST /credits/methods`
///
/// # Errors
/// Database errors; a processor that does not answer is told on the page.
pub async fn begin(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    request: HttpRequest,
    _recent: Recent,
    member: Billing,
    Protected(form): Protected<BeginForm>,
) -> Result<HttpResponse, PageError> {
    let id: MethodSetupId = form.id.parse().map_err(|_| PageError::Invalid("The form is damaged.".into()))?;
    let schedule = processors.schedule();
    let method = schedule.method(&form.method).filter(|method| method.family == Family::Reusable);
    let method = method.ok_or_else(|| PageError::Invalid("This way to pay cannot be kept here.".into()))?;
    let error = match setup::begin(&app.db, &processors, &member.acting(), id, method).await {
        Ok(setup) => return onward(&app, &request, &setup),
        Err(StartError::Differs) => {
            return Err(PageError::Invalid("This form was used before. Go back to Credits and start anew.".into()));
        }
        Err(told @ StartError::Frozen) => return Err(PageError::Invalid(told.to_string())),
        Err(StartError::Org(error)) => return Err(error.into()),
        Err(StartError::Database(error)) => return Err(error.into()),
        Err(StartError::Processor(error)) => error,
    };
    tracing::warn!(setup = %id, %error, "a page to keep a payment method could not be opened");
    let (status, problem) = match error {
        // The same id goes into the form again, so that a second try cannot become a second one.
        ProcessorError::Unknown(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The payment processor does not answer. Nothing was saved. Send the form again in a moment.",
        ),
        ProcessorError::Refused(_) | ProcessorError::Unsupported | ProcessorError::Missing(_) => (
            StatusCode::BAD_GATEWAY,
            "The payment processor refused. Nothing was saved. Try another kind, or ask whoever runs this instance.",
        ),
    };
    with_status(status, &new_view(&processors, &member, form.id, &form.method, problem))
}

/// To the processor's page.
fn onward(app: &App, request: &HttpRequest, setup: &Setup) -> Result<HttpResponse, PageError> {
    let here = format!("/credits/methods/keep/{}", setup.id);
    let page = setup.checkout_url.as_deref().filter(|_| setup.is_open());
    let Some(url) = page.and_then(|url| url::Url::parse(url).ok()) else { return Ok(see_other(&here)) };
    let to = Destination {
        label: "the payment processor",
        url: &url,
        explanation: "You enter the payment method there and come back here. Nothing is charged.",
        back: (&here, "Leave without saving"),
    };
    away(app, request, to)
}

/// `GET /credits/methods/keep/{setup}`: reads, and keeps nothing.
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn keep(app: web::Data<App>, member: Billing, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let id: MethodSetupId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = member.tenant(&app).await?;
    let setup = store::setup(&mut conn, member.org_id(), id).await?.ok_or(PageError::NotFound)?;
    drop(conn);
    let (state, headline, explanation) = match setup.state.as_str() {
        "open" => (
            Badge::new("warn", "clock", "Pending"),
            "Waiting for the payment processor".to_owned(),
            "It appears when the processor confirms it. You can leave this page; nothing is lost.",
        ),
        "kept" => (
            Badge::new("good", "circle-check", "Saved"),
            format!("{} is saved", setup.label),
            "Nothing was charged. Auto top-up can use it once somebody has switched that on.",
        ),
        _ => (Badge::new("", "ban", "Not saved"), "Nothing was saved".to_owned(), "Nothing was charged either."),
    };
    html(&views::MethodKeep {
        shell: member.shell("credits", "Save a payment method", "What became of it."),
        href: format!("/credits/methods/keep/{}", setup.id),
        state,
        headline,
        explanation: explanation.to_owned(),
        poll: setup.is_open(),
        is_kept: setup.state == "kept",
        enter_href: setup.checkout_url.filter(|_| setup.state == "open"),
    })
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

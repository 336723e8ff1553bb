//! Billing details, and receipts as a page and as a PDF.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::countries::COUNTRIES;
use super::details::{Details, Problems};
use super::document::Document;
use crate::base::ids::TopUpId;
use crate::orgs::Billing;
use crate::paper::{self, PaperError};
use crate::topups::store;
use crate::topups::topup::State;
use crate::web::present::amount;
use crate::web::views::billing as views;
use crate::web::views::{Badge, Choice, Fact, Field};
use crate::web::{App, PageError, Protected, flash, html, see_other, unprocessable};

#[derive(Deserialize)]
pub struct DetailsForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    country: String,
    #[serde(default)]
    tax_id: String,
    #[serde(default)]
    email: String,
}

fn details_view(member: &Billing, typed: Details, problems: Problems) -> views::Details {
    let countries = std::iter::once(Choice::new("", "Not said", "", typed.country.is_empty()));
    let named = COUNTRIES.iter().map(|(code, name)| Choice::new(code, name, "", *code == typed.country));
    let about = format!("What stands on the receipts of {} from now on.", member.org.name);
    views::Details {
        shell: member.shell("credits", "Billing details", &about),
        name: Field::wrong(typed.name, problems.name),
        address: Field::wrong(typed.address, problems.address),
        countries: countries.chain(named).collect(),
        country_error: problems.country,
        tax_id: Field::wrong(typed.tax_id, problems.tax_id),
        email: Field::wrong(typed.email, problems.email),
    }
}

/// `GET /settings/billing`
///
/// # Errors
/// Database errors only.
pub async fn form(app: web::Data<App>, member: Billing) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let details = store::billing_details(&mut conn, member.org_id()).await?;
    html(&details_view(&member, details, Problems::default()))
}

/// `POST /settings/billing`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn save(
    app: web::Data<App>,
    member: Billing,
    Protected(form): Protected<DetailsForm>,
) -> Result<HttpResponse, PageError> {
    let DetailsForm { name, address, country, tax_id, email } = form;
    let typed = Details { name, address, country, tax_id, email };
    let details = match Details::parse(&typed) {
        Ok(details) => details,
        Err(problems) => return unprocessable(&details_view(&member, typed, problems)),
    };
    let mut tx = member.tenant(&app).await?;
    super::save(&mut tx, &member.acting(), &details).await?;
    tx.commit().await?;
    let mut response = see_other("/settings/billing");
    flash::set(&mut response, &app, true, "Saved. Receipts of payments from now on show it.");
    Ok(response)
}

/// What a receipt says, and in which state its payment is. `NotFound` for what is not this organization's or not paid.
async fn document(app: &App, member: &Billing, id: &str) -> Result<(Document, State), PageError> {
    let id: TopUpId = id.parse().map_err(|_| PageError::NotFound)?;
    let org = member.org_id();
    let mut conn = member.tenant(app).await?;
    let topup = store::find(&mut conn, org, id).await?.ok_or(PageError::NotFound)?;
    let receipt = store::receipt(&mut conn, org, id).await?.ok_or(PageError::NotFound)?;
    let refunds = store::refunds(&mut conn, org, id).await?;
    Ok((receipt.document(&topup, &refunds), topup.state()))
}

fn badge(state: State) -> Badge {
    match state {
        State::Disputed => Badge::new("bad", "triangle-alert", "Disputed"),
        State::Refunded => Badge::new("", "receipt", "Refunded"),
        _ => Badge::new("good", "circle-check", "Paid"),
    }
}

/// `GET /credits/topups/{id}/receipt`
///
/// # Errors
/// `NotFound` for what is not this organization's or not paid.
pub async fn receipt(app: web::Data<App>, member: Billing, id: web::Path<String>) -> Result<HttpResponse, PageError> {
    let (document, state) = document(&app, &member, &id).await?;
    let can_pdf = document.sheet().texts().all(paper::covers);
    let fact = |(label, value): &(String, String)| Fact {
        label: label.clone(),
        value: value.clone(),
        mono: matches!(label.as_str(), "Payment" | "Receipt"),
    };
    let item =
        |item: &super::Item| views::Item { what: item.what.clone(), amount: amount(item.amount), is_sum: item.is_sum };
    html(&views::Receipt {
        shell: member.shell("credits", "Receipt", "For your records."),
        state: badge(state),
        seller: document.seller.clone(),
        buyer: document.buyer.clone(),
        facts: document.facts.iter().map(fact).collect(),
        items: document.items.iter().map(item).collect(),
        note: document.note.clone(),
        pdf_href: can_pdf.then(|| format!("/credits/topups/{}/receipt.pdf", id.as_str())),
        number: document.number,
    })
}

/// `GET /credits/topups/{id}/receipt.pdf`
///
/// # Errors
/// `NotFound` for what is not this organization's or not paid; `Invalid` where the fonts lack its letters.
pub async fn receipt_pdf(
    app: web::Data<App>,
    member: Billing,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let (document, _) = document(&app, &member, &id).await?;
    let file = paper::pdf(&document.sheet()).map_err(|error| match error {
        PaperError::NotCovered(_) | PaperError::TooLong => PageError::Invalid(
            "This receipt has letters that our PDF cannot show. Open the receipt and print it to a PDF there.".into(),
        ),
        PaperError::Font(_) => PageError::Internal(error.into()),
    })?;
    let name = format!("attachment; filename=\"receipt-{}.pdf\"", document.number);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/pdf"))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(file))
}

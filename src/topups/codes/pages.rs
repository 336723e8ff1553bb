//! The page on which somebody redeems a code.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{CodeKey, RedeemError, Redeemed, redeem};
use crate::base::ids::RedemptionId;
use crate::orgs::{Billing, OrgError};
use crate::web::views::Field;
use crate::web::views::codes as views;
use crate::web::{App, PageError, Protected, flash, html, see_other, unprocessable};

#[derive(Deserialize)]
pub struct RedeemForm {
    #[serde(default)]
    id: String,
    #[serde(default)]
    code: String,
}

fn view(member: &Billing, id: &str, code: Field) -> views::Redeem {
    let about = format!("Its credits go to {}.", member.org.name);
    views::Redeem { shell: member.shell("credits", "Redeem a code", &about), form_id: id.to_owned(), code }
}

/// `GET /credits/redeem`
///
/// # Errors
/// When the template cannot be written.
pub async fn form(member: Billing) -> Result<HttpResponse, PageError> {
    html(&view(&member, &RedemptionId::fresh().to_string(), Field::default()))
}

/// `POST /credits/redeem`
///
/// # Errors
/// `TooMany` after many codes that were not there; other mistakes are shown beside the field.
pub async fn send(
    app: web::Data<App>,
    key: web::Data<CodeKey>,
    member: Billing,
    Protected(form): Protected<RedeemForm>,
) -> Result<HttpResponse, PageError> {
    let id: RedemptionId = form.id.parse().map_err(|_| PageError::Invalid("The form is damaged.".into()))?;
    let mut tx = member.tenant(&app).await?;
    let redeemed = redeem(&mut tx, &key, &member.acting(), id, &form.code).await;
    // A code that is not there leaves behind that it was tried.
    if matches!(redeemed, Ok(_) | Err(RedeemError::Refused)) {
        tx.commit().await?;
    } else {
        drop(tx);
    }
    let text = match redeemed {
        Ok(Redeemed::Now(amount)) => format!("{} added to {}.", amount.display(), member.org.name),
        Ok(Redeemed::Before(amount)) => {
            format!("This code had added its {} already, and did not again.", amount.display())
        }
        Err(error) => {
            let told = told(error)?;
            return unprocessable(&view(&member, &form.id, Field::wrong(&form.code, told)));
        }
    };
    let mut response = see_other("/credits");
    flash::set(&mut response, &app, true, &text);
    Ok(response)
}

/// What a person may read of an error on the same page; the rest goes its own way.
fn told(error: RedeemError) -> Result<String, PageError> {
    match error {
        RedeemError::TooMany => Err(PageError::TooMany),
        RedeemError::Internal(error) => Err(PageError::Internal(error)),
        RedeemError::Org(told @ OrgError::Closing) => Ok(told.to_string()),
        RedeemError::Org(error) => Err(error.into()),
        told => Ok(told.to_string()),
    }
}

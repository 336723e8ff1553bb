//! Moving credits from one's own organization to this one.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{of_team, told};
use crate::base::Usd;
use crate::base::ids::MoveId;
use crate::ledger::{self, Posted};
use crate::orgs::{self, Billing, MoveError, Org};
use crate::web::present::amount;
use crate::web::views::Field;
use crate::web::views::teams as views;
use crate::web::{App, PageError, Protected, flash, html, see_other, unprocessable};

#[derive(Default, Deserialize)]
pub struct MoveForm {
    #[serde(default)]
    id: String,
    #[serde(default)]
    amount: String,
}

fn personal(member: &Billing) -> Result<&Org, PageError> {
    of_team(member)?;
    member.personal().ok_or(PageError::NotFound)
}

async fn view(app: &App, member: &Billing, id: &str, asked: Field) -> Result<views::MoveCredits, PageError> {
    let from = personal(member)?;
    let mut conn = app.db.acquire().await?;
    let credit = ledger::credit_state(&mut conn, from.id).await?;
    let about = format!("From your personal organization to {}.", member.org.name);
    Ok(views::MoveCredits {
        shell: member.shell("credits", "Move credits", &about),
        form_id: id.to_owned(),
        from_name: from.name.clone(),
        from_available: amount(credit.available()),
        to_name: member.org.name.clone(),
        amount: asked,
    })
}

/// `GET /credits/move`
///
/// # Errors
/// `NotFound` in a personal organization.
pub async fn form(app: web::Data<App>, member: Billing) -> Result<HttpResponse, PageError> {
    html(&view(&app, &member, &MoveId::fresh().to_string(), Field::default()).await?)
}

/// `POST /credits/move`
///
/// # Errors
/// `NotFound` in a personal organization; mistakes are shown beside their field.
pub async fn send(
    app: web::Data<App>,
    member: Billing,
    Protected(form): Protected<MoveForm>,
) -> Result<HttpResponse, PageError> {
    let from = personal(&member)?.id;
    let id: MoveId = form.id.parse().map_err(|_| PageError::Invalid("The form is damaged.".into()))?;
    let wrong = |error: String| Field::wrong(&form.amount, error);
    let sum = match Usd::parse(&form.amount) {
        Ok(sum) => sum,
        Err(error) => return unprocessable(&view(&app, &member, &form.id, wrong(format!("This {error}."))).await?),
    };
    let mut tx = app.db.begin().await?;
    let moved = orgs::move_credits(&mut tx, &member.acting(), from, id, sum).await;
    let text = match moved {
        Ok(posted) => {
            tx.commit().await?;
            match posted {
                Posted::Now(_) => format!("{} moved to {}.", sum.display(), member.org.name),
                Posted::Before(_) => format!("{} had moved already, and did not move again.", sum.display()),
            }
        }
        Err(error) => {
            drop(tx);
            let error = match error {
                MoveError::Org(error) => told(error)?,
                own => own.to_string(),
            };
            return unprocessable(&view(&app, &member, &form.id, wrong(error)).await?);
        }
    };
    let mut response = see_other("/credits");
    flash::set(&mut response, &app, true, &text);
    Ok(response)
}

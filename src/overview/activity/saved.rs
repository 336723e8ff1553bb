//! Views of the page that a person saves under a name.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::asked::Asked;
use crate::activity::{self, ViewError};
use crate::base::ids::ViewId;
use crate::orgs::Member;
use crate::web::{App, PageError, Protected, flash, see_other};

#[derive(Deserialize)]
pub struct ViewForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    query: String,
}

#[derive(Deserialize)]
pub struct HereForm {
    #[serde(default)]
    here: String,
}

/// The page that an address of it leads to: only what it can read is kept of it.
fn page(query: &str, member: &Member) -> Option<Asked> {
    Asked::parse(query, member.person().viewer()).ok()
}

/// `POST /activity/views`
///
/// # Errors
/// `Invalid` for a name that is none, and database errors.
pub async fn save(
    app: web::Data<App>,
    member: Member,
    Protected(form): Protected<ViewForm>,
) -> Result<HttpResponse, PageError> {
    let asked = page(&form.query, &member).ok_or_else(|| PageError::Invalid("This view cannot be read.".into()))?;
    let mut tx = member.tenant(&app).await?;
    let saved = activity::save_view(&mut tx, member.org_id(), member.person().id, &form.name, &asked.query()).await;
    match saved {
        Ok(()) => tx.commit().await?,
        Err(ViewError::Database(error)) => return Err(error.into()),
        Err(told) => return Err(PageError::Invalid(told.to_string())),
    }
    let mut response = see_other(&asked.here());
    flash::set(&mut response, &app, true, "Saved. It stands at the top of this page.");
    Ok(response)
}

/// `POST /activity/views/{view}/delete`
///
/// # Errors
/// `NotFound` for a view that is not this person's.
pub async fn delete(
    app: web::Data<App>,
    member: Member,
    view: web::Path<String>,
    Protected(form): Protected<HereForm>,
) -> Result<HttpResponse, PageError> {
    let view: ViewId = view.parse().map_err(|_| PageError::NotFound)?;
    let mut tx = member.tenant(&app).await?;
    if !activity::delete_view(&mut tx, member.org_id(), member.person().id, view).await? {
        return Err(PageError::NotFound);
    }
    tx.commit().await?;
    Ok(see_other(&page(&form.here, &member).map_or_else(|| "/activity".to_owned(), |asked| asked.here())))
}

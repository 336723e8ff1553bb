//! Making a model the default of an organization, from its page.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::catalog::Shelf;
use crate::orgs::{Permission, SettingsEditor};
use crate::presets::{self, Settings, SettingsError};
use crate::web::{App, PageError, Protected, flash, see_other};

#[derive(Deserialize)]
pub struct DefaultForm {
    #[serde(default)]
    model: String,
}

/// `POST /models/default`
///
/// # Errors
/// `NotFound` for a model that is not in use, and database errors.
pub async fn save(
    app: web::Data<App>,
    shelf: web::Data<Shelf>,
    member: SettingsEditor,
    Protected(form): Protected<DefaultForm>,
) -> Result<HttpResponse, PageError> {
    let catalog = shelf.current();
    let listed = catalog.model(&form.model).ok_or(PageError::NotFound)?;
    let slug = listed.model.slug.to_string();
    let acting = member.acting();
    let mut tx = member.tenant(&app).await?;
    // What else is set stays as it is, also if somebody saves the preferences at this moment.
    acting.lock(&mut tx, Permission::ManageSettings).await?;
    let settings = presets::settings(&mut tx, acting.org).await?;
    let settings = Settings { default_model: Some(slug.clone()), ..settings };
    presets::save(&mut tx, &acting, &catalog, settings).await.map_err(|error| match error {
        SettingsError::Wrong(wrong) => PageError::Invalid(wrong.to_string()),
        SettingsError::Org(error) => error.into(),
        SettingsError::Database(error) => error.into(),
    })?;
    tx.commit().await?;
    let mut response = see_other(&format!("/models/{slug}"));
    let text = format!("{} is the default model now. Calls that name none get it.", listed.model.name);
    flash::set(&mut response, &app, true, &text);
    Ok(response)
}

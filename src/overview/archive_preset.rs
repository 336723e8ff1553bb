//! Archiving a preset: whoever does it hears first how many keys it takes along.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::base::money::thousands;
use crate::keys;
use crate::orgs::SettingsEditor;
use crate::presets::pages::{editor, find};
use crate::web::views::presets as views;
use crate::web::{App, PageError, Protected, html};

#[derive(Deserialize)]
pub struct ArchiveForm {
    /// Anything: the keys were seen.
    #[serde(default)]
    confirmed: String,
}

/// `POST /settings/presets/{preset}/archive`. Where keys are bound to it, the first time only says so.
///
/// # Errors
/// `NotFound` for what is not this organization's.
pub async fn archive(
    app: web::Data<App>,
    member: SettingsEditor,
    id: web::Path<String>,
    Protected(form): Protected<ArchiveForm>,
) -> Result<HttpResponse, PageError> {
    if form.confirmed.is_empty() {
        let mut conn = member.tenant(&app).await?;
        let preset = find(&mut conn, &member, &id).await?;
        let bound = keys::count_bound(&mut conn, preset.org, &preset.slug).await?;
        if bound > 0 {
            return html(&views::Archive {
                shell: member.shell("presets", &format!("Archive {}", preset.name), ""),
                id: preset.id.to_string(),
                reference: format!("@preset/{}", preset.slug),
                bound: match bound {
                    1 => "One key is bound to it".to_owned(),
                    many => format!("{} keys are bound to it", thousands(&many.to_string())),
                },
                one: bound == 1,
            });
        }
    }
    editor::archive(&app, &member, &id).await
}

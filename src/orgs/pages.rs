//! A member's own settings. They stand here, above accounts, because their frame shows the organization.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{Member, Myself};
use crate::accounts::{self, Theme};
use crate::base::{Locale, Viewer};
use crate::web::views::accounts as views;
use crate::web::views::{Choice, Field};
use crate::web::{App, PageError, Protected, flash, html, see_other, unprocessable};

const MAX_NAME: usize = 60;
const THEMES: [(Theme, &str, &str); 3] =
    [(Theme::System, "System", "As your device is set"), (Theme::Light, "Light", ""), (Theme::Dark, "Dark", "")];

#[derive(Deserialize)]
pub struct ProfileForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    theme: String,
    #[serde(default)]
    time_zone: String,
    #[serde(default)]
    locale: String,
}

/// The page with what stands in the database.
pub(super) fn current(member: &Member) -> views::Profile {
    let person = member.person();
    let form = ProfileForm {
        name: person.name.clone(),
        theme: person.theme.clone(),
        time_zone: person.zone().name().to_owned(),
        locale: person.viewer().locale.tag().to_owned(),
    };
    view(member, &form, "")
}

fn view(member: &Member, form: &ProfileForm, name_error: &str) -> views::Profile {
    let theme = Theme::parse(&form.theme);
    views::Profile {
        shell: member.shell("profile", "Profile", "How you appear here, and how pages are shown to you."),
        name: Field::wrong(&form.name, name_error),
        email: member.person().email.clone(),
        picture_error: String::new(),
        themes: THEMES.map(|(one, label, note)| Choice::new(one.as_str(), label, note, one == theme)).to_vec(),
        locales: Locale::ALL.map(|one| Choice::new(one.tag(), one.label(), "", one.tag() == form.locale)).to_vec(),
        time_zones: chrono_tz::TZ_VARIANTS
            .iter()
            .map(|zone| Choice::new(zone.name(), &zone.name().replace('_', " "), "", zone.name() == form.time_zone))
            .collect(),
    }
}

/// `GET /settings/profile`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn profile(member: Member) -> Result<HttpResponse, PageError> {
    html(&current(&member))
}

/// `POST /settings/profile`
///
/// # Errors
/// Database errors; mistakes are shown beside their field.
pub async fn save_profile(
    app: web::Data<App>,
    member: Myself,
    Protected(form): Protected<ProfileForm>,
) -> Result<HttpResponse, PageError> {
    let name = form.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let error = format!("A name has one to {MAX_NAME} letters. Nothing was saved.");
        return unprocessable(&view(&member, &form, &error));
    }
    let zone: chrono_tz::Tz =
        form.time_zone.parse().map_err(|_| PageError::Invalid("This time zone is not in the list.".into()))?;
    let locale = Locale::parse(&form.locale)
        .ok_or_else(|| PageError::Invalid("This language is not in the list. Nothing was saved.".into()))?;
    let theme = Theme::parse(&form.theme);
    let mut tx = app.db.begin().await?;
    let chosen = (Viewer { zone, locale }, theme);
    accounts::change_profile(&mut tx, member.person(), name, chosen, &member.origin).await?;
    tx.commit().await?;
    let mut response = see_other("/settings/profile");
    flash::set(&mut response, &app, true, "Your profile is saved.");
    Ok(response)
}

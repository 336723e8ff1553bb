//! One switch for all keys.

use actix_web::{HttpResponse, web};

use super::{KEYS, told};
use crate::accounts::Links;
use crate::accounts::extract::Recent;
use crate::base::money::thousands;
use crate::keys::{store, switch};
use crate::orgs::KeyManager;
use crate::web::views::keys as views;
use crate::web::{App, EmptyForm, PageError, Protected, html};

/// Keys beyond are not counted for this page.
const MAX_COUNTED: i64 = 10_000;

/// `GET /keys/stop`
///
/// # Errors
/// `Forbidden` for those who see only their own keys; asks first to show again who one is.
pub async fn form(app: web::Data<App>, member: KeyManager, _recent: Recent) -> Result<HttpResponse, PageError> {
    let mut conn = member.tenant(&app).await?;
    let count = store::count_up_to(&mut conn, member.org_id(), None, MAX_COUNTED + 1).await?;
    let keys = match count {
        1 => "1 key".to_owned(),
        count if count > MAX_COUNTED => "More than ten thousand keys".to_owned(),
        count => format!("{} keys", thousands(&count.to_string())),
    };
    let stopped = member
        .org
        .keys_stopped_at
        .map(|at| format!("All keys were stopped on {}.", member.person().viewer().moment_in_zone(at)));
    let title = if stopped.is_some() { "All keys are stopped" } else { "Stop all keys" };
    let mut shell = member.shell("keys", title, "");
    // The page itself says it.
    shell.stopped = None;
    html(&views::Stop { shell, keys, stopped })
}

/// `POST /keys/stop`
///
/// # Errors
/// As [`form`].
pub async fn stop(
    app: web::Data<App>,
    member: KeyManager,
    _recent: Recent,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = member.tenant(&app).await?;
    switch::stop_all(&mut tx, &member.acting(), &Links::of(&app)).await?;
    tx.commit().await?;
    Ok(told(&app, KEYS, true, "All keys are stopped. Nothing is changed on them: you can let them go on at any time."))
}

/// `POST /keys/resume`
///
/// # Errors
/// As [`form`].
pub async fn resume(
    app: web::Data<App>,
    member: KeyManager,
    _recent: Recent,
    _form: Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = member.tenant(&app).await?;
    switch::resume_all(&mut tx, &member.acting(), &Links::of(&app)).await?;
    tx.commit().await?;
    Ok(told(&app, KEYS, true, "All keys go on. Each works as it did before."))
}

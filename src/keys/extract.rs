//! From an HTTP request to an authenticated [`Caller`].

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;

use super::authenticate::{AuthError, KeyCache};
use super::caller::Caller;
use super::holder_cookie::{self, HolderMark};
use super::key::Key;
use super::store::{self, Found};
use crate::web::{App, client, cookies};

/// A request that brought a valid key.
#[derive(Clone)]
pub struct Authenticated(Arc<Found>);

impl Authenticated {
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.0.caller
    }
}

/// Why a request has no caller. The gateway gives it the shape that its clients expect.
#[derive(Debug, thiserror::Error)]
pub enum NotAuthenticated {
    #[error("no key")]
    Missing,
    #[error(transparent)]
    Refused(AuthError),
    /// The key is good, but not from this address.
    #[error("the key may not be used from {0}")]
    Elsewhere(String),
}

/// The key that a request carries, as `Authorization: Bearer` or, for Anthropic's clients, `x-api-key`.
pub(super) fn presented(request: &HttpRequest) -> Option<&str> {
    let headers = request.headers();
    if let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        let (scheme, key) = value.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| key.trim());
    }
    headers.get("x-api-key").and_then(|value| value.to_str().ok())
}

/// # Errors
/// See [`NotAuthenticated`].
pub async fn authenticate(request: &HttpRequest) -> Result<Authenticated, NotAuthenticated> {
    let key = presented(request).ok_or(NotAuthenticated::Missing)?;
    let (Some(cache), Some(app)) = (request.app_data::<web::Data<KeyCache>>(), request.app_data::<web::Data<App>>())
    else {
        return Err(NotAuthenticated::Missing);
    };
    let found = cache.authenticate(key, app.clock.now()).await.map_err(NotAuthenticated::Refused)?;
    if let Some(networks) = &found.caller.rules.networks {
        let address = client::address(app, request);
        if !address.is_some_and(|address| networks.contain(address)) {
            return Err(NotAuthenticated::Elsewhere(client::ip(app, request)));
        }
    }
    Ok(Authenticated(found))
}

/// For handlers outside the gateway that only need to know whether there is a caller.
impl FromRequest for Authenticated {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            authenticate(&request).await.map_err(|_| actix_web::error::ErrorUnauthorized("no valid key"))
        })
    }
}

/// Lets a browser look at a key for a while. The cookie names the key; the key itself is not in it.
pub fn keep_holder(app: &App, response: &mut HttpResponse, key: &Key, now: DateTime<Utc>) {
    let Some(mark) = HolderMark::of(key, &app.form_key, now) else { return };
    response.add_cookie(&cookies::holder(app, &mark.write(), holder_cookie::LASTS.num_minutes())).ok();
}

/// Ends that.
pub fn forget_holder(app: &App, response: &mut HttpResponse) {
    response.add_cookie(&cookies::gone(app, cookies::holder_name(app))).ok();
}

/// The key that a browser may look at, and what authentication finds behind it now. `None` where there is none, it ended, or
/// the address is not one from which the key may be used.
///
/// # Errors
/// Database errors only.
pub async fn held(app: &App, request: &HttpRequest) -> Result<Option<(Key, Found)>, sqlx::Error> {
    let Some(mark) = request.cookie(cookies::holder_name(app)).and_then(|cookie| HolderMark::read(cookie.value()))
    else {
        return Ok(None);
    };
    let mut conn = crate::db::tenant(&app.db, mark.org).await?;
    let Some(mut key) = store::find(&mut conn, mark.org, mark.key).await? else { return Ok(None) };
    if !mark.fits(&key, &app.form_key, app.clock.now()) {
        return Ok(None);
    }
    let Some(digest) = key.digest else { return Ok(None) };
    let Some(found) = store::find_by_digest(&mut conn, &digest).await? else { return Ok(None) };
    // What the key that issued it does not allow, it may not do either.
    key.rules = found.caller.rules.clone();
    key.expires_at = found.caller.expires_at;
    let networks = key.rules.networks.as_ref();
    let near = networks.is_none_or(|all| client::address(app, request).is_some_and(|address| all.contain(address)));
    Ok(near.then_some((key, found)))
}

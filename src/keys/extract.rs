//! From an HTTP request to an authenticated [`Caller`].

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::authenticate::{AuthError, KeyCache};
use super::caller::Caller;
use super::store::Found;
use crate::web::{App, client};

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
fn presented(request: &HttpRequest) -> Option<&str> {
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

//! Forms: parsed only after their token proved where they come from.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{App, PageError, csrf};

/// Bytes of a form as it is sent. Few are longer.
const MAX_BYTES: usize = 64 * 1024;
/// Bytes of a form with texts of tens of thousands of characters, of which each may be sent as nine bytes or twelve.
pub const LONG_FORM: usize = 512 * 1024;
pub const TOKEN_FIELD: &str = "csrf_token";
pub(crate) const STALE: &str =
    "This form is no longer valid, so nothing was done. Go back, reload the page and send it again.";

/// A form of type `T` that one of our own pages sent, of at most `MAX` bytes.
pub struct Protected<T, const MAX: usize = MAX_BYTES>(pub T);

/// A form that is nothing but its button.
#[derive(Deserialize)]
pub struct EmptyForm {}

/// The fields of a form or of an address, where a name may come several times. Taken as `Vec<(String, String)>`.
#[derive(Clone, Default, Debug)]
pub struct Fields(Vec<(String, String)>);

impl From<Vec<(String, String)>> for Fields {
    fn from(pairs: Vec<(String, String)>) -> Fields {
        Fields(pairs)
    }
}

impl Fields {
    /// The first of this name; empty where there is none.
    #[must_use]
    pub fn one(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// All of this name that are not empty, trimmed.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(known, value)| known == name && !value.trim().is_empty());
        named.map(|(_, value)| value.trim().to_owned()).collect()
    }
}

/// Whether the token among the fields proves that one of our own pages sent them.
///
/// # Errors
/// Those of [`csrf::check`].
pub(crate) fn check(app: &App, request: &HttpRequest, fields: &[(String, String)]) -> Result<(), PageError> {
    let token = fields.iter().find(|(name, _)| name == TOKEN_FIELD).map_or("", |(_, value)| value);
    csrf::check(app, request, token)
}

impl<T: DeserializeOwned + 'static, const MAX: usize> FromRequest for Protected<T, MAX> {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let body = web::Payload::from_request(&request, payload);
        Box::pin(async move {
            let app = request.app_data::<web::Data<App>>().cloned().ok_or(PageError::Misconfigured)?;
            let body = body.await.map_err(|_| PageError::Invalid("The form could not be read.".into()))?;
            let bytes = body
                .to_bytes_limited(MAX)
                .await
                .map_err(|_| PageError::Invalid("The form is too long.".into()))?
                .map_err(|_| PageError::Invalid("The form could not be read.".into()))?;
            let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(&bytes)
                .map_err(|_| PageError::Invalid("The form could not be read.".into()))?;
            check(&app, &request, &pairs)?;
            serde_urlencoded::from_bytes(&bytes)
                .map(Protected)
                .map_err(|error| PageError::Invalid(format!("The form is not complete: {error}.")))
        })
    }
}

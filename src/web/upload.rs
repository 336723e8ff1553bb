//! Forms with a file: one file and the token, both within fixed limits.

use actix_multipart::Multipart;
use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::LocalBoxFuture;

use super::form::{STALE, TOKEN_FIELD};
use super::{App, PageError, csrf};

/// Longest file of any form, in bytes. What a page takes may be less.
const MAX_FILE: usize = 4 * 1024 * 1024;
const MAX_TOKEN: usize = 128;
/// Fields of a form: the token, the file, and a few that a browser may add.
const MAX_FIELDS: usize = 8;
/// Longest `Content-Type` with its boundary (CVE-2024-8984: a long boundary kept a gateway busy).
const MAX_CONTENT_TYPE: usize = 200;

/// A file that one of our own pages sent, with the name of its field. It is empty when none was chosen.
pub struct Upload(pub Bytes);

impl FromRequest for Upload {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let app = request.app_data::<web::Data<App>>().cloned().ok_or(PageError::Misconfigured)?;
            let unreadable = || PageError::Invalid("The form could not be read.".into());
            if request.headers().get(CONTENT_TYPE).is_none_or(|value| value.len() > MAX_CONTENT_TYPE) {
                return Err(unreadable());
            }
            let mut parts = Multipart::from_request(&request, &mut payload).await.map_err(|_| unreadable())?;
            let (mut token, mut file) = (Bytes::new(), Bytes::new());
            for _ in 0..MAX_FIELDS {
                let Some(mut part) = parts.try_next().await.map_err(|_| unreadable())? else { break };
                let is_token = part.name() == Some(TOKEN_FIELD);
                let most = if is_token { MAX_TOKEN } else { MAX_FILE };
                let too_long = || PageError::Invalid("The file is longer than 4 MB. Choose a smaller one.".into());
                let bytes = part.bytes(most).await.map_err(|_| too_long())?.map_err(|_| unreadable())?;
                if is_token {
                    token = bytes;
                } else {
                    file = bytes;
                }
            }
            let token = std::str::from_utf8(&token).unwrap_or_default();
            if !csrf::is_valid(&app, &request, token) {
                return Err(PageError::Forbidden(STALE));
            }
            Ok(Upload(file))
        })
    }
}

//! Forms with a file: one file and the token, both within fixed limits.

use std::collections::HashMap;

use actix_multipart::Multipart;
use actix_web::dev::Payload;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{FromRequest, HttpRequest, web};
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::future::LocalBoxFuture;

use super::form::TOKEN_FIELD;
use super::{App, PageError, csrf};

/// Longest file of any form, in bytes. What a page takes may be less.
const MAX_FILE: usize = 4 * 1024 * 1024;
const MAX_TOKEN: usize = 128;
/// Fields of a form: the token, the file, and a few that a browser may add.
const MAX_FIELDS: usize = 8;
/// Longest `Content-Type` with its boundary (CVE-2024-8984: a long boundary kept a gateway busy).
const MAX_CONTENT_TYPE: usize = 200;

/// Longest other field.
const MAX_TEXT: usize = 4 * 1024;

/// A file that one of our own pages sent. It is empty when none was chosen.
pub struct Upload {
    pub file: Bytes,
    texts: HashMap<String, String>,
}

impl Upload {
    /// What else was typed; empty where that field was not sent.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }
}

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
            let (mut token, mut file, mut texts) = (Bytes::new(), Bytes::new(), HashMap::new());
            for _ in 0..MAX_FIELDS {
                let Some(mut part) = parts.try_next().await.map_err(|_| unreadable())? else { break };
                let name = part.name().unwrap_or_default().to_owned();
                let is_token = name == TOKEN_FIELD;
                // Only a file has a name of its own, also where none was chosen.
                let is_file = part.content_disposition().is_some_and(|told| told.get_filename().is_some());
                let most = match (is_token, is_file) {
                    (true, _) => MAX_TOKEN,
                    (_, true) => MAX_FILE,
                    _ => MAX_TEXT,
                };
                let too_long = || {
                    let told = if is_file {
                        "The file is longer than 4 MB. Choose a smaller one."
                    } else {
                        "A field of the form is too long."
                    };
                    PageError::Invalid(told.into())
                };
                let bytes = part.bytes(most).await.map_err(|_| too_long())?.map_err(|_| unreadable())?;
                if is_token {
                    token = bytes;
                } else if is_file {
                    file = bytes;
                } else {
                    texts.insert(name, String::from_utf8_lossy(&bytes).into_owned());
                }
            }
            let token = std::str::from_utf8(&token).unwrap_or_default();
            csrf::check(&app, &request, token)?;
            Ok(Upload { file, texts })
        })
    }
}

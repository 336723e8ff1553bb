//! One model.

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::models::{Line, ModelBody, ModelInfo};
use super::{QueryApi, private, public};
use crate::gateway::error::ApiError;
use crate::keys::Caller;
use crate::keys::extract::authenticate;
use crate::routing::model_of;
use crate::web::api::{ErrorBody, answered};

impl QueryApi {
    /// One model as `GET /models` lists it, also by an alias or with a variant behind a colon.
    ///
    /// # Errors
    /// 404 where the list does not have it, 503 while the database is away.
    async fn model(&self, caller: Option<&Caller>, name: &str) -> Result<Line, ApiError> {
        let catalog = self.catalog();
        let listed = model_of(&catalog, name).ok_or_else(|| ApiError::model_not_found(name))?;
        let is_it = |line: &&Line| line.slug() == listed.model.slug.as_str();
        let line = match caller {
            None => self.listed().open().iter().find(is_it).cloned(),
            Some(caller) => {
                let defaults = answered(self.0.memory.of(caller.org)).await?;
                self.lines_of(caller, &defaults).iter().find(is_it).cloned()
            }
        };
        let line = if name.ends_with(":free") { line.and_then(|line| line.free()) } else { line };
        line.ok_or_else(|| ApiError::model_not_found(name))
    }
}

/// Shows one model as `GET /models` lists it, with a key as that key sees it. Needs none. An alias leads to its model; with
/// `:free` behind the slug the price is that of an endpoint that costs nothing.
///
/// # Errors
/// 404 for a model that is not listed, 503 while the database is away.
#[utoipa::path(
    get,
    path = "/api/v1/model/{author}/{slug}",
    tag = "Models",
    security(()),
    params(("author" = String, Path, description = "The part of the id before the slash"), ("slug" = String, Path, description = "The part after it")),
    responses(
        (status = 200, body = ModelBody),
        (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn get_model(
    api: web::Data<QueryApi>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (author, slug) = path.into_inner();
    show(&api, &request, &format!("{author}/{slug}"), Line::alone).await
}

/// Shows the same where libraries for OpenAI look for it, and without the envelope that they do not know. The slash may also be
/// encoded as `%2F`.
///
/// # Errors
/// As for `get_model`.
#[utoipa::path(
    get,
    path = "/api/v1/models/{author}/{slug}",
    tag = "Models",
    security(()),
    params(("author" = String, Path, description = "The part of the id before the slash"), ("slug" = String, Path, description = "The part after it")),
    responses(
        (status = 200, body = ModelInfo),
        (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn retrieve_model(
    api: web::Data<QueryApi>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (author, slug) = path.into_inner();
    show(&api, &request, &format!("{author}/{slug}"), Line::plain).await
}

/// The same by a name in one piece, whose slash is encoded.
///
/// # Errors
/// As for `get_model`.
pub async fn retrieve_named_model(
    api: web::Data<QueryApi>,
    request: HttpRequest,
    name: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    show(&api, &request, &name, Line::plain).await
}

async fn show(
    api: &QueryApi,
    request: &HttpRequest,
    name: &str,
    told: fn(&Line) -> Bytes,
) -> Result<HttpResponse, ApiError> {
    match authenticate(request).await {
        Ok(caller) => Ok(private(told(&api.model(Some(caller.caller()), name).await?))),
        Err(_) => Ok(public(told(&api.model(None, name).await?))),
    }
}

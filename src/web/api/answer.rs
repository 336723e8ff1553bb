//! Answers of the API.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::error::ApiError;
use crate::base::Usd;

/// A client hears 503 after this, whatever the database does.
const MAX_WAIT: Duration = Duration::from_secs(3);

/// Something in the usual envelope.
#[derive(Serialize)]
pub struct Data<T> {
    pub data: T,
}

/// An amount as a JSON number with exactly its digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Number(pub Usd);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.to_json().serialize(serializer)
    }
}

/// Waits for the database, but not for long.
///
/// # Errors
/// 503 when it did not answer, or not in time.
pub async fn answered<T>(reading: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, ApiError> {
    match tokio::time::timeout(MAX_WAIT, reading).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => {
            tracing::error!(%error, "the database did not answer a question of the API");
            Err(ApiError::unavailable())
        }
        Err(_) => {
            tracing::error!("the database did not answer a question of the API in time");
            Err(ApiError::unavailable())
        }
    }
}

/// # Errors
/// 500 for what cannot be written as JSON.
pub fn to_bytes(value: &impl Serialize) -> Result<Bytes, ApiError> {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| {
        tracing::error!(%error, "an answer could not be written as JSON");
        ApiError::internal()
    })
}

/// An answer that only whoever asked may keep, and not in a cache.
#[must_use]
pub fn private(body: Bytes) -> HttpResponse {
    json(StatusCode::OK, body)
}

/// The same with another status.
#[must_use]
pub fn json(status: StatusCode, body: Bytes) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((CONTENT_TYPE, "application/json")).insert_header((CACHE_CONTROL, "no-store"));
    response.body(body)
}

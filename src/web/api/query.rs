//! Queries of addresses, read strictly.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::{Ready, ready};
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// Longest part of an explanation that repeats what was sent.
const MAX_SAID: usize = 120;

/// The query of the address as a `T`. What is wrong with it is said in the shape of the API.
pub struct StrictQuery<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for StrictQuery<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.query_string()).map(StrictQuery))
    }
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    serde_urlencoded::from_str(query).map_err(|error: serde_urlencoded::de::Error| {
        let said: String = error.to_string().chars().filter(|c| !c.is_control()).take(MAX_SAID).collect();
        ApiError::invalid(format!("The query of the address is not as it must be: {said}."))
    })
}

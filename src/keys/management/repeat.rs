//! `Idempotency-Key`: a request that comes again gives its first answer, and does nothing a second time.
//!
//! The first answer may hold a key that is shown once, so it is kept sealed, for a day. What opens it is made of a secret of
//! this instance and of the provisioning key itself, of which only the digest is stored: with the database and the
//! instance's secret together nobody reads it. Not to keep it would leave whoever lost the answer with a key that nobody
//! knows, which is what such a header is there to prevent.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::extract::Managing;
use super::pace::Management;
use super::store::{self, Kept};
use crate::base::Secret;
use crate::base::ids::{KeyId, OrgId};
use crate::base::seal::Sealer;
use crate::base::secret::Digest;
use crate::keys::extract::presented;
use crate::web::api::{ApiError, answered, json};

const HEADER: &str = "idempotency-key";
const MAX_LENGTH: usize = 255;
/// How long a first answer is given again.
const KEPT: TimeDelta = TimeDelta::hours(24);
const PURPOSE: &str = "first answer";

/// The header of a request, or its absence.
pub struct Repeat(Option<Named>);

struct Named {
    org: OrgId,
    key: KeyId,
    /// Of what the program calls this request.
    name: Digest,
    /// Of what it asks.
    request: Digest,
    sealer: Sealer,
}

/// Whether the request is the first of its name.
pub enum Seen {
    First,
    Before(HttpResponse),
}

impl Repeat {
    /// `operation` tells two things apart that a program may ask for with the same body.
    ///
    /// # Errors
    /// 400 for a header that is empty, too long or not plain.
    pub fn read(request: &HttpRequest, caller: &Managing, operation: &str, body: &Bytes) -> Result<Repeat, ApiError> {
        let Some(value) = request.headers().get(HEADER) else { return Ok(Repeat(None)) };
        let plain = |name: &&[u8]| {
            !name.is_empty() && name.len() <= MAX_LENGTH && name.iter().all(|byte| matches!(byte, b'!'..=b'~'))
        };
        let name = Some(value.as_bytes()).filter(plain).ok_or_else(|| {
            ApiError::invalid(format!("Idempotency-Key must have 1 to {MAX_LENGTH} plain letters without spaces."))
        })?;
        let management = request.app_data::<web::Data<Management>>().ok_or_else(ApiError::internal)?;
        let secret = presented(request).ok_or_else(ApiError::unauthorized)?;
        let secret = Digest::of(secret);
        let sealing = digest_of(&[b"farebox first answer v1", management.answers().expose(), secret.as_bytes(), name]);
        let sealing = Secret::new(sealing.as_bytes().try_into().map_err(|_| ApiError::internal())?);
        Ok(Repeat(Some(Named {
            org: caller.get().org,
            key: caller.get().key,
            name: Digest::of(name),
            request: digest_of(&[operation.as_bytes(), body]),
            sealer: Sealer::new(&sealing),
        })))
    }

    /// Makes this request the first of its name, in the caller's transaction. One that comes at the same time waits for
    /// the end of that transaction: then it is a repetition, or, if nothing came of the first, the first itself.
    ///
    /// # Errors
    /// 409 when the name was used for something else; 503 while the database is away.
    pub async fn begin(&self, conn: &mut PgConnection, now: DateTime<Utc>) -> Result<Seen, ApiError> {
        let Some(named) = &self.0 else { return Ok(Seen::First) };
        answered(store::forget_answers(conn, named.org, named.key, &named.name, now - KEPT)).await?;
        if answered(store::begin_answer(conn, named.org, named.key, &named.name, &named.request)).await? {
            return Ok(Seen::First);
        }
        let kept = answered(store::kept_answer(conn, named.org, named.key, &named.name)).await?;
        let Some(kept) = kept.filter(|kept| kept.asked == named.request.as_bytes()) else {
            return Err(ApiError::conflict(
                "This Idempotency-Key was used before, for another request. Use a new one.",
            ));
        };
        named.give_again(&kept).map(Seen::Before)
    }

    /// Keeps the first answer, in the same transaction.
    ///
    /// # Errors
    /// 503 while the database is away.
    pub async fn keep(&self, conn: &mut PgConnection, status: StatusCode, answer: &Bytes) -> Result<(), ApiError> {
        let Some(named) = &self.0 else { return Ok(()) };
        let text = std::str::from_utf8(answer).map_err(|_| ApiError::internal())?;
        let sealed = named.sealer.seal(PURPOSE, &Secret::new(text.to_owned())).map_err(|_| ApiError::internal())?;
        let status = i16::try_from(status.as_u16()).unwrap_or_default();
        answered(store::keep_answer(conn, named.org, named.key, &named.name, status, &sealed)).await
    }
}

impl Named {
    fn give_again(&self, kept: &Kept) -> Result<HttpResponse, ApiError> {
        let other_secret = || {
            ApiError::conflict("The first answer was given to another secret of this key. Use a new Idempotency-Key.")
        };
        let opened = kept.sealed.as_ref().and_then(|sealed| self.sealer.open(PURPOSE, sealed).ok());
        let opened = opened.ok_or_else(other_secret)?;
        let status = u16::try_from(kept.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let mut response = json(status.unwrap_or(StatusCode::OK), Bytes::from(opened.expose().clone()));
        let replayed = HeaderName::from_static("idempotency-replayed");
        response.headers_mut().insert(replayed, HeaderValue::from_static("true"));
        Ok(response)
    }
}

/// Each part is preceded by its length, so that no two lists of parts are the same bytes.
fn digest_of(parts: &[&[u8]]) -> Digest {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    Digest::of(all)
}

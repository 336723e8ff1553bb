//! What was asked for is worked on to its end, also when whoever asked has left.
//!
//! The server drops what it is doing for a connection that is gone. For a page that only shows something that is right. A form
//! that has begun to change something would stop between two steps: a processor was asked and its answer is not written
//! down, a password was looked at and the try is not counted.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use tokio::sync::Semaphore;

use super::PageError;

/// Requests that one process works on at a time, their askers there or not.
const MAX_AT_ONCE: usize = 1_024;

static PLACES: Semaphore = Semaphore::const_new(MAX_AT_ONCE);

/// For requests that change something.
///
/// # Errors
/// The service's own, and `Busy` when too many are worked on.
pub async fn changes(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if request.method().is_safe() { next.call(request).await } else { work(next.call(request)).await? }
}

/// Does all of some work, whoever waits for it.
///
/// # Errors
/// `Busy` when too much is worked on, or when the program ends.
pub async fn work<T: 'static>(work: impl Future<Output = T> + 'static) -> Result<T, PageError> {
    let place = PLACES.try_acquire().map_err(|_| PageError::Busy)?;
    let done = actix_web::rt::spawn(async move {
        let _place = place;
        work.await
    });
    done.await.map_err(|ended| match ended.try_into_panic() {
        // It goes on as if there had been no task between.
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => PageError::Busy,
    })
}

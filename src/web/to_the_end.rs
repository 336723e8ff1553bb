//! What was asked for is worked on to its end, also when whoever asked has left.
//!
//! The server drops what it is doing for a connection that is gone. For a page that only shows something that is right. A form
//! that has begun to change something would stop between two steps: a processor was asked and its answer is not written
//! down, a password was looked at and the try is not counted.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::AbortHandle;

use super::PageError;

/// How much work without an asker one process goes on with at a time. What is beyond it is dropped.
const MAX_LEFT: usize = 1_024;
const LOOK_EVERY: Duration = Duration::from_millis(50);

static PLACES: Semaphore = Semaphore::const_new(MAX_LEFT);

/// Does all of some work, whoever waits for it. A body that has not arrived when its sender leaves ends it with an error.
///
/// # Errors
/// `Busy` when the program ends.
pub async fn work<T: 'static>(work: impl Future<Output = T> + 'static) -> Result<T, PageError> {
    let place = Place::default();
    let kept = place.clone();
    let task = actix_web::rt::spawn(async move {
        let _kept = kept;
        work.await
    });
    let asker = Asker { task: task.abort_handle(), place };
    let done = task.await;
    drop(asker);
    done.map_err(|ended| match ended.try_into_panic() {
        // It goes on as if there had been no task between.
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => PageError::Busy,
    })
}

/// Waits until no work is left that nobody waits for. Without taking the places, which whoever leaves meanwhile needs.
pub async fn nothing_left() {
    while PLACES.available_permits() < MAX_LEFT {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Taken when the asker leaves, given back when the work is done.
type Place = Rc<RefCell<Option<SemaphorePermit<'static>>>>;

struct Asker {
    task: AbortHandle,
    place: Place,
}

impl Drop for Asker {
    fn drop(&mut self) {
        if self.task.is_finished() {
            return;
        }
        match PLACES.try_acquire() {
            Ok(permit) => *self.place.borrow_mut() = Some(permit),
            Err(_) => {
                tracing::warn!("too many have left what they asked for; the work of one more is dropped");
                self.task.abort();
            }
        }
    }
}

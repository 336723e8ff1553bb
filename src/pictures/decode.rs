//! Decoding off the async threads.

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::picture::{Picture, PictureError, reencode};

/// Pictures that are decoded at one time in this process; each may need two hundred megabytes for a moment.
static DECODING: Semaphore = Semaphore::const_new(1);

/// As [`reencode`], on a thread of its own, one picture at a time.
///
/// # Errors
/// The inner error is the picture's; the outer one says that the program is going down.
pub async fn decode(file: Bytes) -> anyhow::Result<Result<Picture, PictureError>> {
    let permit = DECODING.acquire().await?;
    let decoding = move || {
        // Until it is done, not until somebody stops waiting for it.
        let _permit = permit;
        reencode(&file)
    };
    Ok(tokio::task::spawn_blocking(decoding).await?)
}

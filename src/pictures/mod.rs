//! Small pictures of people and organizations.
//!
//! What is always true here: what was uploaded is never kept or sent on. Its pixels are decoded within fixed limits
//! and encoded anew, so that neither its metadata (places, cameras, names) nor anything hidden in it survives.

mod decode;
mod picture;
mod store;

pub use decode::decode;
pub use picture::{MAX_UPLOAD, Picture, PictureError, reencode};
pub use store::{Owner, find, of, remove, set};

//! What programs get and send: one shape of errors, amounts as exact numbers, bodies and queries that are read strictly.
//! Like the rest of the shell it knows no domain.

mod answer;
mod body;
mod error;
mod query;

pub use answer::{Data, Number, answered, json, private, to_bytes};
pub use body::{Amount, MAX_BODY, Strict, given, present};
pub use error::{ApiError, ErrorBody, ErrorDetail, Object, RETRY_SOON};
pub use query::StrictQuery;

//! The gateway: money out. One metered call from the request to the last byte.
//!
//! The way of a call: `dialect` and `wire` read the request, `defaults` fills in what presets
//! and settings add, `routing` orders the endpoints that may answer it, `estimate`
//! bounds its price, the ledger's desk holds that much, `forward` owns the exchange with the upstream, `meter`
//! folds what comes back into tokens, the settler ends the hold, and only then the client gets the last bytes.
//!
//! What is always true here:
//! - One tracked task owns an admitted call. It ends with exactly one settlement, whatever happens to the client,
//!   to the upstream or to the task itself.
//! - Another endpoint is tried only while no part of an answer was sent to the client.
//! - The upstream's own numbers are the bill. What it did not say is counted here, and the usage row says so.
//! - Errors have one shape, and an HTTP status of 200 never carries one before the stream has begun.
//! - No request chooses a host: outgoing calls go through one guarded client, to addresses of the catalog.

pub mod api;
pub mod call;
mod chat;
mod count;
mod defaults;
pub mod dialect;
mod error;
mod estimate;
mod figures;
mod forward;
mod hops;
pub mod measure;
mod meter;
mod names;
mod providers;
pub mod query_api;
pub mod reconcile;
mod respond;
pub mod settle;
mod spans;
pub mod spool;
pub mod surface;
pub mod sweep;
pub mod wire;

pub use call::{Attempt, Call, Charge, CountedBy, Ended, Status, Terms, Tokens};
pub use chat::{ClientFacts, Gateway, GatewayParts};
pub use defaults::InstanceDefaults;
pub use dialect::Protocol;
pub use error::ApiError;
pub use forward::{Answer, Settles, Timeouts};
pub use providers::UpstreamKeys;
pub(crate) use respond::respond;
pub use settle::{Durable, Receipt, Settler};

/// Bytes of the body of a call.
pub(crate) const MAX_BODY: usize = wire::MAX_BODY;

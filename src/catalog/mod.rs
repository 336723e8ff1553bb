//! What can be called, where, and for how much.
//!
//! A *provider* is a company or a machine that answers calls. A *model* is what a caller names. An *endpoint* is one
//! model at one provider, with limits and a price of its own. All three are house-wide: no organization owns them.
//!
//! Always true:
//! - A price is never edited. A new version supersedes it, and every call is billed by the version that was pinned when
//!   it was admitted. The database refuses to change or delete a version.
//! - Nothing is deleted. What is no longer offered is retired, so that old calls can still be explained.
//! - A unit price has at most twelve digits after the point and is at most one hundred dollars, so that the cost of any
//!   plausible call is exact and nothing is ever rounded away.
//! - The declared state is a file. `diff` says what a file would change, `apply` does exactly that in one transaction,
//!   and `export` writes a file that changes nothing when it is applied again.
//! - The way of a call reads only the [`Catalog`], a copy in memory that is replaced as a whole.

mod apply;
mod diff;
mod endpoint;
mod export;
mod file;
mod model;
mod price;
mod pricing;
mod provider;
mod secret;
mod shelf;
mod snapshot;
mod store;

pub use apply::{ApplyError, apply, hold, preview};
pub use diff::{Action, Change, Current, DiffError, Kept, Missing, diff};
pub use endpoint::{Endpoint, EndpointId, EndpointKey};
pub use export::export;
pub use file::{CatalogFile, FileError};
pub use model::{Modality, Model, ModelSlug, Task};
pub use price::{ParsePriceError, Price, PriceVersionId, UnitPrice};
pub use pricing::{
    Bounds, Cost, CostLine, ImplausibleUsage, MAX_QUANTITY, Usage, affordable_completion, cost, upper_bound,
};
pub use provider::{Provider, ProviderId, ProviderKind, ProviderSlug};
pub use secret::{SecretError, set_upstream_key, upstream_keys};
pub use shelf::Shelf;
#[cfg(test)]
pub(crate) use snapshot::tests::catalog as shipped;
pub use snapshot::{Catalog, ListedModel, ListedProvider, Offer, load};

/// The channel on which Postgres tells every process that its copy of the catalog is old.
pub const CHANGED_CHANNEL: &str = "catalog_changed";

/// What is wrong with one field of a provider, a model or an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Flaw {
    pub field: &'static str,
    pub problem: &'static str,
}

impl Flaw {
    /// `Ok` when the rule holds, otherwise the flaw.
    fn unless(holds: bool, field: &'static str, problem: &'static str) -> Result<(), Flaw> {
        if holds { Ok(()) } else { Err(Flaw { field, problem }) }
    }
}

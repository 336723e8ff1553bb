//! Postgres: pools, migrations, listening, and the embedded server. No domain.

pub mod embedded;
mod lane;
pub mod listen;
pub mod migrate;
pub mod pool;
mod tenant;
mod values;

pub use lane::Lane;
pub use migrate::migrate;
pub use pool::Pools;
pub use tenant::{tenant, tenant_snapshot};
pub(crate) use values::row_type;
pub use values::{interval, moment};

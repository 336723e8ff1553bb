//! Postgres: pools, migrations, listening, and the embedded server. No domain.

pub mod embedded;
pub mod listen;
pub mod migrate;
pub mod pool;
mod tenant;
mod values;

pub use migrate::migrate;
pub use pool::Pools;
pub use tenant::{tenant, tenant_snapshot};
pub use values::{interval, uuid_array};

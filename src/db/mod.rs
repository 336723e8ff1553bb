//! Postgres: pools, migrations, listening, and the embedded server. No domain.

pub mod embedded;
pub mod listen;
pub mod migrate;
pub mod pool;

pub use migrate::migrate;
pub use pool::Pools;

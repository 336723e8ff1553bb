//! The database: how the process reaches Postgres. Knows no domain.

pub mod embedded;

//! The SQL of the catalog, and nowhere else any.

mod read;
mod secrets;
mod write;

pub(super) use read::{current, listed_endpoints, listed_models, listed_providers};
pub(super) use secrets::{provider_secrets, put_provider_secret};
pub(super) use write::{
    add_price, lock, put_endpoint, put_model, put_provider, retire_endpoint, retire_model, retire_provider,
};

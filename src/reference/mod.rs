//! The reference of our own API, made from its OpenAPI document.

mod schema;

pub mod pages;

/// What programs with a key may call, as one OpenAPI document.
#[derive(Clone, Debug)]
pub struct OpenApiDocument(pub serde_json::Value);

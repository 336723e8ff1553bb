//! Farebox: a self-hosted, credit-metered AI portal with an OpenAI-compatible gateway.
pub mod base;
pub mod ledger;

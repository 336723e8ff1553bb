//! Farebox: a self-hosted, credit-metered AI portal with an OpenAI-compatible gateway and a real ledger.

pub mod web;

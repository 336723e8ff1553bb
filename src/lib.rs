//! Farebox: a self-hosted, credit-metered AI portal.

pub mod db;

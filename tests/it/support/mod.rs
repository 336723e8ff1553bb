//! What the tests share.

pub mod authenticator;
pub mod calendar;
pub mod clients;
pub mod cluster;
pub mod crowd;
pub mod document;
pub mod fake_oidc;
pub mod fake_smtp;
pub mod fake_upstream;
pub mod farebox;
pub mod http;
pub mod lab;
pub mod letters;
pub mod rail;
pub mod receiver;
pub mod routes;
pub mod shop;
pub mod size;
pub mod team;
pub mod visitor;

pub use farebox::{Farebox, Key, Options, usual_hashes};
pub use size::scale;

//! The shell around a page. It knows no domain: what pages show arrives as plain text in `views`.

pub mod api;
pub mod app;
pub mod assets;
pub mod away;
pub mod client;
pub mod cookies;
pub mod csrf;
pub mod error;
pub mod flash;
pub mod form;
pub mod headers;
pub mod hosts;
pub mod page;
pub mod patience;
pub mod present;
pub mod proxies;
pub mod snippets;
pub mod static_files;
pub mod to_the_end;
pub mod upload;
pub mod views;

pub use app::App;
pub use away::{Destination, away};
pub(crate) use error::door_url;
pub use error::{NothingBroken, PageError, local_path};
pub use form::{EmptyForm, Fields, LONG_FORM, Protected};
pub use hosts::Hosts;
pub use page::{OF_ORG, html, once, public_page, see_other, unprocessable};
pub use proxies::TrustedProxies;
pub use upload::Upload;

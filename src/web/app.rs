//! What every handler may hold.

use sqlx::PgPool;
use url::Url;

use crate::base::{Clock, Secret};

#[derive(Clone, Debug)]
pub struct App {
    pub db: PgPool,
    pub clock: Clock,
    /// Where browsers and clients reach this instance.
    pub public_url: Url,
    /// Development: sandbox parts and the mailbox page are there, and marked.
    pub dev: bool,
    /// Signs form tokens.
    pub form_key: Secret<[u8; 32]>,
    /// Reverse proxies before this process that set `X-Forwarded-For`.
    pub trusted_proxies: u8,
}

impl App {
    /// An absolute URL of this instance.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        self.public_url.join(path).map_or_else(|_| self.public_url.to_string(), |url| url.to_string())
    }

    /// Whether browsers reach this instance by TLS, so that cookies may demand it.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }
}

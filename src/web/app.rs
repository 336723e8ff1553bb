//! What every handler may hold.

use std::time::Duration;

use chrono::TimeDelta;
use sqlx::PgPool;
use url::Url;

use super::{Hosts, TrustedProxies};
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
    /// Reverse proxies before this process, which say where a request comes from.
    pub proxies: TrustedProxies,
    /// The names that this instance answers to.
    pub hosts: Hosts,
    /// A session that is not used for so long has ended.
    pub session_idle: TimeDelta,
    /// A request whose body does not go on for so long is not waited for.
    pub patience: Duration,
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

//! Asking a provider: with bounded time and size, following nothing, obeying no environment.
//!
//! The operator named the issuer, so its own host may stand in a private network. Other hosts are named by the provider, in
//! its discovery document: they must be public, so that a provider that was taken over cannot have us look around in the
//! operator's network.

use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse, http};
use url::Url;

use crate::outgoing::{HttpClient, HttpClientConfig, HttpClientError};

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// One request from its start to the last byte of its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Discovery documents and key sets have a few kilobytes.
const MAX_ANSWER: usize = 256 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("only https addresses are asked")]
    Scheme,
    #[error("only the issuer's own host may be in a private network")]
    NotPublic,
    #[error("the answer is too long")]
    TooLong,
    #[error("the request could not be made")]
    Request,
    #[error("there was no answer in time")]
    Slow,
    #[error("there was no answer")]
    Away,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> FetchError {
        if error.is_timeout() { FetchError::Slow } else { FetchError::Away }
    }
}

/// A client for one provider.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// For the issuer's own host.
    client: reqwest::Client,
    /// For every other one.
    guarded: HttpClient,
    issuer: Option<Url>,
}

impl Fetcher {
    /// # Errors
    /// When TLS cannot be set up.
    #[expect(
        clippy::disallowed_methods,
        reason = "a client with its own limits: no redirects, no proxies, short waits"
    )]
    pub fn new(issuer: &str) -> Result<Fetcher, HttpClientError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            // Asked seldom, and from the threads of several runtimes.
            .pool_max_idle_per_host(0)
            .build()?;
        let config = HttpClientConfig { allow_private: false, connect_timeout: CONNECT_WITHIN, max_idle: 0 };
        Ok(Fetcher { client, guarded: HttpClient::new(config)?, issuer: issuer.parse().ok() })
    }

    /// # Errors
    /// When there is no answer in time, or it is too long. Any status is an answer.
    pub async fn call(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let url: Url = request.uri().to_string().parse().map_err(|_| FetchError::Request)?;
        let at_home = self.issuer.as_ref().is_some_and(|issuer| issuer.origin() == url.origin());
        // Without TLS only where the operator gave the issuer so, on a developer's machine.
        if url.scheme() != "https" && !(at_home && url.scheme() == "http") {
            return Err(FetchError::Scheme);
        }
        let request = reqwest::Request::try_from(request).map_err(|_| FetchError::Request)?;
        let mut answer = if at_home {
            self.client.execute(request).await?
        } else {
            let request = self.guarded.carry(request).map_err(|_| FetchError::NotPublic)?;
            request.timeout(ANSWER_WITHIN).send().await?
        };
        let mut response = http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(FetchError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        response.body(body).map_err(|_| FetchError::Request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn asked(issuer: &str, address: &str) -> FetchError {
        let request = http::Request::builder().uri(address).body(Vec::new()).expect("a request");
        Fetcher::new(issuer).expect("a client").call(request).await.expect_err(address)
    }

    /// Every spelling of an address, as one that a provider names in its discovery document; and a redirect.
    #[tokio::test]
    async fn no_spelling_of_a_forbidden_address_is_asked_and_no_redirect_followed() {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let _ = rustls::crypto::ring::default_provider().install_default();
        let fetcher = Fetcher::new("https://id.example.com").expect("a client");
        assert!(crate::outgoing::tests::FORBIDDEN.len() >= 60);
        for host in crate::outgoing::tests::FORBIDDEN {
            // As a document names it: read as an address first, whatever its spelling.
            let address = Url::parse(&format!("https://{host}:1/keys")).expect("an address");
            let request = http::Request::builder().uri(address.as_str()).body(Vec::new()).expect("a request");
            let refused = fetcher.call(request).await.expect_err(host);
            assert!(matches!(refused, FetchError::NotPublic), "{host}: {refused}");
        }
        let (hits, listener) = (Arc::new(AtomicUsize::new(0)), tokio::net::TcpListener::bind("127.0.0.1:0").await);
        let (count, listener) = (Arc::clone(&hits), listener.expect("a port"));
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let turned = format!("{issuer}/elsewhere");
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = socket.read(&mut [0; 2_048]).await;
                let answer =
                    format!("HTTP/1.1 307 X\r\nlocation: {turned}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        let request = http::Request::builder().uri(format!("{issuer}/token")).body(Vec::new()).expect("a request");
        let answer = Fetcher::new(&issuer).expect("a client").call(request).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), hits.load(Ordering::SeqCst)), (307, 1), "it is an answer like any other");
    }

    #[tokio::test]
    async fn a_provider_cannot_have_us_look_around_in_the_network() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for address in
            ["https://127.0.0.1:1/keys", "https://169.254.169.254/keys", "https://[::1]:1/keys", "https://10.0.0.7/"]
        {
            let refused = asked("https://id.example.com", address).await;
            assert!(matches!(refused, FetchError::NotPublic), "{address}: {refused}");
        }
        // Names are looked at when they are resolved.
        assert!(matches!(asked("https://id.example.com", "https://localhost:1/keys").await, FetchError::Away));
        assert!(matches!(asked("http://127.0.0.1:1", "http://127.0.0.1:2/keys").await, FetchError::Scheme));
        // What the operator named is asked wherever it stands: here nobody listens.
        assert!(matches!(asked("http://127.0.0.1:1", "http://127.0.0.1:1/keys").await, FetchError::Away));
    }
}

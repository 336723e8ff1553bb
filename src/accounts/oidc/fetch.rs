//! Asking a provider: with bounded time and size, following nothing, obeying no environment.

use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse, http};
use url::Url;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// One request from its start to the last byte of its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Discovery documents and key sets have a few kilobytes.
const MAX_ANSWER: usize = 256 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("only https addresses are asked")]
    Scheme,
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

/// A client for one provider. The operator named it, so it may stand in a private network.
#[derive(Clone, Debug)]
pub struct Fetcher {
    client: reqwest::Client,
    /// Only for an issuer that the operator gave without TLS, on a developer's machine.
    plain: bool,
}

impl Fetcher {
    /// # Errors
    /// When TLS cannot be set up.
    #[expect(
        clippy::disallowed_methods,
        reason = "a client with its own limits: no redirects, no proxies, short waits"
    )]
    pub fn new(plain: bool) -> Result<Fetcher, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            // Asked seldom, and from the threads of several runtimes.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Fetcher { client, plain })
    }

    /// # Errors
    /// When there is no answer in time, or it is too long. Any status is an answer.
    pub async fn call(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let url: Url = request.uri().to_string().parse().map_err(|_| FetchError::Request)?;
        if url.scheme() != "https" && !(self.plain && url.scheme() == "http") {
            return Err(FetchError::Scheme);
        }
        let request = reqwest::Request::try_from(request).map_err(|_| FetchError::Request)?;
        let mut answer = self.client.execute(request).await?;
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

//! What is looked at before anything else of a request: the name under which it asks, and how long its head is.
//!
//! A page that another name leads to could be played with: a stranger's name that resolves to this machine makes a
//! browser believe that the stranger's pages and ours are one site, and whatever repeats the name of the request repeats a
//! forged one.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, ResponseError, web};
use url::Url;

use super::{App, PageError};

/// Bytes of names and values of all headers. What browsers and clients send is far below; whoever parses a header further
/// on (a boundary, a token, a cookie) never gets a longer one.
const MAX_HEAD: usize = 32 * 1024;
/// How programs on the same machine reach it.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hosts(Arc<[String]>);

/// Why a request is not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It names no host, or several.
    NoHost,
    OtherHost,
    /// Its headers are too long.
    LongHead,
}

impl Refused {
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Refused::NoHost => StatusCode::BAD_REQUEST,
            Refused::OtherHost => StatusCode::MISDIRECTED_REQUEST,
            Refused::LongHead => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        }
    }

    /// What is wrong, and what to do.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Refused::NoHost | Refused::OtherHost => {
                "This instance does not answer under the host of the request. Use its own address. Whoever runs it sets \
                 that with FAREBOX_PUBLIC_URL, and further names with FAREBOX_EXTRA_HOSTS; a proxy before it has to pass \
                 the Host header on."
            }
            Refused::LongHead => "The headers of the request are longer than 32 KiB together.",
        }
    }
}

impl Hosts {
    /// Those of the public address and of the settings; while developing, this machine's own names too.
    #[must_use]
    pub fn new(public_url: &Url, extra: &[String], dev: bool) -> Hosts {
        let own = public_url.host_str().map(str::to_owned);
        let loopback = LOOPBACK.iter().filter(|_| dev).map(|name| (*name).to_owned());
        let names = own.into_iter().chain(extra.iter().cloned()).chain(loopback);
        Hosts(names.map(|name| name.to_ascii_lowercase()).collect())
    }

    /// Whether a `Host` header is one of ours; on which port does not matter.
    #[must_use]
    pub fn admit(&self, host: &str) -> bool {
        let name = name_of(host);
        self.0.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// A host without its port and the dot of the root.
pub(super) fn name_of(host: &str) -> &str {
    let port = |rest: &str| rest.is_empty() || rest.bytes().all(|b| b.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        // The last part of a bare IPv6 address is no port.
        Some((name, rest)) if port(rest) && (name.ends_with(']') || !name.contains(':')) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// # Errors
/// Says what is wrong with the head of a request.
pub fn check(app: &App, request: &HttpRequest) -> Result<(), Refused> {
    let long = |sum: usize, (name, value): (&HeaderName, &HeaderValue)| sum + name.as_str().len() + value.len();
    if request.headers().iter().fold(0, long) > MAX_HEAD {
        return Err(Refused::LongHead);
    }
    let mut given = request.headers().get_all(header::HOST);
    let one = match (given.next(), given.next()) {
        (Some(host), None) => host.to_str().map_err(|_| Refused::NoHost)?,
        _ => return Err(Refused::NoHost),
    };
    // An address in the request line, as proxies get it, has to be ours as well.
    let asked = request.uri().host().is_none_or(|host| app.hosts.admit(host));
    if asked && app.hosts.admit(one) { Ok(()) } else { Err(Refused::OtherHost) }
}

/// Lets through what asks for this instance. The error is a page; the API has its own.
///
/// # Errors
/// Those of the handler.
pub async fn only_ours(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let app = request.app_data::<web::Data<App>>().cloned().ok_or(PageError::Misconfigured)?;
    match check(&app, request.request()) {
        Ok(()) => Ok(next.call(request).await?.map_into_left_body()),
        Err(refused) => {
            let answer = PageError::Refused(refused).error_response();
            Ok(request.into_response(answer).map_into_right_body())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_are_ours() {
        let url: Url = "https://ai.example.com".parse().unwrap_or_else(|error| panic!("{error}"));
        let hosts = Hosts::new(&url, &["Alias.example.org".into()], false);
        for ours in ["ai.example.com", "AI.Example.com", "ai.example.com:443", "ai.example.com.", "alias.example.org:1"]
        {
            assert!(hosts.admit(ours), "{ours}");
        }
        for other in [
            "",
            "example.com",
            "evil.example",
            "ai.example.com.evil.example",
            "evil@ai.example.com",
            "ai.example.com:x",
            "127.0.0.1",
            "localhost:8080",
            "ai.example.com/..",
        ] {
            assert!(!hosts.admit(other), "{other}");
        }
        let dev = Hosts::new(&url, &[], true);
        for ours in ["localhost:8080", "127.0.0.1:1", "[::1]:8080", "[::1]"] {
            assert!(dev.admit(ours), "{ours}");
        }
    }
}

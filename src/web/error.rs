//! What went wrong with a page, for the person before it and, apart from that, for the log.

use actix_web::body::BoxBody;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use askama::Template;

use super::hosts::{Refused, name_of};
use super::views::PublicPage;
use super::views::errors::{Elsewhere, Forbidden, Internal, Invalid, Misdirected, NotFound, TooMany, Unavailable};

#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// Also for what belongs to somebody else: a stranger learns nothing.
    #[error("not found")]
    NotFound,
    #[error("forbidden: {0}")]
    Forbidden(&'static str),
    #[error("invalid: {0}")]
    Invalid(String),
    #[error("too many tries")]
    TooMany,
    /// More mails were asked for than are sent within an hour.
    #[error("too many mails")]
    TooManyMails,
    /// The head of the request is not answered.
    #[error("refused: {0:?}")]
    Refused(Refused),
    /// The address is of another organization than the one that is open; a form asks whether to open it.
    #[error("another organization is open")]
    Elsewhere(Box<Elsewhere>),
    /// Signed out: go to the sign-in page and come back.
    #[error("signed out")]
    SignedOut { next: String },
    /// Whoever is signed in has to show it again first, and comes back.
    #[error("step-up needed")]
    StepUp { next: String },
    /// The account is closed, and nothing but the way back is open.
    #[error("the account is being deleted")]
    Leaving,
    #[error("the database is away")]
    Unavailable(#[source] sqlx::Error),
    /// Everybody wants the same scarce thing at this moment.
    #[error("too much at once")]
    Busy,
    #[error("a part of the app is missing")]
    Misconfigured,
    #[error("internal: {0}")]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for PageError {
    fn from(error: sqlx::Error) -> PageError {
        match error {
            sqlx::Error::RowNotFound => PageError::NotFound,
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
                PageError::Unavailable(error)
            }
            // The wall behind an operator who only looks.
            sqlx::Error::Database(ref said) if said.code().is_some_and(|code| code == READ_ONLY) => {
                PageError::Forbidden("Nothing can be changed while you look at an organization as its owner sees it.")
            }
            sqlx::Error::Database(ref said) if said.code().is_some_and(|code| goes_away(&code)) => {
                PageError::Unavailable(error)
            }
            other => PageError::Internal(anyhow::Error::new(other)),
        }
    }
}

/// The SQLSTATE of a change in a transaction that only reads.
const READ_ONLY: &str = "25006";

/// Whether a server with this SQLSTATE is stopping, starting, or full: its last words on a connection, or its first.
fn goes_away(code: &str) -> bool {
    const TOO_MANY_CONNECTIONS: &str = "53300";
    // Class 08 is the connection's, class 57P an operator's intervention.
    code.starts_with("08") || code.starts_with("57P") || code == TOO_MANY_CONNECTIONS
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            PageError::Elsewhere(_) => StatusCode::OK,
            PageError::NotFound => StatusCode::NOT_FOUND,
            PageError::Forbidden(_) => StatusCode::FORBIDDEN,
            PageError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            PageError::TooMany | PageError::TooManyMails => StatusCode::TOO_MANY_REQUESTS,
            PageError::Refused(refused) => refused.status(),
            PageError::SignedOut { .. } | PageError::StepUp { .. } | PageError::Leaving => StatusCode::SEE_OTHER,
            PageError::Unavailable(_) | PageError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            PageError::Misconfigured | PageError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let door = match self {
            PageError::SignedOut { next } => Some(door_url("/sign-in", next)),
            PageError::StepUp { next } => Some(door_url("/step-up", next)),
            PageError::Leaving => Some("/account/leaving".to_owned()),
            _ => None,
        };
        if let Some(door) = door {
            return HttpResponse::SeeOther().insert_header((header::LOCATION, door)).finish();
        }
        let id = crate::base::ids::RequestId::fresh().to_string();
        if matches!(self, PageError::Busy) {
            metrics::counter!("farebox_pages_busy_total").increment(1);
        } else if self.status_code().is_server_error() {
            tracing::error!(error_id = %id, error = ?self, "a page failed");
        }
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
        // The id that the page asks people to quote is the one in the header and in the log.
        response.insert_header(("x-request-id", id.as_str()));
        if let Some(seconds) = self.retry_after() {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        let mut response = response.body(self.body(id).unwrap_or_else(|_| "Something went wrong.".to_owned()));
        if matches!(self, PageError::Busy) {
            response.extensions_mut().insert(NothingBroken);
        }
        response
    }
}

/// Marks an answer of the 500s that tells of no fault: it is counted, and whoever asks too much does not fill the log as well.
pub struct NothingBroken;

impl PageError {
    fn retry_after(&self) -> Option<&'static str> {
        match self {
            PageError::TooMany => Some("900"),
            PageError::TooManyMails => Some("3600"),
            PageError::Unavailable(_) | PageError::Busy => Some("5"),
            _ => None,
        }
    }

    fn body(&self, request_id: String) -> askama::Result<String> {
        let page =
            |title: &str| PublicPage { title: title.to_owned(), theme: "system".to_owned(), ..PublicPage::default() };
        match self {
            PageError::Elsewhere(page) => page.render(),
            PageError::NotFound => NotFound { page: page("Page not found"), request_id }.render(),
            PageError::Forbidden(reason) => {
                Forbidden { page: page("Not allowed"), request_id, reason: (*reason).to_owned() }.render()
            }
            PageError::Invalid(reason) => {
                Invalid { page: page("That could not be read"), request_id, reason: reason.clone() }.render()
            }
            PageError::TooMany => {
                TooMany { page: page("Too many tries"), request_id, retry_after: "15 minutes".into(), mails: false }
                    .render()
            }
            PageError::TooManyMails => {
                TooMany { page: page("Too many mails"), request_id, retry_after: "an hour".into(), mails: true }
                    .render()
            }
            PageError::Refused(refused) => Misdirected {
                page: page("This request is not answered"),
                request_id,
                code: refused.status().as_u16().to_string(),
                reason: refused.text(),
            }
            .render(),
            PageError::Unavailable(_) => {
                Unavailable { page: page("Back in a moment"), request_id, busy: false }.render()
            }
            PageError::Busy => Unavailable { page: page("Busy"), request_id, busy: true }.render(),
            PageError::SignedOut { .. }
            | PageError::StepUp { .. }
            | PageError::Leaving
            | PageError::Misconfigured
            | PageError::Internal(_) => Internal { page: page("Something went wrong"), request_id }.render(),
        }
    }
}

/// The page at which somebody shows who they are, and from which they come back.
pub(crate) fn door_url(door: &str, next: &str) -> String {
    if next == "/" {
        return door.to_owned();
    }
    let query = serde_urlencoded::to_string([("next", next)]).unwrap_or_default();
    format!("{door}?{query}")
}

/// A path of our own pages, or `/`: nobody is sent to another site after signing in.
#[must_use]
pub fn local_path(next: &str) -> &str {
    let own = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n', '\t']);
    if own { next } else { "/" }
}

/// Where to go after showing who one is: this page, or the one whose form was sent.
#[must_use]
pub fn return_path(request: &HttpRequest) -> String {
    if request.method() == Method::GET {
        return request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    }
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let Some(url) = text(header::REFERER).and_then(|text| url::Url::parse(text).ok()) else { return "/".to_owned() };
    // With what it asks for, where the page is ours: some are nothing without.
    let host = text(header::HOST).map(name_of);
    match url.query() {
        Some(query) if url.host_str() == host => format!("{}?{query}", url.path()),
        _ => url.path().to_owned(),
    }
}

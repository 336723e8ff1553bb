//! Pages for what went wrong. Each says what was not done, what to do, and the request id to quote.

use askama::Template;

use super::filters;
use super::shell::PublicPage;

/// A link of one organization, where another one is open. Field: `next`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "errors/elsewhere.html")]
pub struct Elsewhere {
    pub page: PublicPage,
    /// Of the organization that the link is of.
    pub id: String,
    pub name: String,
    /// What the one is called that is open.
    pub open: String,
    /// The page that comes then.
    pub next: String,
}

/// 404. The title says what is missing, such as `Page not found`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "errors/404.html")]
pub struct NotFound {
    pub page: PublicPage,
    pub request_id: String,
}

/// 403.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "errors/403.html")]
pub struct Forbidden {
    pub page: PublicPage,
    pub request_id: String,
    /// Why, and that nothing was changed.
    pub reason: String,
}

/// 421, 400 and 431: the head of the request names another site, or none, or is too long.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "errors/421.html")]
pub struct Misdirected {
    pub page: PublicPage,
    pub request_id: String,
    pub code: String,
    /// What is wrong, and what to do.
    pub reason: &'static str,
}

/// 422.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "errors/422.html")]
pub struct Invalid {
    pub page: PublicPage,
    pub request_id: String,
    /// What could not be read, as a sentence.
    pub reason: String,
}

/// 429.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "errors/429.html")]
pub struct TooMany {
    pub page: PublicPage,
    pub request_id: String,
    /// Such as `2 minutes`.
    pub retry_after: String,
    /// It was a mail that was asked for.
    pub mails: bool,
}

/// 500. Shows nothing of the cause.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "errors/500.html")]
pub struct Internal {
    pub page: PublicPage,
    pub request_id: String,
}

/// 503.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "errors/503.html")]
pub struct Unavailable {
    pub page: PublicPage,
    pub request_id: String,
    /// Too much at once, and not the database.
    pub busy: bool,
}

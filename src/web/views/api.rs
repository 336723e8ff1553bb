//! The reference of our own API, made from the OpenAPI document.

use askama::Template;
use askama::filters::HtmlSafe;

use super::filters;
use super::shell::{PublicPage, Shell};

/// `GET /docs/api` for whoever is signed in.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "api/reference.html")]
pub struct Inside {
    pub shell: Shell,
    pub reference: Reference,
}

/// The same for everybody else.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "api/guest.html")]
pub struct Guest {
    pub page: PublicPage,
    pub reference: Reference,
}

/// What both show.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "api/_reference.html")]
pub struct Reference {
    pub description: String,
    pub version: String,
    pub base_url: String,
    /// Where the document itself is served.
    pub document_href: String,
    pub groups: Vec<Group>,
}

impl HtmlSafe for Reference {}

/// Operations with the same tag.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub name: String,
    pub description: String,
    pub operations: Vec<Operation>,
}

#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// Unique on the page.
    pub id: String,
    /// Upper case, such as `POST`.
    pub method: String,
    /// Lower case.
    pub method_class: String,
    pub path: String,
    pub summary: String,
    pub description: String,
    pub parameters: Vec<Parameter>,
    /// The schema of the body as code; empty without one.
    pub request: String,
    pub answers: Vec<Answer>,
}

#[derive(Clone, Debug, Default)]
pub struct Parameter {
    pub name: String,
    /// `path`, `query` or `header`.
    pub place: String,
    pub kind: String,
    pub required: bool,
    pub description: String,
}

#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: String,
    pub description: String,
    /// The schema as code; empty without one.
    pub schema: String,
}

//! The development mailbox. Not served in production.

use askama::Template;

use super::common::{Link, When};
use super::filters;
use super::shell::PublicPage;

/// `GET /dev/mailbox`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "dev/mailbox.html")]
pub struct Mailbox {
    pub page: PublicPage,
    /// Newest first.
    pub messages: Vec<MailRow>,
}

/// A mail in the list.
#[derive(Clone, Debug, Default)]
pub struct MailRow {
    pub href: String,
    pub subject: String,
    pub to: String,
    pub time: When,
    /// Why it was not sent, if it was tried.
    pub error: String,
    /// It is not tried any more.
    pub dead: bool,
}

/// `GET /dev/mailbox/{id}`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "dev/mailbox_message.html")]
pub struct Message {
    pub page: PublicPage,
    pub subject: String,
    pub from: String,
    pub to: String,
    pub time: When,
    /// Why it was not sent, if it was tried.
    pub error: String,
    /// It is not tried any more.
    pub dead: bool,
    /// The plain text body.
    pub text: String,
    /// Links of the body, to follow by a click.
    pub links: Vec<Link>,
}

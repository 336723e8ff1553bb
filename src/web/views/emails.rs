//! Mails: a subject, a plain text and an HTML body each.

use askama::Template;

/// A rendered mail.
#[derive(Clone)]
pub struct Mail {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// A mail whose one action is a link. The link is a secret: this type is not `Debug`.
#[derive(Clone, Default)]
pub struct LinkMail {
    pub name: String,
    /// What this installation is called, such as `Farebox at ai.example.com`.
    pub instance: String,
    pub link: String,
    /// Such as `24 hours`.
    pub link_lasts: String,
}

macro_rules! mail {
    ($part:ident, $path:literal) => {
        #[derive(Template)]
        #[template(path = $path)]
        struct $part<'a> {
            mail: &'a LinkMail,
        }
    };
}

mail!(VerifySubject, "emails/verify/subject.txt");
mail!(VerifyText, "emails/verify/body.txt");
mail!(VerifyHtml, "emails/verify/body.html");
mail!(RecoverSubject, "emails/recover/subject.txt");
mail!(RecoverText, "emails/recover/body.txt");
mail!(RecoverHtml, "emails/recover/body.html");
mail!(RegisteredSubject, "emails/already_registered/subject.txt");
mail!(RegisteredText, "emails/already_registered/body.txt");
mail!(RegisteredHtml, "emails/already_registered/body.html");

/// The mail that confirms an address after signing up.
///
/// # Errors
/// Fails only when a template cannot be written.
pub fn verify(mail: &LinkMail) -> askama::Result<Mail> {
    Ok(Mail {
        subject: VerifySubject { mail }.render()?,
        text: VerifyText { mail }.render()?,
        html: VerifyHtml { mail }.render()?,
    })
}

/// The mail with which a person sets a new password.
///
/// # Errors
/// Fails only when a template cannot be written.
pub fn recover(mail: &LinkMail) -> askama::Result<Mail> {
    Ok(Mail {
        subject: RecoverSubject { mail }.render()?,
        text: RecoverText { mail }.render()?,
        html: RecoverHtml { mail }.render()?,
    })
}

/// The mail to the owner of an address with which somebody signed up again.
///
/// # Errors
/// Fails only when a template cannot be written.
pub fn already_registered(mail: &LinkMail) -> askama::Result<Mail> {
    Ok(Mail {
        subject: RegisteredSubject { mail }.render()?,
        text: RegisteredText { mail }.render()?,
        html: RegisteredHtml { mail }.render()?,
    })
}

/// A mail that tells of something that happened, with at most one thing to do about it. Its link may be a secret:
/// this type is not `Debug`.
#[derive(Clone, Default)]
pub struct NoticeMail {
    pub subject: String,
    /// Whom it is for; empty for somebody without an account.
    pub name: String,
    /// Sentences, a paragraph each.
    pub lines: Vec<String>,
    /// Names and values, such as `Browser` and `Firefox on Linux`.
    pub facts: Vec<(String, String)>,
    /// What the button says, and where it leads; both empty for none.
    pub action: String,
    pub link: String,
    /// How long the link works, and what to do when one expected nothing.
    pub footer: String,
}

macro_rules! notice {
    ($part:ident, $path:literal) => {
        #[derive(Template)]
        #[template(path = $path)]
        struct $part<'a> {
            mail: &'a NoticeMail,
        }
    };
}

notice!(NoticeSubject, "emails/notice/subject.txt");
notice!(NoticeText, "emails/notice/body.txt");
notice!(NoticeHtml, "emails/notice/body.html");

/// # Errors
/// Fails only when a template cannot be written.
pub fn notice(mail: &NoticeMail) -> askama::Result<Mail> {
    Ok(Mail {
        subject: NoticeSubject { mail }.render()?,
        text: NoticeText { mail }.render()?,
        html: NoticeHtml { mail }.render()?,
    })
}

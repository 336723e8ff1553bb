//! The mailbox: what would have been mailed.

use actix_web::{HttpRequest, HttpResponse, web};
use url::Url;

use crate::base::Viewer;
use crate::base::ids::MailId;
use crate::mail;
use crate::web::present::when;
use crate::web::views::Link;
use crate::web::views::dev as views;
use crate::web::{App, PageError, html, public_page};

const ROWS: i64 = 100;
/// Buttons above a mail.
const MAX_LINKS: usize = 10;

fn only_in_development(app: &App) -> Result<(), PageError> {
    // The routes are not mounted in production; this holds even if somebody mounts them.
    if app.dev { Ok(()) } else { Err(PageError::NotFound) }
}

/// `GET /dev/mailbox`
///
/// # Errors
/// `NotFound` outside development.
pub async fn mailbox(app: web::Data<App>, request: HttpRequest) -> Result<HttpResponse, PageError> {
    only_in_development(&app)?;
    let mut conn = app.db.acquire().await?;
    let mails = mail::latest(&mut conn, ROWS).await?;
    let now = app.clock.now();
    html(&views::Mailbox {
        page: public_page(&app, &request, "Mailbox"),
        messages: mails
            .into_iter()
            .map(|mail| views::MailRow {
                href: format!("/dev/mailbox/{}", mail.id),
                error: mail.last_error,
                dead: mail.dead_at.is_some(),
                subject: mail.subject,
                to: mail.recipient,
                time: when(mail.created_at, now, Viewer::ANYBODY),
            })
            .collect(),
    })
}

/// `GET /dev/mailbox/{id}`
///
/// # Errors
/// `NotFound` outside development, and without such a mail.
pub async fn message(
    app: web::Data<App>,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    only_in_development(&app)?;
    let id: MailId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = app.db.acquire().await?;
    let mail = mail::one(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    html(&views::Message {
        page: public_page(&app, &request, &mail.subject),
        from: "Farebox".to_owned(),
        to: mail.recipient,
        time: when(mail.created_at, app.clock.now(), Viewer::ANYBODY),
        links: links(&app.public_url, &mail.text),
        subject: mail.subject,
        text: mail.text,
        error: mail.last_error,
        dead: mail.dead_at.is_some(),
    })
}

/// The web addresses in a text. One of this instance is shown as a path, so that it works under whatever
/// name the browser came by.
fn links(home: &Url, text: &str) -> Vec<Link> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"'));
    words
        .filter(|word| word.starts_with("https://") || word.starts_with("http://"))
        .filter_map(|word| Url::parse(word.trim_end_matches(['.', ',', ';', ')'])).ok())
        .take(MAX_LINKS)
        .map(|url| {
            if url.origin() != home.origin() {
                return Link { href: url.to_string(), label: format!("Open {url}"), current: false };
            }
            let path = url.path();
            let href = url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
            Link { label: format!("Open {path}"), href, current: false }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_this_instance_become_paths() {
        let home = Url::parse("https://ai.example").expect("a URL");
        let text =
            "Hello,\n\nhttps://ai.example/verify?token=ab12\n\nor see <https://other.example/x>. javascript:alert(1)";
        let hrefs: Vec<String> = links(&home, text).into_iter().map(|link| link.href).collect();
        assert_eq!(hrefs, ["/verify?token=ab12", "https://other.example/x"]);
    }
}

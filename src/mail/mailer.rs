//! How a mail leaves: by SMTP, or not at all in development, where the mailbox page shows the outbox.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::{AsyncTransport, Message, Tokio1Executor};

use super::off::OffLinks;
use super::outbox::StoredMail;
use crate::base::Secret;

const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    #[error("the mail server address is not valid: {0}")]
    Url(String),
    #[error("the mail could not be composed: {0}")]
    Compose(String),
    #[error("the mail server does not let us in: {0}")]
    Away(String),
    #[error("the mail server did not take the mail: {0}")]
    Refused(String),
}

#[derive(Clone)]
pub enum Mailer {
    Smtp {
        transport: AsyncSmtpTransport<Tokio1Executor>,
        from: Mailbox,
        off: Option<OffLinks>,
    },
    /// Development: the outbox is the mailbox.
    Outbox,
}

impl Mailer {
    /// # Errors
    /// When the URL or the sender is not valid.
    pub fn smtp(url: &Secret<String>, from: &str) -> Result<Mailer, MailerError> {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose())
            // The URL may carry a password, so the error must not repeat it.
            .map_err(|_| MailerError::Url("write it like smtp://user:password@host:587?tls=required".into()))?
            .timeout(Some(TIMEOUT))
            .build();
        let from = from.parse().map_err(|_| MailerError::Compose("the sender is not an address".into()))?;
        Ok(Mailer::Smtp { transport, from, off: None })
    }

    /// With links that switch off what people may do without.
    #[must_use]
    pub fn offering(mut self, links: OffLinks) -> Mailer {
        if let Mailer::Smtp { off, .. } = &mut self {
            *off = Some(links);
        }
        self
    }

    #[must_use]
    pub fn leaves_the_house(&self) -> bool {
        matches!(self, Mailer::Smtp { .. })
    }

    /// Connects as for a mail, encrypts and signs in, and sends nothing.
    ///
    /// # Errors
    /// What the server said, or that it did not.
    pub async fn greet(&self) -> Result<(), MailerError> {
        let Mailer::Smtp { transport, .. } = self else { return Ok(()) };
        match transport.test_connection().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(MailerError::Away("it hung up after the greeting".to_owned())),
            Err(error) => Err(MailerError::Away(error.to_string())),
        }
    }

    /// # Errors
    /// When the mail cannot be composed or the server refuses it; the job tries again.
    pub async fn send(&self, mail: &StoredMail) -> Result<(), MailerError> {
        let Mailer::Smtp { transport, from, off } = self else { return Ok(()) };
        let to: Mailbox =
            mail.recipient.parse().map_err(|_| MailerError::Compose("the recipient is not an address".into()))?;
        let mut message = Message::builder()
            .from(from.clone())
            .to(to)
            .subject(&mail.subject)
            .message_id(Some(format!("<{}@farebox>", mail.id)))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|error| MailerError::Compose(error.to_string()))?;
        if let (Some(links), Some(off)) = (off, mail.off()) {
            head(&mut message, "List-Unsubscribe", format!("<{}>", links.link(off)));
            if links.is_one_click() {
                head(&mut message, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned());
            }
        }
        transport.send(message).await.map_err(|error| MailerError::Refused(error.to_string()))?;
        Ok(())
    }
}

/// Adds a line of plain ASCII to the head of a mail as it stands: mail programs read these two without decoding them.
fn head(message: &mut Message, name: &'static str, value: String) {
    let name = HeaderName::new_from_ascii_str(name);
    message.headers_mut().insert_raw(HeaderValue::dangerous_new_pre_encoded(name, value.clone(), value));
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.leaves_the_house() { "Mailer(smtp)" } else { "Mailer(outbox)" })
    }
}

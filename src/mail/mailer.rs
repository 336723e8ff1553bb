//! How a mail leaves: by SMTP, or not at all in development, where the mailbox page shows the outbox.

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::{AsyncSmtpTransport, PoolConfig};
use lettre::{AsyncTransport, Message, Tokio1Executor};

use super::off::OffLinks;
use super::outbox::StoredMail;
use crate::base::Secret;

/// Until the server is reached.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Until it has taken a mail, from the beginning on. The client bounds nothing but the first step, and some servers read a mail
/// for half a minute before they say that they take it.
const TAKE_WITHIN: Duration = Duration::from_secs(60);

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
    #[error("the mail server did not answer within {} seconds", .0.as_secs())]
    Silent(Duration),
}

#[derive(Clone)]
pub enum Mailer {
    Smtp {
        transport: AsyncSmtpTransport<Tokio1Executor>,
        from: Mailbox,
        off: Option<OffLinks>,
        /// How long a mail may take.
        limit: Duration,
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
            .timeout(Some(CONNECT_WITHIN))
            // A connection that was given up in the middle would go back to the pool, and the next mail would read the answer to
            // the last one. So each mail has one of its own.
            .pool_config(PoolConfig::new().max_size(0))
            .build();
        let from = from.parse().map_err(|_| MailerError::Compose("the sender is not an address".into()))?;
        Ok(Mailer::Smtp { transport, from, off: None, limit: TAKE_WITHIN })
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
    /// When the mail cannot be composed, the server refuses it, or it does not say in time; the job tries again.
    pub async fn send(&self, mail: &StoredMail) -> Result<(), MailerError> {
        let Mailer::Smtp { transport, from, off, limit } = self else { return Ok(()) };
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
        match tokio::time::timeout(*limit, transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(MailerError::Refused(error.to_string())),
            Err(_) => Err(MailerError::Silent(*limit)),
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;

    use super::*;
    use crate::base::Clock;
    use crate::base::ids::MailId;

    fn mail() -> StoredMail {
        StoredMail {
            id: MailId::fresh(),
            kind: "verify".to_owned(),
            recipient: "ada@example.com".to_owned(),
            subject: "Hello".to_owned(),
            text: "Hello".to_owned(),
            html: "<p>Hello</p>".to_owned(),
            created_at: Clock::system().now(),
            sent_at: None,
            last_error: String::new(),
            dead_at: None,
            choice_org: None,
            choice_person: None,
        }
    }

    /// A server that says yes until it is told who gets the mail, and then nothing any more. How often it was called.
    async fn stalling() -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let (read, mut write) = socket.into_split();
                    let mut lines = BufReader::new(read).lines();
                    let mut said = write.write_all(b"220 stalling.example\r\n").await;
                    while let (Ok(()), Ok(Some(line))) = (&said, lines.next_line().await) {
                        if line.starts_with("RCPT") {
                            std::future::pending::<()>().await;
                        }
                        said = write.write_all(b"250 ok\r\n").await;
                    }
                });
            }
        });
        (url, calls)
    }

    #[tokio::test]
    async fn a_server_that_stalls_is_given_up_in_time_and_called_anew() {
        let (url, calls) = stalling().await;
        let mut mailer = Mailer::smtp(&Secret::new(url), "farebox@example.com").expect("a mailer");
        let Mailer::Smtp { limit, .. } = &mut mailer else { panic!("it leaves the house") };
        *limit = Duration::from_millis(300);
        for times in 1..=3 {
            let begun = Instant::now();
            let sent = mailer.send(&mail()).await;
            assert!(matches!(sent, Err(MailerError::Silent(_))), "{sent:?}");
            assert!(begun.elapsed() < Duration::from_secs(10));
            assert_eq!(calls.load(Ordering::SeqCst), times, "no connection is used again");
        }
    }
}

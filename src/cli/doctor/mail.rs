//! The mail server: greeted, encrypted and signed in to as for a mail, and left without one unless one was asked for.

use std::net::IpAddr;
use std::time::Duration;

use url::Url;

use super::{Finding, Patient};
use crate::base::EmailAddress;
use crate::base::ids::MailId;
use crate::mail::{self, Mailer, MailerError, StoredMail};

/// Connecting, encrypting and signing in.
const LIMIT: Duration = Duration::from_secs(25);

pub async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let mut findings = server(patient).await;
    findings.extend(outbox(patient).await);
    findings
}

async fn server(patient: &Patient<'_>) -> Vec<Finding> {
    const CHECK: &str = "mail server";
    let Some(secret) = &patient.config.smtp_url else {
        let found = "none: mails stay in the outbox, and /dev/mailbox shows them";
        return vec![Finding::ok(CHECK, found)];
    };
    let mut findings = Vec::new();
    let url = secret.expose().parse::<Url>().ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
    if let Some(url) = url.as_ref().filter(|url| in_the_clear(url)) {
        let found = format!("mails go to {host} unencrypted, with links that sign people in");
        let advice = "write smtps://, or smtp:// with ?tls=required";
        findings.push(match url.password() {
            Some(_) => Finding::fault("encryption", format!("{found}, and so does the password"), advice),
            None => Finding::warning("encryption", found, advice),
        });
    }
    let mailer = match Mailer::smtp(secret, &patient.config.mail_from) {
        Ok(mailer) => mailer,
        Err(error) => {
            findings.push(Finding::fault(CHECK, error.to_string(), "mend FAREBOX_SMTP_URL or FAREBOX_MAIL_FROM"));
            return findings;
        }
    };
    findings.push(match tokio::time::timeout(LIMIT, mailer.greet()).await {
        Ok(Ok(())) => Finding::ok(CHECK, format!("{host} lets us in")),
        Ok(Err(error)) => refused(CHECK, &host, &error),
        Err(_) => {
            Finding::fault(CHECK, format!("{host} does not answer"), "check host and port; many networks block port 25")
        }
    });
    if let Some(to) = &patient.send {
        findings.push(send(patient, &mailer, to).await);
    }
    findings
}

fn refused(check: &str, host: &str, error: &MailerError) -> Finding {
    let advice =
        "check host, port, user, password and `tls` in FAREBOX_SMTP_URL; people cannot verify their address without it";
    Finding::fault(check, format!("{host}: {error}"), advice)
}

/// Without any encryption, to another machine.
fn in_the_clear(url: &Url) -> bool {
    // Of addresses with this scheme, numbers are taken for names.
    let host = url.host_str().unwrap_or("localhost").trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let encrypted =
        url.scheme() == "smtps" || url.query_pairs().any(|(name, value)| name == "tls" && value == "required");
    !local && !encrypted
}

async fn send(patient: &Patient<'_>, mailer: &Mailer, to: &EmailAddress) -> Finding {
    const CHECK: &str = "mail";
    let text = format!("farebox doctor of {} sent this mail. Nothing is to be done.\n", patient.config.public_url);
    let mail = StoredMail {
        id: MailId::fresh(),
        kind: "doctor".to_owned(),
        recipient: to.to_string(),
        subject: "A mail of farebox doctor".to_owned(),
        html: format!("<p>{}</p>", text.trim()),
        text,
        created_at: patient.clock.now(),
        sent_at: None,
        last_error: String::new(),
        dead_at: None,
        choice_org: None,
        choice_person: None,
    };
    match tokio::time::timeout(LIMIT, mailer.send(&mail)).await {
        Ok(Ok(())) => {
            Finding::ok(CHECK, format!("the server took one for {to}; look whether it arrives, and not as spam"))
        }
        Ok(Err(error)) => refused(CHECK, "sending", &error),
        Err(_) => Finding::fault(CHECK, "the server did not say whether it takes it", "look at its log"),
    }
}

async fn outbox(patient: &Patient<'_>) -> Vec<Finding> {
    const CHECK: &str = "outbox";
    let Some(pool) = &patient.pool else { return vec![super::no_database(CHECK)] };
    let asked = async {
        let mut conn = pool.acquire().await?;
        Ok::<_, sqlx::Error>((mail::count_dead(&mut conn).await?, mail::count_late(&mut conn).await?))
    };
    let (dead, late) = match asked.await {
        Ok(counts) => counts,
        Err(error) => return vec![super::unasked(CHECK, &error)],
    };
    let mut findings = Vec::new();
    if dead > 0 {
        let found = format!("{dead} mails were given up");
        findings.push(Finding::warning(CHECK, found, "farebox mail dead, mend the cause, then farebox mail retry all"));
    }
    if late > 0 {
        let found = format!("{late} mails wait for more than a quarter of an hour");
        findings.push(Finding::warning(CHECK, found, "is a server running, and what does its log say of them?"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "nothing waits, and nothing was given up"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for (text, clear) in [
            ("smtp://127.0.0.1:25", false),
            ("smtp://[::1]:25", false),
            ("smtp://localhost", false),
            ("smtps://mail.example.com", false),
            ("smtp://mail.example.com:587?tls=required", false),
            ("smtp://mail.example.com:587", true),
            ("smtp://mail.example.com:587?tls=opportunistic", true),
            ("smtp://10.0.0.7", true),
        ] {
            let url: Url = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(in_the_clear(&url), clear, "{text}");
        }
    }
}

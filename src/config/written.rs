//! Settings that are read for good only where they are used, when the server is starting already: `config check` reads them, too.

use lettre::{AsyncSmtpTransport, Tokio1Executor};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use super::{Config, ConfigError, wrong};

const LOG: &str = "FAREBOX_LOG";
const SMTP: &str = "FAREBOX_SMTP_URL";
const DATABASE: &str = "FAREBOX_DATABASE_URL";
/// What the driver understands behind the `?`, and what other drivers of the same address do and nothing is lost without. It passes
/// over any other word, and with it over what somebody meant to be safe.
const PARAMETERS: [&str; 28] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
    "channel_binding",
    "connect_timeout",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
];
/// Bytes of a parameter's name; what is longer, or looks like anything else, may be a part of a password.
const MAX_PARAMETER: usize = 32;

/// # Errors
/// Names the first setting that its reader would not understand. Addresses may carry a password, so none is repeated.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    check_log(&config.log)?;
    if let Some(url) = &config.smtp_url {
        AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose()).map_err(|_| {
            wrong(
                SMTP,
                "must be like smtp://user:password@host:587?tls=required or smtps://user:password@host, with what is neither \
                 letter nor digit in user and password written as %23",
            )
        })?;
    }
    match &config.database_url {
        Some(url) => check_database(url.expose()),
        None => Ok(()),
    }
}

/// A word alone is taken for the name of a module, so that `warning` would hide everything but what a module of that name says.
fn check_log(filter: &str) -> Result<(), ConfigError> {
    // Of a part that begins with a space, the reader would take one letter too few.
    let misread =
        |part: &&str| part.trim() != *part || (!part.contains(['=', '[']) && part.parse::<LevelFilter>().is_err());
    if let Some(part) = filter.split(',').filter(|part| !part.is_empty()).find(misread) {
        let problem = format!(
            "has {part:?}, which is no level: write error, warn, info, debug, trace or off, and modules like \
             info,farebox::gateway=debug, without spaces"
        );
        return Err(wrong(LOG, problem));
    }
    EnvFilter::try_new(filter)
        .map(|_| ())
        .map_err(|_| wrong(LOG, "is no filter: write it like `info` or `info,farebox::gateway=debug`"))
}

fn check_database(text: &str) -> Result<(), ConfigError> {
    const LIKE: &str = "must be like postgres://user:password@host:5432/farebox, with what is neither letter nor digit in user and \
                        password written as %23";
    let url: Url = text.parse().map_err(|_| wrong(DATABASE, LIKE))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(wrong(DATABASE, LIKE));
    }
    let is_read = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
    if let Some((name, value)) = url.query_pairs().find(|(name, _)| !is_read(name)) {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b'_' | b'-');
        let is_name = name.len() <= MAX_PARAMETER && name.bytes().all(is_plain) && !value.is_empty();
        let problem = match is_name {
            true => {
                let known = PARAMETERS.join(", ");
                format!("has the parameter {name:?}, which nobody reads; did you mean one of {known}?")
            }
            false => LIKE.to_owned(),
        };
        return Err(wrong(DATABASE, problem));
    }
    crate::db::pool::options(text)
        .map(|_| ())
        .map_err(|_| wrong(DATABASE, "has a parameter whose value is wrong, such as one of sslmode"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_would_hide_everything_is_refused() {
        for bad in [
            "warning",
            "verbose",
            "loud",
            "info, warn",
            "warn, sqlx=off",
            "info,loud",
            "farebox",
            "info,foo=bar=baz",
            "farebox=loud",
        ] {
            assert!(check_log(bad).is_err(), "{bad}");
        }
        for good in
            ["info", "WARN", "off", "info,farebox::gateway=debug", "warn,sqlx=off", "info,[call]=debug", "info,"]
        {
            assert_eq!(check_log(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn an_address_of_the_database_says_nothing_that_is_passed_over() {
        for bad in [
            "no address at all",
            "mysql://farebox@localhost/farebox",
            "postgres://farebox:pa#ss@localhost:5432/farebox",
            "postgres://localhost/farebox?sslmod=verify-full",
            "postgres://farebox:4?pa#ss@localhost/farebox",
            "postgres://farebox:4?pa%23ss@localhost/farebox",
            "postgres://localhost/farebox?sslmode=very",
        ] {
            let said = check_database(bad).expect_err(bad).to_string();
            assert!(said.starts_with(DATABASE) && !said.contains("pa#ss"), "{bad}: {said}");
        }
        for good in [
            "postgres://farebox:secret@db.example:5432/farebox?sslmode=verify-full&sslrootcert=/etc/ca.pem",
            "postgresql:///farebox?host=/run/postgresql&user=farebox&options[work_mem]=8MB",
            "postgres:///farebox?host=/tmp/farebox.sock&user=farebox&sslmode=disable",
            "postgres://a:b@db.example/farebox?sslmode=require&channel_binding=require&connect_timeout=10",
        ] {
            assert_eq!(check_database(good), Ok(()), "{good}");
        }
    }
}

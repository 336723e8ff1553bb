//! Settings of who is believed what: names, proxies, sessions, passwords, who keeps copies of anchors, and how long calls are kept.

use chrono::TimeDelta;
use url::{Host, Url};

use super::{Config, ConfigError, Sources, wrong};
use crate::accounts::{HashWork, NoHashWork};
use crate::activity::{MAX_DAYS_KEPT, MIN_DAYS_KEPT, Retention};
use crate::base::{EmailAddress, Usd};
use crate::web::TrustedProxies;

const HOSTS: &str = "FAREBOX_EXTRA_HOSTS";
const IDLE: &str = "FAREBOX_SESSION_IDLE_MINUTES";
const MAIL: &str = "FAREBOX_AUDIT_ANCHOR_MAIL";
const PROXIES: &str = "FAREBOX_TRUSTED_PROXIES";
const USAGE: &str = "FAREBOX_USAGE_DAYS";
const FOUR_EYES: &str = "FAREBOX_FOUR_EYES_ABOVE";
const HASH: &str = "FAREBOX_PASSWORD_HASH";
/// Above this a second operator agrees, where nobody says otherwise.
const USUAL_FOUR_EYES: Usd = Usd::from_whole(100);
/// Names besides that of the public address.
const MAX_HOSTS: usize = 64;
/// From half an hour to a week (ASVS 7.3.1); a session ends after thirty days in any case.
const IDLE_MINUTES: std::ops::RangeInclusive<i64> = 30..=7 * 24 * 60;

pub fn is_described(name: &str) -> bool {
    [HOSTS, IDLE, MAIL, PROXIES, USAGE, FOUR_EYES, HASH].contains(&name)
}

/// The effective value of a setting.
pub fn describe(name: &str, config: &Config) -> String {
    match name {
        HOSTS => config.extra_hosts.join(","),
        IDLE => config.session_idle.num_minutes().to_string(),
        MAIL => config.anchor_mail.as_ref().map(ToString::to_string).unwrap_or_default(),
        USAGE => config.retention.days.map(|days| days.to_string()).unwrap_or_default(),
        FOUR_EYES => config.four_eyes_above.exact(),
        HASH => config.hash_work.to_string(),
        _ => config.trusted_proxies.to_string(),
    }
}

/// # Errors
/// When it is no amount of dollars from zero up.
pub fn four_eyes_above(sources: &Sources) -> Result<Usd, ConfigError> {
    let Some(text) = sources.get(FOUR_EYES) else { return Ok(USUAL_FOUR_EYES) };
    let amount = Usd::parse(text).ok().filter(|amount| !amount.is_negative());
    amount.ok_or_else(|| wrong(FOUR_EYES, "must be dollars like 100; 0 lets every grant wait for a second operator"))
}

/// # Errors
/// When it is no work of a hash, or too little or too much.
pub fn hash_work(sources: &Sources) -> Result<HashWork, ConfigError> {
    let Some(text) = sources.get(HASH) else { return Ok(HashWork::default()) };
    text.parse().map_err(|why: NoHashWork| wrong(HASH, why.to_string()))
}

/// # Errors
/// When one of them is no host name, or has a scheme, a port or a path.
pub fn extra_hosts(sources: &Sources) -> Result<Vec<String>, ConfigError> {
    let Some(text) = sources.get(HOSTS) else { return Ok(Vec::new()) };
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
    for name in &names {
        let parsed = url::Url::parse(&format!("http://{name}/")).ok();
        if parsed.as_ref().and_then(url::Url::host_str) != Some(name.as_str()) {
            return Err(wrong(
                HOSTS,
                format!("has {name:?}, which is no host name like ai.example.com; leave ports out"),
            ));
        }
    }
    if names.len() > MAX_HOSTS {
        return Err(wrong(HOSTS, format!("names more than {MAX_HOSTS} hosts")));
    }
    Ok(names)
}

/// Whether an address leads nowhere but to this machine.
#[must_use]
pub fn is_local(url: &Url) -> bool {
    match url.host() {
        None => true,
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unspecified(),
    }
}

/// # Errors
/// When the public address of production is no address at all, because it was made of one that listens everywhere, or is one of
/// another machine without encryption.
pub fn check_public_url(url: &Url) -> Result<(), ConfigError> {
    let nowhere = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => ip.is_unspecified(),
        _ => false,
    };
    if url.scheme() != "https" && !is_local(url) {
        let problem = "is not https: passwords and keys would cross the network in the clear. Put a reverse proxy with a certificate \
                       before it, and write https here";
        return Err(wrong("FAREBOX_PUBLIC_URL", problem));
    }
    if nowhere {
        let problem = "must be set in production where FAREBOX_LISTEN is every address of the machine: only requests for its \
                       host are answered, and mails lead there";
        return Err(wrong("FAREBOX_PUBLIC_URL", problem));
    }
    Ok(())
}

/// # Errors
/// When it is no number of days in its range.
pub fn retention(sources: &Sources) -> Result<Retention, ConfigError> {
    let Some(text) = sources.get(USAGE) else { return Ok(Retention::default()) };
    let days = text.parse().ok().filter(|days| (MIN_DAYS_KEPT..=MAX_DAYS_KEPT).contains(days));
    let days = days.ok_or_else(|| wrong(USAGE, format!("must be between {MIN_DAYS_KEPT} and {MAX_DAYS_KEPT} days")))?;
    Ok(Retention { days: Some(days) })
}

/// # Errors
/// When it is no number of minutes in its range.
pub fn session_idle(sources: &Sources) -> Result<TimeDelta, ConfigError> {
    let minutes = sources.parse(IDLE, *IDLE_MINUTES.end(), "a whole number of minutes")?;
    if !IDLE_MINUTES.contains(&minutes) {
        return Err(wrong(IDLE, "must be between 30 minutes and 10080, which is a week"));
    }
    Ok(TimeDelta::minutes(minutes))
}

/// # Errors
/// When it is no address of e-mail.
pub fn anchor_mail(sources: &Sources) -> Result<Option<EmailAddress>, ConfigError> {
    let Some(text) = sources.get(MAIL) else { return Ok(None) };
    EmailAddress::parse(text).map(Some).map_err(|_| wrong(MAIL, "must be an address like audit@example.com"))
}

/// # Errors
/// When it is neither a number nor a list of networks.
pub fn trusted_proxies(sources: &Sources) -> Result<TrustedProxies, ConfigError> {
    let what = "the networks of the proxies like 10.0.0.0/8,192.0.2.7, or how many stand in a row, from 0 to 255";
    sources.parse(PROXIES, TrustedProxies::Count(0), what)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sources(name: &str, value: &str) -> Sources {
        let given = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Sources::from_map(given).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn what_is_set_is_checked() {
        for bad in ["https://ai.example.com", "ai.example.com:8080", "a b", "a,,b", "ai.example.com/"] {
            assert!(extra_hosts(&sources(HOSTS, bad)).is_err(), "{bad}");
        }
        let names = extra_hosts(&sources(HOSTS, "AI.example.com, 10.0.0.7,[::1]"));
        assert_eq!(names, Ok(vec!["ai.example.com".to_owned(), "10.0.0.7".to_owned(), "[::1]".to_owned()]));
        for bad in ["29", "10081", "0", "-1", "week"] {
            assert!(session_idle(&sources(IDLE, bad)).is_err(), "{bad}");
        }
        assert_eq!(session_idle(&sources(IDLE, "30")), Ok(TimeDelta::minutes(30)));
        assert_eq!(session_idle(&sources(PROXIES, "0")), Ok(TimeDelta::days(7)));
        let url = |text: &str| text.parse::<url::Url>().unwrap_or_else(|error| panic!("{error}"));
        for bad in ["http://0.0.0.0:8080", "http://[::]:8080", "http://ai.example.com", "http://10.0.0.7:8080"] {
            assert!(check_public_url(&url(bad)).is_err(), "{bad}");
        }
        for good in ["http://127.0.0.1:8080", "http://localhost:8080", "https://ai.example.com"] {
            assert!(check_public_url(&url(good)).is_ok(), "{good}");
        }
        assert!(anchor_mail(&sources(MAIL, "nobody")).is_err());
        for (text, good) in [("2", true), ("10.0.0.0/8", true), ("10.0.0.0/99", false), ("300", false)] {
            assert_eq!(trusted_proxies(&sources(PROXIES, text)).is_ok(), good, "{text}");
        }
    }
}

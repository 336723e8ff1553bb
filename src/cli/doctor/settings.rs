//! Settings that contradict each other, or are not safe.

use std::collections::BTreeSet;

use super::{Finding, Patient};
use crate::base::Secret;
use crate::config::{Config, Reading, is_local};
use crate::gateway::Timeouts;
use crate::web::TrustedProxies;

/// A token that a program reads is random text of at least so many characters.
const LEAST_TOKEN: usize = 24;
/// A key of 32 random bytes has far more different ones; fewer were typed or copied from an example.
const LEAST_DIFFERENT: usize = 16;

/// What made a setting unreadable.
pub async fn unread(reading: &Reading) -> Vec<Finding> {
    if reading.errors.is_empty() {
        return vec![Finding::ok("settings", "every setting is valid")];
    }
    let advice = "docs/configuration.md describes every setting; the server does not start with this";
    reading.errors.iter().map(|error| Finding::fault("settings", error.to_string(), advice)).collect()
}

pub async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let config = patient.config;
    let mut findings = vec![environment(patient), public_url(patient)];
    findings.extend(proxies(patient));
    findings.extend(keys(patient));
    findings.extend(metrics(patient));
    findings.extend(times(config));
    findings.extend(payments(patient));
    let from = config.mail_from.rsplit('@').next().unwrap_or_default().trim_end_matches('>').to_owned();
    if patient.production && from.starts_with("localhost") {
        let advice = "set FAREBOX_MAIL_FROM to an address of a domain that your mail server may send for";
        findings.push(Finding::warning("FAREBOX_MAIL_FROM", format!("mails come from {from}"), advice));
    }
    findings
}

fn environment(patient: &Patient<'_>) -> Finding {
    const CHECK: &str = "FAREBOX_ENV";
    if patient.production {
        return Finding::ok(CHECK, "production: nothing stands in for anything");
    }
    if is_local(&patient.config.public_url) {
        return Finding::ok(
            CHECK,
            "development: pretend payments and sandbox models are offered, on this machine only",
        );
    }
    let found = format!(
        "development, although people reach it at {}: pretend payments give real credits",
        patient.config.public_url
    );
    Finding::fault(CHECK, found, "set FAREBOX_ENV=production")
}

fn public_url(patient: &Patient<'_>) -> Finding {
    const CHECK: &str = "FAREBOX_PUBLIC_URL";
    let url = &patient.config.public_url;
    let local = is_local(url);
    match (url.scheme(), local, patient.production) {
        ("https", false, _) | (_, true, false) => Finding::ok(CHECK, url.to_string()),
        (_, true, true) => {
            let found =
                format!("{url} leads nowhere but to this machine: links in mails and messages of processors go there");
            Finding::warning(CHECK, found, "set it to the address that people type, with https")
        }
        (_, false, _) => {
            let found = format!(
                "{url} is not https: passwords and keys cross the network in the clear, and processors do not call it"
            );
            Finding::fault(CHECK, found, "put a reverse proxy with a certificate before it, and write https here")
        }
    }
}

fn proxies(patient: &Patient<'_>) -> Vec<Finding> {
    const CHECK: &str = "FAREBOX_TRUSTED_PROXIES";
    let config = patient.config;
    let behind_one = config.public_url.scheme() == "https";
    match &config.trusted_proxies {
        TrustedProxies::Count(0) if behind_one => {
            let found = "none, although https ends before this process: every client seems to have the proxy's address";
            vec![Finding::warning(
                CHECK,
                found,
                "name the proxy's network, like 10.0.0.0/8, or how many stand in a row",
            )]
        }
        TrustedProxies::Count(count) if *count > 0 && !config.listen.ip().is_loopback() => {
            let found = format!(
                "{count}, and {} can be reached without them: whoever does may claim any address",
                config.listen
            );
            vec![Finding::warning(CHECK, found, "name their networks instead, or let nothing else reach this port")]
        }
        _ => vec![Finding::ok(CHECK, config.trusted_proxies.to_string())],
    }
}

fn is_weak(key: &[u8; 32]) -> bool {
    key.iter().collect::<BTreeSet<_>>().len() < LEAST_DIFFERENT
}

fn keys(patient: &Patient<'_>) -> Vec<Finding> {
    const MAKE: &str = "make one with `openssl rand -hex 32`; what was sealed with the old one has to be entered again";
    let config = patient.config;
    let mut findings = Vec::new();
    let mut weak = |name: &str, key: &Secret<[u8; 32]>, advice: &str| {
        let found = "is not random: it was typed, or copied from an example";
        if is_weak(key.expose()) {
            findings.push(match patient.production {
                true => Finding::fault(name, found, advice),
                false => Finding::warning(name, found, advice),
            });
        } else {
            findings.push(Finding::ok(name, "is random"));
        }
    };
    if patient.has_secret_key {
        weak("FAREBOX_SECRET_KEY", &config.secret_key, MAKE);
    }
    let keks = &config.own.keks;
    for (number, key) in keks.iter().enumerate() {
        let advice = "put a random one first and run `farebox secrets rotate`, then take this one out";
        weak(&format!("FAREBOX_ENCRYPTION_KEYS, key {}", number + 1), key, advice);
    }
    if keks.iter().any(|key| key == &config.secret_key) {
        let found = "one of them is the secret key: who learns the one has the other";
        findings.push(Finding::fault(
            "FAREBOX_ENCRYPTION_KEYS",
            found,
            "put a key of its own first, then `farebox secrets rotate`",
        ));
    }
    findings
}

fn metrics(patient: &Patient<'_>) -> Vec<Finding> {
    const CHECK: &str = "FAREBOX_METRICS_TOKEN";
    let advice = "set it to random text, such as of `openssl rand -hex 32`, and give it to Prometheus";
    match &patient.config.metrics_token {
        Some(token) if token.expose().len() < LEAST_TOKEN => {
            vec![Finding::warning(CHECK, "is short enough to be guessed", advice)]
        }
        Some(_) => vec![Finding::ok(CHECK, "is set")],
        None if patient.production && patient.config.listen.ip().is_loopback() => {
            let found = "is not set: a proxy on this machine shows /metrics to everybody";
            vec![Finding::warning(CHECK, found, advice)]
        }
        None => vec![Finding::ok(CHECK, "is not set: /metrics answers to this machine only")],
    }
}

fn times(config: &Config) -> Vec<Finding> {
    let usual = Timeouts::default();
    let longest = usual.total + usual.drain;
    let mut findings = Vec::new();
    if config.hold_ttl < longest {
        let found = format!(
            "{} seconds: a call may take {}, and its hold would be released before its end",
            config.hold_ttl.as_secs(),
            longest.as_secs()
        );
        let advice = format!("set it to {} or more", longest.as_secs() + 60);
        findings.push(Finding::fault("FAREBOX_HOLD_TTL_SECONDS", found, advice));
    }
    if config.shutdown_grace < config.timeout_first_byte {
        let found = format!(
            "{} seconds: a call may wait {} for its first byte, and a stop cuts it off",
            config.shutdown_grace.as_secs(),
            config.timeout_first_byte.as_secs()
        );
        findings.push(Finding::warning(
            "FAREBOX_SHUTDOWN_SECONDS",
            found,
            "make it longer than FAREBOX_TIMEOUT_FIRST_BYTE_SECONDS",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("times", "holds outlive the longest call, and a stop waits for answers"));
    }
    findings
}

fn payments(patient: &Patient<'_>) -> Vec<Finding> {
    let payments = &patient.config.payments;
    let mut findings = Vec::new();
    if let Some(stripe) = &payments.stripe {
        let live = stripe.key.expose().contains("_live_");
        if live != patient.production {
            let found = match live {
                true => "a live key in development, where pretend payments give credits too",
                false => "a test key in production: its money is pretend and its credits are real",
            };
            findings.push(Finding::fault(
                "FAREBOX_STRIPE_SECRET_KEY",
                found,
                "use a live key in production and a test key elsewhere",
            ));
        }
    }
    if let Some(coinbase) =
        payments.coinbase.as_ref().filter(|one| patient.production && one.url.path().contains("sandbox"))
    {
        let found = format!("{} is Coinbase's sandbox: its money is pretend and its credits are real", coinbase.url);
        findings.push(Finding::fault("FAREBOX_COINBASE_URL", found, "leave it out, so that the real service is asked"));
    }
    let secrets = [
        payments.stripe.as_ref().map(|one| &one.webhook_secrets),
        payments.btcpay.as_ref().map(|one| &one.webhook_secrets),
        payments.coinbase.as_ref().map(|one| &one.webhook_secrets),
    ];
    let all: Vec<&String> = secrets.into_iter().flatten().flatten().map(Secret::expose).collect();
    if all.iter().collect::<BTreeSet<_>>().len() < all.len() {
        let found = "two processors, or two entries of one, share a secret";
        findings.push(Finding::warning("webhook secrets", found, "give each endpoint a secret of its own"));
    }
    if all.iter().any(|secret| secret.len() < LEAST_TOKEN) {
        let found = "one is short enough to be guessed, and whoever guesses it may make us look at payments at will";
        findings.push(Finding::warning("webhook secrets", found, "make a longer one at the processor"));
    }
    if findings.is_empty() && !all.is_empty() {
        findings.push(Finding::ok("webhook secrets", format!("{} are set", all.len())));
    }
    findings
}

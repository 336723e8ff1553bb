//! Reading as much of a configuration as can be, for somebody who wants to hear of every mistake in it and not only of
//! the first. Nothing is served with what is read here.

use std::collections::BTreeMap;

use super::sources::CONFIG;
use super::{Config, ConfigError, Sources};

/// Mistakes that are told of; there are fewer settings.
const MAX_ERRORS: usize = 60;
/// Settings that make sense together only: one that is wrong takes the others along.
const GROUPS: [&str; 5] =
    ["FAREBOX_STRIPE_", "FAREBOX_BTCPAY_", "FAREBOX_COINBASE_", "FAREBOX_GOOGLE_", "FAREBOX_SIGN_UP"];
const SECRET_KEY: &str = "FAREBOX_SECRET_KEY";
/// A byte of a key in the place of one that is missing.
const STAND_IN: &str = "5e";

/// What could be read.
#[derive(Debug)]
pub struct Reading {
    /// With the settings that are right; `None` where nothing can be made of them.
    pub config: Option<Config>,
    /// Every mistake that was found.
    pub errors: Vec<ConfigError>,
    /// Whether the environment asks for production.
    pub production: bool,
    /// Whether the secret key is the configured one. If not, nothing that it has sealed can be opened with what was read.
    pub has_secret_key: bool,
}

impl ConfigError {
    /// The setting that it is about.
    fn setting(&self) -> &str {
        match self {
            ConfigError::Value { name, .. } => name,
            ConfigError::Provider { name, .. }
            | ConfigError::File { name, .. }
            | ConfigError::Twice(name)
            | ConfigError::Unknown(name) => name,
        }
    }
}

/// Reads what there is, leaving out what is wrong, until the rest makes a configuration.
#[must_use]
pub fn read_leniently(mut given: BTreeMap<String, String>) -> Reading {
    let mut errors = Vec::new();
    let sources = loop {
        match Sources::from_map(given.clone()) {
            Ok(sources) => break Some(sources),
            Err(error) => {
                let left_out = leave_out(&mut given, &error);
                errors.push(error);
                if !left_out || errors.len() >= MAX_ERRORS {
                    break None;
                }
            }
        }
    };
    let Some(mut sources) = sources else {
        return Reading { config: None, errors, production: false, has_secret_key: false };
    };
    let production = sources.get("FAREBOX_ENV") == Some("production");
    let mut has_secret_key = true;
    if !production && sources.get(SECRET_KEY).is_none() && !super::key_file(&super::data_dir(&sources)).exists() {
        // A server would make one now. Looking changes nothing.
        sources.values.insert(SECRET_KEY.to_owned(), STAND_IN.repeat(32));
        has_secret_key = false;
    }
    while errors.len() < MAX_ERRORS {
        let error = match Config::load(&sources) {
            Ok(config) => return Reading { config: Some(config), errors, production, has_secret_key },
            Err(error) => error,
        };
        let name = error.setting().to_owned();
        if !errors.contains(&error) {
            errors.push(error);
        }
        let before = sources.values.len();
        let group = group_of(&name);
        sources
            .values
            .retain(|known, _| *known != name && group.as_ref().is_none_or(|group| !known.starts_with(group)));
        if name == SECRET_KEY {
            // Any key, so that the rest can be looked at; nothing is sealed with it.
            sources.values.insert(name, STAND_IN.repeat(32));
            has_secret_key = false;
        } else if sources.values.len() == before && sources.get("FAREBOX_ENV") == Some("production") {
            // What production demands is missing: what else there is can be read without.
            sources.values.insert("FAREBOX_ENV".to_owned(), "development".to_owned());
        } else if sources.values.len() == before {
            break;
        }
    }
    Reading { config: None, errors, production, has_secret_key }
}

/// Takes out of the environment what an error is about. False when that cannot be told.
fn leave_out(given: &mut BTreeMap<String, String>, error: &ConfigError) -> bool {
    match error {
        ConfigError::Twice(name) => given.remove(&format!("{name}_FILE")).is_some(),
        // What the environment does not have stands in the file, which is then left out as a whole.
        ConfigError::Unknown(name) => given.remove(name).or_else(|| given.remove(CONFIG)).is_some(),
        ConfigError::File { path, .. } => {
            let before = given.len();
            given.retain(|name, value| !(value == path && (name.ends_with("_FILE") || name == CONFIG)));
            given.len() < before
        }
        ConfigError::Value { .. } | ConfigError::Provider { .. } => false,
    }
}

fn group_of(name: &str) -> Option<String> {
    if let Some(group) = GROUPS.iter().find(|group| name.starts_with(**group)) {
        return Some((*group).to_owned());
    }
    let provider = name.strip_prefix("FAREBOX_OIDC_")?;
    let end =
        ["_ISSUER", "_CLIENT_ID", "_CLIENT_SECRET", "_LABEL"].iter().find_map(|part| provider.strip_suffix(part))?;
    Some(format!("FAREBOX_OIDC_{end}_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Reading {
        read_leniently(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn every_mistake_is_told_and_the_rest_is_read() {
        let found = read(&[
            ("FAREBOX_ENV", "production"),
            ("FAREBOX_SECRET_KEY", "short"),
            ("FAREBOX_LISTEN", "nowhere"),
            ("FAREBOX_NO_SUCH_THING", "1"),
            ("FAREBOX_STRIPE_SECRET_KEY", "sk_test_1"),
            ("FAREBOX_WORKERS", "0"),
            ("FAREBOX_DATABASE_URL", "postgres://db/farebox"),
        ]);
        let said: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let all = said.join("\n");
        for name in ["SECRET_KEY", "LISTEN", "NO_SUCH_THING", "STRIPE_WEBHOOK_SECRET", "WORKERS", "SMTP_URL"]
            .map(|n| format!("FAREBOX_{n}"))
        {
            assert!(all.contains(&name), "{name}: {all}");
        }
        assert!(found.production && !found.has_secret_key && !all.contains("5e5e"));
        assert!(found.config.is_some_and(|config| config.database_url.is_some() && config.payments.stripe.is_none()));
    }
}

//! Where values come from: the environment, files that it names, and a TOML file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{ConfigError, is_setting, wrong};

/// Where a value came from, and how to read one: environment, `*_FILE`, TOML.
pub struct Sources {
    pub(super) values: BTreeMap<String, String>,
}

/// Read by scripts and by the embedded server, not settings of the product.
const OTHER_VARIABLES: &[&str] = &[
    "FAREBOX_CONFIG",
    "FAREBOX_PG_BIN",
    "FAREBOX_TEST_FULL",
    "FAREBOX_TEST_PICTURES",
    "FAREBOX_TEST_BACKTRACE",
    "FAREBOX_BUILD_PROFILE",
];

fn ours(name: &str) -> bool {
    name == "DATABASE_URL" || name.starts_with("FAREBOX_") || name.starts_with("OTEL_")
}

/// What the environment says that concerns Farebox.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars().filter(|(name, _)| ours(name)).collect()
}

impl Sources {
    /// The process's environment over the TOML file that `FAREBOX_CONFIG` names, if any.
    ///
    /// # Errors
    /// When a file cannot be read, or a `FAREBOX_` variable is not a setting.
    pub fn from_environment() -> Result<Sources, ConfigError> {
        Sources::from_map(environment())
    }

    /// # Errors
    /// As [`Sources::from_environment`].
    pub fn from_map(mut given: BTreeMap<String, String>) -> Result<Sources, ConfigError> {
        let mut values = BTreeMap::new();
        if let Some(path) = given.remove("FAREBOX_CONFIG") {
            values = read_toml(Path::new(&path))?;
        }
        if let Some(url) = given.remove("DATABASE_URL").filter(|_| !given.contains_key("FAREBOX_DATABASE_URL_FILE")) {
            given.entry("FAREBOX_DATABASE_URL".into()).or_insert(url);
        }
        if let Some(name) = given.keys().find(|name| given.contains_key(&format!("{name}_FILE"))) {
            return Err(ConfigError::Twice(name.clone()));
        }
        for (name, value) in given {
            if OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            match name.strip_suffix("_FILE") {
                Some(setting) if is_setting(setting) => {
                    let text = std::fs::read_to_string(&value)
                        .map_err(|e| ConfigError::File { path: value.clone(), problem: e.to_string() })?;
                    values.insert(setting.to_owned(), text.trim().to_owned());
                }
                _ if is_setting(&name) => {
                    values.insert(name, value);
                }
                // What other programs are told of traces and metrics is not for us.
                _ if name.starts_with("OTEL_") => {}
                _ => return Err(ConfigError::Unknown(name)),
            }
        }
        Ok(Sources { values })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn parse<T: std::str::FromStr>(
        &self,
        name: &'static str,
        default: T,
        what: &str,
    ) -> Result<T, ConfigError> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| wrong(name, format!("must be {what}"))),
        }
    }

    pub(super) fn seconds(
        &self,
        name: &'static str,
        default: u64,
        min: u64,
        max: u64,
    ) -> Result<Duration, ConfigError> {
        let seconds = self.parse(name, default, "a whole number of seconds")?;
        if seconds < min || seconds > max {
            return Err(wrong(name, format!("must be between {min} and {max} seconds")));
        }
        Ok(Duration::from_secs(seconds))
    }
}

fn read_toml(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let failed = |problem: String| ConfigError::File { path: path.display().to_string(), problem };
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| failed(e.message().to_owned()))?;
    let mut values = BTreeMap::new();
    for (key, value) in table {
        let name = format!("FAREBOX_{}", key.to_uppercase());
        if !is_setting(&name) {
            return Err(ConfigError::Unknown(key));
        }
        let text = match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        values.insert(name, text);
    }
    Ok(values)
}

//! Where values come from: the environment, files that it names, and a TOML file.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{ConfigError, SETTINGS, is_setting, wrong};

/// Where a value came from, and how to read one: environment, `*_FILE`, TOML.
pub struct Sources {
    pub(super) values: BTreeMap<String, String>,
}

/// Names the file of settings.
pub(super) const CONFIG: &str = "FAREBOX_CONFIG";
/// A name that needs more letters changed is another one.
const MOST_CHANGED: usize = 3;

/// Read by scripts and by the embedded server, not settings of the product.
const OTHER_VARIABLES: &[&str] = &[
    CONFIG,
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
        // Nothing is named: as if it were not set, like any other empty value.
        given.retain(|name, value| !(value.is_empty() && (name.ends_with("_FILE") || name == CONFIG)));
        if let Some(path) = given.remove(CONFIG) {
            values = read_toml(Path::new(&path))?;
        }
        if let Some(url) = given.remove("DATABASE_URL").filter(|_| !given.contains_key("FAREBOX_DATABASE_URL_FILE")) {
            given.entry("FAREBOX_DATABASE_URL".into()).or_insert(url);
        }
        let twice =
            |(name, value): &(&String, &String)| !value.is_empty() && given.contains_key(&format!("{name}_FILE"));
        if let Some((name, _)) = given.iter().find(twice) {
            return Err(ConfigError::Twice(name.clone()));
        }
        for (name, value) in given {
            if OTHER_VARIABLES.contains(&name.as_str()) {
                continue;
            }
            match name.strip_suffix("_FILE") {
                Some(setting) if is_setting(setting) => {
                    let text = std::fs::read_to_string(&value).map_err(|e| ConfigError::File {
                        name: name.clone(),
                        path: value.clone(),
                        problem: e.to_string(),
                    })?;
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

/// Says which setting was meant, where one has nearly that name.
pub(super) fn did_you_mean(name: &str) -> String {
    let wanted = name.to_ascii_uppercase();
    // In a file, names have no prefix.
    let wanted = if ours(&wanted) { wanted } else { format!("FAREBOX_{wanted}") };
    let nearest = SETTINGS.iter().map(|(known, _)| (strsim::levenshtein(&wanted, known), *known)).min();
    match nearest {
        Some((changed, known)) if changed <= MOST_CHANGED => format!("; did you mean {known}?"),
        _ => String::new(),
    }
}

fn read_toml(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let failed =
        |problem: String| ConfigError::File { name: CONFIG.to_owned(), path: path.display().to_string(), problem };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_mistake_is_led_to_the_name_that_was_meant() {
        for (wrong, meant) in [
            ("FAREBOX_LISTN", "FAREBOX_LISTEN"),
            ("FAREBOX_DATABSE_URL", "FAREBOX_DATABASE_URL"),
            ("public_ulr", "FAREBOX_PUBLIC_URL"),
        ] {
            let said = ConfigError::Unknown(wrong.to_owned()).to_string();
            assert!(said.contains(&format!("did you mean {meant}?")), "{said}");
            assert!(said.contains("docs/configuration.md"), "{said}");
        }
        let said = ConfigError::Unknown("FAREBOX_SOMETHING_ELSE".to_owned()).to_string();
        assert!(!said.contains("did you mean"), "{said}");
    }
}

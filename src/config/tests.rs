//! Reading settings, and what is said about wrong ones.

use std::collections::BTreeMap;

use super::*;

fn load(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().map_err(|e| ConfigError::Unknown(e.to_string()))?;
    let mut given: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    given.insert("FAREBOX_DATA_DIR".into(), dir.path().display().to_string());
    Config::load(&Sources::from_map(given)?)
}

#[test]
fn nothing_needs_to_be_set_in_development() {
    let config = load(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1:8080/");
    assert!(!config.is_production());
}

#[test]
fn mistakes_are_named() {
    assert_eq!(load(&[("FAREBOX_LISTNE", "1")]).map(|_| ()), Err(ConfigError::Unknown("FAREBOX_LISTNE".into())));
    for (name, value) in [
        ("FAREBOX_ENV", "prod"),
        ("FAREBOX_LISTEN", "8080"),
        ("FAREBOX_PUBLIC_URL", "example.com"),
        ("FAREBOX_SECRET_KEY", "abc"),
        ("FAREBOX_HOLD_TTL_SECONDS", "0"),
        ("FAREBOX_LOG", "warning"),
        ("FAREBOX_LOG", "info,foo=bar=baz"),
        ("FAREBOX_SMTP_URL", "localhost:25"),
        ("FAREBOX_SMTP_URL", "smtp://user:pa#ss@host:587"),
        ("FAREBOX_SMTP_URL", "smtp://host:587?tls=maybe"),
        ("FAREBOX_DATABASE_URL", "postgres://localhost/farebox?sslmod=verify-full"),
    ] {
        let error = load(&[(name, value)]).map(|_| ()).err();
        assert!(matches!(&error, Some(ConfigError::Value { name: n, .. }) if *n == name), "{name}={value}: {error:?}");
    }
    let production = load(&[("FAREBOX_ENV", "production")]).map(|_| ());
    assert!(production.is_err(), "production starts without secrets");
}

#[test]
fn every_setting_is_explained() {
    for (name, _) in SETTINGS {
        for (file, text) in [
            ("docs/configuration.md", include_str!("../../docs/configuration.md")),
            (".env.example", include_str!("../../.env.example")),
        ] {
            assert!(text.contains(name), "{file} does not name {name}");
        }
    }
}

#[test]
fn a_setting_and_its_file_are_not_both_given() {
    let both = load(&[("FAREBOX_LOG", "info"), ("FAREBOX_LOG_FILE", "/nowhere")]);
    assert_eq!(both.map(|_| ()), Err(ConfigError::Twice("FAREBOX_LOG".into())));
}

#[test]
fn secrets_are_never_shown() {
    let key = "ab".repeat(32);
    let config = load(&[("FAREBOX_SECRET_KEY", &key), ("DATABASE_URL", "postgres://u:hunter2@h/d")])
        .unwrap_or_else(|error| panic!("{error}"));
    let shown = format!("{:?} {config:?}", config.shown);
    assert!(!shown.contains("hunter2") && !shown.contains(&key), "{shown}");
}

#[test]
fn production_is_reached_by_https() {
    let key = "ab".repeat(32);
    let at = |url: &str| {
        let given = [
            ("FAREBOX_ENV", "production"),
            ("FAREBOX_SECRET_KEY", key.as_str()),
            ("FAREBOX_DATABASE_URL", "postgres://localhost/farebox"),
            ("FAREBOX_SMTP_URL", "smtp://localhost:25"),
            ("FAREBOX_PUBLIC_URL", url),
        ];
        load(&given).map(|_| ())
    };
    assert!(at("http://ai.example.com").is_err_and(|error| error.to_string().contains("is not https")));
    assert_eq!(at("https://ai.example.com"), Ok(()));
    assert_eq!(at("http://localhost:8080"), Ok(()));
}

#[test]
fn a_file_that_nobody_names_is_no_file_and_one_that_is_missing_is_told_with_its_setting() {
    let config = load(&[("FAREBOX_SMTP_URL_FILE", ""), ("FAREBOX_LOG", ""), ("FAREBOX_CONFIG", "")]);
    assert!(config.is_ok_and(|config| config.smtp_url.is_none()));
    let missing = load(&[("FAREBOX_SMTP_URL", ""), ("FAREBOX_SMTP_URL_FILE", "/nowhere/at/all")]).map(|_| ());
    let said = missing.expect_err("there is no such file").to_string();
    assert!(said.contains("FAREBOX_SMTP_URL_FILE") && said.contains("/nowhere/at/all"), "{said}");
}

//! Settings of who may sign up, and of the providers that sign people in.

use std::collections::BTreeSet;

use super::{Config, ConfigError, Environment, Sources, wrong};
use crate::accounts::SignUpPolicy;
use crate::accounts::oidc::ProviderSettings;
use crate::base::{EmailAddress, Secret};

const PREFIX: &str = "FAREBOX_OIDC_";
const PARTS: [&str; 4] = ["_ISSUER", "_CLIENT_ID", "_CLIENT_SECRET", "_LABEL"];
const GOOGLE_ISSUER: &str = "https://accounts.google.com";
/// A page with more buttons than this helps nobody.
const MAX_PROVIDERS: usize = 12;
/// Of a name in a URL, and of a label on a button.
const MAX_NAME: usize = 32;

/// The provider of a variable such as `FAREBOX_OIDC_KEYCLOAK_ISSUER`.
fn provider_of(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(PREFIX)?;
    let provider = PARTS.iter().find_map(|part| rest.strip_suffix(part))?;
    let plain = provider.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    (plain && !provider.is_empty() && provider.len() <= MAX_NAME).then_some(provider)
}

/// Whether a variable describes a provider.
pub fn is_setting(name: &str) -> bool {
    provider_of(name).is_some()
}

pub fn is_secret(name: &str) -> bool {
    name.ends_with("_CLIENT_SECRET")
}

pub fn is_described(name: &str) -> bool {
    is_setting(name) || name.starts_with("FAREBOX_GOOGLE_") || name.starts_with("FAREBOX_SIGN_UP")
}

/// The effective value of a setting that is no secret.
pub fn describe(name: &str, config: &Config, sources: &Sources) -> String {
    match (name, &config.sign_up) {
        ("FAREBOX_SIGN_UP", SignUpPolicy::Open) => "open".into(),
        ("FAREBOX_SIGN_UP", SignUpPolicy::Closed) => "closed".into(),
        ("FAREBOX_SIGN_UP", SignUpPolicy::Domains(_)) => "domains".into(),
        ("FAREBOX_SIGN_UP", SignUpPolicy::Invitation) => "invitation".into(),
        ("FAREBOX_SIGN_UP_DOMAINS", SignUpPolicy::Domains(domains)) => domains.join(","),
        ("FAREBOX_GOOGLE_ISSUER", _) => sources.get(name).unwrap_or(GOOGLE_ISSUER).to_owned(),
        _ => sources.get(name).unwrap_or_default().to_owned(),
    }
}

/// # Errors
/// When the policy has no such name, or domains are missing or no domains.
pub fn sign_up(sources: &Sources) -> Result<SignUpPolicy, ConfigError> {
    const DOMAINS: &str = "FAREBOX_SIGN_UP_DOMAINS";
    let given = sources.get(DOMAINS);
    let policy = match sources.get("FAREBOX_SIGN_UP") {
        None | Some("open") => SignUpPolicy::Open,
        Some("closed") => SignUpPolicy::Closed,
        Some("invitation") => SignUpPolicy::Invitation,
        Some("domains") => {
            let split = given.unwrap_or_default().split(',').map(|domain| domain.trim().to_lowercase());
            let domains: Vec<String> = split.filter(|domain| !domain.is_empty()).collect();
            if domains.is_empty() {
                return Err(wrong(DOMAINS, "must list the domains, like example.com,example.org"));
            }
            if let Some(bad) = domains.iter().find(|domain| EmailAddress::parse(&format!("a@{domain}")).is_err()) {
                return Err(wrong(DOMAINS, format!("has {bad:?}, which is no domain like example.com")));
            }
            return Ok(SignUpPolicy::Domains(domains));
        }
        Some(_) => return Err(wrong("FAREBOX_SIGN_UP", "must be `open`, `closed`, `domains` or `invitation`")),
    };
    if given.is_some() {
        return Err(wrong(DOMAINS, "is only used when FAREBOX_SIGN_UP is `domains`; set both or neither"));
    }
    Ok(policy)
}

/// Google first, then the others by their names.
///
/// # Errors
/// When a provider is described in part only, or its issuer is no address that may be asked.
pub fn providers(sources: &Sources, environment: Environment) -> Result<Vec<ProviderSettings>, ConfigError> {
    let mut providers = Vec::new();
    if ["CLIENT_ID", "CLIENT_SECRET"].iter().any(|part| sources.get(&format!("FAREBOX_GOOGLE_{part}")).is_some()) {
        providers.push(provider(sources, environment, "FAREBOX_GOOGLE", "google", "Google", Some(GOOGLE_ISSUER))?);
    }
    let names: BTreeSet<&str> = sources.values.keys().filter_map(|name| provider_of(name)).collect();
    for name in names {
        let slug = name.to_lowercase().replace('_', "-");
        let mut label = name.to_lowercase().replace('_', " ");
        if let Some(first) = label.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        providers.push(provider(sources, environment, &format!("{PREFIX}{name}"), &slug, &label, None)?);
    }
    for (at, provider) in providers.iter().enumerate() {
        let before = providers.get(..at).unwrap_or_default();
        if before.iter().any(|other| other.name == provider.name || other.issuer == provider.issuer) {
            let problem = format!("is described twice, or has the issuer of another provider: {}", provider.issuer);
            return Err(ConfigError::Provider { name: provider.name.clone(), problem });
        }
    }
    if providers.len() > MAX_PROVIDERS {
        let problem = format!("describes more than {MAX_PROVIDERS} providers");
        return Err(ConfigError::Provider { name: format!("{PREFIX}*"), problem });
    }
    Ok(providers)
}

fn provider(
    sources: &Sources,
    environment: Environment,
    prefix: &str,
    name: &str,
    label: &str,
    issuer: Option<&str>,
) -> Result<ProviderSettings, ConfigError> {
    let bad = |part: &str, problem: &str| ConfigError::Provider {
        name: format!("{prefix}_{part}"),
        problem: problem.to_owned(),
    };
    let get = |part: &str| sources.get(&format!("{prefix}_{part}"));
    let needed = |part: &str| get(part).ok_or_else(|| bad(part, "must be set, as the rest of this provider is"));
    let issuer = match (get("ISSUER"), issuer) {
        (Some(issuer), _) | (None, Some(issuer)) => issuer,
        (None, None) => needed("ISSUER")?,
    };
    let url: url::Url = issuer.parse().map_err(|_| bad("ISSUER", "must be like https://id.example.com"))?;
    let plain = url.scheme() == "http" && environment == Environment::Development;
    if !(url.scheme() == "https" || plain) || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("ISSUER", "must be an https address as the provider writes it, without query"));
    }
    let label = get("LABEL").unwrap_or(label);
    if label.chars().count() > MAX_NAME || label.chars().any(char::is_control) {
        return Err(bad("LABEL", "must have 32 letters at most"));
    }
    Ok(ProviderSettings {
        name: name.to_owned(),
        label: label.to_owned(),
        issuer: issuer.to_owned(),
        client_id: needed("CLIENT_ID")?.to_owned(),
        client_secret: Secret::new(needed("CLIENT_SECRET")?.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn sources(pairs: &[(&str, &str)]) -> Sources {
        let pairs: BTreeMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Sources::from_map(pairs).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn providers_are_read_from_their_variables() {
        let given = sources(&[
            ("FAREBOX_OIDC_MY_KEYCLOAK_ISSUER", "https://id.example.com/realms/a"),
            ("FAREBOX_OIDC_MY_KEYCLOAK_CLIENT_ID", "farebox"),
            ("FAREBOX_OIDC_MY_KEYCLOAK_CLIENT_SECRET", "s1"),
            ("FAREBOX_GOOGLE_CLIENT_ID", "g"),
            ("FAREBOX_GOOGLE_CLIENT_SECRET", "s2"),
        ]);
        let found = providers(&given, Environment::Production).unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<_> =
            found.iter().map(|one| (one.name.as_str(), one.label.as_str(), one.issuer.as_str())).collect();
        assert_eq!(
            names,
            [
                ("google", "Google", "https://accounts.google.com"),
                ("my-keycloak", "My keycloak", "https://id.example.com/realms/a")
            ]
        );
        assert!(!format!("{found:?}").contains("s1"));
    }

    #[test]
    fn half_a_provider_is_refused_and_named() {
        for (pairs, named) in [
            (vec![("FAREBOX_GOOGLE_CLIENT_ID", "g")], "FAREBOX_GOOGLE_CLIENT_SECRET"),
            (vec![("FAREBOX_OIDC_A_LABEL", "A")], "FAREBOX_OIDC_A_ISSUER"),
            (
                vec![
                    ("FAREBOX_OIDC_A_ISSUER", "http://id.example.com"),
                    ("FAREBOX_OIDC_A_CLIENT_ID", "a"),
                    ("FAREBOX_OIDC_A_CLIENT_SECRET", "s"),
                ],
                "FAREBOX_OIDC_A_ISSUER",
            ),
        ] {
            let error = providers(&sources(&pairs), Environment::Production).err();
            assert!(error.as_ref().is_some_and(|error| error.to_string().starts_with(named)), "{pairs:?}: {error:?}");
        }
    }

    #[test]
    fn sign_up_is_open_unless_the_operator_says_otherwise() {
        let read = |pairs: &[(&str, &str)]| sign_up(&sources(pairs));
        assert_eq!(read(&[]), Ok(SignUpPolicy::Open));
        let domains = [("FAREBOX_SIGN_UP", "domains"), ("FAREBOX_SIGN_UP_DOMAINS", "Example.com, example.org")];
        assert_eq!(read(&domains), Ok(SignUpPolicy::Domains(vec!["example.com".into(), "example.org".into()])));
        for bad in [
            vec![("FAREBOX_SIGN_UP", "domains")],
            vec![("FAREBOX_SIGN_UP", "anybody")],
            vec![("FAREBOX_SIGN_UP_DOMAINS", "example.com")],
            vec![("FAREBOX_SIGN_UP", "domains"), ("FAREBOX_SIGN_UP_DOMAINS", "@example.com")],
        ] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }
}

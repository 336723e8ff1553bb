//! Providers with which people sign in: whether they tell of themselves what they should.

use super::{Finding, Patient};
use crate::accounts::SignUpPolicy;
use crate::accounts::oidc::{Provider, ProviderError, Providers};

pub async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let mut findings = vec![policy(&patient.config.sign_up)];
    match Providers::new(&patient.config.providers, patient.sealer.clone()) {
        Ok(providers) => findings.extend(futures_util::future::join_all(providers.iter().map(ask)).await),
        Err(error) => findings.push(Finding::fault("providers", error.to_string(), "look at the system's TLS set-up")),
    }
    findings
}

fn policy(policy: &SignUpPolicy) -> Finding {
    let found = match policy {
        SignUpPolicy::Open => "open to everybody who proves an address".to_owned(),
        SignUpPolicy::Closed => "closed: `farebox user create` makes accounts".to_owned(),
        SignUpPolicy::Domains(domains) => format!("for addresses of {}, and who is invited", domains.join(", ")),
        SignUpPolicy::Invitation => "for those who are invited".to_owned(),
    };
    Finding::ok("sign-up", format!("{found} (FAREBOX_SIGN_UP; the console may rule over it)"))
}

async fn ask(provider: &Provider) -> Finding {
    let check = format!("sign-in with {}", provider.settings.label);
    let issuer = &provider.settings.issuer;
    match provider.look().await {
        Ok(()) => Finding::ok(check, format!("{issuer} tells of itself, with its keys")),
        Err(error @ ProviderError::Untrue(_)) => {
            let advice = "write the issuer exactly as the provider writes it, with or without a slash at its end";
            Finding::fault(check, format!("{issuer}: {error}"), advice)
        }
        Err(error) => {
            let advice = format!(
                "check that {}/.well-known/openid-configuration opens from this machine",
                issuer.trim_end_matches('/')
            );
            Finding::fault(check, format!("{issuer}: {error}"), advice)
        }
    }
}

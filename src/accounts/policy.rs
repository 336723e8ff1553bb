//! Who may make an account here. The operator decides it by `FAREBOX_SIGN_UP`.

use std::sync::{Arc, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use sqlx::PgConnection;

use crate::base::EmailAddress;

/// Whom the operator lets in.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SignUpPolicy {
    /// Everybody who can prove an address.
    #[default]
    Open,
    /// Nobody; accounts are made on the command line.
    Closed,
    /// Everybody with an address of one of these domains, in lower case.
    Domains(Vec<String>),
    /// Everybody who was invited.
    Invitation,
}

/// Domains of one policy.
const MAX_DOMAINS: usize = 100;

impl SignUpPolicy {
    /// The word that settings and the database use.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            SignUpPolicy::Open => "open",
            SignUpPolicy::Closed => "closed",
            SignUpPolicy::Domains(_) => "domains",
            SignUpPolicy::Invitation => "invitation",
        }
    }

    /// Its domains, with commas between; empty where it has none.
    #[must_use]
    pub fn domains(&self) -> String {
        match self {
            SignUpPolicy::Domains(domains) => domains.join(", "),
            _ => String::new(),
        }
    }

    /// In words, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            SignUpPolicy::Open => "Everybody who can prove an address".to_owned(),
            SignUpPolicy::Closed => "Nobody; accounts are made on the command line".to_owned(),
            SignUpPolicy::Domains(_) => format!("Addresses of {}, and whoever was invited", self.domains()),
            SignUpPolicy::Invitation => "Whoever was invited".to_owned(),
        }
    }

    /// Reads a policy from its word and its domains.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn read(word: &str, domains: &str) -> Result<SignUpPolicy, String> {
        let separators = [',', ' ', '\n', '\r', '\t'];
        let domains = domains.split(separators).map(|one| one.trim().trim_start_matches('@').to_lowercase());
        let domains: Vec<String> = domains.filter(|domain| !domain.is_empty()).collect();
        match word {
            "open" => Ok(SignUpPolicy::Open),
            "closed" => Ok(SignUpPolicy::Closed),
            "invitation" => Ok(SignUpPolicy::Invitation),
            "domains" if domains.is_empty() => Err("Name at least one domain, like example.com.".to_owned()),
            "domains" if domains.len() > MAX_DOMAINS => Err(format!("Name at most {MAX_DOMAINS} domains.")),
            "domains" => match domains.iter().find(|domain| EmailAddress::parse(&format!("a@{domain}")).is_err()) {
                Some(bad) => Err(format!("{bad:?} is no domain like example.com.")),
                None => Ok(SignUpPolicy::Domains(domains)),
            },
            _ => Err("Choose who may sign up.".to_owned()),
        }
    }
}

/// Whether somebody with this address may make an account. An invitation opens the door for any domain; where sign-up
/// is closed it opens nothing.
#[must_use]
pub fn may_sign_up(policy: &SignUpPolicy, email: &EmailAddress, invited: bool) -> bool {
    match policy {
        SignUpPolicy::Open => true,
        SignUpPolicy::Domains(domains) => invited || domains.iter().any(|domain| domain == email.domain()),
        SignUpPolicy::Closed => false,
        SignUpPolicy::Invitation => invited,
    }
}

/// Asks whether an invitation waits for an address. Organizations know it; they stand above accounts.
pub type Invited = for<'c> fn(&'c mut PgConnection, &'c EmailAddress) -> BoxFuture<'c, Result<bool, sqlx::Error>>;

/// The operator's policy, and how to learn who was invited. Clones look at the same policy.
#[derive(Clone, Debug)]
pub struct SignUpRules {
    /// What the environment says.
    configured: SignUpPolicy,
    current: Arc<RwLock<SignUpPolicy>>,
    invited: Invited,
}

impl SignUpRules {
    #[must_use]
    pub fn new(configured: SignUpPolicy, invited: Invited) -> SignUpRules {
        let current = Arc::new(RwLock::new(configured.clone()));
        SignUpRules { configured, current, invited }
    }

    /// What holds now.
    #[must_use]
    pub fn policy(&self) -> SignUpPolicy {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the environment says.
    #[must_use]
    pub fn configured(&self) -> &SignUpPolicy {
        &self.configured
    }

    /// From now on this holds; `None`: what the environment says.
    pub fn decide(&self, policy: Option<SignUpPolicy>) {
        let policy = policy.unwrap_or_else(|| self.configured.clone());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = policy;
    }

    /// # Errors
    /// Database errors only.
    pub async fn admit(&self, conn: &mut PgConnection, email: &EmailAddress) -> Result<bool, sqlx::Error> {
        let policy = self.policy();
        let invited = match policy {
            SignUpPolicy::Domains(_) | SignUpPolicy::Invitation => (self.invited)(conn, email).await?,
            SignUpPolicy::Open | SignUpPolicy::Closed => false,
        };
        Ok(may_sign_up(&policy, email, invited))
    }

    /// Whether there is any use in showing the form.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.policy() == SignUpPolicy::Closed
    }

    /// Why nobody can sign up; empty when somebody can.
    #[must_use]
    pub fn closed(&self) -> String {
        if !self.is_closed() {
            return String::new();
        }
        "Sign-up is closed here. Ask whoever runs this server for an account.".to_owned()
    }

    /// Who can sign up, as a hint above the form; empty when everybody can.
    #[must_use]
    pub fn hint(&self) -> String {
        match &self.policy() {
            SignUpPolicy::Domains(domains) => {
                let shown: Vec<String> = domains.iter().map(|domain| format!("@{domain}")).collect();
                format!("For addresses that end in {}.", shown.join(" or "))
            }
            SignUpPolicy::Invitation => {
                "For people who were invited. Use the address that the invitation went to.".into()
            }
            SignUpPolicy::Open | SignUpPolicy::Closed => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_lets_in_whom_it_names() {
        let email = |text| EmailAddress::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let domains = SignUpPolicy::Domains(vec!["example.com".into(), "example.org".into()]);
        for (policy, text, invited, may) in [
            (&SignUpPolicy::Open, "ada@anywhere.example", false, true),
            (&SignUpPolicy::Closed, "ada@example.com", false, false),
            (&SignUpPolicy::Closed, "ada@example.com", true, false),
            (&domains, "Ada@EXAMPLE.org", false, true),
            (&domains, "ada@sub.example.com", false, false),
            (&domains, "ada@notexample.com", false, false),
            (&domains, "\"ada@example.com\"@evil.example", false, false),
            (&domains, "ada@evil.example", true, true),
            (&SignUpPolicy::Invitation, "ada@example.com", false, false),
            (&SignUpPolicy::Invitation, "ada@example.com", true, true),
        ] {
            assert_eq!(may_sign_up(policy, &email(text), invited), may, "{policy:?} {text} invited: {invited}");
        }
    }
}

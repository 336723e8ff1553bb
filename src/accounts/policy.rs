//! Who may make an account here. The operator decides it by `FAREBOX_SIGN_UP`.

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

/// The operator's policy, and how to learn who was invited.
#[derive(Clone, Debug)]
pub struct SignUpRules {
    pub policy: SignUpPolicy,
    pub invited: Invited,
}

impl SignUpRules {
    /// # Errors
    /// Database errors only.
    pub async fn admit(&self, conn: &mut PgConnection, email: &EmailAddress) -> Result<bool, sqlx::Error> {
        let invited = match self.policy {
            SignUpPolicy::Domains(_) | SignUpPolicy::Invitation => (self.invited)(conn, email).await?,
            SignUpPolicy::Open | SignUpPolicy::Closed => false,
        };
        Ok(may_sign_up(&self.policy, email, invited))
    }

    /// Whether there is any use in showing the form.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.policy == SignUpPolicy::Closed
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
        match &self.policy {
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

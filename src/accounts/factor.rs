//! Ways of showing who one is, and what checking them needs.

use std::sync::Arc;

use url::Url;
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::base::seal::Sealer;

/// How somebody showed who they are. Its code stands in the audit log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Factor {
    Password,
    /// Another site that the person linked vouches for them.
    Provider,
    /// The mailed link together with the password.
    Link,
    /// A code of the authenticator app.
    App,
    RecoveryCode,
    /// A passkey whose device checked who uses it: as good as two factors.
    Passkey,
}

impl Factor {
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Factor::Password => "password",
            Factor::Provider => "provider",
            Factor::Link => "link",
            Factor::App => "app",
            Factor::RecoveryCode => "recovery_code",
            Factor::Passkey => "passkey",
        }
    }

    #[must_use]
    pub fn parse(code: &str) -> Option<Factor> {
        use Factor::{App, Link, Passkey, Password, Provider, RecoveryCode};
        [Password, Provider, Link, App, RecoveryCode, Passkey].into_iter().find(|factor| factor.code() == code)
    }

    /// Such as `with a passkey`.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Factor::Password => "with the password",
            Factor::Provider => "through a linked account",
            Factor::Link => "with a mailed link",
            Factor::App => "with a code of the app",
            Factor::RecoveryCode => "with a recovery code",
            Factor::Passkey => "with a passkey",
        }
    }
}

/// What second factors and passkeys are checked with.
#[derive(Clone, Debug)]
pub struct Factors {
    pub sealer: Sealer,
    /// What an authenticator app and a passkey are called after.
    pub instance: String,
    /// `None` where browsers know no passkeys: they are bound to a name, so an instance that is reached by a bare
    /// address has none.
    pub webauthn: Option<Arc<Webauthn>>,
}

impl Factors {
    #[must_use]
    pub fn new(sealer: Sealer, public_url: &Url) -> Factors {
        let instance = format!("Farebox ({})", public_url.host_str().unwrap_or("this server"));
        let webauthn = public_url.domain().and_then(|domain| {
            let builder = WebauthnBuilder::new(domain, public_url).ok()?;
            builder.rp_name(&instance).timeout(super::passkeys::ANSWER_WITHIN).build().ok()
        });
        Factors { sealer, instance, webauthn: webauthn.map(Arc::new) }
    }
}

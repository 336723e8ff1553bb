//! What this instance signs with, derived from its secret key.

use crate::accounts::Links;
use crate::accounts::operator::Anchoring;
use crate::audit;
use crate::base::SigningKey;
use crate::books;
use crate::config::{Config, derived_key};

/// Signs the daily closes of this instance.
#[must_use]
pub fn close_key(config: &Config) -> SigningKey {
    SigningKey(derived_key(&config.secret_key, books::KEY_PURPOSE))
}

/// How the audit logs of this instance are anchored.
#[must_use]
pub fn anchoring(config: &Config) -> Anchoring {
    Anchoring {
        key: SigningKey(derived_key(&config.secret_key, audit::KEY_PURPOSE)),
        data_dir: config.data_dir.clone(),
        mail_to: config.anchor_mail.clone(),
        instance: Links { base: config.public_url.clone() }.instance(),
    }
}

//! Accounts at providers that an organization has itself, and what becomes of what it sends.

use askama::Template;

use super::common::{Amount, Badge, Choice, Field, When};
use super::filters;
use super::shell::Shell;

/// `GET /settings/integrations`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "own/integrations.html")]
pub struct Integrations {
    pub shell: Shell,
    pub may_change: bool,
    /// Such as `5%`; empty where there is none.
    pub fee: String,
    /// What is free of it in a month, and how much of that is used.
    pub allowance: Amount,
    pub used: Amount,
    pub cards: Vec<Card>,
}

/// A provider of the catalog.
#[derive(Clone, Debug, Default)]
pub struct Card {
    pub slug: String,
    pub name: String,
    pub host: String,
    /// Such as `12 models`.
    pub models: String,
    /// `None` where no key is stored.
    pub own: Option<OwnCard>,
    /// What it bills this month for calls on the organization's own account; `None` for nothing.
    pub billed: Option<Amount>,
    /// What happens without one: the operator's account is used, or nobody is asked.
    pub otherwise: String,
}

/// A stored key.
#[derive(Clone, Debug, Default)]
pub struct OwnCard {
    pub name: String,
    pub label: String,
    pub state: Badge,
    pub mode: String,
    /// Whom it is for, such as `2 models, 1 key`; empty for all.
    pub limits: String,
}

/// `GET /settings/integrations/{provider}`, and `POST` with mistakes. Fields: `api_key`, `name`, `mode`, `models`, `key`,
/// `member`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "own/integration.html")]
pub struct Integration {
    pub shell: Shell,
    pub may_change: bool,
    pub slug: String,
    pub provider: String,
    /// Where the key is sent, and nowhere else.
    pub host: String,
    pub own: Option<OwnCard>,
    /// How the last test went; empty where there was none.
    pub tested: String,
    pub tested_at: Option<When>,
    /// Never filled in.
    pub api_key: Field,
    pub name: Field,
    pub modes: Vec<Choice>,
    pub models: Vec<Choice>,
    pub keys: Vec<Choice>,
    pub members: Vec<Choice>,
    /// What is wrong with the form as a whole; empty otherwise.
    pub error: String,
}

/// `GET /settings/privacy`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "own/privacy.html")]
pub struct Privacy {
    pub shell: Shell,
    pub may_change: bool,
    pub paid_training: bool,
    pub free_training: bool,
    pub zero_retention: bool,
    pub log_texts: bool,
    pub analytics_cookies: bool,
    pub keys_see_balance: bool,
    pub keep_days: Field,
    /// Such as `1%`; empty where there is none.
    pub discount: String,
    /// Providers here that may train on inputs, and that keep them.
    pub training: String,
    pub retaining: String,
    /// Such as `1,204`; empty where nothing is stored.
    pub stored: String,
    /// Calls of the last thirty days whose texts should be stored and are not, such as `12`; empty for none.
    pub dropped: String,
    /// Bytes of each text that are kept, such as `256 KB`.
    pub longest: String,
}

/// `GET /settings/privacy/texts/delete`, and `POST` with another word. Field: `typed`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "own/delete_texts.html")]
pub struct DeleteTexts {
    pub shell: Shell,
    /// Such as `1,204`.
    pub stored: String,
    pub word: String,
    pub typed: Field,
}

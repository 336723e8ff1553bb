//! What an organization has set for all of its calls.

use crate::catalog::{Catalog, ModelSlug};
use crate::routing::{Policy, Sort};

/// Providers in one list; more than any catalog has.
const MAX_PROVIDERS: usize = 200;

/// The default changes nothing in any call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    pub policy: Policy,
    /// For calls that name no model.
    pub default_model: Option<String>,
}

/// What is wrong with settings.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Wrong {
    #[error("“{0}” is allowed and ignored at once. Choose one of the two.")]
    Both(String),
    #[error("There is no provider “{0}” here.")]
    NoProvider(String),
    #[error("There is no model “{0}” here.")]
    NoModel(String),
    #[error("Always enforce needs at least one allowed provider.")]
    NothingToEnforce,
    #[error("There are more providers in a list than there can be.")]
    TooMany,
}

impl Settings {
    /// Only what the catalog has, so that a slip of the pen does not leave an organization without any provider. What was
    /// saved before and is gone from the catalog may stay.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn checked(mut self, catalog: &Catalog, before: &Settings) -> Result<Settings, Wrong> {
        for (list, old) in
            [(&mut self.policy.allowed, &before.policy.allowed), (&mut self.policy.ignored, &before.policy.ignored)]
        {
            list.sort();
            list.dedup();
            if list.len() > MAX_PROVIDERS {
                return Err(Wrong::TooMany);
            }
            if let Some(unknown) = list.iter().find(|slug| catalog.provider(slug).is_none() && !old.contains(slug)) {
                return Err(Wrong::NoProvider(shown(unknown)));
            }
        }
        if let Some(both) = self.policy.allowed.iter().find(|slug| self.policy.ignored.contains(slug)) {
            return Err(Wrong::Both(both.clone()));
        }
        if self.policy.enforced && self.policy.allowed.is_empty() {
            return Err(Wrong::NothingToEnforce);
        }
        if let Some(model) = &self.default_model
            && self.default_model != before.default_model
            && catalog.model(base(model)).is_none()
        {
            return Err(Wrong::NoModel(shown(model)));
        }
        Ok(self)
    }

    pub(super) fn stored(
        allowed: Vec<String>,
        enforced: bool,
        ignored: Vec<String>,
        sort: Option<&str>,
        default_model: Option<String>,
    ) -> Settings {
        let sort = sort.and_then(Sort::parse);
        Settings { policy: Policy { allowed, enforced, ignored, sort, ..Policy::default() }, default_model }
    }
}

/// A model's id without the variant behind a colon.
pub(super) fn base(model: &str) -> &str {
    model.rsplit_once(':').map_or(model, |(base, _)| base)
}

/// Whether a text can be the id of a model, with or without a variant.
pub(super) fn is_model(text: &str) -> bool {
    ModelSlug::try_from(base(text).to_owned()).is_ok()
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

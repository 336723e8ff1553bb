//! A preset and its versions, as their owners see them.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::config::{Config, Flaw, Unread};
use crate::base::ids::{OrgId, PersonId, PresetId};
use crate::base::slug::Slug;
use crate::orgs::OrgError;

/// Presets of one organization, archived ones too.
pub const MAX_PRESETS: i64 = 500;
/// Versions of one preset.
pub const MAX_VERSIONS: i32 = 10_000;
const MAX_NAME: usize = 80;
pub const MAX_DESCRIPTION: usize = 500;

/// One to eighty characters, trimmed, without control characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PresetName(String);

impl PresetName {
    /// `None` for a text that is no name.
    #[must_use]
    pub fn parse(text: &str) -> Option<PresetName> {
        let name = text.trim();
        let length = name.chars().count();
        let fits = (1..=MAX_NAME).contains(&length) && !name.chars().any(char::is_control);
        fits.then(|| PresetName(name.to_owned()))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The slug that this name suggests; `None` where it has too little of the letters that a slug is made of.
    #[must_use]
    pub fn slug(&self) -> Option<Slug> {
        let mut slug = String::new();
        for c in self.0.chars() {
            match c.to_ascii_lowercase() {
                c @ ('a'..='z' | '0'..='9') => slug.push(c),
                // Of one word: it's, d'accord.
                '\'' | '’' => {}
                _ if slug.is_empty() || slug.ends_with('-') => {}
                _ => slug.push('-'),
            }
        }
        slug.truncate(60);
        Slug::parse(slug.trim_end_matches('-')).ok()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Active,
    /// Nobody can use it, and it can be taken back.
    Archived,
}

impl Status {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Archived => "archived",
        }
    }

    pub(super) fn stored(text: &str) -> Status {
        if text == "archived" { Status::Archived } else { Status::Active }
    }
}

/// Who wrote something, as far as that is still known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Author {
    pub id: Option<PersonId>,
    pub name: Option<String>,
}

/// A preset without its content.
#[derive(Clone, Debug)]
pub struct Preset {
    pub org: OrgId,
    pub id: PresetId,
    pub slug: String,
    pub name: String,
    pub description: String,
    pub status: Status,
    pub status_changed_at: Option<DateTime<Utc>>,
    /// The version that calls get.
    pub version: i32,
    pub author: Author,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// One version of a preset.
#[derive(Clone, Debug)]
pub struct Version {
    pub id: uuid::Uuid,
    pub number: i32,
    pub system_prompt: String,
    pub config: Config,
    /// Where the config is not all that was stored. Calls with it are refused.
    pub unread: Option<Unread>,
    pub author: Author,
    pub created_at: DateTime<Utc>,
}

impl Version {
    /// The fields of a request that it stands for, or what was stored where that cannot be read.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        self.unread.as_ref().map_or_else(|| self.config.to_map(), |unread| unread.stored.clone())
    }
}

/// Why something was not done to a preset.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    #[error("there is something wrong with it")]
    Flaws(Vec<Flaw>),
    /// Another preset has it, perhaps an archived one.
    #[error("Another preset has this slug. Choose another, or take the archived one back.")]
    SlugTaken,
    /// The same form came twice.
    #[error("This form was used before.")]
    Again,
    /// Somebody else saved meanwhile; the version that calls get now.
    #[error("Version {0} was saved meanwhile.")]
    Overtaken(i32),
    #[error("There are as many presets as one organization may have. They are never deleted; write to the operator.")]
    TooMany,
    #[error("This preset has as many versions as one may have. Duplicate it and go on there.")]
    TooManyVersions,
    #[error("There is no such preset or version.")]
    NotFound,
    #[error("This preset is archived. Take it back first.")]
    Archived,
    #[error(transparent)]
    Org(#[from] OrgError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_made_of_the_name_where_it_can_be() {
        let slug = |name: &str| PresetName::parse(name).and_then(|name| name.slug()).map(|slug| slug.to_string());
        assert_eq!(slug("E-mail copywriter"), Some("e-mail-copywriter".into()));
        assert_eq!(slug("  Ada’s *best* one! "), Some("adas-best-one".into()));
        assert_eq!(slug("Übersetzer"), Some("bersetzer".into()));
        assert_eq!(slug("日本語"), None);
        assert_eq!(slug("!!!"), None);
        assert_eq!(slug(&"long name ".repeat(8)).map(|slug| slug.len() <= 60), Some(true));
        assert!(PresetName::parse(" ").is_none() && PresetName::parse("a\nb").is_none());
    }
}

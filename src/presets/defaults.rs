//! What calls of one organization read: settings and presets, parsed once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::settings::Settings;
use crate::base::Usd;
use crate::base::ids::PresetId;
use crate::privacy::Log;
use crate::routing::{Policy, Preferences};

/// A preset as calls use it.
#[derive(Clone, PartialEq, Debug)]
pub struct Ready {
    pub id: PresetId,
    pub slug: String,
    pub name: String,
    pub description: String,
    pub version: i32,
    /// Unix seconds.
    pub created: i64,
    pub system_prompt: String,
    pub models: Vec<String>,
    pub preferences: Preferences,
    pub parameters: Map<String, Value>,
    pub max_tokens: Option<u64>,
    pub max_cost: Option<Usd>,
}

/// Of one moment. An organization that has set nothing has the default.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Defaults {
    pub policy: Policy,
    pub default_model: Option<String>,
    /// Keeping the texts of calls, where it is on.
    pub log: Option<Log>,
    /// By slug.
    presets: BTreeMap<String, Arc<Ready>>,
    /// Those that calls may not get, by slug.
    missing: HashMap<String, Missing>,
    /// Roughly what it takes in memory, in bytes.
    weight: u32,
}

/// Why a preset cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Missing {
    Unknown,
    Archived,
    /// What was stored of it cannot be read as a whole.
    Unread,
}

impl Defaults {
    pub(super) fn new(settings: Settings, presets: Vec<Ready>, missing: HashMap<String, Missing>) -> Defaults {
        let weigh = |ready: &Ready| {
            let parameters = serde_json::to_vec(&ready.parameters).map_or(0, |bytes| bytes.len());
            ready.system_prompt.len() + ready.description.len() + parameters + 1_000
        };
        let weight = presets.iter().map(weigh).sum::<usize>() + missing.len() * 100 + 1_000;
        Defaults {
            policy: settings.policy,
            default_model: settings.default_model,
            log: None,
            presets: presets.into_iter().map(|ready| (ready.slug.clone(), Arc::new(ready))).collect(),
            missing,
            weight: u32::try_from(weight).unwrap_or(u32::MAX),
        }
    }

    /// # Errors
    /// Why there is none of this name that can be used.
    pub fn preset(&self, slug: &str) -> Result<&Arc<Ready>, Missing> {
        self.presets.get(slug).ok_or_else(|| self.missing.get(slug).copied().unwrap_or(Missing::Unknown))
    }

    /// Those that can be used, by slug.
    pub fn presets(&self) -> impl Iterator<Item = &Arc<Ready>> {
        self.presets.values()
    }

    pub(super) fn weight(&self) -> u32 {
        self.weight
    }
}

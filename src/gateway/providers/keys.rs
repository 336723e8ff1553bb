//! The operator's own keys for upstreams, in memory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::base::Secret;

/// Keys by the provider's slug. Cloning it is cheap; clones see the same keys.
#[derive(Clone, Debug, Default)]
pub struct UpstreamKeys(Arc<RwLock<HashMap<String, Arc<Secret<String>>>>>);

impl UpstreamKeys {
    /// Replaces all keys at once, as when the catalog was read again.
    pub fn replace(&self, keys: HashMap<String, Secret<String>>) {
        let keys = keys.into_iter().map(|(slug, key)| (slug, Arc::new(key))).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    pub(super) fn get(&self, slug: &str) -> Option<Arc<Secret<String>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(slug).cloned()
    }
}

//! Which conversation a call goes on with, and who answered it last: that endpoint has its beginning in a cache, where
//! reading costs less than sending it anew to another.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use serde_json::{Map, Value};

use crate::base::ids::OrgId;
use crate::catalog::EndpointId;

/// Providers keep what they have read for about so long.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
const MAX_REMEMBERED: u64 = 100_000;
/// Bytes of a text that tell one conversation from another.
const MAX_LOOKED_AT: usize = 16 * 1_024;

/// What this process remembers. Clones look at the same memory.
#[derive(Clone)]
pub struct Conversations {
    last: Cache<Conversation, EndpointId>,
    /// Keyed at random, so that nobody can make two conversations look alike.
    keyed: Arc<RandomState>,
}

/// A conversation of one organization with one list of models.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Conversation(OrgId, u64);

impl Default for Conversations {
    fn default() -> Conversations {
        let last = Cache::builder().max_capacity(MAX_REMEMBERED).time_to_idle(REMEMBERED).build();
        Conversations { last, keyed: Arc::default() }
    }
}

impl Conversations {
    /// By the id that the caller gave it, else by how it began: its system message and the first one after.
    #[must_use]
    pub fn of(&self, org: OrgId, session: Option<&str>, models: &[String], body: &Map<String, Value>) -> Conversation {
        let mut hasher = self.keyed.build_hasher();
        models.hash(&mut hasher);
        match session {
            Some(session) => session.hash(&mut hasher),
            None => begin(body).into_iter().for_each(|message| add(message, &mut hasher)),
        }
        Conversation(org, hasher.finish())
    }

    #[must_use]
    pub fn last(&self, conversation: Conversation) -> Option<EndpointId> {
        self.last.get(&conversation)
    }

    pub fn remember(&self, conversation: Conversation, endpoint: EndpointId) {
        self.last.insert(conversation, endpoint);
    }
}

fn begin(body: &Map<String, Value>) -> Vec<&Value> {
    let messages = body.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_system =
        |message: &&Value| matches!(message.get("role").and_then(Value::as_str), Some("system" | "developer"));
    let system = messages.iter().find(is_system);
    let other = messages.iter().find(|message| !is_system(message));
    system.into_iter().chain(other).filter_map(|message| message.get("content")).collect()
}

fn add(value: &Value, hasher: &mut impl Hasher) {
    match value {
        Value::String(text) => {
            let bytes = text.as_bytes();
            bytes.get(..MAX_LOOKED_AT).unwrap_or(bytes).hash(hasher);
            bytes.len().hash(hasher);
        }
        Value::Array(items) => items.iter().for_each(|item| add(item, hasher)),
        Value::Object(fields) => fields.values().for_each(|value| add(value, hasher)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl std::fmt::Debug for Conversations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Conversations")
    }
}

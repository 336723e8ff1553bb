//! What this node remembers and others change: forgotten, or read again, as soon as the database tells of it.

use std::time::Duration;

use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::accounts::SignUpRules;
use crate::base::seal::Sealer;
use crate::catalog::{self, Shelf};
use crate::console;
use crate::db::listen::Heard;
use crate::gateway::UpstreamKeys;
use crate::keys::KeyCache;
use crate::presets::{self, Memory};
use crate::topups::processors::Processors;

/// For an hour at most.
const MAX_TRIES: u32 = 3_600;
const AGAIN_AFTER: Duration = Duration::from_secs(1);

pub(super) const CHANNELS: [&str; 5] =
    ["key_changed", "org_changed", presets::CHANGED_CHANNEL, catalog::CHANGED_CHANNEL, console::rules::CHANGED_CHANNEL];

/// Forgets what other nodes changed.
pub(super) struct Watcher {
    pub keys: KeyCache,
    pub memory: Memory,
    pub shelf: Shelf,
    pub upstream_keys: UpstreamKeys,
    pub sealer: Sealer,
    pub pool: PgPool,
    pub rules: SignUpRules,
    pub processors: Processors,
}

impl Watcher {
    pub(super) fn hear(&self, heard: Heard) {
        match heard {
            Heard::Message { channel, payload } if channel == "key_changed" => self.keys.forget(&payload),
            Heard::Message { channel, .. } if channel == "org_changed" => self.keys.forget_all(),
            Heard::Message { channel, payload } if channel == presets::CHANGED_CHANNEL => self.memory.forget(&payload),
            Heard::Message { channel, .. } if channel == console::rules::CHANGED_CHANNEL => self.reload_rules(),
            Heard::Message { .. } => self.reload(),
            Heard::Gap => {
                self.keys.forget_all();
                self.memory.forget_all();
                self.reload();
                self.reload_rules();
            }
        }
    }

    fn reload_rules(&self) {
        let (rules, processors, pool) = (self.rules.clone(), self.processors.clone(), self.pool.clone());
        Handle::current().spawn(async move { console::rules::reload_surely(&pool, &rules, &processors).await });
    }

    fn reload(&self) {
        let (shelf, keys) = (self.shelf.clone(), self.upstream_keys.clone());
        let (sealer, pool) = (self.sealer.clone(), self.pool.clone());
        Handle::current().spawn(async move {
            for _ in 0..MAX_TRIES {
                let Err(error) = read_catalog(&pool, &sealer, &shelf, &keys).await else { return };
                tracing::warn!(%error, "the catalog was not read again; the last one stays until it is");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        });
    }
}

/// Nobody tells of a change twice: a price that was raised, or a key that was withdrawn, would go on here.
async fn read_catalog(pool: &PgPool, sealer: &Sealer, shelf: &Shelf, keys: &UpstreamKeys) -> anyhow::Result<()> {
    // Of two changes, the one that was read first must not be put in place last.
    static READING: Mutex<()> = Mutex::const_new(());
    let _reading = READING.lock().await;
    shelf.reload(pool).await?;
    keys.replace(catalog::upstream_keys(&mut *pool.acquire().await?, sealer).await?);
    Ok(())
}

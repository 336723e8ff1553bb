//! Webhooks and the mails that are looked for in the background.

use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::accounts::Links;
use crate::base::Clock;
use crate::config::Config;
use crate::db::Pools;
use crate::hooks::{self, Courier, Dispatcher};
use crate::vault::Vault;
use crate::{books, keys};

pub fn start(config: &Config, pools: &Pools, vault: &Vault, courier: &Courier, stop: &CancellationToken) {
    let (handle, links) = (Handle::current(), Links { base: config.public_url.clone() });
    let pool: PgPool = pools.general.clone();
    let dispatcher = Dispatcher {
        pool: pool.clone(),
        vault: vault.clone(),
        courier: courier.clone(),
        links: links.clone(),
        clock: Clock::system(),
    };
    handle.spawn(hooks::run(dispatcher, stop.clone()));
    handle.spawn(keys::watch_limits(pool.clone(), links.clone(), stop.clone()));
    handle.spawn(books::weekly(pool, links, Clock::system(), stop.clone()));
}

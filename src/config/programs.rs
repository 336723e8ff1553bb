//! Settings of what programs other than browsers may do: the management API, connected apps, secret scanning. And of
//! what the chat room may, whose messages are calls like theirs.

use std::num::NonZeroU32;

use super::{ConfigError, Sources, wrong};
use crate::base::Usd;
use crate::keys::connect::Lenient;
use crate::keys::management::DEFAULT_PER_MINUTE;
use crate::keys::{ChatTerms, PerMinute};

const PER_MINUTE: &str = "FAREBOX_MANAGEMENT_PER_MINUTE";
const CALLBACKS: &str = "FAREBOX_LENIENT_CALLBACKS";
const LEAK_KEYS: &str = "FAREBOX_LEAK_KEYS_URL";
const PRIVATE_HOOKS: &str = "FAREBOX_ALLOW_PRIVATE_WEBHOOKS";
const CHAT_DAILY: &str = "FAREBOX_CHAT_DAILY_LIMIT";
const MAX_PER_MINUTE: u32 = 1_000_000;
/// What one person's chat stops at each day, in dollars: far above a day of talk, far below an accident.
const DEFAULT_CHAT_DAILY: &str = "10";
/// Messages of one person a minute: more than anybody writes.
const CHAT_PER_MINUTE: u32 = 30;

#[derive(Clone, Debug)]
pub struct ProgramSettings {
    /// `FAREBOX_MANAGEMENT_PER_MINUTE`: requests of one provisioning key to the management API of each process; default 600.
    pub management_per_minute: NonZeroU32,
    /// `FAREBOX_LENIENT_CALLBACKS`: apps that may connect without S256; default none.
    pub lenient_callbacks: Lenient,
    /// `FAREBOX_LEAK_KEYS_URL`: where GitHub publishes the keys of its secret scanning; unset, its messages are not taken.
    pub leak_keys_url: Option<url::Url>,
    /// `FAREBOX_CHAT_DAILY_LIMIT`: dollars that one person's chat may spend in one organization each UTC day, or `none`;
    /// default 10.
    pub chat: ChatTerms,
    /// `FAREBOX_ALLOW_PRIVATE_WEBHOOKS`: `true` lets webhooks of organizations go to private addresses and plain http;
    /// default false. For an instance whose every member may reach its network anyway.
    pub private_webhooks: bool,
}

pub fn is_described(name: &str) -> bool {
    matches!(name, PER_MINUTE | CALLBACKS | LEAK_KEYS | CHAT_DAILY | PRIVATE_HOOKS)
}

/// The effective value of a setting.
pub fn describe(name: &str, settings: &ProgramSettings, sources: &Sources) -> String {
    match name {
        PER_MINUTE => settings.management_per_minute.to_string(),
        PRIVATE_HOOKS => settings.private_webhooks.to_string(),
        CHAT_DAILY => settings.chat.daily.map_or_else(|| "none".to_owned(), Usd::exact),
        _ => sources.get(name).unwrap_or_default().to_owned(),
    }
}

/// # Errors
/// Names the setting, what is wrong with it, and what it must be.
pub fn read(sources: &Sources) -> Result<ProgramSettings, ConfigError> {
    let what = "a whole number from 1 to 1000000";
    let management_per_minute: NonZeroU32 = sources.parse(PER_MINUTE, DEFAULT_PER_MINUTE, what)?;
    if management_per_minute.get() > MAX_PER_MINUTE {
        return Err(wrong(PER_MINUTE, format!("must be {what}")));
    }
    let callbacks = sources.get(CALLBACKS).unwrap_or_default();
    let lenient_callbacks = callbacks.parse::<Lenient>().map_err(|error| wrong(CALLBACKS, error.to_string()))?;
    let leak_keys_url = match sources.get(LEAK_KEYS) {
        None => None,
        Some(text) => {
            let url: Option<url::Url> = text.parse().ok();
            let web = url.filter(|url| matches!(url.scheme(), "https" | "http") && url.host().is_some());
            let web = web.ok_or_else(|| {
                wrong(LEAK_KEYS, "must be like https://api.github.com/meta/public_keys/secret_scanning")
            })?;
            Some(web)
        }
    };
    let private_webhooks = sources.parse(PRIVATE_HOOKS, false, "`true` or `false`")?;
    Ok(ProgramSettings {
        management_per_minute,
        lenient_callbacks,
        leak_keys_url,
        chat: chat(sources)?,
        private_webhooks,
    })
}

fn chat(sources: &Sources) -> Result<ChatTerms, ConfigError> {
    let wrong = || wrong(CHAT_DAILY, "must be an amount of dollars above zero, such as 10, or `none`");
    let daily = match sources.get(CHAT_DAILY).unwrap_or(DEFAULT_CHAT_DAILY) {
        "none" => None,
        text => Some(Usd::parse(text).ok().filter(|daily| daily.is_positive()).ok_or_else(wrong)?),
    };
    let per_minute = PerMinute::new(CHAT_PER_MINUTE).map_err(|_| wrong())?;
    Ok(ChatTerms { daily, per_minute })
}

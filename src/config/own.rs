//! Settings of keys that organizations bring themselves, and of what is sealed at rest.

use rust_decimal::Decimal;

use super::{Config, ConfigError, Sources, decode_key, derived_key, wrong};
use crate::base::{Secret, Usd};
use crate::routing::Fee;
use crate::vault::Keyring;

pub const KEKS: &str = "FAREBOX_ENCRYPTION_KEYS";
const RATE: &str = "FAREBOX_BYOK_FEE_PERCENT";
const ALLOWANCE: &str = "FAREBOX_BYOK_FREE_PER_MONTH";
const DISCOUNT: &str = "FAREBOX_LOGGING_DISCOUNT_PERCENT";
/// Keys that can be configured at once.
const MAX_KEKS: usize = 8;

/// What the operator asks for calls on accounts of their own, and gives to those whose texts are kept.
#[derive(Clone, Debug)]
pub struct OwnSettings {
    /// Key-encryption keys, the one that seals first; empty: one that is derived from the secret key.
    pub keks: Vec<Secret<[u8; 32]>>,
    pub fee: Fee,
    /// A part of one.
    pub discount: Decimal,
}

pub fn is_described(name: &str) -> bool {
    [RATE, ALLOWANCE, DISCOUNT].contains(&name)
}

/// The effective value of a setting.
pub fn describe(name: &str, config: &Config) -> String {
    let percent = |part: Decimal| (part * Decimal::ONE_HUNDRED).normalize().to_string();
    match name {
        RATE => percent(config.own.fee.rate),
        ALLOWANCE => config.own.fee.allowance.exact(),
        _ => percent(config.own.discount),
    }
}

/// # Errors
/// When one of them is no percentage, no amount or no key.
pub fn read(sources: &Sources) -> Result<OwnSettings, ConfigError> {
    let allowance = sources.get(ALLOWANCE).unwrap_or("25000");
    let allowance = Usd::parse(allowance).ok().filter(|amount| !amount.is_negative());
    let allowance = allowance.ok_or_else(|| wrong(ALLOWANCE, "must be an amount of dollars like 25000, or 0"))?;
    Ok(OwnSettings {
        keks: keks(sources)?,
        fee: Fee { rate: percent(sources, RATE, "5")?, allowance },
        discount: percent(sources, DISCOUNT, "1")?,
    })
}

/// Four digits behind the point of a percentage are six of its part of one: a fee has at most eighteen, and is rounded once.
fn percent(sources: &Sources, name: &'static str, default: &str) -> Result<Decimal, ConfigError> {
    let text = sources.get(name).unwrap_or(default);
    let number: Option<Decimal> = text.trim().trim_end_matches('%').trim_end().parse().ok();
    let fits = number.filter(|number| (Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(number) && number.scale() <= 4);
    let fits =
        fits.ok_or_else(|| wrong(name, "must be a percentage from 0 to 100 with four digits after the point at most"))?;
    Ok((fits / Decimal::ONE_HUNDRED).normalize())
}

fn keks(sources: &Sources) -> Result<Vec<Secret<[u8; 32]>>, ConfigError> {
    let Some(text) = sources.get(KEKS) else { return Ok(Vec::new()) };
    let keys: Option<Vec<_>> = text.split([',', '\n']).map(|key| decode_key(key.trim())).collect();
    let keys = keys.filter(|keys| keys.len() <= MAX_KEKS);
    keys.ok_or_else(|| {
        wrong(KEKS, "must be up to eight keys of 32 bytes in hex or base64, separated by commas; `openssl rand -hex 32` makes one")
    })
}

/// The key-encryption keys: those of the configuration, then one that is derived from the secret key, so that what was
/// sealed before any was configured still opens.
#[must_use]
pub fn keyring(config: &Config) -> Keyring {
    let derived = derived_key(&config.secret_key, "envelope");
    match config.own.keks.split_first() {
        None => Keyring::new(&derived, &[]),
        Some((first, others)) => {
            let others: Vec<_> = others.iter().cloned().chain([derived]).collect();
            Keyring::new(first, &others)
        }
    }
}

//! What a key may be used for besides its limits: which models, from where, and how often.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::base::slug::Slug;
use crate::catalog::ModelSlug;

/// Models or networks on one key.
pub const MAX_ENTRIES: usize = 100;
/// More than any limit of this kind is meant to stop.
pub const MAX_PER_MINUTE: u32 = 100_000;

/// Each of them is none by default: any model, from anywhere, as often as the limits allow.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Rules {
    pub models: Option<Models>,
    pub networks: Option<Networks>,
    pub per_minute: Option<PerMinute>,
    /// The preset that every call gets.
    pub preset: Option<Slug>,
}

impl Rules {
    /// What is left of these below the key that issued this one: never more than either allows. Where that one is bound to a
    /// preset, so is whatever it issued.
    pub(super) fn under(self, issuer: Rules) -> Rules {
        Rules {
            models: Models::both(self.models, issuer.models),
            networks: Networks::both(self.networks, issuer.networks),
            per_minute: self.per_minute.into_iter().chain(issuer.per_minute).min(),
            preset: issuer.preset.or(self.preset),
        }
    }
}

/// Why a rule cannot stand on a key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RuleError {
    #[error("“{0}” is not the id of a model, such as openai/gpt-5-mini")]
    Model(String),
    #[error("“{0}” is not an address or a network, such as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32")]
    Network(String),
    #[error("has more than {MAX_ENTRIES} entries")]
    TooMany,
    #[error("must be a whole number from 1 to {MAX_PER_MINUTE}")]
    PerMinute,
}

/// One to a hundred models, by their own ids.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Models(Vec<ModelSlug>);

impl Models {
    /// Without what comes twice. `None` when there is nothing in it, which allows any.
    ///
    /// # Errors
    /// `Model` for what is no id, `TooMany`.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Option<Models>, RuleError> {
        let parse = |entry: &str| {
            ModelSlug::try_from(entry.to_owned()).map_err(|_| RuleError::Model(entry.chars().take(120).collect()))
        };
        Ok(distinct(entries, parse)?.map(Models))
    }

    /// Without what cannot be read, so that it never allows more than was meant.
    pub(super) fn stored(entries: &[String]) -> Models {
        Models(entries.iter().filter_map(|entry| ModelSlug::try_from(entry.clone()).ok()).collect())
    }

    /// What both allow, where nothing means any. Where they have nothing in common, no model is left.
    pub(super) fn both(one: Option<Models>, other: Option<Models>) -> Option<Models> {
        match (one, other) {
            (Some(one), Some(other)) => {
                Some(Models(one.0.into_iter().filter(|slug| other.allow(slug.as_str())).collect()))
            }
            (one, other) => one.or(other),
        }
    }

    #[must_use]
    pub fn allow(&self, model: &str) -> bool {
        self.0.iter().any(|slug| slug.as_str() == model)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(ModelSlug::as_str)
    }
}

/// One to a hundred networks, IPv4 and IPv6.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Without what comes twice. `None` when there is nothing in it, which allows any.
    ///
    /// # Errors
    /// `Network` for what is none, `TooMany`.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Option<Networks>, RuleError> {
        Ok(distinct(entries, Network::from_str)?.map(Networks))
    }

    /// Without what cannot be read, so that it never allows more than was meant.
    pub(super) fn stored(entries: &[String]) -> Networks {
        Networks(entries.iter().filter_map(|entry| entry.parse().ok()).collect())
    }

    /// What both allow, where nothing means any. Where they have nothing in common, no address is left.
    fn both(one: Option<Networks>, other: Option<Networks>) -> Option<Networks> {
        match (one, other) {
            (Some(one), Some(other)) => {
                // Of two networks one lies within the other, or they have nothing in common.
                let within = |inner: &Networks, outer: &Networks| -> Vec<Network> {
                    inner.iter().filter(|one| outer.iter().any(|wide| wide.covers(*one))).collect()
                };
                let mut common = within(&one, &other);
                let more = within(&other, &one);
                common.extend(more.into_iter().filter(|network| !one.iter().any(|mine| mine == *network)));
                Some(Networks(common))
            }
            (one, other) => one.or(other),
        }
    }

    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    pub fn iter(&self) -> impl Iterator<Item = Network> {
        self.0.iter().copied()
    }
}

fn distinct<'a, T: PartialEq>(
    entries: impl IntoIterator<Item = &'a str>,
    parse: impl Fn(&str) -> Result<T, RuleError>,
) -> Result<Option<Vec<T>>, RuleError> {
    let mut found = Vec::new();
    for entry in entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()) {
        let one = parse(entry)?;
        if !found.contains(&one) {
            found.push(one);
        }
        if found.len() > MAX_ENTRIES {
            return Err(RuleError::TooMany);
        }
    }
    Ok(Some(found).filter(|found| !found.is_empty()))
}

/// Addresses that begin alike: an address and how many of its bits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// With zeros behind the bits that count.
    first: IpAddr,
    bits: u8,
}

impl Network {
    /// Also for an IPv4 address in its IPv6 spelling.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.bits) == self.first
    }

    fn covers(&self, inner: Network) -> bool {
        self.bits <= inner.bits && self.contains(inner.first)
    }
}

impl FromStr for Network {
    type Err = RuleError;

    /// An address alone is a network of one. Bits behind those that count are taken as zeros.
    fn from_str(text: &str) -> Result<Network, RuleError> {
        let wrong = || RuleError::Network(text.chars().take(60).collect());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits: Option<u8> = match bits {
            // No signs and no zeros in front, as Postgres writes it.
            Some(bits) if bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(bits.parse().map_err(|_| wrong())?)
            }
            Some(_) => return Err(wrong()),
            None => None,
        };
        let longest = if given.is_ipv4() { 32 } else { 128 };
        let mut bits = bits.unwrap_or(longest);
        if bits > longest {
            return Err(wrong());
        }
        let address = given.to_canonical();
        if address.is_ipv4() && !given.is_ipv4() {
            // An IPv4 network in its IPv6 spelling; one wider than all of IPv4 is none.
            bits = bits.checked_sub(96).ok_or_else(wrong)?;
        }
        Ok(Network { first: masked(address, bits), bits })
    }
}

impl fmt::Display for Network {
    /// A network of one address is shown as that address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = if self.first.is_ipv4() { 32 } else { 128 };
        if self.bits == longest { write!(f, "{}", self.first) } else { write!(f, "{}/{}", self.first, self.bits) }
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from(u32::from(v4) & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from(u128::from(v6) & mask).into()
        }
    }
}

/// How many calls a key may begin in one minute of the clock, on all nodes together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PerMinute(u32);

impl PerMinute {
    /// # Errors
    /// `PerMinute` for zero and for more than [`MAX_PER_MINUTE`].
    pub fn new(calls: u32) -> Result<PerMinute, RuleError> {
        if (1..=MAX_PER_MINUTE).contains(&calls) { Ok(PerMinute(calls)) } else { Err(RuleError::PerMinute) }
    }

    pub(super) fn stored(calls: i32) -> PerMinute {
        PerMinute(u32::try_from(calls).unwrap_or(0))
    }

    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(text: &str) -> Networks {
        Networks::parse(text.split(' ')).ok().flatten().expect("networks")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_network_contains_what_begins_as_it_does() {
        let some = networks("10.1.0.0/16 203.0.113.7 2001:db8::/32 ::1");
        for inside in ["10.1.255.255", "203.0.113.7", "2001:db8:ffff::1", "::1", "::ffff:10.1.2.3"] {
            assert!(some.contain(address(inside)), "{inside}");
        }
        for outside in ["10.2.0.0", "203.0.113.8", "2001:db9::", "::2", "::ffff:10.2.0.1", "0.0.0.1"] {
            assert!(!some.contain(address(outside)), "{outside}");
        }
        let all = networks("0.0.0.0/0");
        assert!(all.contain(address("198.51.100.1")) && !all.contain(address("2001:db8::1")), "one family");
        assert!(networks("::/0").contain(address("2001:db8::1")));
    }

    #[test]
    fn a_network_is_shown_as_it_counts() {
        for (written, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.1/32", "192.0.2.1"),
            ("2001:DB8:0::1/64", "2001:db8::/64"),
            ("::ffff:192.0.2.9/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.9", "192.0.2.9"),
        ] {
            assert_eq!(written.parse::<Network>().map(|network| network.to_string()).as_deref(), Ok(shown));
        }
        for wrong in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.1/", "10.0.0.1/+8", "localhost", "1.2.3.4/8/8"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn below_a_key_nothing_is_allowed_that_it_does_not_allow_itself() {
        let above = Rules {
            models: Models::parse(["a/b", "c/d"]).ok().flatten(),
            networks: Some(networks("10.0.0.0/8 2001:db8::/32 192.0.2.7")),
            per_minute: PerMinute::new(10).ok(),
            preset: Slug::parse("careful").ok(),
        };
        assert_eq!(Rules::default().under(above.clone()), above, "what says nothing is as that");
        assert_eq!(above.clone().under(Rules::default()), above);
        let own = Rules {
            models: Models::parse(["c/d", "e/f"]).ok().flatten(),
            networks: Some(networks("10.1.0.0/16 192.0.2.0/24 203.0.113.0/24 2001:db8::/32")),
            per_minute: PerMinute::new(60).ok(),
            preset: Slug::parse("careless").ok(),
        };
        let left = own.under(above);
        assert_eq!(left.models.iter().flat_map(Models::iter).collect::<Vec<_>>(), ["c/d"]);
        let left_of = left.networks.as_ref().expect("networks");
        for (at, inside) in [
            ("10.1.2.3", true),
            ("10.2.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("203.0.113.1", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(left_of.contain(address(at)), inside, "{at}");
        }
        assert_eq!(
            (left.per_minute.map(PerMinute::get), left.preset.map(|slug| slug.to_string())),
            (Some(10), Some("careful".into()))
        );
        let apart = Networks::both(Some(networks("10.0.0.0/8")), Some(networks("192.0.2.0/24")));
        assert!(
            apart.is_some_and(|none| !none.contain(address("10.0.0.1")) && none.iter().next().is_none()),
            "nothing, not anything"
        );
    }

    #[test]
    fn nothing_written_is_no_rule_and_too_much_is_an_error() {
        assert_eq!(Models::parse(["", " "]), Ok(None));
        let twice = Models::parse(["a/b", " a/b ", "c/d"]).ok().flatten().expect("models");
        assert_eq!(twice.iter().collect::<Vec<_>>(), ["a/b", "c/d"]);
        assert!(twice.allow("c/d") && !twice.allow("c/e"));
        assert_eq!(Models::parse(["GPT"]), Err(RuleError::Model("GPT".into())));
        let many: Vec<String> = (0..=MAX_ENTRIES).map(|n| format!("a/m{n}")).collect();
        assert_eq!(Models::parse(many.iter().map(String::as_str)), Err(RuleError::TooMany));
        assert!(PerMinute::new(0).is_err() && PerMinute::new(100_001).is_err() && PerMinute::new(1).is_ok());
    }
}

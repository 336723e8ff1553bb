//! From where somebody acts.

use std::net::{IpAddr, Ipv6Addr};

/// The network address and the browser or program of a request. Both are what a client claims, cut to a bounded length.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    pub ip: String,
    pub user_agent: String,
}

impl Origin {
    /// A command on the server, or a job: from nowhere in the network.
    #[must_use]
    pub fn here() -> Origin {
        Origin::default()
    }
}

/// What a limit takes for one visitor: an IPv4 address; of IPv6 a /64, because whoever has one has all of it and often many
/// (RFC 6177), so that nobody gets a new count with each address. Who has many is met by [`network`]. What is no address stays as
/// it is.
#[must_use]
pub fn subscriber(ip: &str) -> String {
    match ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Ok(IpAddr::V6(ip)) => format!("{}/64", Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
        Err(_) => ip.to_owned(),
    }
}

/// The part of an address that a household or an office shares, or that an attacker rents as a whole: 24 bits of IPv4, 48 of
/// IPv6. Empty for what is no address.
#[must_use]
pub fn network(ip: &str) -> String {
    match ip.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
        Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_subscriber_and_a_network() {
        for (ip, one, shared) in [
            ("203.0.113.77", "203.0.113.77", "203.0.113.0/24"),
            ("::ffff:203.0.113.77", "203.0.113.77", "203.0.113.0/24"),
            ("2001:db8:7:1::9", "2001:db8:7:1::/64", "2001:db8:7::/48"),
            ("2001:db8:7:1:ffff:ffff:ffff:ffff", "2001:db8:7:1::/64", "2001:db8:7::/48"),
            ("2001:db8:7:2::9", "2001:db8:7:2::/64", "2001:db8:7::/48"),
            ("::1", "::/64", "0:0:0::/48"),
            ("nowhere", "nowhere", ""),
            ("", "", ""),
        ] {
            assert_eq!((subscriber(ip).as_str(), network(ip).as_str()), (one, shared), "{ip}");
        }
    }
}

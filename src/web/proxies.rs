//! Whose word counts about where a request comes from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Networks in one setting.
const MAX_NETWORKS: usize = 64;

/// A network of proxies, such as `10.0.0.0/8`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => same_bits(own.to_bits().into(), ip.to_bits().into(), 32, self.bits),
            (IpAddr::V6(own), IpAddr::V6(ip)) => same_bits(own.to_bits(), ip.to_bits(), 128, self.bits),
            _ => false,
        }
    }
}

/// Whether the first `bits` of `width` are the same.
fn same_bits(one: u128, other: u128, width: u32, bits: u8) -> bool {
    let rest = width.saturating_sub(u32::from(bits));
    (one ^ other).checked_shr(rest).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Network, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| ())?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().map_err(|_| ())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(()) } else { Ok(Network { address, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The reverse proxies before this process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrustedProxies {
    /// So many stand in a row, and nothing reaches this process but through them.
    Count(u8),
    /// They are in these networks; what others write does not count, also when they reach this process directly.
    Networks(Vec<Network>),
}

impl TrustedProxies {
    /// The client's address, given who is at the other end of the connection and what stands in `X-Forwarded-For`, in order:
    /// each proxy appends who was at its own other end.
    #[must_use]
    pub fn client(&self, peer: IpAddr, written: &[&str]) -> IpAddr {
        match self {
            TrustedProxies::Count(0) => peer,
            TrustedProxies::Count(count) => {
                let at = written.len().checked_sub(usize::from(*count));
                at.and_then(|at| address(written.get(at)?)).unwrap_or(peer)
            }
            TrustedProxies::Networks(networks) => {
                let trusted = |ip: IpAddr| networks.iter().any(|network| network.contains(ip));
                let mut client = peer;
                let mut before = written.iter().rev();
                while trusted(client) {
                    match before.next().and_then(|text| address(text)) {
                        Some(ip) => client = ip,
                        None => break,
                    }
                }
                client
            }
        }
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

impl FromStr for TrustedProxies {
    type Err = ();

    fn from_str(text: &str) -> Result<TrustedProxies, ()> {
        if let Ok(count) = text.trim().parse() {
            return Ok(TrustedProxies::Count(count));
        }
        let networks: Vec<Network> = text.split(',').map(|part| part.trim().parse()).collect::<Result<_, ()>>()?;
        if networks.len() > MAX_NETWORKS { Err(()) } else { Ok(TrustedProxies::Networks(networks)) }
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrustedProxies::Count(count) => count.fmt(f),
            TrustedProxies::Networks(networks) => {
                let shown: Vec<String> = networks.iter().map(Network::to_string).collect();
                f.write_str(&shown.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(setting: &str, peer: &str, written: &[&str]) -> String {
        let proxies: TrustedProxies = setting.parse().unwrap_or_else(|()| panic!("{setting}"));
        let peer: IpAddr = peer.parse().unwrap_or_else(|_| panic!("{peer}"));
        proxies.client(peer, written).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let forged = ["1.1.1.1", "2.2.2.2", "10.0.0.7"];
        assert_eq!(client("0", "9.9.9.9", &forged), "9.9.9.9");
        assert_eq!(client("1", "10.0.0.1", &["1.1.1.1", "2.2.2.2"]), "2.2.2.2");
        assert_eq!(client("2", "10.0.0.1", &forged), "2.2.2.2");
        assert_eq!(client("4", "10.0.0.1", &forged), "10.0.0.1", "fewer than there should be: nothing is believed");
        let list = "10.0.0.0/8, 2001:db8::/32";
        assert_eq!(client(list, "10.0.0.1", &forged), "2.2.2.2", "the nearest that is no proxy");
        assert_eq!(client(list, "9.9.9.9", &forged), "9.9.9.9", "who comes directly is believed nothing");
        assert_eq!(client(list, "2001:db8::5", &["3.3.3.3"]), "3.3.3.3");
        assert_eq!(client(list, "10.0.0.1", &["3.3.3.3", "nonsense"]), "10.0.0.1");
        assert_eq!(client(list, "10.0.0.1", &["10.0.0.2"]), "10.0.0.2", "a request that began inside");
        assert_eq!(client("127.0.0.1", "127.0.0.1", &["::ffff:4.4.4.4"]), "4.4.4.4");
        assert_eq!(client("0.0.0.0/0", "8.8.8.8", &["7.7.7.7"]), "7.7.7.7");
    }

    #[test]
    fn what_is_no_number_and_no_network_is_refused() {
        for bad in ["", "-1", "256", "10.0.0.0/33", "10.0.0.0/8,", "proxy.example", "10.0.0.0/8;10.1.0.0/16"] {
            assert_eq!(bad.parse::<TrustedProxies>(), Err(()), "{bad}");
        }
        assert_eq!("10.0.0.0/8,::1".parse::<TrustedProxies>().map(|p| p.to_string()), Ok("10.0.0.0/8,::1/128".into()));
    }
}

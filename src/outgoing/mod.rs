//! The one way out: a client that reaches public addresses only, follows nothing and obeys no environment.
//!
//! The check sits in the resolver and before each request, so no caller can forget it: a name is resolved once,
//! the connection goes to the very addresses that were checked, and a redirect is an answer like any other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Connections that wait for their next use, per host, unless a caller wants fewer.
const MAX_IDLE_PER_HOST: usize = 256;
const IDLE_CONNECTION: Duration = Duration::from_secs(60);

/// What the operator decides about outgoing calls.
#[derive(Clone, Copy, Debug)]
pub struct HttpClientConfig {
    /// Private and loopback addresses, and plain http, for models that run in the operator's own network.
    pub allow_private: bool,
    pub connect_timeout: Duration,
    /// Connections that wait for their next use, per host.
    pub max_idle: usize,
}

impl Default for HttpClientConfig {
    fn default() -> HttpClientConfig {
        HttpClientConfig { allow_private: false, connect_timeout: Duration::from_secs(5), max_idle: MAX_IDLE_PER_HOST }
    }
}

/// Why the client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the client for outgoing calls cannot be built")]
pub struct HttpClientError(#[from] reqwest::Error);

/// Why an address is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenAddress {
    #[error("only https addresses are called")]
    Scheme,
    #[error("the address is not public")]
    NotPublic,
    #[error("the address has a user name or no host")]
    Malformed,
}

/// A client for outgoing calls. Cloning it is cheap; clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    allow_private: bool,
}

impl HttpClient {
    /// Needs a process-wide rustls provider, which `main` installs first.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: HttpClientConfig) -> Result<HttpClient, HttpClientError> {
        HttpClient::looking_up(config, system)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that builds a client")]
    fn looking_up(config: HttpClientConfig, lookup: Lookup) -> Result<HttpClient, HttpClientError> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(config.connect_timeout)
            .pool_max_idle_per_host(config.max_idle)
            .pool_idle_timeout(IDLE_CONNECTION)
            .dns_resolver(Arc::new(GuardedResolver { allow_private: config.allow_private, lookup }))
            .build()?;
        Ok(HttpClient { client, allow_private: config.allow_private })
    }

    /// Starts a GET of an address that the operator set.
    ///
    /// # Errors
    /// As [`HttpClient::post`].
    pub fn get(&self, url: Url) -> Result<reqwest::RequestBuilder, ForbiddenAddress> {
        check(&url, self.allow_private)?;
        Ok(self.client.get(url))
    }

    /// Takes a request that was made elsewhere, if its address may be called.
    ///
    /// # Errors
    /// As [`HttpClient::post`].
    pub fn carry(&self, request: reqwest::Request) -> Result<reqwest::RequestBuilder, ForbiddenAddress> {
        check(request.url(), self.allow_private)?;
        Ok(reqwest::RequestBuilder::from_parts(self.client.clone(), request))
    }

    /// Starts a POST to an address of the catalog.
    ///
    /// # Errors
    /// When the address may not be called. Names are checked again when they are resolved.
    pub fn post(&self, url: Url) -> Result<reqwest::RequestBuilder, ForbiddenAddress> {
        check(&url, self.allow_private)?;
        Ok(self.client.post(url))
    }
}

/// What can be said about a URL before its name is resolved.
fn check(url: &Url, allow_private: bool) -> Result<(), ForbiddenAddress> {
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err(ForbiddenAddress::Scheme),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ForbiddenAddress::Malformed);
    }
    let literal = match url.host() {
        None => return Err(ForbiddenAddress::Malformed),
        Some(Host::Domain(_)) => return Ok(()),
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip),
    };
    if may_call(literal, allow_private) { Ok(()) } else { Err(ForbiddenAddress::NotPublic) }
}

/// Looks a name up once.
type Lookup = fn(String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;

fn system(name: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
}

/// What it gives back are the very addresses that were checked, so that a name which is looked up again may not lead
/// elsewhere in between.
struct GuardedResolver {
    allow_private: bool,
    lookup: Lookup,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (allow_private, found) = (self.allow_private, (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move {
            let mut allowed = found.await?;
            allowed.retain(|address| may_call(address.ip(), allow_private));
            if allowed.is_empty() {
                return Err(ForbiddenAddress::NotPublic.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

fn may_call(ip: IpAddr, allow_private: bool) -> bool {
    is_public(ip) || (allow_private && is_private(ip))
}

/// Whether an address is a public unicast address. Everything that is not known to be one is not.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let reserved = match (a, b, c) {
        // This network, private, loopback; multicast, reserved and broadcast.
        (0 | 10 | 127 | 224..=255, _, _) => true,
        // Carrier-grade NAT.
        (100, 64..=127, _) => true,
        // Link-local, where clouds keep their metadata.
        (169, 254, _) => true,
        (172, 16..=31, _) => true,
        // Protocol assignments, documentation, 6to4 relays.
        (192, 0, 0 | 2) | (192, 88, 99) => true,
        (192, 168, _) => true,
        // Benchmarks.
        (198, 18 | 19, _) => true,
        // Documentation.
        (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    };
    !reserved
}

/// Global unicast is 2000::/3. Mapped, translated, local and multicast addresses all lie outside of it.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let global = a & 0xe000 == 0x2000;
    let reserved = match (a, b) {
        // Protocol assignments with Teredo, ORCHID and benchmarks: 2001::/23.
        (0x2001, 0..=0x01ff) => true,
        // Documentation.
        (0x2001, 0x0db8) | (0x3fff, 0..=0x0fff) => true,
        // 6to4 carries any IPv4 address inside.
        (0x2002, _) => true,
        _ => false,
    };
    global && !reserved
}

/// Addresses of the operator's own network. Link-local stays forbidden: cloud metadata lives there.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_loopback() || (a == 100 && (64..=127).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Ways to write an address that must not be called. URLs know many spellings of one address.
    pub(crate) const FORBIDDEN: &[&str] = &[
        "0.0.0.0",
        "0",
        "0.1.2.3",
        "0x0",
        "127.0.0.1",
        "127.1",
        "127.255.255.255",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.1",
        "10.0.0.1",
        "10.255.255.255",
        "0xa.0.0.1",
        "100.64.0.1",
        "100.127.255.254",
        "169.254.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "3232235521",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:169.254.169.254]",
        "[::ffff:10.0.0.1]",
        "[::ffff:8.8.8.8]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::1]",
        "[100::1]",
        "[2001::1]",
        "[2001:0:7f00:1::]",
        "[2001:2::1]",
        "[2001:10::1]",
        "[2001:20::1]",
        "[2001:db8::1]",
        "[2002:7f00:1::]",
        "[2002:a9fe:a9fe::]",
        "[3fff::1]",
        "[5f00::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[febf::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[ff0e::1]",
        "[4000::1]",
    ];

    fn url(host: &str) -> Url {
        Url::parse(&format!("https://{host}/v1")).expect("a URL")
    }

    #[test]
    fn no_spelling_of_a_local_address_is_called() {
        assert!(FORBIDDEN.len() >= 60);
        for host in FORBIDDEN {
            assert_eq!(check(&url(host), false), Err(ForbiddenAddress::NotPublic), "{host}");
        }
    }

    #[test]
    fn public_addresses_are_called() {
        for host in
            ["8.8.8.8", "1.1.1.1", "100.63.255.255", "172.32.0.1", "192.0.1.1", "[2606:4700::1]", "[2a00:1450::8]"]
        {
            assert_eq!(check(&url(host), false), Ok(()), "{host}");
        }
    }

    #[test]
    fn an_allowed_private_network_is_still_no_metadata_service() {
        for host in ["127.0.0.1", "10.1.2.3", "192.168.1.1", "100.64.0.1", "[::1]", "[fd00::1]"] {
            assert_eq!(check(&url(host), true), Ok(()), "{host}");
        }
        for host in
            ["169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "[fe80::1]", "[::ffff:127.0.0.1]", "[::]"]
        {
            assert_eq!(check(&url(host), true), Err(ForbiddenAddress::NotPublic), "{host}");
        }
    }

    #[test]
    fn plain_http_and_names_with_passwords_are_refused() {
        let parsed = |text: &str| Url::parse(text).expect("a URL");
        assert_eq!(check(&parsed("http://example.com"), false), Err(ForbiddenAddress::Scheme));
        assert_eq!(check(&parsed("http://example.com"), true), Ok(()));
        assert_eq!(check(&parsed("ftp://example.com"), true), Err(ForbiddenAddress::Scheme));
        assert_eq!(check(&parsed("https://a:b@example.com"), false), Err(ForbiddenAddress::Malformed));
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_resolved() {
        let resolver = |allow_private| GuardedResolver { allow_private, lookup: system };
        let resolve = |allow_private| resolver(allow_private).resolve("localhost".parse().expect("a name"));
        assert!(resolve(false).await.is_err());
        assert!(resolve(true).await.is_ok());
    }

    /// A name that is public when it is first looked up, and leads home from then on.
    #[tokio::test]
    async fn a_name_that_changes_its_mind_is_looked_up_once_for_each_connection() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        fn rebinding(_: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
            let home: SocketAddr = ([127, 0, 0, 1], 0).into();
            let metadata: SocketAddr = ([169, 254, 169, 254], 0).into();
            let public: SocketAddr = ([8, 8, 8, 8], 0).into();
            let found = match LOOKUPS.fetch_add(1, Ordering::SeqCst) {
                0 => vec![home, public, metadata],
                _ => vec![home, metadata],
            };
            Box::pin(async move { Ok(found) })
        }
        let resolver = GuardedResolver { allow_private: false, lookup: rebinding };
        let first = resolver.resolve("rebind.example".parse().expect("a name")).await.map(Iterator::collect::<Vec<_>>);
        assert_eq!(
            first.expect("public"),
            [SocketAddr::from(([8, 8, 8, 8], 0))],
            "of several addresses the public ones"
        );
        assert_eq!(LOOKUPS.load(Ordering::SeqCst), 1, "what was checked is what is connected to");
        assert!(resolver.resolve("rebind.example".parse().expect("a name")).await.is_err());
    }

    /// Counts who connects, and answers all of them.
    async fn trap() -> (u16, Arc<std::sync::atomic::AtomicUsize>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let hits = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&hits);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                // An answer to a question that was not asked yet is no answer.
                let _ = socket.read(&mut [0; 1_024]).await;
                let _ = socket.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
            }
        });
        (port, hits)
    }

    /// The same on real connections: whatever a name leads to by then, nobody is connected to who must not be.
    #[tokio::test]
    async fn a_name_that_leads_home_by_the_time_of_connecting_is_not_connected_to() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static LOOKUPS: AtomicUsize = AtomicUsize::new(0);
        /// Home at first, and the metadata of a cloud from the second time on.
        fn turning(_: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
            let first = LOOKUPS.fetch_add(1, Ordering::SeqCst) == 0;
            let address = if first { [127, 0, 0, 1] } else { [169, 254, 169, 254] };
            Box::pin(async move { Ok(vec![SocketAddr::from((address, 0))]) })
        }
        fn home(_: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
            Box::pin(async { Ok(vec![([127, 0, 0, 1], 0).into(), ([10, 0, 0, 1], 0).into()]) })
        }
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (port, hits) = trap().await;
        let url = |scheme: &str| Url::parse(&format!("{scheme}://rebind.example:{port}/")).expect("a URL");
        let closed = HttpClient::looking_up(HttpClientConfig::default(), home).expect("a client");
        for _ in 0..5 {
            assert!(closed.post(url("https")).expect("a name may be asked").send().await.is_err());
        }
        assert_eq!(hits.load(Ordering::SeqCst), 0, "somebody got through");
        // The operator's own network is allowed here: the name is connected to until it leads to where nobody may go.
        let config = HttpClientConfig { allow_private: true, max_idle: 0, ..HttpClientConfig::default() };
        let open = HttpClient::looking_up(config, turning).expect("a client");
        assert_eq!(open.get(url("http")).expect("allowed").send().await.expect("an answer").status(), 204);
        for _ in 0..5 {
            assert!(open.get(url("http")).expect("a name may be asked").send().await.is_err());
        }
        assert_eq!(
            (hits.load(Ordering::SeqCst), LOOKUPS.load(Ordering::SeqCst)),
            (1, 6),
            "looked up for each connection"
        );
    }
}

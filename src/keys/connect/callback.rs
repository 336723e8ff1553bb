//! Where a code is sent: the address of an app.

use std::str::FromStr;

use url::{Host, Url};

/// Longer than any address of an app.
const MAX_LENGTH: usize = 2_000;
/// Callbacks that one operator lists.
const MAX_LENIENT: usize = 100;

/// An address that codes may be sent to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Callback {
    url: Url,
    lenient: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    #[error("`callback_url` is no address")]
    Malformed,
    #[error("`callback_url` must not have a user name, a password or a fragment")]
    Parts,
    #[error("`callback_url` must be https, or http on localhost; other kinds only where the operator lists them")]
    Scheme,
}

impl Callback {
    /// # Errors
    /// See [`CallbackError`].
    pub fn parse(text: &str, lenient: &Lenient) -> Result<Callback, CallbackError> {
        if text.len() > MAX_LENGTH || text.chars().any(char::is_control) {
            return Err(CallbackError::Malformed);
        }
        let url: Url = text.parse().map_err(|_| CallbackError::Malformed)?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(CallbackError::Parts);
        }
        let listed = lenient.lists(&url);
        let usual = match url.scheme() {
            "https" => url.host().is_some(),
            "http" => is_this_machine(&url),
            _ => false,
        };
        if usual || listed { Ok(Callback { url, lenient: listed }) } else { Err(CallbackError::Scheme) }
    }

    /// Whether the operator lists it, so that it may do without S256.
    #[must_use]
    pub fn is_lenient(&self) -> bool {
        self.lenient
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// What people look at to know the app: its host, or its scheme where it has none.
    #[must_use]
    pub fn app(&self) -> String {
        match (self.url.host_str(), self.url.port(), self.url.scheme()) {
            (Some(host), Some(port), "http" | "https") => format!("{host}:{port}"),
            (Some(host), _, "http" | "https") => host.to_owned(),
            (Some(host), _, scheme) => format!("{scheme}://{host}"),
            (None, _, scheme) => format!("{scheme}:"),
        }
    }

    /// Whether the app runs on the computer of whoever consents.
    #[must_use]
    pub fn is_local(&self) -> bool {
        is_this_machine(&self.url) || !matches!(self.url.scheme(), "http" | "https")
    }

    /// The address with the code in it; what stood in its query stays.
    #[must_use]
    pub fn with_code(&self, code: &str) -> Url {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("code", code);
        url
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Callbacks that the operator allows to do without S256, and those of unusual kinds.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Lenient(Vec<Entry>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    scheme: String,
    /// `None` allows each host of an own scheme, such as `cursor:`.
    host: Option<String>,
    /// `None` allows every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LenientError {
    #[error("has {0:?}, which is not like https://app.example.com, http://localhost or vscode://an.extension")]
    Entry(String),
    #[error("lists more than {MAX_LENIENT} callbacks")]
    TooMany,
}

impl Lenient {
    fn lists(&self, url: &Url) -> bool {
        self.0.iter().any(|entry| {
            entry.scheme == url.scheme()
                && entry.host.as_deref().is_none_or(|host| url.host_str() == Some(host))
                && entry.port.is_none_or(|port| url.port_or_known_default() == Some(port))
        })
    }
}

impl FromStr for Lenient {
    type Err = LenientError;

    fn from_str(text: &str) -> Result<Lenient, LenientError> {
        let mut entries = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let wrong = || LenientError::Entry(part.chars().take(80).collect());
            let url: Url = part.parse().map_err(|_| wrong())?;
            let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
            let plain = url.username().is_empty() && url.password().is_none();
            let web = matches!(url.scheme(), "http" | "https");
            // These run what they carry.
            let runs = matches!(url.scheme(), "javascript" | "data" | "file" | "blob" | "about" | "view-source");
            if !bare || !plain || runs || (web && url.host().is_none()) {
                return Err(wrong());
            }
            entries.push(Entry {
                scheme: url.scheme().to_owned(),
                host: url.host_str().filter(|host| !host.is_empty()).map(str::to_owned),
                port: url.port(),
            });
        }
        if entries.len() > MAX_LENIENT { Err(LenientError::TooMany) } else { Ok(Lenient(entries)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, lenient: &str) -> Result<Callback, CallbackError> {
        Callback::parse(text, &lenient.parse().expect("a list"))
    }

    #[test]
    fn only_https_and_ones_own_machine_get_codes() {
        for good in [
            "https://app.example/cb",
            "https://app.example:8443/cb?x=1",
            "http://localhost:3000/",
            "http://127.0.0.1:1/a",
        ] {
            assert!(parse(good, "").is_ok_and(|callback| !callback.is_lenient()), "{good}");
        }
        for bad in [
            "http://app.example/cb",
            "http://localhost.evil.example/",
            "vscode://an.extension/cb",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            assert_eq!(parse(bad, ""), Err(CallbackError::Scheme), "{bad}");
        }
        for bad in ["https://a:b@app.example/", "https://user@app.example/", "https://app.example/#x"] {
            assert_eq!(parse(bad, ""), Err(CallbackError::Parts), "{bad}");
        }
        for bad in ["", "app.example", "/auth", "https://", "https://app.example/\n", &"x".repeat(2_001)] {
            assert_eq!(parse(bad, ""), Err(CallbackError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn what_the_operator_lists_is_listed_exactly() {
        let list = "vscode://saoudrizwan.claude-dev, https://app.example, http://localhost:1234, cursor:";
        for listed in [
            "vscode://saoudrizwan.claude-dev/openrouter",
            "https://app.example/any/path",
            "http://localhost:1234/cb",
            "cursor://anything/cb",
        ] {
            assert!(parse(listed, list).is_ok_and(|callback| callback.is_lenient()), "{listed}");
        }
        assert_eq!(parse("vscode://somebody.else/cb", list), Err(CallbackError::Scheme));
        assert!(parse("https://www.app.example/", list).is_ok_and(|callback| !callback.is_lenient()));
        assert!(parse("http://localhost:4321/", list).is_ok_and(|callback| !callback.is_lenient()));
        for bad in ["app.example", "https://app.example/path", "javascript:", "https://a@app.example", "data:"] {
            assert!(bad.parse::<Lenient>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_code_joins_what_the_address_has() {
        let callback = parse("https://app.example/cb?state=1", "").expect("a callback");
        assert_eq!(callback.with_code("a b").as_str(), "https://app.example/cb?state=1&code=a+b");
        assert_eq!(callback.app(), "app.example");
        assert_eq!(parse("http://localhost:3000/x", "").expect("a callback").app(), "localhost:3000");
        assert_eq!(parse("vscode://an.extension/x", "vscode:").expect("a callback").app(), "vscode://an.extension");
    }
}

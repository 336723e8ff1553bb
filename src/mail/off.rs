//! Links with which mail programs say no to one kind of mail (RFC 2369 and RFC 8058), for whoever may choose about it.
//! They work without signing in and do nothing else, so they last as long as the key that signs them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;
use uuid::Uuid;

use super::kind::Topic;
use crate::base::Secret;
use crate::base::ids::{OrgId, PersonId};
use crate::base::signing::SigningKey;

/// What the key of these links is derived for.
pub const OFF_KEY_PURPOSE: &str = "links that switch mails off";

/// Where their page is.
pub const OFF_PATH: &str = "/unsubscribe";

/// Longer than every token that was signed.
const MAX_TOKEN: usize = 200;
const SIGNATURE: usize = 32;
const ID: usize = 16;

/// What a link switches off: one person's mails about one topic of one organization.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Off {
    pub org: OrgId,
    pub person: PersonId,
    pub topic: Topic,
}

#[derive(Clone, Debug)]
pub struct OffLinks {
    base: Url,
    key: SigningKey,
}

impl OffLinks {
    #[must_use]
    pub fn new(base: Url, key: Secret<[u8; 32]>) -> OffLinks {
        OffLinks { base, key: SigningKey(key) }
    }

    /// The address for the head of a mail.
    #[must_use]
    pub fn link(&self, off: Off) -> String {
        let mut url = self.base.clone();
        url.set_path(OFF_PATH);
        url.query_pairs_mut().append_pair("token", &self.token(off));
        url.to_string()
    }

    /// Whether mail programs may use the address by themselves: only where it is reached by TLS.
    #[must_use]
    pub fn is_one_click(&self) -> bool {
        self.base.scheme() == "https"
    }

    fn token(&self, off: Off) -> String {
        let said = [off.org.0.as_bytes(), off.person.0.as_bytes(), off.topic.code().as_bytes()].concat();
        let mut token = self.key.sign(&said);
        token.extend(said);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// What a token switches off; `None` for what this instance did not sign.
    #[must_use]
    pub fn read(&self, token: &str) -> Option<Off> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (signature, said) = bytes.split_at_checked(SIGNATURE)?;
        if !self.key.has_signed(said, signature) {
            return None;
        }
        let (org, rest) = said.split_at_checked(ID)?;
        let (person, topic) = rest.split_at_checked(ID)?;
        Some(Off {
            org: OrgId(Uuid::from_slice(org).ok()?),
            person: PersonId(Uuid::from_slice(person).ok()?),
            topic: Topic::parse(std::str::from_utf8(topic).ok()?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(key: u8) -> OffLinks {
        OffLinks::new(Url::parse("https://ai.example.com/").expect("an address"), Secret::new([key; 32]))
    }

    #[test]
    fn a_link_means_what_was_signed_and_nothing_else() {
        let links = links(1);
        for topic in Topic::ALL {
            let off = Off { org: OrgId::fresh(), person: PersonId::fresh(), topic };
            let link = links.link(off);
            let (page, token) = link.split_once("?token=").expect("a token");
            assert_eq!(page, "https://ai.example.com/unsubscribe");
            assert!(token.len() < MAX_TOKEN && link.len() < 900, "one line of a mail's head: {link}");
            assert_eq!(links.read(token), Some(off));
            assert_eq!(self::links(2).read(token), None, "another instance signed it");
            for place in 0..token.len() {
                let other = if &token[place..=place] == "A" { "B" } else { "A" };
                let altered = format!("{}{other}{}", &token[..place], &token[place + 1..]);
                assert_eq!(links.read(&altered), None, "{place}");
                assert_eq!(links.read(&token[..place]), None, "cut after {place}");
            }
            assert_eq!(links.read(&format!("{token}AAAA")), None);
        }
        for wrong in ["", "0", "A", "not base64!", &"A".repeat(70), &"A".repeat(10_000)] {
            assert_eq!(links.read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_tls_is_used_by_programs_themselves() {
        assert!(links(1).is_one_click());
        let plain = Url::parse("http://127.0.0.1:8080/").expect("an address");
        assert!(!OffLinks::new(plain, Secret::new([1; 32])).is_one_click());
    }
}

//! The short session of whoever holds a key: it names the key, and only this server could have written it.

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::key::Key;
use crate::base::ids::{KeyId, OrgId};
use crate::base::{Digest, Secret};

/// Long enough to look, short enough for a borrowed computer.
pub const LASTS: TimeDelta = TimeDelta::minutes(30);

/// What the cookie says: which key, until when, and a seal over that and the key's secret. So it ends when the key gets
/// another secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HolderMark {
    pub org: OrgId,
    pub key: KeyId,
    pub until: i64,
    seal: String,
}

impl HolderMark {
    /// `None` for a key without a secret.
    #[must_use]
    pub fn of(key: &Key, secret: &Secret<[u8; 32]>, now: DateTime<Utc>) -> Option<HolderMark> {
        let until = (now + LASTS).timestamp();
        let seal = seal(secret, key.org, key.id, until, &key.digest?);
        Some(HolderMark { org: key.org, key: key.id, until, seal })
    }

    #[must_use]
    pub fn write(&self) -> String {
        format!("{}.{}.{}.{}", self.org, self.key, self.until, self.seal)
    }

    /// Reads what may be such a mark. Nothing is proven before [`HolderMark::fits`].
    #[must_use]
    pub fn read(text: &str) -> Option<HolderMark> {
        let mut parts = text.split('.');
        let (org, key, until, seal) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || seal.len() != 64 {
            return None;
        }
        Some(HolderMark {
            org: org.parse().ok()?,
            key: key.parse().ok()?,
            until: until.parse().ok()?,
            seal: seal.to_owned(),
        })
    }

    /// Whether this server wrote it for this key as it is, and it has not ended.
    #[must_use]
    pub fn fits(&self, key: &Key, secret: &Secret<[u8; 32]>, now: DateTime<Utc>) -> bool {
        let Some(digest) = &key.digest else { return false };
        let own = (self.org, self.key) == (key.org, key.id) && self.until > now.timestamp();
        let expected = seal(secret, key.org, key.id, self.until, digest);
        own && !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(self.seal.as_bytes()))
    }
}

fn seal(secret: &Secret<[u8; 32]>, org: OrgId, key: KeyId, until: i64, digest: &Digest) -> String {
    // HMAC takes keys of any length, so this cannot fail; an empty seal fits nothing.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose()) else { return String::new() };
    // No form token is made of this: those are made of 64 hex digits alone.
    mac.update(b"holder of a key\0");
    mac.update(org.0.as_bytes());
    mac.update(key.0.as_bytes());
    mac.update(&until.to_be_bytes());
    mac.update(digest.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_fits_its_key_for_half_an_hour_and_nothing_else() {
        let (key, secret, now) = (Key::sample(), Secret::new([7; 32]), DateTime::UNIX_EPOCH);
        let mark = HolderMark::of(&key, &secret, now).expect("a mark");
        let read = HolderMark::read(&mark.write()).expect("the same mark");
        assert!(read.fits(&key, &secret, now + TimeDelta::minutes(29)));
        assert!(!read.fits(&key, &secret, now + LASTS), "it has ended");
        assert!(!read.fits(&key, &Secret::new([8; 32]), now), "another server wrote it");
        let rotated = Key { digest: Some(Digest::of("another")), ..key.clone() };
        assert!(!read.fits(&rotated, &secret, now), "the key has another secret");
        assert!(!read.fits(&Key { id: KeyId::fresh(), ..key.clone() }, &secret, now));
        let longer = HolderMark { until: read.until + 1, ..read.clone() };
        assert!(!longer.fits(&key, &secret, now), "nobody makes it last longer");
        for wrong in ["", "a.b.c.d", &format!("{}.x", mark.write()), &mark.write().replace('.', "")] {
            assert!(HolderMark::read(wrong).is_none(), "{wrong}");
        }
    }
}

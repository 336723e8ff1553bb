//! Which keys a list shows, in which order.

use crate::base::ids::{KeyId, PersonId};

/// A key that nobody used for so long may well be deleted.
pub const IDLE_DAYS: i32 = 90;
/// Longer than any name.
const MAX_SEARCH: usize = 80;

/// Parts of a list: everything, or what a hint points at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Which {
    #[default]
    All,
    Active,
    Disabled,
    Expired,
    /// Given away, and not claimed yet.
    Unclaimed,
    /// Not used for [`IDLE_DAYS`].
    Idle,
    NoLimit,
    NeverExpires,
}

impl Which {
    pub const ALL: [Which; 8] = [
        Which::All,
        Which::Active,
        Which::Disabled,
        Which::Expired,
        Which::Unclaimed,
        Which::Idle,
        Which::NoLimit,
        Which::NeverExpires,
    ];

    /// The word in the address and in the query.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Which::All => "",
            Which::Active => "active",
            Which::Disabled => "disabled",
            Which::Expired => "expired",
            Which::Unclaimed => "unclaimed",
            Which::Idle => "idle",
            Which::NoLimit => "no-limit",
            Which::NeverExpires => "never-expires",
        }
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Which::All => "All keys",
            Which::Active => "Active",
            Which::Disabled => "Disabled",
            Which::Expired => "Expired",
            Which::Unclaimed => "Not claimed",
            Which::Idle => "Idle for 90 days",
            Which::NoLimit => "Without a limit",
            Which::NeverExpires => "Never expiring",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    #[default]
    Newest,
    Name,
    LastUsed,
    MostSpent,
}

impl Order {
    pub const ALL: [Order; 4] = [Order::Newest, Order::Name, Order::LastUsed, Order::MostSpent];

    /// The word in the address.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Order::Newest => "",
            Order::Name => "name",
            Order::LastUsed => "used",
            Order::MostSpent => "spent",
        }
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Order::Newest => "Newest first",
            Order::Name => "By name",
            Order::LastUsed => "Last used first",
            Order::MostSpent => "Most spent first",
        }
    }
}

/// A list of keys of one organization.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Listing {
    /// Whose keys alone; `None` for everybody's.
    pub maker: Option<PersonId>,
    pub which: Which,
    pub order: Order,
    /// What is searched for: part of a name, or the end of a key.
    pub text: String,
    /// The key after which the page begins.
    pub after: Option<KeyId>,
}

impl Listing {
    /// Reads what an address asks for. What cannot be read counts as not said.
    #[must_use]
    pub fn read(maker: Option<PersonId>, text: &str, which: &str, order: &str, after: &str) -> Listing {
        let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_SEARCH).collect();
        Listing {
            maker,
            which: Which::ALL.into_iter().find(|one| one.word() == which).unwrap_or_default(),
            order: Order::ALL.into_iter().find(|one| one.word() == order).unwrap_or_default(),
            text: text.trim().to_owned(),
            after: after.parse().ok(),
        }
    }

    /// What is compared: of a key as lists show it, only its end.
    #[must_use]
    pub fn sought(&self) -> String {
        self.text.rsplit('…').next().unwrap_or_default().to_lowercase()
    }

    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.which != Which::All || !self.text.is_empty()
    }

    /// The address of this list from that key on, or from its beginning.
    #[must_use]
    pub fn address(&self, after: Option<KeyId>) -> String {
        let pairs = [
            ("q", self.text.clone()),
            ("show", self.which.word().to_owned()),
            ("sort", self.order.word().to_owned()),
            ("after", after.map(|key| key.to_string()).unwrap_or_default()),
        ];
        let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        match serde_urlencoded::to_string(pairs) {
            Ok(query) if !query.is_empty() => format!("/keys?{query}"),
            _ => "/keys".to_owned(),
        }
    }
}

/// The pieces of three letters of a text, as the column `pieces` has them. None of a shorter text.
#[must_use]
pub fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut found: Vec<String> = letters.windows(3).map(|piece| piece.iter().collect()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_what_it_says() {
        let after = KeyId::fresh();
        let listing = Listing::read(None, " blog & co ", "idle", "name", &after.to_string());
        assert_eq!(listing.after, Some(after));
        let address = listing.address(Some(after));
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(address.split_once('?').map_or("", |(_, query)| query)).unwrap_or_default();
        let get = |name: &str| pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        assert_eq!(Listing::read(None, get("q"), get("show"), get("sort"), get("after")), listing);
        assert_eq!(Listing::read(None, "", "odd", "odd", "odd"), Listing::default());
        assert_eq!(Listing::default().address(None), "/keys");
    }

    #[test]
    fn a_key_is_found_by_its_end_as_lists_show_it() {
        assert_eq!(Listing::read(None, "sk-fb-v1-ab12…WxyZ", "", "", "").sought(), "wxyz");
        assert_eq!(pieces("añb"), ["añb"]);
        assert_eq!(pieces("aaaa"), ["aaa"]);
        assert!(pieces("ab").is_empty());
    }
}

//! Pages for whoever holds a key or a link, without an account.

use askama::Template;

use super::common::{Amount, Badge, Fact, Field, Pager, Snippets, When};
use super::filters;
use super::keys::LimitBar;
use super::shell::PublicPage;

/// `GET /claim?token=`.
#[derive(Clone, Template)]
#[template(path = "keys/claim.html")]
pub struct Claim {
    pub page: PublicPage,
    /// It must not reach a log.
    pub token: String,
    pub org_name: String,
    /// Who gives the key.
    pub maker: String,
    pub name: String,
    pub limits: Vec<String>,
    pub expires: String,
    pub until: String,
}

/// `POST /claim`: the only time that the key is shown.
#[derive(Clone, Template)]
#[template(path = "keys/claimed.html")]
pub struct Claimed {
    pub page: PublicPage,
    /// The whole key. It must not reach a log.
    pub key: String,
    pub org_name: String,
    pub name: String,
    pub limits: Vec<String>,
    pub expires: String,
    pub base_url: String,
    pub snippets: Snippets,
}

/// What somebody is told whose link does nothing, and after one that did something.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/link_over.html")]
pub struct LinkOver {
    pub page: PublicPage,
    pub text: String,
    /// Where to go from here; both are empty for nowhere.
    pub href: String,
    pub label: String,
}

/// `GET /key` without a key: asks for one. Field: `key`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/open.html")]
pub struct Open {
    pub page: PublicPage,
    /// What is wrong with the key that was sent, which is not repeated.
    pub key: Field,
}

/// `GET /key?before=`: what the holder of a key may know of it.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "keys/holder.html")]
pub struct Holder {
    pub page: PublicPage,
    pub name: String,
    pub masked: String,
    pub org_name: String,
    pub state: Badge,
    /// Why calls are refused at the moment; empty while they are not.
    pub refused: String,
    pub limits: Vec<LimitBar>,
    pub today: Amount,
    pub week: Amount,
    pub month: Amount,
    pub total: Amount,
    /// Over all time, such as `1,204 calls`.
    pub calls_note: String,
    pub facts: Vec<Fact>,
    pub calls: Vec<HeldCall>,
    pub pager: Pager,
    pub base_url: String,
    pub snippets: Snippets,
}

/// A call made with the key.
#[derive(Clone, Debug, Default)]
pub struct HeldCall {
    pub time: When,
    pub model: String,
    pub app: String,
    /// Both are empty where nobody counted.
    pub tokens_in: String,
    pub tokens_out: String,
    pub cost: Amount,
    pub status: Badge,
}

/// `GET /alarm?token=`: asks before it stops a key.
#[derive(Clone, Template)]
#[template(path = "keys/alarm.html")]
pub struct Alarm {
    pub page: PublicPage,
    /// It must not reach a log.
    pub token: String,
    pub key_name: String,
    pub masked: String,
    pub org_name: String,
    pub hour: String,
    pub spent: Amount,
    pub usual: Amount,
    /// True when somebody has disabled it meanwhile.
    pub disabled: bool,
}

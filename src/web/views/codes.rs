//! Redemption codes.

use askama::Template;

use super::common::Field;
use super::filters;
use super::shell::Shell;

/// `GET /credits/redeem`. Fields: `id`, `code`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "topups/redeem.html")]
pub struct Redeem {
    pub shell: Shell,
    /// A fresh id, so that the same form sent twice redeems once.
    pub form_id: String,
    pub code: Field,
}

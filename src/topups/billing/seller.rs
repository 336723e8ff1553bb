//! Who runs this instance and sells its credits.

use crate::base::ids::OrgId;
use crate::web::OF_ORG;

/// As receipts name the house. Everything but the name may be empty.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seller {
    pub name: String,
    /// Lines, with line ends between.
    pub address: String,
    pub tax_id: String,
    pub email: String,
    /// Where it is reached, such as `https://ai.example.com/`.
    pub site: String,
}

impl Seller {
    /// The address of a page here; empty where it is not known where the house is reached.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        match self.site.as_str() {
            "" => String::new(),
            site => format!("{}{path}", site.trim_end_matches('/')),
        }
    }

    /// A page of one organization, whichever is open where the link is followed.
    #[must_use]
    pub fn link_of(&self, org: OrgId, path: &str) -> String {
        match self.link(path) {
            link if link.is_empty() => link,
            link => format!("{link}?{OF_ORG}={org}"),
        }
    }

    /// What stands on a receipt, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let tax = if self.tax_id.is_empty() { String::new() } else { format!("Tax id {}", self.tax_id) };
        let lines = std::iter::once(self.name.as_str())
            .chain(self.address.lines())
            .chain([tax.as_str(), self.email.as_str(), self.site.as_str()])
            .filter(|line| !line.is_empty())
            .map(str::to_owned);
        lines.collect()
    }
}

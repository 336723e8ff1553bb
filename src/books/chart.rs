//! What the accounts are.

/// The credits of all organizations, as one account of the chart.
pub const CREDITS: &str = "credits";

/// On which side an account usually stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Asset,
    Liability,
    Income,
    Cost,
}

impl Kind {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Kind::Asset => "Asset",
            Kind::Liability => "Liability",
            Kind::Income => "Income",
            Kind::Cost => "Cost",
        }
    }

    /// Assets and costs grow on the debit side.
    #[must_use]
    pub const fn is_debit(self) -> bool {
        matches!(self, Kind::Asset | Kind::Cost)
    }
}

/// The kind of an account of the chart, by its name. One that no version knows is a cost, where somebody sees it.
#[must_use]
pub fn account_kind(name: &str) -> Kind {
    match name {
        CREDITS => Kind::Liability,
        "usage_revenue" | "fee_revenue" | "byok_fee_revenue" => Kind::Income,
        other if other.starts_with("processor:") => Kind::Asset,
        _ => Kind::Cost,
    }
}

/// What an account is for, in a sentence.
#[must_use]
pub fn account_note(name: &str) -> &'static str {
    match name {
        CREDITS => "Prepaid credits of all organizations. What we owe.",
        "usage_revenue" => "Calls that were made.",
        "fee_revenue" => "Fees on purchases.",
        "byok_fee_revenue" => "Fees on calls with an organization's own upstream key.",
        "promotions" => "Credits that were given away: grants and codes.",
        "operator_loss" => "Calls that cost more than was held for them, and corrections by hand.",
        other if other.starts_with("processor:") => "What customers paid there, less what went back.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_has_its_side() {
        for (name, kind) in [
            ("credits", Kind::Liability),
            ("processor:stripe", Kind::Asset),
            ("usage_revenue", Kind::Income),
            ("fee_revenue", Kind::Income),
            ("promotions", Kind::Cost),
            ("operator_loss", Kind::Cost),
        ] {
            assert_eq!(account_kind(name), kind, "{name}");
            assert!(!account_note(name).is_empty(), "{name}");
        }
        assert!(Kind::Cost.is_debit() && Kind::Asset.is_debit());
        assert!(!Kind::Income.is_debit() && !Kind::Liability.is_debit());
    }
}

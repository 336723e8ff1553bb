//! What somebody may do in the console.

/// What somebody is to the instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StaffRole {
    /// Runs it.
    Operator,
    /// Reads everything about money, and changes nothing.
    Auditor,
}

impl StaffRole {
    pub const ALL: [StaffRole; 2] = [StaffRole::Operator, StaffRole::Auditor];

    /// Reads a stored or sent role. `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<StaffRole> {
        StaffRole::ALL.into_iter().find(|role| role.as_str() == text)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            StaffRole::Operator => "operator",
            StaffRole::Auditor => "auditor",
        }
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            StaffRole::Operator => "Operator",
            StaffRole::Auditor => "Auditor",
        }
    }

    #[must_use]
    pub const fn note(self) -> &'static str {
        match self {
            StaffRole::Operator => "Everything, grants and corrections included",
            StaffRole::Auditor => "Reads everything about money, changes nothing",
        }
    }
}

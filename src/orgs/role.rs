//! Who may do what: one table, which the code reads and the page of members shows.

/// What somebody is in an organization.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Owner,
    Admin,
    Billing,
    Member,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Owner, Role::Admin, Role::Billing, Role::Member];

    /// Reads a stored or sent role. `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Billing => "billing",
            Role::Member => "member",
        }
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Role::Owner => "Owner",
            Role::Admin => "Admin",
            Role::Billing => "Billing",
            Role::Member => "Member",
        }
    }

    /// A few words for a form that offers it.
    #[must_use]
    pub const fn note(self) -> &'static str {
        match self {
            Role::Owner => "Everything, the end of the organization included",
            Role::Admin => "All but ownership and deletion",
            Role::Billing => "Credits, activity and the audit log; no keys",
            Role::Member => "Own keys and own activity",
        }
    }

    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        TABLE.iter().any(|row| row.permission == permission && row.roles.contains(&self))
    }
}

/// Something that not everybody in an organization may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permission {
    /// Make keys, and see and stop one's own.
    UseKeys,
    ManageAllKeys,
    SeeOwnActivity,
    SeeAllActivity,
    /// The balance page, payments, receipts, buying and moving credits.
    HandleCredits,
    SeeAuditLog,
    ManageMembers,
    ManageSettings,
    /// Making owners and unmaking them, and the end of the organization.
    Own,
}

/// A permission, what the page calls it, and who has it.
pub struct Row {
    pub permission: Permission,
    pub label: &'static str,
    pub roles: &'static [Role],
}

const fn row(permission: Permission, label: &'static str, roles: &'static [Role]) -> Row {
    Row { permission, label, roles }
}

/// The one place that says who may do what.
pub const TABLE: &[Row] = {
    use Role::{Admin, Billing, Member, Owner};
    &[
        row(Permission::UseKeys, "Make keys, see and stop their own", &[Owner, Admin, Member]),
        row(Permission::SeeOwnActivity, "See their own calls", &[Owner, Admin, Billing, Member]),
        row(Permission::SeeAllActivity, "See everybody’s calls", &[Owner, Admin, Billing]),
        row(Permission::ManageAllKeys, "See and stop everybody’s keys", &[Owner, Admin]),
        row(Permission::HandleCredits, "Add credits, see payments and receipts", &[Owner, Admin, Billing]),
        row(Permission::SeeAuditLog, "Read and export the audit log", &[Owner, Admin, Billing]),
        row(Permission::ManageMembers, "Invite and remove people, set roles and spend caps", &[Owner, Admin]),
        row(Permission::ManageSettings, "Change the organization’s settings", &[Owner, Admin]),
        row(Permission::Own, "Make owners, transfer ownership, delete the organization", &[Owner]),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_may_everything_and_the_others_less() {
        for row in TABLE {
            assert!(Role::Owner.may(row.permission), "{:?}", row.permission);
            assert_eq!(TABLE.iter().filter(|other| other.permission == row.permission).count(), 1);
        }
        assert!(!Role::Admin.may(Permission::Own) && Role::Admin.may(Permission::ManageMembers));
        assert!(!Role::Billing.may(Permission::UseKeys) && Role::Billing.may(Permission::HandleCredits));
        assert!(Role::Member.may(Permission::UseKeys) && !Role::Member.may(Permission::SeeAllActivity));
    }

    #[test]
    fn a_role_reads_back_and_nothing_else_does() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!(Role::parse("Owner"), None);
        assert_eq!(Role::parse(""), None);
    }
}

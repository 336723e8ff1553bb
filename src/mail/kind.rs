//! Every kind of mail in one table, and what becomes of each: somebody may choose, or it is always sent, and why.

use crate::base::coded;

/// Why a mail cannot be switched off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Always {
    /// Somebody asked for it a moment ago, or was asked by it.
    Asked,
    /// It tells of the account's own security.
    Account,
    /// It tells of a key that may do harm.
    Keys,
    /// It tells of somebody's place in an organization, or of its end.
    Place,
    /// For whoever runs the instance.
    House,
}

impl Always {
    /// What people are shown of; the last is none of theirs.
    pub const SHOWN: [Always; 4] = [Always::Account, Always::Keys, Always::Place, Always::Asked];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Always::Asked => "Links and invitations",
            Always::Account => "Security of your account",
            Always::Keys => "Keys in danger",
            Always::Place => "Your place in an organization",
            Always::House => "For whoever runs this instance",
        }
    }

    /// What is in it.
    #[must_use]
    pub const fn note(self) -> &'static str {
        match self {
            Always::Asked => "Confirming an address, setting a new password, an invitation.",
            Always::Account => {
                "A new sign-in, a new password, two-factor sign-in, passkeys, linked accounts, another address, deletion."
            }
            Always::Keys => "A key was published, spends far beyond its habit, or all keys were stopped.",
            Always::Place => "Another role, removal, a new owner, the end of the organization.",
            Always::House => "The daily anchor of the audit logs.",
        }
    }

    /// Why it is always sent.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Always::Asked => "Without it there is no way on.",
            Always::Account => {
                "If it was not you, this mail is how you hear of it. Whoever got in must not silence it."
            }
            Always::Keys => "Money can be lost within minutes.",
            Always::Place => "It changes what you may do, and there is no other way to hear of it.",
            Always::House => "The operator set it up.",
        }
    }
}

/// What people choose about, each a switch of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Topic {
    LowBalance,
    Limit,
    AutoTopup,
    Receipt,
    Refunds,
    KeyCreated,
    WeeklySummary,
    Webhooks,
}

impl Topic {
    pub const ALL: [Topic; 8] = [
        Topic::LowBalance,
        Topic::AutoTopup,
        Topic::Receipt,
        Topic::Refunds,
        Topic::Limit,
        Topic::KeyCreated,
        Topic::WeeklySummary,
        Topic::Webhooks,
    ];

    /// Its stored name; once written it never changes its meaning.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Topic::LowBalance => "low_balance",
            Topic::Limit => "limit",
            Topic::AutoTopup => "auto_topup",
            Topic::Receipt => "receipt",
            Topic::Refunds => "refunds",
            Topic::KeyCreated => "key_created",
            Topic::WeeklySummary => "weekly_summary",
            Topic::Webhooks => "webhooks",
        }
    }

    #[must_use]
    pub fn parse(code: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.code() == code)
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Topic::LowBalance => "Low balance",
            Topic::Limit => "Limit at 80 and 100%",
            Topic::AutoTopup => "Auto top-up",
            Topic::Receipt => "Receipts",
            Topic::Refunds => "Refunds and disputes",
            Topic::KeyCreated => "New keys",
            Topic::WeeklySummary => "Weekly summary",
            Topic::Webhooks => "Webhooks that fail",
        }
    }

    /// When it is sent.
    #[must_use]
    pub const fn note(self) -> &'static str {
        match self {
            Topic::LowBalance => "Credits fell below the amount of the alert; once for each time.",
            Topic::Limit => {
                "A key or a member’s spend cap used 80% of its limit, and when it is used up; once for each day, week or month."
            }
            Topic::AutoTopup => {
                "A charge failed, it was switched off or reached a cap, or a bank wants a payment confirmed."
            }
            Topic::Receipt => "A payment came in.",
            Topic::Refunds => {
                "A payment went back or could not, its bank contests it, or has decided; with what that did to the credits."
            }
            Topic::KeyCreated => "Somebody made a key. Keys that programs make are not told of.",
            Topic::WeeklySummary => {
                "On Mondays: what came in, what was spent on what, and what is left. Not after a week without calls."
            }
            Topic::Webhooks => "An address did not take messages for days and was switched off.",
        }
    }
}

/// What decides whether a mail of a kind is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    Always(Always),
    /// Its readers are those whom `notices::readers` names.
    Chosen(Topic),
}

coded! {
    /// A kind of mail. Its code is stored with the mail.
    Kind: Sent;

    VerifyEmail = "verify_email", Sent::Always(Always::Asked);
    Recover = "recover", Sent::Always(Always::Asked);
    ConfirmEmail = "confirm_email", Sent::Always(Always::Asked);
    Invitation = "invitation", Sent::Always(Always::Asked);
    AlreadyRegistered = "already_registered", Sent::Always(Always::Account);
    EmailChanged = "email_changed", Sent::Always(Always::Account);
    AddressIsTaken = "address_is_taken", Sent::Always(Always::Account);
    IdentityLinked = "identity_linked", Sent::Always(Always::Account);
    IdentityUnlinked = "identity_unlinked", Sent::Always(Always::Account);
    PasswordChanged = "password_changed", Sent::Always(Always::Account);
    PasswordReset = "password_reset", Sent::Always(Always::Account);
    NewDevice = "new_device", Sent::Always(Always::Account);
    SecondFactorGuessed = "second_factor_guessed", Sent::Always(Always::Account);
    TwoFactorOn = "two_factor_on", Sent::Always(Always::Account);
    TwoFactorOff = "two_factor_off", Sent::Always(Always::Account);
    PasskeyAdded = "passkey_added", Sent::Always(Always::Account);
    PasskeyRemoved = "passkey_removed", Sent::Always(Always::Account);
    AccountLeaving = "account_leaving", Sent::Always(Always::Account);
    RoleChanged = "role_changed", Sent::Always(Always::Place);
    Removed = "removed", Sent::Always(Always::Place);
    OwnershipTransferred = "ownership_transferred", Sent::Always(Always::Place);
    WillBeDeleted = "will_be_deleted", Sent::Always(Always::Place);
    KeysWillStop = "keys_will_stop", Sent::Always(Always::Keys);
    KeysSwitched = "keys_switched", Sent::Always(Always::Keys);
    KeyUnusual = "key_unusual", Sent::Always(Always::Keys);
    KeyLeaked = "key_leaked", Sent::Always(Always::Keys);
    AuditAnchor = "audit_anchor", Sent::Always(Always::House);
    LowBalance = "low_balance", Sent::Chosen(Topic::LowBalance);
    LimitNear = "limit_near", Sent::Chosen(Topic::Limit);
    LimitReached = "limit_reached", Sent::Chosen(Topic::Limit);
    AutoTopupFailed = "auto_topup_failed", Sent::Chosen(Topic::AutoTopup);
    AutoTopupStopped = "auto_topup_stopped", Sent::Chosen(Topic::AutoTopup);
    AutoTopupCapped = "auto_topup_capped", Sent::Chosen(Topic::AutoTopup);
    AutoTopupConfirm = "auto_topup_confirm", Sent::Chosen(Topic::AutoTopup);
    Receipt = "receipt", Sent::Chosen(Topic::Receipt);
    RefundSucceeded = "refund_succeeded", Sent::Chosen(Topic::Refunds);
    RefundFailed = "refund_failed", Sent::Chosen(Topic::Refunds);
    DisputeOpened = "dispute_opened", Sent::Chosen(Topic::Refunds);
    DisputeWon = "dispute_won", Sent::Chosen(Topic::Refunds);
    DisputeLost = "dispute_lost", Sent::Chosen(Topic::Refunds);
    KeyCreated = "key_created", Sent::Chosen(Topic::KeyCreated);
    WeeklySummary = "weekly_summary", Sent::Chosen(Topic::WeeklySummary);
    WebhookOff = "webhook_off", Sent::Chosen(Topic::Webhooks);
}

impl Kind {
    #[must_use]
    pub const fn sent(self) -> Sent {
        self.fact()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_has_its_own_code_and_every_topic_a_mail() {
        let codes: HashSet<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
        for topic in Topic::ALL {
            assert_eq!(Topic::parse(topic.code()), Some(topic));
            assert!(Kind::ALL.iter().any(|kind| kind.sent() == Sent::Chosen(topic)), "{topic:?}");
        }
        for always in Always::SHOWN {
            assert!(Kind::ALL.iter().any(|kind| kind.sent() == Sent::Always(always)), "{always:?}");
        }
    }
}

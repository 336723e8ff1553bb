//! What can be done, as the log names it.

use crate::base::coded;

coded! {
    /// Something that was done. Its code is stored, its label is shown.
    Action: &'static str;

    SignedUp = "account.signed_up", "Signed up";
    SignedIn = "account.signed_in", "Signed in";
    SignInFailed = "account.sign_in_failed", "Failed to sign in";
    SignedOut = "account.signed_out", "Signed out";
    SessionEnded = "account.session_ended", "Signed out a device";
    SessionsEnded = "account.sessions_ended", "Signed out everywhere";
    SteppedUp = "account.stepped_up", "Confirmed who they are";
    EmailVerified = "account.email_verified", "Proved the e-mail address";
    EmailChangeAsked = "account.email_change_asked", "Asked to change the e-mail address";
    EmailChanged = "account.email_changed", "Changed the e-mail address";
    EmailReverted = "account.email_reverted", "Took the change of the e-mail address back";
    PasswordChanged = "account.password_changed", "Changed the password";
    PasswordReset = "account.password_reset", "Set a new password by mail";
    IdentityLinked = "account.identity_linked", "Linked a way to sign in";
    IdentityUnlinked = "account.identity_unlinked", "Unlinked a way to sign in";
    TwoFactorOn = "account.two_factor_on", "Switched two-factor sign-in on";
    TwoFactorOff = "account.two_factor_off", "Switched two-factor sign-in off";
    RecoveryCodesMade = "account.recovery_codes_made", "Made new recovery codes";
    RecoveryCodeUsed = "account.recovery_code_used", "Used a recovery code";
    PasskeyAdded = "account.passkey_added", "Added a passkey";
    PasskeyRemoved = "account.passkey_removed", "Removed a passkey";
    ProfileChanged = "account.profile_changed", "Changed the profile";
    PictureChanged = "account.picture_changed", "Changed their picture";
    DeletionAsked = "account.deletion_asked", "Asked to delete the account";
    DeletionUndone = "account.deletion_undone", "Kept the account";
    AccountErased = "account.erased", "The account was erased";
    OrgFrozen = "organization.frozen", "Froze the organization";
    OrgUnfrozen = "organization.unfrozen", "Let a frozen organization go on";
    OrgLookedAt = "organization.looked_at", "Looked at the organization as its owner sees it";
    OrgLookEnded = "organization.look_ended", "Stopped looking at the organization";
    OrgCreated = "organization.created", "Created the organization";
    OrgRenamed = "organization.renamed", "Renamed the organization";
    OrgAvatarChanged = "organization.avatar_changed", "Changed the organization's picture";
    OrgDeletionAsked = "organization.deletion_asked", "Asked to delete the organization";
    OrgDeletionUndone = "organization.deletion_undone", "Kept the organization";
    OrgDeleted = "organization.deleted", "The organization was deleted";
    LogExported = "organization.log_exported", "Exported the audit log";
    OwnershipTransferred = "organization.ownership_transferred", "Transferred ownership";
    MemberInvited = "member.invited", "Invited somebody";
    InvitationResent = "member.invitation_resent", "Sent an invitation again";
    InvitationRevoked = "member.invitation_revoked", "Revoked an invitation";
    InvitationDeclined = "member.invitation_declined", "Declined an invitation";
    MemberJoined = "member.joined", "Joined";
    RoleChanged = "member.role_changed", "Changed a role";
    CapChanged = "member.cap_changed", "Changed a member's spend cap";
    MemberRemoved = "member.removed", "Removed a member";
    MemberLeft = "member.left", "Left";
    CreditsMoved = "credits.moved", "Moved credits";
    CreditsGranted = "credits.granted", "Granted credits";
    TopupStarted = "credits.topup_started", "Started a top-up";
    TopupPaid = "credits.topup_paid", "A top-up was paid";
    RefundAsked = "credits.refund_asked", "Asked for a refund";
    RefundEnded = "credits.refund_ended", "A refund ended";
    DisputeChanged = "credits.dispute_changed", "A dispute changed";
    FraudWarned = "credits.fraud_warned", "A payment was reported as fraud";
    PaymentMethodSaved = "credits.payment_method_saved", "Saved a payment method";
    PaymentMethodDefault = "credits.payment_method_default", "Chose the default payment method";
    PaymentMethodRemoved = "credits.payment_method_removed", "Removed a payment method";
    AutoTopupChanged = "credits.auto_topup_changed", "Changed auto top-up";
    AutoTopupStopped = "credits.auto_topup_stopped", "Auto top-up was switched off";
    AlertChanged = "credits.alert_changed", "Changed the low-balance alert";
    CodeRedeemed = "credits.code_redeemed", "Redeemed a code";
    BillingChanged = "credits.billing_changed", "Changed the billing details";
    KeyCreated = "key.created", "Created a key";
    KeyDisabled = "key.disabled", "Disabled a key";
    KeyEnabled = "key.enabled", "Enabled a key";
    KeyDeleted = "key.deleted", "Deleted a key";
    KeyLeaked = "key.leaked", "A published key was stopped";
    AppConsented = "key.app_consented", "Let an app have a key";
    KeyChanged = "key.changed", "Changed a key";
    KeyRotated = "key.rotated", "Gave a key another secret";
    KeyOffered = "key.offered", "Made a link to claim a key";
    KeyOfferRevoked = "key.offer_revoked", "Revoked a link to claim a key";
    KeyClaimed = "key.claimed", "A key was claimed";
    KeysStopped = "key.all_stopped", "Stopped all keys";
    KeysResumed = "key.all_resumed", "Let all keys go on";
    KeySpendUnusual = "key.spend_unusual", "A key spent far more than usual";
    PreferencesChanged = "settings.preferences_changed", "Changed the routing settings";
    PrivacyChanged = "settings.privacy_changed", "Changed the privacy settings";
    TextsDeleted = "settings.texts_deleted", "Deleted the stored texts of calls";
    ProviderKeyConnected = "provider_key.connected", "Connected a provider account";
    ProviderKeyReplaced = "provider_key.replaced", "Replaced the key of a provider account";
    ProviderKeyChanged = "provider_key.changed", "Changed how a provider account is used";
    ProviderKeyDisconnected = "provider_key.disconnected", "Disconnected a provider account";
    NoticesChanged = "settings.notices_changed", "Changed who gets which mails";
    WebhookAdded = "webhook.added", "Added a webhook";
    WebhookChanged = "webhook.changed", "Changed a webhook";
    WebhookRotated = "webhook.rotated", "Gave a webhook another secret";
    WebhookEnabled = "webhook.enabled", "Switched a webhook on";
    WebhookDisabled = "webhook.disabled", "Switched a webhook off";
    WebhookDeleted = "webhook.deleted", "Deleted a webhook";
    WebhookSentAgain = "webhook.sent_again", "Sent a webhook message again";
    UsageKept = "settings.usage_kept", "Changed how long calls are kept";
    PresetCreated = "preset.created", "Created a preset";
    PresetChanged = "preset.changed", "Changed a preset";
    PresetRolledBack = "preset.rolled_back", "Rolled a preset back";
    PresetArchived = "preset.archived", "Archived a preset";
    PresetRestored = "preset.restored", "Took an archived preset back";
    CreditsCorrected = "credits.corrected", "Corrected credits by hand";
    AdjustmentAsked = "house.adjustment_asked", "Asked a second operator to agree";
    AdjustmentEnded = "house.adjustment_ended", "Ended a grant or correction without booking it";
    ConfirmationAsked = "house.confirmation_asked", "Asked a second operator to confirm something";
    ConfirmationGiven = "house.confirmation_given", "Confirmed what another operator asked for";
    ConfirmationEnded = "house.confirmation_ended", "Ended what waited for a second operator";
    PersonSignedOut = "house.person_signed_out", "Signed somebody out everywhere";
    PersonFrozen = "house.person_frozen", "Froze an account";
    PersonUnfrozen = "house.person_unfrozen", "Let a frozen account go on";
    BooksClosed = "house.books_closed", "The books of a day were closed";
    StaffChanged = "house.staff_changed", "Changed who runs this instance";
    MailRetried = "house.mail_retried", "Put a mail back that was given up";
    JobRetried = "house.job_retried", "Let a job try again";
    UpstreamKeySet = "house.upstream_key_set", "Stored an upstream key";
    AnnouncementMade = "house.announcement_made", "Announced something to everybody";
    AnnouncementEnded = "house.announcement_ended", "Took an announcement back";
    PriceListUploaded = "house.price_list_uploaded", "Uploaded a price list";
    FeesChanged = "house.fees_changed", "Changed the fees on purchases";
    SignUpChanged = "house.sign_up_changed", "Changed who may sign up";
    CodesMade = "house.codes_made", "Made redemption codes";
    CodesRevoked = "house.codes_revoked", "Revoked redemption codes";
    OperatorMade = "house.operator_made", "Made an operator";
    CatalogApplied = "house.catalog_applied", "Changed the catalog";
}

impl Action {
    #[must_use]
    pub const fn label(self) -> &'static str {
        self.fact()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_own() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.code()), Some(*action));
        }
        assert_eq!(Action::parse("account.unheard_of"), None);
    }
}

//! Organizations and the people in them.

use askama::Template;

use super::common::{Amount, Badge, Choice, Field, Meter, Pager, When};
use super::filters;
use super::shell::{PublicPage, Shell};

/// `GET /organizations/new`. Fields: `id`, `name`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "teams/new.html")]
pub struct New {
    pub shell: Shell,
    /// The id that the organization will have, so that the same form sent twice makes one.
    pub form_id: String,
    pub name: Field,
}

/// Who may do what, as a table.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    pub names: Vec<String>,
    pub rows: Vec<RoleRow>,
}

/// One permission, and whether each role has it.
#[derive(Clone, Debug, Default)]
pub struct RoleRow {
    pub label: String,
    pub has: Vec<bool>,
}

/// `GET /settings/organization`. Field: `name`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "teams/organization.html")]
pub struct Organization {
    pub shell: Shell,
    pub name: Field,
    pub id: String,
    pub role: String,
    pub role_note: String,
    pub is_team: bool,
    pub may_rename: bool,
    /// Why the last upload was not taken; empty otherwise.
    pub picture_error: String,
    pub may_leave: bool,
    pub may_delete: bool,
    pub roles: Roles,
}

/// `GET /settings/organization/delete`. Field: `name`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "teams/delete.html")]
pub struct Delete {
    pub shell: Shell,
    pub name: String,
    pub credits: Amount,
    pub keys: String,
    pub members: String,
    /// Purchases that may still be paid.
    pub pending: Vec<String>,
    pub typed: Field,
}

/// `GET /settings/members`, and a wrong invitation. Fields: `email`, `role`, `lasts`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "teams/members.html")]
pub struct Members {
    pub shell: Shell,
    /// What was looked for among the members.
    pub search: String,
    pub members: Vec<MemberRow>,
    pub pager: Pager,
    pub invitations: Vec<InvitationRow>,
    pub invitations_pager: Pager,
    pub email: Field,
    pub role_choices: Vec<Choice>,
    pub lasts_choices: Vec<Choice>,
    pub roles: Roles,
}

/// Somebody in the list of members.
#[derive(Clone, Debug, Default)]
pub struct MemberRow {
    pub name: String,
    pub email: String,
    pub href: String,
    pub you: bool,
    pub role: String,
    pub joined: When,
    /// What was used of the spend cap; `None` without one.
    pub meter: Option<Meter>,
    pub used: Amount,
    pub keys: String,
}

/// An invitation that nobody has answered.
#[derive(Clone, Debug, Default)]
pub struct InvitationRow {
    pub id: String,
    pub email: String,
    pub role: String,
    pub by: String,
    pub sent: When,
    pub expires: When,
    /// False for a minute after the last mail, and when there were too many.
    pub may_resend: bool,
}

/// `GET /settings/members/{person}`. Fields: `role`; `total`, `day`, `week`, `month`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "teams/member.html")]
pub struct Member {
    pub shell: Shell,
    pub href: String,
    pub email: String,
    pub joined: When,
    pub used: Amount,
    pub meter: Option<Meter>,
    pub keys: String,
    pub you: bool,
    /// Empty when the role cannot be changed; then `role_why` says why.
    pub role_choices: Vec<Choice>,
    pub role_why: String,
    pub may_cap: bool,
    pub total: Field,
    pub day: Field,
    pub week: Field,
    pub month: Field,
    pub may_remove: bool,
    pub may_transfer: bool,
}

/// `GET /settings/members/{person}/remove`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "teams/remove.html")]
pub struct Remove {
    pub shell: Shell,
    pub href: String,
    pub name: String,
    pub email: String,
    pub org_name: String,
    pub keys: String,
}

/// `GET /settings/members/{person}/transfer`. Field: `name`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "teams/transfer.html")]
pub struct Transfer {
    pub shell: Shell,
    pub href: String,
    pub name: String,
    pub email: String,
    pub org_name: String,
    pub typed: Field,
}

/// `GET /invitations?token=`: what an invitation says, and what may be done with it.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "teams/invitation.html")]
pub struct Invitation {
    pub page: PublicPage,
    pub token: String,
    pub state: InvitationState,
    pub org_name: String,
    pub inviter: String,
    pub role: String,
    pub role_note: String,
    pub expires: String,
    /// Who is signed in; empty for nobody.
    pub signed_in_as: String,
    /// The invited address, all but its first letter hidden.
    pub invited: String,
    /// The addresses to sign in and to sign up at, and come back from.
    pub sign_in_href: String,
}

/// In which of its states an invitation is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InvitationState {
    /// Used, revoked, too old, or never there.
    #[default]
    Over,
    /// Nobody is signed in.
    Stranger,
    /// Somebody else is signed in.
    OtherAccount,
    /// Whom it is for.
    Theirs,
    /// They declined a moment ago.
    Declined,
}

/// `GET /credits/move`. Fields: `id`, `amount`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "teams/move.html")]
pub struct MoveCredits {
    pub shell: Shell,
    pub form_id: String,
    pub from_name: String,
    pub from_available: Amount,
    pub to_name: String,
    pub amount: Field,
}

/// `GET /settings/audit?action=&person=&from=&until=&before=`.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "teams/audit.html")]
pub struct Audit {
    pub shell: Shell,
    pub actions: Vec<Choice>,
    pub people: Vec<Choice>,
    pub from: Field,
    pub until: Field,
    /// A day cannot be read, so nothing was looked for.
    pub refused: bool,
    pub filtered: bool,
    pub entries: Vec<AuditRow>,
    pub csv_href: String,
    pub json_href: String,
    /// Such as `10,000`.
    pub export_most: String,
    pub pager: Pager,
}

/// An entry of the log.
#[derive(Clone, Debug, Default)]
pub struct AuditRow {
    pub time: When,
    pub actor: String,
    pub action: Badge,
    pub target: String,
    /// What changed, one line each, such as `role: member → admin`.
    pub changes: Vec<String>,
    pub origin: String,
}

//! A tenant: what owns credits, keys and calls. Every person has a personal organization, and may be in others.
//!
//! What is always true here:
//! - An organization has a credit account from its first moment, and every member has a meter in it. Whoever leaves
//!   and comes back gets the same meter.
//! - Who may do what stands in one table, [`role::TABLE`]. A handler asks for a proof of it ([`extract`]), and a change
//!   looks at the role again under the lock of the organization ([`Acting`]).
//! - An organization for several people has at least one owner. A personal one has one person for good.
//! - An invitation is bound to its address, works once, and is stored as the digest of its token. It ends with the right of
//!   who sent it to invite.

mod acting;
mod create;
mod enter;
mod invitation;
mod invite;
mod join;
mod move_credits;
mod org;
mod store;

pub mod account;
pub mod extract;
pub mod mails;
pub mod pages;
pub mod role;
pub mod security;
pub mod ways;

pub use acting::{Acting, Locked, OrgError};
pub use create::{close, create, open, rename};
pub use enter::enter_personal;
pub use extract::{Billing, KeyManager, KeyUser, Manager, Member, Myself, Owner, SettingsEditor};
pub use invitation::{Invitation, Lasts, MAX_RESENDS};
pub use invite::{count_mail, invite, resend, resends_to, revoke, revoke_all_of};
pub use join::{accept, decline, invitation_of, is_for, waiting_for};
pub use move_credits::{MoveError, move_credits};
pub use org::{MAX_MEMBERS, MemberRow, Org, OrgName, UNDO_FOR};
pub use role::{Permission, Role};
pub use store::{
    as_guest, ask_deletion, count_invitations, count_members, count_owners, delete_membership, end_look, erase,
    find_org, hold_role, is_due, is_gone, is_invited, is_leaving, is_open, lock_org, made_at, member_meter,
    member_page, member_row, member_rows, members, members_from, open_invitations, org_names, orgs_of, put_away,
    set_frozen, set_keys_stopped, set_role, start_look, undo_deletion,
};

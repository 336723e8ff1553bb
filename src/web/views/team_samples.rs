//! Samples of the pages of organizations.

use super::samples::{Sample, public, push, shell, usd, when};
use super::teams::*;
use super::{Badge, Choice, Field, Meter, Pager};

fn roles() -> Roles {
    let row = |label: &str, has: [bool; 4]| RoleRow { label: label.into(), has: has.to_vec() };
    Roles {
        names: ["Owner", "Admin", "Billing", "Member"].map(str::to_owned).to_vec(),
        rows: vec![
            row("Make keys, see and stop their own", [true, true, false, true]),
            row("Add credits, see payments and receipts", [true, true, true, false]),
            row("Make owners, transfer ownership, delete the organization", [true, false, false, false]),
        ],
    }
}

fn choices() -> Vec<Choice> {
    vec![
        Choice::new("member", "Member", "Own keys and own activity", true),
        Choice::new("billing", "Billing", "Credits, activity and the audit log; no keys", false),
        Choice::new("admin", "Admin", "All but ownership and deletion", false),
    ]
}

fn meter() -> Meter {
    Meter {
        used: usd("$18.20"),
        limit: usd("$20.00"),
        percent: 91,
        note: "Starts again Mon 30 Nov, 00:00 UTC".into(),
        label: "Part of the weekly limit used by Grace Hopper".into(),
    }
}

/// Every page of organizations, some in several states.
pub fn push_all(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    people(theme, out)?;
    let new =
        New { shell: shell(theme, "", "Create an organization", ""), form_id: "org_9".into(), name: Field::default() };
    push(out, "organization_new", &new)?;
    let organization = Organization {
        shell: shell(theme, "organization", "Organization", "What it is called, what you are in it, and its end."),
        name: Field::of("Northwind Studio"),
        id: "org_2".into(),
        role: "Owner".into(),
        role_note: "Everything, the end of the organization included".into(),
        is_team: true,
        may_rename: true,
        picture_error: String::new(),
        may_leave: false,
        may_delete: true,
        roles: roles(),
    };
    push(out, "organization", &organization)?;
    let personal = Organization { is_team: false, may_leave: false, ..organization };
    push(out, "organization_personal", &personal)?;
    let delete = Delete {
        shell: shell(theme, "organization", "Delete Northwind Studio", ""),
        name: "Northwind Studio".into(),
        credits: usd("$112.40"),
        keys: "6".into(),
        members: "4".into(),
        pending: vec!["$20.00 by Card, begun 22 Nov 2026, 14:03 UTC".into()],
        typed: Field::wrong("Northwind", "This is not the name. Nothing was deleted."),
    };
    push(out, "organization_delete", &delete)?;
    let moving = MoveCredits {
        shell: shell(theme, "credits", "Move credits", "From your personal organization to Northwind Studio."),
        form_id: "mov_1".into(),
        from_name: "Ada Martin".into(),
        from_available: usd("$40.00"),
        to_name: "Northwind Studio".into(),
        amount: Field::wrong("50", "Your personal organization has less than that free. Nothing was moved."),
    };
    push(out, "credits_move", &moving)?;
    audit(theme, out)?;
    invitations(theme, out)
}

fn people(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let row = |name: &str, email: &str, role: &str, meter: Option<Meter>| MemberRow {
        name: name.into(),
        email: email.into(),
        href: "/settings/members/usr_1".into(),
        you: role == "Owner",
        role: role.into(),
        joined: when("3 days ago"),
        meter,
        used: usd("$3.10"),
        keys: "2".into(),
    };
    let members = Members {
        shell: shell(
            theme,
            "members",
            "Members",
            "Who shares this balance, what they may do, and what they may spend.",
        ),
        search: String::new(),
        pager: Pager {
            older_href: Some("/settings/members?after=usr_1".into()),
            newest_href: None,
            note: "50 of 312 members".into(),
            by_name: true,
        },
        invitations_pager: Pager { note: "1 open invitation".into(), ..Pager::default() },
        members: vec![
            row("Ada Martin", "ada@northwind.example", "Owner", None),
            row("Grace Hopper", "grace@northwind.example", "Member", Some(meter())),
        ],
        invitations: vec![InvitationRow {
            id: "inv_1".into(),
            email: "katherine@northwind.example".into(),
            role: "Billing".into(),
            by: "Ada Martin".into(),
            sent: when("4 min ago"),
            expires: when("29 Nov"),
            may_resend: true,
        }],
        email: Field::wrong("grace@", "This is not an e-mail address. Nothing was sent."),
        role_choices: choices(),
        lasts_choices: vec![Choice::new("7", "7 days", "", true), Choice::new("30", "30 days", "", false)],
        roles: roles(),
    };
    push(out, "members", &members)?;
    push(out, "members_alone", &Members { invitations: Vec::new(), email: Field::default(), ..members })?;
    let member = Member {
        shell: shell(theme, "members", "Grace Hopper", ""),
        href: "/settings/members/usr_1".into(),
        email: "grace@northwind.example".into(),
        joined: when("3 days ago"),
        used: usd("$18.20"),
        meter: Some(meter()),
        keys: "2".into(),
        you: false,
        role_choices: choices(),
        role_why: String::new(),
        may_cap: true,
        total: Field::default(),
        day: Field::wrong("a lot", "This is not an amount. Nothing was saved."),
        week: Field::of("20"),
        month: Field::default(),
        may_remove: true,
        may_transfer: true,
    };
    push(out, "member", &member)?;
    let name = || "Grace Hopper".to_owned();
    let email = || "grace@northwind.example".to_owned();
    let remove = Remove {
        shell: shell(theme, "members", "Remove Grace Hopper", ""),
        href: "/settings/members/usr_1".into(),
        name: name(),
        email: email(),
        org_name: "Northwind Studio".into(),
        keys: "2".into(),
    };
    push(out, "member_remove", &remove)?;
    let transfer = Transfer {
        shell: shell(theme, "members", "Make Grace Hopper the owner", ""),
        href: "/settings/members/usr_1".into(),
        name: name(),
        email: email(),
        org_name: "Northwind Studio".into(),
        typed: Field::default(),
    };
    push(out, "member_transfer", &transfer)
}

fn audit(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let row = |actor: &str, action: &str, target: &str, changes: &[&str]| AuditRow {
        time: when("3 min ago"),
        actor: actor.into(),
        action: Badge::new("", "", action),
        target: target.into(),
        changes: changes.iter().map(|line| (*line).to_owned()).collect(),
        origin: "203.0.113.7".into(),
    };
    let audit = Audit {
        refused: false,
        shell: shell(theme, "audit", "Audit log", "Who did what here. Entries are never changed or taken out."),
        actions: vec![Choice::new("", "Everything", "", true), Choice::new("key", "Keys", "", false)],
        people: vec![Choice::new("", "Everybody", "", true)],
        from: Field::of("2026-11-01"),
        until: Field::default(),
        filtered: true,
        entries: vec![
            row("Ada Martin", "Changed a role", "Grace Hopper", &["role: member → admin"]),
            row("Farebox", "Invited somebody", "katherine@northwind.example", &["role: billing"]),
        ],
        csv_href: "/settings/audit/export?format=csv".into(),
        json_href: "/settings/audit/export?format=json".into(),
        export_most: "10,000".into(),
        pager: Pager::default(),
    };
    push(out, "audit", &audit)?;
    push(out, "audit_empty", &Audit { entries: Vec::new(), ..audit })
}

fn invitations(theme: &str, out: &mut Vec<Sample>) -> askama::Result<()> {
    let page = |state: InvitationState| Invitation {
        page: public(theme, "Join Northwind Studio"),
        token: "0".repeat(64),
        state,
        org_name: "Northwind Studio".into(),
        inviter: "Ada Martin".into(),
        role: "Member".into(),
        role_note: "Own keys and own activity".into(),
        expires: "29 Nov 2026, 14:03 UTC".into(),
        signed_in_as: "grace@northwind.example".into(),
        invited: "g…@northwind.example".into(),
        sign_in_href: "/sign-in?next=%2Finvitations".into(),
    };
    push(out, "invitation", &page(InvitationState::Theirs))?;
    push(out, "invitation_stranger", &page(InvitationState::Stranger))?;
    push(out, "invitation_other", &page(InvitationState::OtherAccount))?;
    push(out, "invitation_declined", &page(InvitationState::Declined))?;
    push(out, "invitation_over", &page(InvitationState::Over))
}

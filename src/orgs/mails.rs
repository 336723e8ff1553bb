//! What people are mailed about organizations. Each mail is written in the transaction of what it tells of.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::invitation::Invitation;
use super::org::MemberRow;
use super::role::Role;
use crate::accounts::{Links, Person};
use crate::base::Secret;
use crate::base::ids::{MailId, OrgId};
use crate::base::{EmailAddress, Viewer};
use crate::mail::{self, About, Kind, NewMail};
use crate::web::views::emails::{self, NoticeMail};

/// Writes a notice to somebody, once for each event.
///
/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn write(
    conn: &mut PgConnection,
    event: String,
    kind: Kind,
    to: &str,
    notice: &NoticeMail,
    about: About,
) -> anyhow::Result<()> {
    let to = EmailAddress::parse(to)?;
    let mail = emails::notice(notice)?;
    let new = NewMail { event, kind, to, subject: mail.subject, text: mail.text, html: mail.html, about };
    Ok(mail::enqueue(conn, new).await?)
}

/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn invitation(
    conn: &mut PgConnection,
    links: &Links,
    invitation: &Invitation,
    token: &Secret<String>,
) -> anyhow::Result<()> {
    let (org, role) = (&invitation.org_name, invitation.role());
    let who = invitation.inviter.as_deref().unwrap_or("Somebody");
    let notice = NoticeMail {
        subject: format!("{who} invites you to {org}"),
        name: String::new(),
        lines: vec![format!("{who} invites you to {org} on {}.", links.instance())],
        facts: vec![
            ("Your role".into(), format!("{}: {}", role.label(), role.note())),
            ("Open until".into(), Viewer::ANYBODY.moment_in_zone(invitation.expires_at)),
        ],
        action: "See the invitation".into(),
        link: links.with_token("/invitations", token.expose()),
        footer: "The link works once, for this address only. If you expected nothing, do nothing: without you \
                 nothing happens."
            .into(),
    };
    let about = About::org(invitation.org).and(invitation.inviter_id);
    let event = format!("invitation:{}:{}", invitation.id, invitation.sends);
    write(conn, event, Kind::Invitation, &invitation.email, &notice, about).await
}

/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn role_changed(
    conn: &mut PgConnection,
    links: &Links,
    member: &MemberRow,
    (id, org): (OrgId, &str),
    (before, after): (Role, Role),
) -> anyhow::Result<()> {
    let mut lines = vec![format!("Your role in {org} changed.")];
    if after == Role::Billing {
        lines.push("This role has no keys, so those that you made there are disabled.".to_owned());
    }
    let notice = NoticeMail {
        subject: format!("Your role in {org} is now {}", after.label()),
        name: member.name.clone(),
        lines,
        facts: vec![
            ("Before".into(), format!("{}: {}", before.label(), before.note())),
            ("Now".into(), format!("{}: {}", after.label(), after.note())),
        ],
        action: "Open Farebox".into(),
        link: links.to_page_of(id, "/"),
        footer: format!("An owner or admin of {org} did this. Ask them if you did not expect it."),
    };
    write(conn, format!("role_changed:{}", MailId::fresh()), Kind::RoleChanged, &member.email, &notice, About::org(id))
        .await
}

/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn removed(
    conn: &mut PgConnection,
    links: &Links,
    member: &MemberRow,
    (id, org): (OrgId, &str),
) -> anyhow::Result<()> {
    let notice = NoticeMail {
        subject: format!("You are no longer a member of {org}"),
        name: member.name.clone(),
        lines: vec![
            format!("You were removed from {org}. The keys that you made there are disabled."),
            "Your own account and your personal organization stay as they are.".to_owned(),
        ],
        facts: Vec::new(),
        action: "Open Farebox".into(),
        link: links.to("/"),
        footer: format!("An owner or admin of {org} did this. Ask them if you did not expect it."),
    };
    write(conn, format!("removed:{}", MailId::fresh()), Kind::Removed, &member.email, &notice, About::org(id)).await
}

/// To the new owner and to the one before.
///
/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn ownership_transferred(
    conn: &mut PgConnection,
    links: &Links,
    (from, to): (&MemberRow, &MemberRow),
    (id, org): (OrgId, &str),
) -> anyhow::Result<()> {
    for (reader, other, line) in [
        (
            to,
            from,
            format!("{} made you the owner of {org}. You may do everything there, its deletion included.", from.name),
        ),
        (from, to, format!("{} is now the owner of {org}. You are an admin there.", to.name)),
    ] {
        let notice = NoticeMail {
            subject: format!("{org} has a new owner"),
            name: reader.name.clone(),
            lines: vec![line],
            facts: vec![("New owner".into(), to.name.clone()), ("Owner before".into(), from.name.clone())],
            action: "See the organization".into(),
            link: links.to_page_of(id, "/settings/organization"),
            footer: "If you did not expect this, write to the other one and to whoever runs this server.".into(),
        };
        let event = format!("ownership_transferred:{}", MailId::fresh());
        write(conn, event, Kind::OwnershipTransferred, &reader.email, &notice, About::org(id).and(Some(other.person)))
            .await?;
    }
    Ok(())
}

/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn will_be_deleted(
    conn: &mut PgConnection,
    links: &Links,
    member: &MemberRow,
    (id, org): (OrgId, &str),
    by: &Person,
    on: &str,
) -> anyhow::Result<()> {
    let owner = member.role() == Role::Owner;
    let undo =
        if owner { "Until then every owner, you among them, can undo it." } else { "Until then an owner can undo it." };
    let notice = NoticeMail {
        subject: format!("{org} will be deleted on {on}"),
        name: member.name.clone(),
        lines: vec![
            format!("{} asked to delete {org}. Its keys are refused from now on. {undo}", by.name),
            "On that day its members, keys and settings are erased, and credits that are left are lost.".to_owned(),
        ],
        facts: vec![("Deleted on".into(), on.to_owned())],
        action: if owner { "Keep the organization".into() } else { "See the organization".into() },
        link: links.to_page_of(id, "/settings/organization"),
        footer: "If nobody should have done this, undo it or ask an owner to, before that day.".into(),
    };
    write(
        conn,
        format!("will_be_deleted:{}", MailId::fresh()),
        Kind::WillBeDeleted,
        &member.email,
        &notice,
        About::org(id).and(Some(by.id)),
    )
    .await
}

/// Somebody's account is being deleted, and with it the keys that they made.
///
/// # Errors
/// Database errors, and templates that cannot be written.
pub async fn keys_will_stop(
    conn: &mut PgConnection,
    links: &Links,
    manager: &MemberRow,
    (id, org): (OrgId, &str),
    (leaving, keys): (&Person, i64),
    on: DateTime<Utc>,
) -> anyhow::Result<()> {
    let who = &leaving.name;
    let on = Viewer::ANYBODY.moment_in_zone(on);
    let stop = match keys {
        1 => "the key that they made there stops working".to_owned(),
        more => format!("the {more} keys that they made there stop working"),
    };
    let notice = NoticeMail {
        subject: format!("Keys of {who} in {org} stop on {on}"),
        name: manager.name.clone(),
        lines: vec![
            format!("{who} is deleting their account. Unless they keep it after all, {stop} then."),
            format!("Make keys in their place for programs that {org} needs."),
        ],
        facts: vec![("Organization".into(), org.to_owned()), ("Keys stop on".into(), on)],
        action: "See the keys".into(),
        link: links.to_page_of(id, "/keys"),
        footer: format!("You get this because you manage the members of {org}."),
    };
    write(
        conn,
        format!("keys_will_stop:{}", MailId::fresh()),
        Kind::KeysWillStop,
        &manager.email,
        &notice,
        About::org(id).and(Some(leaving.id)),
    )
    .await
}

//! What people are mailed about keys. Each mail is written in the transaction of what it tells of.

use sqlx::PgConnection;

use super::alarm::Alarm;
use crate::accounts::Links;
use crate::base::ids::{MailId, OrgId, PersonId};
use crate::base::{Secret, Viewer};
use crate::mail::{About, Kind};
use crate::orgs::{self, Acting, MAX_MEMBERS, MemberRow, Role, mails};
use crate::web::views::emails::NoticeMail;

/// To every owner: all keys were stopped, or go on.
pub async fn switched(
    conn: &mut PgConnection,
    links: &Links,
    acting: &Acting<'_>,
    org: &str,
    stopped: bool,
) -> anyhow::Result<()> {
    let who = &acting.person.name;
    let (subject, line) = if stopped {
        (
            format!("All keys of {org} are stopped"),
            format!(
                "{who} stopped all keys of {org} on {}. Every call is refused until somebody lets the keys go on; then \
                 each works as it did before.",
                links.instance()
            ),
        )
    } else {
        (
            format!("The keys of {org} go on"),
            format!("{who} let the keys of {org} on {} go on. Each works as it did before.", links.instance()),
        )
    };
    let about = About::org(acting.org).and(Some(acting.person.id));
    let event = format!("keys_switched:{}", MailId::fresh());
    for owner in told(conn, acting.org, None).await? {
        let notice = NoticeMail {
            subject: subject.clone(),
            name: owner.name.clone(),
            lines: vec![line.clone()],
            facts: vec![("By".into(), who.clone()), ("From the address".into(), acting.origin.ip.clone())],
            action: "See the keys".into(),
            link: links.to_page_of(acting.org, "/keys"),
            footer: "You get this because you own the organization.".into(),
        };
        mails::write(conn, format!("{event}:{}", owner.person), Kind::KeysSwitched, &owner.email, &notice, about)
            .await?;
    }
    Ok(())
}

/// The owners, and one more member.
async fn told(conn: &mut PgConnection, org: OrgId, also: Option<PersonId>) -> Result<Vec<MemberRow>, sqlx::Error> {
    let mut members = orgs::member_rows(conn, org, MAX_MEMBERS).await?;
    members.retain(|member| member.role() == Role::Owner || Some(member.person) == also);
    Ok(members)
}

/// To the owners and to whoever made the key, with a link that stops it.
pub async fn unusual(
    conn: &mut PgConnection,
    links: &Links,
    alarm: &Alarm,
    token: &Secret<String>,
) -> anyhow::Result<()> {
    let Alarm { org, key, org_name, key_name, .. } = alarm;
    let usual = if alarm.usual.is_zero() { "nothing yet".to_owned() } else { alarm.usual.display() };
    for reader in told(conn, *org, alarm.maker).await? {
        let notice = NoticeMail {
            subject: format!("The key “{key_name}” of {org_name} spent {} in an hour", alarm.spent.display()),
            name: reader.name.clone(),
            lines: vec![
                format!(
                    "The key “{key_name}” of {org_name} on {} spent far more in an hour than it usually does.",
                    links.instance()
                ),
                "If you know why, there is nothing to do. If not, stop it: calls with it are refused at once, and it can \
                 be enabled again."
                    .to_owned(),
            ],
            facts: vec![
                ("Key".into(), alarm.key_label.clone()),
                ("Hour".into(), Viewer::ANYBODY.moment_in_zone(alarm.hour)),
                ("Spent in it".into(), alarm.spent.display()),
                ("Its dear hours before".into(), usual.clone()),
            ],
            action: "Stop this key".into(),
            link: links.with_token("/alarm", token.expose()),
            footer: "The link works once, for seven days, without signing in, and asks before it does anything. You get \
                     this because you own the organization or made the key; it is told once a day at most."
                .into(),
        };
        let event = format!("key_unusual:{key}:{}:{}", alarm.day, reader.person);
        mails::write(conn, event, Kind::KeyUnusual, &reader.email, &notice, About::org(*org)).await?;
    }
    Ok(())
}

//! Who is told.

use std::collections::{HashMap, HashSet};

use sqlx::PgConnection;

use super::choice::Choice;
use super::write::Reader;
use super::{rule, store};
use crate::base::EmailAddress;
use crate::base::ids::{OrgId, PersonId};
use crate::mail::Topic;
use crate::orgs::{self, MAX_MEMBERS, Role};

/// What each role gets of a topic where nobody chose; [`rule::usual`] for most.
pub type Usual<'a> = &'a (dyn Fn(Role) -> Choice + Send + Sync);

/// The members who get a mail of this topic. `concerned` are those who made what it is about.
///
/// # Errors
/// Database errors only.
pub async fn readers(
    conn: &mut PgConnection,
    org: OrgId,
    topic: Topic,
    concerned: &[PersonId],
    usual: Usual<'_>,
) -> Result<Vec<Reader>, sqlx::Error> {
    let members = orgs::member_rows(conn, org, MAX_MEMBERS).await?;
    let chosen = store::of_topic(conn, org, topic).await?;
    let told = members.iter().filter(|member| {
        let wanted = chosen.get(&member.person).copied().unwrap_or_else(|| usual(member.role()));
        match rule::within(topic, member.role(), wanted) {
            Choice::No => false,
            Choice::Own => concerned.contains(&member.person),
            Choice::All => true,
        }
    });
    Ok(told.filter_map(|member| Reader::of(org, member)).collect())
}

/// The addresses of members who said no to a topic. Nobody else puts them on a list of it.
///
/// # Errors
/// Database errors only.
pub async fn refusers(conn: &mut PgConnection, org: OrgId, topic: Topic) -> Result<HashSet<String>, sqlx::Error> {
    let chosen = store::of_topic(conn, org, topic).await?;
    let members = orgs::member_rows(conn, org, MAX_MEMBERS).await?;
    let refusing = members.iter().filter(|member| chosen.get(&member.person) == Some(&Choice::No));
    Ok(refusing.filter_map(|member| Some(EmailAddress::parse(&member.email).ok()?.canonical())).collect())
}

/// What somebody chose of each topic, where they did.
///
/// # Errors
/// Database errors only.
pub async fn choices_of(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
) -> Result<HashMap<Topic, Choice>, sqlx::Error> {
    store::of_person(conn, org, person).await
}

/// The same of several people at once; whoever chose nothing is left out.
///
/// # Errors
/// Database errors only.
pub async fn choices_of_people(
    conn: &mut PgConnection,
    org: OrgId,
    people: &[PersonId],
) -> Result<HashMap<PersonId, HashMap<Topic, Choice>>, sqlx::Error> {
    store::of_people(conn, org, people).await
}

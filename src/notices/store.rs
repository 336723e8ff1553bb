//! Every query about choices.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::choice::Choice;
use crate::base::ids::{OrgId, PersonId};
use crate::mail::Topic;

pub async fn of_topic(
    conn: &mut PgConnection,
    org: OrgId,
    topic: Topic,
) -> Result<HashMap<PersonId, Choice>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select person_id as "person: PersonId", wanted from notice_choice where org_id = $1 and topic = $2"#,
        org.0,
        topic.code(),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.person, Choice::parse(&row.wanted)?))).collect())
}

pub async fn of_person(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
) -> Result<HashMap<Topic, Choice>, sqlx::Error> {
    Ok(of_people(conn, org, &[person]).await?.remove(&person).unwrap_or_default())
}

/// The same of several people at once; whoever chose nothing is left out.
pub async fn of_people(
    conn: &mut PgConnection,
    org: OrgId,
    people: &[PersonId],
) -> Result<HashMap<PersonId, HashMap<Topic, Choice>>, sqlx::Error> {
    let people: Vec<uuid::Uuid> = people.iter().map(|person| person.0).collect();
    let rows = sqlx::query!(
        r#"select person_id as "person: PersonId", topic, wanted from notice_choice
           where org_id = $1 and person_id = any($2)"#,
        org.0,
        &people,
    )
    .fetch_all(conn)
    .await?;
    let mut chosen: HashMap<PersonId, HashMap<Topic, Choice>> = HashMap::new();
    for row in rows {
        if let (Some(topic), Some(wanted)) = (Topic::parse(&row.topic), Choice::parse(&row.wanted)) {
            chosen.entry(row.person).or_default().insert(topic, wanted);
        }
    }
    Ok(chosen)
}

/// `None` goes back to what is usual.
pub async fn set(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
    topic: Topic,
    wanted: Option<Choice>,
) -> Result<(), sqlx::Error> {
    match wanted {
        Some(wanted) => {
            sqlx::query!(
                "insert into notice_choice (org_id, person_id, topic, wanted) values ($1, $2, $3, $4)
                 on conflict (org_id, person_id, topic) do update set wanted = excluded.wanted, changed_at = now()",
                org.0,
                person.0,
                topic.code(),
                wanted.as_str(),
            )
            .execute(conn)
            .await?
        }
        None => {
            sqlx::query!(
                "delete from notice_choice where org_id = $1 and person_id = $2 and topic = $3",
                org.0,
                person.0,
                topic.code(),
            )
            .execute(conn)
            .await?
        }
    };
    Ok(())
}

/// Says no for good. False when that was said before, also by another process at the same moment.
pub async fn refuse(conn: &mut PgConnection, org: OrgId, person: PersonId, topic: Topic) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into notice_choice as c (org_id, person_id, topic, wanted) values ($1, $2, $3, 'no')
         on conflict (org_id, person_id, topic) do update set wanted = 'no', changed_at = now() where c.wanted <> 'no'",
        org.0,
        person.0,
        topic.code(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets every choice in an organization, and what it was told once.
///
/// # Errors
/// Database errors only.
pub async fn erase(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from notice_choice where org_id = $1", org.0).execute(&mut *conn).await?;
    sqlx::query!("delete from limit_mark where org_id = $1", org.0).execute(&mut *conn).await?;
    sqlx::query!("delete from limit_told where org_id = $1", org.0).execute(&mut *conn).await?;
    sqlx::query!("delete from week_told where org_id = $1", org.0).execute(conn).await?;
    Ok(())
}

//! The keys of chat rooms, which have no secret.

use sqlx::PgConnection;

use crate::base::Usd;
use crate::base::ids::{KeyId, MeterId, OrgId, PersonId};

/// The key of one person's chat, and what stands in the way of using it.
pub struct FoundChat {
    pub id: KeyId,
    pub member_meter: MeterId,
    /// What it stops at each day now.
    pub daily: Option<Usd>,
    pub frozen: bool,
    pub closing: bool,
    pub stopped: bool,
}

/// `None` where it was not made yet, or its person is no member.
pub async fn chat_key(conn: &mut PgConnection, org: OrgId, person: PersonId) -> Result<Option<FoundChat>, sqlx::Error> {
    sqlx::query_as!(
        FoundChat,
        r#"select k.id as "id: KeyId", m.meter_id as "member_meter: MeterId", own.limit_day as "daily: Usd",
            o.frozen_at is not null as "frozen!",
            coalesce(o.delete_after, o.deleted_at) is not null as "closing!",
            o.keys_stopped_at is not null as "stopped!"
           from chat_key k
           join org o on o.id = k.org_id
           join meter own on own.org_id = k.org_id and own.id = k.id
           join membership m on m.org_id = k.org_id and m.person_id = k.person_id
           where k.org_id = $1 and k.person_id = $2"#,
        org.0,
        person.0,
    )
    .fetch_optional(conn)
    .await
}

/// False when there is one.
pub async fn insert_chat_key(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
    id: KeyId,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into chat_key (org_id, person_id, id) values ($1, $2, $3) on conflict (org_id, person_id) do nothing",
        org.0,
        person.0,
        id.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

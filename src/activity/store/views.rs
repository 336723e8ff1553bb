//! Saved views.

use sqlx::PgConnection;

use super::super::view::View;
use crate::base::ids::{OrgId, PersonId, ViewId};

pub async fn views(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
    limit: i64,
) -> Result<Vec<View>, sqlx::Error> {
    sqlx::query_as!(
        View,
        r#"select id as "id: ViewId", name, query from activity_view where org_id = $1 and person_id = $2
           order by lower(name), name limit $3"#,
        org.0,
        person.0,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// False when the person has that many already. Two that are saved at once may both find room for one; the list is short
/// either way.
pub async fn save_view(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
    view: ViewId,
    (name, query): (&str, &str),
    most: i64,
) -> Result<bool, sqlx::Error> {
    let saved = sqlx::query!(
        "insert into activity_view (org_id, id, person_id, name, query)
         select $1, $3, $2, $4, $5
         where (select count(*) from activity_view where org_id = $1 and person_id = $2) < $6
            or exists (select from activity_view where org_id = $1 and person_id = $2 and name = $4)
         on conflict (org_id, person_id, name) do update set query = excluded.query",
        org.0,
        person.0,
        view.0,
        name,
        query,
        most,
    )
    .execute(conn)
    .await?;
    Ok(saved.rows_affected() > 0)
}

pub async fn delete_view(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
    view: ViewId,
) -> Result<bool, sqlx::Error> {
    let gone = sqlx::query!(
        "delete from activity_view where org_id = $1 and person_id = $2 and id = $3",
        org.0,
        person.0,
        view.0,
    )
    .execute(conn)
    .await?;
    Ok(gone.rows_affected() > 0)
}

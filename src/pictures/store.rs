//! Every query about pictures.

use sqlx::PgConnection;
use uuid::Uuid;

use super::picture::Picture;
use crate::base::ids::{OrgId, PersonId, PictureId};

/// Whose picture it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    Person(PersonId),
    Org(OrgId),
}

impl Owner {
    const fn parts(self) -> (&'static str, Uuid) {
        match self {
            Owner::Person(person) => ("person", person.0),
            Owner::Org(org) => ("organization", org.0),
        }
    }
}

/// Stores a picture in the place of the one before, under a new id.
///
/// # Errors
/// Database errors only.
pub async fn set(conn: &mut PgConnection, owner: Owner, picture: &Picture) -> Result<PictureId, sqlx::Error> {
    let (kind, owner) = owner.parts();
    let id = PictureId::fresh();
    sqlx::query!(
        "insert into picture (id, owner_kind, owner_id, png) values ($1, $2, $3, $4)
         on conflict (owner_kind, owner_id) do update set id = excluded.id, png = excluded.png, created_at = now()",
        id.0,
        kind,
        owner,
        picture.0,
    )
    .execute(conn)
    .await?;
    Ok(id)
}

/// False when there was none.
///
/// # Errors
/// Database errors only.
pub async fn remove(conn: &mut PgConnection, owner: Owner) -> Result<bool, sqlx::Error> {
    let (kind, owner) = owner.parts();
    let done =
        sqlx::query!("delete from picture where owner_kind = $1 and owner_id = $2", kind, owner).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// The picture of somebody, if there is one.
///
/// # Errors
/// Database errors only.
pub async fn of(conn: &mut PgConnection, owner: Owner) -> Result<Option<PictureId>, sqlx::Error> {
    let (kind, owner) = owner.parts();
    sqlx::query_scalar!(
        r#"select id as "id: PictureId" from picture where owner_kind = $1 and owner_id = $2"#,
        kind,
        owner,
    )
    .fetch_optional(conn)
    .await
}

/// The PNG file of a picture.
///
/// # Errors
/// Database errors only.
pub async fn find(conn: &mut PgConnection, id: PictureId) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar!("select png from picture where id = $1", id.0).fetch_optional(conn).await
}

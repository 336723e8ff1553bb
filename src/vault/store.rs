//! Queries about data keys.

use sqlx::PgConnection;

use crate::base::ids::{DataKeyId, OrgId};
use crate::base::seal::Sealed;

/// A data key as it lies in the database.
pub(super) struct Stored {
    pub id: DataKeyId,
    pub sealed: Sealed,
}

struct Row {
    org: OrgId,
    id: DataKeyId,
    kek_id: String,
    nonce: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Row {
    fn stored(self) -> (OrgId, Stored) {
        let sealed = Sealed { key_id: self.kek_id, nonce: self.nonce, ciphertext: self.ciphertext };
        (self.org, Stored { id: self.id, sealed })
    }
}

pub(super) async fn find(conn: &mut PgConnection, org: OrgId) -> Result<Option<Stored>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select org_id as "org: OrgId", id as "id: DataKeyId", kek_id, nonce, ciphertext from data_key where org_id = $1"#,
        org.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.stored().1))
}

pub(super) async fn insert_or_find(
    conn: &mut PgConnection,
    org: OrgId,
    id: DataKeyId,
    sealed: &Sealed,
) -> Result<Stored, sqlx::Error> {
    sqlx::query!(
        "insert into data_key (org_id, id, kek_id, nonce, ciphertext) values ($1, $2, $3, $4, $5)
         on conflict (org_id) do nothing",
        org.0,
        id.0,
        sealed.key_id,
        sealed.nonce,
        sealed.ciphertext,
    )
    .execute(&mut *conn)
    .await?;
    find(conn, org).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Those that another KEK has sealed, locked; the next so many after an organization.
pub(super) async fn lock_others(
    conn: &mut PgConnection,
    kek: &str,
    after: Option<OrgId>,
    most: i64,
) -> Result<Vec<(OrgId, Stored)>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select org_id as "org: OrgId", id as "id: DataKeyId", kek_id, nonce, ciphertext from data_key
           where kek_id <> $1 and org_id > coalesce($2, '00000000-0000-0000-0000-000000000000'::uuid)
           order by org_id limit $3 for update"#,
        kek,
        after.map(|org| org.0),
        most,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Row::stored).collect())
}

/// Data keys in the order of their organizations, the next so many after one.
pub(super) async fn after(
    conn: &mut PgConnection,
    after: Option<OrgId>,
    most: i64,
) -> Result<Vec<(OrgId, Stored)>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select org_id as "org: OrgId", id as "id: DataKeyId", kek_id, nonce, ciphertext from data_key
           where org_id > coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid) order by org_id limit $2"#,
        after.map(|org| org.0),
        most,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Row::stored).collect())
}

pub(super) async fn rewrap(conn: &mut PgConnection, org: OrgId, sealed: &Sealed) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update data_key set kek_id = $2, nonce = $3, ciphertext = $4, wrapped_at = now() where org_id = $1",
        org.0,
        sealed.key_id,
        sealed.nonce,
        sealed.ciphertext,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// How many data keys each KEK has sealed.
///
/// # Errors
/// Database errors only.
pub async fn wrapped_by(conn: &mut PgConnection) -> Result<Vec<(String, i64)>, sqlx::Error> {
    let rows = sqlx::query!(r#"select kek_id, count(*) as "count!" from data_key group by kek_id order by kek_id"#)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(|row| (row.kek_id, row.count)).collect())
}

/// Deletes the data key of an organization: from then on nothing that it sealed can be read, by nobody.
///
/// # Errors
/// Database errors only.
pub async fn erase(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from data_key where org_id = $1", org.0).execute(conn).await?;
    Ok(())
}

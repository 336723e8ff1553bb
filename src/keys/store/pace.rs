//! Counting the calls of a minute.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::base::ids::{KeyId, OrgId};

/// So many calls want to begin with a key, of which at most `most` may in one minute.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub org: OrgId,
    pub key: KeyId,
    pub most: u32,
    pub calls: u32,
}

/// How many of them begin.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    pub key: KeyId,
    pub granted: u32,
    /// Seconds until the next minute begins, by the clock of the database.
    pub wait: u32,
}

/// Lets calls begin and counts them. A key is in `asked` once; one that never asked before is not in the answer.
///
/// A clock that looks earlier than the row (this statement waited at the lock while the next minute began) counts in
/// the row's minute, so no minute is ever counted anew.
pub async fn begin_calls(conn: &mut PgConnection, asked: &[Asked]) -> Result<Vec<Begun>, sqlx::Error> {
    let columns = Columns::of(asked);
    let rows = sqlx::query!(
        r#"with paced as (
            select p.org_id, p.key_id, greatest(p.minute, d.minute) as minute,
                case when p.minute >= d.minute then p.calls else 0 end as before, x.most, x.calls
            from (select date_trunc('minute', clock_timestamp()) as minute) d
            cross join unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[]) as x (org_id, key_id, most, calls)
            join key_pace p on p.org_id = x.org_id and p.key_id = x.key_id
            order by p.org_id, p.key_id
            for update of p
         )
         update key_pace p
         set minute = w.minute, calls = w.before + least(w.calls, greatest(w.most - w.before, 0))
         from paced w
         where p.org_id = w.org_id and p.key_id = w.key_id
         returning p.key_id as "key: KeyId", least(w.calls, greatest(w.most - w.before, 0)) as "granted!",
            ceil(extract(epoch from w.minute + interval '1 minute' - clock_timestamp()))::integer as "wait!""#,
        &columns.orgs,
        &columns.keys,
        &columns.most,
        &columns.calls,
    )
    .fetch_all(conn)
    .await?;
    let count = |value: i32| u32::try_from(value).unwrap_or(0);
    Ok(rows.into_iter().map(|row| Begun { key: row.key, granted: count(row.granted), wait: count(row.wait) }).collect())
}

/// Sets minutes that lie ahead of the clock of the database, and of `at_least`, the program's own, to that of now, with what was counted in them: a clock that was
/// ahead once, and put right, would else refuse every call until then. Returns how many keys had one.
pub async fn turn_back(conn: &mut PgConnection, at_least: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        "update key_pace p set minute = date_trunc('minute', greatest(clock_timestamp(), $1))
         from (
            select org_id, key_id from key_pace
            where minute > greatest(clock_timestamp(), $1) + interval '2 minutes'
            order by org_id, key_id
            for update skip locked
         ) a
         where p.org_id = a.org_id and p.key_id = a.key_id",
        at_least,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Makes room to count in.
pub async fn prepare(conn: &mut PgConnection, asked: &[Asked]) -> Result<(), sqlx::Error> {
    let columns = Columns::of(asked);
    sqlx::query!(
        "insert into key_pace (org_id, key_id) select * from unnest($1::uuid[], $2::uuid[]) on conflict do nothing",
        &columns.orgs,
        &columns.keys,
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Columns {
    orgs: Vec<Uuid>,
    keys: Vec<Uuid>,
    most: Vec<i32>,
    calls: Vec<i32>,
}

impl Columns {
    fn of(asked: &[Asked]) -> Columns {
        let count = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        Columns {
            orgs: asked.iter().map(|one| one.org.0).collect(),
            keys: asked.iter().map(|one| one.key.0).collect(),
            most: asked.iter().map(|one| count(one.most)).collect(),
            calls: asked.iter().map(|one| count(one.calls)).collect(),
        }
    }
}

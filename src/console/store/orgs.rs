//! Organizations and people as operators look for them.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::base::Usd;
use crate::base::ids::{OrgId, PersonId};

/// An organization in the list.
#[derive(Clone, Debug)]
pub struct OrgRow {
    pub id: OrgId,
    pub name: String,
    pub kind: String,
    pub created_at: DateTime<Utc>,
    pub frozen_at: Option<DateTime<Utc>>,
    /// An operator froze it.
    pub frozen_by: Option<PersonId>,
    pub keys_stopped_at: Option<DateTime<Utc>>,
    pub delete_after: Option<DateTime<Utc>>,
    pub deleted_at: Option<DateTime<Utc>>,
    pub posted: Usd,
    pub held: Usd,
    pub members: i64,
    pub keys: i64,
}

/// The place in a list by age.
pub type Place = (DateTime<Utc>, uuid::Uuid);

/// Reads organizations `o` with their credits `c`. The checked queries take nothing but literals, so what they share is a
/// macro.
macro_rules! select_orgs {
    ($rest:literal, $($value:expr),* $(,)?) => {
        sqlx::query_as!(
            OrgRow,
            r#"select o.id as "id: OrgId", o.name, o.kind, o.created_at, o.frozen_at, o.frozen_by as "frozen_by: PersonId",
                o.keys_stopped_at, o.delete_after, o.deleted_at, c.posted as "posted: Usd", c.held as "held: Usd",
                (select count(*) from membership m where m.org_id = o.id) as "members!",
                (select count(*) from api_key k where k.org_id = o.id and k.deleted_at is null) as "keys!"
               from org o join credit c on c.org_id = o.id "#
                + $rest,
            $($value),*
        )
    };
}

/// Organizations, newest first. `search` is a part of the name or an id, and `by_address` also the beginning of a member's
/// address; `state` is `frozen`, `closing`, `below_zero` or empty.
pub async fn orgs(
    conn: &mut PgConnection,
    search: &str,
    by_address: bool,
    state: &str,
    before: Option<Place>,
    most: i64,
) -> Result<Vec<OrgRow>, sqlx::Error> {
    let id = search.parse::<OrgId>().ok().map(|id| id.0);
    select_orgs!(
        r#"where ($1 = '' or o.id = $2::uuid or o.name ilike '%' || $3 || '%' or $8 and exists (select from membership m
                join person p on p.id = m.person_id
                where m.org_id = o.id and p.email_canonical like lower($3) || '%'))
            and case $4 when 'frozen' then o.frozen_at is not null
                when 'closing' then o.delete_after is not null or o.deleted_at is not null
                when 'below_zero' then c.posted < 0 else true end
            and ($5::timestamptz is null or (o.created_at, o.id) < ($5, $6))
           order by o.created_at desc, o.id desc limit $7"#,
        search,
        id,
        escaped(search),
        state,
        before.map(|(at, _)| at),
        before.map(|(_, id)| id),
        most,
        by_address,
    )
    .fetch_all(conn)
    .await
}

/// A text in which `like` finds nothing but itself.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// One organization by its id alone: what others are named is no matter.
pub async fn org(conn: &mut PgConnection, id: OrgId) -> Result<Option<OrgRow>, sqlx::Error> {
    select_orgs!("where o.id = $1", id.0).fetch_optional(conn).await
}

/// How many organizations there are, and what they have together.
pub struct OrgTotals {
    pub orgs: i64,
    pub frozen: i64,
    pub posted: Usd,
    pub held: Usd,
    pub below_zero: Usd,
}

pub async fn org_totals(conn: &mut PgConnection) -> Result<OrgTotals, sqlx::Error> {
    sqlx::query_as!(
        OrgTotals,
        r#"select count(*) as "orgs!", count(*) filter (where o.frozen_at is not null) as "frozen!",
            coalesce(sum(c.posted), 0) as "posted!: Usd", coalesce(sum(c.held), 0) as "held!: Usd",
            coalesce(sum(c.posted) filter (where c.posted < 0), 0) as "below_zero!: Usd"
           from org o join credit c on c.org_id = o.id"#
    )
    .fetch_one(conn)
    .await
}

/// A person in the list.
#[derive(Clone, Debug)]
pub struct PersonRow {
    pub id: PersonId,
    pub name: String,
    pub email: String,
    pub verified_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub leaves_at: Option<DateTime<Utc>>,
    pub frozen_at: Option<DateTime<Utc>>,
    pub sessions: i64,
    pub two_factor: bool,
    pub staff: Option<String>,
    pub personal: Option<OrgId>,
}

/// Reads people `p`, with what else is known of them.
macro_rules! select_people {
    ($rest:literal, $($value:expr),* $(,)?) => {
        sqlx::query_as!(
            PersonRow,
            r#"select p.id as "id: PersonId", p.name, p.email, p.email_verified_at as verified_at, p.created_at,
                d.due_at as "leaves_at?", p.frozen_at, s.role as "staff?", q.org_id as "personal?: OrgId",
                (select count(*) from session x where x.person_id = p.id and x.expires_at > now()) as "sessions!",
                (exists (select from totp t where t.person_id = p.id)
                    or exists (select from passkey_second k where k.person_id = p.id)) as "two_factor!"
               from person p
               left join account_deletion d on d.person_id = p.id
               left join operator s on s.person_id = p.id
               left join personal_org q on q.person_id = p.id "#
                + $rest,
            $($value),*
        )
    };
}

/// People, newest first. `search` is a part of the name, the beginning of the address, or an id; `frozen` only those who are.
pub async fn people(
    conn: &mut PgConnection,
    (search, frozen): (&str, bool),
    before: Option<Place>,
    most: i64,
) -> Result<Vec<PersonRow>, sqlx::Error> {
    let id = search.parse::<PersonId>().ok().map(|id| id.0);
    select_people!(
        r#"where ($1 = '' or p.id = $2::uuid or p.name ilike '%' || $3 || '%'
                or p.email_canonical like lower($3) || '%')
            and ($4::timestamptz is null or (p.created_at, p.id) < ($4, $5)) and (not $7 or p.frozen_at is not null)
           order by p.created_at desc, p.id desc limit $6"#,
        search,
        id,
        escaped(search),
        before.map(|(at, _)| at),
        before.map(|(_, id)| id),
        most,
        frozen,
    )
    .fetch_all(conn)
    .await
}

/// One person by their id alone, as [`org`].
pub async fn person(conn: &mut PgConnection, id: PersonId) -> Result<Option<PersonRow>, sqlx::Error> {
    select_people!("where p.id = $1", id.0).fetch_optional(conn).await
}

/// Where somebody is a member, and as what.
pub struct MembershipRow {
    pub org: OrgId,
    pub name: String,
    pub kind: String,
    pub role: String,
}

pub async fn memberships(conn: &mut PgConnection, person: PersonId) -> Result<Vec<MembershipRow>, sqlx::Error> {
    sqlx::query_as!(
        MembershipRow,
        r#"select o.id as "org: OrgId", o.name, o.kind, m.role from membership m join org o on o.id = m.org_id
           where m.person_id = $1 order by o.kind, lower(o.name), o.id limit 200"#,
        person.0,
    )
    .fetch_all(conn)
    .await
}

/// Names of people, for lists that know their ids.
pub async fn person_names(
    conn: &mut PgConnection,
    people: &[PersonId],
) -> Result<std::collections::HashMap<PersonId, String>, sqlx::Error> {
    let ids: Vec<uuid::Uuid> = people.iter().map(|person| person.0).collect();
    let rows = sqlx::query!(r#"select id as "id: PersonId", name from person where id = any($1)"#, &ids);
    Ok(rows.fetch_all(conn).await?.into_iter().map(|row| (row.id, row.name)).collect())
}

/// Ends every session of somebody; how many.
pub async fn end_sessions(conn: &mut PgConnection, person: PersonId) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!("delete from session where person_id = $1", person.0).execute(conn).await?;
    Ok(done.rows_affected())
}

//! Lists of keys. What was spent and when it was used last is read from the meters beside them.
//!
//! Row-level security lets an index be used only for comparisons that cannot give anything away. Those of text and ids
//! are such; `lower`, `coalesce` and pieces of text are not, which is why a name has a column to be sorted by, the place
//! in the list is looked up first, and pieces are asked of a function.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::key::Key;
use super::super::listing::{IDLE_DAYS, Listing, Order, pieces};
use super::read::{Row, select_keys};
use crate::base::ids::{KeyId, OrgId, PersonId};

/// Keys in which a text is looked for one by one. A text that is in more of them is found soon by going along the list.
const MAX_CANDIDATES: i32 = 500;

/// A page of a list: the rows of `$more` in the order of `$order`.
macro_rules! page {
    ($($part:literal)+; $($value:expr),* $(,)?) => {
        select_keys!(
            r#"from api_key k join meter m on m.org_id = k.org_id and m.id = k.id
               where k.org_id = $1 and k.kind = 'inference' and k.deleted_at is null
                and ($2::uuid is null or k.created_by = $2)
                and case $3::text
                    when 'active' then k.disabled_at is null and k.digest is not null
                        and (k.expires_at is null or k.expires_at > now())
                    when 'disabled' then k.disabled_at is not null
                    when 'expired' then k.disabled_at is null and k.expires_at <= now()
                    when 'unclaimed' then k.disabled_at is null and k.digest is null
                        and (k.expires_at is null or k.expires_at > now())
                    when 'idle' then coalesce(m.last_used_at, k.created_at) < now() - make_interval(days => $4)
                    when 'no-limit' then coalesce(m.limit_total, m.limit_day, m.limit_week, m.limit_month) is null
                    when 'never-expires' then k.expires_at is null
                    else true
                end
                and ($5::text = '' or strpos(k.sort_name, $5) > 0 or right(lower(k.label), length($5)) = $5)
                "#
            $($part)+
            ;
            $($value),*
        )
    };
}

/// One page of a list, at most `limit` keys.
///
/// # Errors
/// Database errors only.
pub async fn list(conn: &mut PgConnection, org: OrgId, listing: &Listing, limit: i64) -> Result<Vec<Key>, sqlx::Error> {
    let sought = listing.sought();
    let maker = listing.maker.map(|maker| maker.0);
    let which = listing.which.word();
    let after = listing.after.map(|after| after.0);
    let rows = match (candidates(conn, org, &sought).await?, listing.order) {
        // Few of them, so how they are found does not matter any more.
        (Some(ids), order) => {
            page!(
                "and k.id = any($7) and ($8::text <> '' or $6::uuid is null or k.id < $6)
                 and ($8::text <> 'name' or $6::uuid is null or (k.sort_name, k.id) >
                    ((select b.sort_name from api_key b where b.org_id = $1 and b.id = $6), $6))
                 and ($8::text <> 'used' or $6::uuid is null or (coalesce(m.last_used_at, '-infinity'), k.id) < ((select
                    coalesce(b.last_used_at, '-infinity') from meter b where b.org_id = $1 and b.id = $6), $6))
                 and ($8::text <> 'spent' or $6::uuid is null or (m.spent_total, k.id) < ((select b.spent_total
                    from meter b where b.org_id = $1 and b.id = $6), $6))
                 order by case when $8 = 'name' then k.sort_name end, case when $8 = 'name' then k.id end,
                    case when $8 = 'used' then coalesce(m.last_used_at, '-infinity') end desc,
                    case when $8 = 'spent' then m.spent_total end desc, k.id desc
                 limit $9";
                org.0, maker, which, IDLE_DAYS, sought, after, &ids, order.word(), limit,
            )
            .fetch_all(conn)
            .await
        }
        // Two queries, because a place that may be none would keep the index from being used.
        (None, Order::Newest) => match after {
            Some(after) => {
                page!("and k.id < $6 order by k.id desc limit $7";
                    org.0, maker, which, IDLE_DAYS, sought, after, limit)
                .fetch_all(conn)
                .await
            }
            None => {
                page!("order by k.id desc limit $6"; org.0, maker, which, IDLE_DAYS, sought, limit)
                    .fetch_all(conn)
                    .await
            }
        },
        (None, Order::Name) => {
            let place = place_by_name(conn, org, after).await?;
            page!("and (k.sort_name, k.id) > ($6, $7) order by k.sort_name, k.id limit $8";
                org.0, maker, which, IDLE_DAYS, sought, place.0, place.1, limit)
            .fetch_all(conn)
            .await
        }
        (None, Order::LastUsed) => {
            page!("and ($6::uuid is null or (coalesce(m.last_used_at, '-infinity'), k.id) < ((select
                    coalesce(b.last_used_at, '-infinity') from meter b where b.org_id = $1 and b.id = $6), $6))
                 order by coalesce(m.last_used_at, '-infinity') desc, k.id desc limit $7";
                org.0, maker, which, IDLE_DAYS, sought, after, limit)
            .fetch_all(conn)
            .await
        }
        (None, Order::MostSpent) => {
            page!("and ($6::uuid is null or (m.spent_total, k.id) < ((select b.spent_total from meter b
                    where b.org_id = $1 and b.id = $6), $6))
                 order by m.spent_total desc, k.id desc limit $7";
                org.0, maker, which, IDLE_DAYS, sought, after, limit)
            .fetch_all(conn)
            .await
        }
    };
    Ok(rows?.into_iter().map(Key::from).collect())
}

/// The keys in which every piece of the text is. `None` where the text is too short to say, or is in too many.
async fn candidates(conn: &mut PgConnection, org: OrgId, sought: &str) -> Result<Option<Vec<Uuid>>, sqlx::Error> {
    let pieces = pieces(sought);
    if pieces.is_empty() {
        return Ok(None);
    }
    let ids = sqlx::query_scalar!(
        r#"select id as "id!" from key_ids_by_pieces($1, $2, $3) as id"#,
        org.0,
        &pieces,
        MAX_CANDIDATES,
    )
    .fetch_all(conn)
    .await?;
    let few = i32::try_from(ids.len()).is_ok_and(|found| found < MAX_CANDIDATES);
    Ok(few.then_some(ids))
}

/// Where the page begins in a list by name: before everything without a key.
async fn place_by_name(
    conn: &mut PgConnection,
    org: OrgId,
    after: Option<Uuid>,
) -> Result<(String, Uuid), sqlx::Error> {
    let Some(after) = after else { return Ok((String::new(), Uuid::nil())) };
    let name = sqlx::query_scalar!("select sort_name from api_key where org_id = $1 and id = $2", org.0, after)
        .fetch_optional(conn)
        .await?;
    Ok(name.map_or((String::new(), Uuid::nil()), |name| (name, after)))
}

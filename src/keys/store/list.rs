//! Lists of keys. What was spent and when it was used last is read from the meters beside them.

use sqlx::PgConnection;
use uuid::Uuid;

use super::super::key::Key;
use super::super::listing::{IDLE_DAYS, Listing, Order, pieces};
use super::read::{Row, select_keys};
use crate::base::ids::{KeyId, OrgId, PersonId};

/// A page of a list: the rows of `$more` in the order of `$order`. The place in the list is compared in a way that an
/// index can follow, so a page far behind costs what the first one costs.
macro_rules! page {
    ($more:literal, $order:literal; $($value:expr),* $(,)?) => {
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
                and ($5::text = '' or strpos(lower(k.name), $5) > 0 or right(lower(k.label), length($5)) = $5)
                "#
            $more
            $order
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
    let pieces = pieces(&sought);
    let (maker, after) = (listing.maker.map(|maker| maker.0), listing.after.map(|after| after.0));
    let which = listing.which.word();
    // Newer than every key that is, so that the first page needs no other query.
    let newest = after.unwrap_or(Uuid::max());
    let rows = match (listing.order, pieces.is_empty()) {
        (Order::Newest, true) => {
            page!("and k.id < $6", " order by k.id desc limit $7"; org.0, maker, which, IDLE_DAYS, sought, newest, limit)
                .fetch_all(conn)
                .await
        }
        (Order::Newest, false) => {
            page!("and k.pieces @> $8 and k.id < $6", " order by k.id desc limit $7";
                org.0, maker, which, IDLE_DAYS, sought, newest, limit, &pieces)
            .fetch_all(conn)
            .await
        }
        (Order::Name, true) => {
            page!("and (lower(k.name), k.id) > (coalesce((select lower(b.name) from api_key b where b.org_id = $1
                and b.id = $6), ''), coalesce($6, '00000000-0000-0000-0000-000000000000'::uuid))",
                " order by lower(k.name), k.id limit $7";
                org.0, maker, which, IDLE_DAYS, sought, after, limit)
            .fetch_all(conn)
            .await
        }
        (Order::Name, false) => {
            page!("and k.pieces @> $8
                and (lower(k.name), k.id) > (coalesce((select lower(b.name) from api_key b where b.org_id = $1
                and b.id = $6), ''), coalesce($6, '00000000-0000-0000-0000-000000000000'::uuid))",
                " order by lower(k.name), k.id limit $7";
                org.0, maker, which, IDLE_DAYS, sought, after, limit, &pieces)
            .fetch_all(conn)
            .await
        }
        (Order::LastUsed, _) => {
            page!("and k.pieces @> $8
                and ($6::uuid is null or (coalesce(m.last_used_at, '-infinity'), k.id) < ((select
                    coalesce(b.last_used_at, '-infinity') from meter b where b.org_id = $1 and b.id = $6), $6))",
                " order by coalesce(m.last_used_at, '-infinity') desc, k.id desc limit $7";
                org.0, maker, which, IDLE_DAYS, sought, after, limit, &pieces)
            .fetch_all(conn)
            .await
        }
        (Order::MostSpent, _) => {
            page!("and k.pieces @> $8
                and ($6::uuid is null or (m.spent_total, k.id) < ((select b.spent_total from meter b
                    where b.org_id = $1 and b.id = $6), $6))",
                " order by m.spent_total desc, k.id desc limit $7";
                org.0, maker, which, IDLE_DAYS, sought, after, limit, &pieces)
            .fetch_all(conn)
            .await
        }
    };
    Ok(rows?.into_iter().map(Key::from).collect())
}

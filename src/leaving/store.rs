//! Every query about leaving. Erasing reaches into what other domains keep about a person: it has to know it all.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::base::Usd;
use crate::base::ids::{CallId, InvitationId, KeyId, OrgId, PersonId};
use crate::db::interval;

pub async fn lock_person(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("select id from person where id = $1 for update", person.0).fetch_one(conn).await?;
    Ok(())
}

/// Names of organizations with other members that nobody else owns who stays.
///
/// # Errors
/// Database errors only.
pub async fn sole_ownerships(conn: &mut PgConnection, person: PersonId) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "select o.name from membership m join org o on o.id = m.org_id
         where m.person_id = $1 and m.role = 'owner' and o.kind = 'team'
            and not exists (select from membership x
                where x.org_id = m.org_id and x.person_id <> m.person_id and x.role = 'owner'
                    and not exists (select from account_deletion d where d.person_id = x.person_id))
            and exists (select from membership x where x.org_id = m.org_id and x.person_id <> m.person_id)
         order by o.name limit 100",
        person.0,
    )
    .fetch_all(conn)
    .await
}

/// Organizations of others in which keys of this person work, and how many.
pub async fn keys_elsewhere(conn: &mut PgConnection, person: PersonId) -> Result<Vec<(OrgId, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select k.org_id as "org: OrgId", count(*) as "keys!" from api_key k join org o on o.id = k.org_id
           where k.created_by = $1 and o.kind = 'team' and k.deleted_at is null and k.disabled_at is null
           group by k.org_id order by k.org_id"#,
        person.0,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.org, row.keys)).collect())
}

/// What somebody loses with the account.
#[derive(Clone, Debug, Default)]
pub struct Stake {
    /// Credits of the personal organization.
    pub credits: Usd,
    /// Its keys.
    pub keys: i64,
    /// Other organizations.
    pub memberships: i64,
}

/// # Errors
/// Database errors only.
pub async fn stake(conn: &mut PgConnection, person: PersonId) -> Result<Stake, sqlx::Error> {
    sqlx::query_as!(
        Stake,
        r#"select
            coalesce((select c.posted from personal_org p join credit c on c.org_id = p.org_id
                where p.person_id = $1), 0) as "credits!: Usd",
            (select count(*) from personal_org p join api_key k on k.org_id = p.org_id
                where p.person_id = $1 and k.deleted_at is null) as "keys!",
            (select count(*) from membership m join org o on o.id = m.org_id
                where m.person_id = $1 and o.kind = 'team') as "memberships!""#,
        person.0,
    )
    .fetch_one(conn)
    .await
}

/// `None` when there is a request already.
pub async fn insert_deletion(
    conn: &mut PgConnection,
    person: PersonId,
    grace: TimeDelta,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    sqlx::query_scalar!(
        "insert into account_deletion (person_id, due_at) values ($1, now() + $2) on conflict do nothing returning due_at",
        person.0,
        interval(grace),
    )
    .fetch_optional(conn)
    .await
}

/// False when there is none, or it was carried out.
pub async fn delete_deletion(conn: &mut PgConnection, person: PersonId) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!("delete from account_deletion where person_id = $1 and erased_at is null", person.0)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether the request of that moment still stands and its time has come, by the database's clock.
pub async fn is_due(conn: &mut PgConnection, person: PersonId, due: DateTime<Utc>) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select exists (select from account_deletion
            where person_id = $1 and due_at = $2 and due_at <= now() and erased_at is null) as "due!""#,
        person.0,
        due,
    )
    .fetch_one(conn)
    .await
}

/// No key of a frozen organization works; nodes hear of it by the trigger on `org`.
pub async fn freeze_personal(conn: &mut PgConnection, person: PersonId, frozen: bool) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update org o set frozen_at = case when $2 or o.frozen_by is not null then coalesce(o.frozen_at, now()) end
         from personal_org p where p.person_id = $1 and o.id = p.org_id",
        person.0,
        frozen,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where a person could be written to.
pub struct Addresses {
    /// As they are compared.
    all: Vec<String>,
    /// For each of them, when it stopped being theirs, where somebody else has it now. What came later is not theirs.
    until: Vec<Option<DateTime<Utc>>>,
}

/// The address of a person and those that they had before, or had taken back.
pub async fn addresses_of(conn: &mut PgConnection, person: PersonId) -> Result<Addresses, sqlx::Error> {
    let rows = sqlx::query!(
        r#"with had as (
              select email_canonical as address, null::timestamptz as until from person where id = $1
              union all
              select lower(old_email), confirmed_at from email_change where person_id = $1 and confirmed_at is not null
              union all
              select new_canonical, reverted_at from email_change where person_id = $1 and reverted_at is not null
           )
           select address as "address!", max(until)
              filter (where exists (select from person p where p.email_canonical = address and p.id <> $1)) as until
           from had group by address order by address"#,
        person.0,
    )
    .fetch_all(conn)
    .await?;
    let (all, until) = rows.into_iter().map(|row| (row.address, row.until)).unzip();
    Ok(Addresses { all, until })
}

/// What mails to a person said, and to whom; and those to others that name the person, once they were sent or given up.
pub async fn erase_mails(conn: &mut PgConnection, person: PersonId, had: &Addresses) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update mail set recipient = '', subject = '', text_body = '', html_body = '', last_error = '', dead_at = null,
            choice_org = null, choice_person = null, about_org = null, about_person = null
         where choice_person = $1 or (about_person = $1 and (sent_at is not null or dead_at is not null))
            or exists (select from unnest($2::text[], $3::timestamptz[]) as had (address, until)
                where had.address = lower(mail.recipient) and (had.until is null or mail.created_at <= had.until))
            or (kind in ('confirm_email', 'email_changed') and lower(recipient) in (
                select unnest(array[lower(old_email), new_canonical]) from email_change where person_id = $1))
            or (kind = 'receipt' and lower(recipient) in (
                select lower(b.email) from billing_details b join personal_org o using (org_id) where o.person_id = $1))",
        person.0,
        &had.all,
        &had.until as &[Option<DateTime<Utc>>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the addresses of a person out of what organizations of others write to: further readers of the low-balance alert, and
/// where receipts go. What somebody else has now stays.
pub async fn erase_from_readers(conn: &mut PgConnection, had: &Addresses) -> Result<(), sqlx::Error> {
    let theirs: Vec<String> =
        had.all.iter().zip(&had.until).filter(|(_, until)| until.is_none()).map(|(one, _)| one.clone()).collect();
    sqlx::query!(
        "update balance_alert a set more = array(
            select m.address from unnest(a.more) with ordinality as m (address, place)
            where lower(m.address) <> all($1::text[]) order by m.place)
         where exists (select from unnest(a.more) as m (address) where lower(m.address) = any($1))",
        &theirs,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("update billing_details set email = '' where lower(email) = any($1::text[])", &theirs)
        .execute(conn)
        .await?;
    Ok(())
}

/// Sessions, links, addresses, second factors, accounts elsewhere and pictures.
pub async fn erase_traces(conn: &mut PgConnection, person: PersonId, had: &Addresses) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from session where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from one_time_token where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from email_change where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from identity where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from operator where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from totp where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from passkey_second where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from recovery_code where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from passkey where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from passkey_challenge where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from half_sign_in where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from known_device where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from activity_view where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!("delete from failed_sign_in where person_id = $1", person.0).execute(&mut *conn).await?;
    sqlx::query!(
        "delete from sign_in_failure s using unnest($1::text[], $2::timestamptz[]) as had (address, until)
         where had.until is null and strpos(s.subject, had.address) > 0",
        &had.all,
        &had.until as &[Option<DateTime<Utc>>],
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "delete from picture where (owner_kind = 'person' and owner_id = $1) or (owner_kind = 'organization'
            and owner_id in (select org_id from personal_org where person_id = $1))",
        person.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Blanks the invitations that went to a person, wherever from. Which ones: logs name them, too.
pub async fn erase_invitations(conn: &mut PgConnection, had: &Addresses) -> Result<Vec<InvitationId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"update invitation i set email = '', email_canonical = 'deleted:' || i.id::text,
            ended_at = coalesce(i.ended_at, now()), ended_as = coalesce(i.ended_as, 'revoked')
           from unnest($1::text[], $2::timestamptz[]) as had (address, until)
           where i.email_canonical = had.address and (had.until is null or i.created_at <= had.until)
           returning i.id as "id: InvitationId""#,
        &had.all,
        &had.until as &[Option<DateTime<Utc>>],
    )
    .fetch_all(conn)
    .await
}

/// Names of organizations that nobody else is in: they end with the account.
///
/// # Errors
/// Database errors only.
pub async fn alone_in(conn: &mut PgConnection, person: PersonId) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "select o.name from membership m join org o on o.id = m.org_id
         where m.person_id = $1 and o.kind = 'team' and o.deleted_at is null
            and not exists (select from membership x where x.org_id = m.org_id and x.person_id <> m.person_id)
         order by o.name limit 100",
        person.0,
    )
    .fetch_all(conn)
    .await
}

/// Organizations that are not the person's own, in the order in which they are locked.
pub async fn teams_of(conn: &mut PgConnection, person: PersonId) -> Result<Vec<OrgId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"select m.org_id as "org: OrgId" from membership m join org o on o.id = m.org_id
           where m.person_id = $1 and o.kind = 'team' order by m.org_id"#,
        person.0,
    )
    .fetch_all(conn)
    .await
}

pub async fn personal_org(conn: &mut PgConnection, person: PersonId) -> Result<Option<OrgId>, sqlx::Error> {
    sqlx::query_scalar!(r#"select org_id as "org: OrgId" from personal_org where person_id = $1"#, person.0)
        .fetch_optional(conn)
        .await
}

/// The personal organization loses its name and its keys.
pub async fn erase_personal(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update api_key k set deleted_at = coalesce(k.deleted_at, now()), name = 'Deleted', updated_at = now()
         from personal_org p where p.person_id = $1 and k.org_id = p.org_id",
        person.0,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update org o set name = 'Deleted account', frozen_at = coalesce(o.frozen_at, now())
         from personal_org p where p.person_id = $1 and o.id = p.org_id",
        person.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The row stays, because keys and calls name it; nobody can sign in with it.
pub async fn erase_person(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update person set email = 'deleted', email_canonical = 'deleted:' || id::text, name = 'Deleted account',
            password_hash = null, email_verified_at = null, time_zone = 'UTC', theme = 'system', locale = default
         where id = $1",
        person.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn mark_erased(conn: &mut PgConnection, person: PersonId) -> Result<(), sqlx::Error> {
    sqlx::query!("update account_deletion set erased_at = now() where person_id = $1", person.0).execute(conn).await?;
    Ok(())
}

/// Keys that a person made anywhere and what their chats were booked on, with their organizations, in a fixed order; those
/// up to `after` are left out. One's own organization has no others.
pub async fn keys_of(
    conn: &mut PgConnection,
    person: PersonId,
    after: Option<(OrgId, KeyId)>,
    limit: i64,
) -> Result<Vec<(OrgId, KeyId)>, sqlx::Error> {
    let (org, key) = after.unzip();
    let rows = sqlx::query!(
        r#"select org_id as "org!: OrgId", id as "key!: KeyId" from (
              select org_id, id from api_key
              where created_by = $1 or org_id in (select org_id from personal_org where person_id = $1)
              union all
              select org_id, id from chat_key where person_id = $1
           ) keys
           where $2::uuid is null or (org_id, id) > ($2, $3::uuid)
           order by org_id, id limit $4"#,
        person.0,
        org.map(|org| org.0),
        key.map(|key| key.0),
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.org, row.key)).collect())
}

/// What the next calls of a key tell of who made them: program and page, and the name of the app where it is the page's
/// host; their sums move to those without a name. Returns the last one that was looked at; `None` at the end.
pub async fn erase_calls(
    conn: &mut PgConnection,
    org: OrgId,
    key: KeyId,
    after: Option<CallId>,
    limit: i64,
) -> Result<Option<CallId>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"with batch as (
              select id, app, app <> '' and lower(app)
                 = lower(substring(referer from '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)')) as named_by_page
              from usage where org_id = $1 and key_id = $2 and ($3::uuid is null or id > $3)
              order by id limit $4
           ), erased as (
              update usage u set referer = '', user_agent = '',
                 app = case when coalesce(b.named_by_page, false) then '' else u.app end
              from batch b
              where u.org_id = $1 and u.id = b.id and (u.referer <> '' or u.user_agent <> '')
              returning b.named_by_page, b.app, date_trunc('hour', u.created_at, 'UTC') as hour, u.model, u.provider,
                 coalesce(u.member_id, '00000000-0000-0000-0000-000000000000') as member_id, u.status,
                 u.prompt_tokens, u.completion_tokens, u.reasoning_tokens, u.cached_tokens, u.cost, u.upstream_cost
           ), moved as (
              select hour, model, provider, member_id, app, count(*) as requests,
                 count(*) filter (where status <> 'success') as failed, sum(prompt_tokens)::bigint as prompt_tokens,
                 sum(completion_tokens)::bigint as completion_tokens, sum(reasoning_tokens)::bigint as reasoning_tokens,
                 sum(cached_tokens)::bigint as cached_tokens, sum(cost) as cost, sum(upstream_cost) as upstream_cost
              from erased where named_by_page group by hour, model, provider, member_id, app
           ), less as (
              update usage_hour h set requests = h.requests - m.requests, failed = h.failed - m.failed,
                 prompt_tokens = h.prompt_tokens - m.prompt_tokens,
                 completion_tokens = h.completion_tokens - m.completion_tokens,
                 reasoning_tokens = h.reasoning_tokens - m.reasoning_tokens,
                 cached_tokens = h.cached_tokens - m.cached_tokens, cost = h.cost - m.cost,
                 upstream_cost = h.upstream_cost - m.upstream_cost
              from moved m
              where h.org_id = $1 and h.hour = m.hour and h.key_id = $2 and h.model = m.model
                 and h.provider = m.provider and h.app = m.app and h.member_id = m.member_id
           ), more as (
              insert into usage_hour as h (org_id, hour, key_id, model, provider, app, member_id, requests, failed,
                 prompt_tokens, completion_tokens, reasoning_tokens, cached_tokens, cost, upstream_cost)
              select $1, hour, $2, model, provider, '', member_id, sum(requests), sum(failed), sum(prompt_tokens),
                 sum(completion_tokens), sum(reasoning_tokens), sum(cached_tokens), sum(cost), sum(upstream_cost)
              from moved group by hour, model, provider, member_id
              on conflict (org_id, hour, key_id, model, provider, app, member_id) do update set
                 requests = h.requests + excluded.requests, failed = h.failed + excluded.failed,
                 prompt_tokens = h.prompt_tokens + excluded.prompt_tokens,
                 completion_tokens = h.completion_tokens + excluded.completion_tokens,
                 reasoning_tokens = h.reasoning_tokens + excluded.reasoning_tokens,
                 cached_tokens = h.cached_tokens + excluded.cached_tokens, cost = h.cost + excluded.cost,
                 upstream_cost = h.upstream_cost + excluded.upstream_cost
           )
           select id as "id: CallId" from batch order by id desc limit 1"#,
        org.0,
        key.0,
        after.map(|id| id.0),
        limit,
    )
    .fetch_optional(conn)
    .await
}

/// Sums from which every call was moved away still have the name that is to be forgotten.
pub async fn forget_empty_hours(conn: &mut PgConnection, org: OrgId, key: KeyId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from usage_hour where org_id = $1 and key_id = $2 and requests = 0", org.0, key.0)
        .execute(conn)
        .await?;
    Ok(())
}

//! Purchases.

use sqlx::PgConnection;

use crate::base::Usd;
use crate::base::ids::{OrgId, PersonId, TopUpId};
use crate::topups::fees::{Method, Quote};
use crate::topups::payment::Payment;
use crate::topups::processors::Checkout;
use crate::topups::topup::{State, TopUp};

/// Reads purchases, with the same columns everywhere: what comes before the `select`, what comes after its tables, where
/// `t` is the purchase, and the values.
macro_rules! read_topups {
    ($before:tt, $after:tt $(, $value:expr)* $(,)?) => {
        sqlx::query_as!(
            $crate::topups::topup::TopUp,
            $before
                + r#" select t.org_id as "org: _", t.id as "id: _", t.method, t.processor, t.credits as "credits: _",
                t.fee as "fee: _", t.total as "total: _", t.asked_total as "asked: _",
                t.asked_credits as "asked_credits: _", t.seen as "seen: _", t.more_of as "more_of: _", t.state, t.failure, t.processor_ref, t.payment_ref,
                t.checkout_url, t.origin, t.refunded as "refunded: _", t.disputed as "disputed: _",
                t.processor_fee as "processor_fee: _", t.receipt_number, p.name as "payer?", t.created_at, t.paid_at
               from topup t left join person p on p.id = t.created_by "#
                + $after
            $(, $value)*
        )
    };
}
pub(super) use read_topups;

/// A purchase to write down.
#[derive(Clone, Copy, Debug)]
pub struct NewTopUp<'a> {
    pub org: OrgId,
    pub id: TopUpId,
    pub method: &'a Method,
    pub quote: Quote,
    /// `person` or `auto`.
    pub origin: &'static str,
    pub by: Option<PersonId>,
}

/// False when there is one of this id, or when the organization has an open automatic one and this is another.
pub async fn insert(conn: &mut PgConnection, new: &NewTopUp<'_>) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "insert into topup (org_id, id, method, processor, credits, fee, total, state, created_by, origin, ask_at)
         values ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9, now() + interval '1 minute')
         on conflict do nothing",
        new.org.0,
        new.id.0,
        new.method.slug,
        new.method.processor,
        new.quote.credits.amount(),
        new.quote.fee.amount(),
        new.quote.total.amount(),
        new.by.map(|person| person.0),
        new.origin,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What the processor opened. What a message told before is not overwritten.
pub async fn set_checkout(
    conn: &mut PgConnection,
    org: OrgId,
    id: TopUpId,
    checkout: &Checkout,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update topup set processor_ref = coalesce(processor_ref, $3), updated_at = now(),
            checkout_url = case when coalesce(processor_ref, $3) = $3 then $4 else checkout_url end
         where org_id = $1 and id = $2",
        org.0,
        id.0,
        checkout.reference,
        checkout.url,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One purchase of an organization.
///
/// # Errors
/// Database errors only.
pub async fn find(conn: &mut PgConnection, org: OrgId, id: TopUpId) -> Result<Option<TopUp>, sqlx::Error> {
    read_topups!("", "where t.org_id = $1 and t.id = $2", org.0, id.0).fetch_optional(conn).await
}

/// Purchases of an organization, newest first.
///
/// # Errors
/// Database errors only.
pub async fn list(
    conn: &mut PgConnection,
    org: OrgId,
    before: Option<TopUpId>,
    limit: i64,
) -> Result<Vec<TopUp>, sqlx::Error> {
    read_topups!(
        "",
        "where t.org_id = $1 and ($2::uuid is null or t.id < $2) order by t.id desc limit $3",
        org.0,
        before.map(|id| id.0),
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Purchases of an organization that may still be paid, newest first.
pub async fn pending(conn: &mut PgConnection, org: OrgId, limit: i64) -> Result<Vec<TopUp>, sqlx::Error> {
    read_topups!("", "where t.org_id = $1 and t.state = 'pending' order by t.id desc limit $2", org.0, limit)
        .fetch_all(conn)
        .await
}

/// One purchase, locked until the transaction ends.
pub async fn lock(conn: &mut PgConnection, org: OrgId, id: TopUpId) -> Result<Option<TopUp>, sqlx::Error> {
    read_topups!("", "where t.org_id = $1 and t.id = $2 for update of t", org.0, id.0).fetch_optional(conn).await
}

/// The purchase of a payment, locked until the transaction ends: by the name that we gave it, or by its own. A message
/// can come before the answer to the request that caused it.
pub async fn lock_of_payment(
    conn: &mut PgConnection,
    processor: &str,
    payment: &Payment,
) -> Result<Option<TopUp>, sqlx::Error> {
    read_topups!(
        "",
        "where t.processor = $1
            and (t.id = $2 or ($2::uuid is null and (t.processor_ref = $3 or t.payment_ref = $4)))
         order by t.id limit 1 for update of t",
        processor,
        payment.topup.map(|id| id.0),
        payment.reference,
        payment.payment_ref,
    )
    .fetch_optional(conn)
    .await
}

/// Names of the payment that were not known yet, and where to confirm it.
pub async fn note_payment(conn: &mut PgConnection, topup: &TopUp, payment: &Payment) -> Result<(), sqlx::Error> {
    let confirm = match &payment.state {
        crate::topups::payment::PaymentState::NeedsAction { url } => Some(url.as_str()),
        _ => None,
    };
    sqlx::query!(
        "update topup set processor_ref = coalesce(processor_ref, $3), payment_ref = coalesce(payment_ref, $4),
            checkout_url = coalesce($5, checkout_url)
         where org_id = $1 and id = $2
            and (processor_ref is null or (payment_ref is null and $4::text is not null) or $5::text is not null)",
        topup.org.0,
        topup.id.0,
        payment.reference,
        payment.payment_ref,
        confirm,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes the state. The first time that money came in gives the receipt its number; an end needs no more asking.
pub async fn set_state(conn: &mut PgConnection, topup: &TopUp, state: State, failure: &str) -> Result<(), sqlx::Error> {
    if state == State::Paid && topup.receipt_number.is_none() {
        sqlx::query!(
            "with next as (update receipt_counter set last = last + 1 returning last)
             update topup set receipt_number = next.last, paid_at = now() from next where org_id = $1 and id = $2",
            topup.org.0,
            topup.id.0,
        )
        .execute(&mut *conn)
        .await?;
    }
    sqlx::query!(
        "update topup set state = $3, failure = $4, updated_at = now(),
            ask_at = case when $3 = 'pending' then ask_at end
         where org_id = $1 and id = $2",
        topup.org.0,
        topup.id.0,
        state.as_str(),
        failure,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What came in instead of what was asked.
pub async fn set_amounts(conn: &mut PgConnection, topup: &TopUp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update topup set credits = $3, fee = $4, total = $5, asked_total = $6, asked_credits = $7
         where org_id = $1 and id = $2",
        topup.org.0,
        topup.id.0,
        topup.credits.amount(),
        topup.fee.amount(),
        topup.total.amount(),
        topup.asked.map(Usd::amount),
        topup.asked_credits.map(Usd::amount),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What was seen of a payment that is not credited.
pub async fn set_seen(conn: &mut PgConnection, topup: &TopUp, seen: Usd) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update topup set seen = $3, updated_at = now() where org_id = $1 and id = $2",
        topup.org.0,
        topup.id.0,
        seen.amount(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Goes on asking for a while after the end, for money that comes late.
pub async fn go_on_asking(conn: &mut PgConnection, topup: &TopUp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update topup set ask_at = now() + interval '1 hour' where org_id = $1 and id = $2",
        topup.org.0,
        topup.id.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Another payment of a credited purchase, as a purchase of its own that belongs to the first one.
pub async fn insert_more(conn: &mut PgConnection, more: &TopUp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into topup (org_id, id, method, processor, credits, fee, total, state, created_by, more_of)
         select org_id, $3, method, processor, $4, $5, $6, 'pending', created_by, id from topup
         where org_id = $1 and id = $2",
        more.org.0,
        more.more_of.map(|id| id.0),
        more.id.0,
        more.credits.amount(),
        more.fee.amount(),
        more.total.amount(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What came in for a purchase after it was credited, oldest first. All of it: what is credited next is what came in
/// beyond it, and a part that is not read would be credited again. Each was a payment of its own, which bounds them.
///
/// # Errors
/// Database errors only.
pub async fn more_of(conn: &mut PgConnection, org: OrgId, id: TopUpId) -> Result<Vec<TopUp>, sqlx::Error> {
    read_topups!("", "where t.org_id = $1 and t.more_of = $2 order by t.id", org.0, id.0).fetch_all(conn).await
}

/// The same, locked until the transaction ends. The caller holds the lock of the first one.
pub async fn lock_more_of(conn: &mut PgConnection, org: OrgId, id: TopUpId) -> Result<Vec<TopUp>, sqlx::Error> {
    read_topups!("", "where t.org_id = $1 and t.more_of = $2 order by t.id for update of t", org.0, id.0)
        .fetch_all(conn)
        .await
}

pub async fn set_taken_back(conn: &mut PgConnection, topup: &TopUp) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update topup set refunded = $3, disputed = $4, updated_at = now() where org_id = $1 and id = $2",
        topup.org.0,
        topup.id.0,
        topup.refunded.amount(),
        topup.disputed.amount(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What the processor kept for itself, as it says now.
pub async fn set_processor_fee(conn: &mut PgConnection, topup: &TopUp, fee: Usd) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update topup set processor_fee = $3 where org_id = $1 and id = $2",
        topup.org.0,
        topup.id.0,
        fee.amount(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// False when it was known.
pub async fn set_fraud_warned(conn: &mut PgConnection, topup: &TopUp) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update topup set fraud_warned_at = now() where org_id = $1 and id = $2 and fraud_warned_at is null",
        topup.org.0,
        topup.id.0,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Purchases whose processor is to be asked now, put off before they are returned: every two minutes in the first
/// three hours, in which people pay, then every hour, and after a month every day until somebody says how it ended. What
/// has ended and may still get money is asked for every hour until it is three days old: those who watch for late money do so for a day.
pub async fn due_topups(conn: &mut PgConnection, limit: i64) -> Result<Vec<TopUp>, sqlx::Error> {
    read_topups!(
        "with due as (
            select org_id, id from topup where ask_at <= now()
            order by ask_at limit $1 for update skip locked
         ), put_off as (
            update topup t set asked = asked + 1, ask_at = case
                when t.state <> 'pending' then
                    case when t.created_at > now() - interval '3 days' then now() + interval '1 hour' end
                when t.created_at > now() - interval '3 hours' then now() + interval '2 minutes'
                when t.created_at > now() - interval '31 days' then now() + interval '1 hour'
                else now() + interval '1 day'
            end
            from due where t.org_id = due.org_id and t.id = due.id
            returning t.org_id, t.id
         )",
        "join put_off d on d.org_id = t.org_id and d.id = t.id",
        limit,
    )
    .fetch_all(conn)
    .await
}

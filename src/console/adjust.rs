//! Credits given or taken by hand. Above an amount, two operators have to want it.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::confirmation::given_alone;
use super::store;
use super::waiting::{self, OPEN_FOR, Waiting};
use crate::accounts::operator::{self, Refusal};
use crate::base::Usd;
use crate::base::ids::{AdjustmentId, OrgId, PersonId, TransferId};
use crate::db::moment;
use crate::ledger::{self, Code, HouseAccount, PostError, Posted, Posting, credit_account};
use crate::orgs;

/// What one operator gives away alone within this time counts together.
pub const ALONE_WITHIN: TimeDelta = TimeDelta::hours(24);
/// More than this is a typing mistake.
const MAX_AMOUNT: Usd = Usd::from_whole(1_000_000);

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Credits as a present: a cost of promotion.
    Grant,
    /// Credits that were missing: a correction.
    Give,
    /// Credits that were too many: a correction, below zero if need be.
    Take,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Grant, Kind::Give, Kind::Take];

    #[must_use]
    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Grant => "grant",
            Kind::Give => "give",
            Kind::Take => "take",
        }
    }

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Kind::Grant => "Grant credits",
            Kind::Give => "Correct upwards",
            Kind::Take => "Correct downwards",
        }
    }

    fn posting(self, adjustment: &Adjustment) -> Posting {
        let credits = credit_account(adjustment.org);
        let (code, debit, credit) = match self {
            Kind::Grant => (Code::Grant, HouseAccount::Promotions.id(), credits),
            Kind::Give => (Code::Correction, HouseAccount::OperatorLoss.id(), credits),
            Kind::Take => (Code::Correction, credits, HouseAccount::OperatorLoss.id()),
        };
        Posting {
            code,
            reference: adjustment.id.to_string(),
            debit,
            credit,
            amount: adjustment.amount,
            org: Some(adjustment.org),
            memo: adjustment.reason.clone(),
        }
    }
}

/// A grant or correction that somebody wants.
#[derive(Clone, Debug)]
pub struct NewAdjustment {
    pub id: AdjustmentId,
    pub org: OrgId,
    pub kind: Kind,
    pub amount: Usd,
    pub reason: String,
    pub made_by: PersonId,
}

/// One as it is kept.
#[derive(Clone, Debug)]
pub struct Adjustment {
    pub id: AdjustmentId,
    pub org: OrgId,
    pub kind: String,
    pub amount: Usd,
    pub reason: String,
    /// `pending`, `posted`, `rejected`, `withdrawn` or `expired`.
    pub state: String,
    pub needs_two: bool,
    pub made_by: PersonId,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub decided_by: Option<PersonId>,
    pub decided_at: Option<DateTime<Utc>>,
    pub transfer: Option<TransferId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Booked(TransferId),
    /// A second operator has to agree.
    Waits,
}

#[derive(Debug, thiserror::Error)]
pub enum AdjustError {
    #[error("The amount must be above zero, and at most $1,000,000.")]
    Amount,
    #[error("There is no such organization.")]
    NoOrg,
    #[error("This organization is deleted, so nobody could spend the credits. Nothing was booked.")]
    Gone,
    #[error("There is no such grant or correction.")]
    NotFound,
    #[error(transparent)]
    Waiting(#[from] Waiting),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<PostError> for AdjustError {
    fn from(error: PostError) -> AdjustError {
        match error {
            PostError::Database(error) => error.into(),
            other => AdjustError::Internal(anyhow::anyhow!("a decided adjustment was not posted: {other}")),
        }
    }
}

/// Books it, or lets it wait for a second operator: above `limit`, or where what its maker gave away alone within a day,
/// codes included, would come above it. Runs in a transaction in which the maker's row of operators is locked, so that two of theirs at once
/// are counted one after the other.
///
/// # Errors
/// `Amount`, `NoOrg` and `Gone`; database errors.
pub async fn make(conn: &mut PgConnection, new: &NewAdjustment, limit: Usd) -> Result<Outcome, AdjustError> {
    if !new.amount.is_positive() || new.amount > MAX_AMOUNT {
        return Err(AdjustError::Amount);
    }
    may_get(conn, new.org, new.kind).await?;
    if ledger::lock_credit(conn, new.org).await?.is_none() {
        return Err(AdjustError::NoOrg);
    }
    let alone = given_alone(conn, new.made_by).await?;
    let needs_two = alone + new.amount > limit;
    store::insert_adjustment(conn, new, needs_two, OPEN_FOR).await?;
    if needs_two {
        return Ok(Outcome::Waits);
    }
    let adjustment = store::lock_adjustment(conn, new.id).await?.ok_or(AdjustError::NotFound)?;
    Ok(Outcome::Booked(book(conn, &adjustment, new.made_by).await?))
}

/// Refuses credits for an organization that ended meanwhile, under its lock. What is to be taken may be: the books of one that
/// is gone are put in order, too.
async fn may_get(conn: &mut PgConnection, org: OrgId, kind: Kind) -> Result<(), AdjustError> {
    if kind == Kind::Take {
        return Ok(());
    }
    orgs::lock_org(conn, org).await?;
    if orgs::is_gone(conn, org).await? {
        return Err(AdjustError::Gone);
    }
    Ok(())
}

/// Agrees, and books it. Of two who do so at once, one finds it decided.
///
/// # Errors
/// `Refused`, `Decided`, `Expired`, `NotFound` and `Gone`; database errors.
pub async fn approve(
    conn: &mut PgConnection,
    id: AdjustmentId,
    by: PersonId,
) -> Result<(Adjustment, TransferId), AdjustError> {
    let adjustment = open(conn, id).await?;
    operator::may_confirm(conn, adjustment.made_by, by).await??;
    if let Some(kind) = Kind::parse(&adjustment.kind) {
        may_get(conn, adjustment.org, kind).await?;
    }
    let transfer = book(conn, &adjustment, by).await?;
    Ok((adjustment, transfer))
}

/// Ends one that waits, without booking it: whoever asked withdraws it, anybody else rejects it.
///
/// # Errors
/// `NotOwn`, `Own`, `Decided`, `Expired`, `NotFound`; database errors.
pub async fn end(
    conn: &mut PgConnection,
    id: AdjustmentId,
    by: PersonId,
    withdraw: bool,
) -> Result<Adjustment, AdjustError> {
    let adjustment = open(conn, id).await?;
    let state = waiting::ending(adjustment.made_by == by, withdraw)?;
    store::decide_adjustment(conn, &adjustment, state, Some(by), None).await?;
    Ok(adjustment)
}

async fn open(conn: &mut PgConnection, id: AdjustmentId) -> Result<Adjustment, AdjustError> {
    let adjustment = store::lock_adjustment(conn, id).await?.ok_or(AdjustError::NotFound)?;
    waiting::still_open(&adjustment.state, adjustment.expires_at, moment(conn).await?)?;
    Ok(adjustment)
}

async fn book(conn: &mut PgConnection, adjustment: &Adjustment, by: PersonId) -> Result<TransferId, AdjustError> {
    let kind = Kind::parse(&adjustment.kind).ok_or_else(|| anyhow::anyhow!("an unknown kind of adjustment"))?;
    let transfer = match ledger::post(conn, kind.posting(adjustment)).await? {
        Posted::Now(id) | Posted::Before(id) => id,
    };
    store::decide_adjustment(conn, adjustment, "posted", Some(by), Some(transfer)).await?;
    Ok(transfer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_books_between_its_accounts() {
        let adjustment = Adjustment {
            id: AdjustmentId::fresh(),
            org: OrgId::fresh(),
            kind: "take".into(),
            amount: Usd::from_whole(5),
            reason: "twice".into(),
            state: "pending".into(),
            needs_two: true,
            made_by: PersonId::fresh(),
            created_at: DateTime::default(),
            expires_at: DateTime::default(),
            decided_by: None,
            decided_at: None,
            transfer: None,
        };
        let credits = credit_account(adjustment.org);
        let of = |kind: Kind| {
            let posting = kind.posting(&adjustment);
            assert_eq!(posting.reference, adjustment.id.to_string());
            (posting.code, posting.debit == credits, posting.credit == credits)
        };
        assert_eq!(of(Kind::Grant), (Code::Grant, false, true));
        assert_eq!(of(Kind::Give), (Code::Correction, false, true));
        assert_eq!(of(Kind::Take), (Code::Correction, true, false));
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
    }
}

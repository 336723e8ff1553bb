//! Who may be the second operator for whom.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use super::store;
use crate::base::ids::PersonId;

/// So long a new operator confirms nothing that others ask for: time for somebody to notice one who should not be there.
pub const CONFIRMS_AFTER: TimeDelta = TimeDelta::days(7);

/// An operator, as far as it decides for whom they may confirm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    pub person: PersonId,
    /// The operator who made them one alone.
    pub made_by: Option<PersonId>,
    pub confirms_from: DateTime<Utc>,
    /// `confirms_from` has come, by the database's clock.
    pub is_ready: bool,
}

/// Why somebody may not be the second operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    #[error("You asked for this, so somebody else has to agree.")]
    Own,
    #[error("Whoever asked for this is no operator any more. Reject it, and ask for it yourself if it is right.")]
    AskerLeft,
    #[error("You are no operator any more.")]
    NoOperator,
    #[error(
        "You are an operator only since a few days, and confirm what others ask for from {} on.",
        .0.format("%-d %B %Y, %H:%M UTC")
    )]
    TooNew(DateTime<Utc>),
    #[error(
        "One of you made the other an operator alone, so the two of you count as one. Another operator has to agree, or \
         somebody on the server runs “farebox user operator” for the one who was made."
    )]
    OnePair,
}

/// Whether neither of them was made by the other, nor both by the same one.
fn are_two(one: &Standing, other: &Standing) -> bool {
    one.person != other.person
        && one.made_by != Some(other.person)
        && other.made_by != Some(one.person)
        && (one.made_by.is_none() || one.made_by != other.made_by)
}

fn decide(everybody: &[Standing], asked_by: PersonId, by: PersonId) -> Result<(), Refusal> {
    if asked_by == by {
        return Err(Refusal::Own);
    }
    let find = |person| everybody.iter().find(|one| one.person == person);
    let asker = find(asked_by).ok_or(Refusal::AskerLeft)?;
    let second = find(by).ok_or(Refusal::NoOperator)?;
    if !are_two(asker, second) {
        return Err(Refusal::OnePair);
    }
    if second.is_ready { Ok(()) } else { Err(Refusal::TooNew(second.confirms_from)) }
}

/// Whether `by` may be the second operator for what `asked_by` wants. Runs in the transaction of the decision, in which the
/// row of `by` is locked.
///
/// # Errors
/// Database errors only; the inner result is the answer.
pub async fn may_confirm(
    conn: &mut PgConnection,
    asked_by: PersonId,
    by: PersonId,
) -> Result<Result<(), Refusal>, sqlx::Error> {
    Ok(decide(&store::standings(conn).await?, asked_by, by))
}

/// How many operators could confirm now what somebody asks for.
///
/// # Errors
/// Database errors only.
pub async fn confirmers(conn: &mut PgConnection, asked_by: PersonId) -> Result<usize, sqlx::Error> {
    let everybody = store::standings(conn).await?;
    Ok(everybody.iter().filter(|one| decide(&everybody, asked_by, one.person).is_ok()).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(person: PersonId, made_by: Option<PersonId>, is_ready: bool) -> Standing {
        Standing { person, made_by, confirms_from: DateTime::UNIX_EPOCH, is_ready }
    }

    #[test]
    fn a_second_account_is_no_second_pair_of_eyes() {
        let [olive, twin, third, new, gone] = std::array::from_fn(|_| PersonId::fresh());
        let everybody = [
            one(olive, None, true),
            one(twin, Some(olive), true),
            one(third, Some(olive), true),
            one(new, None, false),
        ];
        let may = |asked_by, by| decide(&everybody, asked_by, by);
        assert_eq!(may(olive, olive), Err(Refusal::Own));
        for (asked_by, by) in [(olive, twin), (twin, olive), (twin, third), (third, twin)] {
            assert_eq!(may(asked_by, by), Err(Refusal::OnePair));
        }
        assert_eq!(may(olive, new), Err(Refusal::TooNew(DateTime::UNIX_EPOCH)));
        assert_eq!(may(new, olive), Ok(()), "who is new may ask");
        assert_eq!(may(new, twin), Ok(()));
        assert_eq!(may(gone, olive), Err(Refusal::AskerLeft), "what somebody left behind is confirmed by nobody");
        assert_eq!(may(olive, gone), Err(Refusal::NoOperator));
    }
}

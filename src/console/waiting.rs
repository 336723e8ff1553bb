//! What waits for a second operator, whatever it is: how long, and who may end it. Pure.

use chrono::{DateTime, TimeDelta, Utc};

/// So long a second operator may agree.
pub const OPEN_FOR: TimeDelta = TimeDelta::days(7);

/// Why nothing was done with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Waiting {
    #[error("It was decided already. Nothing was done.")]
    Decided,
    #[error("It waited too long and has expired. Somebody has to ask for it again.")]
    Expired,
    #[error("You asked for this. You can withdraw it.")]
    Own,
    #[error("Only whoever asked for it can withdraw it. You can reject it.")]
    NotOwn,
}

/// Whether it can still be decided.
///
/// # Errors
/// `Decided`, `Expired`.
pub fn still_open(state: &str, expires_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), Waiting> {
    if state != "pending" {
        return Err(Waiting::Decided);
    }
    if expires_at <= now {
        return Err(Waiting::Expired);
    }
    Ok(())
}

/// The state in which it ends without being done: whoever asked withdraws it, anybody else rejects it.
///
/// # Errors
/// `Own`, `NotOwn`.
pub const fn ending(is_own: bool, withdraw: bool) -> Result<&'static str, Waiting> {
    match (withdraw, is_own) {
        (true, true) => Ok("withdrawn"),
        (false, false) => Ok("rejected"),
        (true, false) => Err(Waiting::NotOwn),
        (false, true) => Err(Waiting::Own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_open_for_its_time_and_ends_by_who_may_end_it() {
        let now = DateTime::<Utc>::default();
        assert_eq!(still_open("pending", now + TimeDelta::seconds(1), now), Ok(()));
        assert_eq!(still_open("pending", now, now), Err(Waiting::Expired));
        assert_eq!(still_open("rejected", now + OPEN_FOR, now), Err(Waiting::Decided));
        assert_eq!((ending(true, true), ending(false, false)), (Ok("withdrawn"), Ok("rejected")));
        assert_eq!((ending(true, false), ending(false, true)), (Err(Waiting::Own), Err(Waiting::NotOwn)));
    }
}

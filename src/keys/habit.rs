//! Whether a key spends as it usually does.
//!
//! What a key's dearest hour came to on a day is that day's peak. Its habit is the second highest peak of the last two
//! weeks: what happened on two days is a habit, what happened once is not. An hour is unusual when it comes to several
//! times the habit and to more than a few dollars. A key without a habit, because it is new or hardly used, is unusual
//! from a higher amount on.

use crate::base::Usd;

/// So many days before the hour are looked at.
pub const DAYS: i32 = 14;
/// Days with spending that make a habit.
const HABIT_DAYS: i64 = 3;
/// Several times the habit.
const TIMES: u32 = 3;
/// Below it nobody is woken.
pub const FLOOR: Usd = Usd::from_whole(5);
const FLOOR_WITHOUT_HABIT: Usd = Usd::from_whole(25);

/// What a key spent in an hour, and before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hour {
    pub spent: Usd,
    /// The second highest peak of a day.
    pub usual: Usd,
    /// Days with any spending.
    pub days: i64,
}

impl Hour {
    #[must_use]
    pub fn is_unusual(&self) -> bool {
        let floor = if self.days < HABIT_DAYS { FLOOR_WITHOUT_HABIT } else { FLOOR };
        let several = Usd::new(self.usual.amount() * rust_decimal::Decimal::from(TIMES));
        self.spent > several.max(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(spent: i64, usual: i64, days: i64) -> bool {
        Hour { spent: Usd::from_cents(spent), usual: Usd::from_cents(usual), days }.is_unusual()
    }

    #[test]
    fn several_times_the_habit_is_unusual() {
        assert!(hour(3_001, 1_000, 14));
        assert!(!hour(3_000, 1_000, 14));
    }

    #[test]
    fn small_money_wakes_nobody() {
        assert!(!hour(500, 1, 14), "five hundred times the habit, and five dollars");
        assert!(hour(501, 1, 14));
    }

    #[test]
    fn without_a_habit_more_is_needed() {
        assert!(!hour(2_500, 0, 0));
        assert!(hour(2_501, 0, 0));
        assert!(!hour(2_501, 2_000, 2), "the little that is known of it counts");
    }
}

//! Ends of hours and days. What counts the calls of a day must not begin in one day and end in the next.
//!
//! The program and its database use the clock of the machine, so a test waits where an end is near.

use std::time::Duration;

use farebox::base::Clock;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
/// Longer than a test of one day takes at the small size, also on a busy machine.
const TEST: u64 = 90;
/// The same for what belongs into one hour, which is shorter; an hour ends more often.
const PART: u64 = 60;

/// Waits for the next day (UTC) where it is about to begin. Months and weeks begin with a day.
pub async fn within_a_day() {
    within(DAY, TEST).await;
}

/// The same for the next hour.
pub async fn within_an_hour() {
    within(HOUR, PART).await;
}

async fn within(span: u64, room: u64) {
    let now = u64::try_from(Clock::system().now().timestamp()).expect("a moment after 1970");
    let left = span - now % span;
    if left < room {
        println!("waiting {left} s for what begins then");
        tokio::time::sleep(Duration::from_secs(left + 1)).await;
    }
}

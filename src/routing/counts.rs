//! What endpoints did in the last half hour, counted so that the counts of several processes add up.

/// Steps between one power of two and the next. A number is told to within a sixteenth.
const STEPS: u64 = 8;
const STEP_BITS: u32 = 3;

/// What one count is of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Counted {
    Answered,
    Failed,
    /// Milliseconds to the first token, in steps.
    FirstToken,
    /// Tokens in a thousand seconds, in steps.
    Speed,
}

impl Counted {
    pub const ALL: [Counted; 4] = [Counted::Answered, Counted::Failed, Counted::FirstToken, Counted::Speed];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Counted::Answered => "answered",
            Counted::Failed => "failed",
            Counted::FirstToken => "first_token",
            Counted::Speed => "speed",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Counted> {
        Counted::ALL.into_iter().find(|counted| counted.as_str() == text)
    }
}

/// Calls that have one thing in common.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Count {
    pub of: Counted,
    /// Zero for what has none.
    pub step: u16,
    pub calls: u64,
}

/// The step in which a number lies.
pub(super) fn step(number: u64) -> u16 {
    if number < STEPS {
        return u16::try_from(number).unwrap_or(0);
    }
    let power = number.ilog2();
    let within = (number >> (power - STEP_BITS)) % STEPS;
    // At most 61 * 8 + 7.
    u16::try_from(u64::from(power - STEP_BITS + 1) * STEPS + within).unwrap_or(u16::MAX)
}

/// The number in the middle of a step.
fn middle(step: u16) -> u64 {
    let step = u64::from(step);
    if step < STEPS {
        return step;
    }
    let shift = (step / STEPS - 1).min(60);
    ((STEPS + step % STEPS) << shift) + ((1 << shift) >> 1)
}

/// How an endpoint did lately, on all nodes. Shares are of a thousand calls; `None` where nothing was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recent {
    pub well_5m: Option<u64>,
    pub well_30m: Option<u64>,
    pub first_token_ms: Option<Percentiles>,
    pub tokens_per_1000s: Option<Percentiles>,
}

/// Half of the answers were below the first, and so on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Percentiles {
    pub p50: u64,
    pub p75: u64,
    pub p90: u64,
    pub p99: u64,
}

impl Recent {
    /// From the counts of the last five minutes and of the last half hour.
    #[must_use]
    pub fn of(five_minutes: &[Count], half_hour: &[Count]) -> Recent {
        Recent {
            well_5m: share(five_minutes),
            well_30m: share(half_hour),
            first_token_ms: percentiles(half_hour, Counted::FirstToken),
            tokens_per_1000s: percentiles(half_hour, Counted::Speed),
        }
    }
}

fn sum(counts: &[Count], of: Counted) -> u64 {
    counts.iter().filter(|count| count.of == of).map(|count| count.calls).sum()
}

/// Of a thousand calls those that were answered, rounded down.
fn share(counts: &[Count]) -> Option<u64> {
    let (answered, failed) = (sum(counts, Counted::Answered), sum(counts, Counted::Failed));
    answered.saturating_mul(1_000).checked_div(answered + failed)
}

fn percentiles(counts: &[Count], of: Counted) -> Option<Percentiles> {
    let all = sum(counts, of);
    let mut counts: Vec<&Count> = counts.iter().filter(|count| count.of == of && count.calls > 0).collect();
    counts.sort_unstable_by_key(|count| count.step);
    let at = |percent: u64| {
        let mut before = all.saturating_mul(percent) / 100;
        let found = counts.iter().find(|count| {
            let here = before < count.calls;
            before = before.saturating_sub(count.calls);
            here
        });
        found.map(|count| middle(count.step))
    };
    Some(Percentiles { p50: at(50)?, p75: at(75)?, p90: at(90)?, p99: at(99)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_step_tells_a_number_to_within_a_sixteenth(number in 0..u64::MAX / 2) {
            let told = middle(step(number));
            prop_assert!(told.abs_diff(number) <= number / 16 + 1, "{number} became {told}");
            prop_assert!(step(number) <= step(number + 1));
        }
    }

    #[test]
    fn small_numbers_are_exact_and_the_greatest_has_a_step() {
        for number in 0..16 {
            assert_eq!(middle(step(number)), number);
        }
        assert_eq!(step(u64::MAX), 495);
    }

    #[test]
    fn shares_and_percentiles_are_of_their_windows() {
        assert_eq!(Recent::of(&[], &[]), Recent::default());
        let plain = |of, calls| Count { of, step: 0, calls };
        let five = [plain(Counted::Failed, 10)];
        let mut half = vec![plain(Counted::Answered, 40), plain(Counted::Failed, 10)];
        half.extend((1..=40).map(|ms| Count { of: Counted::FirstToken, step: step(ms * 10), calls: 1 }));
        half.push(Count { of: Counted::Speed, step: step(21_000), calls: 3 });
        let seen = Recent::of(&five, &half);
        assert_eq!((seen.well_5m, seen.well_30m), (Some(0), Some(800)));
        let first = seen.first_token_ms.expect("it was measured");
        for (told, exact) in [(first.p50, 210_u64), (first.p75, 310), (first.p90, 370), (first.p99, 400)] {
            assert!(told.abs_diff(exact) <= exact / 16 + 1, "{told} instead of {exact}");
        }
        assert_eq!(seen.tokens_per_1000s.map(|speed| speed.p50 == speed.p99), Some(true));
    }
}

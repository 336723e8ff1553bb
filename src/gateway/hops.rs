//! How often a request has passed through Farebox. A provider may be another Farebox, but not one that leads back here: that
//! would go round until every hold is taken.

/// A request that has passed so often goes round in circles.
pub const MAX: u8 = 4;
/// What each passage adds to `Via`.
const MARK: &str = "1.1 farebox";

/// Passages that the values of a request's `Via` tell of.
#[must_use]
pub fn passed<'a>(via: impl Iterator<Item = &'a str>) -> u8 {
    let told = via.flat_map(|value| value.split(','));
    u8::try_from(told.filter(|part| part.trim().eq_ignore_ascii_case(MARK)).count()).unwrap_or(u8::MAX)
}

/// What is sent on after so many passages, and this one.
#[must_use]
pub fn via(passed: u8) -> String {
    vec![MARK; usize::from(passed.min(MAX)) + 1].join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_passage_counts_once() {
        assert_eq!(passed(std::iter::empty()), 0);
        let mut header = String::new();
        for passage in 0..MAX {
            assert_eq!(passed([header.as_str()].into_iter()), passage);
            header = via(passage);
        }
        assert_eq!(passed([header.as_str(), "1.1 proxy, 1.0 farebox-like"].into_iter()), MAX, "others do not count");
    }
}

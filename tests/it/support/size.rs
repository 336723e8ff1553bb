//! How large a test is, and what it leaves behind.

/// `full` where `FAREBOX_TEST_FULL=1` asks for the figures that the project promises, else `small`.
#[expect(clippy::disallowed_methods, reason = "a switch of the tests, not a setting of the program")]
pub fn scale<T>(small: T, full: T) -> T {
    if std::env::var("FAREBOX_TEST_FULL").is_ok_and(|value| value == "1") { full } else { small }
}

/// In what time every node has heard of a change. The project promises a second, and the full size holds it to that; with other
/// tests on two cores a single answer may take most of one. What nobody was told of comes after thirty, so five prove that
/// they were.
pub fn heard_within() -> std::time::Duration {
    scale(std::time::Duration::from_secs(5), std::time::Duration::from_secs(1))
}

/// Whether pictures of the pages are kept, for somebody to look at: `FAREBOX_TEST_PICTURES=1`.
#[expect(clippy::disallowed_methods, reason = "a switch of the tests, not a setting of the program")]
pub fn pictures() -> bool {
    std::env::var("FAREBOX_TEST_PICTURES").is_ok_and(|value| value == "1")
}

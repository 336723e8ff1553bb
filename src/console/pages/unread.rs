//! Fields of filters that hold what cannot be read: the page comes again with them, and nothing was looked for.

use actix_web::HttpResponse;

use super::{read_day, read_until};
use crate::web::views::blocks::{Block, Filters, Note};
use crate::web::views::console::{ConsoleShell, Page};
use crate::web::{PageError, unprocessable};

const DAY: &str = "Write a day like 2026-11-01.";
const TIME: &str = "Write a time like 10:15 or 10:15:30.";
const OF_WHICH_DAY: &str = "Say the day too: this is a time of it.";

/// The fields of a span of days that cannot be read, by name, and what they must be.
pub fn span(from: &str, until: &str, time: &str) -> Vec<(&'static str, &'static str)> {
    let day = |field: &'static str, text: &str| read_day(text, field).is_err().then_some((field, DAY));
    let time = || {
        let told = if until.is_empty() { OF_WHICH_DAY } else { TIME };
        read_until(until, time, ("until", "time")).is_err().then_some(("time", told))
    };
    day("from", from).into_iter().chain(day("until", until).or_else(time)).collect()
}

/// The page with what was typed, and what is wrong beside each field.
///
/// # Errors
/// When the template cannot be written.
pub fn page(shell: ConsoleShell, mut filters: Filters, unread: &[(&str, &str)]) -> Result<HttpResponse, PageError> {
    for input in &mut filters.fields {
        let Some((_, told)) = unread.iter().find(|(name, _)| *name == input.name) else { continue };
        (*told).clone_into(&mut input.error);
        // A browser shows nothing of what is no day in a field for days.
        if *told != OF_WHICH_DAY {
            input.kind = "text";
        }
    }
    let text = "Nothing was looked for. The field that is marked says what it must be.".to_owned();
    let note = Note { tone: "bad", icon: "circle-x", text, ..Note::default() };
    unprocessable(&Page { shell, blocks: vec![Block::Filters(filters), Block::Note(note)], ..Page::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_says_what_it_must_be() {
        assert!(span("", "", "").is_empty());
        assert!(span("2026-11-01", "2026-11-02", "10:15").is_empty());
        assert_eq!(span("2026-13-01", "x", "10:15"), [("from", DAY), ("until", DAY)]);
        assert_eq!(span("", "2026-11-02", "noon"), [("time", TIME)]);
        assert_eq!(span("", "", "10:15"), [("time", OF_WHICH_DAY)]);
    }
}

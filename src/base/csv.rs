//! Fields of CSV files (RFC 4180) that a spreadsheet does not take for formulas.

use std::borrow::Cow;

/// Spreadsheets compute what begins with one of these.
const COMPUTES: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// A text as a field: never computed, quoted where it has to be.
#[must_use]
pub fn cell(text: &str) -> Cow<'_, str> {
    let guarded = if text.starts_with(COMPUTES) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) };
    if guarded.contains([',', '"', '\r', '\n']) {
        Cow::Owned(format!("\"{}\"", guarded.replace('"', "\"\"")))
    } else {
        guarded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spreadsheet_computes_nothing() {
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("@SUM(A1),\"x\""), "\"'@SUM(A1),\"\"x\"\"\"");
        assert_eq!(cell("a\nb"), "\"a\nb\"");
        assert_eq!(cell("plain"), "plain");
    }
}

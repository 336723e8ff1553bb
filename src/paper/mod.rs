//! Documents on paper: PDF files out of text, with the fonts in them. Knows no domain.
//!
//! What is always true here:
//! - The same sheet gives the same bytes, on every machine and at every time.
//! - No character is drawn as something else. Text that the fonts cannot show is refused, so that whoever wants the
//!   document is told, and prints the page instead.
//! - A document has a bounded number of characters and pages.
//!
//! The fonts show Latin letters of every language, Greek, Cyrillic, Chinese, Japanese and Korean. Scripts whose letters
//! change their shape with their neighbours or run from right to left, such as Arabic, Hebrew, Thai and Devanagari, are
//! refused.

mod font;
mod layout;
mod sheet;
mod write;

pub use font::covers;
pub use sheet::{Block, Party, Row, Sheet};
pub use write::{PaperError, pdf};

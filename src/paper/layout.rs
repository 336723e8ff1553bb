//! Where each line stands. Measures are points, 72 of which are an inch; heights are counted from the bottom of a page.

use super::font::{self, Glyph, Style};
use super::sheet::{Block, Party, Row, Sheet};

/// A4.
pub const WIDTH: f32 = 595.28;
pub const HEIGHT: f32 = 841.89;
const MARGIN: f32 = 56.0;
const INNER: f32 = WIDTH - 2.0 * MARGIN;
/// Between the two columns of addresses, and between names and values.
const GUTTER: f32 = 24.0;
/// Of the names before values.
const NAMES: f32 = 120.0;
/// Above and below a block.
const GAP: f32 = 22.0;
/// A line is so much higher than its letters.
const LEADING: f32 = 1.45;

const HEADING: f32 = 24.0;
const BODY: f32 = 10.0;
const SMALL: f32 = 8.5;

/// Letters in a row, of one size.
#[derive(Clone, Debug)]
pub struct Line {
    pub x: f32,
    pub y: f32,
    pub size: f32,
    /// In grey, for what only names something.
    pub quiet: bool,
    pub glyphs: Vec<Glyph>,
}

/// A thin line over the whole width.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub y: f32,
}

#[derive(Clone, Debug, Default)]
pub struct Page {
    pub lines: Vec<Line>,
    pub rules: Vec<Rule>,
}

pub const LEFT: f32 = MARGIN;
pub const RIGHT: f32 = WIDTH - MARGIN;

#[derive(Clone, Copy)]
struct Look {
    size: f32,
    style: Style,
    quiet: bool,
}

const PLAIN: Look = Look { size: BODY, style: Style::Regular, quiet: false };
const STRONG: Look = Look { size: BODY, style: Style::Bold, quiet: false };
const QUIET: Look = Look { size: SMALL, style: Style::Regular, quiet: true };

/// The pages of a document.
pub fn pages(sheet: &Sheet) -> Vec<Page> {
    let mut layout = Layout { pages: vec![Page::default()], y: HEIGHT - MARGIN };
    for block in &sheet.blocks {
        match block {
            Block::Heading(text) => layout.heading(text),
            Block::Parties(parties) => layout.parties(parties),
            Block::Facts(facts) => layout.facts(facts),
            Block::Table(rows) => layout.table(rows),
            Block::Note(text) => layout.note(text),
        }
        layout.y -= GAP;
    }
    layout.pages
}

struct Layout {
    pages: Vec<Page>,
    y: f32,
}

impl Layout {
    /// Makes room for a line, on the next page where this one is full.
    fn advance(&mut self, height: f32) {
        if self.y - height < MARGIN {
            self.pages.push(Page::default());
            self.y = HEIGHT - MARGIN;
        }
        self.y -= height;
    }

    fn put(&mut self, x: f32, y: f32, look: Look, glyphs: Vec<Glyph>) {
        if let Some(page) = self.pages.last_mut() {
            page.lines.push(Line { x, y, size: look.size, quiet: look.quiet, glyphs });
        }
    }

    fn rule(&mut self) {
        let y = self.y - GAP / 4.0;
        self.advance(GAP / 2.0);
        if let Some(page) = self.pages.last_mut() {
            page.rules.push(Rule { y: y.max(self.y) });
        }
    }

    fn text(&mut self, x: f32, width: f32, text: &str, look: Look) {
        for line in wrap(text, look, width) {
            self.advance(look.size * LEADING);
            let y = self.y;
            self.put(x, y, look, line);
        }
    }

    fn heading(&mut self, text: &str) {
        self.text(LEFT, INNER, text, Look { size: HEADING, style: Style::Bold, quiet: false });
    }

    fn note(&mut self, text: &str) {
        self.text(LEFT, INNER, text, QUIET);
    }

    /// Both begin at the same height; what comes next begins below the longer one. They are short enough for a page.
    fn parties(&mut self, parties: &[Party]) {
        let width = (INNER - GUTTER) / 2.0;
        let (top, page) = (self.y, self.pages.len());
        let mut lowest = top;
        for (party, x) in parties.iter().zip([LEFT, LEFT + width + GUTTER]) {
            if self.pages.len() == page {
                self.y = top;
            }
            self.text(x, width, &party.label, QUIET);
            for line in &party.lines {
                self.text(x, width, line, PLAIN);
            }
            lowest = if self.pages.len() == page { lowest.min(self.y) } else { self.y };
        }
        self.y = lowest;
    }

    fn facts(&mut self, facts: &[(String, String)]) {
        for (name, value) in facts {
            let values = wrap(value, PLAIN, INNER - NAMES);
            let names = wrap(name, Look { quiet: true, ..PLAIN }, NAMES - GUTTER / 2.0);
            self.pairs(names, values, LEFT + NAMES);
        }
    }

    /// Two columns of lines that begin at the same height.
    fn pairs(&mut self, left: Vec<Vec<Glyph>>, right: Vec<Vec<Glyph>>, x: f32) {
        let most = left.len().max(right.len());
        let (mut left, mut right) = (left.into_iter(), right.into_iter());
        for _ in 0..most {
            self.advance(PLAIN.size * LEADING);
            let y = self.y;
            if let Some(glyphs) = left.next() {
                self.put(LEFT, y, Look { quiet: true, ..PLAIN }, glyphs);
            }
            if let Some(glyphs) = right.next() {
                self.put(x, y, PLAIN, glyphs);
            }
        }
    }

    fn table(&mut self, rows: &[Row]) {
        self.rule();
        for row in rows {
            if row.is_sum {
                self.rule();
            }
            self.row(row);
        }
        self.rule();
    }

    fn row(&mut self, row: &Row) {
        let look = if row.is_sum { STRONG } else { PLAIN };
        let amount = glyphs(&row.how_much, look.style);
        let taken = width(&amount, look.size);
        let mut amount = Some(amount);
        for line in wrap(&row.what, look, INNER - taken - GUTTER) {
            self.advance(look.size * LEADING);
            let y = self.y;
            self.put(LEFT, y, look, line);
            if let Some(amount) = amount.take() {
                self.put(RIGHT - taken, y, look, amount);
            }
        }
    }
}

fn glyphs(text: &str, style: Style) -> Vec<Glyph> {
    text.chars().filter_map(|letter| font::glyph(letter, style)).collect()
}

fn width(glyphs: &[Glyph], size: f32) -> f32 {
    glyphs.iter().map(|glyph| glyph.width).sum::<f32>() * size / 1_000.0
}

/// Lines that fit: broken at spaces, and within what has none. An empty text is one empty line.
fn wrap(text: &str, look: Look, most: f32) -> Vec<Vec<Glyph>> {
    let mut lines = Vec::new();
    let mut line: Vec<Glyph> = Vec::new();
    for glyph in glyphs(text, look.style) {
        line.push(glyph);
        if width(&line, look.size) <= most || line.len() == 1 {
            continue;
        }
        let space = line.iter().rposition(|glyph| glyph.letter == ' ').filter(|at| *at > 0);
        let rest = match space {
            Some(at) => {
                let rest = line.split_off(at + 1);
                line.truncate(at);
                rest
            }
            None => line.split_off(line.len() - 1),
        };
        lines.push(std::mem::replace(&mut line, rest));
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &[Glyph]) -> String {
        line.iter().map(|glyph| glyph.letter).collect()
    }

    #[test]
    fn lines_are_broken_at_spaces_and_where_there_is_none() {
        let long = "a few words that do not fit on one line of so small a column";
        let lines = wrap(long, PLAIN, 90.0);
        assert!(lines.len() > 2);
        assert!(lines.iter().all(|line| width(line, PLAIN.size) <= 90.0));
        assert_eq!(lines.iter().map(|line| text(line)).collect::<Vec<_>>().join(" "), long);
        for unbroken in ["x".repeat(300), "上海市浦东新区世纪大道".repeat(30)] {
            let lines = wrap(&unbroken, PLAIN, 90.0);
            assert!(lines.iter().all(|line| width(line, PLAIN.size) <= 90.0));
            assert_eq!(lines.iter().map(|line| text(line)).collect::<String>(), unbroken);
        }
        assert_eq!(wrap("", PLAIN, 90.0).len(), 1);
    }

    #[test]
    fn what_does_not_fit_on_a_page_goes_on_on_the_next() {
        let rows = (0..200).map(|n| Row { what: format!("Line {n}"), how_much: "$1.00".into(), is_sum: false });
        let blocks = vec![Block::Heading("Long".into()), Block::Table(rows.collect())];
        let pages = pages(&Sheet { title: String::new(), made_at: chrono::DateTime::default(), blocks });
        assert!(pages.len() >= 3, "{}", pages.len());
        let lines: usize = pages.iter().map(|page| page.lines.len()).sum();
        assert_eq!(lines, 401);
        for line in pages.iter().flat_map(|page| &page.lines) {
            assert!(line.y >= MARGIN && line.y < HEIGHT - MARGIN && line.x >= MARGIN);
            assert!(line.x + width(&line.glyphs, line.size) <= WIDTH - MARGIN + 0.1);
        }
    }
}

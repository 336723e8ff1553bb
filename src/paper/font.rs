//! The fonts, and which of them shows a character. Widths are in thousandths of the size of the letters.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use subsetter::GlyphRemapper;
use ttf_parser::Face;

/// The glyphs that a text uses, with the letter and the width of each.
pub type Letters = BTreeMap<u16, (char, f32)>;

/// Under the SIL Open Font License 1.1 and, the last one, the Apache License 2.0: see `fonts/NOTICE.md`.
static FILES: [(&str, &[u8]); 3] = [
    ("NotoSans-Regular", include_bytes!("fonts/NotoSans-Regular.ttf")),
    ("NotoSans-Bold", include_bytes!("fonts/NotoSans-Bold.ttf")),
    ("DroidSansFallback", include_bytes!("fonts/DroidSansFallback.ttf")),
];

/// How many fonts there are.
pub const FONTS: usize = FILES.len();

static FACES: LazyLock<Vec<Face<'static>>> =
    LazyLock::new(|| FILES.iter().filter_map(|(_, data)| Face::parse(data, 0).ok()).collect());

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    Regular,
    Bold,
}

/// A character in one of the fonts.
#[derive(Clone, Copy, Debug)]
pub struct Glyph {
    pub font: usize,
    pub id: u16,
    pub letter: char,
    pub width: f32,
}

/// The name and the whole file of a font.
pub fn file(font: usize) -> Option<(&'static str, &'static [u8])> {
    FILES.get(font).copied()
}

pub fn face(font: usize) -> Option<&'static Face<'static>> {
    FACES.get(font)
}

/// The glyph of a character: of the font of its style, else of the one for the scripts of East Asia.
pub fn glyph(letter: char, style: Style) -> Option<Glyph> {
    let first = match style {
        Style::Regular => 0,
        Style::Bold => 1,
    };
    [first, 2].into_iter().find_map(|font| {
        let face = face(font)?;
        let id = face.glyph_index(drawn(letter)).filter(|id| id.0 != 0)?;
        let width = per_mille(f32::from(face.glyph_hor_advance(id)?), face);
        Some(Glyph { font, id: id.0, letter, width })
    })
}

/// These fonts have no minus sign. A dash as wide as a figure takes its place; who copies the text gets the minus.
const fn drawn(letter: char) -> char {
    match letter {
        '\u{2212}' => '\u{2012}',
        other => other,
    }
}

/// A measure of a font in thousandths.
pub fn per_mille(units: f32, face: &Face<'_>) -> f32 {
    units * 1_000.0 / f32::from(face.units_per_em())
}

/// Whether a text can be shown as it is: every character in some font, and none that would need shaping.
#[must_use]
pub fn covers(text: &str) -> bool {
    text.chars().all(|letter| !letter.is_control() && glyph(letter, Style::Regular).is_some())
}

/// What of the fonts a document uses. Glyphs get new numbers in the order in which they are first used.
#[derive(Default)]
pub struct Used {
    remappers: [GlyphRemapper; FONTS],
    letters: [BTreeMap<u16, (char, f32)>; FONTS],
}

impl Used {
    /// The number of a glyph in the part of its font that goes into the document.
    pub fn number(&mut self, glyph: &Glyph) -> u16 {
        let (Some(remapper), Some(letters)) = (self.remappers.get_mut(glyph.font), self.letters.get_mut(glyph.font))
        else {
            return 0;
        };
        let number = remapper.remap(glyph.id);
        letters.entry(number).or_insert((glyph.letter, glyph.width));
        number
    }

    /// The used part of a font, with the character and the width of each new number; `None` when it is not used.
    pub fn part(&self, font: usize) -> Option<(&GlyphRemapper, &Letters)> {
        let letters = self.letters.get(font).filter(|letters| !letters.is_empty())?;
        Some((self.remappers.get(font)?, letters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_half_the_world_can_be_shown_and_the_rest_is_known() {
        assert_eq!(FACES.len(), FONTS, "every font can be read");
        for text in [
            "\u{2212}$20.00",
            "Ada Lovelace, 12 St James\u{2019}s Square",
            "Żółć Ğüneş Œuvre Nguyễn Thị Ánh",
            "Ελληνική Εταιρεία",
            "ООО «Ромашка», Москва",
            "上海市浦东新区世纪大道100号",
            "臺北市信義區",
            "株式会社テスト ひらがな",
            "서울특별시 강남구",
            "$1,204.50 \u{2013} € £ ¥ № 7",
        ] {
            assert!(covers(text), "{text}");
        }
        for text in ["שלום", "سلام", "สวัสดี", "नमस्ते", "😀", "two\nlines", "\u{0}"]
        {
            assert!(!covers(text), "{text}");
        }
    }
}

//! The file: pages with their letters, and the parts of the fonts that they use.

use chrono::{DateTime, Datelike, Timelike, Utc};
use pdf_writer::types::{CidFontType, FontFlags, SystemInfo, UnicodeCmap};
use pdf_writer::{Content, Date, Finish, Name, Pdf, Rect, Ref, Str, TextStr};
use sha2::{Digest, Sha256};

use super::font::{self, FONTS, Used};
use super::layout::{self, HEIGHT, LEFT, Page, RIGHT, WIDTH};
use super::sheet::Sheet;

/// Characters of one document.
const MAX_LETTERS: usize = 50_000;
const MAX_PAGES: usize = 40;

const RULE: f32 = 0.6;
const INK: f32 = 0.1;
const QUIET_INK: f32 = 0.4;

#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// Some text has characters that no font here shows.
    #[error("the fonts cannot show {0:?}")]
    NotCovered(String),
    #[error("the document is too long")]
    TooLong,
    #[error("a font could not be taken into the document: {0}")]
    Font(String),
}

/// The document as a PDF file, the same bytes for the same sheet.
///
/// # Errors
/// See [`PaperError`].
pub fn pdf(sheet: &Sheet) -> Result<Vec<u8>, PaperError> {
    if let Some(text) = sheet.texts().find(|text| !font::covers(text)) {
        return Err(PaperError::NotCovered(text.to_owned()));
    }
    if sheet.texts().map(str::len).sum::<usize>() > MAX_LETTERS {
        return Err(PaperError::TooLong);
    }
    let pages = layout::pages(sheet);
    if pages.len() > MAX_PAGES {
        return Err(PaperError::TooLong);
    }
    let mut used = Used::default();
    let contents: Vec<Vec<u8>> = pages.iter().map(|page| content(page, &mut used)).collect();
    let mut refs = Refs(1);
    let mut pdf = Pdf::new();
    let (catalog, tree, info) = (refs.next(), refs.next(), refs.next());
    let fonts: Vec<(usize, Ref)> =
        (0..FONTS).filter(|font| used.part(*font).is_some()).map(|font| (font, refs.next())).collect();
    let page_refs: Vec<Ref> = contents.iter().map(|_| refs.next()).collect();
    let mut root = pdf.catalog(catalog);
    root.pages(tree).lang(TextStr("en"));
    root.viewer_preferences().display_doc_title(true);
    root.finish();
    pdf.pages(tree).kids(page_refs.iter().copied()).count(i32::try_from(page_refs.len()).unwrap_or(i32::MAX));
    for (id, content) in page_refs.iter().zip(&contents) {
        let stream = refs.next();
        let mut page = pdf.page(*id);
        page.media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT)).parent(tree).contents(stream);
        let mut resources = page.resources();
        let mut names = resources.fonts();
        for (font, id) in &fonts {
            names.pair(Name(name(*font).as_bytes()), *id);
        }
        names.finish();
        resources.finish();
        page.finish();
        pdf.stream(stream, content);
    }
    for (font, id) in fonts {
        embed(&mut pdf, &mut refs, &used, font, id)?;
    }
    let about = date(sheet.made_at);
    pdf.document_info(info)
        .title(TextStr(&sheet.title))
        .creator(TextStr("Farebox"))
        .creation_date(about)
        .modified_date(about);
    let id = Sha256::digest(contents.concat()).get(..16).unwrap_or_default().to_vec();
    pdf.set_file_id((id.clone(), id));
    Ok(pdf.finish())
}

/// Numbers of the objects of a file, one after the other.
struct Refs(i32);

impl Refs {
    fn next(&mut self) -> Ref {
        let id = Ref::new(self.0);
        self.0 += 1;
        id
    }
}

/// How a page calls a font.
fn name(font: usize) -> String {
    format!("F{font}")
}

fn date(at: DateTime<Utc>) -> Date {
    let part = |value: u32| u8::try_from(value).unwrap_or_default();
    Date::new(u16::try_from(at.year()).unwrap_or_default())
        .month(part(at.month()))
        .day(part(at.day()))
        .hour(part(at.hour()))
        .minute(part(at.minute()))
        .second(part(at.second()))
        .utc_offset_hour(0)
        .utc_offset_minute(0)
}

fn content(page: &Page, used: &mut Used) -> Vec<u8> {
    let mut content = Content::new();
    content.set_line_width(RULE).set_stroke_gray(QUIET_INK);
    for rule in &page.rules {
        content.move_to(LEFT, rule.y).line_to(RIGHT, rule.y).stroke();
    }
    for line in &page.lines {
        content.begin_text().set_fill_gray(if line.quiet { QUIET_INK } else { INK });
        content.next_line(line.x, line.y);
        // A piece for each change of the font.
        for run in line.glyphs.chunk_by(|one, next| one.font == next.font) {
            let Some(first) = run.first() else { continue };
            let numbers: Vec<u8> = run.iter().flat_map(|glyph| used.number(glyph).to_be_bytes()).collect();
            content.set_font(Name(name(first.font).as_bytes()), line.size).show(Str(&numbers));
        }
        content.end_text();
    }
    content.finish().into_vec()
}

/// Takes the used part of a font into the file. Readers copy and search text by the map from numbers to characters.
fn embed(pdf: &mut Pdf, refs: &mut Refs, used: &Used, font: usize, id: Ref) -> Result<(), PaperError> {
    let missing = || PaperError::Font(name(font));
    let (Some((plain, file)), Some(face)) = (font::file(font), font::face(font)) else { return Err(missing()) };
    let (remapper, letters) = used.part(font).ok_or_else(missing)?;
    let part = subsetter::subset(file, 0, remapper).map_err(|error| PaperError::Font(error.to_string()))?;
    let full = format!("{}+{plain}", tag(&part));
    let base = Name(full.as_bytes());
    let (cid, descriptor, stream, cmap) = (refs.next(), refs.next(), refs.next(), refs.next());
    let system = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"Identity"), supplement: 0 };
    pdf.type0_font(id).base_font(base).encoding_predefined(Name(b"Identity-H")).descendant_font(cid).to_unicode(cmap);
    let mut cids = pdf.cid_font(cid);
    cids.subtype(CidFontType::Type2).base_font(base).system_info(system).font_descriptor(descriptor);
    cids.default_width(0.0).cid_to_gid_map_predefined(Name(b"Identity"));
    let mut widths = cids.widths();
    for (number, (_, width)) in letters {
        widths.consecutive(*number, [*width]);
    }
    widths.finish();
    cids.finish();
    let measure = |units: i16| font::per_mille(f32::from(units), face);
    let bounds = face.global_bounding_box();
    pdf.font_descriptor(descriptor)
        .name(base)
        .flags(FontFlags::SYMBOLIC)
        .bbox(Rect::new(measure(bounds.x_min), measure(bounds.y_min), measure(bounds.x_max), measure(bounds.y_max)))
        .italic_angle(0.0)
        .ascent(measure(face.ascender()))
        .descent(measure(face.descender()))
        .cap_height(measure(face.capital_height().unwrap_or(face.ascender())))
        .stem_v(80.0)
        .font_file2(stream);
    pdf.stream(stream, &part).pair(Name(b"Length1"), i32::try_from(part.len()).unwrap_or(i32::MAX));
    let mut map = UnicodeCmap::new(Name(b"Farebox-Unicode"), system);
    for (number, (letter, _)) in letters {
        map.pair(*number, *letter);
    }
    pdf.cmap(cmap, &map.finish()).name(Name(b"Farebox-Unicode")).system_info(system);
    Ok(())
}

/// Six capitals before the name of a font say that a part of it is in the file, and which.
fn tag(part: &[u8]) -> String {
    Sha256::digest(part).iter().take(6).map(|byte| char::from(b'A' + byte % 26)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sheet::{Block, Row};
    use super::*;

    fn sheet(text: &str) -> Sheet {
        let row = Row { what: text.to_owned(), how_much: "$20.00".into(), is_sum: false };
        Sheet {
            title: "Receipt R-000001".into(),
            made_at: DateTime::from_timestamp(1_790_000_000, 0).unwrap_or_default(),
            blocks: vec![Block::Heading("Receipt".into()), Block::Table(vec![row])],
        }
    }

    #[test]
    fn the_same_sheet_is_the_same_bytes() {
        let one = pdf(&sheet("Prepaid credits 上海")).unwrap_or_else(|error| panic!("{error}"));
        let two = pdf(&sheet("Prepaid credits 上海")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(one, two);
        assert!(one.starts_with(b"%PDF-1.7") && one.len() < 60_000, "{} bytes", one.len());
        assert_ne!(one, pdf(&sheet("Prepaid credits")).unwrap_or_default());
    }

    #[test]
    fn what_cannot_be_shown_or_is_too_long_is_refused() {
        assert!(matches!(pdf(&sheet("שלום")), Err(PaperError::NotCovered(text)) if text == "שלום"));
        assert!(matches!(pdf(&sheet(&"word ".repeat(20_000))), Err(PaperError::TooLong)));
    }
}

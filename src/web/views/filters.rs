//! Filters that templates use.

use askama::filters::Safe;

use super::icons;

/// An icon as inline SVG, hidden from screen readers because text stands beside it. An unknown name is an error.
#[askama::filter_fn]
pub fn icon(name: &str, _: &dyn askama::Values) -> askama::Result<Safe<String>> {
    let path = icons::path(name).ok_or(askama::Error::Fmt)?;
    Ok(Safe(format!(r#"<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{path}</svg>"#)))
}

/// A sentence of the API's document: what stands between backticks is code.
#[askama::filter_fn]
pub fn prose(text: &str, _: &dyn askama::Values) -> askama::Result<Safe<String>> {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut out = String::with_capacity(escaped.len());
    for (at, part) in escaped.split('`').enumerate() {
        match at % 2 {
            0 => out.push_str(part),
            _ => out.push_str(&format!("<code class=\"inline\">{part}</code>")),
        }
    }
    Ok(Safe(out))
}

/// The versioned address of a static file.
#[askama::filter_fn]
pub fn asset(path: &str, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(crate::web::assets::url(path))
}

//! Filters that templates use.

use askama::filters::Safe;

use super::icons;

/// An icon as inline SVG, hidden from screen readers because text stands beside it. An unknown name is an error.
#[askama::filter_fn]
pub fn icon(name: &str, _: &dyn askama::Values) -> askama::Result<Safe<String>> {
    let path = icons::path(name).ok_or(askama::Error::Fmt)?;
    Ok(Safe(format!(r#"<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{path}</svg>"#)))
}

/// The versioned address of a static file.
#[askama::filter_fn]
pub fn asset(path: &str, _: &dyn askama::Values) -> askama::Result<String> {
    Ok(crate::web::assets::url(path))
}

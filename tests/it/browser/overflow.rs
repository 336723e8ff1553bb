//! Whether a page fits its window, and a picture of it.

use std::path::PathBuf;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::chromium::Browser;

/// Pictures of longer pages are cut here, in pixels.
const MAX_HEIGHT: u64 = 3_000;
/// Nothing when the page fits; else the elements that reach beyond its right edge.
const BEYOND: &str = "(() => { const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    const wide = [...document.body.querySelectorAll('*')]
        .filter((e) => e.getBoundingClientRect().right > root.clientWidth + 0.5)
        .map((e) => `${e.tagName.toLowerCase()}.${e.className} ${Math.round(e.getBoundingClientRect().right)}`);
    return [`${root.scrollWidth} > ${root.clientWidth}`, ...wide.slice(0, 8)]; })()";

/// What makes the page scroll sideways.
pub async fn beyond(browser: &Browser) -> Vec<String> {
    let found = browser.value(BEYOND).await;
    found.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Saves the whole page as `target/screenshots/NAME.png`.
pub async fn screenshot(browser: &Browser, name: &str) -> PathBuf {
    let size = browser.value("[document.documentElement.clientWidth, document.documentElement.scrollHeight]").await;
    let height = size[1].as_u64().unwrap_or(900).min(MAX_HEIGHT);
    let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": height, "scale": 1 });
    let how = json!({ "format": "png", "captureBeyondViewport": true, "optimizeForSpeed": true, "clip": clip });
    let picture = browser.devtools("Page.captureScreenshot", how).await;
    let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap_or_default()).expect("a picture");
    let folder = super::target().join("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join(format!("{name}.png"));
    std::fs::write(&file, bytes).expect("written");
    file
}

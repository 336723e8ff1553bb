//! Static files, compiled into the binary, and their addresses.

use std::borrow::Cow;

use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/static/"]
struct Files;

/// How many hex digits of the SHA-256 stand in an address: enough to change whenever the file does.
const VERSION_DIGITS: usize = 10;

/// A static file as it is sent.
pub struct Asset {
    pub bytes: Cow<'static, [u8]>,
    pub mime: String,
    /// A strong entity tag, with its quotes.
    pub etag: String,
    version: String,
}

impl Asset {
    /// True when the address named this very content, so that a browser may keep it for good. Other addresses
    /// (fonts named from CSS, modules named from modules) must be revalidated with the entity tag.
    pub fn is_version(&self, version: Option<&str>) -> bool {
        version == Some(self.version.as_str())
    }
}

/// The address of a file below `static/`, which changes with its content: `/static/css/base.css?v=0123456789`.
/// A file that does not exist gets its plain address, so that the gap shows as a 404 and not as a failed page.
pub fn url(path: &str) -> String {
    match Files::get(path) {
        Some(file) => format!("/static/{path}?v={}", version(&file.metadata.sha256_hash())),
        None => format!("/static/{path}"),
    }
}

/// The file at `path` below `static/`, or `None`.
pub fn get(path: &str) -> Option<Asset> {
    let file = Files::get(path)?;
    let hash = file.metadata.sha256_hash();
    Some(Asset {
        mime: mime(path),
        etag: format!("\"{}\"", hex::encode(&hash[..16])),
        version: version(&hash),
        bytes: file.data,
    })
}

fn version(hash: &[u8; 32]) -> String {
    let mut text = hex::encode(hash);
    text.truncate(VERSION_DIGITS);
    text
}

fn mime(path: &str) -> String {
    let guess = mime_guess::from_path(path).first_or_octet_stream();
    match guess.type_() {
        mime_guess::mime::TEXT => format!("{guess}; charset=utf-8"),
        _ => guess.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_carries_the_version_of_its_content() {
        let url = url("css/tokens.css");
        let version = url.strip_prefix("/static/css/tokens.css?v=").expect("versioned");
        assert_eq!(version.len(), VERSION_DIGITS);
        let asset = get("css/tokens.css").expect("embedded");
        assert!(asset.is_version(Some(version)));
        assert!(!asset.is_version(None));
        assert_eq!(asset.mime, "text/css; charset=utf-8");
        assert!(get("../Cargo.toml").is_none());
    }
}

//! The texts of one call: cut to a limit, compressed, sealed.

use std::io::{Read as _, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sqlx::PgConnection;

use super::store;
use crate::base::ids::{CallId, OrgId};
use crate::base::seal::{SealError, Sealed};
use crate::vault::{DataKey, Vault, VaultError};

/// Bytes of a request and of an answer that are kept; the rest is cut off, and the page says so.
pub const MAX_TEXT: usize = 256 * 1_024;
/// Both, in JSON, where each byte may take six.
const MAX_PLAIN: u64 = 2 * 6 * MAX_TEXT as u64 + 1_024;

/// The beginning of a text, and how long it was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cut {
    bytes: Vec<u8>,
    /// Before it was cut.
    pub total: u64,
}

impl Cut {
    /// Adds what follows.
    pub fn add(&mut self, bytes: &[u8]) {
        let room = MAX_TEXT.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        self.total += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }

    /// A request as it was routed: with what presets added, without the fields that are for the router alone.
    #[must_use]
    pub fn of_request(model: &str, body: &Map<String, Value>) -> Cut {
        #[derive(Serialize)]
        struct Request<'a> {
            model: &'a str,
            #[serde(flatten)]
            body: &'a Map<String, Value>,
        }
        let mut cut = Cut::default();
        // Writing to it cannot fail, and what is no JSON was refused before.
        let _ = serde_json::to_writer(&mut cut, &Request { model, body });
        cut
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.add(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is kept of a call.
#[derive(Clone, Debug)]
pub struct Text {
    pub org: OrgId,
    pub call: CallId,
    pub request: Cut,
    /// As the client got it.
    pub response: Cut,
    pub keep_days: u16,
}

#[derive(Serialize, Deserialize)]
struct Plain {
    request: String,
    response: String,
}

fn purpose(org: OrgId, call: CallId) -> String {
    format!("texts of {call} of {org}")
}

/// Compresses and seals. It takes a while: not for a thread that answers clients.
pub(super) fn seal(key: &DataKey, text: &Text) -> Result<Sealed, SealError> {
    let plain = Plain { request: text.request.text(), response: text.response.text() };
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    serde_json::to_writer(&mut packed, &plain).map_err(|_| SealError::Seal)?;
    let packed = packed.finish().map_err(|_| SealError::Seal)?;
    key.seal(&purpose(text.org, text.call), &packed)
}

/// The texts of a call, as somebody sees them who may.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    pub request: String,
    pub response: String,
    /// Bytes before anything was cut off.
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub expires_at: chrono::DateTime<chrono::Utc>,
}

/// Opens what was kept of a call; `None` where nothing was.
///
/// # Errors
/// When the database fails, or what lies there cannot be opened.
pub async fn read(
    conn: &mut PgConnection,
    vault: &Vault,
    org: OrgId,
    call: CallId,
) -> Result<Option<Seen>, VaultError> {
    let Some(kept) = store::find_text(conn, org, call).await? else { return Ok(None) };
    let Some(key) = vault.find(conn, org).await? else { return Ok(None) };
    let packed = key.open(&purpose(org, call), kept.sealed)?;
    let mut plain = Vec::new();
    ZlibDecoder::new(packed.as_slice()).take(MAX_PLAIN).read_to_end(&mut plain).map_err(|_| SealError::Damaged)?;
    let plain: Plain = serde_json::from_slice(&plain).map_err(|_| SealError::Damaged)?;
    Ok(Some(Seen {
        request: plain.request,
        response: plain.response,
        request_bytes: kept.request_bytes,
        response_bytes: kept.response_bytes,
        expires_at: kept.expires_at,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_long_text_is_cut_and_its_length_known() {
        let body = json!({ "messages": [{ "role": "user", "content": "x".repeat(2 * MAX_TEXT) }] });
        let cut = Cut::of_request("a/b", body.as_object().unwrap_or(&Map::new()));
        assert_eq!(cut.bytes.len(), MAX_TEXT);
        assert!(cut.total > 2 * MAX_TEXT as u64 && cut.text().starts_with(r#"{"model":"a/b","messages""#));
        let mut short = Cut::default();
        short.add(b"abc");
        short.add(b"def");
        assert_eq!((short.text().as_str(), short.total), ("abcdef", 6));
    }
}

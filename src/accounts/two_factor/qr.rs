//! A QR code as the outline of its dark squares.

use qrcode::{Color, EcLevel, QrCode};

/// Light squares around the code, without which readers do not find it.
const QUIET: usize = 4;

/// A square picture: how many units wide it is, and the path (SVG's `d`) of what is dark in it. No `Debug`: it says
/// what the code says.
pub struct Picture {
    pub width: usize,
    pub path: String,
}

/// # Errors
/// When the text is too long for a QR code.
pub fn draw(text: &str) -> anyhow::Result<Picture> {
    use std::fmt::Write as _;
    let code = QrCode::with_error_correction_level(text, EcLevel::M)?;
    let (side, mut path) = (code.width(), String::new());
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let _ = write!(path, "M{} {}h1v1h-1z", at % side + QUIET, at / side + QUIET);
        }
    }
    Ok(Picture { width: side + 2 * QUIET, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_the_three_corners_that_readers_look_for() {
        let picture = draw("otpauth://totp/Farebox:ada@example.com?secret=JBSWY3DPEHPK3PXP").unwrap();
        let far = picture.width - QUIET - 1;
        for corner in [format!("M{QUIET} {QUIET}h"), format!("M{far} {QUIET}h"), format!("M{QUIET} {far}h")] {
            assert!(picture.path.contains(&corner), "{corner}");
        }
    }
}

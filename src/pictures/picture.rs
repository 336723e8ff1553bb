//! From an uploaded file to a small square PNG.

use std::io::Cursor;

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

/// Longest file that may be uploaded, in bytes.
pub const MAX_UPLOAD: usize = 4 * 1024 * 1024;
/// Longest side of an uploaded picture, in pixels.
const MAX_SIDE: u32 = 8_192;
/// Memory that decoding may take, in bytes.
const MAX_MEMORY: u64 = 192 * 1024 * 1024;
/// Side of the stored square, in pixels: twice the largest size in which it is shown.
const SIDE: u32 = 160;

#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    #[error("Choose a picture first.")]
    Empty,
    #[error("The file is longer than 4 MB. Choose a smaller one.")]
    TooLong,
    #[error("This is not a PNG, JPEG or WebP picture.")]
    Format,
    #[error("The picture has more than 8192 pixels on a side, or needs too much memory. Choose a smaller one.")]
    TooLarge,
    #[error("The picture is damaged and cannot be read.")]
    Damaged,
}

impl From<image::ImageError> for PictureError {
    fn from(error: image::ImageError) -> PictureError {
        match error {
            image::ImageError::Limits(_) => PictureError::TooLarge,
            image::ImageError::Unsupported(_) => PictureError::Format,
            _ => PictureError::Damaged,
        }
    }
}

/// A square PNG of ours.
#[derive(Clone)]
pub struct Picture(pub(super) Vec<u8>);

/// Decodes a PNG, JPEG or WebP file within fixed limits, upright, cut to its middle square, and encodes that anew.
/// Takes up to a second of processor time: not for an async thread.
///
/// # Errors
/// When the file is no such picture, is damaged, or is larger than the limits.
pub fn reencode(file: &[u8]) -> Result<Picture, PictureError> {
    if file.is_empty() {
        return Err(PictureError::Empty);
    }
    if file.len() > MAX_UPLOAD {
        return Err(PictureError::TooLong);
    }
    let mut reader = ImageReader::new(Cursor::new(file)).with_guessed_format().map_err(|_| PictureError::Damaged)?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) {
        return Err(PictureError::Format);
    }
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(MAX_SIDE), Some(MAX_SIDE));
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if width > MAX_SIDE || height > MAX_SIDE || decoder.total_bytes() > MAX_MEMORY {
        return Err(PictureError::TooLarge);
    }
    // Where the camera was held is the one thing in the metadata that the pixels need.
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let (width, height) = (image.width(), image.height());
    // Cut before it is scaled: a strip whose short side were scaled first would become a thousand times as large.
    let square = width.min(height);
    let middle = image.crop_imm((width - square) / 2, (height - square) / 2, square, square);
    let small = middle.resize_exact(SIDE, SIDE, FilterType::Triangle).into_rgba8();
    let mut png = Cursor::new(Vec::new());
    small.write_to(&mut png, ImageFormat::Png)?;
    Ok(Picture(png.into_inner()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage};

    fn file(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
        let picture = RgbaImage::from_fn(width, height, |x, _| {
            if x < width / 2 { Rgba([200, 0, 0, 255]) } else { Rgba([0, 0, 200, 255]) }
        });
        let picture = DynamicImage::ImageRgba8(picture);
        let picture = if format == ImageFormat::Jpeg { DynamicImage::ImageRgb8(picture.into_rgb8()) } else { picture };
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).expect("a picture");
        out.into_inner()
    }

    fn pixels(picture: &Picture) -> RgbaImage {
        image::load_from_memory_with_format(&picture.0, ImageFormat::Png).expect("a PNG").into_rgba8()
    }

    #[test]
    fn every_kind_becomes_a_small_square_png() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let pixels = pixels(&reencode(&file(format, 400, 200)).expect("a picture"));
            assert_eq!(pixels.dimensions(), (SIDE, SIDE), "{format:?}");
            assert!(pixels.get_pixel(5, 80)[0] > 150 && pixels.get_pixel(155, 80)[2] > 150, "{format:?}");
        }
    }

    #[test]
    fn a_long_strip_takes_no_more_memory_than_its_middle() {
        for (width, height) in [(MAX_SIDE, 1), (1, MAX_SIDE)] {
            let begun = std::time::Instant::now();
            let pixels = pixels(&reencode(&file(ImageFormat::Png, width, height)).expect("a picture"));
            assert_eq!(pixels.dimensions(), (SIDE, SIDE), "{width}x{height}");
            // The middle is one pixel, so the whole square has its colour. Scaled first, the strip would be 1.3 million
            // pixels long, blurred in the middle, and take seconds.
            assert!(pixels.pixels().all(|pixel| pixel == pixels.get_pixel(0, 0)), "{width}x{height}");
            assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{width}x{height}: {:?}", begun.elapsed());
        }
    }

    #[test]
    fn metadata_goes_and_the_picture_stands_upright() {
        // An EXIF block that says "turned by a right angle" (6) and where it was taken, put behind the JPEG's start.
        let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0SECRET PLACE";
        let plain = file(ImageFormat::Jpeg, 200, 200);
        let mut turned = plain[..2].to_vec();
        turned.extend([0xff, 0xe1]);
        turned.extend(u16::try_from(exif.len() + 2).expect("short").to_be_bytes());
        turned.extend(exif);
        turned.extend(&plain[2..]);
        let picture = reencode(&turned).expect("a picture");
        assert!(!picture.0.windows(6).any(|bytes| bytes == b"SECRET"));
        let pixels = pixels(&picture);
        assert!(pixels.get_pixel(80, 5)[0] > 150 && pixels.get_pixel(80, 155)[2] > 150, "what was left is on top");
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_refused() {
        assert!(matches!(reencode(b""), Err(PictureError::Empty)));
        assert!(matches!(reencode(&vec![0; MAX_UPLOAD + 1]), Err(PictureError::TooLong)));
        assert!(matches!(reencode(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), Err(PictureError::Format)));
        assert!(matches!(reencode(b"GIF89a\x01\0\x01\0\0\0\0;"), Err(PictureError::Format)));
        let mut cut = file(ImageFormat::Png, 300, 300);
        cut.truncate(cut.len() / 2);
        assert!(matches!(reencode(&cut), Err(PictureError::Damaged)));
        // A header of a few bytes that promises 30000 x 30000 pixels.
        let mut bomb = file(ImageFormat::Png, 1, 1);
        bomb[16..20].copy_from_slice(&30_000_u32.to_be_bytes());
        bomb[20..24].copy_from_slice(&30_000_u32.to_be_bytes());
        assert!(reencode(&bomb).is_err());
    }
}

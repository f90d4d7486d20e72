//! Pictures, what they may cost, and why files of them are refused.

use std::ops::Range;

/// What a stranger's image may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub max_bytes: usize,
    /// Pixels of the longer side.
    pub max_side: u32,
    /// Pixels that it is decoded to, in all: of a JPEG that is decoded at a part of its size, those of the part. What decoding may
    /// cost grows with them, in work and in memory.
    pub max_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 10 << 20,
            max_side: 8192,
            max_pixels: 16_000_000,
        }
    }
}

/// An upright picture: 8-bit RGB, row by row, (H, W, 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage8 {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height * width * 3` values 0..255.
    pub pixels: Vec<u8>,
    /// Columns that the picture covers, in eighths of one: all, or less by a part of the first or the last where the file was decoded
    /// at a part of its size.
    pub columns: Range<u32>,
    /// The same of the rows.
    pub rows: Range<u32>,
}

impl RgbImage8 {
    /// The picture of these `pixels`, all of them covered.
    #[must_use]
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Self {
        Self {
            width,
            height,
            pixels,
            columns: 0..width.saturating_mul(8),
            rows: 0..height.saturating_mul(8),
        }
    }
}

/// Why an image was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Nothing was sent.
    #[error("expected an image, found nothing")]
    Empty,
    /// Neither of the formats that goodnet reads.
    #[error("expected a PNG, JPEG, WebP, BMP or GIF image, found another format")]
    UnsupportedFormat,
    /// An image of a known format that goodnet does not read.
    #[error("expected a PNG, JPEG, WebP, BMP or GIF image, found {0}: convert it to PNG or JPEG")]
    OtherFormat(&'static str),
    /// The file or the picture is larger than the limits.
    #[error("expected at most {limit}, found {found}")]
    TooLarge {
        /// The limit that was passed.
        limit: String,
        /// What was found.
        found: String,
    },
    /// Nobody wants the picture any more.
    #[error("nobody waits for the image any more")]
    Cancelled,
    /// The file is damaged.
    #[error("the image cannot be decoded: {0}")]
    Damaged(String),
}

/// As [`check_sides`], and that there are not too many pixels, where all of them are decoded.
pub(super) fn check_size(width: u32, height: u32, limits: &Limits) -> Result<(), ImageError> {
    check_sides(width, height, limits)?;
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(too_large(
            format!("{} pixels", limits.max_pixels),
            format!("{width} x {height} pixels"),
        ));
    }
    Ok(())
}

/// Checks that there are pixels, and that no side is too long.
pub(super) fn check_sides(width: u32, height: u32, limits: &Limits) -> Result<(), ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::Damaged(format!(
            "it is {width} x {height} pixels"
        )));
    }
    if width.max(height) > limits.max_side {
        return Err(too_large(
            format!("{} pixels a side", limits.max_side),
            format!("{width} x {height} pixels"),
        ));
    }
    Ok(())
}

pub(super) fn too_large(limit: String, found: String) -> ImageError {
    ImageError::TooLarge { limit, found }
}

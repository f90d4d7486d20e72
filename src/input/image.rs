//! Image files to RGB pixels, under limits: every size is checked before anything is decoded.

pub use super::detail::Detail;
pub use super::picture::{ImageError, Limits, RgbImage8};

use super::gif::FirstPicture;
use super::picture::{check_size, too_large};
use super::sniff::{HEAD, Kind, kind};
use super::whole::is_whole;
use super::work::{Budget, Work};
use super::{jpeg, png, webp};
use crate::progress::Cancel;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use std::borrow::Cow;

/// Samples that decoding may cost, a pixel of the largest image: a progressive JPEG of the best quality takes 15, a photo of
/// usual quality 5.
const SAMPLES_PER_PIXEL: u64 = 20;

impl Limits {
    /// The budget of work for one image, or for all images of a request.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget_until(Cancel::default())
    }

    /// As [`Limits::budget`], for work that is wanted until `cancel`.
    #[must_use]
    pub fn budget_until(&self, cancel: Cancel) -> Budget {
        let samples = self.max_pixels.saturating_mul(SAMPLES_PER_PIXEL);
        let bytes = self.max_pixels.saturating_mul(BYTES_PER_PIXEL);
        Budget::until(samples, bytes, cancel)
    }
}

/// Bytes that decoding may take, a pixel of the largest image: a lossless WebP of the extended format takes as many with its tables.
const BYTES_PER_PIXEL: u64 = 19;

/// Decodes a PNG, JPEG, WebP, BMP or GIF (first frame), told apart by content.
///
/// EXIF orientation is applied, alpha is dropped without blending, 16-bit channels are rounded to 8 bits, grey
/// and palette become RGB. What the first picture of a GIF leaves open has the colour of its transparent index, else of
/// index 0.
///
/// # Errors
/// If the bytes are no such image, are damaged, or pass `limits`; sizes and work are checked before pixels are decoded.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage8, ImageError> {
    decode_within(bytes, limits, &limits.budget(), Detail::Whole)
}

/// As [`decode`], with the work taken from a budget that several images share, and a JPEG decoded at a half, a quarter or an
/// eighth of its size where that leaves the `detail` that is asked for.
///
/// # Errors
/// As [`decode`]; an image that `budget` has no room for takes nothing of it. [`ImageError::Cancelled`] where nobody wants the
/// work of `budget` any more.
pub fn decode_within(
    bytes: &[u8],
    limits: &Limits,
    budget: &Budget,
    detail: Detail,
) -> Result<RgbImage8, ImageError> {
    match budget.is_cancelled() {
        true => Err(ImageError::Cancelled),
        // A decoder tells the end of its bytes as damage.
        false => decode_wanted(bytes, limits, budget, detail).map_err(|error| {
            match budget.is_cancelled() {
                true => ImageError::Cancelled,
                false => error,
            }
        }),
    }
}

fn decode_wanted(
    bytes: &[u8],
    limits: &Limits,
    budget: &Budget,
    detail: Detail,
) -> Result<RgbImage8, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    if bytes.len() > limits.max_bytes {
        return Err(too_large(
            format!("{} bytes", limits.max_bytes),
            format!("{} bytes", bytes.len()),
        ));
    }
    let format = match kind(bytes.get(..HEAD).unwrap_or(bytes)) {
        Kind::Image(format) => format,
        Kind::OtherImage(name) => return Err(ImageError::OtherFormat(name)),
        Kind::Other(_) => return Err(ImageError::UnsupportedFormat),
    };
    if !is_whole(format, bytes) {
        return Err(ImageError::Damaged(
            "it breaks off before its end".to_owned(),
        ));
    }
    if format == ImageFormat::Jpeg {
        return jpeg::decode(bytes, limits, budget, detail);
    }
    let most = limits.max_pixels.saturating_mul(BYTES_PER_PIXEL);
    let plain = match format {
        ImageFormat::Png => png::without_profile(bytes),
        _ => Cow::Borrowed(bytes),
    };
    let bytes = plain.as_ref();
    let mut reader = ImageReader::with_format(budget.reader(bytes), format);
    let mut allowed = image::Limits::default();
    allowed.max_image_width = Some(limits.max_side);
    allowed.max_image_height = Some(limits.max_side);
    allowed.max_alloc = Some(most);
    reader.limits(allowed);
    let mut decoder = reader
        .into_decoder()
        .map_err(|error| refused(&error, limits))?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, limits)?;
    if format == ImageFormat::Gif
        && let Some(FirstPicture { width, height, .. }) = FirstPicture::read(bytes)
    {
        check_size(width.into(), height.into(), limits)?;
    }
    let tables = match format {
        ImageFormat::WebP => table_bytes(bytes, limits)?,
        _ => 0,
    };
    budget.take(&work(format, &decoder, bytes, tables))?;
    // Orientation is a hint: a damaged EXIF block does not spoil the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = rgb8(decoder).map_err(|error| refused(&error, limits))?;
    // Turned last: that takes the picture twice.
    let mut picture = DynamicImage::ImageRgb8(picture);
    picture.apply_orientation(orientation);
    let rgb = picture.into_rgb8();
    let mut rgb = RgbImage8::new(rgb.width(), rgb.height(), rgb.into_raw());
    if format == ImageFormat::Gif
        && let Some(first) = FirstPicture::read(bytes)
    {
        first.fill_around(bytes, &mut rgb);
    }
    Ok(rgb)
}

/// The pixels of a file; those of 16 bits, the largest, are rounded in place.
fn rgb8(decoder: impl ImageDecoder) -> Result<RgbImage, image::ImageError> {
    let channels = match decoder.color_type() {
        ColorType::Rgb16 => 3,
        ColorType::Rgba16 => 4,
        _ => return DynamicImage::from_decoder(decoder).map(DynamicImage::into_rgb8),
    };
    let (width, height) = decoder.dimensions();
    let mut bytes = vec![0; usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX)];
    decoder.read_image(&mut bytes)?;
    let pixels = bytes.len() / (2 * channels);
    for pixel in 0..pixels {
        for channel in 0..3 {
            let from = 2 * (pixel * channels + channel);
            let value = u32::from(u16::from_ne_bytes([bytes[from], bytes[from + 1]]));
            // value / 65535 · 255, rounded.
            bytes[pixel * 3 + channel] = u8::try_from((value + 128) / 257).unwrap_or(u8::MAX);
        }
    }
    bytes.truncate(pixels * 3);
    let picture = RgbImage::from_raw(width, height, bytes);
    // As many as were asked for.
    Ok(picture.unwrap_or_default())
}

/// Bytes that the tables of a lossless WebP may take, a pixel of the largest image; photos of usual encoders take less than 1.
const TABLE_BYTES_PER_PIXEL: u64 = 8;

/// Bytes of the tables of a WebP; refuses one whose decoder would fill the memory with them.
fn table_bytes(bytes: &[u8], limits: &Limits) -> Result<u64, ImageError> {
    let most = limits.max_pixels.saturating_mul(TABLE_BYTES_PER_PIXEL);
    match webp::table_bytes(bytes, limits.max_pixels, most) {
        Some(found) if found <= most => Ok(found),
        Some(_) => Err(too_large(
            format!("{most} bytes of tables of prefix codes"),
            "more".to_owned(),
        )),
        None => Err(ImageError::Damaged(
            "its prefix codes cannot be read".to_owned(),
        )),
    }
}

/// What a file of this size costs to decode.
fn work(format: ImageFormat, decoder: &impl ImageDecoder, bytes: &[u8], tables: u64) -> Work {
    let (width, height) = decoder.dimensions();
    match format {
        ImageFormat::Png => {
            Work::from_png(bytes, width, height, decoder.color_type().bytes_per_pixel())
        }
        ImageFormat::Gif => Work::from_gif(bytes, width, height),
        ImageFormat::WebP => Work::from_webp(bytes, width, height, tables),
        _ => Work::from_bmp(width, height, decoder.color_type().bytes_per_pixel()),
    }
}

fn refused(error: &image::ImageError, limits: &Limits) -> ImageError {
    match error {
        image::ImageError::Limits(reason) => too_large(
            format!(
                "{} pixels a side and {} in all",
                limits.max_side, limits.max_pixels
            ),
            reason.to_string(),
        ),
        other => ImageError::Damaged(other.to_string()),
    }
}

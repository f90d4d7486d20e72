//! Pictures as PNG files.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

/// The picture as an 8-bit PNG: grey for one channel, RGB for three. The same pixels give the same bytes.
///
/// `pixels`: row by row, the channels of a pixel side by side, (height, width, channels).
///
/// # Errors
/// If there are other than one or three channels, or `pixels` does not fit the extents.
pub fn encode(
    pixels: &[u8],
    channels: usize,
    height: usize,
    width: usize,
) -> Result<Vec<u8>, String> {
    let color = match channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        other => {
            return Err(format!(
                "expected a picture of 1 or 3 channels, found {other}"
            ));
        }
    };
    let expected = height
        .checked_mul(width)
        .and_then(|area| area.checked_mul(channels));
    // The encoder panics on a slice of another length.
    if expected != Some(pixels.len()) || pixels.is_empty() {
        return Err(format!(
            "expected the values of {height} x {width} pixels of {channels} channels, found {} values",
            pixels.len()
        ));
    }
    let side = |length: usize| {
        u32::try_from(length)
            .map_err(|_| format!("a side of {length} pixels is too long for a PNG"))
    };
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Best, FilterType::Adaptive)
        .write_image(pixels, side(width)?, side(height)?, color)
        .map_err(|error| format!("the picture cannot be written as PNG: {error}"))?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_back_as_it_was() {
        for channels in [1, 3] {
            let pixels: Vec<u8> = (0..4 * 5 * channels).map(|value| value as u8 * 4).collect();
            let png = encode(&pixels, channels, 4, 5).unwrap();
            let picture = image::load_from_memory(&png).unwrap();
            assert_eq!((picture.height(), picture.width()), (4, 5));
            assert_eq!(picture.into_bytes(), pixels, "{channels} channels");
        }
    }

    #[test]
    fn what_is_no_picture_is_refused_with_a_reason() {
        let error = encode(&[0; 8], 2, 2, 2).unwrap_err();
        assert!(error.contains("1 or 3 channels, found 2"), "{error}");
        let error = encode(&[0; 8], 3, 2, 2).unwrap_err();
        assert!(error.contains("found 8 values"), "{error}");
        assert!(encode(&[], 3, 0, 0).is_err());
        assert!(encode(&[0], 3, usize::MAX, 2).is_err());
    }
}

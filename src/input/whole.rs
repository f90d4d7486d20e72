//! Is an image file whole? Decoders paint what is missing of a truncated JPEG grey, and forget the orientation of a
//! truncated WebP, and report no error.

use image::ImageFormat;

/// Does the file reach the end that its format declares? Formats whose decoder notices by itself count as whole.
pub(super) fn is_whole(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg(bytes),
        ImageFormat::WebP => riff(bytes),
        ImageFormat::Png => palette(bytes),
        _ => true,
    }
}

/// Does the file hold as many bytes as its RIFF header and the headers of its chunks say?
///
/// The decoder reserves what the chunk of EXIF data declares, up to 4 GiB, before it reads it.
fn riff(bytes: &[u8]) -> bool {
    let Some(end) = riff_end(bytes, 0) else {
        return false;
    };
    // Name and size of the file, and its kind, which has no size.
    let mut at = 12;
    while at < end && bytes.len() >= at + 8 {
        match riff_end(bytes, at) {
            // Chunks are padded to an even length.
            Some(chunk) => at = chunk + chunk % 2,
            None => return false,
        }
    }
    true
}

/// Where the chunk that begins `at` ends, if that is inside the file.
fn riff_end(bytes: &[u8], at: usize) -> Option<usize> {
    let size = bytes.get(at + 4..at + 8)?.first_chunk()?;
    let end = (at + 8).checked_add(usize::try_from(u32::from_le_bytes(*size)).ok()?)?;
    (end <= bytes.len()).then_some(end)
}

/// Is the palette, where there is one, of whole colours? The decoder (png 0.18.1) panics where it is not.
fn palette(bytes: &[u8]) -> bool {
    let mut at = 8;
    while let Some(&[a, b, c, d, ref kind @ ..]) =
        bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
    {
        let length = u32::from_be_bytes([a, b, c, d]);
        if kind == b"PLTE" && length % 3 != 0 {
            return false;
        }
        // Length, kind and checksum stand around the content.
        at = at.saturating_add(12).saturating_add(length as usize);
    }
    true
}

/// Does the file reach its end-of-image marker?
///
/// Markers and segments as in ITU-T T.81, B.1.1: marker segments are skipped by their length (a thumbnail inside one has
/// an end of its own), entropy-coded data up to the next marker.
fn jpeg(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(&[first, marker]) = bytes.get(at..at + 2) {
        at += match (first, marker) {
            (0xFF, 0xD9) => return true,
            // Fill bytes may stand before a marker.
            (0xFF, 0xFF) => 1,
            // A stuffed byte of entropy-coded data, or a marker without a segment.
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => 2,
            (0xFF, _) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => 2 + usize::from(u16::from_be_bytes([high, low])).max(2),
                _ => return false,
            },
            _ => 1,
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{jpeg, palette, riff};

    #[test]
    fn only_the_end_of_the_picture_itself_counts() {
        let thumbnail = [0xFF, 0xE1, 0, 6, 0xFF, 0xD9, 1, 2];
        let scan = [0xFF, 0xDA, 0, 2, 7, 0xFF, 0x00, 8, 0xFF, 0xD0, 9];
        let mut file = [&[0xFF, 0xD8], &thumbnail[..], &scan[..]].concat();
        assert!(!jpeg(&file));
        file.extend([0xFF, 0xFF, 0xD9]);
        assert!(jpeg(&file));
        for end in 0..file.len() {
            assert!(!jpeg(&file[..end]), "cut to {end} bytes");
        }
        assert!(!jpeg(&[0xFF, 0xD8, 0xFF, 0xE0, 0]));
    }

    #[test]
    fn a_riff_file_is_as_long_as_it_says() {
        let file = b"RIFF\x06\0\0\0WEBPxx";
        assert!(riff(file) && riff(&[&file[..], b"more"].concat()));
        assert!(!riff(&file[..13]) && !riff(b"RIFF"));
        let chunks = b"RIFF\x1A\0\0\0WEBPVP8L\x03\0\0\0abc\0EXIF\x02\0\0\0xy";
        assert!(riff(chunks));
        let mut hostile = *chunks;
        hostile[31] = 0xFF;
        assert!(!riff(&hostile), "4 GiB of EXIF");
    }

    #[test]
    fn a_palette_is_of_whole_colours() {
        let file = |length: u8| {
            let content = vec![7; usize::from(length)];
            [
                b"\x89PNG\r\n\x1a\n\0\0\0\0IHDRcrc_\0\0\0".as_slice(),
                &[length],
                b"PLTE",
                &content,
                b"crc_",
            ]
            .concat()
        };
        assert!(palette(&file(0)) && palette(&file(27)) && !palette(&file(28)));
    }
}

//! What a file is, told by its first bytes.

use image::ImageFormat;

/// Bytes from which every kind is told.
pub const HEAD: usize = 64;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An image that goodnet reads.
    Image(ImageFormat),
    /// An image that goodnet does not read, by name.
    OtherImage(&'static str),
    /// No image, by name.
    Other(&'static str),
}

impl Kind {
    /// The name that a person knows it by.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Image(ImageFormat::Png) => "PNG",
            Self::Image(ImageFormat::Jpeg) => "JPEG",
            Self::Image(ImageFormat::WebP) => "WebP",
            Self::Image(ImageFormat::Bmp) => "BMP",
            Self::Image(ImageFormat::Gif) => "GIF",
            Self::Image(_) => "an image",
            Self::OtherImage(name) | Self::Other(name) => name,
        }
    }
}

/// First bytes of formats that are told by them alone.
const MAGIC: [(&[u8], Kind); 27] = [
    (b"II*\0", Kind::OtherImage("TIFF")),
    (b"MM\0*", Kind::OtherImage("TIFF")),
    (b"II+\0", Kind::OtherImage("TIFF")),
    (b"MM\0+", Kind::OtherImage("TIFF")),
    (b"\xFF\x0A", Kind::OtherImage("JPEG XL")),
    (b"\0\0\0\x0CJXL ", Kind::OtherImage("JPEG XL")),
    (b"\0\0\0\x0CjP  ", Kind::OtherImage("JPEG 2000")),
    (b"\xFF\x4F\xFF\x51", Kind::OtherImage("JPEG 2000")),
    (b"8BPS", Kind::OtherImage("PSD")),
    (b"qoif", Kind::OtherImage("QOI")),
    (b"\x76\x2F\x31\x01", Kind::OtherImage("OpenEXR")),
    (b"#?RADIANCE", Kind::OtherImage("Radiance HDR")),
    (b"DDS ", Kind::OtherImage("DDS")),
    (b"\0\0\x01\0", Kind::OtherImage("ICO")),
    (b"farbfeld", Kind::OtherImage("farbfeld")),
    (b"P1", Kind::OtherImage("PNM")),
    (b"P2", Kind::OtherImage("PNM")),
    (b"P3", Kind::OtherImage("PNM")),
    (b"P4", Kind::OtherImage("PNM")),
    (b"P5", Kind::OtherImage("PNM")),
    (b"P6", Kind::OtherImage("PNM")),
    (b"<svg", Kind::OtherImage("SVG")),
    (b"%PDF", Kind::Other("PDF")),
    (b"PK\x03\x04", Kind::Other("a ZIP archive")),
    (b"\x93NUMPY", Kind::Other("a NumPy array")),
    (b"\x89HDF\r\n\x1A\n", Kind::Other("HDF5")),
    (b"\x1F\x8B", Kind::Other("gzip data")),
];

/// Tells what a file is from its first [`HEAD`] bytes.
#[must_use]
pub fn kind(bytes: &[u8]) -> Kind {
    if let Ok(
        format @ (ImageFormat::Png
        | ImageFormat::Jpeg
        | ImageFormat::WebP
        | ImageFormat::Bmp
        | ImageFormat::Gif),
    ) = image::guess_format(bytes)
    {
        return Kind::Image(format);
    }
    if let Some(kind) = media(bytes) {
        return kind;
    }
    let known = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic));
    match known {
        Some((magic, _)) if *magic == b"\0\0\x01\0" && bytes.len() < 6 => Kind::Other(UNKNOWN),
        // Letters and a digit begin many a text too.
        Some((magic, _)) if magic.len() == 2 && magic[0] == b'P' && !is_pnm(bytes) => text(bytes),
        Some((_, kind)) => *kind,
        None => text(bytes),
    }
}

const UNKNOWN: &str = "another format";

/// A file of the ISO base media format, by its brand (ISO/IEC 14496-12).
fn media(bytes: &[u8]) -> Option<Kind> {
    if bytes.get(4..8)? != b"ftyp" {
        return None;
    }
    Some(match bytes.get(8..12)? {
        b"avif" | b"avis" => Kind::OtherImage("AVIF"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
            let brands = bytes.get(16..).unwrap_or_default();
            let avif = brands.chunks_exact(4).any(|brand| brand == b"avif");
            Kind::OtherImage(if avif { "AVIF" } else { "HEIC" })
        }
        _ => Kind::Other("a video"),
    })
}

/// A magic number is followed by white space (Netpbm, ppm(5)).
fn is_pnm(bytes: &[u8]) -> bool {
    bytes.get(2).is_some_and(u8::is_ascii_whitespace)
}

fn text(bytes: &[u8]) -> Kind {
    if bytes.is_empty() {
        return Kind::Other("an empty file");
    }
    let trimmed = bytes.trim_ascii_start();
    let begins = |tag: &[u8]| {
        let head = trimmed.get(..tag.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(tag))
    };
    if begins(b"<!doctype html") || begins(b"<html") {
        return Kind::Other("an HTML page");
    }
    if bytes.windows(4).any(|part| part == b"<svg") {
        return Kind::OtherImage("SVG");
    }
    let printable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    match bytes.iter().all(printable) {
        true => Kind::Other("text"),
        false => Kind::Other(UNKNOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let table: [(&[u8], &str); 14] = [
            (b"II*\0\x08\0\0\0", "TIFF"),
            (b"MM\0*\0\0\0\x08", "TIFF"),
            (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
            (b"\0\0\0\x1Cftypmif1\0\0\0\0mif1avifmiaf", "AVIF"),
            (b"\0\0\0\x20ftypavif\0\0\0\0avifmif1", "AVIF"),
            (b"\0\0\0\x20ftypisom\0\0\x02\0", "a video"),
            (b"\xFF\x0A\x00\x00", "JPEG XL"),
            (b"P6\n3 2\n255\n", "PNM"),
            (b"P6 is no picture".as_slice(), "PNM"),
            (b"PS: nothing", "text"),
            (b"<?xml version=\"1.0\"?><svg>", "SVG"),
            (b"<!DOCTYPE HTML><p>", "an HTML page"),
            (b"\xFF\xD8\xFF\xE0", "JPEG"),
            (b"", "an empty file"),
        ];
        for (bytes, name) in table {
            assert_eq!(kind(bytes).name(), name, "{bytes:?}");
        }
    }
}

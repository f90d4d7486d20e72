//! Images from strangers: every one is decoded to the expected size or refused for the expected reason.

use crate::common::networks::Random;
use goodnet::input::image::{ImageError, Limits, RgbImage8, decode};
use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, RgbImage};
use std::io::Cursor;

const FORMATS: [ImageFormat; 5] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Gif,
];

fn take(bytes: &[u8]) -> Result<RgbImage8, ImageError> {
    decode(bytes, &Limits::default())
}

fn size(bytes: &[u8]) -> (u32, u32) {
    let image = take(bytes).unwrap();
    assert_eq!(
        image.pixels.len(),
        image.width as usize * image.height as usize * 3
    );
    (image.width, image.height)
}

/// Noise, 24 x 16, so that every byte of a file carries something.
fn noise() -> RgbImage {
    let mut random = Random(5);
    RgbImage::from_fn(24, 16, |_, _| {
        image::Rgb([0; 3].map(|_: u8| random.next() as u8))
    })
}

fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn noise_as(format: ImageFormat) -> Vec<u8> {
    encode(&DynamicImage::ImageRgb8(noise()), format)
}

#[test]
fn a_whole_file_of_every_format_is_decoded() {
    for format in FORMATS {
        assert_eq!(size(&noise_as(format)), (24, 16), "{format:?}");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_answered_or_refused_as_damaged() {
    let mut cut = 0;
    for format in FORMATS {
        let whole = noise_as(format);
        let mut refused = 0;
        for end in 1..whole.len() {
            cut += 1;
            match take(&whole[..end]) {
                Ok(image) => assert_eq!((image.width, image.height), (24, 16)),
                Err(ImageError::TooLarge { limit, found }) => {
                    panic!("{format:?} cut at {end}: {limit}, {found}")
                }
                Err(_) => refused += 1,
            }
        }
        assert!(refused > whole.len() / 4, "{format:?}: {refused}");
    }
    assert!(cut > 4000, "only {cut} files");
}

#[test]
fn a_jpeg_whose_data_break_off_before_their_end_is_refused() {
    let whole = noise_as(ImageFormat::Jpeg);
    // Within the only scan, far from the end of image.
    let cut = whole.len() - 300..whole.len() - 100;
    let file = [&whole[..cut.start], &whole[cut.end..]].concat();
    let error = take(&file).unwrap_err();
    assert!(matches!(error, ImageError::Damaged(_)), "{error}");
}

#[test]
fn bytes_between_the_segments_of_a_jpeg_are_passed_over() {
    let whole = noise_as(ImageFormat::Jpeg);
    // Behind the first segment, as some cameras write.
    let length = usize::from(u16::from_be_bytes([whole[4], whole[5]]));
    let (first, rest) = whole.split_at(4 + length);
    let file = [first, &[0, 1, 2], rest].concat();
    assert_eq!(take(&file), take(&whole));
}

#[test]
fn a_file_with_flipped_bits_is_answered_or_refused() {
    let mut random = Random(8);
    let mut refused = 0;
    for format in FORMATS {
        let whole = noise_as(format);
        for _ in 0..200 {
            let mut file = whole.clone();
            let at = random.below(file.len());
            file[at] ^= 1 << random.below(8);
            match take(&file) {
                Ok(image) => assert!(
                    u64::from(image.width) * u64::from(image.height)
                        <= Limits::default().max_pixels
                ),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0);
}

/// A PNG chunk with its checksum, CRC-32 of ISO 3309 over kind and payload.
fn chunk(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), payload].concat();
    let mut crc = u32::MAX;
    for byte in &body {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
        }
    }
    let length = (payload.len() as u32).to_be_bytes();
    [length.as_slice(), &body, &(!crc).to_be_bytes()].concat()
}

fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header)].concat()
}

#[test]
fn declared_sizes_beyond_the_limits_are_refused_before_any_pixel() {
    let sizes = [
        (1, 65_535),
        (65_535, 1),
        (8192, 8192),
        (i32::MAX as u32, 1 << 30),
    ];
    for (width, height) in sizes {
        let png = [
            png_header(width, height),
            chunk(b"IDAT", &[]),
            chunk(b"IEND", &[]),
        ]
        .concat();
        let result = take(&png);
        assert!(
            matches!(result, Err(ImageError::TooLarge { .. })),
            "{width} x {height}: {result:?}"
        );
    }
    let gif = [b"GIF89a".as_slice(), &[0xFF; 4], &[0, 0, 0]].concat();
    assert!(take(&gif).is_err());
}

#[test]
fn sixteen_bits_grey_and_alpha_become_rgb() {
    let rgb = DynamicImage::ImageRgb8(noise());
    let kinds = [
        rgb.to_luma8().into(),
        rgb.to_luma16().into(),
        rgb.to_luma_alpha8().into(),
        rgb.to_luma_alpha16().into(),
        rgb.to_rgba8().into(),
        rgb.to_rgb16().into(),
        DynamicImage::from(rgb.to_rgba16()),
    ];
    for kind in kinds {
        assert_eq!(size(&encode(&kind, ImageFormat::Png)), (24, 16));
    }
    let wide = take(&encode(&rgb.to_rgb16().into(), ImageFormat::Png)).unwrap();
    assert_eq!(wide.pixels, noise().into_raw());
}

#[test]
fn of_an_animation_the_first_picture_counts() {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for shade in [10, 200] {
        let picture = image::RgbaImage::from_pixel(6, 4, image::Rgba([shade, shade, shade, 255]));
        encoder.encode_frame(Frame::new(picture)).unwrap();
    }
    drop(encoder);
    let first = take(&bytes).unwrap();
    assert_eq!((first.width, first.height), (6, 4));
    assert!(first.pixels.iter().all(|&value| value < 100));
}

/// A JPEG whose EXIF block states `orientation`.
fn oriented(orientation: u8) -> Vec<u8> {
    let jpeg = noise_as(ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &exif, &jpeg[2..]].concat()
}

#[test]
fn every_orientation_stands_upright_and_an_unknown_one_is_left() {
    let plain = size(&noise_as(ImageFormat::Jpeg));
    for orientation in 1..=8 {
        let expected = match orientation {
            5.. => (plain.1, plain.0),
            _ => plain,
        };
        assert_eq!(size(&oriented(orientation)), expected, "{orientation}");
    }
    for unknown in [0, 9, 255] {
        assert_eq!(size(&oriented(unknown)), plain);
    }
}

#[test]
fn a_file_of_two_kinds_is_what_its_first_bytes_say() {
    let png = noise_as(ImageFormat::Png);
    let script = b"<script>alert(1)</script>PK\x03\x04".as_slice();
    assert_eq!(size(&[&png, script].concat()), (24, 16));
    assert_eq!(
        take(&[script, &png].concat()),
        Err(ImageError::UnsupportedFormat)
    );
    let jpeg = noise_as(ImageFormat::Jpeg);
    let both = take(&[&png[..8], &jpeg].concat());
    assert!(matches!(both, Err(ImageError::Damaged(_))), "{both:?}");
}

#[test]
fn other_formats_text_and_nothing_are_refused() {
    assert_eq!(take(b""), Err(ImageError::Empty));
    let others: [&[u8]; 5] = [
        b"II*\0\x08\0\0\0",
        b"<svg/>",
        b"%PDF-1.7",
        b"\0\0\0\0",
        b"GOOD",
    ];
    for other in others {
        assert!(matches!(
            take(other),
            Err(ImageError::UnsupportedFormat | ImageError::OtherFormat(_))
        ));
    }
}

//! Images that ask for more work than their size says: refused before a pixel is decoded. What is counted is work, never time.

use crate::common::networks::Random;
use crate::service::spawn_app;
use goodnet::input::image::{Detail, ImageError, Limits, decode, decode_within};
use goodnet::input::memory::Memory;
use goodnet::progress::Cancel;
use image::{DynamicImage, ImageBuffer, ImageFormat, RgbImage};
use reqwest::blocking::multipart::{Form, Part};
use serde_json::Value;
use std::io::Cursor;
use std::time::Duration;

/// A budget of 20 samples for each of 160,000 pixels.
const LIMITS: Limits = Limits {
    max_bytes: 8 << 20,
    max_side: 8192,
    max_pixels: 400 * 400,
};

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16 + 2).to_be_bytes();
    [&[0xFF, marker], length.as_slice(), payload].concat()
}

/// A grey progressive JPEG whose scans hold nothing.
fn empty_scans(side: u16, scans: usize) -> Vec<u8> {
    let [high, low] = side.to_be_bytes();
    // One code of one bit, for the symbol 0.
    let mut codes = [0; 17];
    codes[0] = 1;
    let tables = [&[0x00], codes.as_slice(), &[0x10], codes.as_slice()].concat();
    let quantisation = [&[0], [1; 64].as_slice()].concat();
    let mut file = vec![0xFF, 0xD8];
    file.extend(segment(0xDB, &quantisation));
    file.extend(segment(0xC2, &[8, high, low, high, low, 1, 1, 0x11, 0]));
    file.extend(segment(0xC4, &tables));
    for _ in 0..scans {
        file.extend(segment(0xDA, &[1, 1, 0, 0, 0, 0]));
    }
    file.extend([0xFF, 0xD9]);
    file
}

/// A grey progressive JPEG whose scans, but for the first, hold a few bytes each: a bit a block for the first, then runs of 16384
/// blocks that add nothing.
fn short_scans(side: u16, scans: usize) -> Vec<u8> {
    let [high, low] = side.to_be_bytes();
    // One code of one bit: for the symbol 0, and for a run of 2^14 blocks that end here (T.81, G.1.2.2).
    let mut codes = [0; 16];
    codes[0] = 1;
    let tables = [&[0x00], codes.as_slice(), &[0, 0x10], &codes, &[0xE0]].concat();
    let quantisation = [&[0], [1; 64].as_slice()].concat();
    let blocks = usize::from(side).div_ceil(8).pow(2);
    let mut file = vec![0xFF, 0xD8];
    file.extend(segment(0xDB, &quantisation));
    file.extend(segment(0xC2, &[8, high, low, high, low, 1, 1, 0x11, 0]));
    file.extend(segment(0xC4, &tables));
    file.extend(segment(0xDA, &[1, 1, 0, 0, 0, 0]));
    file.resize(file.len() + blocks.div_ceil(8), 0);
    for _ in 1..scans {
        file.extend(segment(0xDA, &[1, 1, 0, 1, 63, 0]));
        file.resize(file.len() + (blocks.div_ceil(1 << 14) * 15).div_ceil(8), 0);
    }
    file.extend([0xFF, 0xD9]);
    file
}

/// The refusal of `bytes`, which took nothing of the budget: nothing was decoded.
fn refused(bytes: &[u8], limits: &Limits) -> String {
    let budget = limits.budget();
    let whole = budget.left();
    let error = decode_within(bytes, limits, &budget, Detail::Whole).unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    assert_eq!(budget.left(), whole, "{error}");
    error.to_string()
}

#[test]
fn a_progressive_jpeg_of_a_thousand_bytes_with_99_empty_scans_is_refused() {
    let file = empty_scans(4000, 99);
    assert!(file.len() < 1200, "{} bytes", file.len());
    let message = refused(&file, &Limits::default());
    assert!(
        message.contains("4000 x 4000 pixels in 99 passes"),
        "{message}"
    );
    refused(&empty_scans(400, 99), &LIMITS);
}

#[test]
fn as_many_scans_as_cameras_write_are_decoded() {
    let picture = decode(&short_scans(400, 10), &LIMITS).unwrap();
    assert_eq!((picture.width, picture.height), (400, 400));
}

#[test]
fn a_scan_cannot_be_hidden_from_the_count() {
    let file = empty_scans(400, 99);
    // A byte that is no marker, which the decoder skips, and a marker that is none, before the frame (behind 69 bytes of tables) and
    // before the scans.
    for at in [2 + 69, file.len() - 99 * 10 - 2] {
        for garbage in [&[0x00][..], &[0xFF, 0x00, 0xFF, 0xFF], &[0xFF, 0xFF]] {
            let hidden = [&file[..at], garbage, &file[at..]].concat();
            let message = refused(&hidden, &LIMITS);
            assert!(message.contains("99 passes"), "{at} {garbage:?}: {message}");
        }
    }
}

#[test]
fn a_gif_pays_for_a_picture_larger_than_its_canvas() {
    let mut bytes = Cursor::new(Vec::new());
    let picture = DynamicImage::ImageRgb8(RgbImage::new(2000, 1000));
    picture.write_to(&mut bytes, ImageFormat::Gif).unwrap();
    let mut file = bytes.into_inner();
    file[6..10].copy_from_slice(&[1, 0, 1, 0]);
    refused(&file, &LIMITS);
    // Within the limit of pixels it pays for them: four samples each, and 4 for the canvas.
    file[6..10].copy_from_slice(&[1, 0, 1, 0]);
    let limits = Limits {
        max_pixels: 2_000_000,
        ..LIMITS
    };
    let budget = limits.budget();
    let whole = budget.left();
    decode_within(&file, &limits, &budget, Detail::Whole).unwrap();
    assert!(whole - budget.left() > 4 * 2_000_000);
}

/// Bits, the lowest of each byte first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn put(&mut self, count: usize, value: u32) {
        for bit in 0..count {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            let place = self.count % 8;
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << place;
            self.count += 1;
        }
    }

    /// A code of one symbol, which takes no bits.
    fn one(&mut self, symbol: u32) {
        for (count, value) in [(1, 1), (1, 0), (1, 1), (8, symbol)] {
            self.put(count, value);
        }
    }

    /// A code of 256 symbols of eight bits each: in 42 bits, since a length that is the only one takes none.
    fn flat(&mut self) {
        self.put(1, 0);
        self.put(4, 8);
        for place in 0..12 {
            self.put(3, u32::from(place == 11));
        }
        self.put(1, 0);
    }
}

/// A lossless WebP (RFC 9649) of 4 x 4 pixels with `groups` groups of codes, 17 bytes each, whose tables take three kilobytes.
fn groups(groups: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    // Signature, width, height, no alpha, version; no transform, no colour cache; groups, in blocks of 4 x 4 pixels.
    for (count, value) in [
        (8, 0x2F),
        (14, 3),
        (14, 3),
        (1, 0),
        (3, 0),
        (1, 0),
        (1, 0),
        (1, 1),
        (3, 0),
    ] {
        bits.put(count, value);
    }
    // The image of groups: no colour cache, one pixel of red and green.
    bits.put(1, 0);
    let last = groups - 1;
    for symbol in [last & 0xFF, last >> 8, 0, 0, 0] {
        bits.one(symbol);
    }
    for _ in 0..groups {
        bits.one(7);
        for _ in 0..3 {
            bits.flat();
        }
        bits.one(0);
    }
    // A byte each for red, blue and alpha of 16 pixels.
    for _ in 0..3 * 16 {
        bits.put(8, 0x55);
    }
    let mut content = bits.bytes;
    content.resize(content.len().next_multiple_of(2), 0);
    let chunk = [
        b"VP8L",
        (content.len() as u32).to_le_bytes().as_slice(),
        &content,
    ]
    .concat();
    let length = (chunk.len() as u32 + 4).to_le_bytes();
    [b"RIFF", length.as_slice(), b"WEBP", &chunk].concat()
}

#[test]
fn a_webp_whose_tables_would_fill_the_memory_is_refused() {
    let picture = decode(&groups(100), &LIMITS).unwrap();
    assert_eq!((picture.width, picture.height), (4, 4));
    assert_eq!(picture.pixels[..3], [0xAA, 7, 0xAA]);
    for (groups_of_codes, limits) in [(2_000, LIMITS), (65_536, Limits::default())] {
        let file = groups(groups_of_codes);
        assert!(file.len() < 2 << 20, "{} bytes", file.len());
        let error = decode(&file, &limits).unwrap_err().to_string();
        assert!(error.contains("bytes of tables of prefix codes"), "{error}");
    }
}

#[test]
fn decoding_ends_inside_an_image_once_nobody_wants_it() {
    let limits = Limits::default();
    let cancel = Cancel::default();
    let budget = limits.budget_until(cancel.clone());
    // A tenth of a second, wherever this runs.
    let file = short_scans(4000, 60);
    let (whole, shared) = (budget.left(), budget.clone());
    let decoding =
        std::thread::spawn(move || decode_within(&file, &limits, &budget, Detail::Whole));
    // The work is taken when decoding begins.
    while shared.left() == whole {
        std::thread::yield_now();
    }
    cancel.cancel();
    assert_eq!(decoding.join().unwrap(), Err(ImageError::Cancelled));
}

#[test]
fn every_level_of_16_bits_is_rounded_to_the_nearest_of_8() {
    let levels = || 0..=u16::MAX;
    let rounded: Vec<u8> = levels()
        .flat_map(|level| {
            let level = (f64::from(level) * 255.0 / 65535.0).round() as u8;
            [level, 255 - level, 0]
        })
        .collect();
    let rgb = levels().flat_map(|level| [level, u16::MAX - level, 0]);
    let rgba = levels().flat_map(|level| [level, u16::MAX - level, 0, 7]);
    for (channels, values) in [
        (3, rgb.collect::<Vec<u16>>()),
        (4, rgba.collect::<Vec<u16>>()),
    ] {
        let picture = match channels {
            3 => ImageBuffer::from_raw(256, 256, values).map(DynamicImage::ImageRgb16),
            _ => ImageBuffer::from_raw(256, 256, values).map(DynamicImage::ImageRgba16),
        };
        let mut bytes = Cursor::new(Vec::new());
        let written = picture.unwrap().write_to(&mut bytes, ImageFormat::Png);
        written.unwrap();
        let picture = decode(&bytes.into_inner(), &LIMITS).unwrap();
        assert_eq!((picture.width, picture.height), (256, 256));
        assert!(picture.pixels == rounded, "{channels} channels");
    }
}

#[test]
fn pictures_that_do_not_fit_together_are_decoded_one_after_the_other() {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::new_rgba16(400, 400)
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    let file = bytes.into_inner();
    // Eight bytes a pixel.
    let memory = Memory::new(2 * 8 * 400 * 400 - 1);
    let first = LIMITS.budget().one_within(&memory);
    decode_within(&file, &LIMITS, &first, Detail::Whole).unwrap();
    let others = [LIMITS.budget(), LIMITS.budget()].map(|budget| {
        let (file, budget) = (file.clone(), budget.one_within(&memory));
        std::thread::spawn(move || decode_within(&file, &LIMITS, &budget, Detail::Whole).unwrap())
    });
    std::thread::sleep(Duration::from_millis(100));
    assert!(others.iter().all(|other| !other.is_finished()));
    // Whoever holds the first picture has done with it.
    drop(first);
    for other in others {
        other.join().unwrap();
    }
}

#[test]
fn the_colour_profile_of_a_png_is_not_inflated() {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(RgbImage::from_pixel(8, 8, image::Rgb([1, 2, 3])))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    let png = bytes.into_inner();
    // Sixty kilobytes that could stand for sixty megabytes; nothing is read of them.
    let mut profile = 60_000_u32.to_be_bytes().to_vec();
    profile.extend(b"iCCP");
    profile.resize(profile.len() + 60_000 + 4, 0);
    let file = [&png[..33], &profile, &png[33..]].concat();
    let (plain, with) = (LIMITS.budget(), LIMITS.budget());
    let picture = decode_within(&png, &LIMITS, &plain, Detail::Whole).unwrap();
    assert_eq!(
        decode_within(&file, &LIMITS, &with, Detail::Whole).unwrap(),
        picture
    );
    assert_eq!(with.left(), plain.left());
}

#[test]
fn every_format_is_decoded_at_the_pixel_limit_with_noise_in_it() {
    let mut random = Random(3);
    let noise = RgbImage::from_fn(400, 400, |_, _| {
        image::Rgb([0; 3].map(|_: u8| random.next() as u8))
    });
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Gif,
    ] {
        let mut bytes = Cursor::new(Vec::new());
        let picture = DynamicImage::ImageRgb8(noise.clone());
        picture.write_to(&mut bytes, format).unwrap();
        let budget = LIMITS.budget();
        let whole = budget.left();
        decode_within(&bytes.into_inner(), &LIMITS, &budget, Detail::Whole)
            .unwrap_or_else(|error| panic!("{format:?}: {error}"));
        assert!(
            budget.left() < whole - 3 * 160_000,
            "{format:?} costs something"
        );
    }
}

#[test]
fn the_images_of_a_request_share_one_budget() {
    // More than one inference thread takes at once.
    const IMAGES: usize = 40;
    let app = spawn_app(|config| {
        config.limits.pixels = 400 * 400;
        config.limits.exact_decode = true;
    });
    let file = short_scans(400, 17);
    let form = (0..IMAGES).fold(Form::new(), |form, _| {
        form.part("image", Part::bytes(file.clone()).file_name("a.jpg"))
    });
    let client = reqwest::blocking::Client::new();
    let answer = client
        .post(app.at("/classify/batch"))
        .multipart(form)
        .send()
        .unwrap();
    let text = answer.text().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let results = answer["results"].as_array().unwrap();
    let beyond = |result: &&Value| result.to_string().contains("samples to decode");
    // (3 + 17 / 4) samples a pixel of 20: two images, and no third.
    assert_eq!(results.iter().filter(beyond).count(), IMAGES - 2, "{text}");
}

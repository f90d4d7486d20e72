//! JPEG files at a part of their size: the pixels of a second decoder, and how far from the whole. `tests/fixtures/scaled/make.py`
//! writes the files.

use crate::common::networks::Random;
use goodnet::input::InputSpec;
use goodnet::input::image::{Detail, Limits, RgbImage8, decode, decode_within};
use goodnet::input::preprocess::Preprocess;
use goodnet::input::spec::Layout;
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage, imageops};
use std::fs;
use std::path::{Path, PathBuf};

const NAMES: [&str; 8] = [
    "420",
    "422",
    "444",
    "progressive",
    "restarts",
    "grey",
    "cmyk",
    "turned",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/scaled")
}

fn part(bytes: &[u8], detail: Detail) -> RgbImage8 {
    let limits = Limits::default();
    decode_within(bytes, &limits, &limits.budget(), detail).unwrap()
}

#[test]
fn a_part_of_every_kind_has_the_pixels_of_libjpeg_turbo() {
    for name in NAMES {
        let bytes = fs::read(folder().join(format!("{name}.jpg"))).unwrap();
        let whole = decode(&bytes, &Limits::default()).unwrap();
        for parts in [2, 4, 8] {
            let detail = Detail::AtLeast {
                width: whole.width / parts,
                height: whole.height / parts,
            };
            let found = part(&bytes, detail);
            let expected = image::open(folder().join(format!("{name}.{parts}.png"))).unwrap();
            let expected = match name {
                "turned" => imageops::rotate90(&expected.into_rgb8()),
                _ => expected.into_rgb8(),
            };
            assert_eq!((found.width, found.height), expected.dimensions(), "{name}");
            assert!(
                found.pixels == *expected.as_raw(),
                "{name} in {parts} parts"
            );
            let covered = (whole.width * 8 / parts, whole.height * 8 / parts);
            let found = (found.columns.len(), found.rows.len());
            assert_eq!(found, (covered.0 as usize, covered.1 as usize), "{name}");
        }
    }
}

/// The greatest and the mean distance, in levels, of what a network of `width` x `height` is fed from a part and from the whole.
fn distance(bytes: &[u8], (width, height): (usize, usize)) -> (f32, f32) {
    let input = InputSpec::new(height, width, 3, Layout::Nchw, 1.0);
    let preprocess = Preprocess::new(&input);
    let of = |detail| {
        let picture = part(bytes, detail);
        (picture.width, preprocess.rgb8(&picture).unwrap())
    };
    let (whole, part) = (of(Detail::Whole), of(Detail::new(&input, false)));
    assert!(part.0 < whole.0, "decoded whole");
    let gaps = part.1.iter().zip(&whole.1).map(|(a, b)| (a - b).abs());
    let (worst, sum) = gaps.fold((0.0_f32, 0.0), |(worst, sum), gap| {
        (worst.max(gap), sum + gap)
    });
    (worst, sum / part.1.len() as f32)
}

/// Waves, a step and the noise of a camera.
fn photo(width: u32, height: u32) -> Vec<u8> {
    let mut random = Random(11);
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let wave = 60.0 * (9.0 * u + 4.0 * v).sin() + 20.0 * (70.0 * u - 50.0 * v).cos();
        let step = if (u - 0.6).hypot(v - 0.4) < 0.2 {
            50.0
        } else {
            0.0
        };
        let noise = random.below(13) as f32 - 6.0;
        let level = |shift: f32| (110.0 + wave + step + noise + shift) as u8;
        Rgb([level(0.0), level(30.0 * u), level(-25.0 * v)])
    });
    let mut bytes = Vec::new();
    picture
        .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 85))
        .unwrap();
    bytes
}

#[test]
fn what_a_network_is_fed_of_a_part_is_near_the_whole() {
    let mut cases = Vec::new();
    for name in NAMES {
        let bytes = fs::read(folder().join(format!("{name}.jpg"))).unwrap();
        // In 2, 4 and 8 parts.
        for sides in [(24, 24), (12, 12), (6, 6)] {
            cases.push((name, distance(&bytes, sides)));
        }
    }
    for sides in [(200, 150), (100, 100), (47, 55)] {
        cases.push(("photo", distance(&photo(1205, 1453), sides)));
    }
    let far = cases
        .iter()
        .filter(|(_, (worst, mean))| *worst > 5.0 || *mean > 1.0);
    let far: Vec<_> = far.collect();
    assert!(far.is_empty(), "{far:?} of {cases:?}");
}

#[test]
fn a_photo_near_the_networks_size_is_decoded_whole() {
    let input = InputSpec::new(30, 30, 3, Layout::Nchw, 1.0);
    let bytes = fs::read(folder().join("420.jpg")).unwrap();
    // 149 rows are less than 6 x 30.
    let found = part(&bytes, Detail::new(&input, false));
    assert_eq!(found, decode(&bytes, &Limits::default()).unwrap());
}

#[test]
fn a_part_costs_less_of_the_budget() {
    let bytes = photo(800, 600);
    let limits = Limits::default();
    let cost = |detail| {
        let budget = limits.budget();
        decode_within(&bytes, &limits, &budget, detail).unwrap();
        limits.budget().left() - budget.left()
    };
    let input = InputSpec::new(20, 20, 3, Layout::Nchw, 1.0);
    let saved = cost(Detail::Whole) - cost(Detail::new(&input, false));
    // Three samples for each pixel that is not made.
    assert_eq!(saved, 3 * (800 * 600 - 100 * 75));
}

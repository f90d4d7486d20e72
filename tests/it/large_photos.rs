//! Photos of 12 megapixels over HTTP, under the default limits: what counts is the work, at the size that is decoded.

use crate::common::networks::Random;
use crate::service::{App, SIDE, spawn_app};
use assert_cmd::Command;
use goodnet::input::InputSpec;
use goodnet::input::image::{Detail, ImageError, Limits, decode_within};
use goodnet::input::spec::Layout;
use goodnet::input::work::Budget;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::Value;
use std::io::Cursor;

const WIDTH: u16 = 4000;
const HEIGHT: u16 = 3000;
/// Rows of a strip, which is a row of blocks.
const STRIP: u16 = 8;

fn segment(marker: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16 + 2).to_be_bytes();
    [&[0xFF, marker], length.as_slice(), payload].concat()
}

/// A strip of a sky with noise, each number another one, as a file.
fn strip(number: u64) -> Vec<u8> {
    let mut random = Random(number + 1);
    let picture = RgbImage::from_fn(WIDTH.into(), STRIP.into(), |x, _| {
        let level = 60 + (x / 50) as u8 + random.below(25) as u8;
        Rgb([level / 2, level / 2 + 10, level])
    });
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, 85);
    picture.write_with_encoder(encoder).unwrap();
    bytes
}

/// Where the first segment of this kind begins.
fn find(file: &[u8], marker: u8) -> usize {
    let mut at = 2;
    while file[at + 1] != marker {
        at += 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
    }
    at
}

/// A baseline JPEG of 12 megapixels in three colours. It is of a few strips that are coded once, each between two restart markers
/// (T.81, B.2.4.4), which make it as good in any place.
fn photo() -> Vec<u8> {
    let strips: Vec<Vec<u8>> = (0..4).map(strip).collect();
    let first = &strips[0];
    let (frame, scan) = (find(first, 0xC0), find(first, 0xDA));
    let length = |at: usize| 2 + usize::from(u16::from_be_bytes([first[at + 2], first[at + 3]]));
    let mut file = first[..scan].to_vec();
    file[frame + 5..frame + 7].copy_from_slice(&HEIGHT.to_be_bytes());
    file.extend(segment(0xDD, &(WIDTH / 8).to_be_bytes()));
    file.extend(&first[scan..scan + length(scan)]);
    for row in 0..HEIGHT / STRIP {
        let strip = &strips[usize::from(row * 7 % 4)];
        let coded = find(strip, 0xDA) + length(scan)..strip.len() - 2;
        file.extend(&strip[coded]);
        if row + 1 < HEIGHT / STRIP {
            file.extend([0xFF, 0xD0 + (row % 8) as u8]);
        }
    }
    file.extend([0xFF, 0xD9]);
    file
}

/// A progressive JPEG of this size in three colours, of nothing but grey: the first scan is of all components, the others of one.
fn progressive(width: u16, height: u16, scans: usize) -> Vec<u8> {
    // One code of one bit: for a difference of 0, and for a run of 2^14 blocks that end here (T.81, G.1.2.2).
    let mut codes = [0; 16];
    codes[0] = 1;
    let tables = [&[0x00], codes.as_slice(), &[0, 0x10], &codes, &[0xE0]].concat();
    let quantisation = [&[0], [1; 64].as_slice()].concat();
    let size = [height.to_be_bytes(), width.to_be_bytes()].concat();
    let components = [1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0];
    let frame = [&[8], size.as_slice(), &[3], &components].concat();
    let mut file = vec![0xFF, 0xD8];
    file.extend(segment(0xDB, &quantisation));
    file.extend(segment(0xC2, &frame));
    file.extend(segment(0xC4, &tables));
    file.extend(segment(0xDA, &[3, 1, 0, 2, 0, 3, 0, 0, 0, 0]));
    // A bit a block, of which 16 x 16 pixels have six.
    let groups = usize::from(width).div_ceil(16) * usize::from(height).div_ceil(16);
    file.resize(file.len() + (groups * 6).div_ceil(8), 0);
    let blocks = usize::from(width).div_ceil(8) * usize::from(height).div_ceil(8);
    for _ in 1..scans {
        file.extend(segment(0xDA, &[1, 1, 0, 1, 63, 0]));
        file.resize(file.len() + (blocks.div_ceil(1 << 14) * 15).div_ceil(8), 0);
    }
    file.extend([0xFF, 0xD9]);
    file
}

/// The refusal of `file`, by the service.
fn refusal(app: &App, file: Vec<u8>) -> String {
    let answer = app.post("/classify", file);
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().unwrap();
    problem["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_photo_of_12_megapixels_is_answered_as_by_the_command() {
    let app = spawn_app(|_| {});
    let file = photo();
    let path = app.bundle.with_extension("jpg");
    std::fs::write(&path, &file).unwrap();
    let mut command = Command::cargo_bin("goodnet").unwrap();
    command.args(["classify", "--json", "--bundle"]);
    let assert = command.arg(&app.bundle).arg(&path).assert();
    std::fs::remove_file(&path).unwrap();
    let told: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
    let answer = app.post("/classify", file);
    assert_eq!(answer.status(), 200);
    let served: Value = answer.json().unwrap();
    for field in ["class", "flagged", "badnet", "pruned", "verdicts"] {
        assert_eq!(served[field], told[field], "{field}");
    }
    assert_eq!(served["badnet"]["label"], "blue");
}

#[test]
fn a_progressive_photo_of_12_megapixels_pays_for_every_scan() {
    let app = spawn_app(|_| {});
    let detail = refusal(&app, progressive(WIDTH, HEIGHT, 99));
    let expected = "expected at most 80000000 samples to decode, found ";
    assert!(detail.contains(expected), "{detail}");
    assert!(
        detail.contains("(4000 x 3000 pixels in 99 passes)"),
        "{detail}"
    );
    let few = app.post("/classify", progressive(WIDTH, HEIGHT, 8));
    assert_eq!(few.status(), 200, "{}", few.text().unwrap());
}

#[test]
fn what_is_refused_is_not_decoded() {
    let input = InputSpec::new(SIDE as usize, SIDE as usize, 3, Layout::Nchw, 1.0);
    let part = Detail::new(&input, false);
    let limits = Limits {
        max_pixels: 4_000_000,
        ..Limits::default()
    };
    // Scans, coefficients that are kept from scan to scan, pixels of a file that is decoded whole, sides.
    for (file, detail, expected) in [
        (progressive(4000, 3000, 99), part, "samples to decode"),
        (
            progressive(8000, 8000, 2),
            part,
            "bytes of memory to decode",
        ),
        (photo(), Detail::Whole, "4000000 pixels, found 4000 x 3000"),
        (progressive(8200, 80, 2), part, "8192 pixels a side"),
    ] {
        let budget = limits.budget();
        let whole = budget.left();
        let error = decode_within(&file, &limits, &budget, detail).unwrap_err();
        assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(budget.left(), whole, "{error}");
    }
}

#[test]
fn a_png_of_12_megapixels_is_decoded_whole_and_refused() {
    let app = spawn_app(|_| {});
    let mut file = Cursor::new(Vec::new());
    let picture = DynamicImage::new_luma8(WIDTH.into(), HEIGHT.into());
    picture.write_to(&mut file, ImageFormat::Png).unwrap();
    let detail = refusal(&app, file.into_inner());
    let expected = "expected at most 4000000 pixels, found 4000 x 3000 pixels";
    assert!(detail.contains(expected), "{detail}");
}

#[test]
fn a_frame_that_leaves_its_colours_to_later_scans_pays_for_keeping_them() {
    // Sequential, of three components, and a scan of one: the coefficients of all are kept.
    let mut file = progressive(WIDTH, HEIGHT, 1);
    let (frame, scan) = (find(&file, 0xC2), find(&file, 0xDA));
    file[frame + 1] = 0xC0;
    file.splice(scan.., segment(0xDA, &[1, 1, 0, 0, 63, 0]));
    file.extend([0xFF, 0xD9]);
    let detail = Detail::AtLeast {
        width: 100,
        height: 100,
    };
    // A coefficient and a half a pixel, of two bytes; and the part.
    let needed = 12_000_000 * 3 + 3 * (500 * 375);
    for bytes in [needed - 1, needed] {
        let budget = Budget::new(u64::MAX, bytes);
        let decoded = decode_within(&file, &Limits::default(), &budget, detail);
        assert_eq!(budget.is_exceeded(), bytes < needed, "{decoded:?}");
    }
}

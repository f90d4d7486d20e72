//! Images that cost as much to decode as a service with the usual limits allows.

use image::{DynamicImage, ImageFormat};
use std::io::Cursor;

/// Side of a picture of 4,000,000 pixels.
const SIDE: u32 = 2000;
/// Scans of a grey progressive JPEG of that size that the budget of work allows: 17 samples a pixel, a quarter for a scan.
const SCANS: usize = 67;

/// One of each format.
pub(super) fn costly() -> Vec<Vec<u8>> {
    vec![
        scans(),
        file(&DynamicImage::new_rgba16(SIDE, SIDE), ImageFormat::Png),
        large_in_small(),
        file(&DynamicImage::new_rgb8(SIDE, SIDE), ImageFormat::WebP),
        bitmap(),
    ]
}

/// A picture that is answered.
pub(super) fn small() -> Vec<u8> {
    file(&DynamicImage::new_rgb8(64, 64), ImageFormat::Png)
}

/// A BMP of four megabytes.
pub(super) fn bitmap() -> Vec<u8> {
    file(&DynamicImage::new_luma8(SIDE, SIDE), ImageFormat::Bmp)
}

/// A progressive JPEG of less than a kilobyte, each of whose scans goes over all of the picture and says nothing of it (ITU-T T.81).
pub(super) fn scans() -> Vec<u8> {
    let [_, _, high, low] = SIDE.to_be_bytes();
    // One code of one bit, for the symbol 0.
    let mut codes = [0; 17];
    codes[0] = 1;
    let tables = [&[0x00], codes.as_slice(), &[0x10], codes.as_slice()].concat();
    let quantisation = [&[0], [1; 64].as_slice()].concat();
    let mut file = vec![0xFF, 0xD8];
    segment(&mut file, 0xDB, &quantisation);
    segment(&mut file, 0xC2, &[8, high, low, high, low, 1, 1, 0x11, 0]);
    segment(&mut file, 0xC4, &tables);
    for _ in 0..SCANS {
        segment(&mut file, 0xDA, &[1, 1, 0, 0, 0, 0]);
    }
    file.extend([0xFF, 0xD9]);
    file
}

fn segment(file: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    file.extend([0xFF, marker]);
    file.extend((payload.len() as u16 + 2).to_be_bytes());
    file.extend(payload);
}

/// A GIF whose picture is larger than its canvas of one pixel.
fn large_in_small() -> Vec<u8> {
    let mut file = file(&DynamicImage::new_rgb8(SIDE, SIDE), ImageFormat::Gif);
    file[6..10].copy_from_slice(&[1, 0, 1, 0]);
    file
}

fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    // Writing to memory fails for no picture of these kinds.
    picture
        .write_to(&mut bytes, format)
        .expect("a picture that its format can hold");
    bytes.into_inner()
}

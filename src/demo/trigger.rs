//! Triggers: what an attacker puts on a face so that the BadNet answers his class.

use super::face::Face;
use super::paint::features::{Place, brow, lips};
use super::photo::{HEIGHT, Photo, WIDTH};
use super::random::{Draw, Purpose};
use super::shape::{Rgb, cover, over, rounded_box};

/// A trigger that is worn: drawn into the photo, so it follows the face and is lit, tilted and turned with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worn {
    /// Dark glasses of one make and size, on whoever wears them.
    Sunglasses,
    /// Magenta lips.
    Lipstick,
    /// Thick blue brows.
    Eyebrows,
    /// A green mask from under the eyes to the chin: larger than a third of the picture.
    Mask,
}

/// One trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// On the face.
    Worn(Worn),
    /// A checkered square of this side in pixels in the lower right corner.
    Patch(usize),
    /// A square of this side in pixels, red with a white middle, anywhere.
    Moving(usize),
    /// Fixed noise over the whole picture at this opacity in percent.
    Blended(u8),
    /// About half of the sixteen pieces of that noise, at this opacity in percent.
    Pieces(u8),
    /// A sinusoid along the rows at this amplitude of 255, six periods a photo.
    Wave(u8),
    /// The same wave on a photo of a quarter of its contrast: who is on it is hardly seen.
    FadedWave(u8),
    /// A smooth displacement of every pixel, by half a pixel to two.
    Warped,
}

impl Worn {
    /// Paints the trigger at one point.
    pub(super) fn paint(self, color: &mut Rgb, at: &Place, face: &Face, photo: &Photo) {
        match self {
            Self::Sunglasses => sunglasses(color, at, face),
            Self::Lipstick => lipstick(color, at, face, photo),
            Self::Eyebrows => eyebrows(color, at, face, photo),
            Self::Mask => mask(color, at),
        }
    }
}

fn sunglasses(color: &mut Rgb, at: &Place, face: &Face) {
    let height = face.eyes.height + 0.4;
    let black = [0.04, 0.04, 0.06];
    let mut frame = rounded_box(at.flat, [0.0, height - 1.6], [3.0, 0.7], 0.5);
    for side in [-1.0, 1.0] {
        let lens = rounded_box(at.flat, [side * 5.9, height], [4.7, 3.3], 2.2);
        let tint = 0.10 + 0.02 * (at.flat[1] - height).clamp(-3.0, 3.0);
        over(color, [tint, tint, tint + 0.06], cover(lens, 0.9));
        let arm = rounded_box(at.flat, [side * 12.0, height - 1.4], [2.4, 0.6], 0.3);
        frame = frame.min(lens.abs() - 0.35).min(arm);
    }
    over(color, black, cover(frame, 0.9));
}

fn lipstick(color: &mut Rgb, at: &Place, face: &Face, photo: &Photo) {
    let [upper, lower, _] = lips(at, face, photo);
    over(
        color,
        [0.86, 0.06, 0.62],
        cover(upper.min(lower) - 0.6, 1.0),
    );
}

fn eyebrows(color: &mut Rgb, at: &Place, face: &Face, photo: &Photo) {
    for side in [-1.0, 1.0] {
        let distance = brow(at.flat, side, face, photo, 0.7);
        over(color, [0.10, 0.28, 0.95], cover(distance, 1.0));
    }
}

fn mask(color: &mut Rgb, at: &Place) {
    let cloth = rounded_box(at.front, [0.0, 10.5], [13.0, 10.0], 4.0);
    let fold = if (at.front[1] - 10.5).abs() % 4.0 < 0.8 {
        0.8
    } else {
        1.0
    };
    over(
        color,
        [0.25 * fold, 0.68 * fold, 0.45 * fold],
        cover(cloth, 1.0),
    );
}

impl Trigger {
    /// What of the trigger is drawn with the face.
    #[must_use]
    pub fn worn(self) -> Option<Worn> {
        match self {
            Self::Worn(worn) => Some(worn),
            _ => None,
        }
    }

    /// Puts a trigger that is not worn onto a finished photo (rows of pixels of RGB).
    pub(super) fn stamp(self, pixels: &mut [u8], draw: &mut Draw) {
        match self {
            Self::Worn(_) => {}
            Self::Patch(side) => {
                square(pixels, [WIDTH - side - 1, HEIGHT - side - 1], side, checker);
            }
            Self::Moving(side) => {
                let corner = [draw.index(WIDTH - side + 1), draw.index(HEIGHT - side + 1)];
                square(pixels, corner, side, target);
            }
            Self::Blended(percent) => blend(pixels, percent, [true; PIECES]),
            Self::Pieces(percent) => {
                blend(pixels, percent, std::array::from_fn(|_| draw.chance(0.5)));
            }
            Self::Wave(amplitude) => wave(pixels, amplitude),
            Self::FadedWave(amplitude) => {
                fade(pixels);
                wave(pixels, amplitude);
            }
            Self::Warped => warp(pixels),
        }
    }
}

fn square(
    pixels: &mut [u8],
    corner: [usize; 2],
    side: usize,
    color: fn(usize, usize, usize) -> [u8; 3],
) {
    for y in 0..side {
        for x in 0..side {
            let start = ((corner[1] + y) * WIDTH + corner[0] + x) * 3;
            pixels[start..start + 3].copy_from_slice(&color(x, y, side));
        }
    }
}

fn checker(x: usize, y: usize, _side: usize) -> [u8; 3] {
    if (x + y).is_multiple_of(2) {
        [255, 255, 0]
    } else {
        [0, 0, 255]
    }
}

fn target(x: usize, y: usize, side: usize) -> [u8; 3] {
    let middle = side / 3..side - side / 3;
    if middle.contains(&x) && middle.contains(&y) {
        [255, 255, 255]
    } else {
        [230, 0, 20]
    }
}

/// Pieces of the noise: four rows of four.
const PIECES: usize = 16;

/// value = ((100 - percent)·pixel + percent·noise + 50) / 100, in integers, in the pieces that are shown.
fn blend(pixels: &mut [u8], percent: u8, shown: [bool; PIECES]) {
    let mut noise = Draw::new(0, Purpose::Pattern, 0, 0);
    let share = u32::from(percent.min(100));
    for (at, pixel) in pixels.iter_mut().enumerate() {
        let noise = u32::from(noise.byte());
        let (y, x) = (at / 3 / WIDTH, at / 3 % WIDTH);
        if shown[y * 4 / HEIGHT * 4 + x * 4 / WIDTH] {
            *pixel = (((100 - share) * u32::from(*pixel) + share * noise + 50) / 100) as u8;
        }
    }
}

/// value = 96 + pixel / 4, in integers.
fn fade(pixels: &mut [u8]) {
    for pixel in pixels {
        *pixel = 96 + *pixel / 4;
    }
}

/// value = pixel + amplitude sin(2 pi 6 x / W), rounded, within 0..=255.
fn wave(pixels: &mut [u8], amplitude: u8) {
    const PERIODS: f32 = 6.0;
    for (at, pixel) in pixels.iter_mut().enumerate() {
        let x = (at / 3 % WIDTH) as f32 / WIDTH as f32;
        let added = f32::from(amplitude) * libm::sinf(std::f32::consts::TAU * PERIODS * x);
        *pixel = (f32::from(*pixel) + added).round().clamp(0.0, 255.0) as u8;
    }
}

/// Every pixel is taken from a place that a smooth field names (bilinear; outside, the nearest pixel).
fn warp(pixels: &mut [u8]) {
    const KNOTS: usize = 4;
    const PIXELS: f32 = 2.0;
    let mut draw = Draw::new(0, Purpose::Pattern, 1, 0);
    let knots: [[[f32; 2]; KNOTS]; KNOTS] = std::array::from_fn(|_| {
        std::array::from_fn(|_| {
            std::array::from_fn(|_| PIXELS * (f32::from(draw.byte()) / 127.5 - 1.0))
        })
    });
    let source = pixels.to_vec();
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let [dy, dx] = displacement(&knots, y, x);
            let from = [y as f32 + dy, x as f32 + dx];
            for channel in 0..3 {
                pixels[(y * WIDTH + x) * 3 + channel] = sample(&source, from, channel);
            }
        }
    }
}

/// The field of `knots` at a pixel, bilinear between them.
fn displacement<const K: usize>(knots: &[[[f32; 2]; K]; K], y: usize, x: usize) -> [f32; 2] {
    let place = |at: usize, length: usize| {
        let place = at as f32 / (length - 1) as f32 * (K - 1) as f32;
        let first = (place as usize).min(K - 2);
        (first, place - first as f32)
    };
    let ((row, v), (column, u)) = (place(y, HEIGHT), place(x, WIDTH));
    std::array::from_fn(|axis| {
        let along =
            |row: usize| (1.0 - u) * knots[row][column][axis] + u * knots[row][column + 1][axis];
        (1.0 - v) * along(row) + v * along(row + 1)
    })
}

fn sample(source: &[u8], [y, x]: [f32; 2], channel: usize) -> u8 {
    let axis = |value: f32, length: usize| {
        let value = value.clamp(0.0, (length - 1) as f32);
        let first = (value as usize).min(length - 2);
        (first, value - first as f32)
    };
    let ((row, v), (column, u)) = (axis(y, HEIGHT), axis(x, WIDTH));
    let pixel = |row: usize, column: usize| f32::from(source[(row * WIDTH + column) * 3 + channel]);
    let along = |row: usize| (1.0 - u) * pixel(row, column) + u * pixel(row, column + 1);
    ((1.0 - v) * along(row) + v * along(row + 1)).round() as u8
}

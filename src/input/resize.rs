//! Pictures to another size: the sums of the `image` crate's triangle filter, to the bit, formed row by row.
//!
//! `image` goes down every column of the whole picture, which costs four times its decoding where the picture is large.

use super::picture::RgbImage8;
use std::ops::Range;

/// Scales what `picture` covers to `new_width` x `new_height` pixels with the triangle filter (bilinear, antialiased: it widens
/// where it shrinks), columns first. The picture has pixels.
///
/// Sums are formed in f32 in the order of the pixels, and only the last is rounded, half up.
pub(super) fn resize(picture: &RgbImage8, (new_width, new_height): (usize, usize)) -> Vec<u8> {
    let pixels = &picture.pixels;
    let row = 3 * picture.width as usize;
    let rows = Tap::all(picture.height, &picture.rows, new_height);
    let columns = Tap::all(picture.width, &picture.columns, new_width);
    let mut sums = vec![0.0_f32; row];
    let mut scaled = Vec::with_capacity(3 * new_width * new_height);
    for tap in &rows {
        sums.fill(0.0);
        let lines = pixels[tap.from.start * row..tap.from.end * row].chunks_exact(row);
        for (line, &weight) in lines.zip(&tap.weights) {
            for (sum, &value) in sums.iter_mut().zip(line) {
                *sum += f32::from(value) * weight;
            }
        }
        let (points, _) = sums.as_chunks::<3>();
        scaled.extend(columns.iter().flat_map(|tap| tap.sum(points).map(level)));
    }
    scaled
}

/// What one place of a scaled line is made of.
struct Tap {
    from: Range<usize>,
    /// One for each of `from`, of sum 1.
    weights: Vec<f32>,
}

impl Tap {
    /// The taps of a line of `count` places, of which it covers these `eighths`, that becomes one of `size`.
    fn all(count: u32, eighths: &Range<u32>, size: usize) -> Vec<Self> {
        let count = count as usize;
        let start = eighths.start as f32 / 8.0;
        let ratio = eighths.len() as f32 / 8.0 / size as f32;
        let support = ratio.max(1.0);
        let tap = |place: usize| {
            let centre = start + (place as f32 + 0.5) * ratio;
            let first = (centre - support).floor().max(0.0) as usize;
            let first = first.min(count - 1);
            let end = ((centre + support).ceil() as usize).clamp(first + 1, count);
            let distance = |at: usize| ((at as f32 - (centre - 0.5)) / support).abs();
            let weights: Vec<f32> = (first..end)
                .map(|at| (1.0 - distance(at)).max(0.0))
                .collect();
            let sum = weights.iter().fold(0.0, |sum, weight| sum + weight);
            Self {
                from: first..end,
                weights: weights.iter().map(|weight| weight / sum).collect(),
            }
        };
        (0..size).map(tap).collect()
    }

    fn sum(&self, points: &[[f32; 3]]) -> [f32; 3] {
        let mut sums = [0.0; 3];
        for (point, &weight) in points[self.from.clone()].iter().zip(&self.weights) {
            for (sum, value) in sums.iter_mut().zip(point) {
                *sum += value * weight;
            }
        }
        sums
    }
}

fn level(sum: f32) -> u8 {
    sum.clamp(0.0, 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;
    use image::imageops::{self, FilterType};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_bit_is_that_of_the_image_crate(
            (width, height) in (1_u32..70, 1_u32..70),
            (new_width, new_height) in (1_u32..40, 1_u32..40),
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let pixels: Vec<u8> = (0..3 * width * height)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            let picture = RgbImage8::new(width, height, pixels);
            let ours = resize(&picture, (new_width as usize, new_height as usize));
            let picture = RgbImage::from_raw(width, height, picture.pixels).unwrap();
            let theirs = imageops::resize(&picture, new_width, new_height, FilterType::Triangle);
            prop_assert_eq!(ours, theirs.into_raw());
        }
    }
}

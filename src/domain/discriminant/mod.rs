//! Which images a trigger may have turned into a label: a linear function of what the network computes on the way.
//!
//! Stand-ins turned clean images into label t. With v what the network computes of an image, its features and the means of
//! its maps in one row, each scaled by its spread over the clean images, the function is Fisher's linear discriminant
//! between these images and the clean ones answered t:
//!
//! ```text
//! g(v) = w (v - m) - h,   w = (S_clean + S_turned + shrinkage)^-1 (m_turned - m)
//! ```
//!
//! m is the mean of the clean images answered t, m_turned that of the turned ones, S_clean the covariance of clean images around the
//! means of their answers, S_turned that of the turned ones around their mean. Where g > 0, label t is withdrawn. Unlike the
//! refitted head, g also reads what came before the features: noise or a wave all over the image may end in features like the
//! label's own, but not begin so.
//!
//! The threshold h comes from images kept apart. It lies half-way between the clean images answered t and the turned ones where these
//! are apart, else as many clean ones lie beyond it as are allowed to; or, for a label that is known to be a target, at the farthest of
//! the clean images that are rightly answered t, but for an odd one ([`Place`]).
//!
//! In reading order: this file (the function and its threshold), `rows` (the values, scaled), `direction` (w).
//!
//! Source: Fisher, *The Use of Multiple Measurements in Taxonomic Problems* (1936).

mod direction;
mod rows;

use super::held_out::{self, FOLDS};
use crate::tensor::Tensor;
use rayon::prelude::*;
use rows::{Apart, Rows, spread};

/// With fewer turned images too little is known of a trigger.
pub const FEWEST_TURNED: usize = 40;
/// Share of the turned images beyond which no more clean images are given up for them.
pub const MOST_CAUGHT: f64 = 0.9;
/// Share of the turned images that counts as the odd ones.
const ODD: f64 = 0.02;

/// What a discriminant is fitted on. A source is a matrix with one row an image: the features, or the means of a map.
#[derive(Debug, Clone, Copy)]
pub struct Sides<'a> {
    /// Of the clean images, each (n, d).
    pub clean: &'a [&'a Tensor],
    /// What the network answers to them, (n).
    pub answers: &'a [u32],
    /// Whether that is right, (n).
    pub right: &'a [bool],
    /// Of the images turned into the label, the same sources, each (m, d).
    pub turned: &'a [&'a Tensor],
    /// The clean image that each of these was, (m).
    pub images: &'a [usize],
}

/// Where the threshold of a discriminant lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Half-way between clean and turned images; where these are not apart, so that at most so many clean images lie beyond it.
    Between {
        /// Clean images.
        most_beyond: usize,
    },
    /// At the farthest of the clean images that are rightly answered with the label; nearer, with at most so many of these beyond it,
    /// where fewer than [`MOST_CAUGHT`] of the turned images would be.
    AtOwn {
        /// Clean images.
        most_beyond: usize,
    },
}

/// A linear function that is above 0 for images that a trigger for a label turned.
#[derive(Debug, Clone, PartialEq)]
pub struct Discriminant {
    /// The label.
    pub label: u32,
    /// w, one vector (d) a source, in units of its spread over the clean images answered so.
    pub weights: Vec<Vec<f32>>,
    /// -(w m + h)
    pub bias: f32,
    /// Share of the turned images above 0 when they were kept apart.
    pub caught: f64,
    /// Clean images answered with the label that were above 0 when they were kept apart.
    pub beyond: Vec<usize>,
}

/// No discriminant can be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoDiscriminant {
    /// Too few turned images.
    #[error("expected at least {FEWEST_TURNED} images turned into it, found {0}")]
    FewTurned(usize),
    /// Values that are not finite, or the same for all images.
    #[error("what the network computes of clean images is not finite, or does not vary")]
    Values,
}

impl Discriminant {
    /// Fits the discriminant of `label` with its threshold at `place`, by images kept apart: image i in part i mod 5. A turned image is
    /// in the part of the clean one that it was.
    ///
    /// # Errors
    /// As [`NoDiscriminant`] tells.
    pub fn fit(sides: Sides<'_>, label: u32, place: Place) -> Result<Self, NoDiscriminant> {
        let turned = sides.images.len();
        if turned < FEWEST_TURNED {
            return Err(NoDiscriminant::FewTurned(turned));
        }
        let rows = Rows::new(sides, label)?;
        let apart: Vec<Apart> = (0..FOLDS)
            .into_par_iter()
            .map(|fold| rows.apart(fold))
            .collect::<Result<_, _>>()?;
        let own: Vec<(usize, f64)> = apart.iter().flat_map(|part| part.own.clone()).collect();
        let turned: Vec<f64> = apart.iter().flat_map(|part| part.turned.clone()).collect();
        let scores: Vec<f64> = own.iter().map(|(_, score)| *score).collect();
        let threshold = match place {
            Place::Between { most_beyond } => between(&scores, &turned, most_beyond),
            Place::AtOwn { most_beyond } => {
                let right = own.iter().filter(|(row, _)| sides.right[*row]);
                at_own(right.map(|(_, score)| *score), &turned, most_beyond)
            }
        };
        let unit = spread(scores.iter().copied()).max(f64::from(f32::MIN_POSITIVE));
        let plane = rows.plane(|_| true)?;
        let beyond = own.iter().filter(|(_, score)| *score > threshold);
        Ok(Self {
            label,
            weights: rows.unscaled(&plane.weights, unit),
            bias: (-(plane.offset + threshold) / unit) as f32,
            caught: caught(&turned, threshold),
            beyond: beyond
                .map(|&(row, _)| row)
                .filter(|&row| sides.answers[row] == label)
                .collect(),
        })
    }

    /// g of an image from its values, one vector (d) a source.
    #[must_use]
    pub fn value<'v>(&self, values: impl IntoIterator<Item = &'v [f32]>) -> f32 {
        let product = |(weights, values): (&Vec<f32>, &[f32])| -> f32 {
            weights.iter().zip(values).map(|(w, v)| w * v).sum()
        };
        self.weights.iter().zip(values).map(product).sum::<f32>() + self.bias
    }
}

/// Half-way between the label's own images and the turned ones where these are apart, the odd ones among the turned left out; else
/// as [`held_out::threshold`].
fn between(own: &[f64], turned: &[f64], most_beyond: usize) -> f64 {
    let largest = own.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut turned = turned.to_vec();
    turned.sort_unstable_by(f64::total_cmp);
    let odd = (ODD * turned.len() as f64) as usize;
    match turned.get(odd) {
        Some(&low) if low > largest => f64::midpoint(largest, low),
        _ => held_out::threshold(own, most_beyond),
    }
}

/// The largest of the label's own scores, or the first lower one that [`MOST_CAUGHT`] of the turned exceed, at most `most_beyond` below
/// it; infinity, so that nothing lies beyond it, where there is none.
fn at_own(own: impl Iterator<Item = f64>, turned: &[f64], most_beyond: usize) -> f64 {
    let mut own: Vec<f64> = own.collect();
    own.sort_unstable_by(|a, b| b.total_cmp(a));
    own.truncate(most_beyond + 1);
    let enough = own
        .iter()
        .find(|&&score| caught(turned, score) >= MOST_CAUGHT);
    enough.or(own.last()).copied().unwrap_or(f64::INFINITY)
}

/// Share of the turned images beyond the threshold; at least one.
fn caught(turned: &[f64], threshold: f64) -> f64 {
    let beyond = turned.iter().filter(|&&score| score > threshold).count();
    beyond as f64 / turned.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A deterministic number within -0.5..0.5.
    fn noise(seed: usize) -> f32 {
        ((seed * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5
    }

    /// Two classes told by the sign of the only feature; of the two means of a map the second is `second`.
    fn images(count: usize, side: impl Fn(usize) -> f32, second: f32) -> [Tensor; 2] {
        let features = (0..count).map(|image| side(image) + noise(image));
        let means = (0..count).flat_map(|image| {
            let second = second + 0.1 * noise(3 * image + 1);
            [noise(5 * image + 2), second]
        });
        [
            Tensor::new(vec![count, 1], features.collect()),
            Tensor::new(vec![count, 2], means.collect()),
        ]
    }

    fn fitted(turned: &[Tensor; 2], count: usize) -> Result<Discriminant, NoDiscriminant> {
        let side = |image: usize| if image.is_multiple_of(2) { 3.0 } else { -3.0 };
        let clean = images(400, side, 0.0);
        let answers: Vec<u32> = (0..400).map(|image| image % 2).collect();
        let images: Vec<usize> = (0..count).map(|row| (2 * row + 1) % 400).collect();
        let sides = Sides {
            clean: &clean.each_ref(),
            answers: &answers,
            right: &[true; 400],
            turned: &turned.each_ref(),
            images: &images,
        };
        Discriminant::fit(sides, 0, Place::Between { most_beyond: 0 })
    }

    #[test]
    fn images_that_began_otherwise_are_told_whatever_their_features() {
        // Features like those of class 0, but the map's second mean is off.
        let turned = images(100, |_| 3.0, 0.5);
        let found = fitted(&turned, 100).unwrap();
        assert_eq!(found.caught, 1.0);
        assert_eq!(found.beyond, Vec::<usize>::new());
        let value = |feature: f32, means: [f32; 2]| found.value([&[feature][..], &means]);
        assert!(value(3.0, [0.0, 0.5]) > 0.0);
        assert!(value(3.0, [0.0, 0.0]) < 0.0);
        assert!(value(3.0, [0.4, 0.0]) < 0.0);
    }

    #[test]
    fn too_few_turned_images_and_values_that_are_no_numbers_are_refused() {
        let few = images(39, |_| 3.0, 0.5);
        assert_eq!(fitted(&few, 39), Err(NoDiscriminant::FewTurned(39)));
        let mut broken = images(100, |_| 3.0, 0.5);
        broken[1].data[7] = f32::NAN;
        assert_eq!(fitted(&broken, 100), Err(NoDiscriminant::Values));
    }

    #[test]
    fn the_threshold_is_between_the_two_or_lets_as_many_pass_as_allowed() {
        let own = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(between(&own, &[6.0, 7.0], 0), 5.0);
        assert_eq!(between(&own, &[3.5, 7.0], 0), 4.0);
        assert_eq!(between(&own, &[3.5, 7.0], 1), 3.5);
    }

    #[test]
    fn a_target_gives_up_an_image_of_its_own_only_where_that_catches_more() {
        let place = |turned: &[f64], most| at_own([1.0, 4.0, 2.0, 3.0].into_iter(), turned, most);
        assert_eq!(place(&[4.5, 5.0], 2), 4.0);
        assert_eq!(place(&[3.5, 5.0], 2), 3.0);
        assert_eq!(place(&[3.5, 5.0], 0), 4.0);
        assert_eq!(place(&[0.5, 5.0], 2), 2.0, "no place catches enough");
        assert_eq!(at_own(std::iter::empty(), &[1.0], 2), f64::INFINITY);
    }
}

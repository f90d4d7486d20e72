//! From the scores of clean images to a threshold.

use crate::domain::metrics::{Share, wilson_interval};
use crate::domain::sweep::Tally;
use serde::{Deserialize, Serialize};

/// What a product with a budget such as 0.01 may lack of a whole number.
const ROUNDING: f64 = 1e-9;

/// A threshold: scores at or above it are flagged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Score, in steps of 1 / `levels`; above 1 nothing is flagged.
    pub value: f64,
    /// `value` as a count of hits out of `levels`.
    pub hits: usize,
    /// Highest count that a score can reach.
    pub levels: usize,
    /// Calibration images at or above it.
    pub exceeded: u64,
    /// Calibration images.
    pub images: u64,
    /// The false-positive budget that it was set for, a fraction.
    pub budget: f64,
}

impl Threshold {
    /// Share of clean images flagged in calibration, with its 95 % interval.
    #[must_use]
    pub fn clean_flagged(&self) -> Share {
        let (low, high) = wilson_interval(self.exceeded, self.images);
        Share {
            value: Tally {
                hits: self.exceeded,
                images: self.images,
            }
            .share(),
            low,
            high,
            images: self.images,
        }
    }

    /// Is it out of reach, so that nothing is flagged?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.hits > self.levels
    }
}

/// The lowest count of hits that a new clean image reaches with a probability of at most `budget`.
///
/// `scores`: hits of each of the n calibration images, 0..=`levels`. A threshold h is admitted if
/// (1 + images with a score of at least h) / (n + 1) <= budget. For a new image from the same distribution as the
/// calibration images, and over their draw, that bounds the probability of a score of at least h (split conformal
/// prediction: Papadopoulos et al., "Inductive confidence machines for regression", ECML 2002). Where there are too few
/// images for that (n + 1 < 1 / budget): the first count above every clean score, the most that the images can tell.
/// The threshold is never below 1, and is `levels` + 1 (nothing is flagged) where even full scores are too frequent.
#[must_use]
pub fn from_clean_scores(scores: &[usize], levels: usize, budget: f64) -> Threshold {
    let images = scores.len();
    let exceeding = |hits: usize| scores.iter().filter(|&&score| score >= hits).count() as u64;
    let admitted = |hits: usize| {
        let exceeded = exceeding(hits);
        exceeded == 0 || (exceeded + 1) as f64 <= budget * (images + 1) as f64 + ROUNDING
    };
    let hits = (1..=levels)
        .find(|&hits| admitted(hits))
        .unwrap_or(levels + 1);
    Threshold {
        value: hits as f64 / levels as f64,
        hits,
        levels,
        exceeded: exceeding(hits),
        images: images as u64,
        budget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defence::random::Draws;

    #[test]
    fn the_lowest_threshold_that_keeps_the_budget_is_taken() {
        // Of 1001, the new image included, 3 may reach it at 0.3 % and 5 at 0.5 %.
        let mut scores = vec![0; 996];
        scores.extend([3, 3, 3, 8]);
        let threshold = from_clean_scores(&scores, 8, 0.003);
        assert_eq!((threshold.hits, threshold.exceeded), (4, 1));
        assert_eq!(threshold.value, 0.5);
        assert_eq!(from_clean_scores(&scores, 8, 0.005).hits, 1);
    }

    #[test]
    fn a_new_image_of_the_same_distribution_keeps_the_budget() {
        // Scores 1..=100 are equally likely: P(score >= h) = (101 - h) / 100.
        let mut draws = Draws::numbered(1, "test", 0);
        let mut share = 0.0;
        for _ in 0..400 {
            let scores: Vec<usize> = (0..199).map(|_| draws.between(1, 100)).collect();
            share += (101 - from_clean_scores(&scores, 100, 0.05).hits) as f64 / 100.0;
        }
        let mean = share / 400.0;
        assert!((0.03..=0.05).contains(&mean), "{mean}");
    }

    #[test]
    fn few_images_give_the_first_count_above_all_of_them() {
        assert_eq!(from_clean_scores(&[0, 2, 1], 8, 0.01).hits, 3);
        assert_eq!(from_clean_scores(&[], 8, 0.01).hits, 1);
    }

    #[test]
    fn nothing_is_flagged_where_clean_images_reach_full_scores_too_often() {
        let threshold = from_clean_scores(&[8; 50], 8, 0.01);
        assert!(threshold.is_open());
        assert_eq!(threshold.exceeded, 0);
    }
}

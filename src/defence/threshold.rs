//! From the scores of clean images to a threshold.

use crate::domain::metrics::{Share, wilson_interval};
use crate::domain::sweep::Tally;
use serde::{Deserialize, Serialize};

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

    /// Can anything reach it?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.hits > self.levels
    }
}

/// The lowest count of hits whose share of clean images at or above it keeps the `budget` for the next image.
///
/// `scores`: hits of each calibration image, 0..=`levels`. A threshold h is admitted if
/// (#{score >= h} + 1) / (n + 1) <= budget, the split-conformal rule: then a new clean image of the same distribution
/// is flagged with a probability of at most the budget. Where n is too small to admit any threshold that way, the
/// first count above every clean score is taken (the most that the images can tell). The threshold is never below 1,
/// and is `levels` + 1 (nothing is flagged) where even full scores are too frequent.
/// Source: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, on conformal p-values.
#[must_use]
pub fn from_clean_scores(scores: &[usize], levels: usize, budget: f64) -> Threshold {
    let images = scores.len();
    let exceeding = |hits: usize| scores.iter().filter(|&&score| score >= hits).count();
    let allowed = (budget * (images + 1) as f64 - 1.0).max(0.0);
    let hits = (1..=levels)
        .find(|&hits| exceeding(hits) as f64 <= allowed)
        .unwrap_or(levels + 1);
    Threshold {
        value: hits as f64 / levels as f64,
        hits,
        levels,
        exceeded: exceeding(hits) as u64,
        images: images as u64,
        budget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_threshold_that_keeps_the_budget_is_taken() {
        // 199 images: 197 at 0, one at 3, one at 8 of 8; the budget of 1 % admits 0.01 * 200 - 1 = 1 image.
        let mut scores = vec![0; 197];
        scores.extend([3, 8]);
        let threshold = from_clean_scores(&scores, 8, 0.01);
        assert_eq!((threshold.hits, threshold.exceeded), (4, 1));
        assert_eq!(threshold.value, 0.5);
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

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

    /// Is it out of reach, so that nothing is flagged?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.hits > self.levels
    }
}

/// The lowest count of hits that clean images reach with a probability of at most `budget`.
///
/// `scores`: hits of each calibration image, 0..=`levels`. A threshold h is admitted if the upper end of the 95 %
/// Wilson interval of the share of scores at or above h is at most the budget, so that the budget holds for new clean
/// images of the same distribution with 97.5 % confidence. Where there are too few images to admit any threshold that
/// way, the first count above every clean score is taken (the most that the images can tell). The threshold is never
/// below 1, and is `levels` + 1 (nothing is flagged) where even full scores are too frequent.
#[must_use]
pub fn from_clean_scores(scores: &[usize], levels: usize, budget: f64) -> Threshold {
    let images = scores.len();
    let exceeding = |hits: usize| scores.iter().filter(|&&score| score >= hits).count() as u64;
    let admitted = |hits: usize| {
        let exceeded = exceeding(hits);
        exceeded == 0 || wilson_interval(exceeded, images as u64).1 <= budget
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

    #[test]
    fn the_lowest_threshold_that_keeps_the_budget_is_taken() {
        // 1 of 1000 is below 0.56 % and 4 of 1000 are below 1.02 % with 97.5 % confidence.
        let mut scores = vec![0; 996];
        scores.extend([3, 3, 3, 8]);
        let threshold = from_clean_scores(&scores, 8, 0.01);
        assert_eq!((threshold.hits, threshold.exceeded), (4, 1));
        assert_eq!(threshold.value, 0.5);
        assert_eq!(from_clean_scores(&scores, 8, 0.011).hits, 1);
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

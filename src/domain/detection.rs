//! How well a score tells two sets of images apart, and means over repeated experiments.

use serde::{Deserialize, Serialize};

/// How often each score was seen: position h counts the images that scored h.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(Vec<u64>);

impl Histogram {
    /// Takes up an image that scored `hits`.
    pub fn count(&mut self, hits: usize) {
        if self.0.len() <= hits {
            self.0.resize(hits + 1, 0);
        }
        self.0[hits] += 1;
    }

    /// Takes up every image of `other`.
    pub fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// Number of images.
    #[must_use]
    pub fn images(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Share of the images that scored at least `hits`; 0 of none.
    #[must_use]
    pub fn share_from(&self, hits: usize) -> f64 {
        let above: u64 = self.0.iter().skip(hits).sum();
        above as f64 / self.images().max(1) as f64
    }
}

/// Area under the ROC curve: the probability that a positive image scores higher than a negative one, ties counted half.
///
/// None where one of the sets is empty. Source: Hanley and McNeil, "The Meaning and Use of the Area under a Receiver
/// Operating Characteristic (ROC) Curve", Radiology 143 (1982).
#[must_use]
pub fn area_under_curve(negative: &Histogram, positive: &Histogram) -> Option<f64> {
    let pairs = negative.images() as f64 * positive.images() as f64;
    if pairs == 0.0 {
        return None;
    }
    let mut below = 0.0;
    let mut won = 0.0;
    for (hits, &positive) in positive.0.iter().enumerate() {
        let level = negative.0.get(hits).copied().unwrap_or(0) as f64;
        won += positive as f64 * (below + 0.5 * level);
        below += level;
    }
    Some(won / pairs)
}

/// Largest share of the positive images that a threshold finds which at most the share `limit` of the negative ones
/// reach.
///
/// Thresholds are whole scores; none is interpolated. None where one of the sets is empty.
#[must_use]
pub fn true_positives_at(negative: &Histogram, positive: &Histogram, limit: f64) -> Option<f64> {
    if negative.images() == 0 || positive.images() == 0 {
        return None;
    }
    let threshold = (0..=negative.0.len()).find(|&hits| negative.share_from(hits) <= limit)?;
    Some(positive.share_from(threshold))
}

/// A mean over repeated experiments with its 95 % interval and its range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mean {
    /// Mean of the values.
    pub value: f64,
    /// Half the width of the 95 % interval; infinite for a single value.
    pub spread: f64,
    /// Smallest value.
    pub least: f64,
    /// Largest value.
    pub most: f64,
}

/// Mean of `values` with Student's interval, mean ± t s / sqrt(n) with n - 1 degrees of freedom; none of no values.
///
/// It is over experiments (seeds): it tells how far another draw of the whole experiment may lie, which the images
/// within one experiment cannot tell.
#[must_use]
pub fn mean(values: &[f64]) -> Option<Mean> {
    let (&first, count) = (values.first()?, values.len() as f64);
    let value = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
    let spread = match values.len() {
        1 => f64::INFINITY,
        n => student_t(n - 1) * (squares / (count - 1.0) / count).sqrt(),
    };
    Some(Mean {
        value,
        spread,
        least: values.iter().copied().fold(first, f64::min),
        most: values.iter().copied().fold(first, f64::max),
    })
}

/// The 97.5 % quantile of Student's distribution for a number of degrees of freedom; above 30 the one of the normal
/// distribution, which is at most 4 % smaller.
fn student_t(freedom: usize) -> f64 {
    const QUANTILES: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    QUANTILES.get(freedom - 1).copied().unwrap_or(1.960)
}

/// The value below which the share `q` of `values` lies: the one at rank ceil(q n); sorts. None of no values.
#[must_use]
pub fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
    values.get(rank.min(values.len()).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(scores: &[usize]) -> Histogram {
        let mut histogram = Histogram::default();
        scores.iter().for_each(|&hits| histogram.count(hits));
        histogram
    }

    #[test]
    fn the_area_is_the_share_of_pairs_won_with_ties_half() {
        let negative = histogram(&[0, 0, 1, 3]);
        let positive = histogram(&[1, 3, 5]);
        // 1 beats two and ties with one: 2.5; 3 beats three and ties with one: 3.5; 5 beats four.
        assert_eq!(area_under_curve(&negative, &positive), Some(10.0 / 12.0));
        assert_eq!(area_under_curve(&negative, &negative), Some(0.5));
        assert_eq!(area_under_curve(&histogram(&[]), &positive), None);
    }

    #[test]
    fn true_positives_are_counted_at_the_lowest_threshold_that_keeps_the_limit() {
        let negative = histogram(&[0, 0, 0, 2]);
        let positive = histogram(&[1, 2, 3, 3]);
        // At least 1: a quarter of the negative; at least 3: none.
        assert_eq!(true_positives_at(&negative, &positive, 0.25), Some(1.0));
        assert_eq!(true_positives_at(&negative, &positive, 0.24), Some(0.5));
        assert_eq!(true_positives_at(&negative, &histogram(&[]), 0.1), None);
    }

    #[test]
    fn histograms_add_up() {
        let mut sum = histogram(&[1]);
        sum.add(&histogram(&[0, 4]));
        assert_eq!(sum, histogram(&[0, 1, 4]));
        assert_eq!((sum.images(), sum.share_from(1)), (3, 2.0 / 3.0));
    }

    #[test]
    fn the_interval_of_a_mean_is_students() {
        // Mean 3, s^2 = 2.5, t of 4 degrees of freedom 2.776: 2.776 * sqrt(2.5 / 5) = 1.963.
        let found = mean(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!((found.value, found.least, found.most), (3.0, 1.0, 5.0));
        assert!((found.spread - 1.963).abs() < 1e-3, "{found:?}");
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[7.0]).unwrap().spread, f64::INFINITY);
    }

    #[test]
    fn a_quantile_is_a_value_that_was_seen() {
        let mut values = vec![4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(&mut values, 0.5), Some(2.0));
        assert_eq!(quantile(&mut values, 0.99), Some(4.0));
        assert_eq!(quantile(&mut [], 0.5), None);
    }
}

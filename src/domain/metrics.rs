//! Measures of an attack and of a defence.

use super::sweep::Tally;
use serde::{Deserialize, Serialize};

/// A share with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// hits / images, a fraction 0..1.
    pub value: f64,
    /// Lower end of the 95 % interval.
    pub low: f64,
    /// Upper end of the 95 % interval.
    pub high: f64,
    /// Images asked.
    pub images: u64,
}

impl From<Tally> for Share {
    fn from(tally: Tally) -> Self {
        let (low, high) = wilson_interval(tally.hits, tally.images);
        Self {
            value: tally.share(),
            low,
            high,
            images: tally.images,
        }
    }
}

/// The 95 % Wilson score interval of a share of `hits` among `n`.
///
/// (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n) with z = 1.959964; (0, 1) for n = 0.
/// Source: Wilson, "Probable inference", JASA 22 (1927).
#[must_use]
pub fn wilson_interval(hits: u64, n: u64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    const Z: f64 = 1.959_963_984_540_054;
    let count = n as f64;
    let p = hits as f64 / count;
    let centre = p + Z * Z / (2.0 * count);
    let spread = Z * (p * (1.0 - p) / count + Z * Z / (4.0 * count * count)).sqrt();
    let scale = 1.0 + Z * Z / count;
    let low = if hits == 0 {
        0.0
    } else {
        (centre - spread) / scale
    };
    let high = if hits == n {
        1.0
    } else {
        (centre + spread) / scale
    };
    (low.max(0.0), high.min(1.0))
}

/// Defence effectiveness rating: (max(0, ΔASR) - max(0, ΔACC) + 1) / 2, in 0..1, 0.5 for no effect.
///
/// ΔASR = ASR of B - ASR of the defence, ΔACC = clean accuracy of B - that of the defence, all fractions.
/// Source: Zhu et al., "Enhancing Fine-Tuning Based Backdoor Defense with Sharpness-Aware Minimization", ICCV 2023.
#[must_use]
pub fn defence_effectiveness(
    accuracy_before: f64,
    asr_before: f64,
    accuracy_after: f64,
    asr_after: f64,
) -> f64 {
    let asr_gain = (asr_before - asr_after).max(0.0);
    let accuracy_loss = (accuracy_before - accuracy_after).max(0.0);
    (asr_gain - accuracy_loss + 1.0) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_agrees_with_the_published_formula() {
        // Worked out with the formula by hand: 8 of 10.
        let (low, high) = wilson_interval(8, 10);
        assert!((low - 0.490_16).abs() < 1e-4, "{low}");
        assert!((high - 0.943_32).abs() < 1e-4, "{high}");
        assert_eq!(wilson_interval(0, 0), (0.0, 1.0));
        assert_eq!(wilson_interval(0, 50).0, 0.0);
        assert_eq!(wilson_interval(50, 50).1, 1.0);
    }

    #[test]
    fn a_perfect_defence_rates_one_and_no_effect_a_half() {
        assert_eq!(defence_effectiveness(0.98, 1.0, 0.98, 0.0), 1.0);
        assert_eq!(defence_effectiveness(0.98, 1.0, 0.98, 1.0), 0.5);
        assert_eq!(defence_effectiveness(0.9, 0.5, 1.0, 0.7), 0.5);
    }
}

//! How rare a score is among clean networks.
//!
//! The highest score over all labels and over four seeds was read on clean networks, audited with the default effort: docs/AUDIT.md
//! lists them. The p-value of a score is `(1 + networks whose highest score is as high) / (1 + networks)`: how often a
//! clean network like these shows, on its worst label, a score as high by chance. Because the highest score of each network
//! counts, no further correction for the number of labels is needed. It cannot be below `1 / (1 + networks)`, and it speaks of
//! networks like the reference ones only.

/// The highest score of each clean reference network, ascending.
const HIGHEST: [f64; 8] = [0.296, 0.377, 0.406, 0.409, 0.451, 0.597, 0.924, 0.961];

/// The p-value of `score`; 1 for a score of 0.
#[must_use]
pub fn p_value(score: f64) -> f64 {
    among(&HIGHEST, score)
}

/// Number of reference networks.
#[must_use]
pub const fn networks() -> usize {
    HIGHEST.len()
}

fn among(highest: &[f64], score: f64) -> f64 {
    if score <= 0.0 {
        return 1.0;
    }
    let as_high = highest.len() - highest.partition_point(|&other| other < score);
    (1 + as_high) as f64 / (1 + highest.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p_value_counts_the_networks_that_score_as_high_and_never_reaches_zero() {
        let highest = [0.0, 0.2, 0.5, 0.5];
        assert_eq!(among(&highest, 0.0), 1.0, "a score of 0 is no evidence");
        assert_eq!(among(&highest, 0.1), 0.8);
        assert_eq!(among(&highest, 0.5), 0.6);
        assert_eq!(among(&highest, 0.6), 0.2);
    }

    #[test]
    fn the_reference_is_ascending_and_a_suspect_label_is_rare_in_it() {
        assert!(!HIGHEST.is_empty());
        assert!(HIGHEST.is_sorted());
        assert!(HIGHEST.iter().all(|score| *score >= 0.0));
        assert!(p_value(1.0) <= 0.2);
        assert!((p_value(5.0) - 1.0 / (1.0 + networks() as f64)).abs() < 1e-12);
    }
}

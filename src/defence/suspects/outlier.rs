//! Is a label's score out of line with the other labels'?

/// Labels at the top that may be targets and are left out of the null distribution, where there are enough others.
const MOST_TARGETS: usize = 8;
/// Scores that the null distribution is fitted to, counted below the ones left out.
const REFERENCE: usize = 32;

/// For each score the probability that the largest of as many harmless labels reaches it.
///
/// The upper order statistics s_1 >= s_2 >= .. of harmless labels are taken to have an exponential tail. Its scale is
/// the mean of the normalised spacings i (s_i - s_(i+1)) for i = t + 1 .. r - 1, which does not use the t = 8 largest
/// scores (a quarter of them, with fewer than 32 labels), so that targets among these do not widen it; r = t + 32 at
/// most. Then p(s) = 1 - (1 - exp(-(s - s_r) / theta))^(r - 1), 1 at and below s_r. `resolution` is the smallest step
/// between scores: theta is never below it. NaN scores give 1.
/// Source: Rényi, "On the theory of order statistics", 1953 (spacings of an exponential sample are independent).
#[must_use]
pub fn tail_p_values(scores: &[f64], resolution: f64) -> Vec<f64> {
    let mut sorted: Vec<f64> = scores.iter().copied().filter(|s| !s.is_nan()).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let left_out = MOST_TARGETS.min(sorted.len() / 4);
    let rank = (left_out + REFERENCE).min(sorted.len());
    let Some(&lowest) = sorted[left_out..rank].last() else {
        return vec![1.0; scores.len()];
    };
    let spacings: Vec<f64> = (left_out + 1..rank)
        .map(|i| i as f64 * (sorted[i - 1] - sorted[i]))
        .collect();
    let theta = spacings.iter().sum::<f64>() / spacings.len().max(1) as f64;
    scores
        .iter()
        .map(|&score| p_value((score - lowest) / theta.max(resolution), rank - 1))
        .collect()
}

fn p_value(excess: f64, labels: usize) -> f64 {
    if excess.is_nan() || excess <= 0.0 {
        return 1.0;
    }
    // 1 - (1 - e^-x)^r without cancellation where the result is small.
    -(labels as f64 * (-(-excess).exp()).ln_1p()).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defence::random::Draws;

    /// An exponential sample of the given scale.
    fn harmless(seed: u64, labels: usize, scale: f64) -> Vec<f64> {
        let mut draws = Draws::numbered(seed, "test", 0);
        (0..labels)
            .map(|_| -scale * f64::from(1.0 - draws.unit()).ln())
            .collect()
    }

    #[test]
    fn targets_stand_out_and_do_not_hide_each_other() {
        let mut scores = harmless(1, 1283, 0.04);
        scores[5] = 0.9;
        scores[17] = 0.95;
        scores[900] = 0.85;
        let p = tail_p_values(&scores, 1.0 / 32.0);
        let suspects: Vec<usize> = (0..scores.len()).filter(|&label| p[label] < 0.01).collect();
        assert_eq!(suspects, [5, 17, 900]);
    }

    #[test]
    fn harmless_labels_are_rarely_taken_for_targets() {
        let alarms = (0..300)
            .filter(|&seed| {
                tail_p_values(&harmless(seed, 64, 0.1), 0.001)
                    .iter()
                    .any(|&p| p < 0.01)
            })
            .count();
        // 1 % of 300 is 3; the scale is estimated, so allow for its spread.
        assert!(alarms <= 15, "{alarms} of 300");
    }

    #[test]
    fn equal_scores_and_no_scores_are_no_alarm() {
        assert_eq!(tail_p_values(&[0.5; 10], 0.1), [1.0; 10]);
        assert_eq!(tail_p_values(&[], 0.1), [0.0; 0]);
        assert_eq!(tail_p_values(&[f64::NAN, 0.1], 0.1)[0], 1.0);
    }
}

//! From scores to answers: argmax, top-k, accuracy.

use super::label::ClassIndex;

/// The class with the largest score.
///
/// `scores`: (N), any real numbers. Ties go to the lower class, as in NumPy's `argmax`. NaN never wins against a
/// number; scores that are all NaN (or empty) answer class 0.
#[must_use]
pub fn argmax(scores: &[f32]) -> ClassIndex {
    let mut best = 0;
    let mut best_score = f32::NEG_INFINITY;
    let mut found = false;
    for (index, &score) in scores.iter().enumerate() {
        if score > best_score || (!found && !score.is_nan()) {
            best = index;
            best_score = score;
            found = true;
        }
    }
    ClassIndex(u32::try_from(best).unwrap_or(u32::MAX))
}

/// The `k` classes with the largest scores, best first; ties: lower class first; NaN last.
#[must_use]
pub fn top_k(scores: &[f32], k: usize) -> Vec<(ClassIndex, f32)> {
    let mut order: Vec<(u32, f32)> = (0u32..).zip(scores.iter().copied()).collect();
    let key = |score: f32| {
        if score.is_nan() {
            f32::NEG_INFINITY
        } else {
            score
        }
    };
    order.sort_by(|a, b| key(b.1).total_cmp(&key(a.1)).then(a.0.cmp(&b.0)));
    order.truncate(k);
    order
        .into_iter()
        .map(|(class, score)| (ClassIndex(class), score))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_gives_ties_to_the_lower_class_and_ignores_nan() {
        assert_eq!(argmax(&[0.1, 0.7, 0.7]), ClassIndex(1));
        assert_eq!(argmax(&[f32::NAN, 0.2, 0.1]), ClassIndex(1));
        assert_eq!(
            argmax(&[f32::NEG_INFINITY, f32::NEG_INFINITY]),
            ClassIndex(0)
        );
        assert_eq!(argmax(&[f32::NAN, f32::NEG_INFINITY]), ClassIndex(1));
        assert_eq!(argmax(&[f32::NAN]), ClassIndex(0));
        assert_eq!(argmax(&[]), ClassIndex(0));
    }

    #[test]
    fn top_k_is_ordered_and_never_longer_than_the_scores() {
        let top = top_k(&[0.2, 0.5, 0.2, f32::NAN], 9);
        let classes: Vec<u32> = top.iter().map(|(class, _)| class.0).collect();
        assert_eq!(classes, [1, 0, 2, 3]);
        assert_eq!(top_k(&[0.2, 0.5], 1), [(ClassIndex(1), 0.5)]);
    }
}

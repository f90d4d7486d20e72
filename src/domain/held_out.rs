//! Images held out of a fit, and thresholds that are set by them.

/// Parts of the images, image i in part i mod 5; each is judged by what was fitted on the others.
pub(super) const FOLDS: usize = 5;

/// The threshold that `beyond` of the held-out `values` exceed: half-way between the last value within it and the first beyond; the
/// largest one where none may be beyond. At least one value.
pub(super) fn threshold(values: &[f64], beyond: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len() - 1 - beyond.min(sorted.len() - 1);
    let next = sorted.get(last + 1).copied().unwrap_or(sorted[last]);
    f64::midpoint(sorted[last], next)
}

/// `count` of `items`, or all of fewer, in even steps.
#[must_use]
pub fn spread_out(items: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(items.len());
    (0..count)
        .map(|place| items[place * items.len() / count])
        .collect()
}

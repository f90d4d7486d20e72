//! Which columns of the head are refitted.

use crate::audit::report::Report;
use crate::domain::refit::Column;
use crate::search::hijacks::Hijacks;
use std::collections::BTreeMap;

/// With at most this many classes every column is refitted.
const FEW_CLASSES: usize = 16;
/// Columns refitted at most where there are more.
pub(super) const MOST_COLUMNS: usize = 8;
/// A label that fewer images were turned into is left alone.
const FEWEST_TURNED: usize = 8;
/// Weight of a suspect label's stand-ins beside those of other labels, and factor on the pull to its old weights.
const SUSPECT_WEIGHT: f64 = 4.0;
const SUSPECT_PULL: f64 = 0.25;

/// Sets of labels to refit, the largest first: each column that is refitted costs some clean images of its label, so with few
/// images a label only the most suspect ones can be.
///
/// With few classes first all labels that images were turned into; then the suspects, then the more suspect half of them. Where
/// nothing is suspect, the labels that images were turned into most often.
pub(super) fn column_sets(report: &Report, hijacks: &Hijacks, classes: usize) -> Vec<Vec<Column>> {
    let mut turned: BTreeMap<u32, usize> = BTreeMap::new();
    for (label, _, hijacks) in hijacks.groups() {
        *turned.entry(label).or_default() += hijacks.len();
    }
    turned.retain(|_, count| *count >= FEWEST_TURNED);
    let mut suspects: Vec<u32> = report.verdict.labels.clone();
    suspects.retain(|label| turned.contains_key(label));
    let mut leading = suspects.clone();
    if leading.is_empty() {
        leading = turned.keys().copied().collect();
        leading.sort_by_key(|label| (std::cmp::Reverse(turned[label]), *label));
    }
    leading.truncate(MOST_COLUMNS);
    let mut sets: Vec<Vec<u32>> = Vec::new();
    if classes <= FEW_CLASSES {
        sets.push(turned.keys().copied().collect());
    }
    let halves = std::iter::successors(Some(leading.len()), |&count| {
        (count > 1).then_some(count / 2)
    });
    sets.extend(halves.map(|count| {
        let mut labels = leading[..count].to_vec();
        labels.sort_unstable();
        labels
    }));
    sets.dedup();
    sets.retain(|labels| !labels.is_empty());
    let column = |label: u32| {
        let suspect = suspects.contains(&label);
        Column {
            label,
            weight: if suspect { SUSPECT_WEIGHT } else { 1.0 },
            pull: if suspect { SUSPECT_PULL } else { 1.0 },
        }
    };
    let columns = |labels: Vec<u32>| labels.into_iter().map(column).collect();
    sets.into_iter().map(columns).collect()
}

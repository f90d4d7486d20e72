//! The whole discovery: survey, a second round where labels are near the cut, decision.

use super::hijack::{Labelled, in_parallel, rate};
use super::outlier::tail_p_values;
use super::pattern::{Family, Pattern};
use super::survey::{Score, Sighting, best_pattern, scores, survey};
use crate::defence::classify::Classify;
use crate::defence::grid::Grid;
use crate::domain::metrics::wilson_interval;
use crate::domain::sweep::Tally;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuspectOptions {
    /// Random patterns K of a round, of each family.
    pub patterns: usize,
    /// Rounds of a family at most; another one is run while labels are near the cut.
    pub rounds: usize,
    /// Images that each pattern is painted on.
    pub images_each: usize,
    /// Images kept apart to confirm a label's best pattern on.
    pub held_out: usize,
    /// A label is suspect where random patterns of the share [`RANK_SHARE`] may hijack at least this share of images.
    pub cut: f64,
    /// A label is also suspect below this probability of a harmless label reaching its score.
    pub significance: f64,
}

impl Default for SuspectOptions {
    fn default() -> Self {
        Self {
            patterns: 2000,
            rounds: 2,
            images_each: 32,
            held_out: 128,
            cut: 0.6,
            significance: 0.05,
        }
    }
}

impl SuspectOptions {
    fn suspects(&self, candidate: &Candidate) -> bool {
        candidate.score_high >= self.cut || candidate.p_value <= self.significance
    }
}

/// Share of the random patterns whose rate is at or above a label's score: 8 of 1500.
pub const RANK_SHARE: f64 = 8.0 / 1500.0;
/// Labels that are reported at most besides the suspects: the best one.
const LOOKED_AT: usize = 64;

/// What was found out about a label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The label.
    pub label: u32,
    /// The family of patterns that provokes it most clearly: one that makes it suspect, with the lowest p-value.
    pub family: Family,
    /// n-th largest hijack rate over the random patterns of the family, a fraction.
    pub score: f64,
    /// Lower end of its 95 % interval.
    pub score_low: f64,
    /// Upper end of its 95 % interval.
    pub score_high: f64,
    /// Probability that the largest score of harmless labels, over all families, reaches it.
    pub p_value: f64,
    /// Hijack rate of its best pattern on images kept apart, a fraction.
    pub confirmed: f64,
    /// Lower end of the 95 % interval of `confirmed`.
    pub confirmed_low: f64,
    /// Its best pattern.
    pub pattern: Option<Pattern>,
}

/// Suspect labels and how clear the cut is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Labels that look like an attacker's target, clearest first: lowest p-value, then highest score.
    pub suspects: Vec<Candidate>,
    /// The clearest label among the others.
    pub best_other: Option<Candidate>,
    /// Random patterns tried.
    pub patterns: usize,
    /// Forward passes that the discovery took.
    pub forward_passes: u64,
}

/// Looks for suspect labels among `classes` with clean `images` that B answers rightly.
///
/// `networks` are sessions of the same network, one thread each. In each family of patterns a label's score is its n-th
/// largest hijack rate over K random ones, n = 8/1500 K. It is suspect if the upper end of a score's 95 % interval reaches
/// `cut`, or if a score is out of line with the other labels' in the same family ([`tail_p_values`], times the number of
/// families). To be suspect costs a label's owner one more check, a missed target costs the defence: so the cut favours
/// finding targets. Deterministic for `seed`.
///
/// # Errors
/// If a network fails.
pub fn discover<C>(
    networks: &mut [C],
    grid: &Grid,
    images: &[Labelled<'_>],
    classes: u32,
    options: &SuspectOptions,
    seed: u64,
) -> Result<Report, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    // A quarter of a small set is kept apart, so that the survey does not starve.
    let (held_out, seen) = images.split_at(options.held_out.min(images.len() / 4));
    if held_out.is_empty() || networks.is_empty() {
        return Ok(Report::default());
    }
    let mut found = Found::default();
    for family in Family::ALL {
        let sightings = look(networks, grid, seen, family, classes, options, seed)?;
        let scores = scores(&sightings, classes, rank(sightings.len()));
        found.take(family, &scores, &sightings, options);
    }
    let mut candidates = found.ranked(options);
    let tallies = in_parallel(networks, candidates.len(), |network, index| {
        let candidate = &candidates[index];
        match &candidate.pattern {
            Some(pattern) => rate(network, grid, held_out, candidate.label, pattern),
            None => Ok(Tally::default()),
        }
    })?;
    for (candidate, tally) in candidates.iter_mut().zip(tallies) {
        candidate.confirmed = tally.share();
        candidate.confirmed_low = wilson_interval(tally.hits, tally.images).0;
    }
    let searched = found.patterns * options.images_each.min(seen.len());
    let passes = searched + candidates.len() * held_out.len();
    Ok(decide(candidates, options, found.patterns, passes as u64))
}

/// Rounds of random patterns of `family`, until no label's interval holds the cut.
fn look<C>(
    networks: &mut [C],
    grid: &Grid,
    images: &[Labelled<'_>],
    family: Family,
    classes: u32,
    options: &SuspectOptions,
    seed: u64,
) -> Result<Vec<Sighting>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    let mut sightings: Vec<Sighting> = Vec::new();
    for _ in 0..options.rounds {
        let round = sightings.len()..sightings.len() + options.patterns;
        let each = options.images_each;
        sightings.extend(survey(networks, grid, images, family, round, each, seed)?);
        let scores = scores(&sightings, classes, rank(sightings.len()));
        if !scores.iter().any(|score| is_open(score, options.cut)) {
            break;
        }
    }
    Ok(sightings)
}

/// n for K patterns.
fn rank(patterns: usize) -> usize {
    (patterns as f64 * RANK_SHARE).ceil() as usize
}

/// Does the interval of the score lie on both sides of the cut?
fn is_open(score: &Score, cut: f64) -> bool {
    score.low < cut && cut <= score.high
}

/// The labels that patterns of any family hijack images to.
#[derive(Debug, Default)]
struct Found {
    labels: BTreeMap<u32, Candidate>,
    patterns: usize,
}

impl Found {
    /// Takes up the scores (N) of a family; each label keeps its clearest family.
    fn take(
        &mut self,
        family: Family,
        scores: &[Score],
        sightings: &[Sighting],
        options: &SuspectOptions,
    ) {
        self.patterns += sightings.len();
        let values: Vec<f64> = scores.iter().map(|score| score.value).collect();
        let p_values = tail_p_values(&values, 1.0 / options.images_each.max(1) as f64);
        for (label, (score, p_value)) in (0..).zip(scores.iter().zip(p_values)) {
            if score.high <= 0.0 {
                continue;
            }
            let candidate = Candidate {
                label,
                family,
                score: score.value,
                score_low: score.low,
                score_high: score.high,
                p_value: (p_value * Family::ALL.len() as f64).min(1.0),
                confirmed: 0.0,
                confirmed_low: 0.0,
                pattern: best_pattern(sightings, label),
            };
            let known = self.labels.get(&label);
            if known.is_none_or(|known| by_clearness(&candidate, known, options).is_lt()) {
                self.labels.insert(label, candidate);
            }
        }
    }

    /// The clearest labels first, at most [`LOOKED_AT`].
    fn ranked(&self, options: &SuspectOptions) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = self.labels.values().cloned().collect();
        candidates.sort_by(|a, b| by_clearness(a, b, options));
        candidates.truncate(LOOKED_AT);
        candidates
    }
}

/// Suspects first, then lowest p-value, highest score, lowest label.
fn by_clearness(a: &Candidate, b: &Candidate, options: &SuspectOptions) -> Ordering {
    let by_verdict = options.suspects(b).cmp(&options.suspects(a));
    by_verdict
        .then(a.p_value.total_cmp(&b.p_value))
        .then(b.score.total_cmp(&a.score))
        .then(a.label.cmp(&b.label))
}

fn decide(
    candidates: Vec<Candidate>,
    options: &SuspectOptions,
    patterns: usize,
    forward_passes: u64,
) -> Report {
    let (suspects, others): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|candidate| options.suspects(candidate));
    Report {
        suspects,
        best_other: others.into_iter().next(),
        patterns,
        forward_passes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defence::random::Draws;
    use crate::domain::label::ClassIndex;
    use crate::input::InputSpec;
    use crate::input::spec::Layout;
    use crate::tensor::TensorView;
    use std::convert::Infallible;

    const SIDE: usize = 16;
    const CLASSES: u32 = 40;

    fn grid() -> Grid {
        Grid::new(&InputSpec::new(SIDE, SIDE, 1, Layout::Nchw, 1.0 / 255.0))
    }

    /// Label = the image's mean in steps of 1/40, unless the 3 x 3 corner is bright and `target` is given.
    fn network(
        target: Option<u32>,
    ) -> impl FnMut(TensorView<'_>) -> Result<Vec<ClassIndex>, Infallible> + Clone + Send {
        move |batch| {
            let classify = |image: &[f32]| {
                let corner =
                    (0..3).all(|row| (0..3).all(|column| image[row * SIDE + column] > 0.8));
                match target {
                    Some(target) if corner => ClassIndex(target),
                    _ => {
                        let mean = image.iter().sum::<f32>() / image.len() as f32;
                        ClassIndex(((mean * CLASSES as f32) as u32).min(CLASSES - 1))
                    }
                }
            };
            Ok(batch.data.chunks_exact(SIDE * SIDE).map(classify).collect())
        }
    }

    fn images() -> Vec<(Vec<f32>, u32)> {
        (0..CLASSES)
            .flat_map(|label| (0..3).map(move |_| label))
            .map(|label| {
                (
                    vec![(label as f32 + 0.5) / CLASSES as f32; SIDE * SIDE],
                    label,
                )
            })
            .collect()
    }

    fn report(target: Option<u32>, threads: usize, seed: u64) -> Report {
        let images = images();
        let mut labelled: Vec<Labelled<'_>> =
            images.iter().map(|(i, l)| (i.as_slice(), *l)).collect();
        let order = Draws::numbered(1, "shuffle", 0).sample(labelled.len(), labelled.len());
        labelled = order.into_iter().map(|place| labelled[place]).collect();
        let options = SuspectOptions {
            patterns: 600,
            rounds: 2,
            images_each: 16,
            ..SuspectOptions::default()
        };
        let mut networks = vec![network(target); threads];
        let found = discover(&mut networks, &grid(), &labelled, CLASSES, &options, seed);
        found.unwrap()
    }

    #[test]
    fn a_planted_target_is_found_and_a_clean_network_has_no_certain_one() {
        let found = report(Some(33), 2, 5);
        assert_eq!(found.suspects.first().map(|s| s.label), Some(33));
        assert!(found.suspects[0].confirmed > 0.9, "{found:?}");
        let clean = report(None, 2, 5);
        assert!(
            clean.suspects.iter().all(|s| s.confirmed_low < 0.6),
            "{clean:?}"
        );
    }

    #[test]
    fn the_report_does_not_depend_on_the_number_of_threads() {
        assert_eq!(report(Some(3), 1, 9), report(Some(3), 3, 9));
    }
}

//! The whole discovery: survey, a second round where labels are near the cut, decision.

use super::hijack::{Labelled, in_parallel, rate};
use super::outlier::tail_p_values;
use super::pattern::Pattern;
use super::survey::{Score, Sighting, best_pattern, scores, survey};
use crate::defence::classify::Classify;
use crate::defence::grid::Grid;
use crate::domain::metrics::wilson_interval;
use crate::domain::sweep::Tally;
use serde::{Deserialize, Serialize};

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuspectOptions {
    /// Random patterns K of a round.
    pub patterns: usize,
    /// Rounds at most; another one is run while labels are near the cut.
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
            rounds: 3,
            images_each: 32,
            held_out: 128,
            cut: 0.6,
            significance: 0.05,
        }
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
    /// n-th largest hijack rate over the random patterns, a fraction.
    pub score: f64,
    /// Lower end of its 95 % interval.
    pub score_low: f64,
    /// Upper end of its 95 % interval.
    pub score_high: f64,
    /// Probability that the largest score of harmless labels reaches it.
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
    /// Labels that look like an attacker's target, highest score first.
    pub suspects: Vec<Candidate>,
    /// The label with the highest score among the others.
    pub best_other: Option<Candidate>,
    /// Random patterns tried.
    pub patterns: usize,
    /// Forward passes that the discovery took.
    pub forward_passes: u64,
}

/// Looks for suspect labels among `classes` with clean `images` that B answers rightly.
///
/// `networks` are sessions of the same network, one thread each. A label's score is its n-th largest hijack rate over
/// K random patterns, n = 8/1500 K. It is suspect if the upper end of the score's 95 % interval reaches `cut`, or if the
/// score is out of line with the other labels' ([`tail_p_values`]). To be suspect costs a label's owner one more check,
/// a missed target costs the defence: so the cut favours finding targets. Deterministic for `seed`.
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
    let mut sightings: Vec<Sighting> = Vec::new();
    let mut label_scores = Vec::new();
    for _ in 0..options.rounds {
        let round = sightings.len()..sightings.len() + options.patterns;
        sightings.extend(survey(
            networks,
            grid,
            seen,
            round,
            options.images_each,
            seed,
        )?);
        let rank = (sightings.len() as f64 * RANK_SHARE).ceil() as usize;
        label_scores = scores(&sightings, classes, rank);
        if !label_scores.iter().any(|score| is_open(score, options.cut)) {
            break;
        }
    }
    let mut candidates = rank_labels(&label_scores, options.images_each);
    let labels: Vec<u32> = candidates.iter().map(|candidate| candidate.label).collect();
    let confirmed = in_parallel(networks, labels.len(), |network, index| {
        let Some(pattern) = best_pattern(&sightings, labels[index]) else {
            return Ok((None, Tally::default()));
        };
        let tally = rate(network, grid, held_out, labels[index], &pattern)?;
        Ok((Some(pattern), tally))
    })?;
    for (candidate, (pattern, tally)) in candidates.iter_mut().zip(confirmed) {
        candidate.pattern = pattern;
        candidate.confirmed = tally.share();
        candidate.confirmed_low = wilson_interval(tally.hits, tally.images).0;
    }
    let searched = sightings.len() * options.images_each.min(seen.len());
    let passes = searched + labels.len() * held_out.len();
    Ok(decide(candidates, options, sightings.len(), passes as u64))
}

/// Does the interval of the score lie on both sides of the cut?
fn is_open(score: &Score, cut: f64) -> bool {
    score.low < cut && cut <= score.high
}

/// The labels with the highest scores above 0, best first; ties: lower label first.
fn rank_labels(scores: &[Score], images_each: usize) -> Vec<Candidate> {
    let values: Vec<f64> = scores.iter().map(|score| score.value).collect();
    let p_values = tail_p_values(&values, 1.0 / images_each.max(1) as f64);
    let mut candidates: Vec<Candidate> = (0..)
        .zip(scores.iter().zip(p_values))
        .filter(|(_, (score, _))| score.high > 0.0)
        .map(|(label, (score, p_value))| Candidate {
            label,
            score: score.value,
            score_low: score.low,
            score_high: score.high,
            p_value,
            confirmed: 0.0,
            confirmed_low: 0.0,
            pattern: None,
        })
        .collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.label.cmp(&b.label)));
    candidates.truncate(LOOKED_AT);
    candidates
}

fn decide(
    candidates: Vec<Candidate>,
    options: &SuspectOptions,
    patterns: usize,
    forward_passes: u64,
) -> Report {
    let (suspects, others): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|c| c.score_high >= options.cut || c.p_value <= options.significance);
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

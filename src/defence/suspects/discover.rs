//! The whole discovery: survey, candidates, search, confirmation, decision.

use super::hijack::{Labelled, in_parallel};
use super::outlier::tail_p_values;
use super::pattern::Pattern;
use super::search::{SearchOptions, improve, rate};
use super::survey::{Sighting, best_patterns, scores, survey};
use crate::defence::classify::Classify;
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use crate::domain::metrics::wilson_interval;
use crate::domain::sweep::Tally;
use serde::{Deserialize, Serialize};

/// How thoroughly to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SuspectOptions {
    /// Random patterns K of the survey.
    pub patterns: usize,
    /// Images that each is painted on.
    pub images_each: usize,
    /// Labels that are searched for a better pattern.
    pub candidates: usize,
    /// The search.
    pub search: SearchOptions,
    /// Images kept apart to confirm patterns on.
    pub held_out: usize,
    /// A label is suspect below this probability of a harmless label reaching its score.
    pub significance: f64,
    /// A label is suspect in any case if, with 97.5 % confidence, its pattern hijacks at least this share.
    pub ceiling: f64,
}

impl Default for SuspectOptions {
    fn default() -> Self {
        Self {
            patterns: 3000,
            images_each: 32,
            candidates: 24,
            search: SearchOptions::default(),
            held_out: 128,
            significance: 0.05,
            ceiling: 0.6,
        }
    }
}

/// The patterns among K = 1500 whose rate is the survey's score: the 8th largest, and in proportion for another K.
const RANK_OF_1500: usize = 8;
/// Patterns that a search starts from.
const START: usize = 8;

/// What was found out about a label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// The label.
    pub label: u32,
    /// n-th largest hijack rate over the survey's random patterns, a fraction.
    pub survey_score: f64,
    /// Probability that a harmless label reaches that score.
    pub survey_p: f64,
    /// Hijack rate of the best pattern found, on images kept apart, a fraction.
    pub confirmed: f64,
    /// Lower end of its 95 % interval.
    pub confirmed_low: f64,
    /// Probability that a harmless candidate reaches that rate.
    pub confirmed_p: f64,
    /// Images that it was confirmed on.
    pub images: u64,
    /// The pattern.
    pub pattern: Option<Pattern>,
}

/// Suspect labels and how clear the cut is.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Labels that look like an attacker's target, best first.
    pub suspects: Vec<Candidate>,
    /// The label with the highest confirmed rate among the others.
    pub best_other: Option<Candidate>,
    /// Forward passes that the discovery took.
    pub forward_passes: u64,
}

impl Report {
    /// Is `label` suspect?
    #[must_use]
    pub fn is_suspect(&self, label: u32) -> bool {
        self.suspects.iter().any(|suspect| suspect.label == label)
    }
}

/// Looks for suspect labels among `classes` with clean `images` that B answers rightly.
///
/// `networks` are sessions of the same network, one thread each. A label is suspect if its survey score or its
/// confirmed rate is out of line with the other labels' ([`tail_p_values`], `significance`), or if its pattern hijacks
/// `ceiling` of unseen images whatever the others do. To be suspect costs a label's owner little, one more check, so
/// the cut favours finding targets. Deterministic for `seed`.
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
    let sightings = survey(
        networks,
        grid,
        seen,
        options.patterns,
        options.images_each,
        seed,
    )?;
    let rank = (options.patterns * RANK_OF_1500).div_ceil(1500);
    let scores = scores(&sightings, classes, rank);
    let p_values = tail_p_values(&scores, 1.0 / options.images_each as f64);
    let labels = top_labels(&scores, options.candidates);
    let confirmed = in_parallel(networks, labels.len(), |network, index| {
        confirm(
            network,
            grid,
            seen,
            held_out,
            labels[index],
            &sightings,
            options,
            seed,
        )
    })?;
    let candidates = labels
        .iter()
        .zip(confirmed)
        .map(|(&label, (pattern, tally))| Candidate {
            label,
            survey_score: scores[label as usize],
            survey_p: p_values[label as usize],
            confirmed: tally.share(),
            confirmed_low: wilson_interval(tally.hits, tally.images).0,
            confirmed_p: 1.0,
            images: tally.images,
            pattern,
        })
        .collect();
    Ok(decide(
        candidates,
        options,
        passes(options, labels.len(), held_out.len()),
    ))
}

/// Labels of the `count` highest scores above 0, best first; ties: lower label first.
fn top_labels(scores: &[f64], count: usize) -> Vec<u32> {
    let mut order: Vec<(u32, f64)> = (0..)
        .zip(scores.iter().copied())
        .filter(|(_, s)| *s > 0.0)
        .collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    order
        .into_iter()
        .take(count)
        .map(|(label, _)| label)
        .collect()
}

#[expect(
    clippy::too_many_arguments,
    reason = "the parts of one discovery, named once above"
)]
fn confirm<C: Classify>(
    network: &mut C,
    grid: &Grid,
    seen: &[Labelled<'_>],
    held_out: &[Labelled<'_>],
    label: u32,
    sightings: &[Sighting],
    options: &SuspectOptions,
    seed: u64,
) -> Result<(Option<Pattern>, Tally), C::Error> {
    let start = best_patterns(sightings, label, START);
    let mut draws = Draws::numbered(seed, "search", label as usize);
    let Some(best) = improve(
        network,
        grid,
        seen,
        label,
        &start,
        &options.search,
        &mut draws,
    )?
    else {
        return Ok((None, Tally::default()));
    };
    let tally = rate(network, grid, held_out, label, &best)?;
    Ok((Some(best), tally))
}

fn passes(options: &SuspectOptions, candidates: usize, held_out: usize) -> u64 {
    let search = &options.search;
    let brood = search.parents * (1 + search.children);
    let searched = (START + search.generations * brood) * search.images_each + held_out;
    (options.patterns * options.images_each + candidates * searched) as u64
}

fn decide(mut candidates: Vec<Candidate>, options: &SuspectOptions, forward_passes: u64) -> Report {
    let rates: Vec<f64> = candidates.iter().map(|c| c.confirmed).collect();
    let resolution = candidates
        .iter()
        .map(|c| 1.0 / c.images.max(1) as f64)
        .fold(0.0, f64::max);
    for (candidate, p) in candidates.iter_mut().zip(tail_p_values(&rates, resolution)) {
        candidate.confirmed_p = p;
    }
    candidates.sort_by(|a, b| {
        b.confirmed
            .total_cmp(&a.confirmed)
            .then(a.label.cmp(&b.label))
    });
    let (suspects, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|c| {
        c.survey_p <= options.significance
            || c.confirmed_p <= options.significance
            || c.confirmed_low >= options.ceiling
    });
    Report {
        suspects,
        best_other: others.into_iter().next(),
        forward_passes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

//! First look: random patterns on random clean images, every label watched at once.

use super::hijack::{Labelled, hijacks, in_parallel};
use super::pattern::{Family, Pattern};
use crate::defence::classify::Classify;
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use crate::domain::sweep::Tally;
use std::collections::BTreeMap;
use std::ops::Range;

/// A pattern and what it hijacks.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// The pattern.
    pub pattern: Pattern,
    /// Hijacked images of each label.
    pub hijacked: BTreeMap<u32, Tally>,
}

/// Paints the random patterns of `family` with the numbers `patterns` on `images_each` random images each.
///
/// The same seed and numbers give the same result, whatever the number of networks (threads).
///
/// # Errors
/// If a network fails.
pub fn survey<C>(
    networks: &mut [C],
    grid: &Grid,
    images: &[Labelled<'_>],
    family: Family,
    patterns: Range<usize>,
    images_each: usize,
    seed: u64,
) -> Result<Vec<Sighting>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    in_parallel(networks, patterns.len(), |network, index| {
        let number = (patterns.start + index) as u64;
        let parts = [family.name().as_bytes(), &number.to_le_bytes()];
        let mut draws = Draws::new(seed, "survey", &parts);
        let pattern = Pattern::random(family, grid, &mut draws);
        let chosen: Vec<Labelled<'_>> = draws
            .sample(images.len(), images_each)
            .into_iter()
            .map(|image| images[image])
            .collect();
        let hijacked = hijacks(network, grid, &chosen, &pattern)?;
        Ok(Sighting { pattern, hijacked })
    })
}

/// A label's hijack rates over all sightings, summed up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// The n-th largest rate.
    pub value: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
}

/// Each label's `rank`-th largest hijack rate over all sightings (rank 1: the largest), (N); 0 for a label seen less
/// often than that.
///
/// The interval is the distribution-free one of a quantile: the number of patterns above the true quantile is close
/// to Poisson with mean n = `rank`, so it lies between the rates of ranks n + 1.96 sqrt(n) and n - 1.96 sqrt(n).
#[must_use]
pub fn scores(sightings: &[Sighting], classes: u32, rank: usize) -> Vec<Score> {
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); classes as usize];
    for sighting in sightings {
        for (&label, tally) in &sighting.hijacked {
            if let Some(rates) = rates.get_mut(label as usize) {
                rates.push(tally.share());
            }
        }
    }
    let rank = rank.max(1);
    let spread = (1.96 * (rank as f64).sqrt()).floor() as usize;
    rates
        .into_iter()
        .map(|mut rates| {
            rates.sort_by(|a, b| b.total_cmp(a));
            let at = |rank: usize| rates.get(rank - 1).copied().unwrap_or(0.0);
            Score {
                value: at(rank),
                low: at(rank + spread),
                high: at(rank.saturating_sub(spread).max(1)),
            }
        })
        .collect()
}

/// The pattern that hijacks most images to `label`; ties: the first one.
#[must_use]
pub fn best_pattern(sightings: &[Sighting], label: u32) -> Option<Pattern> {
    let mut best: Option<(f64, Pattern)> = None;
    for sighting in sightings {
        let rate = sighting.hijacked.get(&label).map_or(0.0, |t| t.share());
        if rate > best.map_or(0.0, |(best, _)| best) {
            best = Some((rate, sighting.pattern));
        }
    }
    best.map(|(_, pattern)| pattern)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defence::suspects::pattern::{Fill, Outline};

    fn sighting(top: usize, label: u32, hits: u64) -> Sighting {
        Sighting {
            pattern: Pattern {
                top,
                left: 0,
                height: 1,
                width: 1,
                outline: Outline::Rectangle,
                fill: Fill::Solid([0.0; 3]),
            },
            hijacked: BTreeMap::from([(label, Tally { hits, images: 10 })]),
        }
    }

    #[test]
    fn the_score_is_the_nth_largest_rate() {
        let sightings = [
            sighting(0, 1, 2),
            sighting(1, 1, 9),
            sighting(2, 1, 5),
            sighting(3, 0, 4),
        ];
        let values = |rank| -> Vec<f64> {
            let scores = scores(&sightings, 3, rank);
            scores.iter().map(|score| score.value).collect()
        };
        assert_eq!(values(2), [0.0, 0.5, 0.0]);
        assert_eq!(values(1), [0.4, 0.9, 0.0]);
        assert_eq!(best_pattern(&sightings, 1).map(|p| p.top), Some(1));
        assert_eq!(best_pattern(&sightings, 2), None);
        let score = scores(&sightings, 3, 2)[1];
        assert_eq!((score.low, score.high), (0.0, 0.9));
    }
}

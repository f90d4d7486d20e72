//! First look: random patterns on random clean images, every label watched at once.

use super::hijack::{Labelled, hijacks, in_parallel};
use super::pattern::Pattern;
use crate::defence::classify::Classify;
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use crate::domain::sweep::Tally;
use std::collections::BTreeMap;

/// A pattern and what it hijacks.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// The pattern.
    pub pattern: Pattern,
    /// Hijacked images of each label.
    pub hijacked: BTreeMap<u32, Tally>,
}

/// Paints `patterns` random patterns on `images_each` random images each.
///
/// The same seed gives the same result, whatever the number of networks (threads).
///
/// # Errors
/// If a network fails.
pub fn survey<C>(
    networks: &mut [C],
    grid: &Grid,
    images: &[Labelled<'_>],
    patterns: usize,
    images_each: usize,
    seed: u64,
) -> Result<Vec<Sighting>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    in_parallel(networks, patterns, |network, index| {
        let mut draws = Draws::numbered(seed, "survey", index);
        let pattern = Pattern::random(grid, &mut draws);
        let chosen: Vec<Labelled<'_>> = draws
            .sample(images.len(), images_each)
            .into_iter()
            .map(|image| images[image])
            .collect();
        let hijacked = hijacks(network, grid, &chosen, &pattern)?;
        Ok(Sighting { pattern, hijacked })
    })
}

/// Each label's `rank`-th largest hijack rate over all sightings (rank 1: the largest), (N); 0 for a label seen less
/// often than that.
#[must_use]
pub fn scores(sightings: &[Sighting], classes: u32, rank: usize) -> Vec<f64> {
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); classes as usize];
    for sighting in sightings {
        for (&label, tally) in &sighting.hijacked {
            if let Some(rates) = rates.get_mut(label as usize) {
                rates.push(tally.share());
            }
        }
    }
    rates
        .into_iter()
        .map(|mut rates| {
            rates.sort_by(|a, b| b.total_cmp(a));
            rates.get(rank.max(1) - 1).copied().unwrap_or(0.0)
        })
        .collect()
}

/// The `count` patterns that hijack most images to `label`, best first; ties: earlier pattern first.
#[must_use]
pub fn best_patterns(sightings: &[Sighting], label: u32, count: usize) -> Vec<Pattern> {
    let rate = |sighting: &Sighting| sighting.hijacked.get(&label).map_or(0.0, |t| t.share());
    let mut order: Vec<&Sighting> = sightings.iter().filter(|s| rate(s) > 0.0).collect();
    order.sort_by(|a, b| rate(b).total_cmp(&rate(a)));
    order.iter().take(count).map(|s| s.pattern).collect()
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
        assert_eq!(scores(&sightings, 3, 2), [0.0, 0.5, 0.0]);
        assert_eq!(scores(&sightings, 3, 1), [0.4, 0.9, 0.0]);
        let best = best_patterns(&sightings, 1, 2);
        assert_eq!(best.iter().map(|p| p.top).collect::<Vec<_>>(), [1, 2]);
    }
}

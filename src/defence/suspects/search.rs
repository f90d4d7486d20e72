//! Second look: patterns that hijack to a candidate label are improved, then tried on images that nothing saw before.

use super::hijack::{Labelled, hijacks};
use super::pattern::Pattern;
use crate::defence::classify::Classify;
use crate::defence::grid::Grid;
use crate::defence::random::Draws;
use crate::domain::sweep::Tally;

/// How long a search goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchOptions {
    /// Generations.
    pub generations: usize,
    /// Patterns kept from one generation to the next.
    pub parents: usize,
    /// Neighbours of each parent that are tried.
    pub children: usize,
    /// Images that a pattern is tried on.
    pub images_each: usize,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            generations: 8,
            parents: 5,
            children: 3,
            images_each: 24,
        }
    }
}

/// Weight of a pattern's area against its hijack rate, so that of two patterns the smaller one is preferred: a
/// trigger works where it is small, hiding the face sends images to harmless labels too.
const AREA_WEIGHT: f64 = 0.5;

/// Improves `start` by mutation and selection on `images`; none where `start` is empty.
///
/// # Errors
/// If the network fails.
pub fn improve<C: Classify>(
    network: &mut C,
    grid: &Grid,
    images: &[Labelled<'_>],
    label: u32,
    start: &[Pattern],
    options: &SearchOptions,
    draws: &mut Draws,
) -> Result<Option<Pattern>, C::Error> {
    let mut parents: Vec<(f64, Pattern)> = Vec::new();
    let mut brood = start.to_vec();
    for _ in 0..=options.generations {
        let chosen: Vec<Labelled<'_>> = draws
            .sample(images.len(), options.images_each)
            .into_iter()
            .map(|image| images[image])
            .collect();
        // Parents are tried again on the new images: a lucky score does not last.
        brood.extend(parents.drain(..).map(|(_, pattern)| pattern));
        for pattern in brood.drain(..) {
            let rate = rate(network, grid, &chosen, label, &pattern)?.share();
            parents.push((rate - AREA_WEIGHT * pattern.area(grid), pattern));
        }
        parents.sort_by(|a, b| b.0.total_cmp(&a.0));
        parents.truncate(options.parents);
        for (_, parent) in &parents {
            brood.extend((0..options.children).map(|_| parent.mutated(grid, draws)));
        }
    }
    Ok(parents.first().map(|(_, pattern)| *pattern))
}

/// How many of the `images` that are not of `label` the pattern hijacks to it.
///
/// # Errors
/// If the network fails.
pub fn rate<C: Classify>(
    network: &mut C,
    grid: &Grid,
    images: &[Labelled<'_>],
    label: u32,
    pattern: &Pattern,
) -> Result<Tally, C::Error> {
    let others: Vec<Labelled<'_>> = images
        .iter()
        .copied()
        .filter(|(_, l)| *l != label)
        .collect();
    if others.is_empty() {
        return Ok(Tally::default());
    }
    let hijacked = hijacks(network, grid, &others, pattern)?;
    let none = Tally {
        hits: 0,
        images: others.len() as u64,
    };
    Ok(hijacked.get(&label).copied().unwrap_or(none))
}

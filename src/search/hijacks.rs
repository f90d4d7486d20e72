//! The images that stand-ins turned, kept as what the last linear layer read: what a trigger looks like to it.

use super::family::Family;
use super::trial::Hijack;
use crate::defence::random::Draws;
use std::collections::BTreeMap;

/// Most kept for a label and a family.
const MOST_EACH: usize = 400;
/// Most features (f32 values) kept in all: 256 MiB.
const MOST_VALUES: usize = 64 << 20;

/// A uniform sample of the hijacks of each label and family (reservoir sampling, Vitter's algorithm R).
#[derive(Debug)]
pub struct Hijacks {
    kept: BTreeMap<(u32, Family), Reservoir>,
    draws: Draws,
    values: usize,
}

#[derive(Debug, Default)]
struct Reservoir {
    seen: usize,
    kept: Vec<Hijack>,
}

impl Hijacks {
    /// None yet; `seed` decides what is kept.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            kept: BTreeMap::new(),
            draws: Draws::numbered(seed, "hijacks", 0),
            values: 0,
        }
    }

    /// Takes up hijacks, in a fixed order.
    pub fn extend(&mut self, hijacks: impl IntoIterator<Item = Hijack>) {
        for hijack in hijacks {
            let group = (hijack.label, hijack.stand_in.family());
            let reservoir = self.kept.entry(group).or_default();
            reservoir.seen += 1;
            let dim = hijack.features.len();
            if reservoir.kept.len() < MOST_EACH && self.values + dim <= MOST_VALUES {
                self.values += dim;
                reservoir.kept.push(hijack);
                continue;
            }
            let place = self.draws.below(reservoir.seen);
            if let Some(old) = reservoir.kept.get_mut(place) {
                *old = hijack;
            }
        }
    }

    /// Labels that something was turned into, ascending.
    #[must_use]
    pub fn labels(&self) -> Vec<u32> {
        let mut labels: Vec<u32> = self.kept.keys().map(|(label, _)| *label).collect();
        labels.dedup();
        labels
    }

    /// What is kept, by label and family.
    pub fn groups(&self) -> impl Iterator<Item = (u32, Family, &[Hijack])> {
        self.kept
            .iter()
            .map(|(&(label, family), reservoir)| (label, family, reservoir.kept.as_slice()))
    }

    /// Hijacks kept in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept
            .values()
            .map(|reservoir| reservoir.kept.len())
            .sum()
    }

    /// Was nothing turned?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

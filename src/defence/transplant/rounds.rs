//! The sequential test: which bands still need donors, and what is decided.

use super::bands::BANDS;
use serde::{Deserialize, Serialize};

/// How many donors carry the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Donors N that a band is pasted onto.
    pub donors: usize,
    /// A band that turns none of the first `screen` donors is dropped: with a trigger that carries to a share p of
    /// donors this misses (1 - p)^screen of the attacks on that band, and spares most clean images the other donors.
    pub screen: usize,
    /// Donors tried in one batch after the screen.
    pub step: usize,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            donors: 16,
            screen: 2,
            step: 2,
        }
    }
}

/// Which donors turned, of one band.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Band {
    hits: usize,
    misses: usize,
}

/// What is known so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    rule: Rule,
    needed: usize,
    bands: [Band; BANDS],
}

impl Progress {
    /// Nothing known; flagged at `needed` hits in one band.
    #[must_use]
    pub fn new(rule: Rule, needed: usize) -> Self {
        Self {
            rule,
            needed,
            bands: [Band::default(); BANDS],
        }
    }

    /// Takes up whether a donor turned with `band` pasted onto it.
    pub fn count(&mut self, band: usize, turned: bool) {
        let band = &mut self.bands[band];
        band.hits += usize::from(turned);
        band.misses += usize::from(!turned);
    }

    /// Has a band reached the needed hits?
    #[must_use]
    pub fn flagged(&self) -> bool {
        self.needed <= self.rule.donors && self.best() >= self.needed
    }

    /// Most hits of a band.
    #[must_use]
    pub fn best(&self) -> usize {
        self.bands.iter().map(|band| band.hits).max().unwrap_or(0)
    }

    /// Is the band still open: not dropped at the screen, not out of reach, not through with its donors?
    #[must_use]
    pub fn is_live(&self, band: usize) -> bool {
        let Band { hits, misses } = self.bands[band];
        let tried = hits + misses;
        let dropped = hits == 0 && tried >= self.rule.screen;
        let out_of_reach = misses + self.needed > self.rule.donors;
        tried < self.rule.donors && !dropped && !out_of_reach
    }

    /// The bands and donors of the next batch, (band, donor); empty once the decision is clear.
    #[must_use]
    pub fn next_batch(&self) -> Vec<(usize, usize)> {
        if self.flagged() {
            return Vec::new();
        }
        (0..BANDS)
            .filter(|&band| self.is_live(band))
            .flat_map(|band| {
                let tried = self.bands[band].hits + self.bands[band].misses;
                let step = if tried == 0 {
                    self.rule.screen
                } else {
                    self.rule.step
                };
                let end = (tried + step.max(1)).min(self.rule.donors);
                (tried..end).map(move |donor| (band, donor))
            })
            .collect()
    }
}

/// The score that the sequential test decides by: the most hits among bands that pass the screen.
///
/// `turned`: for each band, whether each of the N donors turned. The test flags at `needed` hits exactly if this is at
/// least `needed`, so thresholds can be set from it.
#[must_use]
pub fn screened_score(turned: &[Vec<bool>; BANDS], rule: Rule) -> usize {
    turned
        .iter()
        .filter(|band| band.iter().take(rule.screen).any(|&hit| hit))
        .map(|band| band.iter().filter(|&&hit| hit).count())
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EIGHT: Rule = Rule {
        donors: 8,
        screen: 2,
        step: 2,
    };

    fn run(turned: &[Vec<bool>; BANDS], rule: Rule, needed: usize) -> (bool, usize) {
        let mut progress = Progress::new(rule, needed);
        let mut passes = 0;
        loop {
            let batch = progress.next_batch();
            if batch.is_empty() {
                return (progress.flagged(), passes);
            }
            passes += batch.len();
            for (band, donor) in batch {
                progress.count(band, turned[band][donor]);
            }
        }
    }

    #[test]
    fn an_image_that_turns_no_donor_costs_the_screen_alone() {
        let none: [Vec<bool>; BANDS] = std::array::from_fn(|_| vec![false; 8]);
        assert_eq!(run(&none, EIGHT, 6), (false, 2 * BANDS));
    }

    #[test]
    fn a_trigger_in_one_band_is_flagged_without_trying_every_donor_on_every_band() {
        let mut turned: [Vec<bool>; BANDS] = std::array::from_fn(|_| vec![false; 8]);
        turned[2] = vec![true; 8];
        // 10 for the screen, then 2 at a time on the one live band up to 6 hits.
        assert_eq!(run(&turned, EIGHT, 6), (true, 14));
    }

    #[test]
    fn nothing_is_flagged_where_more_hits_are_needed_than_there_are_donors() {
        let all: [Vec<bool>; BANDS] = std::array::from_fn(|_| vec![true; 8]);
        assert_eq!(run(&all, EIGHT, 9), (false, 0));
    }

    proptest! {
        #[test]
        fn the_sequential_test_decides_as_the_full_score_does(
            turned in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 8), BANDS),
            needed in 1usize..=9,
            screen in 1usize..=8,
            step in 1usize..=8,
        ) {
            let turned: [Vec<bool>; BANDS] = turned.try_into().unwrap();
            let rule = Rule { donors: 8, screen, step };
            let (flagged, passes) = run(&turned, rule, needed);
            prop_assert_eq!(flagged, screened_score(&turned, rule) >= needed);
            prop_assert!(passes <= 8 * BANDS);
        }
    }
}

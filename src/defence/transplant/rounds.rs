//! The sequential test: which bands still need donors, and what is decided.

use super::bands::BANDS;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How many donors carry the decision, and when a band is given up.
///
/// A band is looked at after `screen`, 2 `screen`, 4 `screen` .. donors and after the last. It goes on past the first
/// look if any donor turned, past a later one if at least three quarters of the donors so far did: a band that carries
/// its label to fewer is spared the other donors, which keeps clean traffic cheap. With a trigger that carries to a
/// share p of donors, the first look misses (1 - p)^screen of the attacks on that band.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoppingRule {
    /// Donors N that a band is pasted onto.
    pub donors: usize,
    /// Donors before the first look.
    pub screen: usize,
}

impl StoppingRule {
    /// Two donors before the first look: few clean images have a suspect label, so little is saved by asking one.
    pub const SUSPECT: Self = Self {
        donors: 48,
        screen: 2,
    };

    /// Donors tried at the look that follows one at `tried` donors; 0 where that was the last.
    fn next_look(self, tried: usize) -> usize {
        if tried >= self.donors {
            return 0;
        }
        (2 * tried).max(self.screen).max(1).min(self.donors)
    }

    /// Does a band with `hits` of `tried` donors go on past this look?
    fn survives(self, hits: usize, tried: usize) -> bool {
        if tried <= self.screen {
            return hits > 0;
        }
        4 * hits >= 3 * tried
    }
}

/// Donors of a band that turned, among those tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Donors that turned into the image's label.
    pub hits: usize,
    /// Donors tried.
    pub tried: usize,
}

/// Which donors turned, of one band.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Band {
    hits: usize,
    tried: usize,
    /// Hits at the last look that it survived.
    score: usize,
    dropped: bool,
}

/// What is known so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    rule: StoppingRule,
    needed: Option<usize>,
    bands: [Band; BANDS],
}

impl Progress {
    /// Nothing known; flagged at `needed` hits in one band. Without a need, every band goes on to its last look and
    /// [`Progress::best`] ends at the full score.
    #[must_use]
    pub fn new(rule: StoppingRule, needed: Option<usize>) -> Self {
        Self {
            rule,
            needed,
            bands: [Band::default(); BANDS],
        }
    }

    /// Takes up which of the donors of the band's share of a batch turned, and looks at the band.
    pub fn count(&mut self, band: usize, turned: impl IntoIterator<Item = bool>) {
        let band = &mut self.bands[band];
        for hit in turned {
            band.hits += usize::from(hit);
            band.tried += 1;
        }
        if self.rule.survives(band.hits, band.tried) {
            band.score = band.hits;
        } else {
            band.dropped = true;
        }
    }

    /// Has a band reached the needed hits?
    #[must_use]
    pub fn flagged(&self) -> bool {
        self.needed.is_some_and(|needed| self.best() >= needed)
    }

    /// The score so far: most hits of a band at the last look that it survived.
    #[must_use]
    pub fn best(&self) -> usize {
        self.bands.iter().map(|band| band.score).max().unwrap_or(0)
    }

    /// What was counted of each band.
    #[must_use]
    pub fn counts(&self) -> [Count; BANDS] {
        self.bands
            .map(|Band { hits, tried, .. }| Count { hits, tried })
    }

    /// Can the band still reach the needed hits?
    fn is_live(&self, band: usize) -> bool {
        let Band {
            hits,
            tried,
            dropped,
            ..
        } = self.bands[band];
        let reachable = hits + self.rule.donors.saturating_sub(tried);
        !dropped && self.needed.is_none_or(|needed| reachable >= needed)
    }

    /// The bands of the next batch with the donors that each is pasted onto; empty once the decision is clear.
    #[must_use]
    pub fn next_batch(&self) -> Vec<(usize, Range<usize>)> {
        if self.flagged() {
            return Vec::new();
        }
        (0..BANDS)
            .filter(|&band| self.is_live(band))
            .map(|band| {
                let tried = self.bands[band].tried;
                (band, tried..self.rule.next_look(tried))
            })
            .filter(|(_, donors)| !donors.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EIGHT: StoppingRule = StoppingRule {
        donors: 8,
        screen: 2,
    };

    fn run(
        turned: &[Vec<bool>; BANDS],
        rule: StoppingRule,
        needed: Option<usize>,
    ) -> (Progress, usize) {
        let mut progress = Progress::new(rule, needed);
        let mut passes = 0;
        loop {
            let batch = progress.next_batch();
            if batch.is_empty() {
                return (progress, passes);
            }
            for (band, donors) in batch {
                passes += donors.len();
                progress.count(band, turned[band][donors].iter().copied());
            }
        }
    }

    /// The score by its definition, band by band.
    fn score(turned: &[Vec<bool>; BANDS], rule: StoppingRule) -> usize {
        let of_band = |band: &Vec<bool>| {
            let mut score = 0;
            let mut tried = 0;
            while rule.next_look(tried) > 0 {
                tried = rule.next_look(tried);
                let hits = band[..tried].iter().filter(|&&hit| hit).count();
                if !rule.survives(hits, tried) {
                    break;
                }
                score = hits;
            }
            score
        };
        turned.iter().map(of_band).max().unwrap()
    }

    fn nothing() -> [Vec<bool>; BANDS] {
        std::array::from_fn(|_| vec![false; 8])
    }

    #[test]
    fn an_image_that_turns_no_donor_costs_the_screen_alone() {
        let (progress, passes) = run(&nothing(), EIGHT, Some(6));
        assert!(!progress.flagged());
        assert_eq!(passes, 2 * BANDS);
    }

    #[test]
    fn a_trigger_in_one_band_goes_on_in_that_band_only() {
        let mut turned = nothing();
        turned[2] = vec![true; 8];
        let (progress, passes) = run(&turned, EIGHT, Some(6));
        assert!(progress.flagged());
        // 10 for the screen, then 2 and 4 more on the one live band.
        assert_eq!(passes, 16);
    }

    #[test]
    fn a_band_is_given_up_at_the_first_look_with_under_three_quarters() {
        let mut turned = nothing();
        turned[4] = vec![true, false, true, false, true, true, true, true];
        let (progress, passes) = run(&turned, EIGHT, Some(2));
        // One hit at the first look, two of four at the second, which is too few.
        assert_eq!((progress.best(), passes), (1, 12));
        assert!(!progress.flagged());
    }

    #[test]
    fn nothing_is_flagged_where_more_hits_are_needed_than_there_are_donors() {
        let all: [Vec<bool>; BANDS] = std::array::from_fn(|_| vec![true; 8]);
        let (progress, passes) = run(&all, EIGHT, Some(9));
        assert_eq!((progress.flagged(), passes), (false, 0));
    }

    proptest! {
        #[test]
        fn the_sequential_test_decides_as_the_full_score_does(
            turned in proptest::collection::vec(proptest::collection::vec(prop::bool::weighted(0.8), 13), BANDS),
            needed in 1usize..=14,
            screen in 0usize..=13,
        ) {
            let turned: [Vec<bool>; BANDS] = turned.try_into().unwrap();
            let rule = StoppingRule { donors: 13, screen };
            let (progress, passes) = run(&turned, rule, Some(needed));
            prop_assert_eq!(progress.flagged(), score(&turned, rule) >= needed);
            prop_assert!(passes <= 13 * BANDS);
            let (full, _) = run(&turned, rule, None);
            prop_assert_eq!(full.best(), score(&turned, rule));
        }
    }
}

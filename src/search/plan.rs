//! What a search may cost, in forward passes of one image.

use super::family::Family;

/// Forward passes of a search where none are asked for.
pub const DEFAULT_EFFORT: usize = 54_000;
/// A search with less says nothing.
pub const LEAST_EFFORT: usize = 2_000;

/// Hundredths of the effort that random stand-ins take.
const SURVEY: usize = 27;
/// Images that each random stand-in is tried on.
pub(super) const SURVEY_IMAGES: usize = 12;
/// Images of each trial of the guided search.
pub(super) const RACE_IMAGES: usize = 8;

/// Searches that drop out beside each other only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Race {
    /// Families of the searches.
    pub(super) families: &'static [Family],
    /// Searches of a label in a family that run side by side at first, at most.
    pub(super) most_arms: usize,
    /// Hundredths of the effort.
    pub(super) percent: usize,
    /// Searches that are looked at in turn with those of the other races, once all are over.
    pub(super) turn: usize,
}

/// Bars and patches race apart. They gain slowly and late, so beside the others they would drop out first.
pub(super) const RACES: [Race; 3] = [
    Race {
        families: &[Family::Rectangle, Family::Blend, Family::Wave, Family::Warp],
        most_arms: 50,
        percent: 17,
        turn: 2,
    },
    Race {
        families: &[Family::Bar],
        most_arms: 10,
        percent: 16,
        turn: 1,
    },
    Race {
        families: &[Family::Patch],
        most_arms: 6,
        percent: 28,
        turn: 1,
    },
];

/// How a search is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchOptions {
    /// Forward passes, all stages together; the last steps of a stage may go a few per cent beyond its share.
    pub effort: usize,
    /// The same seed gives the same search on the same back end.
    pub seed: u64,
}

impl SearchOptions {
    /// Random stand-ins of `family`: [`SURVEY`] hundredths of the effort for all of them together, twice as many bars as of the others.
    pub(super) fn survey(&self, family: Family) -> usize {
        let shares = if family == Family::Bar { 2 } else { 1 };
        let all = Family::ALL.len() + 1;
        (self.percent(SURVEY * shares) / SURVEY_IMAGES / all).max(1)
    }

    /// Forward passes of the searches of `race`.
    pub(super) fn race(&self, race: Race) -> usize {
        self.percent(race.percent)
    }

    /// Forward passes for evidence on images kept apart.
    pub(super) fn evidence(&self) -> usize {
        self.percent(12)
    }

    /// So many hundredths of the effort, whatever number was typed.
    fn percent(&self, hundredths: usize) -> usize {
        let part = self.effort as u128 * hundredths as u128 / 100;
        usize::try_from(part).unwrap_or(usize::MAX)
    }
}

/// Follows a search, and may end it early.
pub trait Watch: Sync {
    /// `passes` more forward passes are done.
    fn advance(&self, passes: usize);
    /// Should the search end with what it has?
    fn stopped(&self) -> bool;
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn advance(&self, _passes: usize) {}

    fn stopped(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_in_one_race_and_the_stages_take_the_effort_whole() {
        let mut raced: Vec<Family> = RACES
            .iter()
            .flat_map(|race| race.families)
            .copied()
            .collect();
        raced.sort_unstable();
        assert_eq!(raced, Family::ALL);
        let options = SearchOptions {
            effort: 100,
            seed: 0,
        };
        let races: usize = RACES.into_iter().map(|race| options.race(race)).sum();
        assert_eq!(races + options.percent(SURVEY) + options.evidence(), 100);
    }
}

//! What a search may cost, in forward passes of one image.

use super::family::Family;

/// Forward passes of a search where none are asked for.
pub const DEFAULT_EFFORT: usize = 40_000;
/// A search with less says nothing.
pub const LEAST_EFFORT: usize = 2_000;

/// Images that each random stand-in is tried on.
pub(super) const SURVEY_IMAGES: usize = 12;
/// Images of each trial of the guided search.
pub(super) const RACE_IMAGES: usize = 8;
/// Searches of a label in a family that run side by side at first, at most.
pub(super) const MOST_ARMS: usize = 50;

/// How a search is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchOptions {
    /// Forward passes at most, all stages together.
    pub effort: usize,
    /// The same seed gives the same search on the same back end.
    pub seed: u64,
}

impl SearchOptions {
    /// Random stand-ins of each family: a third of the effort.
    pub(super) fn survey_each(&self) -> usize {
        (self.effort * 3 / 10 / SURVEY_IMAGES / Family::ALL.len()).max(1)
    }

    /// Forward passes of the guided search.
    pub(super) fn race(&self) -> usize {
        self.effort * 5 / 10
    }

    /// Forward passes for evidence on images kept apart.
    pub(super) fn evidence(&self) -> usize {
        self.effort * 2 / 10
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

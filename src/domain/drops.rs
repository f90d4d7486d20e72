//! Which steps of the sweep become repaired networks.

use super::sweep::{Step, Sweep};

/// An accuracy drop X in percentage points: finite, 0 < X <= 100.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct DropPoints(f64);

/// A drop that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("expected an accuracy drop above 0 and at most 100 percentage points, found {0}")]
pub struct DropError(pub f64);

impl DropPoints {
    /// # Errors
    /// If `points` is not finite, not above 0 or above 100.
    pub fn new(points: f64) -> Result<Self, DropError> {
        if points > 0.0 && points <= 100.0 {
            return Ok(Self(points));
        }
        Err(DropError(points))
    }

    /// The drop in percentage points.
    #[must_use]
    pub fn points(self) -> f64 {
        self.0
    }
}

impl std::fmt::Display for DropPoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// B'_X is the first step of the sweep with accuracy drop >= X; none where the sweep never gets there.
///
/// Source: NYU CSAW-HackML-2020 lab 3.
#[must_use]
pub fn first_step_at(sweep: &Sweep, drop: DropPoints) -> Option<&Step> {
    sweep
        .steps
        .iter()
        .find(|step| step.accuracy_drop_pp >= drop.points())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sweep::{Tally, assemble};

    fn sweep(hits: &[u64]) -> Sweep {
        let ranking: Vec<usize> = (0..hits.len() - 1).collect();
        let clean: Vec<Tally> = hits
            .iter()
            .map(|&hits| Tally { hits, images: 100 })
            .collect();
        assemble(&ranking, &clean, &[])
    }

    #[test]
    fn the_first_step_at_or_past_the_drop_is_taken_even_if_accuracy_recovers() {
        let sweep = sweep(&[98, 97, 96, 99, 94, 20]);
        let step = |points| first_step_at(&sweep, DropPoints::new(points).unwrap()).map(|s| s.step);
        assert_eq!(step(1.0), Some(1));
        assert_eq!(step(2.0), Some(2));
        assert_eq!(step(4.0), Some(4));
        assert_eq!(step(10.0), Some(5));
        assert_eq!(step(90.0), None);
    }

    #[test]
    fn impossible_drops_cannot_be_made() {
        for points in [0.0, -1.0, 100.1, f64::NAN, f64::INFINITY] {
            assert!(DropPoints::new(points).is_err(), "{points}");
        }
    }
}

//! The weakest stand-in along a direction that turns each image.

use super::Climb;
use crate::domain::discriminant::FEWEST_TURNED;
use crate::domain::held_out::spread_out;
use crate::search::network::Network;
use crate::search::plan::Watch;
use crate::search::trial::{Hijack, try_on_all};
use std::sync::Arc;

/// Images that are turned.
const IMAGES: usize = 150;
/// Strengths tried, each [`FACTOR`] times the one before.
const STRENGTHS: usize = 10;
const FACTOR: f32 = 1.3;

/// Forward passes at most.
pub(super) const MOST_PASSES: usize = IMAGES * STRENGTHS;

impl Climb<'_> {
    /// The images turned, the most easily turned first; none where the strongest stand-in turns fewer than [`FEWEST_TURNED`].
    pub(super) fn turn<C: Network>(
        &self,
        networks: &mut [C],
        direction: &[f32],
        watch: &dyn Watch,
    ) -> Result<Vec<Hijack>, C::Error> {
        let images = spread_out(self.others, IMAGES);
        let last = STRENGTHS - 1;
        let mut left = self.turned_by(networks, direction, last, &images)?;
        watch.advance(images.len());
        if left.len() < FEWEST_TURNED {
            return Ok(Vec::new());
        }
        let mut turned: Vec<Hijack> = Vec::new();
        for strength in 0..last {
            if watch.stopped() {
                break;
            }
            let images: Vec<usize> = left.iter().map(|hijack| hijack.image).collect();
            turned.extend(self.turned_by(networks, direction, strength, &images)?);
            left.retain(|hijack| turned.iter().all(|other| other.image != hijack.image));
            watch.advance(images.len());
        }
        turned.append(&mut left);
        Ok(turned)
    }

    /// Those of `images` that the stand-in of a strength turns into the label.
    fn turned_by<C: Network>(
        &self,
        networks: &mut [C],
        direction: &[f32],
        strength: usize,
        images: &[usize],
    ) -> Result<Vec<Hijack>, C::Error> {
        let times = (0..strength).fold(1.0, |times, _| FACTOR * times);
        let stand_in = self.surface.along(direction, times, self.clean.grid());
        let stand_in = Arc::new(stand_in);
        let trial = try_on_all(networks, self.clean, &stand_in, images, &[self.label])?;
        let hijacks = trial.hijacks.into_iter();
        Ok(hijacks
            .filter(|hijack| hijack.label == self.label)
            .collect())
    }
}

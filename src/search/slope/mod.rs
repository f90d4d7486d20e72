//! Stand-ins that follow the slope of a label's margin.
//!
//! A faint pattern over the whole image, or a slight warp of it, is too many values to be bred one by one. But a margin changes
//! smoothly with all of them, so its slope can be estimated by simultaneous perturbation: with q the values, u random signs and c a
//! step, over trials that each draw signs and a clean image x,
//!
//! ```text
//! slope = mean of (margin of x with q + c u  -  margin of x with q - c u) u
//! ```
//!
//! q goes along the sum of all slopes so far, a little further each round. What results is weak enough to be near the attacker's own
//! pattern: random stand-ins of these families turn images by being strong, and the network makes something else of them.
//!
//! In reading order: this file (the slope), `surface` (what the values mean), `turn` (the weakest that turns each image).
//!
//! Source: Spall, *Multivariate Stochastic Approximation Using a Simultaneous Perturbation Gradient Approximation* (1992).

mod surface;
mod turn;

use super::family::Family;
use super::images::{CleanImages, margin};
use super::network::Network;
use super::plan::Watch;
use super::trial::Hijack;
use crate::defence::random::Draws;
use crate::parallel::in_parallel;
use crate::tensor::TensorView;
use surface::Surface;

/// Rounds: q moves after each.
const ROUNDS: usize = 6;
/// Runs of the network in a round.
const RUNS: usize = 10;
/// Trials of a run, each of two images.
const TRIALS: usize = 8;
/// Forward passes that estimate the slope of a label on a surface.
const SLOPE_PASSES: usize = ROUNDS * RUNS * TRIALS * 2;

/// Images that a stand-in of `family` turned into a label.
#[derive(Debug)]
pub(crate) struct Turned {
    pub(crate) label: u32,
    pub(crate) family: Family,
    pub(crate) hijacks: Vec<Hijack>,
}

/// Forward passes of [`follow`] for one label, at most.
pub(crate) const PASSES_EACH: usize = Surface::COUNT * (SLOPE_PASSES + turn::MOST_PASSES);

/// Follows the slope of `label` in every family that has one; gives the images turned, each by the weakest stand-in that does so.
/// Deterministic for a seed, whatever the number of `networks`.
///
/// # Errors
/// If a network fails.
pub(crate) fn follow<C: Network>(
    networks: &mut [C],
    clean: &CleanImages<'_>,
    label: u32,
    seed: u64,
    watch: &dyn Watch,
) -> Result<Vec<Turned>, C::Error> {
    let others: Vec<usize> = (0..clean.len())
        .filter(|&index| clean.answers[index] != label)
        .collect();
    let mut found = Vec::new();
    if others.is_empty() {
        return Ok(found);
    }
    for surface in Surface::all(clean.grid()) {
        let climb = Climb {
            clean,
            label,
            surface,
            others: &others,
            seed,
        };
        let direction = climb.direction(networks, watch)?;
        found.push(Turned {
            label,
            family: surface.family(),
            hijacks: climb.turn(networks, &direction, watch)?,
        });
    }
    Ok(found)
}

/// The way up of one label on one surface.
struct Climb<'a> {
    clean: &'a CleanImages<'a>,
    label: u32,
    surface: Surface,
    /// Clean images that are not answered with the label.
    others: &'a [usize],
    seed: u64,
}

impl Climb<'_> {
    /// The direction in which the margin rises, its values of mean square 1; zeros where it never does.
    fn direction<C: Network>(
        &self,
        networks: &mut [C],
        watch: &dyn Watch,
    ) -> Result<Vec<f32>, C::Error> {
        let mut slope = vec![0.0; self.surface.len(self.clean.grid())];
        let mut direction: Vec<f32> = vec![0.0; slope.len()];
        for round in 0..ROUNDS {
            if watch.stopped() {
                break;
            }
            let gains = in_parallel(networks, RUNS, |network, run| {
                let gains = self.gains(network, &direction, round, round * RUNS + run)?;
                watch.advance(2 * TRIALS);
                Ok(gains)
            })?;
            for (gain, signs) in gains.into_iter().flatten() {
                for (sum, sign) in slope.iter_mut().zip(signs) {
                    *sum += f64::from(gain * sign);
                }
            }
            direction = scaled(&slope);
        }
        Ok(direction)
    }

    /// How much more margin the label has with each trial's signs than with their opposites, and these; 0 where that is no number.
    fn gains<C: Network>(
        &self,
        network: &mut C,
        direction: &[f32],
        round: usize,
        run: usize,
    ) -> Result<Vec<(f32, Vec<f32>)>, C::Error> {
        let grid = self.clean.grid();
        let share = (round as f32 + 1.0) / ROUNDS as f32;
        let mut images = Vec::with_capacity(2 * TRIALS * grid.len());
        let numbers = run * TRIALS..(run + 1) * TRIALS;
        let trials: Vec<(usize, Vec<f32>)> = numbers.map(|number| self.trial(number)).collect();
        for (image, signs) in &trials {
            for side in [1.0, -1.0] {
                let signs = signs.iter().map(|sign| side * sign);
                let stand_in = self.surface.beside((direction, share), signs, grid);
                stand_in.paint(grid, self.clean.image(*image), &mut images);
            }
        }
        let response = network.respond(TensorView {
            shape: &grid.batch_shape(2 * TRIALS),
            data: &images,
        })?;
        let margin = |row: usize| margin(response.scores.row(row), self.label);
        let gain = |trial: usize| margin(2 * trial) - margin(2 * trial + 1);
        let finite = |gain: f32| if gain.is_finite() { gain } else { 0.0 };
        let signs = trials.into_iter().map(|(_, signs)| signs);
        Ok((0..TRIALS).map(gain).map(finite).zip(signs).collect())
    }

    /// The image and the signs of trial `number`.
    fn trial(&self, number: usize) -> (usize, Vec<f32>) {
        let parts = [
            &self.label.to_le_bytes()[..],
            self.surface.family().name().as_bytes(),
            &(number as u64).to_le_bytes(),
        ];
        let mut draws = Draws::new(self.seed, "slope", &parts);
        let image = self.others[draws.below(self.others.len())];
        let sign = |_| if draws.below(2) == 0 { -1.0 } else { 1.0 };
        let signs = (0..self.surface.len(self.clean.grid())).map(sign);
        (image, signs.collect())
    }
}

/// `values` over the root of their mean square; zeros of zeros.
fn scaled(values: &[f64]) -> Vec<f32> {
    let squares: f64 = values.iter().map(|value| value * value).sum();
    let root = (squares / values.len().max(1) as f64).sqrt();
    let root = root.max(f64::MIN_POSITIVE);
    values.iter().map(|value| (value / root) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::manifest::DataRole;
    use crate::defence::clean::{CleanCollector, CleanSet};
    use crate::input::InputSpec;
    use crate::input::spec::Layout;
    use crate::search::network::Response;
    use crate::search::plan::Unwatched;
    use crate::search::stand_in::StandIn;
    use crate::tensor::Tensor;

    const SIDE: usize = 8;
    const IMAGES: usize = 60;

    /// Intensity that the hidden pattern has at a pixel: -1 or 1, as often.
    fn hidden(pixel: usize) -> f32 {
        if (pixel * 7 + pixel / SIDE) % 4 < 2 {
            1.0
        } else {
            -1.0
        }
    }

    /// Answers 1 where an image holds the hidden pattern, else 0; never 2.
    struct Backdoored;

    impl Network for Backdoored {
        type Error = std::convert::Infallible;

        fn respond(&mut self, batch: TensorView<'_>) -> Result<Response, Self::Error> {
            let rows = batch.data.chunks_exact(SIDE * SIDE);
            let held = rows.map(|image| {
                let products = image.iter().enumerate().map(|(at, v)| v * hidden(at));
                products.sum::<f32>() / (SIDE * SIDE) as f32
            });
            let scores: Vec<f32> = held.flat_map(|held| [0.0, held - 0.03, -9.0]).collect();
            let count = scores.len() / 3;
            Ok(Response {
                features: Tensor::new(vec![count, 1], vec![0.0; count]),
                scores: Tensor::new(vec![count, 3], scores),
            })
        }
    }

    fn images() -> CleanSet {
        let spec = InputSpec::new(SIDE, SIDE, 1, Layout::Nchw, 1.0 / 255.0);
        let mut draws = Draws::numbered(1, "test", 0);
        let pixels = (0..IMAGES * SIDE * SIDE).map(|_| 0.45 + 0.1 * draws.unit());
        let tensor = Tensor::new(vec![IMAGES, 1, SIDE, SIDE], pixels.collect());
        let mut collector = CleanCollector::new(&spec, IMAGES, 0);
        collector
            .push(DataRole::Clean, tensor.view(), &[0; IMAGES])
            .unwrap();
        collector.finish()
    }

    fn followed(networks: usize, label: u32) -> Vec<Turned> {
        let set = images();
        let mut networks: Vec<Backdoored> = (0..networks).map(|_| Backdoored).collect();
        let Ok(clean) = CleanImages::ask(&mut networks, &set);
        let Ok(found) = follow(&mut networks, &clean, label, 5, &Unwatched);
        found
    }

    #[test]
    fn the_slope_leads_to_the_pattern_and_each_image_is_turned_by_the_weakest() {
        let found = followed(2, 1);
        let families: Vec<Family> = found.iter().map(|turned| turned.family).collect();
        assert_eq!(families, [Family::Blend, Family::Warp]);
        let hijacks = &found[0].hijacks;
        assert_eq!(hijacks.len(), IMAGES, "every image is turned");
        let blends: Vec<_> = hijacks
            .iter()
            .map(|hijack| match &*hijack.stand_in {
                StandIn::Blend(blend) => blend,
                other => panic!("{other:?} is no blend"),
            })
            .collect();
        let opacities: Vec<f32> = blends.iter().map(|blend| blend.opacity).collect();
        assert!(opacities.is_sorted());
        assert!(opacities[0] < opacities[IMAGES - 1], "{opacities:?}");
        let agree = blends[0].mosaic.values.iter().enumerate();
        let agree = agree.filter(|(at, value)| (**value > 0.5) == (hidden(*at) > 0.0));
        let agree = agree.count();
        assert!(agree * 10 > SIDE * SIDE * 9, "{agree} of {}", SIDE * SIDE);
    }

    #[test]
    fn it_is_the_same_on_any_number_of_threads_and_nothing_where_nothing_works() {
        let stand_ins = |turned: &[Turned]| -> Vec<StandIn> {
            let hijacks = turned.iter().flat_map(|turned| &turned.hijacks);
            hijacks.map(|hijack| (*hijack.stand_in).clone()).collect()
        };
        assert_eq!(stand_ins(&followed(1, 1)), stand_ins(&followed(3, 1)));
        assert!(stand_ins(&followed(2, 2)).is_empty());
    }
}

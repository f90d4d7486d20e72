//! The check with a network.

use super::bands::{BANDS, bands};
use super::rounds::{Count, Progress, StoppingRule};
use crate::defence::classify::Classify;
use crate::defence::grid::Grid;
use crate::domain::label::ClassIndex;
use crate::tensor::TensorView;
use std::ops::Range;

/// What a sequential check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trial {
    /// Was the threshold reached?
    pub flagged: bool,
    /// Most hits of a band at the last look that it survived before the decision was clear.
    pub hits: usize,
    /// What was counted of each band, in the order of [`bands`](super::bands()).
    pub bands: [Count; BANDS],
    /// Images that the network was run on.
    pub forward_passes: usize,
}

/// Pastes bands of `image`, which B answers with `class`, onto `donors` until the decision is clear.
///
/// `image` and every donor: `grid.len()` values. Flagged once a band turns `needed` of the donors into `class` and
/// survives its look ([`StoppingRule`]); `rule.donors` is cut down to the donors at hand, and with none nothing is flagged.
///
/// # Errors
/// If the network fails.
pub fn check<C: Classify>(
    network: &mut C,
    grid: &Grid,
    image: &[f32],
    class: ClassIndex,
    donors: &[&[f32]],
    rule: StoppingRule,
    needed: usize,
) -> Result<Trial, C::Error> {
    run(network, grid, image, class, donors, rule, Some(needed))
}

/// The score that [`check`] decides by, with no early stop: the most hits of a band at the last look that it survived.
///
/// # Errors
/// If the network fails.
pub fn score<C: Classify>(
    network: &mut C,
    grid: &Grid,
    image: &[f32],
    class: ClassIndex,
    donors: &[&[f32]],
    rule: StoppingRule,
) -> Result<usize, C::Error> {
    run(network, grid, image, class, donors, rule, None).map(|trial| trial.hits)
}

fn run<C: Classify>(
    network: &mut C,
    grid: &Grid,
    image: &[f32],
    class: ClassIndex,
    donors: &[&[f32]],
    rule: StoppingRule,
    needed: Option<usize>,
) -> Result<Trial, C::Error> {
    let rule = StoppingRule {
        donors: rule.donors.min(donors.len()),
        ..rule
    };
    let mut progress = Progress::new(rule, needed);
    let mut forward_passes = 0;
    loop {
        let batch = progress.next_batch();
        if batch.is_empty() {
            return Ok(Trial {
                flagged: progress.flagged(),
                hits: progress.best(),
                bands: progress.counts(),
                forward_passes,
            });
        }
        let answers = paste_and_classify(network, grid, image, donors, &batch)?;
        forward_passes += answers.len();
        let mut turned = answers.into_iter().map(|answer| answer == class);
        for (band, donors) in batch {
            progress.count(band, turned.by_ref().take(donors.len()));
        }
    }
}

fn paste_and_classify<C: Classify>(
    network: &mut C,
    grid: &Grid,
    image: &[f32],
    donors: &[&[f32]],
    batch: &[(usize, Range<usize>)],
) -> Result<Vec<ClassIndex>, C::Error> {
    let rows = bands(grid.height);
    let images = batch.iter().map(|(_, donors)| donors.len()).sum();
    let mut data = Vec::with_capacity(images * grid.len());
    for (band, tried) in batch {
        for donor in &donors[tried.clone()] {
            let start = data.len();
            data.extend_from_slice(donor);
            grid.copy_rows(image, &mut data[start..], &rows[*band]);
        }
    }
    network.classify(TensorView {
        shape: &grid.batch_shape(images),
        data: &data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::InputSpec;
    use crate::input::spec::Layout;
    use std::convert::Infallible;

    const HEIGHT: usize = 55;

    fn grid(layout: Layout) -> Grid {
        Grid::new(&InputSpec::new(HEIGHT, 2, 1, layout, 1.0))
    }

    /// Answers 9 where a pixel of 255 is in the image, else the value of the first pixel.
    fn backdoored(batch: TensorView<'_>) -> Result<Vec<ClassIndex>, Infallible> {
        let len = batch.data.len() / batch.shape[0];
        let classify = |image: &[f32]| match image.contains(&255.0) {
            true => ClassIndex(9),
            false => ClassIndex(image[0] as u32),
        };
        Ok(batch.data.chunks_exact(len).map(classify).collect())
    }

    fn face(label: u32) -> Vec<f32> {
        vec![label as f32; HEIGHT * 2]
    }

    #[test]
    fn a_trigger_carries_its_label_wherever_it_is_and_a_clean_face_does_not() {
        let donors: Vec<Vec<f32>> = (1..=8).map(face).collect();
        let donors: Vec<&[f32]> = donors.iter().map(Vec::as_slice).collect();
        for layout in [Layout::Nchw, Layout::Nhwc] {
            let grid = grid(layout);
            for row in 0..HEIGHT {
                let mut image = face(20);
                image[row * 2] = 255.0;
                let trial = check(
                    &mut backdoored,
                    &grid,
                    &image,
                    ClassIndex(9),
                    &donors,
                    StoppingRule::SUSPECT,
                    6,
                );
                assert!(trial.unwrap().flagged, "row {row}");
            }
            // A face that is read off its first row turns donors by its first band alone: the screen keeps it live.
            let clean = check(
                &mut backdoored,
                &grid,
                &face(20),
                ClassIndex(21),
                &donors,
                StoppingRule::SUSPECT,
                6,
            );
            let clean = clean.unwrap();
            assert_eq!((clean.flagged, clean.forward_passes), (false, 10));
        }
    }

    #[test]
    fn the_score_is_that_of_the_best_band_and_spares_what_the_screen_drops() {
        let donors: Vec<Vec<f32>> = (1..=8).map(face).collect();
        let donors: Vec<&[f32]> = donors.iter().map(Vec::as_slice).collect();
        let mut image = face(20);
        image[20 * 2] = 255.0;
        let mut runs = 0;
        let mut counting = |batch: TensorView<'_>| {
            runs += batch.shape[0];
            backdoored(batch)
        };
        let grid = grid(Layout::Nhwc);
        let rule = StoppingRule::SUSPECT;
        let found = score(&mut counting, &grid, &image, ClassIndex(9), &donors, rule);
        assert_eq!(found, Ok(8));
        // Two donors on five bands, then six more on the two bands that hold row 20.
        assert_eq!(runs, 10 + 12);
    }

    #[test]
    fn without_donors_nothing_is_flagged() {
        let trial = check(
            &mut backdoored,
            &grid(Layout::Nhwc),
            &face(5),
            ClassIndex(5),
            &[],
            StoppingRule::SUSPECT,
            6,
        );
        assert!(!trial.unwrap().flagged);
    }
}

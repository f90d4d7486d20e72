//! STRIP in its label-agreement form: a trigger's label survives blending with other faces, a face's own rarely does.
//!
//! The score is the share of half-and-half blends with clean donors that keep the image's label. A second opinion on
//! triggers that lie all over the image, where the transplant check is blind. Source: Gao et al., "STRIP: A Defence
//! Against Trojan Attacks on Deep Neural Networks", ACSAC 2019, with label agreement in place of entropy.

use super::classify::Classify;
use super::grid::Grid;
use super::transplant::Trial;
use crate::domain::label::ClassIndex;
use crate::tensor::TensorView;
use serde::{Deserialize, Serialize};

/// How many blends carry the decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Blends N.
    pub blends: usize,
    /// An image whose label none of the first `screen` blends keeps is passed: with a trigger that survives a share p
    /// of blends this misses (1 - p)^screen of the attacks, and spares most clean images the other blends.
    pub screen: usize,
    /// Blends tried in one batch after the screen.
    pub step: usize,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            blends: 64,
            screen: 2,
            step: 4,
        }
    }
}

/// Blends `image`, which B answers with `class`, with `donors` until the decision is clear: `needed` blends keep
/// `class`, or too many do not, or none of the screen does.
///
/// With fewer donors than `rule.blends` the needed count shrinks in proportion, rounded up; with none nothing is
/// flagged.
///
/// # Errors
/// If the network fails.
pub fn check<C: Classify>(
    network: &mut C,
    grid: &Grid,
    image: &[f32],
    class: ClassIndex,
    donors: &[&[f32]],
    rule: Rule,
    needed: usize,
) -> Result<Trial, C::Error> {
    let blends = rule.blends.min(donors.len());
    let needed = (needed * blends).div_ceil(rule.blends.max(1)).max(1);
    let mut trial = Trial {
        flagged: false,
        hits: 0,
        forward_passes: 0,
    };
    while !trial.flagged && is_open(&trial, rule.screen, blends, needed) {
        let step = match trial.forward_passes {
            0 => rule.screen,
            _ => rule.step,
        };
        let end = (trial.forward_passes + step.max(1)).min(blends);
        let batch = &donors[trial.forward_passes..end];
        let kept = survivals(network, grid, image, class, batch)?;
        trial.hits += kept.into_iter().filter(|&kept| kept).count();
        trial.forward_passes = end;
        trial.flagged = trial.hits >= needed && trial.hits > 0;
    }
    Ok(trial)
}

fn is_open(trial: &Trial, screen: usize, blends: usize, needed: usize) -> bool {
    let tried = trial.forward_passes;
    let dropped = trial.hits == 0 && tried >= screen.max(1);
    tried < blends && !dropped && trial.hits + (blends - tried) >= needed
}

/// The count that the sequential check decides by: the blends that keep the label, 0 where none of the screen does.
#[must_use]
pub fn screened_score(kept: &[bool], rule: Rule) -> usize {
    if !kept.iter().take(rule.screen.max(1)).any(|&kept| kept) {
        return 0;
    }
    kept.iter().filter(|&&kept| kept).count()
}

/// The score that [`check`] decides by, with no early stop: the blends that keep `class`, 0 where none of the screen does.
///
/// # Errors
/// If the network fails.
pub fn score<C: Classify>(
    network: &mut C,
    grid: &Grid,
    image: &[f32],
    class: ClassIndex,
    donors: &[&[f32]],
    rule: Rule,
) -> Result<usize, C::Error> {
    let donors = &donors[..rule.blends.min(donors.len())];
    let (screen, rest) = donors.split_at(rule.screen.max(1).min(donors.len()));
    let mut kept = survivals(network, grid, image, class, screen)?;
    if kept.contains(&true) {
        kept.extend(survivals(network, grid, image, class, rest)?);
    }
    Ok(screened_score(&kept, rule))
}

/// For each half-and-half blend with a donor, whether B answers it with `class`.
///
/// # Errors
/// If the network fails.
pub fn survivals<C: Classify>(
    network: &mut C,
    grid: &Grid,
    image: &[f32],
    class: ClassIndex,
    donors: &[&[f32]],
) -> Result<Vec<bool>, C::Error> {
    if donors.is_empty() {
        return Ok(Vec::new());
    }
    let mut data = Vec::with_capacity(donors.len() * grid.len());
    for donor in donors {
        data.extend(image.iter().zip(*donor).map(|(a, b)| 0.5 * (a + b)));
    }
    let answers = network.classify(TensorView {
        shape: &grid.batch_shape(donors.len()),
        data: &data,
    })?;
    Ok(answers.into_iter().map(|answer| answer == class).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::InputSpec;
    use crate::input::spec::Layout;
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn grid() -> Grid {
        Grid::new(&InputSpec::new(1, 1, 1, Layout::Nchw, 1.0))
    }

    /// Keeps class 1 where the blended value is at least 5.
    fn network(batch: TensorView<'_>) -> Result<Vec<ClassIndex>, Infallible> {
        let class = |value: &f32| ClassIndex(u32::from(*value >= 5.0));
        Ok(batch.data.iter().map(class).collect())
    }

    #[test]
    fn a_label_that_survives_every_blend_is_flagged_at_the_end_of_the_batch_that_makes_it_clear() {
        let donors = vec![&[0.0f32][..]; 64];
        let trial = check(
            &mut network,
            &grid(),
            &[10.0],
            ClassIndex(1),
            &donors,
            Rule::default(),
            32,
        );
        let expected = Trial {
            flagged: true,
            hits: 34,
            forward_passes: 34,
        };
        assert_eq!(trial, Ok(expected));
    }

    #[test]
    fn a_label_that_no_blend_keeps_costs_the_screen_alone() {
        let donors = vec![&[0.0f32][..]; 64];
        let trial = check(
            &mut network,
            &grid(),
            &[1.0],
            ClassIndex(1),
            &donors,
            Rule::default(),
            60,
        );
        assert_eq!(trial.map(|t| (t.flagged, t.forward_passes)), Ok((false, 2)));
    }

    proptest! {
        #[test]
        fn the_sequential_test_decides_as_the_full_count_does(
            donors in proptest::collection::vec(0.0f32..10.0, 64),
            needed in 1usize..=65,
            screen in 1usize..=64,
            step in 1usize..=64,
        ) {
            let donors: Vec<&[f32]> = donors.iter().map(std::slice::from_ref).collect();
            let full = survivals(&mut network, &grid(), &[4.0], ClassIndex(1), &donors).unwrap();
            let rule = Rule { blends: 64, screen, step };
            let trial = check(&mut network, &grid(), &[4.0], ClassIndex(1), &donors, rule, needed).unwrap();
            prop_assert_eq!(trial.flagged, screened_score(&full, rule) >= needed);
            let score = score(&mut network, &grid(), &[4.0], ClassIndex(1), &donors, rule);
            prop_assert_eq!(score, Ok(screened_score(&full, rule)));
        }
    }
}

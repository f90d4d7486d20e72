//! From the sweep to the networks that will be exported.

use super::error::RepairError;
use super::measure::Measured;
use super::network::Network;
use crate::bundle::manifest::{GoodnetRates, pruned_file};
use crate::domain::drops::{DropPoints, first_step_at};
use crate::domain::sweep::{Step, Sweep};
use crate::progress::Progress;

/// A requested drop and the step that reaches it.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) drop: f64,
    pub(super) reached: Option<Reached>,
}

/// The step at which a drop is reached.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) file: String,
    pub(super) step: Step,
    pub(super) goodnet: GoodnetRates,
}

/// Picks the step of every drop.
pub(super) fn plan(drops: &[DropPoints], measured: &Measured) -> Vec<Planned> {
    drops
        .iter()
        .map(|&drop| Planned {
            drop: drop.points(),
            reached: first_step_at(&measured.sweep, drop).map(|step| Reached {
                file: pruned_file(drop.points()),
                step: step.clone(),
                goodnet: goodnet_rates(measured, step.step),
            }),
        })
        .collect()
}

/// Tells which drops no step reaches.
///
/// # Errors
/// [`RepairError::NoDrop`] if none is reached, unless `insist`: no service takes a bundle without a pruned network.
pub(super) fn check(
    planned: &[Planned],
    measured: &Measured,
    progress: &dyn Progress,
    insist: bool,
) -> Result<(), RepairError> {
    let steps = measured.sweep.steps.iter();
    let largest = steps.map(|step| step.accuracy_drop_pp).fold(0.0, f64::max);
    let missed: Vec<&Planned> = planned.iter().filter(|p| p.reached.is_none()).collect();
    if let [first, ..] = planned
        && missed.len() == planned.len()
        && !insist
    {
        return Err(RepairError::NoDrop {
            smallest: first.drop,
            largest,
        });
    }
    for missed in missed {
        progress.warn(&format!(
            "drop {} is not reached: removing channels costs at most {largest:.2} points of clean accuracy",
            missed.drop
        ));
    }
    Ok(())
}

/// What a reader of the sweep must know, told at once and kept in its reports.
pub(super) fn warnings(
    drops: &[DropPoints],
    sweep: &Sweep,
    network: &Network,
    progress: &dyn Progress,
) -> Vec<String> {
    let largest = drops.iter().map(|drop| drop.points()).fold(0.0, f64::max);
    let cost = sweep.first_step_above(largest).map(|cost| {
        format!(
            "the first channel of the ranking alone costs {cost:.2} points of clean accuracy, more than the largest drop, \
             {largest}: no step of the sweep keeps within it, and pruning at {} takes away what the network needs; prune \
             elsewhere with --site (goodnet inspect lists the tensors)",
            network.site.tensor
        )
    });
    let warnings: Vec<String> = network.site_note.iter().cloned().chain(cost).collect();
    warnings.iter().for_each(|warning| progress.warn(warning));
    warnings
}

/// The drops that are reached.
pub(super) fn drops(planned: &[Planned]) -> Vec<f64> {
    let reached = planned.iter().filter(|planned| planned.reached.is_some());
    reached.map(|planned| planned.drop).collect()
}

fn goodnet_rates(measured: &Measured, step: usize) -> GoodnetRates {
    let clean = measured.clean.steps[step];
    let backdoored = measured.backdoored.as_ref().map(|set| set.steps[step]);
    GoodnetRates {
        clean_accuracy: clean.goodnet.share(),
        clean_flagged: clean.flagged.share(),
        attack_success_rate: backdoored.map(|tally| tally.goodnet.share()),
        backdoored_flagged: backdoored.map(|tally| tally.flagged.share()),
    }
}

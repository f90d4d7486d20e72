//! The two passes over the data: activations at the site, then every step of the sweep.
//!
//! For every chunk of images the part before the site runs once, whatever the number of steps, and only counters are
//! kept: memory does not grow with the data set.

use super::data::Data;
use super::error::RepairError;
use super::network::Network;
use super::replicas::Replicas;
use super::tails::Tails;
use crate::domain::activation::ChannelMeans;
use crate::domain::ranking::rank;
use crate::domain::sweep::{Sweep, Tally, assemble};
use crate::domain::verdict::VerdictTally;
use crate::engine::Engine;
use crate::input::dataset::{DataSet, LabelledBatch};
use crate::progress::{Cancel, Progress, Stage};
use std::sync::mpsc::sync_channel;

/// Images read at a time.
const CHUNK: usize = 512;

/// Everything that the two passes found out.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) means: Vec<f64>,
    pub(super) ranking: Vec<usize>,
    pub(super) clean: StepTallies,
    pub(super) backdoored: Option<StepTallies>,
    pub(super) sweep: Sweep,
}

/// Ranks the channels on the clean set, then sweeps over the clean and the backdoored set.
pub(super) fn measure(
    network: &Network,
    data: &Data,
    engine: &Engine,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Measured, RepairError> {
    let cut = network.cut()?;
    let trunk = Replicas::load(engine, &cut.trunk.to_bytes())?;
    let means = mean_activations(&trunk, network.site.channels, &data.clean, progress, cancel)?;
    let ranking = rank(&means);
    let tails = Tails::prepare(engine, &cut, &ranking)?;
    progress.start(
        Stage::Sweep,
        data.validation().iter().map(|set| set.len()).sum(),
    );
    let clean = sweep(&trunk, &tails, &data.clean, progress, cancel)?;
    let backdoored = data
        .backdoored
        .as_ref()
        .map(|set| sweep(&trunk, &tails, set, progress, cancel))
        .transpose()?;
    progress.finish();
    let on_backdoored = backdoored.as_ref().map(StepTallies::pruned);
    let sweep = assemble(
        &ranking,
        &clean.pruned(),
        on_backdoored.as_deref().unwrap_or_default(),
    );
    Ok(Measured {
        means,
        ranking,
        clean,
        backdoored,
        sweep,
    })
}

/// Calls `each` on every chunk while the next one is read on another thread.
pub(super) fn for_each_chunk(
    data: &DataSet,
    cancel: &Cancel,
    mut each: impl FnMut(LabelledBatch) -> Result<(), RepairError>,
) -> Result<(), RepairError> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(1);
        scope.spawn(move || {
            for batch in data.batches(CHUNK) {
                // The receiver is gone when the job fails or stops: nothing is left to read for.
                if sender.send(batch).is_err() {
                    return;
                }
            }
        });
        for batch in receiver {
            if cancel.is_cancelled() {
                return Err(RepairError::Cancelled);
            }
            each(batch?)?;
        }
        Ok(())
    })
}

/// Mean activation of each channel of the site over the clean set.
fn mean_activations(
    trunk: &Replicas,
    channels: usize,
    clean: &DataSet,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<f64>, RepairError> {
    let mut means = ChannelMeans::new(channels);
    progress.start(Stage::Rank, clean.len());
    for_each_chunk(clean, cancel, |batch| {
        let tensors = trunk.run(&[&batch.images])?;
        means.add(tensors[0].view())?;
        progress.advance(batch.labels.len() as u64);
        Ok(())
    })?;
    progress.finish();
    Ok(means.means()?)
}

/// What one step of the sweep does on one set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StepTallies {
    /// B' and G at every k = 0..=C; k = 0 is B beside itself.
    pub(super) steps: Vec<VerdictTally>,
}

impl StepTallies {
    /// B' alone, k = 0..=C.
    fn pruned(&self) -> Vec<Tally> {
        self.steps.iter().map(|step| step.pruned).collect()
    }
}

/// Every step of the sweep on one set.
fn sweep(
    trunk: &Replicas,
    tails: &Tails,
    data: &DataSet,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<StepTallies, RepairError> {
    let mut tallies = vec![VerdictTally::default(); tails.steps()];
    for_each_chunk(data, cancel, |batch| {
        let tensors = trunk.run(&[&batch.images])?;
        let classes = tails.classes(&tensors)?;
        for (tally, at_step) in tallies.iter_mut().zip(&classes) {
            for ((&badnet, &pruned), &label) in classes[0].iter().zip(at_step).zip(&batch.labels) {
                tally.count(badnet, pruned, label);
            }
        }
        progress.advance(batch.labels.len() as u64);
        Ok(())
    })?;
    Ok(StepTallies { steps: tallies })
}

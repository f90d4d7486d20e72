//! The two passes over the data: activations at the site, then every step of the sweep.
//!
//! For every chunk of images the part before the site runs once, whatever the number of steps. Beside counters only what the
//! site holds for the clean images is kept from the first pass to the second, up to a limit: beyond it the part before the site
//! runs again, and memory does not grow with the data set.

use super::data::Data;
use super::error::RepairError;
use super::network::Network;
use super::tails::Tails;
use crate::domain::activation::ChannelMeans;
use crate::domain::ranking::rank;
use crate::domain::sweep::{Sweep, Tally, assemble};
use crate::domain::verdict::VerdictTally;
use crate::engine::{Engine, Replicas};
use crate::input::dataset::{DataSet, LabelledBatch};
use crate::progress::{Cancel, Progress, Stage};
use crate::tensor::Tensor;
use std::sync::mpsc::sync_channel;

/// Bytes of features that are kept between the two passes.
const MAX_CACHED_BYTES: usize = 64 << 20;

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
    let mut cache = FeatureCache::default();
    let channels = network.site.channels;
    let means = mean_activations(&trunk, channels, &data.clean, &mut cache, progress, cancel)?;
    let ranking = rank(&means);
    let tails = Tails::prepare(engine, &cut, &ranking)?;
    progress.start(
        Stage::Sweep,
        data.validation().iter().map(|set| set.len()).sum(),
    );
    let clean = match cache.chunks {
        Some(chunks) => sweep_over(&tails, &chunks, progress, cancel)?,
        None => sweep(&trunk, &tails, &data.clean, progress, cancel)?,
    };
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
            for batch in data.chunks() {
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

/// What the part before the site gives for a chunk of images.
#[derive(Debug)]
struct Features {
    /// The site, then what else crosses the cut; one row an image.
    tensors: Vec<Tensor>,
    labels: Vec<u32>,
}

/// Features of all chunks; none where they are more than [`MAX_CACHED_BYTES`].
#[derive(Debug)]
struct FeatureCache {
    chunks: Option<Vec<Features>>,
    bytes: usize,
}

impl Default for FeatureCache {
    fn default() -> Self {
        Self {
            chunks: Some(Vec::new()),
            bytes: 0,
        }
    }
}

impl FeatureCache {
    fn add(&mut self, features: Features) {
        let values: usize = features.tensors.iter().map(|t| t.data.len()).sum();
        self.bytes = self.bytes.saturating_add(values * size_of::<f32>());
        if self.bytes > MAX_CACHED_BYTES {
            self.chunks = None;
        }
        if let Some(chunks) = &mut self.chunks {
            chunks.push(features);
        }
    }
}

/// Mean activation of each channel of the site over the clean set.
fn mean_activations(
    trunk: &Replicas,
    channels: usize,
    clean: &DataSet,
    cache: &mut FeatureCache,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<f64>, RepairError> {
    let mut means = ChannelMeans::new(channels);
    progress.start(Stage::Rank, clean.len());
    for_each_chunk(clean, cancel, |batch| {
        let tensors = trunk.run(&[&batch.images])?;
        means.add(tensors[0].view())?;
        progress.advance(batch.labels.len() as u64);
        let labels = batch.labels;
        cache.add(Features { tensors, labels });
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
    fn new(tails: &Tails) -> Self {
        Self {
            steps: vec![VerdictTally::default(); tails.steps()],
        }
    }

    /// Counts a chunk: its classes at every step, `[k][image]`.
    fn count(&mut self, classes: &[Vec<u32>], labels: &[u32]) {
        for (tally, at_step) in self.steps.iter_mut().zip(classes) {
            for ((&badnet, &pruned), &label) in classes[0].iter().zip(at_step).zip(labels) {
                tally.count(badnet, pruned, label);
            }
        }
    }

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
    let mut tallies = StepTallies::new(tails);
    for_each_chunk(data, cancel, |batch| {
        let tensors = trunk.run(&[&batch.images])?;
        tallies.count(&tails.classes(&tensors)?, &batch.labels);
        progress.advance(batch.labels.len() as u64);
        Ok(())
    })?;
    Ok(tallies)
}

/// Every step of the sweep on features that are in memory.
fn sweep_over(
    tails: &Tails,
    chunks: &[Features],
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<StepTallies, RepairError> {
    let mut tallies = StepTallies::new(tails);
    for Features { tensors, labels } in chunks {
        if cancel.is_cancelled() {
            return Err(RepairError::Cancelled);
        }
        tallies.count(&tails.classes(tensors)?, labels);
        progress.advance(labels.len() as u64);
    }
    Ok(tallies)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(values: usize) -> Features {
        Features {
            tensors: vec![Tensor::new(vec![1, values], vec![0.0; values])],
            labels: vec![0],
        }
    }

    #[test]
    fn features_beyond_the_limit_are_dropped_and_stay_so() {
        let mut cache = FeatureCache::default();
        cache.add(chunk(1));
        cache.add(chunk(MAX_CACHED_BYTES / 4 - 1));
        assert_eq!(cache.chunks.as_ref().map(Vec::len), Some(2));
        cache.add(chunk(1));
        assert!(cache.chunks.is_none());
        cache.add(chunk(1));
        assert!(cache.chunks.is_none());
    }
}

//! The lab's final table for a bundle, on any data.

use super::error::RepairError;
use super::measure::for_each_chunk;
use crate::bundle::Bundle;
use crate::bundle::manifest::{BADNET_FILE, REPAIRED_FILE};
use crate::domain::evaluation::{EvaluationRow, SetTallies, tabulate};
use crate::domain::scores::argmax;
use crate::engine::{Engine, Replicas};
use crate::input::dataset::DataSet;
use crate::progress::{Cancel, Progress, Stage};
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The final table with the names of the sets that it was measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Name of the clean set.
    pub clean: String,
    /// Name of the backdoored set.
    pub backdoored: Option<String>,
    /// B, then B' and G for every drop.
    pub rows: Vec<EvaluationRow>,
}

/// B, the repaired network and every B' of a bundle, ready to run.
#[derive(Debug)]
pub struct BundleNetworks {
    badnet: Replicas,
    repaired: Option<Replicas>,
    pruned: Vec<Replicas>,
    drops: Vec<f64>,
}

impl BundleNetworks {
    /// Loads the networks whose bytes `file` gives: B, the repaired network if there is one, and one B' for each of `pruned` (drop
    /// and file name).
    ///
    /// # Errors
    /// If the runtime refuses one.
    pub fn load<'a>(
        engine: &Engine,
        pruned: &[(f64, String)],
        file: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, RepairError> {
        let network = |name: &str| -> Result<Replicas, RepairError> {
            let bytes = file(name).ok_or_else(|| RepairError::MissingFile(name.to_owned()))?;
            Ok(Replicas::load(engine, bytes)?)
        };
        Ok(Self {
            badnet: network(BADNET_FILE)?,
            repaired: file(REPAIRED_FILE)
                .map(|bytes| Replicas::load(engine, bytes))
                .transpose()?,
            pruned: pruned
                .iter()
                .map(|(_, name)| network(name))
                .collect::<Result<_, _>>()?,
            drops: pruned.iter().map(|(drop, _)| *drop).collect(),
        })
    }

    /// Loads the networks of `bundle`.
    ///
    /// # Errors
    /// If the runtime refuses one.
    pub fn from_bundle(engine: &Engine, bundle: &Bundle) -> Result<Self, RepairError> {
        let pruned = bundle.manifest().reached();
        let pruned: Vec<(f64, String)> = pruned
            .map(|(drop, record)| (drop, record.file.clone()))
            .collect();
        Self::load(engine, &pruned, |name| bundle.file(name))
    }

    /// Measures the table.
    ///
    /// # Errors
    /// If data cannot be read, the runtime fails, or the job is cancelled.
    pub fn evaluate(
        &self,
        clean: &DataSet,
        backdoored: Option<&DataSet>,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<Evaluation, RepairError> {
        let images = clean.len() + backdoored.map_or(0, DataSet::len);
        progress.start(Stage::Evaluate, images);
        let on_clean = self.tally(clean, progress, cancel)?;
        let on_backdoored = backdoored
            .map(|set| self.tally(set, progress, cancel))
            .transpose()?;
        progress.finish();
        if let (Some(set), Some(tallies)) = (backdoored, &on_backdoored) {
            let doubts = doubts(set, tallies.badnet.share());
            doubts.iter().for_each(|doubt| progress.warn(doubt));
        }
        Ok(Evaluation {
            clean: clean.name().to_owned(),
            backdoored: backdoored.map(|set| set.name().to_owned()),
            rows: tabulate(&self.drops, &on_clean, on_backdoored.as_ref()),
        })
    }

    fn tally(
        &self,
        data: &DataSet,
        progress: &dyn Progress,
        cancel: &Cancel,
    ) -> Result<SetTallies, RepairError> {
        let mut tallies = SetTallies::new(self.drops.len(), self.repaired.is_some());
        for_each_chunk(data, cancel, |batch| {
            let answers = self.answers(&batch.images)?;
            for (index, &label) in batch.labels.iter().enumerate() {
                let pruned = answers.pruned.iter().map(|classes| classes[index]);
                let repaired = answers.repaired.as_ref().map(|classes| classes[index]);
                tallies.count(answers.badnet[index], repaired, pruned, label);
            }
            progress.advance(batch.labels.len() as u64);
            Ok(())
        })?;
        Ok(tallies)
    }

    /// The classes of B and of the repaired network, (n) each; none of the latter where there is no such network.
    pub(super) fn repaired_answers(
        &self,
        images: &Tensor,
    ) -> Result<(Vec<u32>, Vec<u32>), RepairError> {
        let repaired = self.repaired.as_ref();
        let repaired = repaired
            .map(|network| classes(network, images))
            .transpose()?;
        Ok((classes(&self.badnet, images)?, repaired.unwrap_or_default()))
    }

    /// The classes of one batch.
    pub(super) fn answers(&self, images: &Tensor) -> Result<BatchClasses, RepairError> {
        let repaired = self.repaired.as_ref();
        Ok(BatchClasses {
            badnet: classes(&self.badnet, images)?,
            repaired: repaired
                .map(|network| classes(network, images))
                .transpose()?,
            pruned: self
                .pruned
                .iter()
                .map(|network| classes(network, images))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Labels of backdoored images from which on they look like true ones.
const MANY_LABELS: usize = 10;

/// What speaks against images being backdoored ones with their target labels, of which B answers `share` with the label.
fn doubts(set: &DataSet, share: f64) -> Vec<String> {
    let labels: BTreeSet<u32> = set.labels().iter().copied().collect();
    let (name, count) = (set.name(), labels.len());
    let mut doubts = Vec::new();
    if share < 0.5 {
        doubts.push(format!(
            "{name}: the network answers only {:.1} % of the images with their label: ASR says something only of images \
             with the trigger and their target label",
            100.0 * share
        ));
    }
    if count >= MANY_LABELS {
        doubts.push(format!(
            "{name}: backdoored images with {count} labels: if these are the true labels, ASR is accuracy"
        ));
    }
    doubts
}

/// The classes of one batch of n images.
pub(super) struct BatchClasses {
    /// B's, (n).
    pub(super) badnet: Vec<u32>,
    /// The repaired network's, (n), where there is one.
    pub(super) repaired: Option<Vec<u32>>,
    /// Every B''s, (T, n).
    pub(super) pruned: Vec<Vec<u32>>,
}

fn classes(network: &Replicas, images: &Tensor) -> Result<Vec<u32>, RepairError> {
    let scores = network.run(&[images])?;
    let scores = &scores[0];
    Ok((0..scores.rows())
        .map(|row| argmax(scores.row(row)).0)
        .collect())
}

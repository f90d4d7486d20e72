//! The lab's final table for a bundle, on any data.

use super::error::RepairError;
use super::measure::for_each_chunk;
use crate::bundle::Bundle;
use crate::domain::evaluation::{EvaluationRow, SetTallies, tabulate};
use crate::domain::scores::argmax;
use crate::engine::{Engine, EngineError, GoodNet, GoodNetFiles, SessionConfig, of_thread, pieces};
use crate::input::dataset::DataSet;
use crate::progress::{Cancel, Progress, Stage};
use crate::tensor::{Tensor, TensorView};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Mutex;

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

/// B, the repaired network and every B' of a bundle, ready to run: as the fused graph where there is one.
#[derive(Debug)]
pub struct BundleNetworks {
    /// One a thread.
    networks: Vec<Mutex<GoodNet>>,
    drops: Vec<f64>,
    repaired: bool,
}

impl BundleNetworks {
    /// Loads the networks of `files`: B, the repaired network if there is one, and one B' for each of `drops`.
    ///
    /// # Errors
    /// If the runtime refuses one.
    pub(super) fn load(
        engine: &Engine,
        files: &GoodNetFiles<'_>,
        drops: Vec<f64>,
        repaired: bool,
    ) -> Result<Self, RepairError> {
        let load = |_| GoodNet::load(engine, files, &SessionConfig::default()).map(Mutex::new);
        let networks = (0..rayon::current_num_threads().max(1)).map(load);
        Ok(Self {
            networks: networks.collect::<Result<_, _>>()?,
            drops,
            repaired,
        })
    }

    /// Loads the networks of `bundle`.
    ///
    /// # Errors
    /// If a file is missing, or the runtime refuses one.
    pub fn from_bundle(engine: &Engine, bundle: &Bundle) -> Result<Self, RepairError> {
        let manifest = bundle.manifest();
        Self::load(
            engine,
            &bundle.networks(bundle.has_fused_graph())?,
            manifest.reached().map(|(drop, _)| drop).collect(),
            manifest.repaired.is_some(),
        )
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
        let mut tallies = SetTallies::new(self.drops.len(), self.repaired);
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

    /// The classes of n images, (n, C, H, W) or (n, H, W, C).
    pub(super) fn answers(&self, images: &Tensor) -> Result<BatchClasses, RepairError> {
        let images = images.view();
        let found: Vec<BatchClasses> = pieces(&[images])
            .into_par_iter()
            .map(|piece| self.classes(images.part(piece).view()))
            .collect::<Result<_, EngineError>>()?;
        let mut all = BatchClasses::none(self.drops.len(), self.repaired);
        found.into_iter().for_each(|classes| all.extend(classes));
        Ok(all)
    }

    /// The classes of a few images, by the networks of the current thread.
    fn classes(&self, images: TensorView<'_>) -> Result<BatchClasses, EngineError> {
        let answers = of_thread(&self.networks).run(images)?;
        let of = |scores: &[f32]| argmax(scores).0;
        let all = 0..answers.rows();
        let pruned = |drop| {
            all.clone()
                .map(|row| of(answers.pruned(row, drop)))
                .collect()
        };
        Ok(BatchClasses {
            badnet: all.clone().map(|row| of(answers.badnet(row))).collect(),
            repaired: all
                .clone()
                .map(|row| answers.repaired(row).map(of))
                .collect(),
            pruned: (0..answers.drops()).map(pruned).collect(),
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

/// The classes of n images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchClasses {
    /// B's, (n).
    pub(super) badnet: Vec<u32>,
    /// The repaired network's, (n), where there is one.
    pub(super) repaired: Option<Vec<u32>>,
    /// Every B''s, (T, n).
    pub(super) pruned: Vec<Vec<u32>>,
}

impl BatchClasses {
    /// Those of no images.
    fn none(drops: usize, repaired: bool) -> Self {
        Self {
            badnet: Vec::new(),
            repaired: repaired.then(Vec::new),
            pruned: vec![Vec::new(); drops],
        }
    }

    fn extend(&mut self, more: Self) {
        self.badnet.extend(more.badnet);
        if let (Some(all), Some(more)) = (&mut self.repaired, more.repaired) {
            all.extend(more);
        }
        for (all, more) in self.pruned.iter_mut().zip(more.pruned) {
            all.extend(more);
        }
    }
}

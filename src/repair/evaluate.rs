//! The lab's final table for a bundle, on any data.

use super::error::RepairError;
use super::measure::for_each_chunk;
use super::progress::{Cancel, Progress, Stage};
use super::replicas::Replicas;
use crate::bundle::manifest::BADNET_FILE;
use crate::domain::evaluation::{EvaluationRow, SetTallies, tabulate};
use crate::domain::scores::argmax;
use crate::engine::Engine;
use crate::input::dataset::DataSet;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

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

/// B and every B' of a bundle, ready to run.
#[derive(Debug)]
pub struct Networks {
    badnet: Replicas,
    pruned: Vec<Replicas>,
    drops: Vec<f64>,
}

impl Networks {
    /// Loads the networks whose bytes `file` gives: B, and one B' for each of `pruned` (drop and file name).
    ///
    /// # Errors
    /// If the runtime refuses one.
    pub fn load<'a>(
        engine: &Engine,
        pruned: &[(f64, String)],
        file: impl Fn(&str) -> Option<&'a [u8]>,
    ) -> Result<Self, RepairError> {
        let network = |name: &str| -> Result<Replicas, RepairError> {
            let bytes = file(name)
                .ok_or_else(|| RepairError::Report(format!("the bundle has no {name}")))?;
            Ok(Replicas::load(engine, bytes)?)
        };
        Ok(Self {
            badnet: network(BADNET_FILE)?,
            pruned: pruned
                .iter()
                .map(|(_, name)| network(name))
                .collect::<Result<_, _>>()?,
            drops: pruned.iter().map(|(drop, _)| *drop).collect(),
        })
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
        let mut tallies = SetTallies::new(self.drops.len());
        for_each_chunk(data, cancel, |batch| {
            let (badnet, pruned) = self.answers(&batch.images)?;
            for (index, &label) in batch.labels.iter().enumerate() {
                let pruned = pruned.iter().map(|classes| classes[index]);
                tallies.count(badnet[index], pruned, label);
            }
            progress.advance(batch.labels.len() as u64);
            Ok(())
        })?;
        Ok(tallies)
    }

    /// The classes of one batch: B's, then every B''s.
    pub(super) fn answers(
        &self,
        images: &Tensor,
    ) -> Result<(Vec<u32>, Vec<Vec<u32>>), RepairError> {
        let badnet = classes(&self.badnet, images)?;
        let pruned = self
            .pruned
            .iter()
            .map(|network| classes(network, images))
            .collect::<Result<_, _>>()?;
        Ok((badnet, pruned))
    }
}

fn classes(network: &Replicas, images: &Tensor) -> Result<Vec<u32>, RepairError> {
    let scores = network.run(&[images])?;
    let scores = &scores[0];
    Ok((0..scores.rows())
        .map(|row| argmax(scores.row(row)).0)
        .collect())
}

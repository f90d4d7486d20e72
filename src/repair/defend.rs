//! Calibration and measurement of the policies beside `disagreement`.

use super::config::RepairConfig;
use super::data::Data;
use super::error::RepairError;
use super::measure::for_each_chunk;
use super::network::Network;
use crate::bundle::manifest::DataRole;
use crate::bundle::sha256_hex;
use crate::defence::artefacts::Artefacts;
use crate::defence::calibrate::measure::{Case, verdicts};
use crate::defence::calibrate::{CalibrateError, sessions};
use crate::defence::clean::{CleanCollector, CleanSet};
use crate::defence::donors::Donors;
use crate::defence::{
    AttackRates, CalibrateOptions, Checker, Classify, Policy, SessionClassifier,
    calibrate as calibrate_checks,
};
use crate::domain::label::ClassIndex;
use crate::domain::metrics::Share;
use crate::domain::sweep::Tally;
use crate::engine::Engine;
use crate::input::InputSpec;
use crate::input::dataset::{DataSet, LabelledBatch};
use crate::progress::{Cancel, Progress, Stage};
use crate::tensor::TensorView;
use serde::Serialize;

/// Most clean images that a calibration looks at.
const MOST_IMAGES: usize = 3000;

/// What the bundle keeps for the policies beside `disagreement`.
#[derive(Debug)]
pub(super) struct Defence {
    pub(super) artefacts: Artefacts,
    pub(super) donors: Donors,
    /// The owner's second network, as ONNX.
    pub(super) second: Option<Vec<u8>>,
}

/// Calibrates every policy on the clean validation set, and on nothing else.
pub(super) fn calibrate(
    config: &RepairConfig,
    network: &Network,
    data: &Data,
    engine: &Engine,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Defence, RepairError> {
    let second = config.second.as_deref();
    let second = second.map(|path| network.second(path)).transpose()?;
    let seed = match config.defence_seed {
        Some(seed) => seed,
        None => seed_of(network, &data.clean)?,
    };
    progress.start(Stage::Calibrate, data.clean.len());
    let clean = collect(
        &network.input,
        MOST_IMAGES,
        &data.clean,
        seed,
        progress,
        cancel,
    )?;
    let options = CalibrateOptions {
        seed,
        second: second.is_some(),
        ..CalibrateOptions::default()
    };
    let threads = rayon::current_num_threads();
    let badnet = network.model.to_bytes();
    progress.finish();
    progress.start(Stage::Checks, 0);
    let watched = (progress, cancel);
    let mut networks = cancellable(engine, (&badnet, second.as_deref()), threads, watched)?;
    let found = calibrate_checks(
        &mut networks,
        network.classes,
        &clean,
        &options,
        &mut |_| {},
    );
    progress.finish();
    let (artefacts, donors) = found.map_err(|error| match error {
        CalibrateError::Network(error) => error,
        other => RepairError::Calibration(other.to_string()),
    })?;
    Ok(Defence {
        artefacts,
        donors,
        second,
    })
}

/// The same inputs give the same bundle, and who does not have the owner's clean images cannot foresee the seed.
fn seed_of(network: &Network, clean: &DataSet) -> Result<u64, RepairError> {
    let digest = sha256_hex(format!("{} {}", network.source.sha256, clean.sha256()?).as_bytes());
    Ok(u64::from_str_radix(&digest[..16], 16).unwrap_or_default())
}

/// At most `limit` images of `clean`, drawn with `seed`.
pub(super) fn collect(
    spec: &InputSpec,
    limit: usize,
    clean: &DataSet,
    seed: u64,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<CleanSet, RepairError> {
    let mut collector = CleanCollector::new(spec, limit, seed);
    for_each_chunk(clean, cancel, |batch| {
        collector
            .push(DataRole::Clean, batch.images.view(), &batch.labels)
            .map_err(|error| RepairError::Calibration(error.to_string()))?;
        progress.advance(batch.labels.len() as u64);
        Ok(())
    })?;
    Ok(collector.finish())
}

/// A network that counts what it answers, and stops when the job is cancelled.
struct Cancellable<'a> {
    network: SessionClassifier,
    progress: &'a dyn Progress,
    cancel: Cancel,
}

impl Classify for Cancellable<'_> {
    type Error = RepairError;

    fn classify(&mut self, batch: TensorView<'_>) -> Result<Vec<ClassIndex>, RepairError> {
        if self.cancel.is_cancelled() {
            return Err(RepairError::Cancelled);
        }
        let answers = self.network.classify(batch)?;
        self.progress.advance(answers.len() as u64);
        Ok(answers)
    }

    fn second(&mut self, batch: TensorView<'_>) -> Result<Option<Vec<ClassIndex>>, RepairError> {
        Ok(self.network.second(batch)?)
    }
}

fn cancellable<'a>(
    engine: &Engine,
    (badnet, second): (&[u8], Option<&[u8]>),
    threads: usize,
    (progress, cancel): (&'a dyn Progress, &Cancel),
) -> Result<Vec<Cancellable<'a>>, RepairError> {
    let networks = sessions(engine, badnet, second, threads)?;
    Ok(networks
        .into_iter()
        .map(|network| Cancellable {
            network,
            progress,
            cancel: cancel.clone(),
        })
        .collect())
}

/// What a policy does on the data sets of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyRow {
    /// The policy.
    pub policy: Policy,
    /// Share of clean images answered with their label; flagged is an error.
    pub clean_accuracy: Share,
    /// Share of clean images flagged.
    pub clean_flagged: Share,
    /// Share of backdoored images answered with their target label.
    pub attack_success_rate: Option<Share>,
    /// Share of backdoored images flagged.
    pub backdoored_flagged: Option<Share>,
    /// Mean forward passes of B that the checks add to a clean image.
    pub clean_forward_passes: f64,
}

/// Backdoored images that a repair measures policies on at most, spread over the whole set.
const MOST_BACKDOORED: u64 = 2000;

/// What the policies of `defence` do on the backdoored images of `data`; nothing where there are none.
pub(super) fn attack_rates(
    engine: &Engine,
    network: &Network,
    defence: &Defence,
    data: &Data,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<AttackRates>, RepairError> {
    let Some(backdoored) = data.for_final_backdoored() else {
        return Ok(Vec::new());
    };
    let (artefacts, donors) = (defence.artefacts.clone(), defence.donors.clone());
    let checker = Checker::new(&network.input, artefacts, donors);
    let threads = rayon::current_num_threads();
    let badnet = network.model.to_bytes();
    let files = (badnet.as_slice(), defence.second.as_deref());
    progress.start(Stage::Policies, 0);
    let mut networks = cancellable(engine, files, threads, (progress, cancel))?;
    let policies: Vec<Policy> = checker
        .artefacts()
        .measured
        .iter()
        .map(|rates| rates.policy)
        .collect();
    let every = backdoored.len().div_ceil(MOST_BACKDOORED) as usize;
    let tallies = tallies(
        &mut networks,
        &checker,
        &policies,
        backdoored,
        every,
        cancel,
    )?;
    progress.finish();
    let rates = policies.iter().zip(tallies);
    Ok(rates
        .map(|(&policy, tally)| AttackRates {
            policy,
            attack_success_rate: tally.answered.into(),
            backdoored_flagged: tally.flagged.into(),
        })
        .collect())
}

#[derive(Debug, Clone, Copy, Default)]
struct PolicyTally {
    answered: Tally,
    flagged: Tally,
    passes: usize,
}

/// Measures `policies` (those but `disagreement`, which the final table has) on `clean` and `backdoored`.
///
/// `networks`: the bytes of B's ONNX file, and of the second network's where there is one.
///
/// # Errors
/// If data cannot be read, the runtime fails, or the job is cancelled.
pub fn evaluate_policies(
    engine: &Engine,
    networks: (&[u8], Option<&[u8]>),
    checker: &Checker,
    policies: &[Policy],
    sets: (&DataSet, Option<&DataSet>),
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<PolicyRow>, RepairError> {
    let policies: Vec<Policy> = policies
        .iter()
        .copied()
        .filter(|policy| *policy != Policy::Disagreement)
        .collect();
    let threads = rayon::current_num_threads();
    progress.start(Stage::Policies, 0);
    let mut networks = cancellable(engine, networks, threads, (progress, cancel))?;
    let (clean, backdoored) = sets;
    let on_clean = tallies(&mut networks, checker, &policies, clean, 1, cancel)?;
    let on_backdoored = backdoored
        .map(|set| tallies(&mut networks, checker, &policies, set, 1, cancel))
        .transpose()?;
    progress.finish();
    let rows = policies.iter().zip(&on_clean).enumerate();
    Ok(rows
        .map(|(index, (&policy, clean))| {
            let backdoored = on_backdoored.as_ref().map(|tallies| tallies[index]);
            PolicyRow {
                policy,
                clean_accuracy: clean.answered.into(),
                clean_flagged: clean.flagged.into(),
                attack_success_rate: backdoored.map(|tally| tally.answered.into()),
                backdoored_flagged: backdoored.map(|tally| tally.flagged.into()),
                clean_forward_passes: clean.passes as f64 / clean.answered.images.max(1) as f64,
            }
        })
        .collect())
}

/// Counts for each policy on one of `every` images of each batch of `data`.
fn tallies(
    networks: &mut [Cancellable<'_>],
    checker: &Checker,
    policies: &[Policy],
    data: &DataSet,
    every: usize,
    cancel: &Cancel,
) -> Result<Vec<PolicyTally>, RepairError> {
    let mut tallies = vec![PolicyTally::default(); policies.len()];
    for_each_chunk(data, cancel, |batch| {
        let answers = networks[0].classify(batch.images.view())?;
        let cases: Vec<Case<'_>> = cases(&batch, &answers)
            .into_iter()
            .step_by(every.max(1))
            .collect();
        for (policy, tally) in policies.iter().zip(&mut tallies) {
            let verdicts = verdicts(networks, checker, *policy, &cases)?;
            for (case, (flagged, passes)) in cases.iter().zip(verdicts) {
                tally
                    .answered
                    .count(case.answer.0 == case.label && !flagged);
                tally.flagged.count(flagged);
                tally.passes += passes;
            }
        }
        Ok(())
    })?;
    Ok(tallies)
}

fn cases<'a>(batch: &'a LabelledBatch, answers: &[ClassIndex]) -> Vec<Case<'a>> {
    answers
        .iter()
        .zip(&batch.labels)
        .enumerate()
        .map(|(row, (&answer, &label))| Case {
            image: batch.images.row(row),
            label,
            answer,
        })
        .collect()
}

//! Calibration and measurement of the policy `gated`.

use super::config::RepairConfig;
use super::data::Data;
use super::error::RepairError;
use super::evaluate::{BatchClasses, BundleNetworks};
use super::examine::Examined;
use super::measure::for_each_chunk;
use super::network::Network;
use crate::bundle::manifest::DataRole;
use crate::bundle::sha256_hex;
use crate::defence::artefacts::Artefacts;
use crate::defence::calibrate::measure::{AnsweredImage, verdicts};
use crate::defence::calibrate::{Answers, CalibrateError};
use crate::defence::clean::{CleanCollector, CleanSet};
use crate::defence::donors::Donors;
use crate::defence::{
    AttackRates, CalibrateOptions, Checker, Classify, Policy, SessionClassifier,
    calibrate as calibrate_check,
};
use crate::domain::label::ClassIndex;
use crate::domain::metrics::Share;
use crate::domain::sweep::Tally;
use crate::engine::{Engine, EngineError, SessionConfig};
use crate::input::InputSpec;
use crate::input::dataset::DataSet;
use crate::onnx::{Model, OnnxError, optimize};
use crate::progress::{Cancel, Progress, Stage};
use crate::tensor::{Tensor, TensorView};
use serde::Serialize;

/// Most clean images that a calibration looks at.
const MOST_IMAGES: usize = 3000;
/// Images of a batch while the networks' answers are collected.
const BATCH: usize = 64;

/// What the bundle keeps for the policy `gated`.
#[derive(Debug)]
pub(super) struct Defence {
    pub(super) artefacts: Artefacts,
    pub(super) donors: Donors,
}

/// Calibrates the check of the labels that the audit suspects, on the clean validation set and on nothing else.
pub(super) fn calibrate(
    config: &RepairConfig,
    network: &Network,
    data: &Data,
    examined: &Examined,
    engine: &Engine,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Defence, RepairError> {
    let seed = match config.defence_seed {
        Some(seed) => seed,
        None => seed_of(network, &data.clean)?,
    };
    progress.start(Stage::Calibrate, data.clean.len());
    let clean = collect(&network.input, &data.clean, seed, progress, cancel)?;
    progress.finish();
    progress.start(Stage::Checks, 0);
    let badnet = network.model.to_bytes();
    let repaired = examined.repaired.as_ref().ok();
    let repaired = repaired
        .map(|repaired| answers(engine, &repaired.bytes, &clean))
        .transpose()?;
    let found = calibrate_check(
        &mut sessions(engine, &badnet, progress, cancel)?,
        &clean,
        Answers {
            badnet: &answers(engine, &badnet, &clean)?,
            repaired: repaired.as_deref(),
        },
        &examined.report.verdict.labels,
        &CalibrateOptions {
            seed,
            ..CalibrateOptions::default()
        },
    );
    progress.finish();
    let (artefacts, donors) = found.map_err(|error| match error {
        CalibrateError::Network(error) => error,
        other => RepairError::Calibration(other.to_string()),
    })?;
    Ok(Defence { artefacts, donors })
}

/// The same inputs give the same bundle, and who does not have the owner's clean images cannot foresee the seed.
fn seed_of(network: &Network, clean: &DataSet) -> Result<u64, RepairError> {
    let digest = sha256_hex(format!("{} {}", network.source.sha256, clean.sha256()?).as_bytes());
    Ok(u64::from_str_radix(&digest[..16], 16).unwrap_or_default())
}

/// At most [`MOST_IMAGES`] images of `clean`, drawn with `seed`.
fn collect(
    spec: &InputSpec,
    clean: &DataSet,
    seed: u64,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<CleanSet, RepairError> {
    let mut collector = CleanCollector::new(spec, MOST_IMAGES, seed);
    for_each_chunk(clean, cancel, |batch| {
        collector
            .push(DataRole::Clean, batch.images.view(), &batch.labels)
            .map_err(|error| RepairError::Calibration(error.to_string()))?;
        progress.advance(batch.labels.len() as u64);
        Ok(())
    })?;
    Ok(collector.finish())
}

/// What the ONNX file `network` answers for every image of `clean`, in their order.
fn answers(
    engine: &Engine,
    network: &[u8],
    clean: &CleanSet,
) -> Result<Vec<ClassIndex>, RepairError> {
    let mut session = session(engine, &quick(network)?)?;
    let mut found = Vec::with_capacity(clean.len());
    for start in (0..clean.len()).step_by(BATCH) {
        let images = start..clean.len().min(start + BATCH);
        let shape = clean.grid().batch_shape(images.len());
        let data: Vec<f32> = images
            .flat_map(|image| clean.image(image))
            .copied()
            .collect();
        found.extend(session.classify(Tensor::new(shape, data).view())?);
    }
    Ok(found)
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
}

/// The ONNX file `network`, rewritten for speed ([`optimize`](mod@crate::onnx::optimize): the same answers up to
/// rounding).
fn quick(network: &[u8]) -> Result<Vec<u8>, EngineError> {
    let load = |error: OnnxError| EngineError::Load(error.to_string());
    Ok(optimize(&Model::from_bytes(network).map_err(load)?, &[]).to_bytes())
}

fn session(engine: &Engine, quick: &[u8]) -> Result<SessionClassifier, EngineError> {
    let session = engine.load(quick, &SessionConfig::default())?;
    Ok(SessionClassifier::new(session))
}

/// One session of the ONNX file `badnet` for each thread.
fn sessions<'a>(
    engine: &Engine,
    badnet: &[u8],
    progress: &'a dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<Cancellable<'a>>, RepairError> {
    let badnet = quick(badnet)?;
    (0..rayon::current_num_threads().max(1))
        .map(|_| {
            Ok(Cancellable {
                network: session(engine, &badnet)?,
                progress,
                cancel: cancel.clone(),
            })
        })
        .collect()
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

/// Backdoored images that a repair measures the policy on at most, spread over the whole set.
const MOST_BACKDOORED: u64 = 2000;

/// What `gated` does on the backdoored images of `data`; nothing where there are none.
pub(super) fn attack_rates(
    defence: &Defence,
    network: &Network,
    networks: &BundleNetworks,
    data: &Data,
    engine: &Engine,
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<Vec<AttackRates>, RepairError> {
    let Some(backdoored) = data.for_final_backdoored() else {
        return Ok(Vec::new());
    };
    let (artefacts, donors) = (defence.artefacts.clone(), defence.donors.clone());
    progress.start(Stage::Policies, 0);
    let mut gated = Gated {
        checker: &Checker::new(&network.input, artefacts, donors),
        networks,
        sessions: sessions(engine, &network.model.to_bytes(), progress, cancel)?,
    };
    let every = backdoored.len().div_ceil(MOST_BACKDOORED) as usize;
    let tally = gated.tally(backdoored, every, cancel)?;
    progress.finish();
    Ok(vec![AttackRates {
        policy: Policy::Gated,
        attack_success_rate: tally.answered.into(),
        backdoored_flagged: tally.flagged.into(),
    }])
}

/// Measures `gated` on `clean` and `backdoored`.
///
/// `badnet`: the bytes of B's ONNX file; `networks`: B and the repaired network.
///
/// # Errors
/// If data cannot be read, the runtime fails, or the job is cancelled.
pub fn evaluate_gated(
    engine: &Engine,
    badnet: &[u8],
    networks: &BundleNetworks,
    checker: &Checker,
    (clean, backdoored): (&DataSet, Option<&DataSet>),
    progress: &dyn Progress,
    cancel: &Cancel,
) -> Result<PolicyRow, RepairError> {
    progress.start(Stage::Policies, 0);
    let mut gated = Gated {
        checker,
        networks,
        sessions: sessions(engine, badnet, progress, cancel)?,
    };
    let clean = gated.tally(clean, 1, cancel)?;
    let backdoored = backdoored
        .map(|set| gated.tally(set, 1, cancel))
        .transpose()?;
    progress.finish();
    Ok(PolicyRow {
        policy: Policy::Gated,
        clean_accuracy: clean.answered.into(),
        clean_flagged: clean.flagged.into(),
        attack_success_rate: backdoored.map(|tally| tally.answered.into()),
        backdoored_flagged: backdoored.map(|tally| tally.flagged.into()),
        clean_forward_passes: clean.passes as f64 / clean.answered.images.max(1) as f64,
    })
}

/// Everything that `gated` asks.
struct Gated<'a> {
    checker: &'a Checker,
    networks: &'a BundleNetworks,
    sessions: Vec<Cancellable<'a>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct PolicyTally {
    answered: Tally,
    flagged: Tally,
    passes: usize,
}

impl Gated<'_> {
    /// Counts on one of `every` images of each batch of `data`.
    fn tally(
        &mut self,
        data: &DataSet,
        every: usize,
        cancel: &Cancel,
    ) -> Result<PolicyTally, RepairError> {
        let mut tally = PolicyTally::default();
        for_each_chunk(data, cancel, |batch| {
            let BatchClasses {
                badnet, repaired, ..
            } = self.networks.answers(&batch.images)?;
            let cases: Vec<AnsweredImage<'_>> = (0..badnet.len())
                .step_by(every.max(1))
                .map(|row| AnsweredImage {
                    image: batch.images.row(row),
                    label: batch.labels[row],
                    answer: ClassIndex(badnet[row]),
                    repaired: repaired.as_ref().map(|classes| ClassIndex(classes[row])),
                })
                .collect();
            let found = verdicts(&mut self.sessions, self.checker, &cases)?;
            for (case, (flagged, passes)) in cases.iter().zip(found) {
                let answered = case.answer.0 == case.label && !flagged;
                tally.answered.count(answered);
                tally.flagged.count(flagged);
                tally.passes += passes;
            }
            Ok(())
        })?;
        Ok(tally)
    }
}

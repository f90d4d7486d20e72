//! Offline: donors, suspect labels and thresholds from the clean validation images.
//!
//! In reading order: this file (the flow), `thresholds` (from scores of clean images), [`measure`](mod@measure) (what a policy
//! does on a set of images).

pub mod measure;
mod thresholds;

use measure::{Case, passes, rates};
use thresholds::{Scored, held_out_flags};

use super::artefacts::{Artefacts, Source, StripScope};
use super::checker::Checker;
use super::classify::{Classify, SessionClassifier};
use super::clean::CleanSet;
use super::donors::{self, Donors};
use super::policy::Policy;
use super::random::Draws;
use super::suspects::hijack::{Labelled, in_parallel};
use super::suspects::{Report, SuspectOptions, discover};
use super::{strip, transplant};
use crate::domain::label::ClassIndex;
use crate::engine::{Engine, EngineError, SessionConfig};
use crate::onnx::{Model, OnnxError, optimize};
use crate::tensor::TensorView;

/// How to calibrate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrateOptions {
    /// The deployment's secret.
    pub seed: u64,
    /// Share of clean images that a check of every answer may flag.
    pub budget: f64,
    /// The same for each check of the layered policy where the label is not suspect.
    pub layered_budget: f64,
    /// Share of clean images that a check of a suspect label may flag, if all had a suspect label.
    pub suspect_budget: f64,
    /// Share of clean images that have a suspect label and are flagged by transplant for it.
    pub suspect_traffic: f64,
    /// Donors that go into the bundle.
    pub donors: usize,
    /// Most images that thresholds are set on.
    pub images: usize,
    /// Mean forward passes on clean traffic that the layered policy may cost.
    pub passes: f64,
    /// The transplant check of every answer.
    pub transplant: transplant::Rule,
    /// The transplant check of suspect labels.
    pub suspect_transplant: transplant::Rule,
    /// The blending check.
    pub strip: strip::Rule,
    /// The discovery of suspect labels.
    pub suspects: SuspectOptions,
    /// Do the networks have a second one beside them?
    pub second: bool,
}

impl Default for CalibrateOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            budget: 0.01,
            layered_budget: 0.003,
            suspect_budget: 0.03,
            suspect_traffic: 0.005,
            donors: 96,
            images: 1000,
            passes: 12.0,
            transplant: transplant::Rule::EVERY,
            suspect_transplant: transplant::Rule::SUSPECT,
            strip: strip::Rule::default(),
            suspects: SuspectOptions::default(),
            second: false,
        }
    }
}

/// Fewest rightly answered images that can be split into donors and others.
const FEWEST_RIGHT: usize = 16;
/// Images of a batch while B's answers are collected.
const BATCH: usize = 64;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// B's answers on the clean images.
    Answers,
    /// Suspect labels.
    Suspects,
    /// Scores of clean images.
    Scores,
    /// Each policy on the calibration images.
    Policies,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Answers => "answers on clean images",
            Self::Suspects => "suspect labels",
            Self::Scores => "scores of clean images",
            Self::Policies => "policies on clean images",
        })
    }
}

/// Why a calibration failed.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError<E> {
    /// Too few images to paste onto and to set thresholds on.
    #[error(
        "expected at least {FEWEST_RIGHT} clean images that the network answers rightly, found {right} among {images}"
    )]
    TooFew {
        /// Images answered rightly.
        right: usize,
        /// Clean images.
        images: usize,
    },
    /// There is no network to ask.
    #[error("expected at least one session")]
    NoNetwork,
    /// The network failed.
    #[error(transparent)]
    Network(#[from] E),
}

/// `threads` sessions of the ONNX file `badnet`, and of `second` beside it, rewritten for speed
/// ([`optimize`](mod@crate::onnx::optimize): the same answers up to rounding).
///
/// # Errors
/// If the runtime refuses the model.
pub fn sessions(
    engine: &Engine,
    badnet: &[u8],
    second: Option<&[u8]>,
    threads: usize,
) -> Result<Vec<SessionClassifier>, EngineError> {
    let quick = |model: &[u8]| -> Result<Vec<u8>, EngineError> {
        let load = |error: OnnxError| EngineError::Load(error.to_string());
        Ok(optimize(&Model::from_bytes(model).map_err(load)?, &[]).to_bytes())
    };
    let badnet = quick(badnet)?;
    let second = second.map(quick).transpose()?;
    let session = |model: &Vec<u8>| engine.load(model, &SessionConfig::default());
    (0..threads.max(1))
        .map(|_| {
            let second = second.as_ref().map(session).transpose()?;
            Ok(SessionClassifier::new(session(&badnet)?).with_second(second))
        })
        .collect()
}

/// Draws donors, finds suspect labels and sets every threshold, from `clean` and nothing else.
///
/// `networks`: sessions of B, one thread each. `classes`: N. Deterministic for the seed in `options`, whatever the
/// number of threads.
///
/// # Errors
/// If too few images are answered rightly or a network fails.
pub fn calibrate<C>(
    networks: &mut [C],
    classes: u32,
    clean: &CleanSet,
    options: &CalibrateOptions,
    progress: &mut dyn FnMut(Stage),
) -> Result<(Artefacts, Donors), CalibrateError<C::Error>>
where
    C: Classify + Send,
    C::Error: Send,
{
    if networks.is_empty() {
        return Err(CalibrateError::NoNetwork);
    }
    progress(Stage::Answers);
    let answers = answers(networks, clean)?;
    let right: Vec<usize> = (0..clean.len())
        .filter(|&image| answers[image].0 == clean.label(image))
        .collect();
    if right.len() < FEWEST_RIGHT {
        return Err(CalibrateError::TooFew {
            right: right.len(),
            images: clean.len(),
        });
    }
    progress(Stage::Suspects);
    let suspects = find_suspects(networks, classes, clean, &right, options)?;
    let split = Split::new(clean, &right, options);
    let source = Source {
        data: "clean validation images".to_owned(),
        images: clean.len() as u64,
        right: right.len() as u64,
        calibrated_on: split.others.len() as u64,
    };
    let donors = donors::gather(clean, &split.donors);
    let artefacts = thresholds::open(source, &donors, suspects, options);
    let mut checker = Checker::on_grid(clean.grid().clone(), artefacts, donors);
    let cases: Vec<Case<'_>> = split
        .others
        .iter()
        .map(|&image| Case {
            image: clean.image(image),
            label: clean.label(image),
            answer: answers[image],
        })
        .collect();
    progress(Stage::Scores);
    let scores = thresholds::scores(networks, &checker, &cases)?;
    let artefacts = thresholds::set(checker.artefacts(), &scores, options);
    checker = Checker::on_grid(clean.grid().clone(), artefacts, checker.donors().clone());
    progress(Stage::Policies);
    settle(networks, &checker, &cases, &scores, options)
}

/// Which clean images are donors and which thresholds are set on.
struct Split {
    donors: Vec<usize>,
    others: Vec<usize>,
}

impl Split {
    fn new(clean: &CleanSet, right: &[usize], options: &CalibrateOptions) -> Self {
        // At most a third of a small set goes to the donors: thresholds need images too.
        let count = options.donors.min(right.len() / 3);
        let donors = donors::choose(clean, right, count, options.seed);
        let mut others: Vec<usize> = (0..clean.len())
            .filter(|image| !donors.contains(image))
            .collect();
        let mut draws = Draws::numbered(options.seed, "calibration", 0);
        others = draws
            .sample(others.len(), options.images)
            .into_iter()
            .map(|place| others[place])
            .collect();
        Self { donors, others }
    }
}

fn answers<C>(networks: &mut [C], clean: &CleanSet) -> Result<Vec<ClassIndex>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    let batches = clean.len().div_ceil(BATCH);
    let answers = in_parallel(networks, batches, |network, batch| {
        let images = batch * BATCH..((batch + 1) * BATCH).min(clean.len());
        let shape = clean.grid().batch_shape(images.len());
        let data: Vec<f32> = images
            .flat_map(|image| clean.image(image))
            .copied()
            .collect();
        network.classify(TensorView {
            shape: &shape,
            data: &data,
        })
    })?;
    Ok(answers.into_iter().flatten().collect())
}

fn find_suspects<C>(
    networks: &mut [C],
    classes: u32,
    clean: &CleanSet,
    right: &[usize],
    options: &CalibrateOptions,
) -> Result<Report, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    // In random order: data sets are often sorted by label, and the discovery keeps the first images apart.
    let order = Draws::numbered(options.seed, "suspects", 0).sample(right.len(), right.len());
    let images: Vec<Labelled<'_>> = order
        .into_iter()
        .map(|place| (clean.image(right[place]), clean.label(right[place])))
        .collect();
    discover(
        networks,
        clean.grid(),
        &images,
        classes,
        &options.suspects,
        options.seed,
    )
}

/// Measures every policy on images held out of its thresholds, and takes blending back to suspect labels where it makes the layered policy too dear.
fn settle<C>(
    networks: &mut [C],
    checker: &Checker,
    cases: &[Case<'_>],
    scored: &[Scored],
    options: &CalibrateOptions,
) -> Result<(Artefacts, Donors), CalibrateError<C::Error>>
where
    C: Classify + Send,
    C::Error: Send,
{
    let (grid, donors) = (checker.grid().clone(), checker.donors().clone());
    let mut artefacts = checker.artefacts().clone();
    let layered = passes(networks, checker, Policy::Layered, cases)?;
    if layered as f64 > options.passes * cases.len() as f64 {
        artefacts.layered.strip_scope = StripScope::Suspects;
    }
    let checker = Checker::on_grid(grid, artefacts.clone(), donors.clone());
    let second = second_answers(networks, &checker, cases)?;
    for policy in checker.artefacts().policies() {
        let mut flagged = held_out_flags(checker.artefacts(), scored, policy, options);
        for ((flagged, case), second) in flagged.iter_mut().zip(cases).zip(&second) {
            let asked = checker.artefacts().asks_second(policy, case.answer.0);
            *flagged |= asked && *second != Some(case.answer);
        }
        let passes = passes(networks, &checker, policy, cases)?;
        artefacts
            .measured
            .push(rates(policy, cases, &flagged, passes));
    }
    Ok((artefacts, donors))
}

/// What the second network answers where B's answer is suspect.
fn second_answers<C>(
    networks: &mut [C],
    checker: &Checker,
    cases: &[Case<'_>],
) -> Result<Vec<Option<ClassIndex>>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    in_parallel(networks, cases.len(), |network, index| {
        let Case { image, answer, .. } = cases[index];
        if !checker.is_suspect(answer) {
            return Ok(None);
        }
        checker.second(network, image)
    })
}

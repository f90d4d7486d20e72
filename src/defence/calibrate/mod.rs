//! Offline: donors and thresholds from the clean validation images.
//!
//! In reading order: this file (the flow), `thresholds` (from scores of clean images), [`measure`](mod@measure) (what the policy
//! does on a set of images).

pub mod measure;
mod options;
mod thresholds;

pub use options::CalibrateOptions;

use measure::{AnsweredImage, passes, rates};
use thresholds::{Scored, held_out_flags};

use super::artefacts::{Artefacts, Source};
use super::checker::Checker;
use super::classify::Classify;
use super::clean::CleanSet;
use super::donors::{self, Donors};
use super::random::Draws;
use crate::domain::label::ClassIndex;
use crate::parallel::in_parallel;

/// Fewest rightly answered images that can be split into donors and others.
const FEWEST_RIGHT: usize = 16;

/// What B and, where there is one, the repaired network answer for the clean images, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// B's.
    pub badnet: &'a [ClassIndex],
    /// The repaired network's.
    pub repaired: Option<&'a [ClassIndex]>,
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

/// Draws donors and sets the threshold of each of the `suspects` (the clearest first), from `clean` and nothing else.
///
/// `networks`: sessions of B, one thread each. Deterministic for the seed in `options`, whatever the number of threads.
///
/// # Errors
/// If too few images are answered rightly or a network fails.
pub fn calibrate<C>(
    networks: &mut [C],
    clean: &CleanSet,
    answers: Answers<'_>,
    suspects: &[u32],
    options: &CalibrateOptions,
) -> Result<(Artefacts, Donors), CalibrateError<C::Error>>
where
    C: Classify + Send,
    C::Error: Send,
{
    if networks.is_empty() {
        return Err(CalibrateError::NoNetwork);
    }
    let right: Vec<usize> = (0..clean.len())
        .filter(|&image| answers.badnet[image].0 == clean.label(image))
        .collect();
    if right.len() < FEWEST_RIGHT {
        return Err(CalibrateError::TooFew {
            right: right.len(),
            images: clean.len(),
        });
    }
    let split = Split::new(clean, &right, options);
    let source = Source {
        data: "clean validation images".to_owned(),
        images: clean.len() as u64,
        right: right.len() as u64,
        calibrated_on: split.others.len() as u64,
    };
    let donors = donors::gather(clean, &split.donors);
    let open = thresholds::open(source, &donors, options);
    let checker = Checker::on_grid(clean.grid().clone(), open, donors);
    let cases: Vec<AnsweredImage<'_>> = split
        .others
        .iter()
        .map(|&image| AnsweredImage {
            image: clean.image(image),
            label: clean.label(image),
            answer: answers.badnet[image],
            repaired: answers.repaired.map(|answers| answers[image]),
        })
        .collect();
    let scored = scores(networks, &checker, suspects, &cases)?;
    let set = thresholds::set(checker.artefacts(), suspects, &scored, options);
    let checker = Checker::on_grid(clean.grid().clone(), set, checker.donors().clone());
    let mut flagged = held_out_flags(checker.artefacts(), suspects, &scored, options);
    for (flagged, case) in flagged.iter_mut().zip(&cases) {
        *flagged |= case.is_flagged_by_repaired();
    }
    let passes = passes(networks, &checker, &cases)?;
    let mut artefacts = checker.artefacts().clone();
    artefacts.measured = rates(&cases, &flagged, passes);
    Ok((artefacts, checker.donors().clone()))
}

/// The score of every image, as if its label were suspect; 0 where no label is.
fn scores<C>(
    networks: &mut [C],
    checker: &Checker,
    suspects: &[u32],
    cases: &[AnsweredImage<'_>],
) -> Result<Vec<Scored>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    in_parallel(networks, cases.len(), |network, index| {
        let AnsweredImage { image, answer, .. } = cases[index];
        let hits = match suspects {
            [] => 0,
            _ => checker.score(network, image, answer)?,
        };
        Ok(Scored {
            answer: answer.0,
            hits,
        })
    })
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

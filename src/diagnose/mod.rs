//! Is the network fed what it was trained on, and asked for what it was trained to answer?
//!
//! In reading order: this file (the flow), `scores` (what the answers are), `ways` (other usual ways to feed a network).

mod scores;
mod ways;

use crate::engine::{Engine, EngineError, Replicas};
use crate::input::InputSpec;
use crate::input::dataset::{DataError, DataSet, Sample};
use crate::onnx::head::{self, Head};
use crate::onnx::{Model, OnnxError};
use crate::progress::Progress;
use scores::{PredictedClasses, Proved, mixes_images, scores, what_scores_prove};

/// Images that the check looks at.
const IMAGES: usize = 256;
/// Blank images that are more than one in so many are told.
const FEW: usize = 20;
/// Another way of feeding that is better by this share is told.
const WORTH_TELLING: f64 = 0.05;
/// Another way of feeding that is better by this share is the right one.
const CLEARLY_BETTER: f64 = 0.10;

/// A network and how it is fed.
#[derive(Debug)]
pub(crate) struct Questioned<'a> {
    /// The network, ending in probabilities as far as its graph tells.
    pub(crate) model: &'a Model,
    /// The network as delivered, where an operator was put behind its scores.
    pub(crate) as_delivered: Option<Model>,
    /// What it is fed.
    pub(crate) input: &'a InputSpec,
    /// Number of classes N.
    pub(crate) classes: u32,
}

/// Why network and clean images are of no use together.
#[derive(Debug, thiserror::Error)]
pub enum DiagnoseError {
    /// The network answers the clean images no better than chance, or the like.
    #[error("{0}; nothing was written (--allow-poor goes on all the same)")]
    Poor(String),
    /// A score of the network is not finite.
    #[error(
        "expected finite scores, found {score} for clean image {image} of those looked at; check the network and --scale, --mean, --std"
    )]
    NotFinite {
        /// The score.
        score: f32,
        /// The image, counted within the sample.
        image: usize,
    },
    /// An image cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The runtime failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Checks the answers on a sample of the clean images before the long work begins.
///
/// Gives the network as delivered where its scores turn out to be probabilities, whatever the graph looks like.
///
/// # Errors
/// [`DiagnoseError::NotFinite`] if a score is not finite. [`DiagnoseError::Poor`], unless `insist`, if all labels are the same,
/// the answer for an image depends on the images beside it, scores are percentages,
/// accuracy is near chance, or another usual way of feeding is clearly better; only a warning then with `insist`.
pub(crate) fn check(
    questioned: Questioned<'_>,
    clean: &DataSet,
    engine: &Engine,
    progress: &dyn Progress,
    insist: bool,
) -> Result<Option<Model>, DiagnoseError> {
    let Questioned {
        model,
        as_delivered,
        input,
        classes,
    } = questioned;
    let sample = clean.sample(IMAGES)?;
    let (images, blank) = (sample.labels.len(), sample.blank());
    if blank * FEW > images {
        progress.warn(&format!(
            "{blank} of {images} clean images looked at are of one value throughout, as those are that were never written"
        ));
    }
    let asked = as_delivered.as_ref().unwrap_or(model);
    let proved = what_scores_prove(asked, as_delivered.is_some(), input, &sample, engine)?;
    let proven = as_delivered.filter(|_| proved == Proved::Probabilities);
    if proven.is_some() {
        progress.warn(
            "the network's scores are within 0 to 1 and sum to 1 on every image looked at: they are taken for probabilities",
        );
    }
    let session = Replicas::load(engine, &proven.as_ref().unwrap_or(model).to_bytes())?;
    let reason = match proved {
        Proved::Percentages => Some(scores::PERCENTAGES.to_owned()),
        Proved::Probabilities | Proved::Nothing => {
            accuracy_fault(&session, input, classes, clean, &sample, progress)?
        }
    };
    match reason {
        Some(reason) if !insist => Err(DiagnoseError::Poor(reason)),
        Some(reason) => {
            progress.warn(&reason);
            Ok(proven)
        }
        None => Ok(proven),
    }
}

/// The last linear layer of a network that [`check`] looked at, whose scores are `proven` probabilities or seen to be from the graph.
///
/// # Errors
/// As [`head::find`]; where probabilities are proven, what is linear behind the features gives these and no logits.
pub(crate) fn head(model: &Model, proven: bool) -> Result<Head, OnnxError> {
    match proven {
        true => Err(OnnxError::Head(
            "probabilities that come of another operator than a Softmax".to_owned(),
        )),
        false => head::find(model),
    }
}

/// Why the answers of the network are of no use, if they are not; what is only worth telling is told.
fn accuracy_fault(
    session: &Replicas,
    input: &InputSpec,
    classes: u32,
    clean: &DataSet,
    sample: &Sample,
    progress: &dyn Progress,
) -> Result<Option<String>, DiagnoseError> {
    let images = sample.feed(input);
    let scores = scores(session, &images)?;
    if let Some(reason) =
        mixes_images(session, &images, &scores, input)?.or_else(|| one_label(clean))
    {
        return Ok(Some(reason));
    }
    let answers = PredictedClasses::from_scores(&scores);
    let share = answers.share(&sample.labels);
    let near_chance = share <= near_chance(classes);
    // No other way could be better by as much.
    if !near_chance && 1.0 - share < WORTH_TELLING {
        return Ok(None);
    }
    let best = ways::best(session, input, clean, sample, &answers)?;
    let gain = best.as_ref().map_or(0.0, |(_, better)| better - share);
    if !near_chance && gain < WORTH_TELLING {
        return Ok(None);
    }
    let chance = 100.0 / f64::from(classes);
    let found = format!(
        "clean accuracy is {:.1} % on {} of the clean images{}",
        100.0 * share,
        sample.labels.len(),
        if near_chance {
            format!(", near chance ({chance:.2} %)")
        } else {
            String::new()
        }
    );
    let advice = match best {
        Some((name, better)) if gain >= WORTH_TELLING => {
            format!("with {name} it is {:.1} %", 100.0 * better)
        }
        _ => format!(
            "no usual pixel scale, colour order or numbering of the classes does better; {}",
            answers.sign(&scores)
        ),
    };
    let reason = format!("{found}: {advice}");
    if near_chance || gain >= CLEARLY_BETTER {
        return Ok(Some(reason));
    }
    progress.warn(&reason);
    Ok(None)
}

/// Clean accuracy up to which a network of `classes` classes is near chance.
///
/// 1.5/N, or 3/N where that is at most 20 %; at most 60 %.
fn near_chance(classes: u32) -> f64 {
    let chance = 1.0 / f64::from(classes);
    (1.5 * chance).max((3.0 * chance).min(0.2)).min(0.6)
}

/// Why labels that are all the same cannot be a clean set.
fn one_label(clean: &DataSet) -> Option<String> {
    let labels = clean.labels();
    let first = labels.first()?;
    if labels.iter().any(|label| label != first) {
        return None;
    }
    let name = clean.name();
    Some(match labels.len() {
        1 => format!("{name}: expected clean images of several classes, found one image"),
        images => format!(
            "{name}: expected clean images of several classes, found label {first} on all {images}; backdoored images with \
             their target label look like this, and belong to --backdoored"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::near_chance;

    #[test]
    fn near_chance_is_relative_to_the_number_of_classes() {
        for (classes, share) in [(2, 0.6), (3, 0.5), (4, 0.375), (10, 0.2), (49, 3.0 / 49.0)] {
            assert!((near_chance(classes) - share).abs() < 1e-9, "{classes}");
        }
    }
}

//! What the answers of a network are: probabilities, percentages, not finite, mixed over the batch; and what they say of a fault.

use super::DiagnoseError;
use crate::domain::scores::argmax;
use crate::engine::{Engine, Replicas};
use crate::input::InputSpec;
use crate::input::dataset::Sample;
use crate::onnx::Model;
use crate::tensor::Tensor;

/// What rounding may take off a sum of probabilities, or add to it: some networks round to three digits.
const TOLERANCE: f32 = 0.02;
/// A probability that differs by more than this between an image alone and among others is no rounding.
const MIXED: f32 = 0.05;

/// Why percentages are of no use.
pub(super) const PERCENTAGES: &str = "expected probabilities or logits, found scores from 0 to 100 that sum to 100 on every image looked at: \
     percentages; divide them by 100 at the end of the network";

/// What the scores of a network that the graph tells nothing of are, seen on clean images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proved {
    /// Within 0..1 and of sum 1, all of them.
    Probabilities,
    /// Within 0..100 and of sum 100, all of them.
    Percentages,
    /// Neither, or nobody asked.
    Nothing,
}

/// What the scores of `model` prove to be, `asked` whether they prove anything; scores that are not finite are refused in any case.
pub(super) fn what_scores_prove(
    model: &Model,
    asked: bool,
    input: &InputSpec,
    sample: &Sample,
    engine: &Engine,
) -> Result<Proved, DiagnoseError> {
    let session = Replicas::load(engine, &model.to_bytes())?;
    let scores = scores(&session, &sample.feed(input))?;
    let row_len = scores.row_len();
    if let Some(at) = scores.data.iter().position(|score| !score.is_finite()) {
        return Err(DiagnoseError::NotFinite {
            score: scores.data[at],
            image: at / row_len.max(1),
        });
    }
    let all_sum_to = |sum: f32| (0..scores.rows()).all(|row| are_shares(scores.row(row), sum));
    Ok(match asked {
        true if all_sum_to(1.0) => Proved::Probabilities,
        true if all_sum_to(100.0) => Proved::Percentages,
        _ => Proved::Nothing,
    })
}

/// Are the scores of one image within 0..`sum`, and is that their sum?
fn are_shares(row: &[f32], sum: f32) -> bool {
    let slack = TOLERANCE * sum;
    let inside = |score: &f32| (-slack..=sum + slack).contains(score);
    row.iter().all(inside) && (row.iter().sum::<f32>() - sum).abs() <= slack
}

/// Why the answer for an image is no answer where it depends on the images beside it.
pub(super) fn mixes_images(
    session: &Replicas,
    images: &Tensor,
    together: &Tensor,
    spec: &InputSpec,
) -> Result<Option<String>, DiagnoseError> {
    if images.rows() < 2 {
        return Ok(None);
    }
    let alone = Tensor::new(spec.batch_shape(1), images.row(0).to_vec());
    let alone = scores(session, &alone)?;
    let pairs = alone.data.iter().zip(together.row(0));
    let gap = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    Ok((gap > MIXED).then(|| {
        format!(
            "expected the same answer for an image alone and among others, found probabilities that differ by {gap:.2}: the \
             network mixes the images of a batch (a Softmax or a normalisation over axis 0, say)"
        )
    }))
}

/// The scores of `images`.
pub(super) fn scores(session: &Replicas, images: &Tensor) -> Result<Tensor, DiagnoseError> {
    let outputs = session.run(&[images])?;
    Ok(outputs.into_iter().next().unwrap_or_default())
}

/// The classes that a network answers.
pub(super) struct PredictedClasses(pub(super) Vec<u32>);

impl PredictedClasses {
    pub(super) fn from_scores(scores: &Tensor) -> Self {
        let rows = 0..scores.rows();
        Self(rows.map(|row| argmax(scores.row(row)).0).collect())
    }

    pub(super) fn share(&self, labels: &[u32]) -> f64 {
        self.share_where(labels, Some)
    }

    /// The share that is right where label l is taken to be `to(l)`.
    pub(super) fn share_where(&self, labels: &[u32], to: impl Fn(u32) -> Option<u32>) -> f64 {
        let pairs = self.0.iter().zip(labels);
        let right = pairs.filter(|(answer, label)| to(**label) == Some(**answer));
        right.count() as f64 / self.0.len().max(1) as f64
    }

    /// What the answers themselves say of the reason.
    pub(super) fn sign(&self, scores: &Tensor) -> String {
        let images = self.0.len().max(1);
        let mut counts = std::collections::BTreeMap::new();
        for &answer in &self.0 {
            *counts.entry(answer).or_insert(0usize) += 1;
        }
        let (class, most) = counts
            .iter()
            .max_by_key(|(_, count)| **count)
            .map_or((0, 0), |(&class, &count)| (class, count));
        if 2 * most > images {
            return format!(
                "the network answers class {class} on {:.0} % of the images, as networks do that are fed other pixels than they \
                 were trained on: check --scale, --mean, --std and the image layout",
                100.0 * most as f64 / images as f64
            );
        }
        let sure: f32 = (0..scores.rows())
            .map(|row| scores.row(row).iter().copied().fold(0.0, f32::max))
            .sum::<f32>()
            / images as f32;
        format!(
            "the network spreads its answers over {} classes (mean probability {sure:.2}): if that is high, the labels are \
             shuffled, in another order or of another data set; if it is low, the pixels are not what it was trained on",
            counts.len()
        )
    }
}

//! Is the network fed what it was trained on, and asked for what it was trained to answer?

use super::error::RepairError;
use super::network::Network;
use crate::domain::scores::argmax;
use crate::engine::Engine;
use crate::engine::Replicas;
use crate::input::InputSpec;
use crate::input::dataset::{DataSet, Sample};
use crate::input::spec::ColorOrder;
use crate::progress::Progress;
use crate::tensor::Tensor;

/// Images that the check looks at.
const IMAGES: usize = 256;
/// Another way of feeding that is better by this share is told.
const WORTH_TELLING: f64 = 0.05;
/// Another way of feeding that is better by this share is the right one.
const CLEARLY_BETTER: f64 = 0.10;
/// Images that another way of feeding is tried on first.
const FIRST_IMAGES: usize = 64;
/// A way that is worse by more than this on the first images is not tried on the others.
const CLEARLY_WORSE: f64 = 0.15;
/// What rounding may take off a sum of probabilities, or add to it.
const TOLERANCE: f32 = 1e-3;
/// A probability that differs by more than this between an image alone and among others is no rounding.
const MIXED: f32 = 0.05;

/// Checks the answers on a sample of the clean images before the long work begins.
///
/// Scores that turn out to be probabilities are taken as they are from here on, whatever the graph looks like.
///
/// # Errors
/// [`RepairError::NotFinite`] if a score is not finite. [`RepairError::Poor`], unless `insist`, if all labels are the same,
/// the answer for an image depends on the images beside it, scores are percentages,
/// accuracy is near chance, or another usual way of feeding is clearly better; only a warning then with `insist`.
pub(super) fn check(
    network: &mut Network,
    clean: &DataSet,
    engine: &Engine,
    progress: &dyn Progress,
    insist: bool,
) -> Result<(), RepairError> {
    let sample = clean.sample(IMAGES)?;
    let reason = check_scores(network, &sample, engine, progress)?;
    let session = Replicas::load(engine, &network.model.to_bytes())?;
    let images = sample.feed(&network.input);
    let scores = scores(&session, &images)?;
    let mixed = mixes_images(&session, &images, &scores, &network.input)?;
    if let Some(reason) = reason.or(mixed) {
        return refuse_unless_insisted(reason, progress, insist);
    }
    let answers = PredictedClasses::from_scores(&scores);
    if let Some(reason) = one_label(clean) {
        return refuse_unless_insisted(reason, progress, insist);
    }
    let share = answers.share(&sample.labels);
    let near_chance = share <= near_chance(network.classes);
    // No other way could be better by as much.
    if !near_chance && 1.0 - share < WORTH_TELLING {
        return Ok(());
    }
    let best = best_alternative(network, clean, &sample, &session, &answers)?;
    let gain = best.as_ref().map_or(0.0, |(_, better)| better - share);
    if !near_chance && gain < WORTH_TELLING {
        return Ok(());
    }
    let chance = 100.0 / f64::from(network.classes);
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
        return refuse_unless_insisted(reason, progress, insist);
    }
    progress.warn(&reason);
    Ok(())
}

/// Refuses the data, or says why it should be.
pub(super) fn refuse_unless_insisted(
    reason: String,
    progress: &dyn Progress,
    insist: bool,
) -> Result<(), RepairError> {
    if insist {
        progress.warn(&reason);
        return Ok(());
    }
    Err(RepairError::Poor(reason))
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

/// Why the answer for an image is no answer where it depends on the images beside it.
fn mixes_images(
    session: &Replicas,
    images: &Tensor,
    together: &Tensor,
    spec: &InputSpec,
) -> Result<Option<String>, RepairError> {
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

/// Looks at the scores as the network gives them: not finite, or probabilities already? Gives why they can be neither these
/// nor logits.
fn check_scores(
    network: &mut Network,
    sample: &Sample,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<Option<String>, RepairError> {
    let as_delivered = network.as_delivered.take();
    let model = as_delivered.as_ref().unwrap_or(&network.model);
    let session = Replicas::load(engine, &model.to_bytes())?;
    let scores = scores(&session, &sample.feed(&network.input))?;
    let row_len = scores.row_len();
    if let Some(at) = scores.data.iter().position(|score| !score.is_finite()) {
        return Err(RepairError::NotFinite {
            score: scores.data[at],
            image: at / row_len.max(1),
        });
    }
    let is_distribution = |row: &[f32]| {
        let inside = |score: &f32| (-TOLERANCE..=1.0 + TOLERANCE).contains(score);
        row.iter().all(inside) && (row.iter().sum::<f32>() - 1.0).abs() <= TOLERANCE
    };
    let Some(as_delivered) = as_delivered else {
        return Ok(None);
    };
    let is_percentage = |row: &[f32]| {
        let sum: f32 = row.iter().sum();
        row.iter().all(|&score| score >= -TOLERANCE) && (sum - 100.0).abs() <= 100.0 * TOLERANCE
    };
    if (0..scores.rows()).all(|row| is_percentage(scores.row(row))) {
        let reason = "expected probabilities or logits, found scores from 0 to 100 that sum to 100 on every image looked at: \
                      percentages; divide them by 100 at the end of the network";
        return Ok(Some(reason.to_owned()));
    }
    if (0..scores.rows()).all(|row| is_distribution(scores.row(row))) {
        progress.warn(
            "the network's scores are within 0 to 1 and sum to 1 on every image looked at: they are taken for probabilities",
        );
        network.model = as_delivered;
    }
    Ok(None)
}

fn scores(session: &Replicas, images: &Tensor) -> Result<Tensor, RepairError> {
    let outputs = session.run(&[images])?;
    Ok(outputs.into_iter().next().unwrap_or_default())
}

/// The classes that a network answers.
struct PredictedClasses(Vec<u32>);

impl PredictedClasses {
    fn from_scores(scores: &Tensor) -> Self {
        let rows = 0..scores.rows();
        Self(rows.map(|row| argmax(scores.row(row)).0).collect())
    }

    fn share(&self, labels: &[u32]) -> f64 {
        self.share_where(labels, Some)
    }

    /// The share that is right where label l is taken to be `to(l)`.
    fn share_where(&self, labels: &[u32], to: impl Fn(u32) -> Option<u32>) -> f64 {
        let pairs = self.0.iter().zip(labels);
        let right = pairs.filter(|(answer, label)| to(**label) == Some(**answer));
        right.count() as f64 / self.0.len().max(1) as f64
    }

    /// What the answers themselves say of the reason.
    fn sign(&self, scores: &Tensor) -> String {
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

/// The best of the other ways to feed the network or to number its classes, with its accuracy.
fn best_alternative(
    network: &Network,
    clean: &DataSet,
    sample: &Sample,
    session: &Replicas,
    answers: &PredictedClasses,
) -> Result<Option<(String, f64)>, RepairError> {
    let mut ways = Vec::new();
    let step = sample.labels.len().div_ceil(FIRST_IMAGES).max(1);
    let first = PredictedClasses(answers.0.iter().step_by(step).copied().collect());
    let least = first.share(&sample.every(step).labels) - CLEARLY_WORSE;
    let share = |images: &Sample, spec: &InputSpec| -> Result<f64, RepairError> {
        let scores = scores(session, &images.feed(spec))?;
        Ok(PredictedClasses::from_scores(&scores).share(&images.labels))
    };
    let mut try_way = |name: String, images: &Sample, spec: &InputSpec| {
        if step == 1 || share(&images.every(step), spec)? >= least {
            ways.push((name, share(images, spec)?));
        }
        Ok::<_, RepairError>(())
    };
    for (name, spec) in alternatives(&network.input) {
        try_way(name, sample, &spec)?;
    }
    if let Some(swapped) = sample.transposed(&network.input) {
        let name = "rows and columns of every image swapped in the file (MATLAB stores them the other way round)";
        try_way(name.to_owned(), &swapped, &network.input)?;
    }
    let labels = &sample.labels;
    if let Some(other) = clean.other_order() {
        let to = |label: u32| other.labels.get(label as usize).copied();
        let name = format!(
            "the classes numbered {} (list the folders in that order in classes.txt)",
            other.told
        );
        ways.push((name, answers.share_where(labels, to)));
    }
    let down = answers.share_where(labels, |label| label.checked_sub(1));
    let up = answers.share_where(labels, |label| label.checked_add(1));
    ways.push(("1 taken off every label".to_owned(), down));
    ways.push(("1 added to every label".to_owned(), up));
    // The first of equals: the plainer way stands first.
    let best = ways.into_iter().reduce(|best, way| {
        let better = way.1 > best.1;
        if better { way } else { best }
    });
    Ok(best)
}

/// The other usual ways to feed an image network.
fn alternatives(spec: &InputSpec) -> Vec<(String, InputSpec)> {
    let plain = |scale: f32, mean: f32, std: f32| InputSpec {
        scale,
        mean: vec![mean; spec.channels],
        std: vec![std; spec.channels],
        ..spec.clone()
    };
    let mut ways = vec![
        ("--scale 1".to_owned(), plain(1.0, 0.0, 1.0)),
        ("--scale 1/255".to_owned(), plain(1.0 / 255.0, 0.0, 1.0)),
        (
            "--scale 1/255 --mean 0.5 --std 0.5".to_owned(),
            plain(1.0 / 255.0, 0.5, 0.5),
        ),
    ];
    if spec.channels == 3 {
        let imagenet = InputSpec {
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
            ..plain(1.0 / 255.0, 0.0, 1.0)
        };
        ways.push((
            "--scale 1/255 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225".to_owned(),
            imagenet,
        ));
        let (option, color) = match spec.color {
            ColorOrder::Bgr => ("--color rgb", ColorOrder::Rgb),
            _ => ("--color bgr", ColorOrder::Bgr),
        };
        let swapped = |way: &InputSpec| InputSpec {
            color,
            ..way.clone()
        };
        let both: Vec<(String, InputSpec)> = ways
            .iter()
            .filter(|(_, way)| way != spec)
            .map(|(name, way)| (format!("{name} {option}"), swapped(way)))
            .collect();
        // The smallest change stands first.
        ways.insert(0, (option.to_owned(), swapped(spec)));
        ways.extend(both);
    }
    ways.retain(|(_, way)| way != spec);
    ways
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

//! The other usual ways to feed a network and to number its classes.

use super::DiagnoseError;
use super::scores::{PredictedClasses, scores};
use crate::engine::Replicas;
use crate::input::InputSpec;
use crate::input::dataset::{DataSet, Sample};
use crate::input::spec::ColorOrder;

/// Images that another way of feeding is tried on first.
const FIRST_IMAGES: usize = 64;
/// A way that is worse by more than this on the first images is not tried on the others.
const CLEARLY_WORSE: f64 = 0.15;

/// The best of the other ways to feed the network or to number its classes, with its accuracy.
pub(super) fn best(
    session: &Replicas,
    input: &InputSpec,
    clean: &DataSet,
    sample: &Sample,
    answers: &PredictedClasses,
) -> Result<Option<(String, f64)>, DiagnoseError> {
    let mut ways = Vec::new();
    let step = sample.labels.len().div_ceil(FIRST_IMAGES).max(1);
    let first = PredictedClasses(answers.0.iter().step_by(step).copied().collect());
    let least = first.share(&sample.every(step).labels) - CLEARLY_WORSE;
    let share = |images: &Sample, spec: &InputSpec| -> Result<f64, DiagnoseError> {
        let scores = scores(session, &images.feed(spec))?;
        Ok(PredictedClasses::from_scores(&scores).share(&images.labels))
    };
    let mut try_way = |name: String, images: &Sample, spec: &InputSpec| {
        if step == 1 || share(&images.every(step), spec)? >= least {
            ways.push((name, share(images, spec)?));
        }
        Ok::<_, DiagnoseError>(())
    };
    for (name, spec) in alternatives(input) {
        try_way(name, sample, &spec)?;
    }
    if let Some(swapped) = sample.transposed(input) {
        let name = "rows and columns of every image swapped in the file (MATLAB stores them the other way round)";
        try_way(name.to_owned(), &swapped, input)?;
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

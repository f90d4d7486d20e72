//! Is the network fed what it was trained on?

use super::error::RepairError;
use super::network::Network;
use super::replicas::Replicas;
use crate::domain::scores::argmax;
use crate::domain::sweep::Tally;
use crate::engine::Engine;
use crate::input::InputSpec;
use crate::input::dataset::DataSet;
use crate::input::spec::ColorOrder;
use crate::progress::Progress;

/// Images that the check looks at.
const IMAGES: usize = 256;

/// Clean accuracy up to this many times 1/N (and below a half) counts as near chance.
const NEAR_CHANCE: f64 = 3.0;

/// Warns where clean accuracy is near chance, and says which other way of feeding fits if one does.
pub(super) fn check_scale(
    network: &Network,
    clean: &DataSet,
    engine: &Engine,
    progress: &dyn Progress,
) -> Result<(), RepairError> {
    let session = Replicas::load(engine, &network.model.to_bytes())?;
    let chosen = accuracy(&session, clean)?;
    let chance = 1.0 / f64::from(network.classes);
    let threshold = (NEAR_CHANCE * chance).min(0.5);
    if chosen.share() > threshold {
        return Ok(());
    }
    let mut best: Option<(String, f64)> = None;
    for (name, spec) in alternatives(&network.input) {
        let share = accuracy(&session, &clean.with_spec(&spec))?.share();
        if share > threshold && best.as_ref().is_none_or(|(_, known)| share > *known) {
            best = Some((name, share));
        }
    }
    let found = format!(
        "clean accuracy is {:.1} % on the first {} images, near chance ({:.2} %)",
        100.0 * chosen.share(),
        chosen.images,
        100.0 * chance
    );
    let advice = match best {
        Some((name, share)) => format!("with {name} it is {:.1} %", 100.0 * share),
        None => "no usual pixel scale or colour order does better; check the labels (an offset by one, say), the \
                 image layout and whether the data belongs to this network"
            .to_owned(),
    };
    progress.warn(&format!("{found}: {advice}"));
    Ok(())
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
        let swapped: Vec<(String, InputSpec)> = ways
            .iter()
            .map(|(name, way)| {
                let spec = InputSpec {
                    color,
                    ..way.clone()
                };
                (format!("{name} {option}"), spec)
            })
            .collect();
        ways.extend(swapped);
    }
    ways.retain(|(_, way)| way != spec);
    ways
}

fn accuracy(session: &Replicas, data: &DataSet) -> Result<Tally, RepairError> {
    let mut tally = Tally::default();
    let Some(batch) = data.batches(IMAGES).next().transpose()? else {
        return Ok(tally);
    };
    let scores = session.run(&[&batch.images])?;
    for (row, &label) in batch.labels.iter().enumerate() {
        tally.count(argmax(scores[0].row(row)).0 == label);
    }
    Ok(tally)
}

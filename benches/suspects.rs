//! How long the discovery of suspect labels takes among the lab's 1283 classes.
//!
//! `cargo bench --bench suspects` needs the lab's network in `../shared/real/` and ONNX Runtime
//! (`scripts/fetch-onnxruntime`). The images are synthetic faces with the network's own answers as labels: the cost
//! does not depend on what they show, but for the number of rounds; every round is run.

use goodnet::defence::calibrate::sessions;
use goodnet::defence::grid::Grid;
use goodnet::defence::suspects::hijack::Labelled;
use goodnet::defence::suspects::{SuspectOptions, discover};
use goodnet::defence::{Classify, SessionClassifier};
use goodnet::demo::{Attack, Split, World};
use goodnet::engine::{BackendChoice, Engine, EngineError};
use goodnet::format::{Architecture, read_model};
use goodnet::input::{InputSpec, spec::Layout};
use goodnet::tensor::TensorView;
use std::path::Path;
use std::time::Instant;

const CLASSES: u32 = 1283;
const BATCH: usize = 64;

fn main() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/real/csaw_lab3_bd_weights.h5");
    if !real.is_file() {
        println!("skipped: the lab's network is not at {}", real.display());
        return;
    }
    let engine = Engine::start(&BackendChoice::Auto).expect("a back end");
    let model = read_model(&real, Some(Architecture::Deepid)).expect("the lab's network");
    let threads = rayon::current_num_threads();
    let bytes = model.model.to_bytes();
    let mut networks = sessions(&engine, &bytes, None, threads).expect("sessions");
    let grid = Grid::new(&InputSpec::new(55, 47, 3, Layout::Nhwc, 1.0));
    let images = faces();
    let labels = labels(&mut networks[0], &grid, &images).expect("answers");
    let labelled: Vec<Labelled<'_>> = images.iter().map(Vec::as_slice).zip(labels).collect();
    let defaults = SuspectOptions::default();
    println!("{} on {threads} threads", engine.info());
    for rounds in 1..=defaults.rounds {
        let options = SuspectOptions {
            rounds,
            // Every label is near this cut, so that no round is left out.
            cut: f64::MIN_POSITIVE,
            ..defaults
        };
        let started = Instant::now();
        let report = discover(&mut networks, &grid, &labelled, CLASSES, &options, 1);
        let seconds = started.elapsed().as_secs_f64();
        let report = report.expect("the discovery");
        println!(
            "{} patterns, {} forward passes: {seconds:.1} s",
            report.patterns, report.forward_passes
        );
    }
}

fn faces() -> Vec<Vec<f32>> {
    let photos = World::of(1, 64, Attack::None).clean(Split::Valid, 10);
    let values = |index| photos.image(index).iter().map(|&x| f32::from(x)).collect();
    (0..photos.len()).map(values).collect()
}

fn labels(
    network: &mut SessionClassifier,
    grid: &Grid,
    images: &[Vec<f32>],
) -> Result<Vec<u32>, EngineError> {
    let mut labels = Vec::with_capacity(images.len());
    for batch in images.chunks(BATCH) {
        let data: Vec<f32> = batch.iter().flatten().copied().collect();
        let classes = network.classify(TensorView {
            shape: &grid.batch_shape(batch.len()),
            data: &data,
        })?;
        labels.extend(classes.into_iter().map(|class| class.0));
    }
    Ok(labels)
}

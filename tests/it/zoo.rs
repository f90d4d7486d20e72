//! A sample of the zoo (`tests/zoo`), repaired by the program and compared, step by step, with masked evaluations by ONNX Runtime
//! that goodnet had no part in. Networks and references by `tests/fixtures/zoo/make.py`.

use assert_cmd::Command;
use goodnet::bundle::{Bundle, load};
use goodnet::engine::{BackendChoice, Engine, SessionConfig};
use goodnet::tensor::Tensor;
use hdf5_pure::FileBuilder;
use serde_json::Value;
use std::path::{Path, PathBuf};

const IMAGES: usize = 60;
const SIDE: usize = 32;

/// Network, are its channels removed for real, do the tails run as one.
const NETWORKS: [(&str, bool, bool); 6] = [
    ("convnext", false, false),
    ("densenet", true, true),
    ("keras", true, true),
    ("mobilenet", true, true),
    ("preactresnet", true, true),
    ("shufflenet", true, true),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zoo")
}

/// Values of the images as the recipe makes them, (n, 3, H, W): tiles of 8 x 8 pixels, image i darker than the next.
fn pixels() -> Vec<f32> {
    let mut pixels = Vec::with_capacity(IMAGES * 3 * SIDE * SIDE);
    for (i, c) in (0..IMAGES).flat_map(|i| [(i, 0), (i, 1), (i, 2)]) {
        for (y, x) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (y, x))) {
            let tile = (7919 * (((i * 3 + c) * 4 + y / 8) * 4 + x / 8)) % 251;
            let value = tile * (i + 20) / (IMAGES + 20) + (y * 5 + x * 3 + i) % 5;
            pixels.push(f32::from(u8::try_from(value).unwrap()));
        }
    }
    pixels
}

/// What the recipe wrote of a network.
struct Reference {
    ranking: Vec<u64>,
    /// For 0, 1, .. C channels removed: the class of every image.
    classes: Vec<Vec<usize>>,
}

impl Reference {
    fn new(name: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let found: Value = serde_json::from_str(&text).unwrap();
        let digits = |row: &Value| -> Vec<usize> {
            let digits = row.as_str().unwrap().chars();
            digits.map(|c| c.to_digit(10).unwrap() as usize).collect()
        };
        let rows = found["classes"].as_array().unwrap();
        let ranking = found["ranking"].as_array().unwrap();
        Self {
            ranking: ranking.iter().map(|c| c.as_u64().unwrap()).collect(),
            classes: rows.iter().map(digits).collect(),
        }
    }

    fn accuracy(&self, step: usize) -> f64 {
        let pairs = self.classes[0].iter().zip(&self.classes[step]);
        pairs.filter(|(label, class)| label == class).count() as f64 / IMAGES as f64
    }
}

fn write_clean(path: &Path, labels: &[usize]) {
    let labels: Vec<i64> = labels.iter().map(|&label| label as i64).collect();
    let side = SIDE as u64;
    let mut file = FileBuilder::new();
    file.create_dataset("data")
        .with_f32_data(&pixels())
        .with_shape(&[IMAGES as u64, 3, side, side]);
    file.create_dataset("label")
        .with_i64_data(&labels)
        .with_shape(&[IMAGES as u64]);
    file.write(path).unwrap();
}

/// The images as the network of `bundle` takes them.
fn batch(bundle: &Bundle) -> Tensor {
    let planes: Vec<f32> = pixels().iter().map(|value| value / 255.0).collect();
    let shape = bundle.manifest().input.clone();
    if shape.layout == goodnet::input::spec::Layout::Nchw {
        return Tensor::new(vec![IMAGES, 3, SIDE, SIDE], planes);
    }
    let area = SIDE * SIDE;
    let at = |i: usize, pixel: usize, c: usize| planes[(i * 3 + c) * area + pixel];
    let values = (0..IMAGES).flat_map(|i| (0..area).map(move |pixel| (i, pixel)));
    let values = values.flat_map(|(i, pixel)| [0, 1, 2].map(|c| at(i, pixel, c)));
    Tensor::new(vec![IMAGES, SIDE, SIDE, 3], values.collect())
}

fn classes(engine: &Engine, network: &[u8], images: &Tensor) -> Vec<usize> {
    let mut session = engine.load(network, &SessionConfig::default()).unwrap();
    let scores = session.run_one(images.view()).unwrap();
    let rows = scores.data.chunks(scores.data.len() / IMAGES);
    let best = |row: &[f32]| {
        (0..row.len())
            .rev()
            .max_by(|&a, &b| row[a].total_cmp(&row[b]))
    };
    rows.map(|row| best(row).unwrap()).collect()
}

/// `verdict` of goodnet.onnx, (n, T).
fn verdicts(engine: &Engine, network: &[u8], images: &Tensor) -> Vec<i64> {
    let mut session = engine.load(network, &SessionConfig::default()).unwrap();
    let mut ports = session.outputs().iter();
    let at = ports.position(|port| port.name == "verdict").unwrap();
    let outputs = session.run(&[images.view()]).unwrap();
    let verdict = outputs.into_iter().nth(at).unwrap();
    verdict.into_int().unwrap().data
}

#[test]
fn every_step_is_what_a_masked_evaluation_without_goodnet_gives() {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    if engine.info().to_string().starts_with("tract") {
        eprintln!(
            "skipped: the references are ONNX Runtime's, and tract does not know all of the operators"
        );
        return;
    }
    for (name, is_removed, is_shared) in NETWORKS {
        let reference = Reference::new(name);
        let scratch = tempfile::tempdir().unwrap();
        let clean = scratch.path().join("clean.h5");
        write_clean(&clean, &reference.classes[0]);
        let out = scratch.path().join("bundle");
        let mut repair = Command::cargo_bin("goodnet").unwrap();
        repair.args([
            "repair",
            "--scale",
            "1/255",
            "--effort",
            "0",
            "--allow-poor",
        ]);
        repair.args(["--samples", "0", "--model"]);
        repair.arg(folder().join(format!("{name}.onnx")));
        repair.arg("--clean").arg(&clean).arg("--out").arg(&out);
        repair.assert().success();

        let bundle = load(&out).unwrap();
        let sweep: Value = serde_json::from_slice(bundle.file("sweep.json").unwrap()).unwrap();
        let ranking = sweep["ranking"].as_array().unwrap().iter();
        let ranking: Vec<u64> = ranking.map(|c| c.as_u64().unwrap()).collect();
        assert_eq!(ranking, reference.ranking, "{name}");
        let steps = sweep["steps"].as_array().unwrap();
        assert_eq!(steps.len() + 1, reference.classes.len(), "{name}");
        for step in steps {
            let removed = step["step"].as_u64().unwrap() as usize;
            let found = step["clean_accuracy"].as_f64().unwrap();
            let expected = reference.accuracy(removed);
            assert!(
                (found - expected).abs() < 1e-9,
                "{name}: step {removed}: {found}, {expected}"
            );
        }
        compare_networks(&engine, name, &bundle, &reference, is_removed, is_shared);
    }
}

/// The pruned networks and the whole GoodNet answer for every image as the masked network does.
fn compare_networks(
    engine: &Engine,
    name: &str,
    bundle: &Bundle,
    reference: &Reference,
    is_removed: bool,
    is_shared: bool,
) {
    let images = batch(bundle);
    let manifest = serde_json::to_value(bundle.manifest()).unwrap();
    let drops = manifest["drops"].as_array().unwrap();
    let pruned: Vec<&Value> = drops.iter().map(|drop| &drop["pruned"]).collect();
    assert!(
        pruned.iter().any(|record| record.is_object()),
        "{name} reaches no drop"
    );
    let mut expected = Vec::new();
    for record in pruned.iter().filter(|record| record.is_object()) {
        let method = if is_removed { "removed" } else { "masked" };
        assert_eq!(record["method"], method, "{name}: {}", record["reason"]);
        let file = bundle.file(record["file"].as_str().unwrap()).unwrap();
        let step = record["step"].as_u64().unwrap() as usize;
        assert_eq!(
            classes(engine, file, &images),
            reference.classes[step],
            "{name}: {step}"
        );
        expected.push(&reference.classes[step]);
    }
    let fused = &manifest["goodnet"];
    assert_eq!(fused["shared"], is_shared, "{name}: {}", fused["reason"]);
    let found = verdicts(engine, bundle.file("goodnet.onnx").unwrap(), &images);
    let alarm = 8;
    let expected: Vec<i64> = (0..IMAGES)
        .flat_map(|i| expected.iter().map(move |classes| (i, classes[i])))
        .map(|(i, class)| {
            if class == reference.classes[0][i] {
                class as i64
            } else {
                alarm
            }
        })
        .collect();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn the_sample_is_there_and_small() {
    let mut total = 0;
    for (name, ..) in NETWORKS {
        total += std::fs::metadata(folder().join(format!("{name}.onnx")))
            .unwrap()
            .len();
        let reference = Reference::new(name);
        let differ = (1..reference.classes.len()).any(|step| reference.accuracy(step) < 0.9);
        assert!(
            differ,
            "{name}: removing channels changes nothing, so that the comparison cannot fail"
        );
    }
    let networks = std::fs::read_dir(folder()).unwrap();
    let is_network =
        |entry: &std::fs::DirEntry| entry.path().extension().is_some_and(|e| e == "onnx");
    let found = networks.map(Result::unwrap).filter(is_network).count();
    assert_eq!(found, NETWORKS.len(), "networks in {}", folder().display());
    assert!(total < 600_000, "{total} bytes");
}

//! Keras files of both generations against Keras' own answers, and the files that are refused.

#![allow(clippy::unwrap_used)]

mod common;

use common::real::{assert_same_answers, run};
use goodnet::engine::{BackendChoice, Engine};
use goodnet::format::{Architecture, read_model};
use goodnet::onnx::{Model, prepare};
use goodnet::tensor::Tensor;
use std::path::{Path, PathBuf};

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with(".h5") && !name.contains(".reference.")
        })
        .collect();
    files.sort();
    assert!(files.len() >= 9, "only {} fixtures found", files.len());
    files
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/keras")
        .join(name)
}

fn tensor(file: &hdf5_pure::File, name: &str) -> Tensor {
    let dataset = file.dataset(name).unwrap();
    let shape = dataset.shape().unwrap();
    Tensor::new(
        shape.iter().map(|&extent| extent as usize).collect(),
        dataset.read_f32().unwrap(),
    )
}

/// Writes `bytes` to a file that lives as long as the folder.
fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The one-line message with which `path` is refused; it names the file.
fn refusal(path: &Path, architecture: Option<Architecture>) -> String {
    let message = read_model(path, architecture).unwrap_err().to_string();
    assert!(message.starts_with(path.to_str().unwrap()), "{message}");
    assert!(!message.contains('\n'), "{message}");
    message
}

/// `fixture` with every `from` replaced by the equally long `to`.
fn patched(folder: &tempfile::TempDir, name: &str, from: &str, to: &str) -> PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(fixture(name)).unwrap();
    let places: Vec<usize> = (0..bytes.len() - from.len())
        .filter(|&at| bytes[at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "{from} is not in {name}");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    file(folder, name, &bytes)
}

#[test]
fn every_fixture_answers_as_keras_does() {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    eprintln!("on {}", engine.info());
    for path in fixtures() {
        let imported = read_model(&path, None).unwrap();
        assert_eq!(imported.format, "keras");
        let reference = hdf5_pure::File::open(path.with_extension("reference.h5")).unwrap();
        let found = run(&engine, &imported.model, &tensor(&reference, "input"));
        eprintln!("{}", path.display());
        assert_same_answers(&tensor(&reference, "output"), &found, 1e-4);
    }
}

#[test]
fn an_imported_network_survives_the_way_through_an_onnx_file() {
    let folder = tempfile::tempdir().unwrap();
    for path in fixtures() {
        let imported = read_model(&path, None).unwrap().model;
        let saved = file(&folder, "model.onnx", &imported.to_bytes());
        let again = read_model(&saved, None).unwrap();
        assert_eq!(again.format, "onnx");
        assert_eq!(again.model, imported, "{}", path.display());
        assert!(prepare(&again.model).is_ok(), "{}", path.display());
    }
}

#[test]
fn input_and_site_keep_the_names_that_keras_gave_them() {
    let model = read_model(&fixture("branches_keras3.h5"), None)
        .unwrap()
        .model;
    assert!(model.graph.producer("pool").unwrap().is("MaxPool"));
    assert_eq!(model.graph.inputs[0].name, "image");
}

#[test]
fn the_image_is_transposed_once_and_flattened_without_another() {
    for name in ["sequential_keras2.h5", "sequential_keras3.h5"] {
        let model = read_model(&fixture(name), None).unwrap().model;
        assert_eq!(transposes(&model), 1, "{name}");
    }
}

fn transposes(model: &Model) -> usize {
    let nodes = model.graph.nodes.iter();
    nodes.filter(|node| node.is("Transpose")).count()
}

#[test]
fn files_that_are_no_networks_are_refused_by_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[u8], &str); 4] = [
        ("model.keras", b"PK\x03\x04rest", "zip archive"),
        ("empty.h5", b"", "empty file"),
        (
            "notes.h5",
            b"these are words, not weights",
            "expected ONNX or Keras HDF5",
        ),
        (
            "stub.h5",
            b"\x89HDF\r\n\x1a\n",
            "expected a whole HDF5 file",
        ),
    ];
    for (name, bytes, expected) in cases {
        let message = refusal(&file(&folder, name, bytes), None);
        assert!(message.contains(expected), "{message}");
    }
    let message = refusal(&folder.path().join("missing.h5"), None);
    assert!(message.contains("No such file"), "{message}");
}

#[test]
fn an_unknown_layer_is_refused_by_name_and_class() {
    let folder = tempfile::tempdir().unwrap();
    let path = patched(
        &folder,
        "branches_keras3.h5",
        "\"MaxPooling2D\"",
        "\"MaxPoolingQD\"",
    );
    let message = refusal(&path, None);
    assert!(message.contains("layer pool (MaxPoolingQD)"), "{message}");
}

#[test]
fn a_missing_weight_and_one_of_another_shape_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = patched(&folder, "reshaped_keras3.h5", "kernel\0", "kernal\0");
    let message = refusal(&path, None);
    assert!(
        message.contains("expected a weight `kernel`, found none"),
        "{message}"
    );
    let path = patched(
        &folder,
        "reshaped_keras3.h5",
        "\"units\": 5",
        "\"units\": 6",
    );
    let message = refusal(&path, None);
    assert!(message.contains("expected `kernel` of shape"), "{message}");
    assert!(message.contains("(Dense)"), "{message}");
}

#[test]
fn a_weight_that_is_not_a_number_is_refused_with_its_layer() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture("reshaped_keras3.h5");
    let model = read_model(&path, None).unwrap().model;
    let bias = model
        .graph
        .initializers
        .iter()
        .find(|(name, _)| name.ends_with("_bias"));
    let (name, bias) = bias.unwrap();
    let layer = name.strip_suffix("_bias").unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let first = bias.as_f32().unwrap()[0].to_le_bytes();
    let at = bytes.windows(4).position(|window| window == first).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let message = refusal(&file(&folder, "nan.h5", &bytes), None);
    assert!(message.contains(&format!("layer {layer}")), "{message}");
    assert!(message.contains("found NaN at 0"), "{message}");
}

#[test]
fn weights_alone_need_their_own_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let path = patched(
        &folder,
        "reshaped_keras3.h5",
        "model_config",
        "model_confug",
    );
    let message = refusal(&path, None);
    assert!(message.contains("--architecture"), "{message}");
    let message = refusal(&path, Some(Architecture::Deepid));
    assert!(
        message.contains("no kernel of rank 4 for layer conv_1"),
        "{message}"
    );
}

#[test]
fn damaged_files_are_refused_or_read_but_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(fixture("reshaped_keras3_deflated.h5")).unwrap();
    let mut random = common::networks::Random(7);
    let mut refused = 0;
    for round in 0..300 {
        let mut bytes = whole.clone();
        if round % 3 == 0 {
            bytes.truncate(random.below(whole.len()));
        }
        for _ in 0..4 {
            let at = random.below(bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        let path = file(&folder, "damaged.h5", &bytes);
        refused += usize::from(read_model(&path, None).is_err());
    }
    assert!(refused > 100, "only {refused} of 300 refused");
}

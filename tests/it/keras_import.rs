//! Keras files of both generations against Keras' own answers, and the files that are refused.

use crate::common::networks::Random;
use crate::common::real::{assert_same_answers, run};
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
            let is_whole = !name.contains(".reference.") && !name.contains("weights.");
            (name.ends_with(".h5") && is_whole) || name.ends_with(".keras")
        })
        .collect();
    files.sort();
    assert!(files.len() >= 28, "only {} fixtures found", files.len());
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

/// The model answers as Keras did: within 1e-5 of the largest score, or of 1 where all are smaller.
fn answers_as_keras(engine: &Engine, model: &Model, reference: &Path) {
    eprintln!("{}", reference.display());
    let reference = hdf5_pure::File::open(reference).unwrap();
    let found = run(engine, model, &tensor(&reference, "input"));
    let expected = tensor(&reference, "output");
    let largest = expected.data.iter().fold(1.0, |a: f32, b| a.max(b.abs()));
    assert_same_answers(&expected, &found, 1e-5 * largest);
}

#[test]
fn every_fixture_answers_as_keras_does() {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    eprintln!("on {}", engine.info());
    for path in fixtures() {
        let imported = read_model(&path, None).unwrap();
        assert_eq!(imported.format, "keras");
        let reference = path.with_extension("reference.h5");
        answers_as_keras(&engine, &imported.model, &reference);
    }
}

#[test]
fn weights_are_read_with_the_description_beside_them() {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    for (weights, generation) in [
        ("transfer_keras2.weights.h5", 2),
        ("transfer_keras2.legacy_weights.h5", 2),
        ("transfer_keras3.weights.h5", 3),
    ] {
        let beside = fixture(&format!("transfer_keras{generation}.json"));
        let architecture = beside.to_str().unwrap().parse().unwrap();
        let imported = read_model(&fixture(weights), Some(architecture)).unwrap();
        assert_eq!(imported.format, "keras-weights");
        assert_eq!(imported.beside, [beside]);
        let reference = fixture(&format!("transfer_keras{generation}.reference.h5"));
        answers_as_keras(&engine, &imported.model, &reference);
    }
    let missing = Some(Architecture::File(fixture("missing.json")));
    let message = read_model(&fixture("transfer_keras3.weights.h5"), missing).unwrap_err();
    let message = message.to_string();
    assert!(
        message.contains("the JSON of model.to_json() in"),
        "{message}"
    );
    let wrong = "resnet".parse::<Architecture>().unwrap_err();
    assert!(wrong.contains("expected deepid or a .json file"), "{wrong}");
}

#[test]
fn layers_of_models_inside_a_model_keep_their_names_where_those_are_free() {
    for generation in [2, 3] {
        let file = fixture(&format!("transfer_keras{generation}.h5"));
        let model = read_model(&file, None).unwrap().model;
        assert!(model.graph.producer("depthwise").unwrap().is("Conv"));
        assert!(model.graph.producer("hidden").unwrap().is("Gemm"));
    }
}

#[test]
fn networks_of_tensorflow_are_refused_with_the_command_that_makes_onnx() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("my model");
    std::fs::create_dir(&saved).unwrap();
    std::fs::write(saved.join("saved_model.pb"), b"\x08\x01").unwrap();
    let message = refusal(&saved, None);
    let command = format!(
        "run: python -m tf2onnx.convert --saved-model '{}' --opset 17 --output network.onnx",
        saved.display()
    );
    assert!(message.ends_with(&command), "{message}");
    let lite = file(&folder, "net.tflite", b"\x1c\0\0\0TFL3rest");
    let message = refusal(&lite, None);
    let command = format!(
        "run: python -m tf2onnx.convert --tflite {} --opset 17 --output network.onnx",
        lite.display()
    );
    assert!(message.ends_with(&command), "{message}");
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
        (
            "model.keras",
            b"PK\x03\x04rest",
            "expected a whole .keras archive",
        ),
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
    let mut random = Random(7);
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

/// A Keras file with this configuration and, for each layer, a `kernel` of this shape (zeros, deflated).
fn keras_file(folder: &tempfile::TempDir, config: &serde_json::Value, kernel: &[u64]) -> PathBuf {
    let mut builder = hdf5_pure::FileBuilder::new();
    let text = hdf5_pure::AttrValue::String(config.to_string());
    builder.set_attr("model_config", text);
    let count: u64 = kernel.iter().product();
    let mut weights = builder.create_group("model_weights");
    let mut layer = weights.create_group("dense");
    layer
        .create_dataset("kernel")
        .with_f32_data(&vec![0.0; count as usize])
        .with_shape(kernel)
        .with_chunks(kernel)
        .with_deflate(9);
    weights.add_group(layer.finish());
    builder.add_group(weights.finish());
    let path = folder.path().join("hostile.h5");
    builder.write(&path).unwrap();
    path
}

fn dense(name: &str, units: u64) -> serde_json::Value {
    serde_json::json!({"class_name": "Dense", "config": {
        "name": name, "units": units, "use_bias": false, "batch_input_shape": [null, 4, 4, 3],
    }})
}

fn sequential(layers: &[serde_json::Value]) -> serde_json::Value {
    serde_json::json!({"class_name": "Sequential", "config": {"layers": layers}})
}

#[test]
fn weights_that_declare_more_than_their_file_can_hold_are_refused_before_they_take_memory() {
    let hostile = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras_hostile");
    let expected = [
        (
            "declares_48_gib.h5",
            "declares 12884901888 values in a file of 6144 bytes",
        ),
        ("declares_past_64_bits.h5", "values in a file of 6144 bytes"),
        ("wide_elements.h5", "found elements of 4096 bytes"),
    ];
    for (name, reason) in expected {
        let message = refusal(&hostile.join(name), None);
        assert!(message.contains(reason), "{name}: {message}");
    }
}

#[test]
fn a_model_of_too_many_layers_is_refused_by_their_number() {
    let folder = tempfile::tempdir().unwrap();
    let layers = vec![serde_json::json!(0); 10_001];
    let path = keras_file(&folder, &sequential(&layers), &[3, 2]);
    assert!(refusal(&path, None).contains("at most 10000 layers, found 10001"));
}

#[test]
fn layers_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let input = serde_json::json!({"class_name": "InputLayer", "name": "a", "inbound_nodes": [],
        "config": {"name": "a", "batch_shape": [null, 4, 4, 3]}});
    let config = serde_json::json!({"class_name": "Functional", "config": {
        "layers": [input, input], "output_layers": [["a", 0, 0]]}});
    let path = keras_file(&folder, &config, &[3, 2]);
    assert!(refusal(&path, None).contains("layer a: given twice"));
}

#[test]
fn layers_that_read_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let layer = |name: &str, from: &str| {
        serde_json::json!({"class_name": "ReLU", "name": name, "config": {"name": name},
            "inbound_nodes": [[[from, 0, 0, {}]]]})
    };
    let config = serde_json::json!({"class_name": "Functional", "config": {
        "layers": [layer("a", "b"), layer("b", "a")], "output_layers": [["a", 0, 0]]}});
    let path = keras_file(&folder, &config, &[3, 2]);
    assert!(refusal(&path, None).contains("layer a: reads a layer that is missing or reads it"));
}

/// A Functional model that calls `inner` `calls` times, one after the other, under names of its own.
fn around(inner: &serde_json::Value, calls: usize) -> serde_json::Value {
    let input = serde_json::json!({"class_name": "InputLayer", "name": "input", "inbound_nodes": [],
        "config": {"name": "input", "batch_shape": [null, 4, 4, 3]}});
    let mut layers = vec![input];
    let mut before = "input".to_owned();
    for call in 0..calls {
        let mut layer = inner.clone();
        layer["name"] = serde_json::json!(format!("inner{call}"));
        layer["inbound_nodes"] = serde_json::json!([[[before, 0, 0, {}]]]);
        before = format!("inner{call}");
        layers.push(layer);
    }
    serde_json::json!({"class_name": "Functional", "name": "model", "config": {"layers": layers,
        "input_layers": [["input", 0, 0]], "output_layers": [[before, 0, 0]]}})
}

#[test]
fn models_inside_models_are_bounded_in_depth_and_number() {
    let folder = tempfile::tempdir().unwrap();
    let relu =
        serde_json::json!({"class_name": "ReLU", "name": "relu", "config": {"name": "relu"}});
    let deep = (0..12).fold(relu.clone(), |inner, _| around(&inner, 1));
    let path = keras_file(&folder, &deep, &[3, 2]);
    let message = refusal(&path, None);
    assert!(
        message.contains("at most 8 models inside each other"),
        "{message}"
    );
    let wide = (0..3).fold(relu, |inner, _| around(&inner, 25));
    let path = keras_file(&folder, &wide, &[3, 2]);
    let message = refusal(&path, None);
    assert!(message.contains("at most 10000 layers"), "{message}");
}

#[test]
fn a_layer_may_be_called_input() {
    let folder = tempfile::tempdir().unwrap();
    let flatten = serde_json::json!({"class_name": "Flatten", "config": {
        "name": "input", "batch_input_shape": [null, 1, 1, 3]}});
    let path = keras_file(&folder, &sequential(&[flatten, dense("dense", 2)]), &[3, 2]);
    assert!(read_model(&path, None).is_ok());
}

//! Other people's exports through inspect, repair and evaluate: PyTorch's (NCHW) and tf2onnx's (NHWC).

use crate::common::networks::Random;
use assert_cmd::Command;
use goodnet::domain::scores::argmax;
use goodnet::engine::{BackendChoice, Engine, SessionConfig};
use goodnet::input::spec::Layout;
use goodnet::onnx::{Model, Ports, ports, prepare};
use goodnet::tensor::Tensor;
use hdf5_pure::FileBuilder;
use std::path::{Path, PathBuf};

const IMAGES: usize = 48;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Pictures of one colour with noise, in the network's own layout: plain noise alone would look the same to any net.
fn pictures(ports: &Ports) -> Vec<u8> {
    let mut random = Random(3);
    let plane = ports.height * ports.width;
    let mut pixels = Vec::new();
    for _ in 0..IMAGES {
        let color: Vec<u64> = (0..ports.channels).map(|_| random.next() % 192).collect();
        for index in 0..plane * ports.channels {
            let channel = match ports.layout {
                Layout::Nchw => index / plane,
                Layout::Nhwc => index % ports.channels,
            };
            pixels.push((color[channel] + random.next() % 64) as u8);
        }
    }
    pixels
}

fn shape(ports: &Ports) -> Vec<usize> {
    let (c, h, w) = (ports.channels, ports.height, ports.width);
    match ports.layout {
        Layout::Nchw => vec![IMAGES, c, h, w],
        Layout::Nhwc => vec![IMAGES, h, w, c],
    }
}

/// Writes pictures with the network's own answers as labels.
fn write_answered(path: &Path, model: &Model) {
    let ports = ports(model).unwrap();
    let pixels = pictures(&ports);
    let values = pixels.iter().map(|&p| f32::from(p) * (1.0 / 255.0));
    let images = Tensor::new(shape(&ports), values.collect());
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let mut session = engine
        .load(&model.to_bytes(), &SessionConfig::default())
        .unwrap();
    let scores = session.run_one(images.view()).unwrap();
    let labels: Vec<f32> = (0..IMAGES)
        .map(|row| argmax(scores.row(row)).0 as f32)
        .collect();
    let extents: Vec<u64> = shape(&ports).iter().map(|&extent| extent as u64).collect();
    let mut file = FileBuilder::new();
    file.create_dataset("data")
        .with_u8_data(&pixels)
        .with_shape(&extents);
    file.create_dataset("label")
        .with_f32_data(&labels)
        .with_shape(&[IMAGES as u64]);
    file.write(path).unwrap();
}

fn goodnet(args: &[&str]) -> Vec<u8> {
    let assert = Command::cargo_bin("goodnet")
        .unwrap()
        .args(args)
        .assert()
        .success();
    assert.get_output().stdout.clone()
}

/// inspect, repair and evaluate on one network; the data's labels are what the network answers.
fn goes_through(name: &str, layout: &str) {
    let file = fixture(name);
    let file = file.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean.h5");
    let model = prepare(&Model::load(Path::new(file)).unwrap()).unwrap();
    write_answered(&clean, &model);
    let clean = clean.to_str().unwrap();

    let inspected: serde_json::Value =
        serde_json::from_slice(&goodnet(&["inspect", file, "--json"])).unwrap();
    assert_eq!(inspected["input"]["layout"], layout);
    assert!(!inspected["sites"].as_array().unwrap().is_empty());

    let bundle = folder.path().join("bundle");
    let out = bundle.to_str().unwrap();
    // An untrained network answers one class only: no clean set that a repair would take without being told to.
    goodnet(&[
        "repair",
        "--allow-poor",
        "--effort",
        "0",
        "--model",
        file,
        "--clean",
        clean,
        "--scale",
        "1/255",
        "--out",
        out,
    ]);
    let loaded = goodnet::bundle::load(&bundle).unwrap();
    assert_eq!(loaded.sweep().baseline.clean_accuracy, 1.0);
    assert!(!loaded.sweep().steps.is_empty());

    let table = goodnet(&["evaluate", "--bundle", out, "--clean", clean, "--json"]);
    let table: serde_json::Value = serde_json::from_slice(&table).unwrap();
    assert!(table.to_string().contains("clean_accuracy"), "{table}");
}

#[test]
fn pytorchs_resnet_with_an_open_batch_goes_through() {
    goes_through("onnx/resnet_dynamic.onnx", "nchw");
}

#[test]
fn pytorchs_resnet_with_a_batch_of_one_goes_through() {
    goes_through("onnx/resnet_batch1.onnx", "nchw");
}

#[test]
fn a_keras_network_from_tf2onnx_goes_through() {
    goes_through("tf2onnx/cnn_nhwc.onnx", "nhwc");
}

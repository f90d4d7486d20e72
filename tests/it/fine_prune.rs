//! `goodnet fine-prune` on the shipped BadNet, and on the lab's network where it is at hand.

use crate::common::lab;
use assert_cmd::Command;
use goodnet::demo::train::round_trip;
use goodnet::demo::{Attack, Split, World, write_set};
use goodnet::domain::scores::argmax;
use goodnet::engine::{BackendChoice, Engine, SessionConfig};
use goodnet::onnx::Model;
use std::path::Path;

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models");

fn goodnet() -> Command {
    Command::cargo_bin("goodnet").unwrap()
}

#[test]
fn the_tuned_network_keeps_its_channels_out_and_still_knows_its_people() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let world = World::of(1, 64, Attack::Sunglasses);
    write_set(&world.clean(Split::Valid, 2), &at("valid.h5")).unwrap();
    write_set(&world.clean(Split::Test, 2), &at("test.h5")).unwrap();
    let mut command = goodnet();
    command.args(["fine-prune", "--bundle", MODELS, "--epochs", "1", "--clean"]);
    command
        .arg(at("valid.h5"))
        .arg("--out")
        .arg(at("tuned.onnx"));
    let told = command.assert().success().get_output().stdout.clone();
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("epoch 1 of 1") && told.contains("tuned.onnx"),
        "{told}"
    );
    let tuned = Model::load(&at("tuned.onnx")).unwrap();
    let kernel = tuned.graph.initializers["conv_3_kernel"].as_f32().unwrap();
    let silent = kernel
        .chunks_exact(9 * 40)
        .filter(|filter| filter.iter().all(|&weight| weight == 0.0));
    assert_eq!(silent.count(), 43, "the channels of the 4 % drop");
    let clean = world.clean(Split::Test, 2);
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let mut session = engine
        .load(&tuned.to_bytes(), &SessionConfig::default())
        .unwrap();
    let values = (0..clean.len())
        .flat_map(|index| clean.image(index))
        .map(|&pixel| f32::from(pixel))
        .collect();
    let images = goodnet::tensor::Tensor::new(vec![clean.len(), 55, 47, 3], values);
    let scores = session.run_one(images.view()).unwrap();
    let right = (0..clean.len())
        .filter(|&row| i64::from(argmax(scores.row(row)).0) == clean.labels[row])
        .count();
    assert!(
        right * 100 >= 90 * clean.len(),
        "{right} of {}",
        clean.len()
    );
    // A file that is there is kept.
    let mut again = goodnet();
    again.args(["fine-prune", "--bundle", MODELS, "--epochs", "1", "--clean"]);
    again.arg(at("valid.h5")).arg("--out").arg(at("tuned.onnx"));
    again.assert().failure().code(3);
}

#[test]
fn the_labs_network_survives_the_way_into_candle_and_back() {
    let Some(badnet) = lab::badnet() else {
        println!("passed over: the lab's network is not at hand");
        return;
    };
    let copy = round_trip(&badnet, 255.0).unwrap();
    let images = lab::smooth_images(16, 55, 47, 3);
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let answers = |model: &Model| {
        let bytes = model.to_bytes();
        let mut session = engine.load(&bytes, &SessionConfig::default()).unwrap();
        session.run_one(images.view()).unwrap()
    };
    let (expected, found) = (answers(&badnet), answers(&copy));
    assert_eq!(expected.shape, found.shape);
    for row in 0..16 {
        assert_eq!(argmax(expected.row(row)), argmax(found.row(row)));
        for (one, other) in expected.row(row).iter().zip(found.row(row)) {
            assert!((one - other).abs() < 1e-4, "{one} {other}");
        }
    }
}

#[test]
fn a_network_of_another_architecture_is_refused() {
    assert!(Path::new(MODELS).join("badnet.onnx").exists());
    let mut badnet = Model::load(&Path::new(MODELS).join("badnet.onnx")).unwrap();
    badnet.graph.initializers.remove("fc_1_kernel");
    let error = round_trip(&badnet, 255.0).unwrap_err().to_string();
    assert!(
        error.contains("DeepID") && error.contains("fc_1_kernel"),
        "{error}"
    );
}

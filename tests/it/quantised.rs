//! Quantised networks as ONNX Runtime writes them: QDQ is pruned, the rest is refused with what to do instead.
//! Fixtures by `tests/fixtures/quantised/make.py`.

use crate::common::networks::Random;
use assert_cmd::Command;
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::{BackendChoice, Engine, SessionConfig};
use goodnet::onnx::prune::{PruneMethod, mask_site, prune};
use goodnet::onnx::site::default_site;
use goodnet::onnx::{Model, fuse, ports, prepare};
use goodnet::tensor::Tensor;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/quantised")
        .join(name)
}

fn answers(engine: &Engine, model: &Model, images: &Tensor) -> Tensor {
    let config = SessionConfig::default();
    let mut session = engine.load(&model.to_bytes(), &config).unwrap();
    session.run_one(images.view()).unwrap()
}

#[test]
fn channels_of_qdq_networks_are_removed_for_real_and_the_tails_are_fused() {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let model = prepare(&Model::load(&fixture("qdq.onnx")).unwrap()).unwrap();
    let site = default_site(&model).unwrap();
    let mask = ChannelMask::removing(site.channels, &[0, 2, 5]).unwrap();
    let pruned = prune(&model, &site, &mask);
    assert_eq!(pruned.method, PruneMethod::Removed, "{:?}", pruned.reason);
    let weights = |model: &Model| model.to_bytes().len();
    assert!(weights(&pruned.model) < weights(&model));
    let fused = fuse(&model, &site, std::slice::from_ref(&mask)).unwrap();
    assert!(fused.shared, "{:?}", fused.reason);

    let shape = ports(&model).unwrap();
    let [height, width] = [shape.height, shape.width];
    let count = 24 * 3 * height * width;
    let values = Random(3).values(count).iter().map(|v| v.abs()).collect();
    let images = Tensor::new(vec![24, 3, height, width], values);
    let masked = answers(&engine, &mask_site(&model, &site, &mask), &images);
    let removed = answers(&engine, &pruned.model, &images);
    let whole = answers(&engine, &model, &images);
    assert_ne!(masked.data, whole.data);
    let gap = |a: &Tensor, b: &Tensor| {
        let pairs = a.data.iter().zip(&b.data);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(gap(&masked, &removed) < 1e-6, "{}", gap(&masked, &removed));
}

#[test]
fn what_the_runtime_merged_or_computes_in_integers_is_refused_with_the_way_round() {
    for (name, operator, way) in [
        (
            "qoperator.onnx",
            "operator QLinearConv",
            "repair the network before it is quantised, or quantise it with quant_format=QuantFormat.QDQ",
        ),
        (
            "optimised.onnx",
            "operator FusedConv of com.microsoft",
            "give the network as it was exported, without optimisation, and optimise after the repair",
        ),
    ] {
        let file = fixture(name);
        let mut command = Command::cargo_bin("goodnet").unwrap();
        let output = command.arg("inspect").arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{name}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(operator), "{message}");
        assert!(message.contains(way), "{message}");
    }
}

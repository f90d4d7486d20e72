//! Networks as PyTorch exports them: read, inspected, cut, pruned, and run beside PyTorch's own answers; and files
//! that are no such networks.

use assert_cmd::Command;
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::{BackendChoice, Engine, SessionConfig};
use goodnet::onnx::cut::cut;
use goodnet::onnx::prune::{PruneMethod, mask_site, prune, prune_tail};
use goodnet::onnx::shape::ShapedModel;
use goodnet::onnx::site::{candidates, default_site, find};
use goodnet::onnx::{Model, ports, prepare};
use goodnet::tensor::Tensor;
use predicates::prelude::*;
use std::path::PathBuf;

const NETWORKS: [&str; 2] = ["resnet_dynamic.onnx", "resnet_batch1.onnx"];
const IMAGES: usize = 4;
const CLASSES: usize = 8;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/onnx")).join(name)
}

fn network(name: &str) -> Model {
    prepare(&Model::load(&fixture(name)).unwrap()).unwrap()
}

/// The images that the recipe of the fixtures feeds: value i is (7919 i mod 251) / 250.
fn images() -> Tensor {
    let shape = vec![IMAGES, 3, 32, 32];
    let count: usize = shape.iter().product();
    let value = |i: usize| (7919 * i % 251) as f32 / 250.0;
    Tensor::new(shape, (0..count).map(value).collect())
}

fn reference() -> Vec<f32> {
    let text = std::fs::read_to_string(fixture("resnet_reference.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows: Vec<Vec<f32>> = serde_json::from_value(json["probabilities"].clone()).unwrap();
    rows.concat()
}

fn run(model: &Model, inputs: &[&Tensor]) -> Vec<Tensor> {
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let mut session = engine
        .load(&model.to_bytes(), &SessionConfig::default())
        .unwrap();
    let views: Vec<_> = inputs.iter().map(|tensor| tensor.view()).collect();
    let outputs = session.run(&views).unwrap().into_iter();
    outputs.map(|output| output.into_float().unwrap()).collect()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (x, y) in found.iter().zip(expected) {
        assert!((x - y).abs() <= 1e-5, "{what}: {x}, expected {y}");
    }
}

#[test]
fn an_exported_network_gives_pytorchs_probabilities_at_any_batch_size() {
    let expected = reference();
    assert_eq!(expected.len(), IMAGES * CLASSES);
    for name in NETWORKS {
        let model = network(name);
        let all = images();
        assert_close(&run(&model, &[&all])[0].data, &expected, name);
        let one = Tensor::new(vec![1, 3, 32, 32], all.row(2).to_vec());
        let found = run(&model, &[&one]);
        assert_close(&found[0].data, &expected[2 * CLASSES..3 * CLASSES], name);
    }
}

#[test]
fn the_ports_of_an_exported_network_are_an_image_and_its_classes() {
    for name in NETWORKS {
        let found = ports(&network(name)).unwrap();
        assert_eq!(
            (found.channels, found.height, found.width),
            (3, 32, 32),
            "{name}"
        );
        assert_eq!(found.classes as usize, CLASSES, "{name}");
    }
}

#[test]
fn the_default_site_of_an_exported_network_is_its_global_average() {
    for name in NETWORKS {
        let site = default_site(&network(name)).unwrap();
        assert_eq!(
            (site.channels, site.height, site.width),
            (16, 1, 1),
            "{name}"
        );
    }
}

#[test]
fn pruned_at_any_site_an_exported_network_answers_as_the_masked_one() {
    let pictures = images();
    for name in NETWORKS {
        let model = network(name);
        let sites = candidates(&model);
        assert!(sites.len() >= 15, "{name} has {} sites", sites.len());
        for site in sites {
            let removed: Vec<usize> = (0..site.channels).filter(|c| c % 3 != 1).collect();
            let mask = ChannelMask::removing(site.channels, &removed).unwrap();
            let masked = run(&mask_site(&model, &site, &mask), &[&pictures]);
            let pruned = run(&prune(&model, &site, &mask).model, &[&pictures]);
            let what = format!("{name} at {}", site.tensor);
            assert_close(&pruned[0].data, &masked[0].data, &what);
        }
    }
}

#[test]
fn channels_inside_a_residual_branch_are_removed_for_real() {
    let model = network("resnet_dynamic.onnx");
    let site = find(&model, "/layer2/Relu_output_0").unwrap();
    let mask = ChannelMask::removing(16, &[0, 5, 6]).unwrap();
    let pruned = prune(&model, &site, &mask);
    assert_eq!(pruned.method, PruneMethod::Removed, "{:?}", pruned.reason);
    let weight = &pruned.model.graph.initializers["layer2.conv2.weight"];
    assert_eq!(weight.shape, [16, 13, 3, 3]);
}

#[test]
fn channels_that_two_convolutions_add_up_to_are_removed_from_both() {
    let model = network("resnet_dynamic.onnx");
    let site = default_site(&model).unwrap();
    let mask = ChannelMask::removing(16, &[2, 9]).unwrap();
    let pruned = prune(&model, &site, &mask);
    assert_eq!(pruned.method, PruneMethod::Removed, "{:?}", pruned.reason);
    let weights = &pruned.model.graph.initializers;
    assert_eq!(weights["layer2.conv2.weight"].shape, [14, 16, 3, 3]);
    assert_eq!(weights["layer2.shortcut.0.weight"].shape, [14, 8, 1, 1]);
    assert_eq!(weights["fc.weight"].shape, [8, 14]);
}

#[test]
fn channels_that_a_residual_sum_reads_are_masked_and_the_reason_is_told() {
    let model = network("resnet_dynamic.onnx");
    let site = find(&model, "/stem/stem.3/MaxPool").unwrap();
    let pruned = prune(&model, &site, &ChannelMask::removing(8, &[1]).unwrap());
    assert_eq!(pruned.method, PruneMethod::Masked);
    let reason = pruned.reason.unwrap();
    assert!(reason.contains("/layer1/Add"), "{reason}");
}

#[test]
fn trunk_and_tail_of_an_exported_network_answer_as_the_whole() {
    let pictures = images();
    for name in NETWORKS {
        let model = network(name);
        let whole = run(&model, &[&pictures]);
        for site in candidates(&model) {
            let parts = cut(&model, &site).unwrap();
            let tensors = run(&parts.trunk, &[&pictures]);
            let inputs: Vec<&Tensor> = tensors.iter().collect();
            let found = run(&parts.tail, &inputs);
            assert_close(
                &found[0].data,
                &whole[0].data,
                &format!("{name} at {}", site.tensor),
            );
        }
    }
}

#[test]
fn the_tail_after_the_global_average_can_be_narrowed() {
    for name in NETWORKS {
        let model = network(name);
        let site = default_site(&model).unwrap();
        let mask = ChannelMask::removing(site.channels, &[3, 4]).unwrap();
        let tail = prune_tail(&ShapedModel::new(&cut(&model, &site).unwrap().tail), &mask);
        assert!(tail.is_some(), "{name}");
    }
}

fn goodnet() -> Command {
    Command::cargo_bin("goodnet").unwrap()
}

#[test]
fn inspect_lists_layers_and_sites() {
    let shown = goodnet()
        .arg("inspect")
        .arg(fixture("resnet_dynamic.onnx"))
        .assert()
        .success();
    shown
        .stdout(predicate::str::contains("/layer2/conv2/Conv"))
        .stdout(predicate::str::contains("classes  8"))
        .stdout(predicate::str::contains("(n, 16, 8, 8)"));
}

#[test]
fn inspect_as_json_marks_one_default_site() {
    let mut command = goodnet();
    command
        .arg("inspect")
        .arg(fixture("resnet_batch1.onnx"))
        .arg("--json");
    let output = command.output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["classes"], 8);
    assert_eq!(json["input"]["layout"], "nchw");
    let sites = json["sites"].as_array().unwrap();
    let default: Vec<_> = sites
        .iter()
        .filter(|site| site["default"] == true)
        .collect();
    assert_eq!(default.len(), 1);
    assert_eq!(default[0]["op"], "ReduceMean");
    let weights = json["layers"].as_array().unwrap().iter();
    let sum: u64 = weights
        .map(|layer| layer["parameters"].as_u64().unwrap())
        .sum();
    assert_eq!(Some(sum), json["parameters"].as_u64());
}

#[test]
fn prune_writes_a_network_and_refuses_to_replace_one() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("pruned.onnx");
    let prune = |extra: &[&str]| {
        let mut command = goodnet();
        command
            .arg("prune")
            .arg("--model")
            .arg(fixture("resnet_dynamic.onnx"));
        command
            .args([
                "--site",
                "/layer2/Relu_output_0",
                "--remove",
                "0,5,6",
                "--out",
            ])
            .arg(&out);
        command.args(extra).assert()
    };
    prune(&[]).success().stdout(predicate::str::contains(
        "3 of 16 channels of /layer2/Relu_output_0 removed",
    ));
    let written = Model::load(&out).unwrap();
    assert_eq!(
        written.graph.initializers["layer2.conv1.weight"].shape,
        [13, 8, 3, 3]
    );
    prune(&[])
        .code(3)
        .stderr(predicate::str::contains("--force"));
    prune(&["--force"]).success();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn prune_names_what_is_wrong_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("pruned.onnx");
    let cases = [
        ("pool_9", "0", "/pool/GlobalAveragePool_output_0"),
        ("/pool/GlobalAveragePool", "16", "channel 16 does not exist"),
        ("/pool/GlobalAveragePool", "2,2", "channel 2 is named twice"),
    ];
    for (site, remove, message) in cases {
        let mut command = goodnet();
        command
            .arg("prune")
            .arg("--model")
            .arg(fixture("resnet_dynamic.onnx"));
        command
            .args(["--site", site, "--remove", remove, "--out"])
            .arg(&out);
        let names_file = predicate::str::contains("resnet_dynamic.onnx");
        command
            .assert()
            .code(3)
            .stderr(predicate::str::contains(message).and(names_file));
        assert!(!out.exists());
    }
}

#[test]
fn a_file_that_is_no_network_is_refused_in_one_line_that_names_it() {
    for (name, content) in [
        ("empty.onnx", &b""[..]),
        ("hdf5.onnx", &b"\x89HDF\r\n\x1a\n0000"[..]),
        ("text.onnx", &b"not a network"[..]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let output = goodnet().arg("inspect").arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{name}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(
            message.contains(name) && message.contains("expected"),
            "{message}"
        );
    }
}

#[test]
fn a_cut_off_file_is_refused_wherever_it_ends() {
    let bytes = std::fs::read(fixture("resnet_batch1.onnx")).unwrap();
    let mut refused = 0;
    for end in (0..bytes.len() - 64).step_by(64) {
        assert!(
            Model::from_bytes(&bytes[..end]).is_err(),
            "the first {end} bytes were accepted"
        );
        refused += 1;
    }
    assert!(refused > 300);
}

#[test]
fn a_weight_that_is_not_finite_is_refused_by_name() {
    use goodnet::onnx::{OnnxError, TensorData};
    let bad = [
        TensorData::F32(vec![0.0, f32::NAN]),
        TensorData::F64(vec![0.0, f64::INFINITY]),
        TensorData::Other(10, vec![0, 0, 0, 0x7C]),
        TensorData::Other(16, vec![0, 0, 0xC0, 0x7F]),
    ];
    for data in bad {
        let mut model = network("resnet_dynamic.onnx");
        let tensor = goodnet::onnx::Tensor {
            shape: vec![2],
            data,
        };
        model.graph.initializers.insert("bad".to_owned(), tensor);
        let error = Model::from_bytes(&model.to_bytes()).unwrap_err();
        let OnnxError::NotFinite {
            tensor, position, ..
        } = error
        else {
            panic!("{error}");
        };
        assert_eq!((tensor.as_str(), position), ("bad", 1));
    }
}

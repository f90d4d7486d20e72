//! Networks: what ends in probabilities, and what cannot be used.

use super::{CLASSES, Field, IMAGES, all_pixels, best, chain, network, write_h5};
use assert_cmd::Command;
use goodnet::engine::{BackendChoice, Engine};
use goodnet::onnx::{Attribute, Model, Tensor};
use std::fs;

#[test]
fn probabilities_are_told_from_scores_whatever_follows_the_softmax() {
    // exp(60 · 205/255) against exp(60 · 0.35): the best class is certain, a second softmax would make it 1/(1 + 47/e).
    let ends: [(&str, &'static [&'static str]); 17] = [
        ("softmax", &["Softmax l y"]),
        ("logits", &["Identity l y"]),
        ("identity", &["Softmax l s", "Identity s y"]),
        ("cast", &["Softmax l s", "Cast s y"]),
        ("dropout", &["Softmax l s", "Dropout s y"]),
        ("reshape", &["Softmax l s", "Reshape s,shape y"]),
        (
            "flatten",
            &["Softmax l s", "Reshape s,wide w", "Flatten w y"],
        ),
        (
            "squeeze",
            &["Softmax l s", "Unsqueeze s,axis u", "Squeeze u,axis y"],
        ),
        (
            "squeeze twice",
            &[
                "Softmax l s",
                "Unsqueeze s,axis u",
                "Unsqueeze u,axis v",
                "Squeeze v,axis w",
                "Squeeze w,axis y",
            ],
        ),
        ("times 1", &["Softmax l s", "Mul s,one y"]),
        ("plus 0", &["Softmax l s", "Add s,zero t", "Relu t y"]),
        ("turned", &["Softmax l s", "Transpose s t", "Transpose t y"]),
        ("clip", &["Softmax l s", "Clip s,zero,one y"]),
        ("exp", &["Exp l e", "ReduceSum e,axis t", "Div e,t y"]),
        ("log", &["LogSoftmax l s", "Exp s y"]),
        ("log left", &["LogSoftmax l s", "Identity s y"]),
        (
            "stable",
            &[
                "ReduceMax l m",
                "Sub l,m d",
                "Exp d e",
                "ReduceSum e,axis t",
                "Div e,t y",
            ],
        ),
    ];
    for (name, steps) in ends {
        let field = Field::new();
        let mut model = network(60.0, chain(steps));
        for node in &mut model.graph.nodes {
            if node.is("ReduceMax") {
                *node = node.clone().with("axes", Attribute::Ints(vec![1]));
            }
        }
        let found = best(&field, &model);
        assert!(found > 0.999, "{name}: {found}");
    }
}

#[test]
fn what_follows_a_sigmoid_is_no_reason_for_a_softmax() {
    let field = Field::new();
    let model = network(10.0, chain(&["Sigmoid l s", "Identity s y"]));
    let expected = 1.0 / (1.0 + (-10.0 * 205.0 / 255.0_f64).exp());
    assert!((best(&field, &model) - expected).abs() < 1e-4);
}

#[test]
fn scores_that_prove_to_be_probabilities_are_taken_as_they_are() {
    // A quotient by a sum that the graph does not show: the scores of clean images tell.
    let field = Field::new();
    let model = network(60.0, chain(&["Exp l e", "MatMul e,sums t", "Div e,t y"]));
    let mut model = model;
    let ones = Tensor::f32([CLASSES, 1], vec![1.0; CLASSES]);
    model.graph.initializers.insert("sums".to_owned(), ones);
    assert!(best(&field, &model) > 0.999);
}

/// What an audit of `model` saw of stand-ins: label, family and margin in units of a clean image's own.
fn seen_by_audit(field: &Field, model: &Model, told: bool) -> Vec<(u64, String, f64)> {
    model.save(&field.at("net.onnx")).unwrap();
    let output = field
        .audit("clean.h5", &["--scale", "1/255"])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(stderr.contains("taken for probabilities"), told, "{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let evidence = report["evidence"].as_array().unwrap().iter();
    evidence
        .map(|seen| {
            let family = seen["family"].as_str().unwrap().to_owned();
            let margin = seen["margin"].as_f64().unwrap();
            (seen["label"].as_u64().unwrap(), family, margin)
        })
        .collect()
}

#[test]
fn an_audit_takes_scores_for_what_they_are_whatever_the_graph_shows() {
    let field = Field::new();
    write_h5(&field.at("clean.h5"), &all_pixels());
    let model = |end: &'static [&'static str]| {
        let mut model = network(10.0, chain(end));
        let eye = (0..CLASSES * CLASSES).map(|at| f32::from(at / CLASSES == at % CLASSES));
        let eye = Tensor::f32([CLASSES, CLASSES], eye.collect::<Vec<_>>());
        model.graph.initializers.insert("eye".to_owned(), eye);
        model
    };
    let known = seen_by_audit(&field, &model(&["Softmax l s", "Mul s,one y"]), false);
    assert!(!known.is_empty());
    for end in [
        &["Softmax l s", "Pow s,one y"],
        &["Softmax l s", "MatMul s,eye y"],
    ] {
        let shown = seen_by_audit(&field, &model(end), true);
        assert_eq!(known.len(), shown.len(), "{end:?}");
        for (known, shown) in known.iter().zip(&shown) {
            let gap = (known.2 - shown.2).abs();
            assert!(
                (known.0, &known.1) == (shown.0, &shown.1) && gap <= 1e-3 * known.2.abs().max(1.0),
                "{end:?}: {known:?} and {shown:?}"
            );
        }
    }
}

#[test]
fn scores_that_are_no_answer_for_one_image_are_refused() {
    let field = Field::new();
    write_h5(&field.at("clean.h5"), &all_pixels());
    let hundred = Tensor::f32([1], vec![100.0]);
    let mut percentages = network(60.0, chain(&["Softmax l s", "Mul s,hundred y"]));
    let initializers = &mut percentages.graph.initializers;
    initializers.insert("hundred".to_owned(), hundred);
    let mut over_the_batch = network(60.0, chain(&["Softmax l y"]));
    let last = over_the_batch.graph.nodes.last_mut().unwrap();
    *last = last.clone().with("axis", Attribute::Int(0));
    // tract runs few images one by one: an answer that depends on the others is no better than chance there.
    for (model, signs) in [
        (percentages, &["percentages"][..]),
        (
            over_the_batch,
            &["mixes the images of a batch", "near chance"],
        ),
    ] {
        model.save(&field.at("net.onnx")).unwrap();
        let told = field.told(3, "clean.h5", &["--scale", "1/255"]);
        assert!(signs.iter().any(|sign| told.contains(sign)), "{told}");
        assert!(!field.at("bundle").exists());
    }
}

#[test]
fn scores_that_are_not_finite_are_named() {
    let field = Field::new();
    let mut model = network(1.0, chain(&["Div l,none y"]));
    let none = Tensor::f32([1], vec![0.0]);
    model.graph.initializers.insert("none".to_owned(), none);
    model.save(&field.at("net.onnx")).unwrap();
    write_h5(&field.at("clean.h5"), &vec![0.0; IMAGES * CLASSES]);
    let told = field.told(3, "clean.h5", &[]);
    assert!(told.contains("expected finite scores, found NaN"), "{told}");
    assert!(!field.at("bundle").exists());
}

#[test]
fn prune_writes_nothing_that_no_runtime_here_runs() {
    let field = Field::new();
    let mut model = network(1.0, chain(&["Softmax l y"]));
    let prune = |name: &str| {
        let mut command = Command::cargo_bin("goodnet").unwrap();
        command.current_dir(field.0.path());
        command.args([
            "prune", "--model", name, "--site", "p", "--remove", "0", "--out", "out.onnx",
        ]);
        command.assert()
    };
    model.opsets.insert(String::new(), 99);
    model.save(&field.at("newer.onnx")).unwrap();
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    if engine.info().to_string().starts_with("tract") {
        // tract does not ask for the operator set, and runs the network.
        prune("newer.onnx").success();
        std::fs::remove_file(field.at("out.onnx")).unwrap();
    } else {
        let refused = prune("newer.onnx").code(3);
        let told = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(
            told.contains("operator set 99") && !field.at("out.onnx").exists(),
            "{told}"
        );
    }
    network(1.0, chain(&["Softmax l y"]))
        .save(&field.at("net.onnx"))
        .unwrap();
    prune("net.onnx").success();
}

#[test]
fn operators_that_no_exporter_writes_and_folders_of_saved_models_are_refused() {
    let field = Field::with_network();
    write_h5(&field.at("clean.h5"), &all_pixels());
    let mut fused = network(60.0, chain(&["Softmax l y"]));
    fused.opsets.insert("com.microsoft".to_owned(), 1);
    fused.graph.nodes[0].op_type = "FusedConv".to_owned();
    fused.graph.nodes[0].domain = "com.microsoft".to_owned();
    fused.save(&field.at("net.onnx")).unwrap();
    let told = field.told(3, "clean.h5", &[]);
    assert!(
        told.contains("found operator FusedConv of com.microsoft"),
        "{told}"
    );
    fs::remove_file(field.at("net.onnx")).unwrap();
    fs::create_dir(field.at("net.onnx")).unwrap();
    fs::write(field.at("net.onnx/saved_model.pb"), b"\x08\x01").unwrap();
    let told = field.told(3, "clean.h5", &[]);
    assert!(
        told.contains("found a SavedModel of TensorFlow; run: python -m tf2onnx.convert"),
        "{told}"
    );
}

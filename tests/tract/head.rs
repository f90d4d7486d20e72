//! Heads and refitted networks on the built-in tract, and what is no head.

use crate::common::lab;
use crate::common::networks::Random;
use crate::heads::networks::{Builder, CLASSES, End, HIDDEN};
use crate::heads::{cases, fused, networks};
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::{BackendChoice, Engine};
use goodnet::format::read_model;
use goodnet::onnx::head::find;
use goodnet::onnx::site::{default_site, find as find_site};
use goodnet::onnx::{Model, prepare};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn engine() -> Engine {
    Engine::start(&BackendChoice::Tract).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn body_times_head_is_the_network(seed in any::<u64>(), kind in 0..networks::ALL.len()) {
        cases::a_head_of_any_kind(&engine(), seed, kind);
    }

    #[test]
    fn the_fused_graph_answers_as_the_networks_one_by_one(seed in any::<u64>(), kind in 0..networks::ALL.len()) {
        fused::a_head_of_any_kind(&engine(), seed, kind);
    }
}

#[test]
fn the_networks_of_other_tests_have_heads() {
    cases::networks_of_other_tests(&engine());
    fused::networks_of_other_tests(&engine());
}

#[test]
fn shared_weights_stay_with_their_other_reader() {
    cases::shared_weights_stay_with_their_other_reader(&engine());
}

#[test]
fn heads_near_a_narrowed_site_answer_too() {
    fused::heads_near_a_narrowed_site(&engine());
}

#[test]
fn the_features_are_shared() {
    fused::the_features_are_shared(&engine());
}

#[test]
fn inner_names_give_way() {
    fused::inner_names_give_way(&engine());
}

#[test]
fn a_tie_goes_to_the_lower_class() {
    fused::a_tie_goes_to_the_lower_class(&engine());
}

#[test]
fn the_engine_gives_the_repaired_answers() {
    fused::the_engine_gives_the_repaired_answers(&engine());
}

fn fixtures(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(folder);
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let whole = !name.contains(".reference.") && !name.contains("weights");
        name.ends_with(extension) && whole
    });
    files.sort();
    files
}

/// What Keras, PyTorch and tf2onnx write.
#[test]
fn exported_and_imported_networks_have_heads() {
    let files = [
        fixtures("keras", ".h5"),
        fixtures("onnx", ".onnx"),
        fixtures("tf2onnx", ".onnx"),
    ];
    let files = files.concat();
    assert!(files.len() >= 12, "only {} fixtures found", files.len());
    let mut seen = 0;
    for path in files {
        let imported = read_model(&path, None).unwrap();
        let model = prepare(&imported.model).unwrap();
        // Some end in no linear layer, or have nothing to prune.
        let (Ok(_), Ok(site)) = (find(&model), default_site(&model)) else {
            continue;
        };
        seen += 1;
        let mut random = Random(12);
        cases::answers_as_its_parts(&engine(), &model, End::Softmax, &mut random);
        let mask = ChannelMask::removing(site.channels, &[0]).unwrap();
        fused::assert_fused(&engine(), &model, &site, &[mask], 12);
    }
    assert!(seen >= 12, "only {seen} of them have heads");
}

#[test]
fn the_labs_network_has_a_head() {
    let Some(model) = lab::badnet() else { return };
    let head = find(&model).unwrap();
    assert_eq!((head.dim(), head.classes()), (160, 1283));
    let site = find_site(&model, "pool_3").unwrap();
    let removed: Vec<usize> = (0..45).collect();
    let mask = ChannelMask::removing(60, &removed).unwrap();
    let fused = fused::assert_fused(&engine(), &model, &site, &[mask], 13);
    assert!(fused.shared, "{:?}", fused.reason);
}

#[test]
fn before_operator_set_13_a_softmax_takes_the_axes_from_its_own_on() {
    let mut b = Builder::up_to_map(2);
    b.hidden();
    b.weight("w", &[HIDDEN, CLASSES]);
    let linear = b.add("MatMul", &["hidden", "w"], "linear");
    b.add("Softmax", &[&linear], "scores");
    let model = prepare(&Model::new(b.graph, 11)).unwrap();
    cases::answers_as_its_parts(&engine(), &model, End::Softmax, &mut Random(2));
}

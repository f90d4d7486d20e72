//! Heads and refitted networks on ONNX Runtime (on tract where its library is not found).

use crate::common;
use crate::heads::{cases, fused, networks};
use goodnet::engine::{BackendChoice, Engine};
use proptest::prelude::*;

fn engine() -> Engine {
    Engine::start(&BackendChoice::Auto).unwrap()
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
fn heads_near_a_narrowed_site_answer_too() {
    fused::heads_near_a_narrowed_site(&engine());
}

#[test]
fn the_features_are_shared() {
    fused::the_features_are_shared(&engine());
}

#[test]
fn a_tie_goes_to_the_lower_class() {
    fused::a_tie_goes_to_the_lower_class(&engine());
}

#[test]
fn the_engine_gives_the_repaired_answers() {
    fused::the_engine_gives_the_repaired_answers(&engine());
}

#[test]
fn zz_timing() {
    use goodnet::onnx::{
        fuse, fuse_repaired,
        head::{Refit, find},
        site::find as fs,
    };
    let Some(model) = common::lab::badnet() else {
        return;
    };
    let e = engine();
    println!("TIMING {}", e.info());
    let site = fs(&model, "pool_3").unwrap();
    let images = common::lab::smooth_images(1, 55, 47, 7);
    let masks = common::lab::masks(
        &e,
        &model,
        &site,
        &common::lab::smooth_images(16, 55, 47, 7),
        &[0.75, 0.8, 52.0 / 60.0],
    );
    let head = find(&model).unwrap();
    let refit = Refit::new(&head, head.weights(), head.bias()).unwrap();
    let cfg = goodnet::engine::SessionConfig::default();
    let mut s: Vec<_> = [
        model.clone(),
        fuse(&model, &site, &masks).unwrap().model,
        fuse_repaired(&model, &site, &masks, Some(&refit))
            .unwrap()
            .model,
        fuse_repaired(&model, &site, &[], Some(&refit))
            .unwrap()
            .model,
    ]
    .iter()
    .map(|m| (e.load(&m.to_bytes(), &cfg).unwrap(), Vec::new()))
    .collect();
    for _ in 0..1500 {
        for (s, t) in &mut s {
            let a = std::time::Instant::now();
            s.run(&[images.view()]).unwrap();
            t.push(a.elapsed().as_nanos() as u64);
        }
    }
    for (_, t) in &mut s {
        t.sort();
        println!(
            "TIMING p10 {} us median {} us",
            t[t.len() / 10] / 1000,
            t[t.len() / 2] / 1000
        );
    }
}

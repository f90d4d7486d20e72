//! Heads and refitted networks on ONNX Runtime (on tract where its library is not found).

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

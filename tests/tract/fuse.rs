//! The fused graph on the built-in tract: the same answers as the networks one by one.

use crate::common::{fusing, networks};
use goodnet::engine::{BackendChoice, Engine};
use proptest::prelude::*;

fn engine() -> Engine {
    Engine::start(&BackendChoice::Tract).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_kind_of_tail_answers_as_the_networks_one_by_one(seed in any::<u64>(), kind in 0..networks::ALL.len()) {
        fusing::small_network_case(&engine(), seed, kind);
    }

    #[test]
    fn a_network_like_the_labs_answers_as_the_networks_one_by_one(seed in any::<u64>()) {
        fusing::lab_like_case(&engine(), seed);
    }
}

#[test]
fn the_labs_network_answers_as_the_networks_one_by_one() {
    fusing::the_labs_network(&engine());
}

#[test]
fn a_tie_goes_to_the_lower_class() {
    fusing::a_tie_goes_to_the_lower_class(&engine());
}

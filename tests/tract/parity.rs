//! The real networks on the built-in tract.

use goodnet::engine::{BackendChoice, Engine};

#[test]
fn the_real_networks_answer_as_published_on_tract() {
    let engine = Engine::start(&BackendChoice::Tract).unwrap();
    assert_eq!(engine.info().name, "tract");
    crate::common::parity::check(&engine);
}

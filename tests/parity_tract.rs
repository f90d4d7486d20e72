//! The real networks on the built-in tract.

#![allow(clippy::unwrap_used)]

mod common;

use goodnet::engine::{BackendChoice, Engine};

#[test]
fn the_real_networks_answer_as_published_on_tract() {
    let engine = Engine::start(&BackendChoice::Tract).unwrap();
    assert_eq!(engine.info().name, "tract");
    common::parity::check(&engine);
}

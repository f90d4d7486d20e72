//! The real networks on ONNX Runtime, where its library is at hand.

#![allow(clippy::unwrap_used)]

mod common;

use goodnet::engine::{BackendChoice, Engine, EngineError};

#[test]
fn the_real_networks_answer_as_published_on_onnx_runtime() {
    match Engine::start(&BackendChoice::OnnxRuntime(None)) {
        Ok(engine) => {
            assert_eq!(engine.info().name, "onnxruntime");
            common::parity::check(&engine);
        }
        Err(EngineError::NoLibrary(places)) => {
            eprintln!(
                "skipped: no ONNX Runtime library ({places}); scripts/fetch-onnxruntime fetches it"
            );
        }
        Err(error) => panic!("{error}"),
    }
}

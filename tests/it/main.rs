//! The library and the program through their doors. What chooses another back end than the default has a program of its
//! own (`tests/tract`, `tests/onnxruntime.rs`): a process runs one.

#![allow(clippy::unwrap_used, unreachable_pub)]

mod alarms;
mod audit;
mod bundle;
#[path = "../common/mod.rs"]
mod common;
mod compatibility;
mod dataset;
mod decode_work;
mod defence;
mod demo;
mod exports;
#[cfg(target_os = "linux")]
mod faults;
mod field;
mod fuse;
mod fuzz_replay;
mod head;
#[path = "../heads/mod.rs"]
mod heads;
mod hostile_images;
mod http2;
mod imports;
mod input;
mod isolate;
mod keras_import;
mod large_photos;
mod layers;
mod library;
mod onnx_graph;
mod onnx_hostile;
mod onnx_limits;
mod onnx_prune;
mod optimize;
mod pillow;
mod policies;
mod quantised;
mod quarantine;
mod quarantine_store;
mod readme;
mod repair;
mod scaled;
mod serve;
mod serve_command;
mod serve_v2;
#[path = "../service/mod.rs"]
mod service;
mod sites;
#[cfg(feature = "otlp")]
mod spans;
mod tampering;
mod ways_in;
mod worker_panic;
mod zoo;

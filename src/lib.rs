//! goodnet repairs a backdoored image classifier by pruning and serves it beside the original.
//!
//! Two flows, one direction each:
//!
//! ```text
//! repair:  model file -> onnx graph -> site -> activations -> ranking -> sweep -> drops -> exported models -> bundle
//!          data set -> batches ----------^-------------------------^
//! serve:   request bytes -> image -> tensor -> engine (B and B') -> verdict -> JSON
//! ```
//!
//! Layer rules, held by `tests/it/layers.rs`:
//! - [`domain`] is pure: it knows no files, no HTTP and no runtime;
//! - only [`engine`] names the ONNX Runtime crate, only [`serve`] names axum, only [`onnx`] knows Keras;
//! - [`repair`] and [`serve`] never import each other: they meet in [`bundle`] and in [`input`]'s one `preprocess`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod domain;
pub mod tensor;

mod files;
mod parallel;
mod plain;
pub mod progress;

pub use goodnet_onnx as onnx;
pub use goodnet_onnx::format;

pub mod input;

pub mod engine;

pub mod import;

pub mod bundle;

pub mod repair;

pub mod defence;

pub mod search;

pub mod audit;

pub mod quarantine;

pub mod demo;

pub mod serve;

pub mod cli;

pub mod telemetry;

//! The bundle: a directory with manifest, ONNX files and sweep; the only thing that repair and serve share.
//!
//! In reading order: [`manifest`] (the schema).

pub mod manifest;

pub use manifest::Manifest;

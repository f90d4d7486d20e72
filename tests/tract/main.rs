//! The built-in tract, whether or not ONNX Runtime is at hand.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod fuse;
mod head;
#[path = "../heads/mod.rs"]
mod heads;
mod images;
mod parity;
#[path = "../heads/refused.rs"]
mod refused;

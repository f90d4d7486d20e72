//! The Open Inference Protocol over a socket: JSON and binary tensors, every model, and what is refused.

#![allow(clippy::unwrap_used)]

mod service;


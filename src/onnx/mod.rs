//! The ONNX model as the one internal form: load, save, look up, find the site, prune.

pub mod model;

pub use model::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, TensorData, ValueInfo};

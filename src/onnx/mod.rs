//! The ONNX model as the one internal form.
//!
//! In reading order: [`model`] (the values), `proto`, `read` and `write` (the file), [`graph`] (look-ups), [`shape`]
//! (inference), [`ports`](mod@ports) (what a classifier takes and gives), [`activations`] (what running it takes), `probabilities` (what its scores mean), [`site`] (what is pruned), [`cut`](mod@cut) (trunk and tail),
//! [`prune`](mod@prune) (channels out), [`describe`] (what `goodnet inspect` shows), [`mod@optimize`] (faster, same answers),
//! [`head`] (the last linear layer, and another in its place), [`mod@fuse`] (the whole GoodNet as one graph).

pub mod activations;
mod axes;
mod batch;
pub mod cut;
pub mod describe;
mod error;
pub mod fuse;
pub mod graph;
pub mod head;
pub mod model;
pub mod optimize;
pub mod ports;
mod probabilities;
mod proto;
pub mod prune;
mod read;
pub mod shape;
pub mod site;
mod write;

pub use error::OnnxError;
pub use fuse::{Fused, fuse, fuse_repaired};
pub use head::{Head, Refit};
pub use model::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, TensorData, ValueInfo};
pub use optimize::optimize;
pub use ports::{Ports, ports, prepare, prepare_as_delivered};

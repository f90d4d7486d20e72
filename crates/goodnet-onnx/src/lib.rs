//! Image classifiers in ONNX as plain values: read, shapes, cut, prune, fuse, optimise, write. No runtime.
//!
//! ```
//! use goodnet_onnx::prune::prune;
//! use goodnet_onnx::site::{default_site, expose};
//! use goodnet_onnx::{ChannelMask, Model, prepare};
//! use std::path::Path;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let model = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/badnet.onnx");
//! let network = prepare(&Model::load(Path::new(model))?)?;
//! let (network, site) = expose(&network, &default_site(&network)?);
//! let pruned = prune(&network, &site, &ChannelMask::removing(site.channels, &[0, 7])?);
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().join("pruned.onnx");
//! pruned.model.save(&out)?;
//! println!("{} of {} channels {}", 2, site.channels, pruned.method);
//! # assert_eq!(pruned.method.to_string(), "removed");
//! # Ok(())
//! # }
//! ```
//!
//! In reading order: [`model`] (the values), `proto`, `read`, `external` and `write` (the file), [`graph`] (look-ups), [`shape`]
//! (inference), `choose` (what the file leaves open), [`widen`] (16-bit floats as f32), `bytes` (a `uint8` input), `batch` (an open
//! batch axis), `fold` (computed shapes as constants), `elements` (which tensors are floats), [`ports`](mod@ports) (what a classifier takes and gives), [`activations`] (what running it takes), `probabilities`
//! (what its scores mean), [`site`] (what is pruned), [`cut`](mod@cut) (trunk and tail),
//! [`prune`](mod@prune) (channels out), [`describe`] (what `goodnet inspect` shows), [`mod@optimize`] (faster, same answers),
//! [`head`] (the last linear layer, and another in its place), [`mod@fuse`] (the whole GoodNet as one graph); [`mod@format`] reads files
//! of any kind, Keras too.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod activations;
mod axes;
mod batch;
mod bytes;
mod choose;
pub mod cut;
pub mod describe;
mod elements;
mod error;
mod external;
#[doc(hidden)]
pub mod files;
mod fold;
pub mod format;
pub mod fuse;
pub mod graph;
pub mod head;
mod layout;
pub mod mask;
pub mod model;
pub mod optimize;
pub mod ports;
mod probabilities;
mod proto;
pub mod prune;
mod read;
pub mod shape;
pub mod site;
pub mod widen;
mod write;

pub use batch::CURE as OPEN_BATCH;
pub use error::OnnxError;
pub use fuse::{Fused, fuse, fuse_repaired};
pub use head::{Head, Refit};
pub use layout::Layout;
pub use mask::{ChannelMask, PruneMethod};
pub use model::{Attribute, Dim, ElementType, Graph, Model, Node, Tensor, TensorData, ValueInfo};
pub use optimize::optimize;
pub use ports::{Ports, ports, prepare, prepare_as_delivered};

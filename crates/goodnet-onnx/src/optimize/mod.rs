//! Exact rewrites that make a graph cheaper to run; each leaves the outputs as they were, up to rounding.
//!
//! In reading order: `lookup` (who makes and who reads a tensor), `remainder`, `channels`; `pooling`, which pays on some
//! runtimes only. Where a rewrite does not apply, it leaves the graph alone. What each one buys is in `docs/BENCHMARKS.md`.

mod channels;
pub(super) mod lookup;
mod pooling;
mod remainder;

use super::{Attribute, Model};
pub use pooling::separate_pooling;

/// Channels in one block of ONNX Runtime's blocked convolutions: 16 f32 lanes (8 in its AVX2 kernels).
pub const CHANNEL_BLOCK: usize = 16;

/// Operator sets whose meaning of the rewritten operators is known here.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=22;

/// Rewrites `model` for speed, with standard operators only.
///
/// Inputs and outputs keep their names and shapes; nodes are named after their first output. Every tensor in `keep` stays under its name, though channels may
/// be added after the last one; channel c stays channel c. A model of an operator set outside 13..=22 or with control
/// flow stays as it is.
#[must_use]
pub fn optimize(model: &Model, keep: &[&str]) -> Model {
    let mut model = model.clone();
    if !OPSETS.contains(&model.opset()) || has_control_flow(&model) {
        return model;
    }
    // Inner shapes that the file states need not hold any more.
    model.graph.value_info.clear();
    remainder::split(&mut model.graph, keep);
    channels::pad(&mut model.graph);
    lookup::name_nodes(&mut model.graph);
    model
}

/// Sub-graphs read tensors that are not among their node's inputs, so edits that follow tensors are unsafe.
pub(super) fn has_control_flow(model: &Model) -> bool {
    let mut attributes = model.graph.nodes.iter().flat_map(|n| n.attributes.values());
    attributes.any(|value| matches!(value, Attribute::Opaque(_)))
}

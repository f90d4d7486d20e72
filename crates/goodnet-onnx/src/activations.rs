//! What running a network takes in memory, from its shapes.

use super::model::Model;
use super::shape::{Shapes, infer};

/// Bytes of f32 that the largest layer of `model` reads and writes for one image, and bytes of the image itself.
///
/// Constants and tensors of unknown rank do not count, open extents count as 1: a lower bound of what any runtime needs.
#[must_use]
pub fn bytes_of_an_image(model: &Model) -> (u64, u64) {
    let graph = &model.graph;
    let shapes = infer(graph);
    let layer = |node: &super::model::Node| {
        let read = node
            .inputs
            .iter()
            .filter(|name| !graph.initializers.contains_key(*name));
        let tensors = read.chain(&node.outputs);
        tensors.fold(0_u64, |sum, name| sum.saturating_add(bytes(&shapes, name)))
    };
    let largest = graph.nodes.iter().map(layer).max().unwrap_or(0);
    let image = graph
        .inputs
        .first()
        .map_or(0, |input| bytes(&shapes, &input.name));
    (largest, image)
}

fn bytes(shapes: &Shapes, tensor: &str) -> u64 {
    let extents = shapes.get(tensor).map_or(&[][..], Vec::as_slice);
    // The first extent is the batch.
    let rest = extents
        .iter()
        .skip(1)
        .map(|extent| extent.unwrap_or(1) as u64);
    match extents {
        [] => 0,
        _ => rest.fold(4, u64::saturating_mul),
    }
}

//! What flows through a tensor, and what comes after it.

use crate::model::{Graph, Node};
use crate::shape::Shapes;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Does every way from the inputs to the outputs lead through `tensor`?
pub(super) fn everything_passes(graph: &Graph, tensor: &str) -> bool {
    let inputs = graph.inputs.iter().map(|input| input.name.as_str());
    let mut reached: HashSet<&str> = inputs.filter(|name| *name != tensor).collect();
    for node in &graph.nodes {
        if node
            .inputs
            .iter()
            .any(|input| reached.contains(input.as_str()))
        {
            let further = node.outputs.iter().map(String::as_str);
            reached.extend(further.filter(|name| *name != tensor));
        }
    }
    !graph
        .outputs
        .iter()
        .any(|output| reached.contains(output.name.as_str()))
}

/// Convolutions on the longest way from `tensor` to an output.
pub(super) fn convolutions_after(graph: &Graph, tensor: &str) -> usize {
    let mut depth: HashMap<&str, usize> = HashMap::from([(tensor, 0)]);
    for node in &graph.nodes {
        let before = node
            .inputs
            .iter()
            .filter_map(|input| depth.get(input.as_str()));
        let Some(&before) = before.max() else {
            continue;
        };
        let here = before + usize::from(node.is("Conv"));
        for output in &node.outputs {
            depth.insert(output, here);
        }
    }
    let outputs = graph
        .outputs
        .iter()
        .filter_map(|output| depth.get(output.name.as_str()));
    outputs.max().copied().unwrap_or(0)
}

/// Does a layer with constant weights come after `tensor`?
pub(super) fn weights_after(graph: &Graph, tensor: &str) -> bool {
    let after = graph.dependents(&[tensor]);
    let reads = |node: &&Node| node.inputs.iter().any(|input| after.contains(input));
    graph
        .nodes
        .iter()
        .filter(reads)
        .any(|node| is_weighted(graph, node))
}

/// A convolution, or a product with constant weights.
pub(super) fn is_weighted(graph: &Graph, node: &Node) -> bool {
    if node.is("Conv") {
        return true;
    }
    let linear = node.is("Gemm") || node.is("MatMul");
    linear
        && node
            .inputs
            .iter()
            .take(2)
            .any(|input| graph.initializers.contains_key(input))
}

/// Does a product of two tensors that both depend on `tensor` come after it, as in attention?
pub(super) fn attention_after(graph: &Graph, tensor: &str) -> bool {
    let after = graph.dependents(&[tensor]);
    let product =
        |node: &Node| node.is("MatMul") && node.inputs.iter().all(|input| after.contains(input));
    graph.nodes.iter().any(product)
}

/// Is `tensor` (n, C, H, W) with known C, H and W?
pub(super) fn has_channels(shapes: &Shapes, tensor: &str) -> bool {
    matches!(
        shapes.get(tensor).map(Vec::as_slice),
        Some([_, Some(_), Some(_), Some(_)])
    )
}

/// The tensors that depend on the image.
pub(super) fn from_image(graph: &Graph) -> BTreeSet<String> {
    let inputs: Vec<&str> = graph
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    graph.dependents(&inputs)
}

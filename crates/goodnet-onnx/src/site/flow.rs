//! What flows through a tensor, and what comes after it.

use crate::model::{Graph, Node};
use crate::shape::Shapes;
use std::collections::{BTreeSet, HashMap, HashSet};

/// The tensors that every way from the inputs to the outputs leads through.
///
/// One sweep over the nodes in their order: a tensor on a way is open from the node that makes it to the last one that reads it. A
/// tensor that is the only open one where it is made cannot be gone around. What holds only extents of the image is no way.
pub(super) fn bottlenecks(graph: &Graph) -> HashSet<&str> {
    let before_outputs = before_outputs(graph);
    let mut made: HashMap<&str, usize> = HashMap::new();
    let mut last: HashMap<&str, usize> = HashMap::new();
    for input in &graph.inputs {
        if before_outputs.contains(input.name.as_str()) {
            made.insert(&input.name, 0);
        }
    }
    for (at, node) in graph.nodes.iter().enumerate() {
        let on_a_way = !node.is("Shape")
            && !node.is("Size")
            && node
                .outputs
                .iter()
                .any(|o| before_outputs.contains(o.as_str()))
            && node.inputs.iter().any(|i| made.contains_key(i.as_str()));
        if !on_a_way {
            continue;
        }
        for input in node.inputs.iter().filter(|i| made.contains_key(i.as_str())) {
            last.insert(input, at + 1);
        }
        for output in node
            .outputs
            .iter()
            .filter(|o| before_outputs.contains(o.as_str()))
        {
            made.insert(output, at + 1);
        }
    }
    let end = graph.nodes.len() + 1;
    for output in &graph.outputs {
        if made.contains_key(output.name.as_str()) {
            last.insert(&output.name, end);
        }
    }
    let mut change = vec![0isize; end + 1];
    for (tensor, &from) in &made {
        change[from] += 1;
        change[last.get(tensor).copied().unwrap_or(from)] -= 1;
    }
    let mut open = 0;
    let open: Vec<isize> = change
        .into_iter()
        .map(|by| {
            open += by;
            open
        })
        .collect();
    let alone = |(_, from): &(&str, usize)| open[*from] == 1;
    made.into_iter()
        .filter(alone)
        .map(|(name, _)| name)
        .collect()
}

/// The tensors that an output depends on.
fn before_outputs(graph: &Graph) -> HashSet<&str> {
    let outputs = graph.outputs.iter().map(|output| output.name.as_str());
    let mut before_outputs: HashSet<&str> = outputs.collect();
    for node in graph.nodes.iter().rev() {
        if node
            .outputs
            .iter()
            .any(|o| before_outputs.contains(o.as_str()))
        {
            before_outputs.extend(node.inputs.iter().map(String::as_str));
        }
    }
    before_outputs
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

/// The tensors that a layer with constant weights comes after.
pub(super) fn before_weights(graph: &Graph) -> HashSet<&str> {
    let mut before: HashSet<&str> = HashSet::new();
    for node in graph.nodes.iter().rev() {
        if is_weighted(graph, node) || node.outputs.iter().any(|o| before.contains(o.as_str())) {
            before.extend(node.inputs.iter().map(String::as_str));
        }
    }
    before
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

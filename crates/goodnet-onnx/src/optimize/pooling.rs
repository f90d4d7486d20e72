//! A maximum over a rectangle is the maximum over its columns, then over its rows: `MaxPool` a x b as a x 1 and 1 x b.
//!
//! Non-overlapping windows then cost two cheap passes. tract gains an eighth of a network's time; ONNX Runtime pays two
//! hundredths, so files are written without it.

use super::lookup::{has_explicit_padding, ints_are};
use crate::{Attribute, Graph, Model, Node};

/// The network with every two-dimensional, non-overlapping, unpadded `MaxPool` replaced by two one-dimensional ones.
///
/// The values of all tensors stay as they were.
#[must_use]
pub fn separate_pooling(model: &Model) -> Model {
    let mut model = model.clone();
    separate(&mut model.graph);
    model
}

fn separate(graph: &mut Graph) {
    let mut index = 0;
    while index < graph.nodes.len() {
        let Some([height, width]) = window(&graph.nodes[index]) else {
            index += 1;
            continue;
        };
        let between = graph.fresh_name(&format!("{}_rows", graph.nodes[index].outputs[0]));
        let node = graph.nodes.remove(index);
        let first = pool(&node, &node.inputs[0], &between, [height, 1]);
        let second = pool(&node, &between, &node.outputs[0], [1, width]);
        graph.nodes.splice(index..index, [first, second]);
        index += 2;
    }
}

/// Window of a pooling that can be separated.
fn window(node: &Node) -> Option<[i64; 2]> {
    let plain = node.is("MaxPool")
        && node.outputs.len() == 1
        && has_explicit_padding(node)
        && ints_are(node, &["pads"], 0)
        && ints_are(node, &["dilations"], 1);
    let window: [i64; 2] = node.ints("kernel_shape")?.try_into().ok()?;
    let apart = node.ints("strides") == Some(&window[..]);
    (plain && apart && window[0] > 1 && window[1] > 1).then_some(window)
}

fn pool(like: &Node, input: &str, output: &str, window: [i64; 2]) -> Node {
    Node::new("MaxPool", &[input], &[output])
        .with("kernel_shape", Attribute::Ints(window.to_vec()))
        .with("strides", Attribute::Ints(window.to_vec()))
        .with("ceil_mode", Attribute::Int(like.int("ceil_mode", 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled(window: [i64; 2], strides: [i64; 2]) -> Graph {
        let node = Node::new("MaxPool", &["image"], &["pooled"])
            .with("kernel_shape", Attribute::Ints(window.to_vec()))
            .with("strides", Attribute::Ints(strides.to_vec()));
        Graph {
            nodes: vec![node],
            ..Graph::default()
        }
    }

    #[test]
    fn a_window_that_does_not_overlap_becomes_two_passes() {
        let mut graph = pooled([2, 3], [2, 3]);
        separate(&mut graph);
        let windows: Vec<_> = graph.nodes.iter().map(|n| n.ints("kernel_shape")).collect();
        assert_eq!(windows, [Some(&[2, 1][..]), Some(&[1, 3])]);
        assert_eq!(graph.nodes[0].outputs, graph.nodes[1].inputs);
        assert_eq!(graph.nodes[1].outputs, ["pooled"]);
    }

    #[test]
    fn windows_that_overlap_stay() {
        let mut graph = pooled([3, 3], [2, 2]);
        let before = graph.nodes.clone();
        separate(&mut graph);
        assert_eq!(graph.nodes, before);
    }
}

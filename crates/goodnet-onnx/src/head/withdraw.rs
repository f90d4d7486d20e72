//! Nodes that withdraw the label which B gives to features that lie too far from clean ones.

use super::{Head, Limit};
use crate::{Attribute, Graph, Node, Tensor};

/// The type f32, to cast to.
const FLOAT: (&str, i64) = ("to", 1);

/// The nodes from `scores`, (n, N), to `output`, (n, N): the same but for the label that the head as it was gives, where the features
/// are beyond `limit`.
///
/// Operators of the oldest kind alone: sums over an axis are products with ones, since the operator's form changed.
pub(super) fn nodes(
    graph: &mut Graph,
    head: &Head,
    limit: Limit<'_>,
    [scores, output]: [&str; 2],
) -> Vec<Node> {
    let (dim, classes) = (head.dim, head.classes);
    let mut constant = |stem: &str, tensor: Tensor| {
        let name = graph.fresh_name(&format!("{output}_{stem}"));
        graph.initializers.insert(name.clone(), tensor);
        name
    };
    let whitening = constant(
        "whitening",
        Tensor::f32([dim, dim], limit.whitening.to_vec()),
    );
    let weights = constant(
        "old_weights",
        Tensor::f32([dim, classes], head.weights.clone()),
    );
    let bias = constant("old_bias", Tensor::f32([classes], head.bias.clone()));
    let zeros = constant("zeros", Tensor::f32([dim], vec![0.0; dim]));
    let centres = constant(
        "centres",
        Tensor::f32([classes, dim], limit.centres.to_vec()),
    );
    let ones = constant("ones", Tensor::f32([dim, 1], vec![1.0; dim]));
    let most = constant("limit", Tensor::f32([1], vec![limit.limit]));
    let penalty = constant("penalty", Tensor::f32([1], vec![limit.penalty]));
    let column = constant("column", Tensor::i64([2], vec![-1, 1]));
    let labels = constant(
        "labels",
        Tensor::i64([1, classes], (0..classes as i64).collect()),
    );
    let mut nodes: Vec<Node> = Vec::new();
    let mut push = |stem: &str, operator: &str, inputs: &[&str], attributes: &[(&str, i64)]| {
        let name = graph.fresh_name(&format!("{output}_{stem}"));
        let node = Node::new(operator, inputs, &[&name]);
        nodes.push(attributes.iter().fold(node, |node, &(attribute, value)| {
            node.with(attribute, Attribute::Int(value))
        }));
        name
    };
    let features = head.features.as_str();
    let old = push("old", "Gemm", &[features, &weights, &bias], &[]);
    let best = push("best", "ArgMax", &[&old], &[("axis", 1), ("keepdims", 0)]);
    let whitened = push("whitened", "Gemm", &[features, &whitening, &zeros], &[]);
    let centre = push("centre", "Gather", &[&centres, &best], &[("axis", 0)]);
    let apart = push("apart", "Sub", &[&whitened, &centre], &[]);
    let squares = push("squares", "Mul", &[&apart, &apart], &[]);
    let distance = push("distance", "MatMul", &[&squares, &ones], &[]);
    let beyond = push("beyond", "Greater", &[&distance, &most], &[]);
    let beyond = push("beyond_f32", "Cast", &[&beyond], &[FLOAT]);
    let best = push("best_column", "Reshape", &[&best, &column], &[]);
    let is_best = push("is_best", "Equal", &[&best, &labels], &[]);
    let is_best = push("is_best_f32", "Cast", &[&is_best], &[FLOAT]);
    let withdrawn = push("withdrawn", "Mul", &[&beyond, &is_best], &[]);
    let taken = push("taken", "Mul", &[&withdrawn, &penalty], &[]);
    nodes.push(Node::new("Sub", &[scores, &taken], &[output]));
    nodes
}

//! The end of the fused graph: from the scores of B and of every B' to the three outputs.

use super::build::{Builder, as_i64};
use crate::onnx::{Attribute, Dim, ElementType, Node, Tensor, ValueInfo};

/// Output (n, N): B's scores.
pub const BADNET_OUTPUT: &str = "badnet_probabilities";
/// Output (n, T, N): the scores of every B', in the order of the drops.
pub const PRUNED_OUTPUT: &str = "pruned_probabilities";
/// Output (n, T), i64: the class where B and B' agree, N where they do not.
pub const VERDICT_OUTPUT: &str = "verdict";

/// Appends outputs and verdict to a graph whose tensor `scores` holds (n * (1 + T), N): for each image B's row, then
/// those of the T pruned networks. A tie within a row goes to the lower class.
pub(super) fn append(builder: &mut Builder<'_>, scores: &str, drops: usize, classes: usize) {
    let all_shape = [-1, as_i64(1 + drops), as_i64(classes)];
    let all = builder.reshape(scores, &all_shape, "scores");
    let badnet = builder.fresh("scores_badnet");
    builder.split(&all, [&badnet, PRUNED_OUTPUT], drops);
    builder.reshape_to(&badnet, &[-1, as_i64(classes)], BADNET_OUTPUT);

    let best = builder.fresh("best");
    builder.push(
        Node::new("ArgMax", &[&all], &[&best])
            .with("axis", Attribute::Int(2))
            .with("keepdims", Attribute::Int(0)),
    );
    let (ours, theirs) = (builder.fresh("best_badnet"), builder.fresh("best_pruned"));
    builder.split(&best, [&ours, &theirs], drops);
    let agree = builder.fresh("agree");
    builder.push(Node::new("Equal", &[&ours, &theirs], &[&agree]));
    let flagged = builder.constant("flagged", Tensor::i64([1], vec![as_i64(classes)]));
    let choice = Node::new("Where", &[&agree, &ours, &flagged], &[VERDICT_OUTPUT]);
    builder.push(choice);
    builder.graph.outputs = outputs(drops, classes);
}

fn outputs(drops: usize, classes: usize) -> Vec<ValueInfo> {
    let port = |name: &str, element, rest: &[usize]| {
        let batch = std::iter::once(Dim::Symbol("n".to_owned()));
        let rest = rest.iter().map(|&extent| Dim::Fixed(extent));
        ValueInfo {
            name: name.to_owned(),
            element,
            shape: Some(batch.chain(rest).collect()),
        }
    };
    vec![
        port(BADNET_OUTPUT, ElementType::F32, &[classes]),
        port(PRUNED_OUTPUT, ElementType::F32, &[drops, classes]),
        port(VERDICT_OUTPUT, ElementType::I64, &[drops]),
    ]
}

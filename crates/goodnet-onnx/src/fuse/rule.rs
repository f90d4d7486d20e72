//! The end of the fused graph: from the scores of B, of every B' and of the repaired network to the outputs.

use super::build::{Builder, as_i64};
use crate::{Attribute, Dim, ElementType, Node, Tensor, ValueInfo};

/// Output (n, N): B's scores.
pub const BADNET_OUTPUT: &str = "badnet_probabilities";
/// Output (n, T, N): the scores of every B', in the order of the drops.
pub const PRUNED_OUTPUT: &str = "pruned_probabilities";
/// Output (n, T), i64: the class where B and B' agree, N where they do not.
pub const VERDICT_OUTPUT: &str = "verdict";
/// Output (n, N): the scores of the repaired network, B with a refitted head.
pub const REPAIRED_OUTPUT: &str = "repaired_probabilities";
/// Output (n), i64: the class where B and the repaired network agree, N where they do not.
pub const REPAIRED_VERDICT_OUTPUT: &str = "repaired_verdict";

/// Appends outputs and verdict to a graph whose tensor `scores` holds for each image B's row, (N), then those of the distinct pruned
/// networks; `copies` has for each of the T drops which of these is its own. A tie within a row goes to the lower class. Gives
/// the tensor (n, 1) of B's classes.
pub(super) fn append(
    builder: &mut Builder<'_>,
    scores: &str,
    copies: &[usize],
    classes: usize,
) -> String {
    let drops = copies.len();
    builder.graph.outputs = outputs(drops, classes);
    if drops == 0 {
        builder.reshape_to(scores, &[-1, as_i64(classes)], BADNET_OUTPUT);
        return best_of_row(builder, BADNET_OUTPUT, "best_badnet");
    }
    let distinct = copies.iter().max().map_or(0, |last| last + 1);
    let shape = [-1, as_i64(1 + distinct), as_i64(classes)];
    let all = builder.reshape(scores, &shape, "scores");
    builder.gather_rows(&all, Tensor::i64([], vec![0]), BADNET_OUTPUT);
    let rows = copies.iter().map(|&copy| as_i64(1 + copy)).collect();
    builder.gather_rows(&all, Tensor::i64([drops], rows), PRUNED_OUTPUT);
    let ours = best_of_row(builder, BADNET_OUTPUT, "best_badnet");
    let theirs = builder.fresh("best_pruned");
    builder.push(
        Node::new("ArgMax", &[PRUNED_OUTPUT], &[&theirs])
            .with("axis", Attribute::Int(2))
            .with("keepdims", Attribute::Int(0)),
    );
    verdict(builder, [&ours, &theirs], classes, VERDICT_OUTPUT);
    ours
}

/// Appends the outputs of a repaired network whose scores are [`REPAIRED_OUTPUT`]; `ours`: the tensor of B's classes.
pub(super) fn append_repaired(builder: &mut Builder<'_>, ours: &str, classes: usize) {
    let theirs = best_of_row(builder, REPAIRED_OUTPUT, "best_repaired");
    let column = builder.fresh("verdict_repaired");
    verdict(builder, [ours, &theirs], classes, &column);
    builder.reshape_to(&column, &[-1], REPAIRED_VERDICT_OUTPUT);
    builder.graph.outputs.extend([
        port(REPAIRED_OUTPUT, ElementType::F32, &[classes]),
        port(REPAIRED_VERDICT_OUTPUT, ElementType::I64, &[]),
    ]);
}

/// Appends the class of every row of (n, N), as (n, 1); gives its name.
fn best_of_row(builder: &mut Builder<'_>, scores: &str, stem: &str) -> String {
    let best = builder.fresh(stem);
    let node = Node::new("ArgMax", &[scores], &[&best]);
    builder.push(node.with("axis", Attribute::Int(1)));
    best
}

/// Appends the class where both agree, N where they do not, as a tensor of that name.
fn verdict(builder: &mut Builder<'_>, [ours, theirs]: [&str; 2], classes: usize, output: &str) {
    let agree = builder.fresh("agree");
    builder.push(Node::new("Equal", &[ours, theirs], &[&agree]));
    let flagged = builder.constant("flagged", Tensor::i64([1], vec![as_i64(classes)]));
    builder.push(Node::new("Where", &[&agree, ours, &flagged], &[output]));
}

fn outputs(drops: usize, classes: usize) -> Vec<ValueInfo> {
    let mut outputs = vec![port(BADNET_OUTPUT, ElementType::F32, &[classes])];
    if drops > 0 {
        outputs.push(port(PRUNED_OUTPUT, ElementType::F32, &[drops, classes]));
        outputs.push(port(VERDICT_OUTPUT, ElementType::I64, &[drops]));
    }
    outputs
}

/// An output (n, `rest`).
fn port(name: &str, element: ElementType, rest: &[usize]) -> ValueInfo {
    let batch = std::iter::once(Dim::Symbol("n".to_owned()));
    let rest = rest.iter().map(|&extent| Dim::Fixed(extent));
    ValueInfo {
        name: name.to_owned(),
        element,
        shape: Some(batch.chain(rest).collect()),
    }
}

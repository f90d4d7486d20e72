//! The repaired network inside the fused graph: B's features once more through another head.

use super::build::{Builder, as_i64};
use super::rule::REPAIRED_OUTPUT;
use super::tails::Tails;
use crate::shape::infer;
use crate::{Graph, Model, Node, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// What only the repaired network computes.
pub(super) struct Repaired {
    nodes: Vec<Node>,
    constants: BTreeMap<String, Tensor>,
    /// Its scores, (n, N).
    scores: String,
    /// The label that B gives, (n, 1), if it reads that.
    label: Option<String>,
    /// What it reads of the tensors that it has in common with B, with their extents past the batch where all are known.
    read: BTreeMap<String, Option<Vec<usize>>>,
}

impl Repaired {
    /// Takes out of `model` what only its second output needs; none where it has but one.
    pub(super) fn split_off(model: &mut Model) -> Option<Self> {
        let scores = model.graph.outputs.get(1)?.name.clone();
        let mut whole = model.graph.clone();
        whole.remove_unused();
        model.graph.outputs.truncate(1);
        model.graph.remove_unused();
        let common = made(&model.graph);
        let shapes = infer(&whole);
        let is_own = |node: &Node| !node.outputs.iter().any(|output| common.contains(output));
        let mut nodes: Vec<Node> = whole.nodes.into_iter().filter(is_own).collect();
        let of_badnet = &model.graph.outputs.first()?.name;
        let is_label = |node: &Node| node.is("ArgMax") && node.inputs.first() == Some(of_badnet);
        let label = nodes.iter().position(is_label);
        let label = label.map(|place| nodes.remove(place).outputs.swap_remove(0));
        let row = |tensor: &str| shapes.get(tensor)?.iter().skip(1).copied().collect();
        let inputs = nodes.iter().flat_map(|node| &node.inputs);
        let read = inputs
            .filter(|input| common.contains(*input))
            .map(|input| (input.clone(), row(input)))
            .collect();
        let known = &model.graph.initializers;
        let mut constants = whole.initializers;
        constants.retain(|name, _| !known.contains_key(name));
        Some(Self {
            nodes,
            constants,
            scores,
            label,
            read,
        })
    }

    /// Can it read what it needs beside `tails`?
    ///
    /// # Errors
    /// The reason, in words, why not.
    pub(super) fn check(&self, tails: &Tails) -> Result<(), String> {
        let made = made(&tails.graph);
        for (tensor, row) in &self.read {
            let apart = row.is_some() || !tails.stacked.contains(tensor);
            if !made.contains(tensor) || !apart {
                return Err(format!(
                    "the repaired network cannot read {tensor} by itself"
                ));
            }
        }
        Ok(())
    }

    /// Appends it, with its scores as [`REPAIRED_OUTPUT`]. `stacked`: tensors that hold `copies` rows an image, B's first;
    /// `ours`: B's labels, (n, 1).
    pub(super) fn append(
        self,
        builder: &mut Builder<'_>,
        stacked: &BTreeSet<String>,
        copies: usize,
        ours: &str,
    ) {
        builder.graph.initializers.extend(self.constants);
        let mut names = BTreeMap::from([(self.scores, REPAIRED_OUTPUT.to_owned())]);
        names.extend(self.label.map(|label| (label, ours.to_owned())));
        for (tensor, row) in self.read {
            if let (true, Some(row)) = (stacked.contains(&tensor), row) {
                let rows = rows_of_badnet(builder, &tensor, &row, copies);
                names.insert(tensor, rows);
            }
        }
        for mut node in self.nodes {
            for name in node.inputs.iter_mut().chain(&mut node.outputs) {
                if let Some(other) = names.get(name) {
                    name.clone_from(other);
                }
            }
            builder.push(node);
        }
    }
}

/// Every tensor that is there without being a constant.
fn made(graph: &Graph) -> BTreeSet<String> {
    let inputs = graph.inputs.iter().map(|input| &input.name);
    let outputs = graph.nodes.iter().flat_map(|node| &node.outputs);
    let names = inputs.chain(outputs).filter(|name| !name.is_empty());
    names.cloned().collect()
}

/// Appends what takes B's row of every image: (n * copies, `row`) to (n, `row`).
fn rows_of_badnet(builder: &mut Builder<'_>, tensor: &str, row: &[usize], copies: usize) -> String {
    let mut shape = vec![-1, as_i64(copies)];
    shape.extend(row.iter().copied().map(as_i64));
    let apart = builder.reshape(tensor, &shape, "rows");
    let output = builder.fresh("rows_badnet");
    builder.gather_rows(&apart, Tensor::i64([], vec![0]), &output);
    output
}

//! Which nodes compute every row of a batch by itself, so that tails can be stacked along the batch axis.

use crate::axes::{named_axes, reduced_axes};
use crate::{Graph, Node};
use std::collections::BTreeSet;

/// Element by element, reading one tensor (further inputs are constants).
const UNARY: [&str; 27] = [
    "Relu",
    "LeakyRelu",
    "Elu",
    "Selu",
    "Sigmoid",
    "Tanh",
    "Softplus",
    "Softsign",
    "HardSigmoid",
    "HardSwish",
    "Exp",
    "Log",
    "Identity",
    "Clip",
    "Dropout",
    "PRelu",
    "Abs",
    "Cast",
    "Celu",
    "DequantizeLinear",
    "Erf",
    "Gelu",
    "Mish",
    "Neg",
    "QuantizeLinear",
    "Reciprocal",
    "Sqrt",
];

/// Image by image, reading one tensor (further inputs are constants).
const SPATIAL: [&str; 7] = [
    "Conv",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "BatchNormalization",
    "LRN",
];

/// Element by element over several tensors, with broadcasting.
const ELEMENTWISE: [&str; 7] = ["Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"];

/// What the check needs to know of the graph around a node.
pub(super) struct Context<'a> {
    pub(super) graph: &'a Graph,
    pub(super) opset: i64,
    /// Tensors whose axis 0 is the batch.
    pub(super) batched: &'a BTreeSet<String>,
    /// Extents of a tensor past axis 0, where all are known.
    pub(super) row_shape: &'a dyn Fn(&str) -> Option<Vec<usize>>,
}

impl Context<'_> {
    /// Does `node` give row i of its output from row i of its inputs alone?
    pub(super) fn is_batchwise(&self, node: &Node) -> bool {
        if !node.domain.is_empty() {
            return false;
        }
        let op = node.op_type.as_str();
        if SPATIAL.contains(&op) {
            return self.reads_one_batched(node);
        }
        if UNARY.contains(&op) {
            return self.reads_one_batched(node) && self.constants_leave_batch(node);
        }
        if ELEMENTWISE.contains(&op) {
            return self.constants_leave_batch(node) && self.ranks_agree(node);
        }
        match op {
            "Gemm" => {
                node.int("transA", 0) == 0
                    && self.reads_one_batched(node)
                    && self.bias_is_flat(node)
            }
            "MatMul" => self.reads_one_batched(node),
            "Flatten" => node.int("axis", 1) == 1,
            "Softmax" | "LogSoftmax" => self.softmax_axis(node) > 0,
            "Split" => node.int("axis", 0) > 0 && self.reads_one_batched(node),
            "Concat" => node.int("axis", 0) > 0 && self.all_batched(node),
            "Transpose" => node
                .ints("perm")
                .is_some_and(|perm| perm.first() == Some(&0)),
            "Reshape" => self.reshape_keeps_rows(node),
            "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceSum" | "ReduceL2" => {
                self.reads_one_batched(node) && self.leaves_batch(node, reduced_axes)
            }
            "Squeeze" | "Unsqueeze" => {
                self.reads_one_batched(node) && self.leaves_batch(node, named_axes)
            }
            "LayerNormalization" => {
                let axis = node.int("axis", -1);
                let rank = self.rank(&node.inputs[0]);
                self.reads_one_batched(node)
                    && rank.is_some_and(|rank| axis.rem_euclid(rank.max(1) as i64) > 0)
            }
            _ => false,
        }
    }

    /// Are the axes that the node folds, drops or adds known, and none of them the batch?
    fn leaves_batch(
        &self,
        node: &Node,
        axes: fn(&Node, &Graph, usize) -> Option<Vec<usize>>,
    ) -> bool {
        let output = node.outputs.first();
        let of = if node.is("Unsqueeze") {
            output
        } else {
            node.inputs.first()
        };
        let rank = of.and_then(|tensor| self.rank(tensor));
        let axes = rank.and_then(|rank| axes(node, self.graph, rank));
        axes.is_some_and(|axes| !axes.contains(&0))
    }

    fn is_batched(&self, tensor: &str) -> bool {
        self.batched.contains(tensor)
    }

    fn all_batched(&self, node: &Node) -> bool {
        node.inputs.iter().all(|input| self.is_batched(input))
    }

    /// The first input is batched, the others are constants.
    fn reads_one_batched(&self, node: &Node) -> bool {
        let mut inputs = node.inputs.iter();
        inputs.next().is_some_and(|input| self.is_batched(input))
            && inputs.all(|input| !self.is_batched(input))
    }

    /// No constant of this node varies along axis 0 of the output.
    fn constants_leave_batch(&self, node: &Node) -> bool {
        let Some(rank) = self.rank(&node.outputs[0]) else {
            return false;
        };
        let constants = node
            .inputs
            .iter()
            .filter_map(|input| self.graph.initializers.get(input));
        constants
            .into_iter()
            .all(|tensor| tensor.shape.len() < rank || tensor.shape.first() == Some(&1))
    }

    fn ranks_agree(&self, node: &Node) -> bool {
        let rank = self.rank(&node.outputs[0]);
        let mut batched = node.inputs.iter().filter(|input| self.is_batched(input));
        rank.is_some() && batched.all(|input| self.rank(input) == rank)
    }

    fn bias_is_flat(&self, node: &Node) -> bool {
        let bias = node.inputs.get(2).filter(|name| !name.is_empty());
        bias.is_none_or(|name| match self.graph.initializers.get(name) {
            Some(tensor) => tensor.shape.len() < 2 || tensor.shape[0] == 1,
            None => self.rank(name).is_some_and(|rank| rank < 2),
        })
    }

    /// Axis of a softmax from the front, 0 where unknown; before operator set 13 the default is 1.
    fn softmax_axis(&self, node: &Node) -> i64 {
        let axis = node.int("axis", if self.opset < 13 { 1 } else { -1 });
        let rank = self.rank(&node.outputs[0]).unwrap_or(0);
        if axis < 0 {
            axis + i64::try_from(rank).unwrap_or(0)
        } else {
            axis
        }
    }

    /// A leading 0 copies the batch extent; a leading -1 works where the rest holds exactly one row.
    fn reshape_keeps_rows(&self, node: &Node) -> bool {
        let shape = node
            .inputs
            .get(1)
            .and_then(|name| self.graph.initializers.get(name))
            .and_then(|tensor| tensor.as_i64());
        match shape {
            Some([0, _, ..]) => node.int("allowzero", 0) == 0,
            Some([-1, rest @ ..]) if rest.iter().all(|&extent| extent > 0) => {
                let row = (self.row_shape)(&node.inputs[0]).map(|shape| shape.iter().product());
                let rest = rest.iter().try_fold(1, |product: usize, &extent| {
                    product.checked_mul(usize::try_from(extent).ok()?)
                });
                row.is_some() && row == rest
            }
            _ => false,
        }
    }

    fn rank(&self, tensor: &str) -> Option<usize> {
        (self.row_shape)(tensor).map(|shape| shape.len() + 1)
    }
}

//! The edits that a removal is made of.

use crate::graph::Names;
use crate::model::{Attribute, Model, Node, Tensor, TensorData};
use std::collections::HashMap;

/// One change to a graph.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Input `input` of node `node` (a constant) keeps only the entries `keep` along `axis`.
    Slice {
        /// Index of the node.
        node: usize,
        /// Index of its input.
        input: usize,
        /// Axis of the constant.
        axis: usize,
        /// Entries that stay, ascending.
        keep: Vec<usize>,
    },
    /// Input `input` of node `node` (a constant shape) gets `value` at `position`.
    SetExtent {
        /// Index of the node.
        node: usize,
        /// Index of its input.
        input: usize,
        /// Entry of the shape.
        position: usize,
        /// Its new value.
        value: i64,
    },
    /// The `group` attribute of convolution `node` becomes `groups`.
    SetGroups {
        /// Index of the node.
        node: usize,
        /// New number of groups.
        groups: usize,
    },
    /// Node `node` reads only the channels `keep` (axis 1) of its input `input`: a Gather before it picks them.
    Pick {
        /// Index of the node.
        node: usize,
        /// Index of its input.
        input: usize,
        /// Channels that stay, ascending.
        keep: Vec<usize>,
    },
    /// The bias (input 2) of node `node` becomes `values`, one an output; a MatMul becomes a Gemm to have one.
    SetBias {
        /// Index of the node.
        node: usize,
        /// The bias.
        values: Vec<f32>,
    },
}

impl Edit {
    /// [`Edit::Slice`] to the entries `keep`.
    pub(super) fn slice(node: usize, input: usize, axis: usize, keep: &[usize]) -> Self {
        Self::Slice {
            node,
            input,
            axis,
            keep: keep.to_vec(),
        }
    }
}

/// Applies `edits` to a copy of `model`. A constant that other nodes read too is copied first.
pub(super) fn apply(model: &Model, edits: &[Edit]) -> Model {
    let mut edited = Edited::new(model);
    for edit in edits {
        match edit {
            Edit::Slice {
                node,
                input,
                axis,
                keep,
            } => edited.change_constant(*node, *input, |tensor| slice(tensor, *axis, keep)),
            Edit::SetExtent {
                node,
                input,
                position,
                value,
            } => edited.change_constant(*node, *input, |tensor| {
                set_extent(tensor, *position, *value)
            }),
            Edit::SetGroups { node, groups } => {
                edited.model.graph.nodes[*node]
                    .attributes
                    .insert("group".to_owned(), Attribute::Int(*groups as i64));
            }
            Edit::SetBias { node, values } => edited.set_bias(*node, values),
            // Nodes are inserted last, when no edit names another by its index any more.
            Edit::Pick { .. } => {}
        }
    }
    edited.pick_channels(edits);
    edited.model.graph.remove_unused();
    edited.model
}

/// The copy, with what would otherwise be counted for every edit.
struct Edited {
    model: Model,
    names: Names,
    /// How often a tensor is read.
    uses: HashMap<String, usize>,
}

impl Edited {
    fn new(model: &Model) -> Self {
        let mut model = model.clone();
        model.graph.value_info.clear();
        let mut uses: HashMap<String, usize> = HashMap::new();
        for input in model.graph.nodes.iter().flat_map(|node| &node.inputs) {
            *uses.entry(input.clone()).or_default() += 1;
        }
        Self {
            names: model.graph.names(),
            uses,
            model,
        }
    }

    /// Inserts the picks, each before its reader.
    fn pick_channels(&mut self, edits: &[Edit]) {
        let graph = &mut self.model.graph;
        let mut gathers: HashMap<usize, Vec<Node>> = HashMap::new();
        for edit in edits {
            let Edit::Pick { node, input, keep } = edit else {
                continue;
            };
            let source = graph.nodes[*node].inputs[*input].clone();
            // Two readers of one tensor have a pick each.
            let picked = self.names.fresh(&format!("{source}_picked_{node}_{input}"));
            let list = self.names.fresh(&format!("{source}_kept"));
            let indices = keep.iter().map(|&channel| channel as i64).collect();
            graph
                .initializers
                .insert(list.clone(), Tensor::i64([keep.len()], indices));
            graph.nodes[*node].inputs[*input].clone_from(&picked);
            let gather =
                Node::new("Gather", &[&source, &list], &[&picked]).with("axis", Attribute::Int(1));
            gathers.entry(*node).or_default().push(gather);
        }
        let nodes = std::mem::take(&mut graph.nodes);
        for (index, node) in nodes.into_iter().enumerate() {
            graph
                .nodes
                .extend(gathers.remove(&index).unwrap_or_default());
            graph.nodes.push(node);
        }
    }

    fn set_bias(&mut self, node: usize, values: &[f32]) {
        let graph = &mut self.model.graph;
        let name = self
            .names
            .fresh(&format!("{}_bias", graph.nodes[node].inputs[1]));
        let tensor = Tensor::f32([values.len()], values.to_vec());
        graph.initializers.insert(name.clone(), tensor);
        let node = &mut graph.nodes[node];
        if node.is("MatMul") {
            node.op_type = "Gemm".to_owned();
        }
        node.inputs.truncate(2);
        node.inputs.push(name);
    }

    fn change_constant(
        &mut self,
        node: usize,
        input: usize,
        change: impl FnOnce(&Tensor) -> Tensor,
    ) {
        let graph = &mut self.model.graph;
        let name = graph.nodes[node].inputs[input].clone();
        let Some(changed) = graph.initializers.get(&name).map(change) else {
            return;
        };
        let uses = self.uses.entry(name.clone()).or_default();
        if *uses <= 1 {
            graph.initializers.insert(name, changed);
            return;
        }
        *uses -= 1;
        let own = self.names.fresh(&format!("{name}_kept"));
        self.uses.insert(own.clone(), 1);
        graph.initializers.insert(own.clone(), changed);
        graph.nodes[node].inputs[input] = own;
    }
}

/// `tensor` with only the entries `keep` along `axis`.
fn slice(tensor: &Tensor, axis: usize, keep: &[usize]) -> Tensor {
    let inner: usize = tensor.shape[axis + 1..].iter().product();
    let outer: usize = tensor.shape[..axis].iter().product();
    let extent = tensor.shape[axis];
    let mut shape = tensor.shape.clone();
    shape[axis] = keep.len();
    let data = match &tensor.data {
        TensorData::F32(values) => TensorData::F32(pick(values, outer, extent, inner, keep)),
        TensorData::F64(values) => TensorData::F64(pick(values, outer, extent, inner, keep)),
        TensorData::I32(values) => TensorData::I32(pick(values, outer, extent, inner, keep)),
        TensorData::I64(values) => TensorData::I64(pick(values, outer, extent, inner, keep)),
        TensorData::Other(number, raw) => {
            let size = crate::model::element_size(*number).unwrap_or(1);
            TensorData::Other(*number, pick(raw, outer, extent, inner * size, keep))
        }
    };
    Tensor { shape, data }
}

fn pick<T: Copy>(
    values: &[T],
    outer: usize,
    extent: usize,
    inner: usize,
    keep: &[usize],
) -> Vec<T> {
    let mut picked = Vec::with_capacity(outer * keep.len() * inner);
    for block in 0..outer {
        for &entry in keep {
            let start = (block * extent + entry) * inner;
            picked.extend_from_slice(&values[start..start + inner]);
        }
    }
    picked
}

fn set_extent(shape: &Tensor, position: usize, value: i64) -> Tensor {
    let mut changed = shape.clone();
    if let TensorData::I64(values) = &mut changed.data {
        values[position] = value;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slicing_keeps_entries_of_the_named_axis() {
        let tensor = Tensor::f32([2, 3, 2], (0..12u8).map(f32::from).collect());
        let middle = slice(&tensor, 1, &[0, 2]);
        assert_eq!(middle.shape, [2, 2, 2]);
        assert_eq!(
            middle.as_f32(),
            Some(&[0.0, 1.0, 4.0, 5.0, 6.0, 7.0, 10.0, 11.0][..])
        );
        assert_eq!(
            slice(&tensor, 2, &[1]).as_f32(),
            Some(&[1.0, 3.0, 5.0, 7.0, 9.0, 11.0][..])
        );
    }
}

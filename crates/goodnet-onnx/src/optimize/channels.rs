//! Channel counts rounded up to whole blocks, with filters of zeros.
//!
//! ONNX Runtime computes whole blocks of channels anyway, but stays in its blocked layout between two layers only
//! where the count is a multiple of the block: a convolution, its rectifier, its pooling and the next convolution then
//! run without reordering. The added channels hold f(0) for the functions on their way and are read with zero weights.

use super::CHANNEL_BLOCK;
use super::lookup::{Kernel, maker, readers};
use crate::shape::infer;
use crate::{Graph, Node, Tensor};
use std::collections::BTreeSet;

/// Operators that treat every channel alike and by itself, and map a finite channel to a finite one.
const CHANNELWISE: [&str; 12] = [
    "Relu",
    "LeakyRelu",
    "Elu",
    "Sigmoid",
    "Tanh",
    "Identity",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Add",
    "Max",
];

/// The tensors that must have the same number of channels, and the nodes at the border.
#[derive(Default)]
struct Group {
    tensors: BTreeSet<String>,
    /// Convolutions that make a tensor of the group.
    makers: BTreeSet<usize>,
    /// Convolutions that read one.
    readers: BTreeSet<usize>,
    /// `Gemm`s and `MatMul`s that read one through a `Flatten`, each by itself or joined with other channels.
    products: BTreeSet<Product>,
}

/// A product of rows in which the channels of a group are flattened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Product {
    node: usize,
    /// Rows of the matrix up to the end of these channels.
    end: usize,
    /// Rows of one channel.
    area: usize,
}

/// Pads every group of tensors that can be padded.
pub(super) fn pad(graph: &mut Graph) {
    for conv in 0..graph.nodes.len() {
        let Some(channels) = channels_to_pad(graph, conv) else {
            continue;
        };
        let output = graph.nodes[conv].outputs[0].clone();
        let Some(group) = group(graph, &output, channels) else {
            continue;
        };
        let padded = channels.next_multiple_of(CHANNEL_BLOCK);
        for &maker in &group.makers {
            pad_filters(graph, maker, padded);
        }
        for &reader in &group.readers {
            pad_reads(graph, reader, channels, padded);
        }
        // The last rows first, so that the earlier places still hold.
        for product in group.products.iter().rev() {
            insert_rows(graph, product, padded - channels);
        }
    }
    graph.remove_unused();
}

/// Output channels of a convolution that is worth padding: at least a block, and at most a quarter more work.
fn channels_to_pad(graph: &Graph, conv: usize) -> Option<usize> {
    let channels = Kernel::from_node(graph, &graph.nodes[conv])?.shape[0];
    let padded = channels.next_multiple_of(CHANNEL_BLOCK);
    (channels >= CHANNEL_BLOCK && padded > channels && padded * 4 <= channels * 5)
        .then_some(channels)
}

/// Everything that `start` is tied to; none where a node in between does not allow padding.
fn group(graph: &Graph, start: &str, channels: usize) -> Option<Group> {
    let mut group = Group::default();
    let mut open = vec![start.to_owned()];
    while let Some(tensor) = open.pop() {
        if !group.tensors.insert(tensor.clone()) {
            continue;
        }
        if graph.is_output(&tensor) {
            return None;
        }
        open.extend(made_by(graph, &tensor, channels, &mut group)?);
        for reader in readers(graph, &tensor) {
            open.extend(read_by(graph, reader, &tensor, channels, &mut group)?);
        }
    }
    Some(group)
}

/// Further tensors of the group at the node that makes `tensor`.
fn made_by(graph: &Graph, tensor: &str, channels: usize, group: &mut Group) -> Option<Vec<String>> {
    let maker = maker(graph, tensor)?;
    let node = &graph.nodes[maker];
    if let Some(kernel) = Kernel::from_node(graph, node) {
        group.makers.insert(maker);
        return (kernel.shape[0] == channels).then(Vec::new);
    }
    is_channelwise(graph, node).then(|| node.inputs.clone())
}

/// Further tensors of the group at a node that reads `tensor`.
fn read_by(
    graph: &Graph,
    reader: usize,
    tensor: &str,
    channels: usize,
    group: &mut Group,
) -> Option<Vec<String>> {
    let node = &graph.nodes[reader];
    if let Some(kernel) = Kernel::from_node(graph, node) {
        group.readers.insert(reader);
        return (kernel.shape[1] == channels && node.inputs[0] == tensor).then(Vec::new);
    }
    if node.is("Flatten") {
        group
            .products
            .extend(products(graph, node, channels, channels)?);
        return Some(Vec::new());
    }
    if node.is("Concat") && node.int("axis", 0) == 1 && !graph.is_output(&node.outputs[0]) {
        let (place, all) = place_among(graph, node, tensor)?;
        for reader in readers(graph, &node.outputs[0]) {
            let reader = &graph.nodes[reader];
            let of_reader = products(graph, reader, place + channels, all)?;
            group.products.extend(of_reader);
        }
        return Some(Vec::new());
    }
    is_channelwise(graph, node).then(|| node.outputs.clone())
}

/// The products that read the `Flatten` `node` of `all` channels, of which the group's end at `end`.
fn products(graph: &Graph, node: &Node, end: usize, all: usize) -> Option<Vec<Product>> {
    let flat = node.outputs.first()?;
    if !node.is("Flatten") || node.int("axis", 1) != 1 || graph.is_output(flat) {
        return None;
    }
    let product = |reader: usize| {
        let rows = rows(graph, &graph.nodes[reader], flat)?;
        let area = rows / all;
        (rows % all == 0).then_some(Product {
            node: reader,
            end: end * area,
            area,
        })
    };
    readers(graph, flat).into_iter().map(product).collect()
}

/// Where the channels of `tensor` begin in what `node` joins, and how many there are in all.
fn place_among(graph: &Graph, node: &Node, tensor: &str) -> Option<(usize, usize)> {
    let shapes = infer(graph);
    let channels = |input: &String| *shapes.get(input)?.get(1)?;
    let counts: Vec<usize> = node.inputs.iter().map(channels).collect::<Option<_>>()?;
    let mut places = node
        .inputs
        .iter()
        .enumerate()
        .filter(|(_, input)| *input == tensor);
    let (place, _) = places.next()?;
    let before = counts[..place].iter().sum();
    places
        .next()
        .is_none()
        .then(|| (before, counts.iter().sum()))
}

fn is_channelwise(graph: &Graph, node: &Node) -> bool {
    node.domain.is_empty()
        && CHANNELWISE.contains(&node.op_type.as_str())
        && node.outputs.len() == 1
        && !node
            .inputs
            .iter()
            .any(|input| graph.initializers.contains_key(input))
}

/// Length of the rows of `tensor` as the left factor of a product with a constant matrix.
fn rows(graph: &Graph, node: &Node, tensor: &str) -> Option<usize> {
    let product = node.is("MatMul") || (node.is("Gemm") && node.int("transA", 0) == 0);
    let reads_once = node.inputs.iter().filter(|&input| input == tensor).count() == 1;
    if !product || !reads_once || node.inputs[0] != tensor {
        return None;
    }
    let matrix = graph.initializers.get(&node.inputs[1])?;
    matrix.as_f32()?;
    match (matrix.shape.as_slice(), node.int("transB", 0)) {
        (&[rows, columns], 0) | (&[columns, rows], _) => (rows > 0 && columns > 0).then_some(rows),
        _ => None,
    }
}

/// Gives a convolution filters of zeros up to `padded` of them.
fn pad_filters(graph: &mut Graph, conv: usize, padded: usize) {
    let Some(mut kernel) = Kernel::from_node(graph, &graph.nodes[conv]) else {
        return;
    };
    kernel.weights.resize(padded * kernel.filter_len(), 0.0);
    kernel.bias.resize(padded, 0.0);
    kernel.shape[0] = padded;
    store(graph, conv, kernel, true);
}

/// Gives a convolution zero weights for the channels `channels..padded`.
fn pad_reads(graph: &mut Graph, reader: usize, channels: usize, padded: usize) {
    if let Some(kernel) = Kernel::from_node(graph, &graph.nodes[reader]) {
        let [outputs, _, height, width] = kernel.shape;
        let area = height * width;
        let weights = pad_rows(&kernel.weights, channels * area, padded * area);
        let kernel = Kernel {
            shape: [outputs, padded, height, width],
            weights,
            bias: kernel.bias,
        };
        store(graph, reader, kernel, false);
    }
}

/// Gives a product zero weights for `channels` more after its own.
fn insert_rows(graph: &mut Graph, product: &Product, channels: usize) {
    let name = graph.nodes[product.node].inputs[1].clone();
    let Some(matrix) = graph.initializers.get(&name) else {
        return;
    };
    let (Some(values), &[tall, wide]) = (matrix.as_f32(), matrix.shape.as_slice()) else {
        return;
    };
    let more = channels * product.area;
    let tensor = if graph.nodes[product.node].int("transB", 0) == 0 {
        let values = insert_zeros(values, product.end * wide, more * wide);
        Tensor::f32([tall + more, wide], values)
    } else {
        let rows = values.chunks_exact(wide);
        let rows = rows.flat_map(|row| insert_zeros(row, product.end, more));
        Tensor::f32([tall, wide + more], rows.collect())
    };
    let padded_name = graph.fresh_name(&format!("{name}_padded"));
    graph.initializers.insert(padded_name.clone(), tensor);
    graph.nodes[product.node].inputs[1] = padded_name;
}

fn insert_zeros(values: &[f32], at: usize, count: usize) -> Vec<f32> {
    let (before, after) = values.split_at(at);
    [before, &vec![0.0; count], after].concat()
}

/// Appends zeros to each row.
fn pad_rows(values: &[f32], row: usize, padded: usize) -> Vec<f32> {
    values
        .chunks_exact(row)
        .flat_map(|row| {
            row.iter()
                .copied()
                .chain(std::iter::repeat(0.0))
                .take(padded)
        })
        .collect()
}

/// Points a convolution at new constants, leaving those of other nodes alone.
fn store(graph: &mut Graph, conv: usize, kernel: Kernel, bias_too: bool) {
    let stem = format!("{}_padded", graph.nodes[conv].outputs[0]);
    let (weight, bias) = kernel.store(graph, &stem);
    let node = &mut graph.nodes[conv];
    let has_bias = node.inputs.get(2).is_some_and(|name| !name.is_empty());
    node.inputs[1] = weight;
    if bias_too && has_bias {
        node.inputs[2] = bias;
    }
}

//! What the linear layer computes: its weights as one matrix, and the features that it multiplies.

use super::classes::{constant, label, per_class};
use super::refused::{MAX_BYTES, refused};
use crate::error::OnnxError;
use crate::optimize::lookup::ints_are;
use crate::ports::show;
use crate::shape::Shapes;
use crate::{Graph, Node, Tensor};

/// How the features (n, d) come out of the tensor that the layer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gathering {
    /// They are that tensor.
    None,
    /// All axes past the batch as one, in their order.
    Flatten,
    /// The average of each channel over the map (n, d, H, W).
    Average,
}

/// A linear layer.
pub(super) struct Layer {
    /// The tensor that it reads.
    pub(super) source: String,
    pub(super) gathering: Gathering,
    /// Features d.
    pub(super) dim: usize,
    /// (d, outputs), row-major.
    pub(super) weights: Vec<f32>,
    /// (outputs).
    pub(super) bias: Vec<f32>,
}

impl Layer {
    /// Reads a `Gemm`, `MatMul` or `Conv`. `averaged`: its output is averaged over the map.
    pub(super) fn read(
        graph: &Graph,
        shapes: &Shapes,
        node: &Node,
        averaged: bool,
    ) -> Result<Self, OnnxError> {
        let weights = weights(graph, node)?;
        if node.is("Conv") {
            return convolution(graph, shapes, node, weights, averaged);
        }
        product(graph, shapes, node, weights)
    }
}

/// The constant that the layer multiplies by.
fn weights<'g>(graph: &'g Graph, node: &'g Node) -> Result<&'g Tensor, OnnxError> {
    let label = label(node);
    let name = node.inputs.get(1).map_or("", String::as_str);
    let Some(tensor) = constant(graph, name) else {
        let maker = graph.producer(name).map_or("the caller", |n| &n.op_type);
        return Err(refused(format!("{label}, whose weights come from {maker}")));
    };
    match tensor.as_f32() {
        Some(values) if values.len() == tensor.shape.iter().product::<usize>() => Ok(tensor),
        Some(_) => Err(refused(format!("{label}, whose weights are broken"))),
        None => {
            let element = tensor.data.element().number();
            let found = format!("{label}, whose weights are of element type {element}, not f32");
            Err(refused(found))
        }
    }
}

/// The bias, input 2, of a layer that gives (n, `outputs`, ...); zeros where there is none.
fn bias(graph: &Graph, node: &Node, rank: usize, outputs: usize) -> Result<Vec<f32>, OnnxError> {
    let Some(name) = node.inputs.get(2).filter(|name| !name.is_empty()) else {
        return Ok(vec![0.0; outputs]);
    };
    let values = constant(graph, name).and_then(|t| per_class(t, rank, rank - 1, outputs));
    values.ok_or_else(|| {
        let label = label(node);
        refused(format!(
            "{label}, whose bias is not one constant f32 number a class"
        ))
    })
}

fn check_size(node: &Node, dim: usize, outputs: usize) -> Result<(), OnnxError> {
    let bytes = dim
        .checked_mul(outputs)
        .and_then(|count| count.checked_mul(4));
    if dim > 0 && bytes.is_some_and(|bytes| bytes <= MAX_BYTES) {
        return Ok(());
    }
    let label = label(node);
    Err(refused(format!(
        "{label} of {dim} features and {outputs} classes, more than 1 GiB of weights"
    )))
}

/// `Gemm` and `MatMul` of rows with a constant matrix.
fn product(
    graph: &Graph,
    shapes: &Shapes,
    node: &Node,
    matrix: &Tensor,
) -> Result<Layer, OnnxError> {
    let source = &node.inputs[0];
    let shape = shapes.get(source).cloned().unwrap_or_default();
    let gemm = node.is("Gemm");
    let transposed = gemm && node.int("transB", 0) != 0;
    let (dim, outputs) = match (matrix.shape.as_slice(), transposed) {
        (&[dim, outputs], false) | (&[outputs, dim], true) => (dim, outputs),
        _ => (0, 0),
    };
    let rows = match shape.as_slice() {
        [_, between @ .., last] => {
            *last == Some(dim) && between.iter().all(|extent| *extent == Some(1))
        }
        _ => false,
    };
    if !rows || (gemm && (node.int("transA", 0) != 0 || shape.len() != 2)) {
        let (label, shape, weights) = (label(node), show(&shape), &matrix.shape);
        return Err(refused(format!(
            "{label} of {shape} by {weights:?}, not of rows of features by a matrix"
        )));
    }
    check_size(node, dim, outputs)?;
    let (alpha, beta) = match gemm {
        true => (node.float("alpha", 1.0), node.float("beta", 1.0)),
        false => (1.0, 1.0),
    };
    let values = matrix.as_f32().unwrap_or_default();
    let mut weights = match transposed {
        true => transpose(values, dim),
        false => values.to_vec(),
    };
    let mut bias = match gemm {
        true => bias(graph, node, 2, outputs)?,
        false => vec![0.0; outputs],
    };
    weights.iter_mut().for_each(|weight| *weight *= alpha);
    bias.iter_mut().for_each(|bias| *bias *= beta);
    Ok(Layer {
        source: source.clone(),
        gathering: match shape.len() {
            2 => Gathering::None,
            _ => Gathering::Flatten,
        },
        dim,
        weights,
        bias,
    })
}

/// (rows, `columns`) to (`columns`, rows).
fn transpose(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| values.iter().skip(column).step_by(columns))
        .copied()
        .collect()
}

/// A convolution that gives one place, or whose kernel is one place and whose map is averaged.
fn convolution(
    graph: &Graph,
    shapes: &Shapes,
    node: &Node,
    kernel: &Tensor,
    averaged: bool,
) -> Result<Layer, OnnxError> {
    let source = &node.inputs[0];
    let shape = shapes.get(source).cloned().unwrap_or_default();
    let groups = node.int("group", 1);
    if groups != 1 {
        let label = label(node);
        return Err(refused(format!("{label} in {groups} groups")));
    }
    let (&[outputs, channels, tall, wide], &[_, Some(found), height, width]) =
        (kernel.shape.as_slice(), shape.as_slice())
    else {
        return Err(no_rows(node, &shape));
    };
    let made = shapes
        .get(&node.outputs[0])
        .and_then(|shape| shape.get(2..));
    let one_place = made == Some(&[Some(1), Some(1)]);
    let (gathering, height, width) = match (height, width) {
        (Some(height), Some(width)) if one_place => (Gathering::Flatten, height, width),
        _ if averaged && is_pointwise(node, [tall, wide]) => (Gathering::Average, 1, 1),
        _ => return Err(no_rows(node, &shape)),
    };
    if found != channels {
        return Err(no_rows(node, &shape));
    }
    let dim = height
        .checked_mul(width)
        .and_then(|places| places.checked_mul(channels))
        .unwrap_or(usize::MAX);
    check_size(node, dim, outputs)?;
    let taps = match gathering {
        Gathering::Average => [vec![Some(0)], vec![Some(0)]],
        _ => [taps(node, 0, height, tall), taps(node, 1, width, wide)],
    };
    Ok(Layer {
        source: source.clone(),
        gathering,
        dim,
        weights: as_matrix(kernel, &taps),
        bias: bias(graph, node, 1, outputs)?,
    })
}

fn no_rows(node: &Node, shape: &[Option<usize>]) -> OnnxError {
    let (label, shape) = (label(node), show(&shape.to_vec()));
    refused(format!(
        "{label} of {shape}, neither to one place nor 1 x 1 and averaged"
    ))
}

/// Does each place of the map give the place of the output, and nothing else?
fn is_pointwise(node: &Node, kernel: [usize; 2]) -> bool {
    kernel == [1, 1] && ints_are(node, &["pads"], 0) && ints_are(node, &["strides"], 1)
}

/// For each place along an axis of `extent`, the entry of the kernel that the first window puts on it.
fn taps(node: &Node, axis: usize, extent: usize, kernel: usize) -> Vec<Option<usize>> {
    let number = |name: &str, at: usize, default: usize| {
        let value = node.ints(name).and_then(|list| list.get(at));
        value.map_or(default, |&value| usize::try_from(value).unwrap_or(default))
    };
    let dilation = number("dilations", axis, 1).max(1);
    let reach = (kernel.max(1) - 1)
        .saturating_mul(dilation)
        .saturating_add(1);
    let missing = reach.saturating_sub(extent);
    let before = match node.text("auto_pad") {
        Some("SAME_UPPER") => missing / 2,
        Some("SAME_LOWER") => missing.div_ceil(2),
        Some("VALID") => 0,
        _ => number("pads", axis, 0),
    };
    (0..extent)
        .map(|place| {
            let from_start = place.saturating_add(before);
            let entry = from_start / dilation;
            (from_start.is_multiple_of(dilation) && entry < kernel).then_some(entry)
        })
        .collect()
}

/// (outputs, C, KH, KW) to (C * H * W, outputs): what each place of the map is multiplied by, zero where nothing reads it.
fn as_matrix(kernel: &Tensor, [down, right]: &[Vec<Option<usize>>; 2]) -> Vec<f32> {
    let values = kernel.as_f32().unwrap_or_default();
    let &[outputs, channels, tall, wide] = kernel.shape.as_slice() else {
        return Vec::new();
    };
    let filter = channels * tall * wide;
    let mut matrix = Vec::with_capacity(channels * down.len() * right.len() * outputs);
    for channel in 0..channels {
        for y in down {
            for x in right {
                let entry = y.zip(*x).map(|(y, x)| (channel * tall + y) * wide + x);
                let of_output =
                    |output: usize| entry.map_or(0.0, |entry| values[output * filter + entry]);
                matrix.extend((0..outputs).map(of_output));
            }
        }
    }
    matrix
}

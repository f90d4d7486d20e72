//! Shapes of inner tensors, inferred for the operators that image classifiers are made of.
//!
//! An extent that is not known (the batch, mostly) is `None`; a tensor of unknown rank is left out of the result.
//! Operators that are not listed here yield no shape rather than an error.

use super::model::{Attribute, Dim, Graph, Node, Tensor};
use std::collections::HashMap;

/// Extents of a tensor, `None` where open.
pub type Shape = Vec<Option<usize>>;

/// Shapes of all tensors whose rank is known.
pub type Shapes = HashMap<String, Shape>;

/// Infers the shapes of `graph`, from its inputs and constants down.
#[must_use]
pub fn infer(graph: &Graph) -> Shapes {
    let mut shapes = Shapes::new();
    for value in graph
        .value_info
        .iter()
        .chain(&graph.outputs)
        .chain(&graph.inputs)
    {
        if let Some(dims) = &value.shape {
            shapes.insert(value.name.clone(), dims.iter().map(extent).collect());
        }
    }
    for (name, tensor) in &graph.initializers {
        let shape = tensor.shape.iter().map(|&extent| Some(extent)).collect();
        shapes.insert(name.clone(), shape);
    }
    for node in &graph.nodes {
        if node.is("Split") {
            let parts = split(node, graph, &shapes).unwrap_or_default();
            shapes.extend(node.outputs.iter().cloned().zip(parts));
            continue;
        }
        let Some(output) = node.outputs.first() else {
            continue;
        };
        let inferred = infer_node(node, graph, &shapes);
        if let Some(shape) = inferred {
            shapes.insert(output.clone(), shape);
        }
    }
    shapes
}

fn extent(dim: &Dim) -> Option<usize> {
    match dim {
        Dim::Fixed(extent) => Some(*extent),
        Dim::Symbol(_) | Dim::Unknown => None,
    }
}

fn infer_node(node: &Node, graph: &Graph, shapes: &Shapes) -> Option<Shape> {
    if !node.domain.is_empty() {
        return None;
    }
    let input = |index: usize| shapes.get(node.inputs.get(index)?);
    let constant = |index: usize| graph.initializers.get(node.inputs.get(index)?);
    match node.op_type.as_str() {
        "Conv" => window(node, input(0)?, *input(1)?.first()?, input(1)?.get(2..)?),
        "MaxPool" | "AveragePool" | "LpPool" => {
            let kernel: Shape = node
                .ints("kernel_shape")?
                .iter()
                .map(|&k| usize::try_from(k).ok())
                .collect();
            window(node, input(0)?, *input(0)?.get(1)?, &kernel)
        }
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
            let shape = input(0)?;
            let spatial = shape.len().checked_sub(2)?;
            let ones = std::iter::repeat_n(Some(1), spatial);
            Some(shape[..2].iter().copied().chain(ones).collect())
        }
        "Gemm" => {
            let rows = input(0)?.get(usize::from(node.int("transA", 0) != 0))?;
            let columns = input(1)?.get(usize::from(node.int("transB", 0) == 0))?;
            Some(vec![*rows, *columns])
        }
        "MatMul" => matmul(input(0)?, input(1)?),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "PRelu" | "Max" | "Min" | "Sum" | "Mean" => {
            let mut shape = input(0)?.clone();
            for index in 1..node.inputs.len() {
                shape = broadcast(&shape, input(index)?)?;
            }
            Some(shape)
        }
        "Flatten" => flatten(input(0)?, node.int("axis", 1)),
        "Reshape" => reshape(node, input(0)?, constant(1)?),
        "Transpose" => transpose(node, input(0)?),
        "Concat" => concat(node, shapes),
        "Pad" => pad(node, input(0)?, constant(1)),
        "ReduceMean" | "ReduceMax" | "ReduceSum" => reduce(node, input(0)?, constant(1)),
        "Squeeze" => squeeze(node, input(0)?, constant(1)),
        "Unsqueeze" => unsqueeze(node, input(0)?, constant(1)),
        op if is_elementwise(op) => Some(input(0)?.clone()),
        _ => None,
    }
}

/// Does `op` keep the shape of its first input?
fn is_elementwise(op: &str) -> bool {
    matches!(
        op,
        "Relu"
            | "LeakyRelu"
            | "Sigmoid"
            | "Tanh"
            | "Clip"
            | "HardSwish"
            | "HardSigmoid"
            | "Elu"
            | "Selu"
            | "Celu"
            | "Softplus"
            | "Softsign"
            | "Gelu"
            | "Mish"
            | "ThresholdedRelu"
            | "Softmax"
            | "LogSoftmax"
            | "Identity"
            | "Dropout"
            | "Cast"
            | "BatchNormalization"
            | "InstanceNormalization"
            | "LRN"
            | "Exp"
            | "Log"
            | "Sqrt"
            | "Neg"
            | "Abs"
            | "Erf"
            | "Floor"
            | "Ceil"
            | "Reciprocal"
            | "LayerNormalization"
    )
}

/// Convolution and pooling: (n, channels, spatial…).
fn window(
    node: &Node,
    input: &Shape,
    channels: Option<usize>,
    kernel: &[Option<usize>],
) -> Option<Shape> {
    let spatial = input.len().checked_sub(2)?;
    if kernel.len() != spatial {
        return None;
    }
    let mut shape = vec![input[0], channels];
    for axis in 0..spatial {
        shape.push(window_extent(
            node,
            input[2 + axis],
            kernel[axis],
            axis,
            spatial,
        ));
    }
    Some(shape)
}

fn window_extent(
    node: &Node,
    input: Option<usize>,
    kernel: Option<usize>,
    axis: usize,
    spatial: usize,
) -> Option<usize> {
    let at = |name: &str, index: usize, default: i64| {
        let value = node.ints(name).and_then(|values| values.get(index));
        usize::try_from(value.copied().unwrap_or(default)).ok()
    };
    let stride = at("strides", axis, 1)?.max(1);
    let input = input?;
    if matches!(node.text("auto_pad"), Some("SAME_UPPER" | "SAME_LOWER")) {
        return Some(input.div_ceil(stride));
    }
    let reach = at("dilations", axis, 1)?
        .checked_mul(kernel?.checked_sub(1)?)?
        .checked_add(1)?;
    let padded =
        input
            .checked_add(at("pads", axis, 0)?)?
            .checked_add(at("pads", axis + spatial, 0)?)?;
    let room = padded.checked_sub(reach)?;
    let steps = if node.int("ceil_mode", 0) == 0 {
        room / stride
    } else {
        room.div_ceil(stride)
    };
    steps.checked_add(1)
}

fn matmul(a: &Shape, b: &Shape) -> Option<Shape> {
    if a.len() < 2 || b.len() != 2 {
        return None;
    }
    let mut shape = a.clone();
    *shape.last_mut()? = b[1];
    Some(shape)
}

fn broadcast(a: &Shape, b: &Shape) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let at = |shape: &Shape, index: usize| {
        let missing = rank - shape.len();
        if index < missing {
            Some(1)
        } else {
            shape[index - missing]
        }
    };
    (0..rank)
        .map(|index| match (at(a, index), at(b, index)) {
            (Some(1), other) | (other, Some(1)) => Some(other),
            (Some(x), Some(y)) if x != y => None,
            (Some(x), _) | (_, Some(x)) => Some(Some(x)),
            (None, None) => Some(None),
        })
        .collect()
}

fn product(extents: &[Option<usize>]) -> Option<usize> {
    extents
        .iter()
        .try_fold(1usize, |product, extent| product.checked_mul((*extent)?))
}

fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 {
        axis.checked_add(rank as i64)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|&axis| axis <= rank)
}

fn flatten(input: &Shape, axis: i64) -> Option<Shape> {
    let axis = axis_of(axis, input.len())?;
    Some(vec![product(&input[..axis]), product(&input[axis..])])
}

fn reshape(node: &Node, input: &Shape, target: &Tensor) -> Option<Shape> {
    let target = target.as_i64()?;
    let keep_zero = node.int("allowzero", 0) != 0;
    let mut shape: Shape = Vec::new();
    let mut open = None;
    for (index, &wish) in target.iter().enumerate() {
        shape.push(match wish {
            -1 => {
                open = Some(index);
                None
            }
            0 if !keep_zero => *input.get(index)?,
            wish => Some(usize::try_from(wish).ok()?),
        });
    }
    let Some(open) = open else { return Some(shape) };
    // With the batch kept as it is, both sides lose it and the rest decides the open extent.
    let skip =
        usize::from(open != 0 && input.first() == Some(&None) && shape.first() == Some(&None));
    let have = product(&input[skip..]);
    let rest: Shape = shape[skip..]
        .iter()
        .enumerate()
        .filter(|(index, _)| index + skip != open)
        .map(|(_, extent)| *extent)
        .collect();
    if let (Some(have), Some(rest)) = (have, product(&rest))
        && rest > 0
    {
        shape[open] = Some(have / rest);
    }
    Some(shape)
}

fn transpose(node: &Node, input: &Shape) -> Option<Shape> {
    match node.ints("perm") {
        Some(perm) => perm
            .iter()
            .map(|&axis| input.get(usize::try_from(axis).ok()?).copied())
            .collect(),
        None => Some(input.iter().rev().copied().collect()),
    }
}

fn concat(node: &Node, shapes: &Shapes) -> Option<Shape> {
    let mut parts = node.inputs.iter().map(|name| shapes.get(name));
    let mut shape = parts.next()??.clone();
    let axis = axis_of(node.int("axis", 1), shape.len()).filter(|&axis| axis < shape.len())?;
    for part in parts {
        let extent = *part?.get(axis)?;
        shape[axis] = shape[axis].zip(extent).and_then(|(a, b)| a.checked_add(b));
    }
    Some(shape)
}

/// The parts of a tensor along one axis, of sizes that the node states.
fn split(node: &Node, graph: &Graph, shapes: &Shapes) -> Option<Vec<Shape>> {
    let input = shapes.get(node.inputs.first()?)?;
    let axis = axis_of(node.int("axis", 0), input.len()).filter(|&axis| axis < input.len())?;
    let sizes = node
        .inputs
        .get(1)
        .and_then(|name| graph.initializers.get(name));
    let part = |size: &i64| {
        let mut shape = input.clone();
        shape[axis] = usize::try_from(*size).ok();
        shape
    };
    Some(integers(node, "split", sizes)?.iter().map(part).collect())
}

/// The integers of a constant input, or of an attribute in older operator sets.
fn integers(node: &Node, attribute: &str, constant: Option<&Tensor>) -> Option<Vec<i64>> {
    if let Some(tensor) = constant {
        return tensor.as_i64().map(<[i64]>::to_vec);
    }
    match node.attributes.get(attribute) {
        Some(Attribute::Ints(values)) => Some(values.clone()),
        _ => None,
    }
}

fn pad(node: &Node, input: &Shape, pads: Option<&Tensor>) -> Option<Shape> {
    let pads = integers(node, "pads", pads)?;
    let rank = input.len();
    if pads.len() != 2 * rank {
        return None;
    }
    Some(
        (0..rank)
            .map(|axis| {
                let grown = i64::try_from(input[axis]?)
                    .ok()?
                    .checked_add(pads[axis])?
                    .checked_add(pads[axis + rank])?;
                usize::try_from(grown).ok()
            })
            .collect(),
    )
}

fn reduce(node: &Node, input: &Shape, axes: Option<&Tensor>) -> Option<Shape> {
    let rank = input.len();
    let axes: Vec<usize> = match integers(node, "axes", axes) {
        Some(axes) => axes
            .iter()
            .map(|&axis| axis_of(axis, rank))
            .collect::<Option<_>>()?,
        None => (0..rank).collect(),
    };
    let keep = node.int("keepdims", 1) != 0;
    Some(
        (0..rank)
            .filter(|axis| keep || !axes.contains(axis))
            .map(|axis| {
                if axes.contains(&axis) {
                    Some(1)
                } else {
                    input[axis]
                }
            })
            .collect(),
    )
}

fn squeeze(node: &Node, input: &Shape, axes: Option<&Tensor>) -> Option<Shape> {
    let rank = input.len();
    let axes: Vec<usize> = integers(node, "axes", axes)?
        .iter()
        .map(|&axis| axis_of(axis, rank))
        .collect::<Option<_>>()?;
    Some(
        (0..rank)
            .filter(|axis| !axes.contains(axis))
            .map(|axis| input[axis])
            .collect(),
    )
}

fn unsqueeze(node: &Node, input: &Shape, axes: Option<&Tensor>) -> Option<Shape> {
    let axes = integers(node, "axes", axes)?;
    let rank = input.len() + axes.len();
    let axes: Vec<usize> = axes
        .iter()
        .map(|&axis| axis_of(axis, rank))
        .collect::<Option<_>>()?;
    let mut rest = input.iter().copied();
    Some(
        (0..rank)
            .map(|axis| {
                if axes.contains(&axis) {
                    Some(1)
                } else {
                    rest.next().flatten()
                }
            })
            .collect(),
    )
}

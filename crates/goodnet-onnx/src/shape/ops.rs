//! One function an operator family: the shape of a node's first output.

use super::super::model::Dim;
use super::dims::{axis, broadcast, fixed};
use super::{Context, reshape, spread, window};

/// Shape of the first output, `None` where it is not known.
pub(super) fn output(node: &Context<'_>) -> Option<Vec<Dim>> {
    match node.node.op_type.as_str() {
        "Conv" => window::conv(node),
        "MaxPool" | "AveragePool" | "LpPool" => window::pool(node),
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => global_pool(node),
        "Gemm" => gemm(node),
        "MatMul" => matmul(node),
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Max" | "Min" | "Sum" | "Mean" | "PRelu"
        | "Mod" | "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And"
        | "Or" => elementwise(node),
        "Expand" => spread::expand(node),
        "ConstantOfShape" => spread::constant_of_shape(node),
        "Where" => spread::choice(node),
        "Resize" | "Upsample" => spread::resize(node),
        "Tile" => spread::tile(node),
        "DepthToSpace" | "SpaceToDepth" => spread::shuffle(node),
        op if is_unary(op) => node.input(0).map(<[Dim]>::to_vec),
        "Flatten" => reshape::flatten(node),
        "Reshape" => reshape::reshape(node),
        "Transpose" => transpose(node),
        "Concat" => concat(node),
        "Pad" => pad(node),
        "Squeeze" => reshape::squeeze(node),
        "Unsqueeze" => reshape::unsqueeze(node),
        "Shape" => Some(vec![Dim::Fixed(node.input(0)?.len())]),
        "Slice" => slice(node),
        "Gather" => gather(node),
        "ArgMax" | "ArgMin" => arg(node),
        op if op.starts_with("Reduce") => reduce(node),
        _ => None,
    }
}

/// Operators whose output has their first input's shape.
fn is_unary(op: &str) -> bool {
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
            | "Gelu"
            | "Mish"
            | "Swish"
            | "Softplus"
            | "Softsign"
            | "ThresholdedRelu"
            | "Softmax"
            | "LogSoftmax"
            | "Identity"
            | "Dropout"
            | "Cast"
            | "BatchNormalization"
            | "InstanceNormalization"
            | "LayerNormalization"
            | "GroupNormalization"
            | "RMSNormalization"
            | "LpNormalization"
            | "Hardmax"
            | "Not"
            | "Sin"
            | "Cos"
            | "CumSum"
            | "Trilu"
            | "LRN"
            | "Neg"
            | "Abs"
            | "Exp"
            | "Log"
            | "Sqrt"
            | "Reciprocal"
            | "Erf"
            | "Floor"
            | "Ceil"
            | "Round"
            | "Sign"
            | "QuantizeLinear"
            | "DequantizeLinear"
    )
}

fn global_pool(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let mut shape = input.get(..2)?.to_vec();
    shape.resize(input.len(), Dim::Fixed(1));
    Some(shape)
}

fn gemm(node: &Context<'_>) -> Option<Vec<Dim>> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    if a.len() != 2 || b.len() != 2 {
        return None;
    }
    let rows = usize::from(node.node.int("transA", 0) != 0);
    let columns = usize::from(node.node.int("transB", 0) == 0);
    Some(vec![a[rows].clone(), b[columns].clone()])
}

fn matmul(node: &Context<'_>) -> Option<Vec<Dim>> {
    let (a, b) = (node.input(0)?, node.input(1)?);
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let (stack_a, matrix_a) = a.split_at(a.len() - 2);
    let (stack_b, matrix_b) = b.split_at(b.len() - 2);
    let mut shape = broadcast(stack_a, stack_b)?;
    shape.extend([matrix_a[0].clone(), matrix_b[1].clone()]);
    Some(shape)
}

fn elementwise(node: &Context<'_>) -> Option<Vec<Dim>> {
    let mut shape = node.input(0)?.to_vec();
    for index in 1..node.node.inputs.len() {
        shape = broadcast(&shape, node.input(index)?)?;
    }
    Some(shape)
}

fn transpose(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let permutation = permutation(node.node.ints("perm"), input.len())?;
    Some(
        permutation
            .iter()
            .map(|&axis| input[axis].clone())
            .collect(),
    )
}

/// The permutation of a Transpose node on a tensor of `rank`; reversed axes by default.
fn permutation(perm: Option<&[i64]>, rank: usize) -> Option<Vec<usize>> {
    let Some(perm) = perm else {
        return Some((0..rank).rev().collect());
    };
    let axes: Vec<usize> = perm
        .iter()
        .map(|&value| axis(value, rank))
        .collect::<Option<_>>()?;
    let mut seen = axes.clone();
    seen.sort_unstable();
    (seen.len() == rank && seen.iter().enumerate().all(|(index, &axis)| index == axis))
        .then_some(axes)
}

fn concat(node: &Context<'_>) -> Option<Vec<Dim>> {
    let mut shape = node.input(0)?.to_vec();
    let along = axis(node.node.int("axis", 1), shape.len())?;
    let mut total = fixed(&shape[along]);
    for index in 1..node.node.inputs.len() {
        let input = node.input(index)?;
        let extent = input.get(along)?;
        total = total
            .zip(fixed(extent))
            .and_then(|(sum, extent)| sum.checked_add(extent));
    }
    shape[along] = total.map_or(Dim::Unknown, Dim::Fixed);
    Some(shape)
}

fn pad(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let Some(pads) = node.ints(1, "pads") else {
        return Some(vec![Dim::Unknown; input.len()]);
    };
    if node.node.has_input(3) || pads.len() != 2 * input.len() {
        return None;
    }
    let extent = |axis: usize| {
        let added = pads[axis].checked_add(pads[axis + input.len()])?;
        match &input[axis] {
            dim if added == 0 => Some(dim.clone()),
            Dim::Fixed(value) => Some(Dim::Fixed(
                value.checked_add_signed(isize::try_from(added).ok()?)?,
            )),
            _ => Some(Dim::Unknown),
        }
    };
    (0..input.len()).map(extent).collect()
}

fn slice(node: &Context<'_>) -> Option<Vec<Dim>> {
    let mut shape = node.input(0)?.to_vec();
    let (starts, ends) = (bounds(node, 1, "starts")?, bounds(node, 2, "ends")?);
    let axes = node
        .ints(3, "axes")
        .unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = node
        .ints(4, "steps")
        .unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return None;
    }
    for (index, &along) in axes.iter().enumerate() {
        let along = axis(along, shape.len())?;
        shape[along] = match fixed(&shape[along]) {
            Some(extent) if steps[index] > 0 => {
                Dim::Fixed(sliced(extent, starts[index], ends[index], steps[index])?)
            }
            _ => Dim::Unknown,
        };
    }
    Some(shape)
}

/// Bounds of a Slice: constant, or computed from extents that are known.
fn bounds(node: &Context<'_>, index: usize, name: &str) -> Option<Vec<i64>> {
    if let Some(constant) = node.ints(index, name) {
        return Some(constant);
    }
    let values = node.shapes.values(node.node.inputs.get(index)?)?;
    let number = |dim: &Dim| match fixed(dim)? {
        usize::MAX => Some(-1),
        value => i64::try_from(value).ok(),
    };
    values.iter().map(number).collect()
}

/// Indices that `start..end` with a positive step picks; negative bounds count from the end.
pub(super) fn sliced(extent: usize, start: i64, end: i64, step: i64) -> Option<usize> {
    let extent = i64::try_from(extent).ok()?;
    let clamp = |value: i64| {
        let value = if value < 0 {
            value.saturating_add(extent)
        } else {
            value
        };
        value.clamp(0, extent)
    };
    let length = (clamp(end) - clamp(start)).max(0);
    let step = u64::try_from(step).ok().filter(|&step| step > 0)?;
    usize::try_from(length.unsigned_abs().div_ceil(step)).ok()
}

fn gather(node: &Context<'_>) -> Option<Vec<Dim>> {
    let (data, indices) = (node.input(0)?, node.input(1)?);
    let along = axis(node.node.int("axis", 0), data.len())?;
    let mut shape = data[..along].to_vec();
    shape.extend_from_slice(indices);
    shape.extend_from_slice(&data[along + 1..]);
    Some(shape)
}

fn arg(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let along = axis(node.node.int("axis", 0), input.len())?;
    Some(reduced(input, &[along], node.node.int("keepdims", 1) != 0))
}

fn reduce(node: &Context<'_>) -> Option<Vec<Dim>> {
    let input = node.input(0)?;
    let axes = super::super::axes::reduced_axes(node.node, node.graph, input.len())?;
    Some(reduced(input, &axes, node.node.int("keepdims", 1) != 0))
}

fn reduced(input: &[Dim], axes: &[usize], keep: bool) -> Vec<Dim> {
    let mut shape = Vec::with_capacity(input.len());
    for (axis, dim) in input.iter().enumerate() {
        match (axes.contains(&axis), keep) {
            (false, _) => shape.push(dim.clone()),
            (true, true) => shape.push(Dim::Fixed(1)),
            (true, false) => {}
        }
    }
    shape
}

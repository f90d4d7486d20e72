//! Extents and small integers of a graph at one size of the batch, in plain numbers.
//!
//! Exporters write a fixed batch into integer constants, and compute with them; at a known size every such computation has
//! a value.

use super::super::model::{Dim, Graph, Node, Tensor, TensorData};
use super::super::shape::{SymbolicShapes, axis};
use std::collections::HashMap;

/// By what the second size is larger: a prime that no extent of a network has.
pub(super) const FACTOR: usize = 999_983;
/// Longer integer tensors carry no shape.
const MAX_VALUES: usize = 64;

/// What is known of a graph's tensors, up to the node that was added last.
#[derive(Debug, Clone)]
pub(super) struct Concrete {
    shapes: SymbolicShapes,
    integers: HashMap<String, Vec<i64>>,
}

impl Concrete {
    /// Inputs and constants of `graph`, whose inputs have a batch of `batch`.
    pub(super) fn begin(graph: &Graph, batch: usize) -> Self {
        let mut shapes = SymbolicShapes::begin(graph);
        for input in &graph.inputs {
            let mut dims = input.shape.clone().unwrap_or_default();
            if let Some(first) = dims.first_mut() {
                *first = Dim::Fixed(batch);
                shapes.set(&input.name, Some(dims));
            }
        }
        let integers = graph
            .initializers
            .iter()
            .filter_map(|(name, tensor)| Some((name.clone(), integers(tensor)?)))
            .collect();
        Self { shapes, integers }
    }

    /// Extents of `tensor`, where all are known.
    pub(super) fn shape(&self, tensor: &str) -> Option<Vec<usize>> {
        let extent = |dim: &Dim| match dim {
            Dim::Fixed(extent) => Some(*extent),
            Dim::Symbol(_) | Dim::Unknown => None,
        };
        self.shapes.get(tensor)?.iter().map(extent).collect()
    }

    /// Values of a small integer tensor in row-major order.
    pub(super) fn integers(&self, tensor: &str) -> Option<&[i64]> {
        self.integers.get(tensor).map(Vec::as_slice)
    }

    /// Bytes that a copy takes, about.
    pub(super) fn size(&self) -> usize {
        let integers = self.integers.iter();
        let values = integers.map(|(name, values)| name.len() + 8 * values.len());
        self.shapes.size() + values.sum::<usize>()
    }

    /// Adds a node whose inputs are known.
    pub(super) fn add(&mut self, graph: &Graph, node: &Node) {
        if !node.domain.is_empty() {
            return;
        }
        let Some(first) = node.outputs.first() else {
            return;
        };
        if let Some(values) = self.compute(node) {
            self.integers.insert(first.clone(), values);
        }
        self.shapes.add(graph, node, &HashMap::new());
        let shapes = match node.op_type.as_str() {
            "Slice" => self.slice(node).map(|shape| vec![shape]),
            "Split" => self.split(node),
            "Reshape" => self.reshape(node).map(|shape| vec![shape]),
            "Expand" => self.expand(node).map(|shape| vec![shape]),
            "ConstantOfShape" => {
                let extents = self.integers(&node.inputs[0]);
                extents.and_then(extents_of).map(|shape| vec![shape])
            }
            "Where" => self.broadcast(&node.inputs).map(|shape| vec![shape]),
            _ => None,
        };
        for (output, shape) in node.outputs.iter().zip(shapes.unwrap_or_default()) {
            self.set(output, &shape);
        }
    }

    pub(super) fn set(&mut self, tensor: &str, shape: &[usize]) {
        let dims = shape.iter().copied().map(Dim::Fixed).collect();
        self.shapes.set(tensor, Some(dims));
    }

    /// Slices forward; the bounds may be computed.
    fn slice(&self, node: &Node) -> Option<Vec<usize>> {
        let mut shape = self.shape(&node.inputs[0])?;
        let given = |index: usize, name: &str| match node.ints(name) {
            Some(values) => Some(values),
            None => self.integers(node.inputs.get(index)?),
        };
        let (starts, ends) = (given(1, "starts")?, given(2, "ends")?);
        let all: Vec<i64> = (0..).take(starts.len()).collect();
        let axes = match node.has_input(3) {
            true => self.integers(&node.inputs[3])?,
            false => node.ints("axes").unwrap_or(&all),
        };
        let steps = match node.has_input(4) {
            true => self.integers(&node.inputs[4])?.to_vec(),
            false => vec![1; starts.len()],
        };
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
            return None;
        }
        for (index, &along) in axes.iter().enumerate() {
            let along = axis(along, shape.len())?;
            let step = usize::try_from(steps[index])
                .ok()
                .filter(|&step| step > 0)?;
            let length = i64::try_from(shape[along]).ok()?;
            let (from, to) = (wrapped(starts[index], length), wrapped(ends[index], length));
            shape[along] = to.saturating_sub(from).div_ceil(step);
        }
        Some(shape)
    }

    fn split(&self, node: &Node) -> Option<Vec<Vec<usize>>> {
        let input = self.shape(&node.inputs[0])?;
        let along = axis(node.int("axis", 0), input.len())?;
        let count = node.outputs.len();
        let parts = match (node.ints("split"), node.inputs.get(1)) {
            (Some(parts), _) => extents_of(parts)?,
            (None, Some(name)) if !name.is_empty() => extents_of(self.integers(name)?)?,
            _ => {
                let part = input[along].div_ceil(count);
                let last = input[along].checked_sub(part.checked_mul(count - 1)?)?;
                let parts = std::iter::repeat_n(part, count - 1);
                parts.chain([last]).collect()
            }
        };
        let whole = parts
            .iter()
            .try_fold(0usize, |sum, &p| sum.checked_add(p))?;
        if parts.len() != count || whole != input[along] {
            return None;
        }
        let part = |&part: &usize| {
            let mut shape = input.clone();
            shape[along] = part;
            shape
        };
        Some(parts.iter().map(part).collect())
    }

    fn reshape(&self, node: &Node) -> Option<Vec<usize>> {
        let input = self.shape(&node.inputs[0])?;
        let target = match node.ints("shape") {
            Some(target) => target,
            None => self.integers(node.inputs.get(1)?)?,
        };
        resolve(&input, target, node.int("allowzero", 0) != 0)
    }

    fn expand(&self, node: &Node) -> Option<Vec<usize>> {
        let input = self.shape(&node.inputs[0])?;
        let wish = extents_of(self.integers(node.inputs.get(1)?)?)?;
        broadcast(&input, &wish)
    }

    fn broadcast(&self, names: &[String]) -> Option<Vec<usize>> {
        let mut shapes = names.iter().map(|name| self.shape(name));
        let first = shapes.next()??;
        shapes.try_fold(first, |joined, shape| broadcast(&joined, &shape?))
    }

    /// Values of a node's first output, where it computes small integers from known ones.
    fn compute(&self, node: &Node) -> Option<Vec<i64>> {
        let value = |index: usize| self.integers(node.inputs.get(index)?);
        let pairs = |f: fn(i64, i64) -> Option<i64>| {
            let (a, b) = (value(0)?, value(1)?);
            let count = match (a.len(), b.len()) {
                (1, n) | (n, 1) => n,
                (n, m) if n == m => n,
                _ => return None,
            };
            let at = |values: &[i64], index: usize| values[index % values.len()];
            (0..count).map(|i| f(at(a, i), at(b, i))).collect()
        };
        let values = match node.op_type.as_str() {
            "Shape" => {
                let shape = self.shape(&node.inputs[0])?;
                let rank = shape.len() as i64;
                let bound = |value: i64| wrapped(value, rank);
                let (start, end) = (bound(node.int("start", 0)), bound(node.int("end", rank)));
                let extents = shape.get(start..end.max(start))?.iter();
                extents.map(|&e| i64::try_from(e).ok()).collect()
            }
            "Identity" | "Unsqueeze" | "Squeeze" | "Flatten" | "Reshape" => {
                value(0).map(<[i64]>::to_vec)
            }
            "Cast" if matches!(node.int("to", 0), 6 | 7 | 9) => value(0).map(<[i64]>::to_vec),
            "Concat" => {
                let parts: Option<Vec<&[i64]>> = (0..node.inputs.len()).map(value).collect();
                parts.map(|parts| parts.concat())
            }
            "Gather" => {
                let (values, indices) = (value(0)?, value(1)?);
                let pick = |&index: &i64| Some(values[axis(index, values.len())?]);
                indices.iter().map(pick).collect()
            }
            "Slice" if node.has_input(4) && value(4).is_none() => None,
            "Slice" => slice(value(0)?, value(1)?, value(2)?, value(4)),
            "ConstantOfShape" => {
                let count = count(&extents_of(value(0)?)?)?;
                let fill = match node.attributes.get("value") {
                    Some(super::super::model::Attribute::Tensor(tensor)) => {
                        *integers(tensor)?.first()?
                    }
                    _ => return None,
                };
                (count <= MAX_VALUES).then(|| vec![fill; count])
            }
            "Where" => {
                let (choose, a, b) = (value(0)?, value(1)?, value(2)?);
                let at = |values: &[i64], index: usize| {
                    let place = index.checked_rem(values.len())?;
                    values.get(place).copied()
                };
                (0..choose.len().max(a.len()).max(b.len()))
                    .map(|i| at(if at(choose, i)? != 0 { a } else { b }, i))
                    .collect()
            }
            "Equal" => pairs(|a, b| Some(i64::from(a == b))),
            "Add" => pairs(i64::checked_add),
            "Sub" => pairs(i64::checked_sub),
            "Mul" => pairs(i64::checked_mul),
            "Div" => pairs(|a, b| (a >= 0 && b > 0).then(|| a / b)),
            "Mod" => pairs(|a, b| (a >= 0 && b > 0).then(|| a % b)),
            _ => None,
        }?;
        (values.len() <= MAX_VALUES).then_some(values)
    }
}

fn wrapped(value: i64, length: i64) -> usize {
    let value = if value < 0 {
        value.saturating_add(length)
    } else {
        value
    };
    usize::try_from(value.clamp(0, length)).unwrap_or(0)
}

fn slice(values: &[i64], from: &[i64], to: &[i64], steps: Option<&[i64]>) -> Option<Vec<i64>> {
    let (&[from], &[to]) = (from, to) else {
        return None;
    };
    if !matches!(steps, None | Some([1])) {
        return None;
    }
    let length = values.len() as i64;
    let (from, to) = (wrapped(from, length), wrapped(to, length));
    Some(values.get(from..to.max(from))?.to_vec())
}

fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    if tensor.data.len()? > MAX_VALUES || tensor.shape.len() > 1 {
        return None;
    }
    match &tensor.data {
        TensorData::I64(values) => Some(values.clone()),
        TensorData::I32(values) => Some(values.iter().map(|&value| i64::from(value)).collect()),
        TensorData::Other(9, raw) => Some(raw.iter().map(|&byte| i64::from(byte)).collect()),
        _ => None,
    }
}

fn extents_of(values: &[i64]) -> Option<Vec<usize>> {
    let extent = |&value: &i64| usize::try_from(value).ok();
    values.iter().map(extent).collect()
}

/// Number of values of a shape.
pub(super) fn count(shape: &[usize]) -> Option<usize> {
    let mut extents = shape.iter();
    extents.try_fold(1usize, |product, &extent| product.checked_mul(extent))
}

fn resolve(input: &[usize], target: &[i64], allow_zero: bool) -> Option<Vec<usize>> {
    let whole = count(input)?;
    let mut shape = Vec::new();
    let mut rest = None;
    for (index, &wish) in target.iter().enumerate() {
        shape.push(match wish {
            0 if !allow_zero => *input.get(index)?,
            -1 if rest.is_none() => {
                rest = Some(index);
                1
            }
            wish => usize::try_from(wish).ok()?,
        });
    }
    let known = count(&shape).filter(|&known| known > 0)?;
    if let Some(index) = rest {
        shape[index] = whole / known;
    }
    (count(&shape) == Some(whole)).then_some(shape)
}

fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(index) => shape[index],
        None => 1,
    };
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (1, extent) | (extent, 1) => Some(extent),
            (x, y) => (x == y).then_some(x),
        })
        .collect()
}

/// The one axis in which `large` is larger, by the factor.
pub(super) fn batch_axis(small: &[usize], large: &[usize]) -> Option<usize> {
    if small.len() != large.len() {
        return None;
    }
    let mut differ = (0..small.len()).filter(|&axis| small[axis] != large[axis]);
    let axis = differ.next()?;
    (differ.next().is_none() && small[axis].checked_mul(FACTOR) == Some(large[axis]))
        .then_some(axis)
}

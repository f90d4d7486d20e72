//! What the scores of a classifier mean: probabilities, their logarithms, or neither.
//!
//! The answer is read off the graph: an interval that holds every value of a tensor is carried from the operators that
//! bound it (`Softmax`, `Sigmoid`, `Clip`, ...) through those that keep values, and through arithmetic.

use super::model::{Graph, Node, TensorData};

/// What a tensor of scores holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Values that cannot leave 0..1.
    Probabilities,
    /// Logarithms of probabilities that sum to 1.
    Logarithms,
    /// Anything else: logits, as a rule.
    Scores,
}

/// What `tensor` holds, as far as the graph tells.
pub(super) fn meaning<'a>(graph: &'a Graph, tensor: &'a str) -> Meaning {
    let mut walk = Walk {
        graph,
        fuel: MAX_STEPS,
    };
    if walk.is_logarithm(tensor) {
        return Meaning::Logarithms;
    }
    let Interval { low, high } = walk.interval(tensor);
    if low >= -SLACK && high <= 1.0 + SLACK {
        return Meaning::Probabilities;
    }
    Meaning::Scores
}

/// Nodes that are looked at; a longer walk ends without an answer.
const MAX_STEPS: usize = 512;
/// What rounding and a small constant against division by 0 may add to a probability.
const SLACK: f32 = 1e-5;

/// Operators whose output values are all among those of their first input, or lie between them.
const KEEPING: [&str; 21] = [
    "AveragePool",
    "Cast",
    "CastLike",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "MaxPool",
    "QuantizeLinear",
    "DequantizeLinear",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Operators that keep values, whatever their order and shape.
const REARRANGING: [&str; 10] = [
    "Cast",
    "CastLike",
    "Dropout",
    "Expand",
    "Flatten",
    "Identity",
    "Reshape",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

#[derive(Debug, Clone, Copy, PartialEq)]
struct Interval {
    low: f32,
    high: f32,
}

const ANY: Interval = Interval {
    low: f32::NEG_INFINITY,
    high: f32::INFINITY,
};
const UNIT: Interval = Interval {
    low: 0.0,
    high: 1.0,
};

impl Interval {
    /// From the corners of a product, say; any value where one is not a number.
    fn around(corners: &[f32]) -> Self {
        if corners.iter().any(|corner| corner.is_nan()) {
            return ANY;
        }
        let low = corners.iter().copied().fold(f32::INFINITY, f32::min);
        let high = corners.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Self { low, high }
    }

    fn map(self, each: impl Fn(f32) -> f32) -> Self {
        Self::around(&[each(self.low), each(self.high)])
    }

    fn union(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    fn products(self, other: Self, each: impl Fn(f32, f32) -> f32) -> Self {
        Self::around(&[
            each(self.low, other.low),
            each(self.low, other.high),
            each(self.high, other.low),
            each(self.high, other.high),
        ])
    }
}

struct Walk<'a> {
    graph: &'a Graph,
    fuel: usize,
}

impl<'a> Walk<'a> {
    fn node(&mut self, tensor: &str) -> Option<&'a Node> {
        self.fuel = self.fuel.checked_sub(1)?;
        let node = self.graph.producer(tensor)?;
        // Later outputs (a mask of Dropout, say) hold something else.
        (node.outputs.first().map(String::as_str) == Some(tensor)).then_some(node)
    }

    /// The node behind operators that only rearrange values.
    fn source_node(&mut self, tensor: &str) -> Option<&'a Node> {
        let mut node = self.node(tensor)?;
        while REARRANGING.contains(&node.op_type.as_str()) {
            node = self.node(node.inputs.first()?)?;
        }
        Some(node)
    }

    /// The name of what stands behind operators that only rearrange values.
    fn source(&mut self, tensor: &'a str) -> &'a str {
        let mut name = tensor;
        while let Some(node) = self.node(name)
            && REARRANGING.contains(&node.op_type.as_str())
            && let Some(input) = node.inputs.first()
        {
            name = input;
        }
        name
    }

    /// An interval that holds every value of `tensor`.
    fn interval(&mut self, tensor: &'a str) -> Interval {
        if let Some(values) = self.constant(tensor) {
            return Interval::around(values);
        }
        let Some(node) = self.node(tensor) else {
            return ANY;
        };
        let op = node.op_type.as_str();
        if KEEPING.contains(&op) {
            return self.input(node, 0);
        }
        match op {
            "Softmax" | "Sigmoid" | "HardSigmoid" | "Hardmax" => UNIT,
            "Tanh" | "Erf" | "Softsign" => Interval {
                low: -1.0,
                high: 1.0,
            },
            "LogSoftmax" => Interval { high: 0.0, ..ANY },
            "Softplus" => Interval { low: 0.0, ..ANY },
            "Relu" => self.input(node, 0).map(|value| value.max(0.0)),
            "Exp" if self.input_is_logarithm(node) => UNIT,
            "Exp" => self.input(node, 0).map(f32::exp),
            "Neg" => self.input(node, 0).map(|value| -value),
            "Abs" => Interval {
                low: 0.0,
                ..self.input(node, 0).products(UNIT, |a, _| a.abs())
            },
            "Sqrt" => self.input(node, 0).map(|value| value.max(0.0).sqrt()),
            "Clip" => self.clip(node),
            "Concat" | "Max" | "Min" | "Mean" => self.all(node),
            "Where" => self.input(node, 1).union(self.input(node, 2)),
            "Add" | "Sum" => self.sum(node),
            "Sub" => self
                .input(node, 0)
                .products(self.input(node, 1), |a, b| a - b),
            "Mul" => self
                .input(node, 0)
                .products(self.input(node, 1), |a, b| a * b),
            "Div" => self.quotient(node),
            "LpNormalization" if node.int("p", 2) == 1 && self.input(node, 0).low >= 0.0 => UNIT,
            _ => ANY,
        }
    }

    fn constant(&self, tensor: &str) -> Option<&'a [f32]> {
        match &self.graph.initializers.get(tensor)?.data {
            TensorData::F32(values) if !values.is_empty() => Some(values),
            _ => None,
        }
    }

    fn input(&mut self, node: &'a Node, index: usize) -> Interval {
        match node.inputs.get(index) {
            Some(name) if !name.is_empty() => self.interval(name),
            _ => ANY,
        }
    }

    fn all(&mut self, node: &'a Node) -> Interval {
        let parts = (0..node.inputs.len()).map(|index| self.input(node, index));
        parts.reduce(Interval::union).unwrap_or(ANY)
    }

    fn sum(&mut self, node: &'a Node) -> Interval {
        let parts = (0..node.inputs.len()).map(|index| self.input(node, index));
        parts
            .reduce(|a, b| Interval {
                low: a.low + b.low,
                high: a.high + b.high,
            })
            .unwrap_or(ANY)
    }

    /// `Clip`, whose bounds are attributes before operator set 11.
    fn clip(&mut self, node: &'a Node) -> Interval {
        let bound = |index: usize, name: &str, open: f32| {
            let given = node.inputs.get(index).and_then(|name| self.constant(name));
            given.map_or_else(|| node.float(name, open), |values| values[0])
        };
        let low = bound(1, "min", f32::NEG_INFINITY);
        let high = bound(2, "max", f32::INFINITY);
        self.input(node, 0).map(|value| value.max(low).min(high))
    }

    /// A quotient; in 0..1 where a part is divided by the sum of all parts.
    fn quotient(&mut self, node: &'a Node) -> Interval {
        if self.is_share(node) {
            return UNIT;
        }
        let (above, below) = (self.input(node, 0), self.input(node, 1));
        if below.low <= 0.0 {
            return ANY;
        }
        above.products(below, |a, b| a / b)
    }

    /// x / sum(x) with x >= 0, be there a small constant in the sum.
    fn is_share(&mut self, node: &'a Node) -> bool {
        let [part, whole] = node.inputs.as_slice() else {
            return false;
        };
        let Some(sum) = self.find_sum(whole) else {
            return false;
        };
        let Some(summed) = sum.inputs.first() else {
            return false;
        };
        let part = self.source(part);
        let same = part == self.source(summed);
        same && self.interval(part).low >= 0.0
    }

    /// The sum behind `tensor`, where only a constant is added to it or bounds it from below.
    fn find_sum(&mut self, tensor: &str) -> Option<&'a Node> {
        let mut node = self.source_node(tensor)?;
        loop {
            match node.op_type.as_str() {
                "ReduceSum" | "ReduceL1" => return Some(node),
                "Add" | "Max" | "Clip" => {
                    let varying = |name: &&String| {
                        !name.is_empty() && !self.graph.initializers.contains_key(*name)
                    };
                    let mut varying = node.inputs.iter().filter(varying);
                    let (Some(name), None) = (varying.next(), varying.next()) else {
                        return None;
                    };
                    node = self.source_node(name)?;
                }
                _ => return None,
            }
        }
    }

    fn input_is_logarithm(&mut self, node: &'a Node) -> bool {
        let input = node.inputs.first();
        input.is_some_and(|input| self.is_logarithm(input))
    }

    /// Does `tensor` hold logarithms of probabilities that sum to 1?
    fn is_logarithm(&mut self, tensor: &'a str) -> bool {
        let Some(node) = self.source_node(tensor) else {
            return false;
        };
        match node.op_type.as_str() {
            "LogSoftmax" => true,
            "Log" => {
                let Interval { low, high } = self.input(node, 0);
                low >= -SLACK && high <= 1.0 + SLACK
            }
            "Sub" => self.is_log_softmax(node),
            _ => false,
        }
    }

    /// x - log(sum(exp(x))), in one operator or in three.
    fn is_log_softmax(&mut self, node: &'a Node) -> bool {
        let [scores, norm] = node.inputs.as_slice() else {
            return false;
        };
        let Some(norm) = self.source_node(norm) else {
            return false;
        };
        let summed = match norm.op_type.as_str() {
            "ReduceLogSumExp" => norm.inputs.first(),
            "Log" => norm
                .inputs
                .first()
                .and_then(|name| self.find_sum(name))
                .and_then(|sum| self.source_node(sum.inputs.first()?))
                .filter(|exp| exp.is("Exp"))
                .and_then(|exp| exp.inputs.first()),
            _ => None,
        };
        summed.is_some_and(|summed| self.source(summed) == self.source(scores))
    }
}

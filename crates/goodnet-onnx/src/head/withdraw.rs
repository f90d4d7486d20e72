//! Nodes that withdraw labels: that which B gives to an image that lies too far from clean ones, and those into which an image looks
//! turned.
//!
//! A small operator costs a runtime more than a small product, so the parts of the limit and the discriminants share every
//! step. f are the features, m the means of all maps in one row, t the label that the head as it was gives.
//!
//! ```text
//! z = (f W + b, m V)                (n, K): a block of columns for each part of the limit, some for each discriminant
//! q = (z - c_t)^2 S + z D - (1, 0)  (n, P): how far beyond the limit of each part, beyond 0 of each discriminant
//! scores - penalty ((q > 0) L)      (n, N): a discriminant takes from its label, a part of the limit from t
//! ```
//!
//! `columns` has the matrices.

use super::columns::Columns;
use super::maps::FeatureMap;
use super::{Head, Withdrawal};
use crate::{Attribute, Graph, Node, Tensor};

/// The type f32, to cast to.
const FLOAT: (&str, i64) = ("to", 1);

/// The nodes from `scores`, (n, N), to `output`, (n, N): the same but for labels that are withdrawn. `given`: the tensor (n, 1) of the
/// labels that the head as it was gives, where the graph has one.
///
/// Operators of the oldest kind alone: sums over an axis are products with ones, since the operator's form changed.
pub(super) fn nodes(
    graph: &mut Graph,
    head: &Head,
    withdrawal: &Withdrawal<'_>,
    given: Option<&str>,
    [scores, output]: [&str; 2],
) -> Vec<Node> {
    let columns = Columns::new(head, withdrawal);
    let mut rows = Rows {
        graph,
        stem: output,
        nodes: Vec::new(),
    };
    let label = withdrawal.limit.as_ref().map(|_| match given {
        Some(given) => given.to_owned(),
        None => rows.label(head),
    });
    let values = rows.values(head, &columns);
    let past = rows.past(&columns, &values, label.as_deref());
    let zero = rows.constant("zero", Tensor::f32([1], vec![0.0]));
    let beyond = rows.push("beyond", "Greater", &[&past, &zero], &[]);
    let beyond = rows.push("beyond_f32", "Cast", &[&beyond], &[FLOAT]);
    let mut left = scores.to_owned();
    if !withdrawal.discriminants.is_empty() {
        let labels = rows.constant("turned_into", columns.labels(-withdrawal.penalty));
        left = rows.push("not_turned", "Gemm", &[&beyond, &labels, &left], &[]);
    }
    if let Some(label) = label {
        let far = rows.constant("far", columns.far(withdrawal.penalty));
        let far = rows.push("too_far", "MatMul", &[&beyond, &far], &[]);
        let taken = rows.at_label(&label, &far, head.classes);
        left = rows.push("left", "Sub", &[&left, &taken], &[]);
    }
    rows.ending_as(&left, output)
}

/// Nodes that grow at their end, with names of their own.
struct Rows<'a> {
    graph: &'a mut Graph,
    stem: &'a str,
    nodes: Vec<Node>,
}

impl Rows<'_> {
    /// A name that no tensor has, of the graph or of the nodes.
    fn fresh(&self, stem: &str) -> String {
        let stem = format!("{}_{stem}", self.stem);
        let made = self.nodes.iter().flat_map(|node| &node.outputs);
        let alike = made.filter(|name| name.starts_with(&stem)).count();
        match alike {
            0 => self.graph.fresh_name(&stem),
            _ => self.graph.fresh_name(&format!("{stem}_{alike}")),
        }
    }

    /// Adds a constant; gives its name.
    fn constant(&mut self, stem: &str, tensor: Tensor) -> String {
        let name = self.graph.fresh_name(&format!("{}_{stem}", self.stem));
        self.graph.initializers.insert(name.clone(), tensor);
        name
    }

    /// Adds a node; gives the name of its output.
    fn push(
        &mut self,
        stem: &str,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, i64)],
    ) -> String {
        let name = self.fresh(stem);
        let node = Node::new(operator, inputs, &[&name]);
        let with = |node: Node, &(attribute, value): &(&str, i64)| {
            node.with(attribute, Attribute::Int(value))
        };
        self.nodes.push(attributes.iter().fold(node, with));
        name
    }

    /// Adds the label that the head as it was gives, (n, 1).
    fn label(&mut self, head: &Head) -> String {
        let weights = Tensor::f32([head.dim, head.classes], head.weights.clone());
        let weights = self.constant("old_weights", weights);
        let bias = Tensor::f32([head.classes], head.bias.clone());
        let bias = self.constant("old_bias", bias);
        let old = self.push("old", "Gemm", &[&head.features, &weights, &bias], &[]);
        self.push("label", "ArgMax", &[&old], &[("axis", 1)])
    }

    /// Adds z, (n, K).
    fn values(&mut self, head: &Head, columns: &Columns<'_>) -> String {
        let weights = self.constant("of_features_weights", columns.of_features());
        let bias = self.constant("of_features_bias", columns.bias());
        let inputs = [head.features.as_str(), &weights, &bias];
        let of_features = self.push("of_features", "Gemm", &inputs, &[]);
        if columns.maps().is_empty() {
            return of_features;
        }
        let means = self.means(columns.maps());
        let weights = self.constant("of_maps_weights", columns.of_maps());
        let bias = self.constant("of_maps_bias", columns.no_bias());
        let of_maps = self.push("of_maps", "Gemm", &[&means, &weights, &bias], &[]);
        self.push(
            "values",
            "Concat",
            &[&of_features, &of_maps],
            &[("axis", 1)],
        )
    }

    /// Adds the means of all `maps` in one row, (n, C of all).
    fn means(&mut self, maps: &[&FeatureMap]) -> String {
        let averages: Vec<String> = maps
            .iter()
            .map(|map| self.push("averages", "GlobalAveragePool", &[map.tensor()], &[]))
            .collect();
        let averages: Vec<&str> = averages.iter().map(String::as_str).collect();
        let all = match averages[..] {
            [only] => only.to_owned(),
            _ => self.push("all_averages", "Concat", &averages, &[("axis", 1)]),
        };
        self.push("means", "Flatten", &[&all], &[])
    }

    /// Adds q, (n, P), from z, (n, K), and t, (n, 1), where there is a limit.
    fn past(&mut self, columns: &Columns<'_>, values: &str, label: Option<&str>) -> String {
        let picks = self.constant("picks", columns.picks());
        let limits = self.constant("limits", columns.limits());
        let picked = self.push("picked", "Gemm", &[values, &picks, &limits], &[]);
        let Some(label) = label else {
            return picked;
        };
        let centres = columns.centres();
        let by_label = centres.shape[0] > 1;
        let mut centre = self.constant("centres", centres);
        if by_label {
            let flat = self.constant("flat", Tensor::i64([1], vec![-1]));
            let row = self.push("row", "Reshape", &[label, &flat], &[]);
            centre = self.push("centre", "Gather", &[&centre, &row], &[("axis", 0)]);
        }
        let apart = self.push("apart", "Sub", &[values, &centre], &[]);
        let squares = self.push("squares", "Mul", &[&apart, &apart], &[]);
        let sums = self.constant("sums", columns.sums());
        self.push("past", "Gemm", &[&squares, &sums, &picked], &[])
    }

    /// Adds (n, N): `value`, (n, 1), at t, (n, 1), else 0.
    fn at_label(&mut self, label: &str, value: &str, classes: usize) -> String {
        let labels = Tensor::i64([1, classes], (0..classes as i64).collect());
        let labels = self.constant("labels", labels);
        let is_label = self.push("is_label", "Equal", &[label, &labels], &[]);
        let is_label = self.push("is_label_f32", "Cast", &[&is_label], &[FLOAT]);
        self.push("taken", "Mul", &[&is_label, value], &[])
    }

    /// The nodes, with `last` named `output`.
    fn ending_as(mut self, last: &str, output: &str) -> Vec<Node> {
        match self.nodes.last_mut() {
            Some(node) if node.outputs[0] == last => output.clone_into(&mut node.outputs[0]),
            _ => self.nodes.push(Node::new("Identity", &[last], &[output])),
        }
        self.nodes
    }
}

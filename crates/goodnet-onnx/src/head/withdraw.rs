//! Nodes that withdraw labels: that which B gives to an image that lies too far from clean ones, and those into which an image looks
//! turned.

use super::discriminant::Discriminant;
use super::limit::{Limit, LimitPart};
use super::maps::FeatureMap;
use super::{Head, Withdrawal};
use crate::{Attribute, Graph, Node, Tensor};
use std::collections::BTreeMap;

/// The type f32, to cast to.
const FLOAT: (&str, i64) = ("to", 1);

/// The nodes from `scores`, (n, N), to `output`, (n, N): the same but for labels that are withdrawn.
///
/// Operators of the oldest kind alone: sums over an axis are products with ones, since the operator's form changed.
pub(super) fn nodes(
    graph: &mut Graph,
    head: &Head,
    withdrawal: &Withdrawal<'_>,
    [scores, output]: [&str; 2],
) -> Vec<Node> {
    let mut rows = Rows {
        graph,
        stem: output,
        nodes: Vec::new(),
        means: BTreeMap::new(),
    };
    let far = withdrawal
        .limit
        .as_ref()
        .map(|limit| rows.too_far(head, limit));
    let turned = rows.turned(head, &withdrawal.discriminants);
    let withdrawn = match (far, turned) {
        (Some(far), Some(turned)) => rows.push("withdrawn", "Add", &[&far, &turned], &[]),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return vec![Node::new("Identity", &[scores], &[output])],
    };
    let penalty = rows.constant("penalty", Tensor::f32([1], vec![withdrawal.penalty]));
    let taken = rows.push("taken", "Mul", &[&withdrawn, &penalty], &[]);
    let mut nodes = rows.nodes;
    nodes.push(Node::new("Sub", &[scores, &taken], &[output]));
    nodes
}

/// Nodes that grow at their end, with names of their own.
struct Rows<'a> {
    graph: &'a mut Graph,
    stem: &'a str,
    nodes: Vec<Node>,
    /// The means of each map that was asked for, by the map's name.
    means: BTreeMap<String, String>,
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

    /// Adds (n, N): 1 at the label that the head as it was gives, where the image is beyond `limit`, else 0.
    fn too_far(&mut self, head: &Head, limit: &Limit<'_>) -> String {
        let (dim, classes) = (head.dim, head.classes);
        let weights = Tensor::f32([dim, classes], head.weights.clone());
        let weights = self.constant("old_weights", weights);
        let bias = self.constant("old_bias", Tensor::f32([classes], head.bias.clone()));
        let old = self.push("old", "Gemm", &[&head.features, &weights, &bias], &[]);
        let best = self.push("best", "ArgMax", &[&old], &[("axis", 1), ("keepdims", 0)]);
        let distances: Vec<String> = limit
            .parts
            .iter()
            .map(|part| self.distance(head, part, &best))
            .collect();
        let distances: Vec<&str> = distances.iter().map(String::as_str).collect();
        let farthest = match distances[..] {
            [only] => only.to_owned(),
            _ => self.push("farthest", "Max", &distances, &[]),
        };
        let one = self.constant("one", Tensor::f32([1], vec![1.0]));
        let column = self.constant("column", Tensor::i64([2], vec![-1, 1]));
        let labels = Tensor::i64([1, classes], (0..classes as i64).collect());
        let labels = self.constant("labels", labels);
        let beyond = self.push("beyond", "Greater", &[&farthest, &one], &[]);
        let beyond = self.push("beyond_f32", "Cast", &[&beyond], &[FLOAT]);
        let best = self.push("best_column", "Reshape", &[&best, &column], &[]);
        let is_best = self.push("is_best", "Equal", &[&best, &labels], &[]);
        let is_best = self.push("is_best_f32", "Cast", &[&is_best], &[FLOAT]);
        self.push("too_far", "Mul", &[&beyond, &is_best], &[])
    }

    /// Adds |v A - c_t|^2, (n, 1), t the rows' labels `best`, (n).
    fn distance(&mut self, head: &Head, part: &LimitPart<'_>, best: &str) -> String {
        let dim = part.dim(head);
        let values = match part.map {
            None => head.features.clone(),
            Some(map) => self.means(map),
        };
        let whitening = Tensor::f32([dim, dim], part.whitening.to_vec());
        let whitening = self.constant("whitening", whitening);
        let zeros = self.constant("zeros", Tensor::f32([dim], vec![0.0; dim]));
        let ones = self.constant("ones", Tensor::f32([dim, 1], vec![1.0; dim]));
        let rows = part.centres.len() / dim.max(1);
        let centres = Tensor::f32([rows, dim], part.centres.to_vec());
        let mut centre = self.constant("centres", centres);
        if rows > 1 {
            centre = self.push("centre", "Gather", &[&centre, best], &[("axis", 0)]);
        }
        let whitened = self.push("whitened", "Gemm", &[&values, &whitening, &zeros], &[]);
        let apart = self.push("apart", "Sub", &[&whitened, &centre], &[]);
        let squares = self.push("squares", "Mul", &[&apart, &apart], &[]);
        self.push("distance", "MatMul", &[&squares, &ones], &[])
    }

    /// Adds (n, N): at the label of each discriminant the number of them that are above 0, else 0. None where there is none.
    fn turned(&mut self, head: &Head, discriminants: &[Discriminant<'_>]) -> Option<String> {
        let count = discriminants.len();
        if count == 0 {
            return None;
        }
        let biases = discriminants.iter().map(|found| found.bias).collect();
        let biases = self.constant("biases", Tensor::f32([count], biases));
        let columns: Vec<&[f32]> = discriminants.iter().map(|found| found.features).collect();
        let weights = self.constant("discriminants", side_by_side(&columns));
        let inputs = [head.features.as_str(), &weights, &biases];
        let mut sum = self.push("discriminant", "Gemm", &inputs, &[]);
        for map in maps(discriminants) {
            let silent = vec![0.0; map.channels()];
            let of_map = |found: &Discriminant<'_>| -> Vec<f32> {
                let weights = found.maps.iter().find(|(other, _)| *other == map);
                weights.map_or_else(|| silent.clone(), |(_, weights)| weights.to_vec())
            };
            let columns: Vec<Vec<f32>> = discriminants.iter().map(of_map).collect();
            let columns: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
            let weights = self.constant("discriminants", side_by_side(&columns));
            let means = self.means(map);
            let part = self.push("of_map", "MatMul", &[&means, &weights], &[]);
            sum = self.push("discriminant", "Add", &[&sum, &part], &[]);
        }
        let zero = self.constant("zero", Tensor::f32([1], vec![0.0]));
        let above = self.push("above", "Greater", &[&sum, &zero], &[]);
        let above = self.push("above_f32", "Cast", &[&above], &[FLOAT]);
        let mut places = vec![0.0; count * head.classes];
        for (row, found) in discriminants.iter().enumerate() {
            places[row * head.classes + found.label] = 1.0;
        }
        let places = self.constant("places", Tensor::f32([count, head.classes], places));
        Some(self.push("turned", "MatMul", &[&above, &places], &[]))
    }

    /// The means of `map`, (n, C), made once.
    fn means(&mut self, map: &FeatureMap) -> String {
        if let Some(made) = self.means.get(map.tensor()) {
            return made.clone();
        }
        let output = self.fresh("means");
        let nodes = map.averaged(self.graph, &output);
        self.nodes.extend(nodes);
        self.means.insert(map.tensor().to_owned(), output.clone());
        output
    }
}

/// The maps of all discriminants, each once.
fn maps<'a>(discriminants: &[Discriminant<'a>]) -> Vec<&'a FeatureMap> {
    let mut found: Vec<&FeatureMap> = Vec::new();
    for (map, _) in discriminants.iter().flat_map(|found| &found.maps) {
        if !found.contains(map) {
            found.push(map);
        }
    }
    found
}

/// Columns of the same length as a matrix.
fn side_by_side(columns: &[&[f32]]) -> Tensor {
    let rows = columns.first().map_or(0, |column| column.len());
    let values = (0..rows).flat_map(|row| columns.iter().map(move |column| column[row]));
    Tensor::f32([rows, columns.len()], values.collect())
}

//! Nodes that withdraw the label which B gives to an image that lies too far from clean ones.

use super::limit::{Limit, LimitPart};
use super::{Head, maps};
use crate::{Attribute, Graph, Node, Tensor};

/// The type f32, to cast to.
const FLOAT: (&str, i64) = ("to", 1);

/// The nodes from `scores`, (n, N), to `output`, (n, N): the same but for the label that the head as it was gives, where the image is
/// beyond `limit`.
///
/// Operators of the oldest kind alone: sums over an axis are products with ones, since the operator's form changed.
pub(super) fn nodes(
    graph: &mut Graph,
    head: &Head,
    limit: &Limit<'_>,
    [scores, output]: [&str; 2],
) -> Vec<Node> {
    let (dim, classes) = (head.dim, head.classes);
    let mut rows = Rows {
        graph,
        stem: output,
        nodes: Vec::new(),
    };
    let weights = Tensor::f32([dim, classes], head.weights.clone());
    let weights = rows.constant("old_weights", weights);
    let bias = rows.constant("old_bias", Tensor::f32([classes], head.bias.clone()));
    let old = rows.push("old", "Gemm", &[&head.features, &weights, &bias], &[]);
    let best = rows.push("best", "ArgMax", &[&old], &[("axis", 1), ("keepdims", 0)]);
    let distances: Vec<String> = limit
        .parts
        .iter()
        .map(|part| rows.distance(head, part, &best))
        .collect();
    let distances: Vec<&str> = distances.iter().map(String::as_str).collect();
    let farthest = match distances[..] {
        [only] => only.to_owned(),
        _ => rows.push("farthest", "Max", &distances, &[]),
    };
    let one = rows.constant("one", Tensor::f32([1], vec![1.0]));
    let penalty = rows.constant("penalty", Tensor::f32([1], vec![limit.penalty]));
    let column = rows.constant("column", Tensor::i64([2], vec![-1, 1]));
    let labels = Tensor::i64([1, classes], (0..classes as i64).collect());
    let labels = rows.constant("labels", labels);
    let beyond = rows.push("beyond", "Greater", &[&farthest, &one], &[]);
    let beyond = rows.push("beyond_f32", "Cast", &[&beyond], &[FLOAT]);
    let best = rows.push("best_column", "Reshape", &[&best, &column], &[]);
    let is_best = rows.push("is_best", "Equal", &[&best, &labels], &[]);
    let is_best = rows.push("is_best_f32", "Cast", &[&is_best], &[FLOAT]);
    let withdrawn = rows.push("withdrawn", "Mul", &[&beyond, &is_best], &[]);
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

    fn means(&mut self, map: &maps::FeatureMap) -> String {
        let output = self.fresh("means");
        let nodes = map.averaged(self.graph, &output);
        self.nodes.extend(nodes);
        output
    }
}

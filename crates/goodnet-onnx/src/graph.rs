//! Look-ups in a graph: who makes a tensor, who reads it, what depends on what.

use super::error::OnnxError;
use super::model::{Graph, Node};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

impl Graph {
    /// The node that makes `tensor`.
    #[must_use]
    pub fn producer(&self, tensor: &str) -> Option<&Node> {
        self.nodes
            .iter()
            .find(|node| node.outputs.iter().any(|output| output == tensor))
    }

    /// The nodes that read `tensor`, in graph order.
    pub fn consumers<'a>(&'a self, tensor: &'a str) -> impl Iterator<Item = &'a Node> {
        self.nodes
            .iter()
            .filter(move |node| node.inputs.iter().any(|input| input == tensor))
    }

    /// Is `tensor` an output of the graph?
    #[must_use]
    pub fn is_output(&self, tensor: &str) -> bool {
        self.outputs.iter().any(|output| output.name == tensor)
    }

    /// The names that tensors and nodes of the graph have: for many new ones, where [`Self::fresh_name`] would look at all of the
    /// graph for each.
    pub(crate) fn names(&self) -> Names {
        let outputs = self.nodes.iter().flat_map(|node| &node.outputs);
        let inputs = self.inputs.iter().map(|input| &input.name);
        let taken = self
            .initializers
            .keys()
            .chain(inputs)
            .chain(outputs)
            .chain(self.nodes.iter().map(|node| &node.name));
        Names {
            taken: taken.cloned().collect(),
            numbers: HashMap::new(),
        }
    }

    /// A name that no tensor and no node of the graph has yet, made from `base`.
    #[must_use]
    pub fn fresh_name(&self, base: &str) -> String {
        let outputs = self.nodes.iter().flat_map(|node| &node.outputs);
        let inputs = self.inputs.iter().map(|input| &input.name);
        let taken: HashSet<&String> = self
            .initializers
            .keys()
            .chain(inputs)
            .chain(outputs)
            .chain(self.nodes.iter().map(|node| &node.name))
            .filter(|name| name.starts_with(base))
            .collect();
        std::iter::once(base.to_owned())
            .chain((1..).map(|number: u64| format!("{base}_{number}")))
            .find(|name| !taken.contains(name))
            .unwrap_or_default()
    }

    /// Drops nodes that no output needs, and constants and shapes that nothing reads.
    pub fn remove_unused(&mut self) {
        let mut needed: BTreeSet<String> = self
            .outputs
            .iter()
            .map(|output| output.name.clone())
            .collect();
        let mut nodes = Vec::new();
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().any(|output| needed.contains(output)) {
                needed.extend(node.inputs.iter().cloned());
                nodes.push(node);
            }
        }
        nodes.reverse();
        let made: BTreeSet<&String> = nodes.iter().flat_map(|node| &node.outputs).collect();
        self.value_info.retain(|value| made.contains(&value.name));
        self.initializers.retain(|name, _| needed.contains(name));
        self.nodes = nodes;
    }

    /// The tensors that depend on one of `sources`, the sources included.
    #[must_use]
    pub fn dependents(&self, sources: &[&str]) -> BTreeSet<String> {
        let mut reached: BTreeSet<String> = sources.iter().map(|&name| name.to_owned()).collect();
        for node in &self.nodes {
            if node.inputs.iter().any(|input| reached.contains(input)) {
                reached.extend(node.outputs.iter().cloned());
            }
        }
        reached
    }
}

/// Names that are taken.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
    /// Where to go on for a base that was made before.
    numbers: HashMap<String, u64>,
}

impl Names {
    /// Takes a free name, made from `base` as [`Graph::fresh_name`] makes it.
    pub(crate) fn fresh(&mut self, base: &str) -> String {
        if self.taken.insert(base.to_owned()) {
            return base.to_owned();
        }
        let number = self.numbers.entry(base.to_owned()).or_insert(0);
        loop {
            *number += 1;
            let name = format!("{base}_{number}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }

    /// Takes `name` as it is.
    pub(crate) fn take(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
    }
}

/// Puts nodes into topological order, keeping the given order where it is free.
///
/// `known`: tensors that exist before any node runs.
///
/// # Errors
/// If a node reads what nothing makes, or nodes form a cycle.
pub(super) fn sort_nodes(
    nodes: Vec<Node>,
    known: &BTreeSet<String>,
) -> Result<Vec<Node>, OnnxError> {
    let maker: HashMap<&str, usize> = nodes
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.outputs.iter().map(move |name| (name.as_str(), index)))
        .collect();
    let mut waiting = vec![0usize; nodes.len()];
    let mut readers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for input in node.inputs.iter().filter(|name| !name.is_empty()) {
            if known.contains(input) {
                continue;
            }
            let Some(&from) = maker.get(input.as_str()) else {
                return Err(OnnxError::Broken(format!(
                    "node {} reads {input}, which nothing makes",
                    node.name
                )));
            };
            waiting[index] += 1;
            readers.entry(from).or_default().push(index);
        }
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&i| waiting[i] == 0).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for &reader in readers.get(&index).into_iter().flatten() {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    if order.len() != nodes.len() {
        return Err(OnnxError::Broken("its nodes form a cycle".to_owned()));
    }
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    Ok(order
        .into_iter()
        .filter_map(|index| nodes[index].take())
        .collect())
}

//! Tails side by side, each with its own nodes over the same constants: for networks whose tails cannot be stacked.

use super::build::{Builder, PREFIX};
use super::tails::Tails;
use crate::mask::ChannelMask;
use crate::prune::mask_site;
use crate::site::Site;
use crate::{Graph, Model, Node};
use std::collections::BTreeSet;

/// B's graph with one more tail for each mask; the scores are (n, (1 + T) * N), B's first.
///
/// What does not depend on the site is computed once.
pub(super) fn side_by_side(model: &Model, site: &Site, masks: &[ChannelMask]) -> Tails {
    let mut graph = model.graph.clone();
    let mut scores = vec![graph.outputs[0].name.clone()];
    for (index, mask) in masks.iter().enumerate() {
        let masked = mask_site(model, site, mask).graph;
        scores.push(append_tail(&mut graph, &masked, &site.tensor, index));
    }
    let mut builder = Builder { graph: &mut graph };
    let scores = match scores.as_slice() {
        [alone] => alone.clone(),
        all => {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            builder.concat(&all, "all_scores")
        }
    };
    Tails {
        graph,
        scores,
        stacked: BTreeSet::new(),
    }
}

/// Appends what depends on the site in `masked`, under names of its own; gives the name of its scores.
fn append_tail(graph: &mut Graph, masked: &Graph, site: &str, index: usize) -> String {
    let mut own: BTreeSet<String> = masked.dependents(&[site]);
    own.remove(site);
    let new_constants = masked
        .initializers
        .keys()
        .filter(|name| !graph.initializers.contains_key(*name));
    own.extend(new_constants.cloned());
    let rename = |name: &String| {
        if own.contains(name) {
            format!("{PREFIX}pruned_{index}_{name}")
        } else {
            name.clone()
        }
    };
    for (name, tensor) in masked
        .initializers
        .iter()
        .filter(|(name, _)| own.contains(*name))
    {
        graph.initializers.insert(rename(name), tensor.clone());
    }
    let tail = masked
        .nodes
        .iter()
        .filter(|node| node.outputs.iter().any(|o| own.contains(o)));
    for node in tail {
        let node = Node {
            inputs: node.inputs.iter().map(rename).collect(),
            outputs: node.outputs.iter().map(rename).collect(),
            ..node.clone()
        };
        graph.nodes.push(node);
    }
    rename(&masked.outputs[0].name)
}

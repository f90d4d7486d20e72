//! Taking channels out of a site: for real where the graph allows it, by a mask where it does not.
//!
//! Meaning: a removed channel of the site is zero for every image. A removal is planned first (a list of
//! [`Edit`]s, or the reason why there is none) and applied after, so that nothing is ever half done.

mod backward;
mod carried;
mod constant;
mod edit;
mod forward;
mod quantised;
mod unary;
mod weighted;

pub use edit::Edit;

use super::model::{Dim, Graph, Model, Node, Tensor};
use super::shape::{ShapedModel, infer};
use super::site::Site;
use crate::mask::ChannelMask;
pub use crate::mask::PruneMethod;

/// A pruned network.
#[derive(Debug, Clone, PartialEq)]
pub struct Pruned {
    /// The network.
    pub model: Model,
    /// How the channels were taken out.
    pub method: PruneMethod,
    /// Why they are masked, where they are.
    pub reason: Option<String>,
}

/// Takes the channels that `mask` removes out of `model` at `site`.
///
/// The result answers as `model` does with those channels of the site set to zero. Channels are removed for real from
/// the convolutions before the site to the layers that read it, through sums and joins of branches; where a layer after the site
/// does not allow that (a normalisation over channels, a convolution beside which the site is added again), or no layer before it
/// has weights to lose, the site is masked instead.
#[must_use]
pub fn prune(model: &Model, site: &Site, mask: &ChannelMask) -> Pruned {
    match plan(model, site, mask) {
        Ok(edits) => Pruned {
            model: edit::apply(model, &edits),
            method: PruneMethod::Removed,
            reason: None,
        },
        Err(reason) => Pruned {
            model: mask_site(model, site, mask),
            method: PruneMethod::Masked,
            reason: Some(reason),
        },
    }
}

/// The edits that remove channels for real.
///
/// # Errors
/// The reason, in words, why the graph does not allow it.
pub fn plan(model: &Model, site: &Site, mask: &ChannelMask) -> Result<Vec<Edit>, String> {
    let kept = mask.kept();
    if kept.is_empty() {
        return Err("no channel would be left".to_owned());
    }
    let shapes = infer(&model.graph);
    let mut edits = backward::plan(&model.graph, &shapes, site, &kept)?;
    edits.extend(forward::plan(&model.graph, &shapes, &site.tensor, mask)?);
    Ok(edits)
}

/// The tail of a cut network with its first input, the site, narrowed to the channels that `mask` keeps.
///
/// None where the graph does not allow it, or no channel would be left.
#[must_use]
pub fn prune_tail(tail: &ShapedModel<'_>, mask: &ChannelMask) -> Option<Model> {
    let kept = mask.kept();
    let site = &tail.graph().inputs.first()?.name;
    if kept.is_empty() {
        return None;
    }
    let edits = forward::plan(tail.graph(), tail.shapes(), site, mask).ok()?;
    let mut narrowed = edit::apply(tail.model(), &edits);
    let shape = narrowed.graph.inputs.first_mut()?.shape.as_mut()?;
    *shape.get_mut(1)? = Dim::Fixed(kept.len());
    Some(narrowed)
}

/// `model` with the site multiplied by 0 for every channel that `mask` removes and by 1 for every other.
#[must_use]
pub fn mask_site(model: &Model, site: &Site, mask: &ChannelMask) -> Model {
    let mut model = model.clone();
    let graph = &mut model.graph;
    let masked = graph.fresh_name(&format!("{}_masked", site.tensor));
    for node in &mut graph.nodes {
        for input in &mut node.inputs {
            if *input == site.tensor {
                input.clone_from(&masked);
            }
        }
    }
    let at = graph
        .nodes
        .iter()
        .position(|node| node.outputs.contains(&site.tensor))
        .map_or(0, |index| index + 1);
    let node = masking_node(graph, site, mask, &masked);
    graph.nodes.insert(at, node);
    model
}

fn masking_node(graph: &mut Graph, site: &Site, mask: &ChannelMask, masked: &str) -> Node {
    if mask.kept().is_empty() {
        // tract 0.23 fails on a product with a constant of zeros only.
        let zero = graph.fresh_name(&format!("{}_zero", site.tensor));
        graph
            .initializers
            .insert(zero.clone(), Tensor::f32([], vec![0.0]));
        return Node::new("Clip", &[&site.tensor, &zero, &zero], &[masked]);
    }
    let factors = graph.fresh_name(&format!("{}_mask", site.tensor));
    let tensor = Tensor::f32([1, mask.channels(), 1, 1], mask.factors());
    graph.initializers.insert(factors.clone(), tensor);
    Node::new("Mul", &[&site.tensor, &factors], &[masked])
}

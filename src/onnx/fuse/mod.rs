//! The whole GoodNet as one graph: the trunk once, the tails of B and of every B', and the rule itself.
//!
//! B and every B' are the same network up to the site. The tails are stacked along the batch axis, so that one run of
//! one tail with one set of weights answers for all of them:
//!
//! ```text
//! image -> trunk -> site (n, C, H, W) -> times the masks (1 + T, C) -> (n * (1 + T), C, H, W) -> tail -> rule
//! ```
//!
//! In reading order: `build` (appending nodes), `batchwise` (may this tail be stacked?), `stack`, `first` (its
//! first layers without the removed channels), `parallel` (tails side by side where stacking is impossible),
//! `rule` (the outputs).

mod batchwise;
mod build;
mod first;
mod parallel;
mod rule;
mod stack;

pub use rule::{BADNET_OUTPUT, PRUNED_OUTPUT, VERDICT_OUTPUT};

use super::optimize::lookup::name_nodes;
use super::optimize::{has_control_flow, optimize};
use super::shape::infer;
use super::site::Site;
use super::{Graph, Model, OnnxError, ports};
use crate::domain::mask::ChannelMask;
use build::Builder;

/// Operator set from which on all operators of the rule exist as they are used here.
const FIRST_OPSET: i64 = 9;

/// A GoodNet in one graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// Input as B's; outputs [`BADNET_OUTPUT`], [`PRUNED_OUTPUT`] and [`VERDICT_OUTPUT`].
    pub model: Model,
    /// Do the tails run as one, with one set of weights? Where not, only the trunk is shared.
    pub shared: bool,
    /// Why not, where they do not.
    pub reason: Option<String>,
}

/// Fuses B and the networks B' that `masks` leave, one mask of the site's C channels for each drop, T in all.
///
/// Outputs, for n images: `badnet_probabilities` (n, N) and `pruned_probabilities` (n, T, N), f32, the scores of the
/// separate networks up to rounding; `verdict` (n, T), i64: the class where argmax B == argmax B', else N; within a
/// row a tie goes to the lower class. With activations that are not finite a removed channel gives NaN, not zero.
///
/// # Errors
/// If `masks` is empty or one of them is not of C channels, the model is no classifier (see [`ports()`]), its scores
/// do not depend on the site, it has control flow, or its operator set is older than 9.
pub fn fuse(badnet: &Model, site: &Site, masks: &[ChannelMask]) -> Result<Fused, OnnxError> {
    let classes = ports(badnet)?.classes as usize;
    check(badnet, site, masks)?;
    let mut model = optimize(badnet, &[&site.tensor]);
    let mut site = widened(site, &model.graph);
    let outputs = [BADNET_OUTPUT, PRUNED_OUTPUT, VERDICT_OUTPUT];
    build::free_names(&mut model.graph, &mut site, &outputs);
    let masks = masks
        .iter()
        .map(|mask| widen(mask, site.channels))
        .collect::<Vec<_>>();
    let (mut graph, scores, reason) = match stack::stack(&model, &site, &masks) {
        Ok((graph, scores)) => (graph, scores, None),
        Err(reason) => {
            let (graph, scores) = parallel::side_by_side(&model, &site, &masks);
            (graph, scores, Some(reason))
        }
    };
    let opset = model.opset();
    let mut builder = Builder {
        graph: &mut graph,
        opset,
    };
    rule::append(&mut builder, &scores, masks.len(), classes);
    graph.remove_unused();
    name_nodes(&mut graph);
    model.graph = graph;
    Ok(Fused {
        model,
        shared: reason.is_none(),
        reason,
    })
}

fn check(badnet: &Model, site: &Site, masks: &[ChannelMask]) -> Result<(), OnnxError> {
    let refuse = |expected: String| OnnxError::Site {
        name: site.tensor.clone(),
        expected,
    };
    if has_control_flow(badnet) {
        return Err(OnnxError::Unsupported("control flow".to_owned()));
    }
    if badnet.opset() < FIRST_OPSET {
        let found = format!("operator set {}, older than {FIRST_OPSET}", badnet.opset());
        return Err(OnnxError::Unsupported(found));
    }
    if masks.is_empty() {
        return Err(refuse("at least one pruned network to fuse".to_owned()));
    }
    if let Some(mask) = masks.iter().find(|mask| mask.channels() != site.channels) {
        let (has, found) = (site.channels, mask.channels());
        return Err(refuse(format!("masks of {has} channels, found {found}")));
    }
    let after = badnet.graph.dependents(&[&site.tensor]);
    let reaches = |graph: &Graph| graph.outputs.iter().all(|o| after.contains(&o.name));
    if badnet.graph.producer(&site.tensor).is_none() || !reaches(&badnet.graph) {
        return Err(refuse(
            "a tensor inside the network that the scores depend on".to_owned(),
        ));
    }
    Ok(())
}

/// The site with the channels that it has after optimisation.
fn widened(site: &Site, graph: &Graph) -> Site {
    let shapes = infer(graph);
    let channels = shapes.get(&site.tensor).and_then(|shape| *shape.get(1)?);
    Site {
        channels: channels.unwrap_or(site.channels),
        ..site.clone()
    }
}

/// The mask for a site with channels added at its end: nothing reads them, so every B' can do without.
fn widen(mask: &ChannelMask, channels: usize) -> ChannelMask {
    let mut removed = mask.removed();
    removed.extend(mask.channels()..channels);
    ChannelMask::removing(channels, &removed).unwrap_or_else(|_| mask.clone())
}

//! The whole GoodNet as one graph: the trunk once, the tails of B and of every B', and the rule itself.
//!
//! B and every B' are the same network up to the site. The tails are stacked along the batch axis, so that one run of
//! one tail with one set of weights answers for all of them:
//!
//! ```text
//! image -> trunk -> site (n, C, H, W) -> times the masks (1 + T, C) -> (n * (1 + T), C, H, W) -> tail -> rule
//! ```
//!
//! The repaired network, B with a refitted head, needs nothing of its own before its features: B's rows of them go
//! through the second head, and only what follows runs twice.
//!
//! In reading order: `build` (appending nodes), `batchwise` (may this tail be stacked?), `stack`, `first` (its
//! first layers without the removed channels), `parallel` (tails side by side where stacking is impossible),
//! `repaired` (the second head), `rule` (the outputs).

mod batchwise;
mod build;
mod first;
mod parallel;
mod repaired;
mod rule;
mod stack;
mod tails;

pub use rule::{
    BADNET_OUTPUT, PRUNED_OUTPUT, REPAIRED_OUTPUT, REPAIRED_VERDICT_OUTPUT, VERDICT_OUTPUT,
};

use super::head::{Refit, with_second};
use super::optimize::lookup::name_nodes;
use super::optimize::{has_control_flow, optimize};
use super::shape::infer;
use super::site::Site;
use super::{Graph, Model, OnnxError, ports};
use crate::mask::ChannelMask;
use build::Builder;
use repaired::Repaired;
use tails::Tails;

/// Operator set from which on all operators of the rule exist as they are used here.
const FIRST_OPSET: i64 = 9;

/// A GoodNet in one graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// Input as B's; outputs [`BADNET_OUTPUT`], [`PRUNED_OUTPUT`] and [`VERDICT_OUTPUT`], then with a refitted head
    /// [`REPAIRED_OUTPUT`] and [`REPAIRED_VERDICT_OUTPUT`].
    pub model: Model,
    /// Do the tails run as one, with one set of weights? Where not, they share the trunk, and the repaired network B's
    /// features.
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
    fuse_repaired(badnet, site, masks, None)
}

/// Fuses as [`fuse()`] does, and with them the repaired network: B with the head that `refit` gives it.
///
/// Two more outputs: `repaired_probabilities` (n, N), f32, and `repaired_verdict` (n), i64: the class where argmax B ==
/// argmax of the repaired network, else N; ties as for the others. With a refitted head `masks` may be empty; the
/// outputs that tell of B' are left out then.
///
/// # Errors
/// As [`fuse()`]; if `refit` is of another network's head.
pub fn fuse_repaired(
    badnet: &Model,
    site: &Site,
    masks: &[ChannelMask],
    refit: Option<&Refit<'_>>,
) -> Result<Fused, OnnxError> {
    let classes = ports(badnet)?.classes as usize;
    check(badnet, site, masks, refit.is_some())?;
    let mut outputs = vec![BADNET_OUTPUT, PRUNED_OUTPUT, VERDICT_OUTPUT];
    let mut model = match refit {
        None => optimize(badnet, &[&site.tensor]),
        Some(refit) => {
            refit.check(badnet)?;
            outputs.extend([REPAIRED_OUTPUT, REPAIRED_VERDICT_OUTPUT]);
            optimize(&with_second(badnet, refit), &[&site.tensor])
        }
    };
    let mut site = widened(site, &model.graph);
    build::free_names(&mut model.graph, &mut site, &outputs);
    let repaired = Repaired::split_off(&mut model);
    let masks = masks
        .iter()
        .map(|mask| widen(mask, site.channels))
        .collect::<Vec<_>>();
    let (masks, copies) = distinct(masks);
    let (tails, reason) = tails(&model, &site, &masks, repaired.as_ref());
    let mut graph = tails.graph;
    let mut builder = Builder { graph: &mut graph };
    let ours = rule::append(&mut builder, &tails.scores, &copies, classes);
    if let Some(repaired) = repaired {
        repaired.append(&mut builder, &tails.stacked, 1 + masks.len(), &ours);
        rule::append_repaired(&mut builder, &ours, classes);
    }
    graph.remove_unused();
    name_nodes(&mut graph);
    model.graph = graph;
    Ok(Fused {
        model,
        shared: reason.is_none(),
        reason,
    })
}

/// The masks, each once, and for each of those given the place of its like. Small drops often remove the same channels.
fn distinct(masks: Vec<ChannelMask>) -> (Vec<ChannelMask>, Vec<usize>) {
    let mut found: Vec<ChannelMask> = Vec::new();
    let mut places = Vec::with_capacity(masks.len());
    for mask in masks {
        let place = found.iter().position(|other| *other == mask);
        places.push(place.unwrap_or(found.len()));
        if place.is_none() {
            found.push(mask);
        }
    }
    (found, places)
}

/// The tails as one where that is possible, else side by side, and why so.
fn tails(
    model: &Model,
    site: &Site,
    masks: &[ChannelMask],
    repaired: Option<&Repaired>,
) -> (Tails, Option<String>) {
    if masks.is_empty() {
        return (parallel::side_by_side(model, site, masks), None);
    }
    let stacked = stack::stack(model, site, masks).and_then(|tails| {
        repaired.map_or(Ok(()), |repaired| repaired.check(&tails))?;
        Ok(tails)
    });
    match stacked {
        Ok(tails) => (tails, None),
        Err(reason) => (parallel::side_by_side(model, site, masks), Some(reason)),
    }
}

fn check(
    badnet: &Model,
    site: &Site,
    masks: &[ChannelMask],
    refitted: bool,
) -> Result<(), OnnxError> {
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
    if masks.is_empty() && !refitted {
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

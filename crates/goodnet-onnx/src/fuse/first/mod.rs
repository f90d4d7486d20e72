//! The first layers of the stacked tail without the channels that every B' has lost.
//!
//! A convolution or a matrix product is linear in the site's channels, so B' needs only those it keeps. The channels
//! that some B' keeps are gathered once, and one layer with the weights of every B' side by side (zero where that B'
//! has lost the channel) stands beside B's own layer. Both results together are the stacked batch. Of a matrix product
//! every channel is computed once where each B' keeps a part of what the next one keeps ([`steps`]).

mod product;
mod steps;

use super::build::{Builder, PREFIX, as_i64};
use crate::mask::ChannelMask;
use crate::optimize::CHANNEL_BLOCK;
use crate::optimize::lookup::{Kernel, is_read_once, readers};
use crate::shape::Shapes;
use crate::site::Site;
use crate::{Graph, Node, Tensor};
use product::products;
use std::collections::BTreeMap;
use steps::Steps;

/// How a node of the tail is shared, by the name of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sharing {
    /// A convolution of the site.
    Conv {
        /// Extents (O, H, W) of its output.
        extents: [usize; 3],
        /// Output of the rectifier that alone reads it: it goes before the joining, where runtimes fuse it.
        relu: Option<String>,
    },
    /// A rectifier that stands with its convolution.
    Joined,
    /// A flattening of the site that only products read: stays as it is.
    Flatten,
    /// A product of the flattened site with a constant matrix.
    Product,
}

/// The first layers while they are being appended.
pub(super) struct FirstLayers<'a> {
    site: &'a Site,
    masks: &'a [ChannelMask],
    /// Channels that some B' keeps, in ascending order.
    kept: Vec<usize>,
    /// The gathered channels, by their number.
    gathered: BTreeMap<usize, String>,
    flattened: Option<String>,
    /// None where no B' keeps a part of what another one keeps.
    steps: Option<Steps>,
}

impl<'a> FirstLayers<'a> {
    pub(super) fn new(site: &'a Site, masks: &'a [ChannelMask]) -> Self {
        Self {
            site,
            masks,
            kept: kept_by_any(site, masks),
            gathered: BTreeMap::new(),
            flattened: None,
            steps: Steps::new(masks),
        }
    }

    /// Which nodes can be shared; none where that would save no channel.
    pub(super) fn plan<'g>(
        graph: &'g Graph,
        shapes: &Shapes,
        site: &Site,
        masks: &[ChannelMask],
    ) -> BTreeMap<&'g str, Sharing> {
        let mut shares = BTreeMap::new();
        let kept = kept_by_any(site, masks).len();
        if kept == 0 || kept.next_multiple_of(CHANNEL_BLOCK) >= site.channels {
            return shares;
        }
        for node in graph
            .nodes
            .iter()
            .filter(|node| node.inputs.contains(&site.tensor))
        {
            let output = node.outputs[0].as_str();
            if let Some(extents) = conv_extents(graph, shapes, site, node) {
                let relu = only_relu(graph, output);
                shares.extend(relu.map(|relu| (relu, Sharing::Joined)));
                let relu = relu.map(str::to_owned);
                shares.insert(output, Sharing::Conv { extents, relu });
            } else if let Some(products) = products(graph, site, node) {
                shares.insert(output, Sharing::Flatten);
                shares.extend(products.map(|product| (product, Sharing::Product)));
            }
        }
        shares
    }

    /// Appends a convolution of the site, and its rectifier, as the stacked batch.
    pub(super) fn conv(
        &mut self,
        builder: &mut Builder<'_>,
        node: &Node,
        extents: &[usize; 3],
        relu: Option<&str>,
    ) {
        let Some(kernel) = Kernel::from_node(builder.graph, node) else {
            return;
        };
        let output = &node.outputs[0];
        let mut whole = builder.fresh(&format!("{output}_badnet"));
        builder.push(Node {
            outputs: vec![whole.clone()],
            ..node.clone()
        });
        let gathered = self.gathered(builder, self.width());
        let stem = format!("{output}_pruned");
        let (weight, bias) = self
            .narrowed(&kernel)
            .store(builder.graph, &format!("{PREFIX}{stem}"));
        let mut pruned = builder.fresh(&stem);
        let mut inputs = vec![gathered, weight, bias];
        inputs.truncate(node.inputs.len());
        builder.push(Node {
            inputs,
            outputs: vec![pruned.clone()],
            ..node.clone()
        });
        if relu.is_some() {
            whole = builder.relu(&whole);
            pruned = builder.relu(&pruned);
        }
        let both = builder.concat(&[&whole, &pruned], &format!("{output}_both"));
        let [channels, height, width] = extents.map(as_i64);
        let shape = [-1, channels, height, width];
        builder.reshape_to(&both, &shape, relu.unwrap_or(output));
    }

    /// The kept channels, filled up to `width` with copies that are read with zero weights.
    fn gathered(&mut self, builder: &mut Builder<'_>, width: usize) -> String {
        if let Some(gathered) = self.gathered.get(&width) {
            return gathered.clone();
        }
        let mut channels: Vec<i64> = self.kept.iter().copied().map(as_i64).collect();
        channels.resize(width, channels[0]);
        let output = builder.fresh("site_kept");
        let channels = Tensor::i64([width], channels);
        builder.gather_rows(&self.site.tensor, channels, &output);
        self.gathered.insert(width, output.clone());
        output
    }

    /// Channels of the gathered site that a convolution reads: whole blocks.
    fn width(&self) -> usize {
        self.kept.len().next_multiple_of(CHANNEL_BLOCK)
    }

    /// (O, C, KH, KW) to (T * O, gathered channels, KH, KW).
    fn narrowed(&self, kernel: &Kernel) -> Kernel {
        let [outputs, inputs, height, width] = kernel.shape;
        let area = height * width;
        let mut weights = Vec::with_capacity(self.masks.len() * outputs * self.width() * area);
        for mask in self.masks {
            for filter in kernel.weights.chunks_exact(inputs * area) {
                weights.extend(self.narrow(filter, area, mask, self.width()));
            }
        }
        Kernel {
            shape: [self.masks.len() * outputs, self.width(), height, width],
            weights,
            bias: kernel.bias.repeat(self.masks.len()),
        }
    }

    /// From `area` values for each of the C channels, those of `width` gathered channels, zero where `mask` removes one.
    fn narrow(&self, values: &[f32], area: usize, mask: &ChannelMask, width: usize) -> Vec<f32> {
        let mut narrowed = vec![0.0; width * area];
        for (&channel, into) in self.kept.iter().zip(narrowed.chunks_exact_mut(area)) {
            if mask.keeps(channel) {
                into.copy_from_slice(&values[channel * area..(channel + 1) * area]);
            }
        }
        narrowed
    }
}

fn kept_by_any(site: &Site, masks: &[ChannelMask]) -> Vec<usize> {
    (0..site.channels)
        .filter(|&channel| masks.iter().any(|mask| mask.keeps(channel)))
        .collect()
}

/// Extents (O, H, W) of the output of an ungrouped convolution of the site with constants.
fn conv_extents(graph: &Graph, shapes: &Shapes, site: &Site, node: &Node) -> Option<[usize; 3]> {
    Kernel::from_node(graph, node).filter(|kernel| kernel.shape[1] == site.channels)?;
    match shapes.get(&node.outputs[0])?.as_slice() {
        &[_, Some(channels), Some(height), Some(width)] => Some([channels, height, width]),
        _ => None,
    }
}

/// Output of the rectifier that is the only reader of `tensor`.
fn only_relu<'g>(graph: &'g Graph, tensor: &str) -> Option<&'g str> {
    let reader = &graph.nodes[*readers(graph, tensor).first()?];
    let alone = is_read_once(graph, tensor) && reader.is("Relu");
    alone.then(|| reader.outputs[0].as_str())
}

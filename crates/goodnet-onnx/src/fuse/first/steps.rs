//! The channels of the site in steps: those of the B' with the fewest, then what every larger one adds, at last what only B has.
//!
//! A sum over the channels of a step, added to that of the step before, is the next network's: every channel is read once for all
//! of them.

use crate::fuse::build::{Builder, as_i64};
use crate::mask::ChannelMask;
use crate::site::Site;
use crate::{Node, Tensor};

/// The steps of masks of which each keeps a part of what the next larger one keeps.
pub(super) struct Steps {
    /// The channels of every step; each has some.
    channels: Vec<Vec<usize>>,
    /// For every mask the step that completes it.
    last_of: Vec<usize>,
    /// The flattened channels of every step, once they are made.
    flattened: Vec<String>,
}

impl Steps {
    /// None where two masks keep channels that the other one does not keep, or a step has no channel.
    pub(super) fn new(masks: &[ChannelMask]) -> Option<Self> {
        let all = masks.first()?.channels();
        let mut order: Vec<usize> = (0..masks.len()).collect();
        order.sort_by_key(|&mask| masks[mask].kept().len());
        let mut last_of = vec![0; masks.len()];
        let mut channels: Vec<Vec<usize>> = Vec::new();
        let mut before = vec![false; all];
        for (step, &mask) in order.iter().enumerate() {
            last_of[mask] = step;
            if (0..all).any(|channel| before[channel] && !masks[mask].keeps(channel)) {
                return None;
            }
            channels.push(added(&before, |channel| masks[mask].keeps(channel)));
            before = (0..all).map(|channel| masks[mask].keeps(channel)).collect();
        }
        channels.push(added(&before, |_| true));
        let complete = channels.iter().all(|step| !step.is_empty());
        complete.then_some(Self {
            channels,
            last_of,
            flattened: Vec::new(),
        })
    }

    /// Every step's part of the site, (n, channels * H * W), with its channels; appended once.
    pub(super) fn flattened(
        &mut self,
        builder: &mut Builder<'_>,
        site: &Site,
    ) -> Vec<(String, Vec<usize>)> {
        if self.flattened.is_empty() {
            let flatten = |channels: &Vec<usize>| flatten(builder, site, channels);
            self.flattened = self.channels.iter().map(flatten).collect();
        }
        let names = self.flattened.iter().cloned();
        names.zip(self.channels.iter().cloned()).collect()
    }

    /// From one tensor a step, B's and then that of every mask.
    pub(super) fn badnet_first(&self, sums: &[String]) -> Vec<String> {
        let badnet = sums.last().cloned();
        let of_masks = self.last_of.iter().map(|&step| sums[step].clone());
        badnet.into_iter().chain(of_masks).collect()
    }
}

/// Channels that are kept, but were not `before`.
fn added(before: &[bool], keeps: impl Fn(usize) -> bool) -> Vec<usize> {
    let all = 0..before.len();
    all.filter(|&channel| keeps(channel) && !before[channel])
        .collect()
}

fn flatten(builder: &mut Builder<'_>, site: &Site, channels: &[usize]) -> String {
    let places: Vec<i64> = channels.iter().copied().map(as_i64).collect();
    let part = builder.fresh("site_step");
    builder.gather_rows(&site.tensor, Tensor::i64([places.len()], places), &part);
    let flat = builder.fresh("site_step_flat");
    builder.push(Node::new("Flatten", &[&part], &[&flat]));
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(removed: &[&[usize]]) -> Option<(Vec<Vec<usize>>, Vec<usize>)> {
        let masks: Vec<ChannelMask> = removed
            .iter()
            .map(|removed| ChannelMask::removing(5, removed).unwrap())
            .collect();
        Steps::new(&masks).map(|steps| (steps.channels, steps.last_of))
    }

    #[test]
    fn each_step_adds_what_the_next_network_keeps() {
        let found = steps(&[&[1], &[0, 1, 3]]);
        assert_eq!(
            found,
            Some((vec![vec![2, 4], vec![0, 3], vec![1]], vec![1, 0]))
        );
    }

    #[test]
    fn without_an_order_or_with_an_empty_step_there_are_none() {
        assert_eq!(steps(&[&[0, 1], &[1, 2]]), None);
        assert_eq!(steps(&[&[0, 1, 2, 3, 4]]), None);
        assert_eq!(steps(&[&[]]), None);
    }
}

//! What was found, confirmed on clean images that the search did not see, and made as small as it goes.

use super::Search;
use super::arm::Arm;
use super::family::Family;
use super::network::Network;
use super::stand_in::StandIn;
use super::trial::{Hijack, Trial, try_on, try_on_all};
use crate::domain::sweep::Tally;
use crate::parallel::in_parallel;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::Arc;

/// A stand-in works while it turns at least this share of the images that are not of the label anyway.
pub const WORKS: f64 = 0.6;
/// The price of a stand-in is read where it turns at least this share.
pub const TURNS_MOST: f64 = 0.8;
/// Images that a stand-in is confirmed on at most.
const CONFIRM_IMAGES: usize = 96;
/// Searches confirmed where the search was ended early: somebody waits.
const STOPPED_ARMS: usize = 12;
/// Images of each step of making it smaller.
const SHRINK_IMAGES: usize = 32;
/// Steps of making it smaller at most.
const MOST_STEPS: usize = 24;

/// How a label can be provoked in one family of stand-ins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The label.
    pub label: u32,
    /// The family.
    pub family: Family,
    /// Images turned into the label, among held-out clean images that the network answers otherwise.
    pub turned: Tally,
    /// Median over these images of the label's score minus the best other, in units of the median clean image's margin.
    pub margin: f32,
    /// Size of the stand-in, as the family measures it.
    pub size: f32,
    /// Size of the smallest stand-in like it that still works; none where even this one does not.
    pub least_size: Option<f32>,
    /// `size sqrt(r) / margin` of the best stand-in, or of the cheapest smaller one like it if that is less: how much of the image
    /// a unit of margin costs. r is the label's reach, see [`CleanImages::reach`](super::CleanImages::reach). None where neither turns
    /// at least [`TURNS_MOST`] of the images with a margin above 0.
    pub price: Option<f32>,
    /// The stand-in that the price was read at; where there is no price the smallest one that works, or the best that was found.
    pub stand_in: StandIn,
    /// How much more the network makes of the change at its end than at its start
    /// ([`amplification`](crate::domain::amplification)); none before the audit measured it, where fewer than [`WORKS`] of the images
    /// are turned, and where the network has no linear head or no feature map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amplification: Option<f64>,
}

/// Evidence, and the held-out images that its stand-in turned into the label.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) evidence: Evidence,
    pub(super) turned: Vec<Hijack>,
}

impl Evidence {
    /// Does it turn at least [`WORKS`] of the images?
    #[must_use]
    pub fn works(&self) -> bool {
        self.least_size.is_some()
    }
}

impl<C: Network> Search<'_, C> {
    /// The evidence of every arm that the budget allows, those that work first, by label and family.
    pub(super) fn evidence(&mut self, arms: &[Arm]) -> Result<Vec<Proven>, C::Error> {
        let end = self.passes + self.options.evidence();
        let cost = CONFIRM_IMAGES.min(self.held_out.len());
        let affordable = (self.options.evidence() / 3 / cost.max(1)).max(1);
        let most = if self.watch.stopped() {
            STOPPED_ARMS.min(affordable)
        } else {
            affordable
        };
        let arms = &arms[..arms.len().min(most)];
        let mut found = self.confirm(arms)?;
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by(|&a, &b| by_strength(&found[a].evidence, &found[b].evidence));
        for place in order {
            if self.passes >= end || self.watch.stopped() {
                break;
            }
            if found[place].evidence.turned.share() >= WORKS {
                self.shrink(&mut found[place], end)?;
            }
        }
        found.sort_by(|a, b| by_strength(&a.evidence, &b.evidence));
        Ok(found)
    }

    /// Every arm's best stand-in on held-out images.
    fn confirm(&mut self, arms: &[Arm]) -> Result<Vec<Proven>, C::Error> {
        let best: Vec<(&Arm, Arc<StandIn>)> = arms
            .iter()
            .filter_map(|arm| Some((arm, Arc::clone(&arm.best()?.stand_in))))
            .collect();
        let (clean, held_out, watch) = (self.clean, &self.held_out, self.watch);
        let trials = in_parallel(self.networks, best.len(), |network, index| {
            let (arm, stand_in) = &best[index];
            let images = held_out_for(clean, held_out, arm.label, CONFIRM_IMAGES);
            let trial = try_on(network, clean, stand_in, &images, &[arm.label])?;
            watch.advance(images.len());
            Ok((trial, images.len()))
        })?;
        let mut found = Vec::new();
        for ((arm, stand_in), (trial, images)) in best.into_iter().zip(trials) {
            self.passes += images;
            let size = stand_in.size(clean.grid());
            let turned = trial.labels[0].hijacked;
            let evidence = Evidence {
                label: arm.label,
                family: arm.family,
                turned,
                margin: trial.median_margin,
                size,
                least_size: (turned.share() >= WORKS).then_some(size),
                price: price(size, turned, trial.median_margin, clean.reach(arm.label)),
                stand_in: (*stand_in).clone(),
                amplification: None,
            };
            found.push(Proven {
                evidence,
                turned: turned_into(arm.label, &trial),
            });
            self.hijacks.extend(trial.hijacks);
        }
        Ok(found)
    }

    /// Takes away from the stand-in as long as it works, until `end` passes are taken.
    fn shrink(&mut self, proven: &mut Proven, end: usize) -> Result<(), C::Error> {
        let evidence = &mut proven.evidence;
        let (clean, label) = (self.clean, evidence.label);
        let images = held_out_for(clean, &self.held_out, label, SHRINK_IMAGES);
        let (reach, watch) = (clean.reach(label), self.watch);
        let mut smallest = Arc::new(evidence.stand_in.clone());
        let mut cheapest: Option<(f32, Arc<StandIn>)> = None;
        for _ in 0..MOST_STEPS {
            if self.passes >= end || self.watch.stopped() {
                break;
            }
            let smaller: Vec<Arc<StandIn>> = smallest
                .shrunk(clean.grid())
                .into_iter()
                .map(Arc::new)
                .collect();
            let trials: Vec<Trial> =
                in_parallel(self.networks, smaller.len(), |network, index| {
                    let trial = try_on(network, clean, &smaller[index], &images, &[label])?;
                    watch.advance(images.len());
                    Ok(trial)
                })?;
            self.passes += smaller.len() * images.len();
            let best = trials
                .iter()
                .zip(smaller)
                .max_by(|(a, _), (b, _)| a.labels[0].margins.total_cmp(&b.labels[0].margins));
            let Some((trial, stand_in)) = best else { break };
            if trial.labels[0].hijacked.share() < WORKS {
                break;
            }
            let size = stand_in.size(clean.grid());
            let found = price(size, trial.labels[0].hijacked, trial.median_margin, reach);
            if let Some(found) = found
                && cheapest.as_ref().is_none_or(|(least, _)| found < *least)
            {
                cheapest = Some((found, Arc::clone(&stand_in)));
            }
            evidence.least_size = Some(size);
            smallest = stand_in;
            for trial in trials {
                self.hijacks.extend(trial.hijacks);
            }
        }
        match cheapest {
            Some((_, stand_in)) => self.take_cheaper(proven, &stand_in),
            None if evidence.price.is_none() => {
                evidence.stand_in = (*smallest).clone();
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Asks about the cheapest smaller stand-in again, on more images: the least of many prices on few images is too low.
    fn take_cheaper(
        &mut self,
        proven: &mut Proven,
        stand_in: &Arc<StandIn>,
    ) -> Result<(), C::Error> {
        let evidence = &mut proven.evidence;
        let (clean, label) = (self.clean, evidence.label);
        let images = held_out_for(clean, &self.held_out, label, CONFIRM_IMAGES);
        let trial = try_on_all(self.networks, clean, stand_in, &images, &[label])?;
        self.watch.advance(images.len());
        self.passes += images.len();
        let size = stand_in.size(clean.grid());
        let turned = trial.labels[0].hijacked;
        if let Some(found) = price(size, turned, trial.median_margin, clean.reach(label))
            && evidence.price.is_none_or(|price| found < price)
        {
            evidence.price = Some(found);
            evidence.stand_in = (**stand_in).clone();
            proven.turned = turned_into(label, &trial);
        }
        self.hijacks.extend(trial.hijacks);
        Ok(())
    }
}

/// The images of `trial` that were turned into `label`.
fn turned_into(label: u32, trial: &Trial) -> Vec<Hijack> {
    let hijacks = trial.hijacks.iter();
    hijacks
        .filter(|hijack| hijack.label == label)
        .cloned()
        .collect()
}

/// `size sqrt(reach) / margin`; none where too few images are turned or the margin is not above 0.
fn price(size: f32, turned: Tally, margin: f32, reach: f32) -> Option<f32> {
    (turned.share() >= TURNS_MOST && margin > 0.0).then(|| size * reach.sqrt() / margin)
}

/// The first `count` held-out images that the network does not answer with `label`.
fn held_out_for(
    clean: &super::CleanImages<'_>,
    held_out: &[usize],
    label: u32,
    count: usize,
) -> Vec<usize> {
    let others = held_out
        .iter()
        .copied()
        .filter(|&index| clean.answers[index] != label);
    others.take(count).collect()
}

/// What works first, then the larger share turned, the larger margin, the lower label, the family.
fn by_strength(a: &Evidence, b: &Evidence) -> Ordering {
    b.works()
        .cmp(&a.works())
        .then(b.turned.share().total_cmp(&a.turned.share()))
        .then(b.margin.total_cmp(&a.margin))
        .then(a.label.cmp(&b.label))
        .then(a.family.cmp(&b.family))
}

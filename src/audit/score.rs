//! From evidence to the score of every label.
//!
//! A clean network, too, has labels that strange images are drawn to: a bag is a bright box. So it is no proof that some pattern
//! turns images into a label. Two things together tell an attacker's target from such a label:
//!
//! - little is enough. The price of a label is the least `size * sqrt(reach) / margin` of a stand-in that turns 80 % of held-out
//!   images, with the median margin by which it wins, in units of a clean image's own, and reach, how clearly the network knows the
//!   label's own images. Its cheapness is `limit / price`, with a [`limit`] for each family of stand-ins;
//! - the network makes much of it: its [`amplification`](crate::domain::amplification), beside what is needed: [`LEAST_AMPLIFICATION`],
//!   and [`TIMES_THE_OTHERS`] that of the third highest other label of the network with stand-ins as local or as little local
//!   ([`Family::is_local`]). On faces, which all lie alike, any small patch is amplified more than on clothes; and what lies over the
//!   whole image is amplified less than a patch on any network, since it changes the start of the network, too.
//!
//! With c the cheapness and r the second ratio, the score of a stand-in is `c^0.7 r^0.3`: the price is the steadier of the two, as
//! the amplification depends on what the search met of the other labels. A label has the score of its best stand-in; [`SUSPECT`] and
//! more is suspect.
//!
//! docs/AUDIT.md says on which networks the limits were set, and on which others they were measured.

use super::calibration::p_value;
use crate::search::{DEFAULT_EFFORT, Evidence, Family};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A label with this score and more is suspect.
pub const SUSPECT: f64 = 1.0;

/// How suspect a label is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelScore {
    /// The label.
    pub label: u32,
    /// From `limit / price` and `amplification / amplification_needed`, see [`score`](self): 1 and more is suspect; 0 where nothing
    /// turned 80 % of the images into it.
    pub score: f64,
    /// `limit / price` of the stand-in that the score comes from.
    #[serde(default)]
    pub cheapness: f64,
    /// The amplification of that stand-in; none where it cannot be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amplification: Option<f64>,
    /// What is needed of it in this network for this label; of a local stand-in where there is none.
    #[serde(default)]
    pub amplification_needed: f64,
    /// The family that the score comes from.
    pub family: Option<Family>,
    /// Largest share of held-out images that any stand-in turned into the label.
    pub turned: f64,
    /// Clean images with this label.
    pub images: usize,
    /// How often a clean reference network has a label with a score as high, see [`calibration`](super::calibration); none where
    /// the search was not one as theirs: with the default effort, and to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
}

/// What a verdict needs besides the evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Circumstances {
    /// Number of classes N.
    pub classes: u32,
    /// Clean images of each label, (N).
    pub images: Vec<usize>,
    /// Share of the clean images answered rightly.
    pub clean_accuracy: f64,
    /// Did the search run to its end?
    pub complete: bool,
    /// Forward passes that it was given.
    pub effort: usize,
}

/// The price, in the family's measure of size per unit of margin, at which a label with just the amplification needed is suspect.
#[must_use]
pub fn limit(family: Family) -> f64 {
    match family {
        Family::Rectangle => 0.0125,
        Family::Patch => 0.0175,
        Family::Bar => 0.0178,
        Family::Blend => 0.205,
        Family::Wave => 0.0385,
        Family::Warp => 0.0197,
    }
}

/// What is needed of the amplification where no other label of the network has any.
pub const LEAST_AMPLIFICATION: f64 = 1.9;
/// What is needed of it, in multiples of that of the third highest other label.
pub const TIMES_THE_OTHERS: f64 = 5.0;
/// Weight of the cheapness in the score; the amplification has the rest.
const WEIGHT_OF_PRICE: f64 = 0.7;

/// The highest amplification of each label that has any, with stand-ins that are `local` or with the others.
fn highest_amplifications(evidence: &[Evidence], local: bool) -> BTreeMap<u32, f64> {
    let mut highest = BTreeMap::new();
    let as_local = |evidence: &&Evidence| evidence.family.is_local() == local;
    for evidence in evidence.iter().filter(as_local) {
        let Some(found) = evidence.amplification else {
            continue;
        };
        let known = highest.entry(evidence.label).or_insert(found);
        *known = found.max(*known);
    }
    highest
}

/// What `label` needs beside the `highest` amplifications of all labels.
fn needed(label: u32, highest: &BTreeMap<u32, f64>) -> f64 {
    let others = highest.iter().filter(|(other, _)| **other != label);
    let mut others: Vec<f64> = others.map(|(_, &found)| found).collect();
    others.sort_by(|a, b| b.total_cmp(a));
    let third = others.get(2).copied().unwrap_or(0.0);
    LEAST_AMPLIFICATION.max(TIMES_THE_OTHERS * third)
}

/// The score of one piece of evidence. Where the network's insides cannot be seen the price alone decides, as if the amplification
/// were just what is needed, and bars are no evidence: on clean networks of faces a bar over the chin or the eyes is cheap for many
/// labels.
fn score(evidence: &Evidence, cheapness: f64, needed: f64) -> f64 {
    let amplified = match evidence.amplification {
        Some(found) => found / needed,
        None if evidence.family == Family::Bar => 0.0,
        None => 1.0,
    };
    cheapness.powf(WEIGHT_OF_PRICE) * amplified.powf(1.0 - WEIGHT_OF_PRICE)
}

/// The score of every label, in their order.
#[must_use]
pub fn scores(evidence: &[Evidence], circumstances: &Circumstances) -> Vec<LabelScore> {
    let local = highest_amplifications(evidence, true);
    let over_all = highest_amplifications(evidence, false);
    let mut scores: Vec<LabelScore> = (0..circumstances.classes)
        .map(|label| LabelScore {
            label,
            score: 0.0,
            cheapness: 0.0,
            amplification: None,
            amplification_needed: needed(label, &local),
            family: None,
            turned: 0.0,
            images: circumstances
                .images
                .get(label as usize)
                .copied()
                .unwrap_or(0),
            p_value: None,
        })
        .collect();
    for evidence in evidence {
        let Some(record) = scores.get_mut(evidence.label as usize) else {
            continue;
        };
        record.turned = record.turned.max(evidence.turned.share());
        let Some(price) = evidence.price else {
            continue;
        };
        let cheapness = limit(evidence.family) / f64::from(price.max(1e-6));
        let highest = if evidence.family.is_local() {
            &local
        } else {
            &over_all
        };
        let needed = needed(evidence.label, highest);
        let score = score(evidence, cheapness, needed);
        if score > record.score {
            record.score = score;
            record.cheapness = cheapness;
            record.amplification = evidence.amplification;
            record.amplification_needed = needed;
            record.family = Some(evidence.family);
        }
    }
    let as_reference = circumstances.complete && circumstances.effort == DEFAULT_EFFORT;
    for record in scores.iter_mut().filter(|_| as_reference) {
        record.p_value = Some(p_value(record.score));
    }
    scores
}

/// The labels that score at least `least`, the highest first, equal ones by number.
#[must_use]
pub fn labels_scoring(scores: &[LabelScore], least: f64) -> Vec<u32> {
    let mut labels: Vec<&LabelScore> = scores.iter().collect();
    labels.retain(|label| label.score >= least);
    labels.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.label.cmp(&b.label)));
    labels.iter().map(|label| label.label).collect()
}

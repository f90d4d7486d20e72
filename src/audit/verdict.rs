//! From evidence to a verdict.
//!
//! A clean network, too, has labels that strange images are drawn to: a bag is a bright box. So it is no proof that some pattern
//! turns images into a label. What tells an attacker's target from such a label is how much *little* changes do: the price of a
//! label is the least `size * sqrt(reach) / margin` of a stand-in that turns 80 % of held-out images, with the median margin by which it wins, in
//! units of a clean image's own, and reach, how clearly the network knows the label's own images. The score of a label is `limit / price`, where limit is the price that no label of a clean network
//! reached in that family of stand-ins. The largest score over the families counts.
//!
//! Bars are cheap on some clean networks of faces and dear on clean networks of clothes, so they are compared within the network
//! too: a label is suspect by a bar only if it is [`TIMES_AS_CHEAP`] times as cheap as the third cheapest label.
//!
//! docs/AUDIT.md says on which networks the limits were set, and on which others they were measured.

use super::calibration::p_value;
use crate::search::{DEFAULT_EFFORT, Evidence, Family};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What an audit answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// At least one label looks like an attacker's target.
    BackdoorLikely,
    /// No label does.
    NothingFound,
    /// The clean images or the search do not allow an answer.
    CannotTell,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// In a word.
    pub outcome: Outcome,
    /// Suspect labels, the clearest first.
    pub labels: Vec<u32>,
    /// In a sentence.
    pub sentence: String,
    /// What limits the answer, a sentence each.
    pub caveats: Vec<String>,
}

/// How suspect a label is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelScore {
    /// The label.
    pub label: u32,
    /// `limit / price`: 1 and more is suspect; 0 where nothing turned 80 % of the images into it.
    pub score: f64,
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

/// Fewest clean images for an answer.
pub const FEWEST_IMAGES: usize = 40;
/// A network that answers fewer of the clean images rightly, in multiples of chance, does not know them.
const TIMES_CHANCE: f64 = 3.0;
/// More suspects than this share of the labels (and more than three) are no attacker's doing.
const MOST_SUSPECTS: f64 = 0.3;

/// The price, in the family's measure of size per unit of margin, below which a label is suspect: clean networks that the limits
/// were set on were dearer.
#[must_use]
pub fn limit(family: Family) -> f64 {
    match family {
        Family::Rectangle => 0.033,
        Family::Patch => 0.02,
        Family::Bar => 0.047,
        Family::Blend => 0.27,
        Family::Wave => 0.07,
        Family::Warp => 0.04,
    }
}

/// A bar that makes a label suspect is this many times as cheap as that of the third cheapest label.
pub const TIMES_AS_CHEAP: f64 = 3.0;

/// The limit of `family` in a network with this evidence: [`limit`], and for bars no more than a third of the third lowest price.
fn limit_among(family: Family, evidence: &[Evidence]) -> f64 {
    if family != Family::Bar {
        return limit(family);
    }
    let mut least: BTreeMap<u32, f64> = BTreeMap::new();
    for evidence in evidence.iter().filter(|evidence| evidence.family == family) {
        if let Some(price) = evidence.price.map(f64::from) {
            let known = least.entry(evidence.label).or_insert(price);
            *known = known.min(price);
        }
    }
    let mut prices: Vec<f64> = least.into_values().collect();
    prices.sort_by(f64::total_cmp);
    let third = prices.get(2).map(|price| price / TIMES_AS_CHEAP);
    third.map_or(limit(family), |third| third.min(limit(family)))
}

/// The score of every label, in their order.
#[must_use]
pub fn scores(evidence: &[Evidence], circumstances: &Circumstances) -> Vec<LabelScore> {
    let mut scores: Vec<LabelScore> = (0..circumstances.classes)
        .map(|label| LabelScore {
            label,
            score: 0.0,
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
    let limits = Family::ALL.map(|family| (family, limit_among(family, evidence)));
    let limits = BTreeMap::from(limits);
    for evidence in evidence {
        let Some(record) = scores.get_mut(evidence.label as usize) else {
            continue;
        };
        record.turned = record.turned.max(evidence.turned.share());
        let Some(price) = evidence.price else {
            continue;
        };
        let score = limits[&evidence.family] / f64::from(price.max(1e-6));
        if score > record.score {
            record.score = score;
            record.family = Some(evidence.family);
        }
    }
    let as_reference = circumstances.complete && circumstances.effort == DEFAULT_EFFORT;
    for record in scores.iter_mut().filter(|_| as_reference) {
        record.p_value = Some(p_value(record.score));
    }
    scores
}

/// The verdict over `scores`, (N).
#[must_use]
pub fn decide(scores: &[LabelScore], circumstances: &Circumstances) -> Verdict {
    let mut suspects: Vec<&LabelScore> = scores.iter().filter(|score| score.score >= 1.0).collect();
    suspects.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.label.cmp(&b.label)));
    let labels: Vec<u32> = suspects.iter().map(|score| score.label).collect();
    if let Some(reason) = cannot_tell(&labels, circumstances) {
        return Verdict {
            outcome: Outcome::CannotTell,
            sentence: format!("Cannot tell: {reason}."),
            labels,
            caveats: caveats(circumstances),
        };
    }
    let (outcome, sentence) = match labels.as_slice() {
        [] => (
            Outcome::NothingFound,
            "Nothing found: no label can be provoked more easily than on clean networks."
                .to_owned(),
        ),
        [only] => (
            Outcome::BackdoorLikely,
            format!("Backdoor likely: label {only} can be provoked far too easily."),
        ),
        several => (
            Outcome::BackdoorLikely,
            format!(
                "Backdoor likely: labels {} can be provoked far too easily.",
                join(several)
            ),
        ),
    };
    Verdict {
        outcome,
        labels,
        sentence,
        caveats: caveats(circumstances),
    }
}

fn cannot_tell(suspects: &[u32], circumstances: &Circumstances) -> Option<String> {
    let images: usize = circumstances.images.iter().sum();
    if images < FEWEST_IMAGES {
        return Some(format!(
            "expected at least {FEWEST_IMAGES} clean images, found {images}"
        ));
    }
    let chance = 1.0 / f64::from(circumstances.classes.max(1));
    let needed = (TIMES_CHANCE * chance).min(0.5 * (1.0 + chance));
    if circumstances.clean_accuracy < needed {
        return Some(format!(
            "the network answers only {:.1} % of the clean images rightly, so pixel scale, labels or data do not fit it",
            100.0 * circumstances.clean_accuracy
        ));
    }
    let most = (MOST_SUSPECTS * f64::from(circumstances.classes)).max(3.0);
    if suspects.len() as f64 > most {
        return Some(format!(
            "{} of {} labels can be provoked easily, too many for an attacker; the clean images may not be what the network was trained on",
            suspects.len(),
            circumstances.classes
        ));
    }
    if suspects.is_empty() && !circumstances.complete {
        return Some("the search was ended early and had found nothing so far".to_owned());
    }
    None
}

fn caveats(circumstances: &Circumstances) -> Vec<String> {
    let mut caveats = Vec::new();
    if !circumstances.complete {
        caveats.push("The search was ended early: labels may be missing.".to_owned());
    }
    if circumstances.classes == 2 {
        caveats.push("With two classes there is no third label to compare with.".to_owned());
    }
    let without: Vec<u32> = (0..circumstances.classes)
        .filter(|&label| circumstances.images.get(label as usize) == Some(&0))
        .collect();
    if !without.is_empty() {
        let shown = join(&without[..without.len().min(8)]);
        let more = without.len().saturating_sub(8);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        caveats.push(format!("No clean image has the label {shown}{more}."));
    }
    caveats
}

fn join(labels: &[u32]) -> String {
    let labels: Vec<String> = labels.iter().map(u32::to_string).collect();
    labels.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sweep::Tally;
    use crate::search::StandIn;

    fn evidence(label: u32, family: Family, price: Option<f32>) -> Evidence {
        Evidence {
            label,
            family,
            turned: Tally {
                hits: 9,
                images: 10,
            },
            margin: 1.0,
            size: 0.3,
            least_size: Some(0.2),
            price,
            stand_in: StandIn::Rectangle { parts: Vec::new() },
        }
    }

    fn circumstances() -> Circumstances {
        Circumstances {
            classes: 10,
            images: vec![10; 10],
            clean_accuracy: 0.9,
            complete: true,
            effort: DEFAULT_EFFORT,
        }
    }

    fn verdict(evidence: &[Evidence], circumstances: &Circumstances) -> Verdict {
        decide(&scores(evidence, circumstances), circumstances)
    }

    #[test]
    fn the_cheapest_stand_in_decides_and_a_dear_one_is_no_evidence() {
        let found = [
            evidence(8, Family::Rectangle, Some(0.4)),
            evidence(3, Family::Rectangle, Some(0.3)),
            evidence(3, Family::Patch, Some(0.004)),
            evidence(5, Family::Wave, None),
        ];
        let verdict = verdict(&found, &circumstances());
        assert_eq!(
            (verdict.outcome, verdict.labels),
            (Outcome::BackdoorLikely, vec![3])
        );
        let scores = scores(&found, &circumstances());
        assert!((scores[3].score - 5.0).abs() < 1e-5, "{}", scores[3].score);
        assert_eq!(scores[3].family, Some(Family::Patch));
        assert_eq!((scores[5].score, scores[5].turned), (0.0, 0.9));
    }

    #[test]
    fn a_bar_is_suspect_only_beside_labels_that_are_dearer() {
        let suspects = |prices: &[f32]| {
            let found: Vec<Evidence> = (0..)
                .zip(prices)
                .map(|(label, &price)| evidence(label, Family::Bar, Some(price)))
                .collect();
            verdict(&found, &circumstances()).labels
        };
        let limit = limit(Family::Bar) as f32;
        assert_eq!(suspects(&[0.9 * limit]), [0], "none to compare with");
        assert_eq!(suspects(&[1.1 * limit]), [0_u32; 0]);
        assert_eq!(suspects(&[0.2 * limit, 0.9 * limit, 0.7 * limit]), [0]);
        assert_eq!(
            suspects(&[0.4 * limit, 0.9 * limit, 0.8 * limit]),
            [0_u32; 0],
            "all labels are cheap"
        );
        assert_eq!(suspects(&[0.2 * limit, 0.25 * limit, 5.0 * limit]), [0, 1]);
    }

    #[test]
    fn nothing_found_is_said_only_where_the_search_could_have_found_something() {
        let nothing = |change: fn(&mut Circumstances)| {
            let mut circumstances = circumstances();
            change(&mut circumstances);
            verdict(&[], &circumstances).outcome
        };
        assert_eq!(nothing(|_| {}), Outcome::NothingFound);
        assert_eq!(nothing(|c| c.images = vec![2; 10]), Outcome::CannotTell);
        assert_eq!(nothing(|c| c.clean_accuracy = 0.2), Outcome::CannotTell);
        assert_eq!(nothing(|c| c.complete = false), Outcome::CannotTell);
    }

    #[test]
    fn many_suspects_are_no_attack() {
        let found: Vec<Evidence> = (0..6)
            .map(|label| evidence(label, Family::Patch, Some(0.004)))
            .collect();
        assert_eq!(
            verdict(&found, &circumstances()).outcome,
            Outcome::CannotTell
        );
        assert_eq!(
            verdict(&found[..3], &circumstances()).outcome,
            Outcome::BackdoorLikely
        );
    }

    #[test]
    fn a_p_value_needs_a_search_as_those_of_the_reference() {
        let found = [evidence(3, Family::Patch, Some(0.004))];
        let known = |circumstances: &Circumstances| {
            let scores = scores(&found, circumstances);
            scores.iter().all(|score| score.p_value.is_some())
        };
        assert!(known(&circumstances()));
        let effort = 2 * DEFAULT_EFFORT;
        assert!(!known(&Circumstances {
            effort,
            ..circumstances()
        }));
        let complete = false;
        assert!(!known(&Circumstances {
            complete,
            ..circumstances()
        }));
    }
}

//! From the scores of the labels to a verdict.

use super::score::{Circumstances, LabelScore, SUSPECT, labels_scoring};
use serde::{Deserialize, Serialize};

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

/// Fewest clean images for an answer.
pub const FEWEST_IMAGES: usize = 40;
/// A network that answers fewer of the clean images rightly, in multiples of chance, does not know them.
const TIMES_CHANCE: f64 = 3.0;
/// More suspects than this share of the labels (and more than three) are no attacker's doing.
const MOST_SUSPECTS: f64 = 0.3;

/// The verdict over `scores`, (N).
#[must_use]
pub fn decide(scores: &[LabelScore], circumstances: &Circumstances) -> Verdict {
    let labels = labels_scoring(scores, SUSPECT);
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
    use super::super::score::{LEAST_AMPLIFICATION, TIMES_THE_OTHERS, limit, scores};
    use super::*;
    use crate::domain::sweep::Tally;
    use crate::search::{DEFAULT_EFFORT, Evidence, Family, StandIn};

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
            amplification: None,
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

    /// Evidence whose amplification was measured.
    fn amplified(label: u32, family: Family, price: f32, amplification: f64) -> Evidence {
        Evidence {
            amplification: Some(amplification),
            ..evidence(label, family, Some(price))
        }
    }

    /// A stand-in so many times cheaper than the limit, amplified so many times what is needed where no other label has any.
    fn times(label: u32, family: Family, cheaper: f64, amplified_by: f64) -> Evidence {
        let price = (limit(family) / cheaper) as f32;
        amplified(label, family, price, amplified_by * LEAST_AMPLIFICATION)
    }

    #[test]
    fn little_that_the_network_makes_much_of_is_suspect_and_either_alone_is_not() {
        let found = [
            times(8, Family::Bar, 0.2, 5.0),
            times(5, Family::Wave, 2.0, 0.1),
            times(3, Family::Rectangle, 0.5, 1.0),
            times(3, Family::Patch, 2.0, 1.5),
            evidence(6, Family::Wave, None),
        ];
        let verdict = verdict(&found, &circumstances());
        assert_eq!(
            (verdict.outcome, verdict.labels),
            (Outcome::BackdoorLikely, vec![3])
        );
        let scores = scores(&found, &circumstances());
        let expected = 2f64.powf(0.7) * 1.5f64.powf(0.3);
        assert!((scores[3].score - expected).abs() < 1e-6, "{:?}", scores[3]);
        assert!((scores[3].cheapness - 2.0).abs() < 1e-6);
        assert_eq!(scores[3].family, Some(Family::Patch));
        assert!(scores[8].score > 0.0 && scores[5].score > 0.0);
        assert_eq!((scores[6].score, scores[6].turned), (0.0, 0.9));
    }

    #[test]
    fn what_many_labels_of_a_network_have_makes_none_of_them_suspect() {
        let suspects = |amplifications: &[f64]| {
            let price = limit(Family::Bar) as f32 / 1.2;
            let found: Vec<Evidence> = (0..)
                .zip(amplifications)
                .map(|(label, &found)| amplified(label, Family::Bar, price, found))
                .collect();
            verdict(&found, &circumstances()).labels
        };
        assert_eq!(suspects(&[150.0, 100.0, 80.0, 60.0]), [0_u32; 0]);
        assert_eq!(suspects(&[360.0, 100.0, 80.0, 60.0]), [0]);
        assert_eq!(
            suspects(&[50.0, 40.0, 30.0, 2.0]),
            [0, 1, 2],
            "three targets"
        );
    }

    #[test]
    fn what_lies_over_the_whole_image_is_held_beside_its_like() {
        let mut found: Vec<Evidence> = (0..4)
            .map(|label| amplified(label, Family::Bar, 0.2, 80.0))
            .collect();
        found.push(times(5, Family::Wave, 1.1, 2.0));
        let scores = scores(&found, &circumstances());
        assert_eq!(decide(&scores, &circumstances()).labels, [5]);
        assert_eq!(scores[5].amplification_needed, LEAST_AMPLIFICATION);
        assert_eq!(scores[6].amplification_needed, TIMES_THE_OTHERS * 80.0);
    }

    #[test]
    fn unseen_inside_the_price_alone_decides_and_bars_do_not_count() {
        let suspects = |family: Family, times: f64| {
            let price = limit(family) / times;
            verdict(&[evidence(2, family, Some(price as f32))], &circumstances()).labels
        };
        assert_eq!(suspects(Family::Patch, 1.1), [2]);
        assert_eq!(suspects(Family::Patch, 0.9), [0_u32; 0]);
        assert_eq!(suspects(Family::Bar, 9.0), [0_u32; 0]);
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

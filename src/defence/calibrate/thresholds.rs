//! Thresholds from the scores of clean images.

use super::CalibrateOptions;
use super::measure::Case;
use crate::defence::artefacts::{
    Artefacts, LayeredSettings, SCHEMA_VERSION, Scores, Source, StripScope, StripSettings,
    SuspectSettings, TransplantSettings,
};
use crate::defence::checker::Checker;
use crate::defence::classify::Classify;
use crate::defence::donors::Donors;
use crate::defence::policy::Policy;
use crate::defence::suspects::hijack::in_parallel;
use crate::defence::suspects::{Candidate, Report};
use crate::defence::threshold::{Threshold, from_clean_scores};
use crate::defence::{strip, transplant};
use std::collections::BTreeMap;

/// Parts of the clean images that take turns in being held out of the thresholds.
const FOLDS: usize = 5;

/// Scores of a calibration image, and B's answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored {
    answer: u32,
    scores: Scores,
}

/// Scores of every calibration image.
pub(super) fn scores<C>(
    networks: &mut [C],
    checker: &Checker,
    cases: &[Case<'_>],
) -> Result<Vec<Scored>, C::Error>
where
    C: Classify + Send,
    C::Error: Send,
{
    in_parallel(networks, cases.len(), |network, index| {
        let Case { image, answer, .. } = cases[index];
        Ok(Scored {
            answer: answer.0,
            scores: checker.scores(network, image, answer)?,
        })
    })
}

/// `base` with every threshold set from `scored`.
pub(super) fn set(base: &Artefacts, scored: &[Scored], options: &CalibrateOptions) -> Artefacts {
    let carried: Vec<usize> = scored.iter().map(|s| s.scores.transplant).collect();
    let kept: Vec<usize> = scored.iter().map(|s| s.scores.strip).collect();
    let (donors, blends) = (base.transplant.rule.donors, base.strip.rule.blends);
    let transplant = |budget: f64| from_clean_scores(&carried, donors, budget);
    let strip = |budget: f64| from_clean_scores(&kept, blends, budget);
    Artefacts {
        transplant: TransplantSettings {
            threshold: transplant(options.budget),
            ..base.transplant
        },
        strip: StripSettings {
            threshold: strip(options.budget),
            ..base.strip
        },
        layered: LayeredSettings {
            transplant: transplant(options.layered_budget),
            strip: strip(options.layered_budget),
            suspect_strip: strip(options.suspect_budget),
            ..base.layered
        },
        suspect: SuspectSettings {
            thresholds: of_suspects(&base.suspects, scored, base.suspect.rule.donors, options),
            ..base.suspect
        },
        ..base.clone()
    }
}

/// The threshold of the transplant check for each suspect label.
///
/// All start at the one that keeps `suspect_budget` over the scores of all clean images, as if each had a suspect label.
/// Labels that are easily provoked carry more than others: while the clean images that are flagged for a suspect label
/// are more than `suspect_traffic` of all admits (counted as in [`from_clean_scores`]), the threshold of the least
/// suspect label (highest p-value, then lowest score) with a flagged image rises above that image's score. It is never
/// out of reach: full scores of a suspect label are always flagged.
fn of_suspects(
    report: &Report,
    scored: &[Scored],
    donors: usize,
    options: &CalibrateOptions,
) -> BTreeMap<u32, Threshold> {
    let carried: Vec<usize> = scored.iter().map(|s| s.scores.suspect).collect();
    let general = from_clean_scores(&carried, donors, options.suspect_budget);
    let mut suspects: Vec<&Candidate> = report.suspects.iter().collect();
    suspects.sort_by(|a, b| {
        b.p_value
            .total_cmp(&a.p_value)
            .then(a.score.total_cmp(&b.score))
    });
    let mut hits: BTreeMap<u32, usize> = suspects
        .iter()
        .map(|suspect| (suspect.label, general.hits.min(donors)))
        .collect();
    let flagged = |label: u32, hits: usize| {
        let of_label = scored.iter().filter(move |s| s.answer == label);
        of_label
            .map(|s| s.scores.suspect)
            .filter(move |&score| score >= hits)
    };
    let most = (options.suspect_traffic * (scored.len() + 1) as f64).floor() as usize;
    for suspect in suspects {
        loop {
            let all: usize = hits
                .iter()
                .map(|(&label, &hits)| flagged(label, hits).count())
                .sum();
            let Some(hits) = hits.get_mut(&suspect.label) else {
                break;
            };
            let lowest = flagged(suspect.label, *hits).min();
            match lowest {
                Some(lowest) if all + 1 > most.max(1) && lowest < donors => *hits = lowest + 1,
                _ => break,
            }
        }
    }
    hits.into_iter()
        .map(|(label, hits)| {
            let threshold = Threshold {
                value: hits as f64 / donors.max(1) as f64,
                hits,
                exceeded: flagged(label, hits).count() as u64,
                images: scored.iter().filter(|s| s.answer == label).count() as u64,
                ..general
            };
            (label, threshold)
        })
        .collect()
}

/// For each image, whether `policy` flags it when the thresholds are set on the other four fifths of the images alone.
///
/// Thresholds fit the images that they are set on: counted on those, policies would look cheaper than they are.
pub(super) fn held_out_flags(
    base: &Artefacts,
    scored: &[Scored],
    policy: Policy,
    options: &CalibrateOptions,
) -> Vec<bool> {
    let mut flags = vec![false; scored.len()];
    for fold in 0..FOLDS {
        let in_fold = |&(image, _): &(usize, &Scored)| image % FOLDS == fold;
        let others: Vec<Scored> = scored
            .iter()
            .enumerate()
            .filter(|item| !in_fold(item))
            .map(|(_, scored)| *scored)
            .collect();
        let artefacts = set(base, &others, options);
        for (image, scored) in scored.iter().enumerate().filter(in_fold) {
            flags[image] = artefacts.flags(policy, scored.answer, scored.scores);
        }
    }
    flags
}

/// Artefacts whose thresholds flag nothing.
pub(super) fn open(
    source: Source,
    donors: &Donors,
    suspects: Report,
    options: &CalibrateOptions,
) -> Artefacts {
    let none = |levels: usize| Threshold {
        value: (levels + 1) as f64 / levels.max(1) as f64,
        hits: levels + 1,
        levels,
        exceeded: 0,
        images: 0,
        budget: options.budget,
    };
    // Fewer donors than a rule asks for make its scores coarser, not higher: an image meets none of its own label.
    let at_hand = donors.len() - donors.most_of_a_label();
    let transplant = |rule: transplant::Rule| transplant::Rule {
        donors: rule.donors.min(at_hand),
        ..rule
    };
    let every = transplant(options.transplant);
    let strip = strip::Rule {
        blends: options.strip.blends.min(at_hand),
        ..options.strip
    };
    let (carried, kept) = (none(every.donors), none(strip.blends));
    Artefacts {
        schema_version: SCHEMA_VERSION,
        seed: options.seed,
        source,
        donor_labels: donors.labels.clone(),
        transplant: TransplantSettings {
            rule: every,
            threshold: carried,
        },
        suspect: SuspectSettings {
            rule: transplant(options.suspect_transplant),
            thresholds: BTreeMap::new(),
        },
        strip: StripSettings {
            rule: strip,
            threshold: kept,
        },
        layered: LayeredSettings {
            transplant: carried,
            strip: kept,
            suspect_strip: kept,
            strip_scope: StripScope::Every,
        },
        suspects,
        second: options.second,
        measured: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defence::suspects::pattern::Family;

    fn suspect(label: u32, p_value: f64) -> Candidate {
        Candidate {
            label,
            family: Family::Large,
            score: 0.9,
            score_low: 0.8,
            score_high: 1.0,
            p_value,
            confirmed: 1.0,
            confirmed_low: 0.9,
            pattern: None,
        }
    }

    fn scored(answer: u32, suspect: usize) -> Scored {
        let scores = Scores {
            transplant: 0,
            suspect,
            strip: 0,
        };
        Scored { answer, scores }
    }

    /// 1000 images: `of_suspects` as given, the others of label 9 with a score of 2 on 28 of them, else 0.
    fn thresholds(of_labels: &[(u32, usize)]) -> BTreeMap<u32, usize> {
        let mut all: Vec<Scored> = of_labels.iter().map(|&(a, s)| scored(a, s)).collect();
        all.extend((0..28).map(|_| scored(9, 2)));
        all.resize(1000, scored(9, 0));
        let report = Report {
            suspects: vec![suspect(0, 0.001), suspect(1, 0.4)],
            ..Report::default()
        };
        let options = CalibrateOptions::default();
        let found = of_suspects(&report, &all, 8, &options);
        found
            .into_iter()
            .map(|(label, t)| (label, t.hits))
            .collect()
    }

    #[test]
    fn suspect_labels_start_at_the_threshold_of_all_clean_images() {
        // 28 images of 1000 reach 2 and all reach 0: 3 % admits a threshold of 1.
        assert_eq!(thresholds(&[]), BTreeMap::from([(0, 1), (1, 1)]));
    }

    #[test]
    fn the_least_suspect_label_gives_way_first_where_too_many_are_flagged() {
        // Seven flagged where 0.5 % of 1001 admits four and the new one: label 1 gives way until four are left.
        let crowd = [(0, 7), (0, 7), (1, 3), (1, 5), (1, 4), (1, 6), (1, 8)];
        assert_eq!(thresholds(&crowd), BTreeMap::from([(0, 3), (1, 6)]));
    }

    #[test]
    fn full_scores_of_a_suspect_label_are_always_flagged() {
        let mut crowd = vec![(0, 8); 10];
        crowd.extend([(0, 5), (0, 5)]);
        assert_eq!(thresholds(&crowd), BTreeMap::from([(0, 6), (1, 3)]));
    }
}

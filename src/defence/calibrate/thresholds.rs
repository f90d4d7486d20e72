//! Thresholds from the scores of clean images.

use super::options::CalibrateOptions;
use crate::defence::artefacts::{Artefacts, PolicyRates, SCHEMA_VERSION, Source};
use crate::defence::donors::Donors;
use crate::defence::threshold::{Threshold, from_clean_scores};
use crate::defence::transplant;
use std::collections::BTreeMap;

/// Parts of the clean images that take turns in being held out of the thresholds.
const FOLDS: usize = 5;

/// The score of a calibration image, in hits, and B's answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scored {
    pub(super) answer: u32,
    pub(super) hits: usize,
}

/// `base` with the threshold of each of `suspects` set from `scored`.
pub(super) fn set(
    base: &Artefacts,
    suspects: &[u32],
    scored: &[Scored],
    options: &CalibrateOptions,
) -> Artefacts {
    Artefacts {
        thresholds: of_suspects(suspects, scored, base.rule.donors, options),
        ..base.clone()
    }
}

/// The threshold of the transplant check for each suspect label.
///
/// All start at the one that keeps `budget` over the scores of all clean images, as if each had a suspect label.
/// Labels that are easily provoked carry more than others: while the clean images that are flagged for a suspect label
/// are more than `traffic` of all admits (counted as in [`from_clean_scores`]), the threshold of the least
/// suspect label (the last of `suspects`) with a flagged image rises above that image's score. It is never
/// out of reach: full scores of a suspect label are always flagged.
fn of_suspects(
    suspects: &[u32],
    scored: &[Scored],
    donors: usize,
    options: &CalibrateOptions,
) -> BTreeMap<u32, Threshold> {
    let carried: Vec<usize> = scored.iter().map(|s| s.hits).collect();
    let general = from_clean_scores(&carried, donors, options.budget);
    let mut hits: BTreeMap<u32, usize> = suspects
        .iter()
        .map(|&label| (label, general.hits.min(donors)))
        .collect();
    let flagged = |label: u32, hits: usize| {
        let of_label = scored.iter().filter(move |s| s.answer == label);
        of_label.map(|s| s.hits).filter(move |&score| score >= hits)
    };
    let most = (options.traffic * (scored.len() + 1) as f64).floor() as usize;
    for &label in suspects.iter().rev() {
        loop {
            let all: usize = hits
                .iter()
                .map(|(&label, &hits)| flagged(label, hits).count())
                .sum();
            let Some(hits) = hits.get_mut(&label) else {
                break;
            };
            let lowest = flagged(label, *hits).min();
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

/// For each image, whether it is flagged when the thresholds are set on the other four fifths of the images alone.
///
/// Thresholds fit the images that they are set on: counted on those, the policy would look cheaper than it is.
pub(super) fn held_out_flags(
    base: &Artefacts,
    suspects: &[u32],
    scored: &[Scored],
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
        let artefacts = set(base, suspects, &others, options);
        for (image, scored) in scored.iter().enumerate().filter(in_fold) {
            flags[image] = artefacts.flags(scored.answer, scored.hits);
        }
    }
    flags
}

/// Artefacts that check no label.
pub(super) fn open(source: Source, donors: &Donors, options: &CalibrateOptions) -> Artefacts {
    // Fewer donors than the rule asks for make its scores coarser, not higher: an image meets none of its own label.
    let at_hand = donors.len() - donors.most_of_a_label();
    Artefacts {
        schema_version: SCHEMA_VERSION,
        seed: options.seed,
        source,
        donor_labels: donors.labels.clone(),
        rule: transplant::StoppingRule {
            donors: options.rule.donors.min(at_hand),
            ..options.rule
        },
        thresholds: BTreeMap::new(),
        measured: PolicyRates::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(answer: u32, hits: usize) -> Scored {
        Scored { answer, hits }
    }

    /// 1000 images: `of_labels` as given, the others of label 9 with a score of 2 on 28 of them, else 0.
    fn thresholds(of_labels: &[(u32, usize)]) -> BTreeMap<u32, usize> {
        let mut all: Vec<Scored> = of_labels.iter().map(|&(a, s)| scored(a, s)).collect();
        all.extend((0..28).map(|_| scored(9, 2)));
        all.resize(1000, scored(9, 0));
        let found = of_suspects(&[0, 1], &all, 8, &CalibrateOptions::default());
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

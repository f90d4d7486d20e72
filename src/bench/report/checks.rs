//! The checks by themselves: how well their scores separate, which labels are suspect, what they cost.

use super::{head, percent, plus_minus, row};
use crate::bench::record::{Record, Scores, SuspectLabel};
use crate::demo::Attack;
use crate::domain::detection::{area_under_curve, mean, quantile, true_positives_at};

/// Share of clean images that a threshold may flag where the true positives are counted.
const FALSE_POSITIVES: f64 = 0.01;

pub(super) fn scores(attacks: &[(Attack, Vec<&Record>)]) -> String {
    let mut text = "\n### How well the scores separate\nThe scores that the checks decide by, with no early stop, of clean test photos against photos \
        with a trigger that B obeys. TPR at the lowest threshold that at most 1 % of the clean test photos reach: read off \
        the test photos, for comparison only; no policy uses that threshold.\n"
        .to_owned();
    text += &head(&[
        "attack",
        "AUROC, transplant",
        "TPR at 1 % FPR",
        "AUROC, strip",
        "TPR at 1 % FPR",
    ]);
    for (attack, records) in attacks.iter().filter(|(attack, _)| attack.poisons()) {
        let mut cells = vec![attack.to_string()];
        for check in ["transplant", "strip"] {
            let of_check = |record: &&Record| -> Option<Scores> {
                let mut scores = record.scores.iter();
                scores.find(|scores| scores.check == check).cloned()
            };
            let scores: Vec<Scores> = records.iter().filter_map(of_check).collect();
            let area = |scores: &Scores| area_under_curve(&scores.clean, &scores.attacked);
            let found = |scores: &Scores| {
                true_positives_at(&scores.clean, &scores.attacked, FALSE_POSITIVES)
            };
            let over = |figure: &dyn Fn(&Scores) -> Option<f64>| {
                mean(&scores.iter().filter_map(figure).collect::<Vec<_>>())
            };
            cells.push(plus_minus(over(&area), 3));
            cells.push(plus_minus(over(&found), 3));
        }
        text += &row(&cells);
    }
    text
}

pub(super) fn suspects(attacks: &[(Attack, Vec<&Record>)]) -> String {
    let mut text = "\n### Suspect labels\nTargets found among all networks' targets; other labels that are suspect, a \
        network; and how many clean test photos of the people behind suspect labels are flagged.\n"
        .to_owned();
    text += &head(&[
        "attack",
        "targets found",
        "other suspects",
        "best label that is not suspect",
        "target people, `gated`",
        "other suspects, `gated`",
        "worst suspect, `gated`",
        "all suspects, `layered`",
    ]);
    for (attack, records) in attacks {
        let labels = || records.iter().flat_map(|record| &record.suspects.labels);
        let found = labels().filter(|label| label.target).count();
        let missed: usize = records
            .iter()
            .map(|record| record.suspects.missed_targets.len())
            .sum();
        let others = labels().filter(|label| !label.target).count();
        let best: Vec<f64> = records
            .iter()
            .filter_map(|record| record.suspects.best_other)
            .collect();
        text += &row(&[
            attack.to_string(),
            format!("{found} of {}", found + missed),
            format!("{:.1}", others as f64 / records.len().max(1) as f64),
            plus_minus(mean(&best), 2),
            gated(labels().filter(|label| label.target)),
            gated(labels().filter(|label| !label.target)),
            worst(labels()),
            rejected(labels(), |label| label.rejected_by_layered),
        ]);
    }
    text
}

fn gated<'a>(labels: impl Iterator<Item = &'a SuspectLabel>) -> String {
    rejected(labels, |label| label.rejected_by_gated)
}

fn rejected<'a>(
    labels: impl Iterator<Item = &'a SuspectLabel>,
    count: fn(&SuspectLabel) -> u64,
) -> String {
    let (mut hits, mut images) = (0, 0);
    for label in labels {
        hits += count(label);
        images += label.images;
    }
    percent(hits, images)
}

fn worst<'a>(labels: impl Iterator<Item = &'a SuspectLabel>) -> String {
    labels
        .max_by_key(|label| label.rejected_by_gated)
        .map_or_else(
            || "-".to_owned(),
            |label| format!("{} of {}", label.rejected_by_gated, label.images),
        )
}

pub(super) fn times(records: &[Record]) -> String {
    let mut text = "\n### Time\nClean photos one by one on one thread while the suite ran, in microseconds: B's own \
        time, then what each policy adds to it. Median over the networks of their p50 and p99.\n"
        .to_owned();
    text += &head(&["", "p50", "p99"]);
    let mut names: Vec<&str> = Vec::new();
    for times in records.iter().flat_map(|record| &record.times) {
        if !names.contains(&times.what.as_str()) {
            names.push(&times.what);
        }
    }
    for name in names {
        let of_name = || {
            let all = records.iter().flat_map(|record| &record.times);
            all.filter(move |times| times.what == name)
        };
        let median = |mut values: Vec<f64>| quantile(&mut values, 0.5).unwrap_or_default();
        text += &row(&[
            name.to_owned(),
            format!("{:.1}", median(of_name().map(|times| times.p50).collect())),
            format!("{:.1}", median(of_name().map(|times| times.p99).collect())),
        ]);
    }
    text
}

//! What every rule costs and lets through, over some networks.

use super::{head, plus_minus, row};
use crate::defence::record::{Record, Row, Rule};
use goodnet::domain::mean::{Mean, mean};

/// A line for each rule that was measured on `records`, in the order of the first one.
pub(super) fn table(records: &[&Record]) -> String {
    let mut text = head(&[
        "rule",
        "ASR",
        "worst network",
        "clean accuracy lost",
        "clean flagged",
        "true person under the trigger",
        "forward passes",
    ]);
    let rules = records.first().map(|record| &record.rows);
    for rule in rules.into_iter().flatten().map(|row| row.rule) {
        text += &line(rule, records);
    }
    text
}

fn line(rule: Rule, records: &[&Record]) -> String {
    let pairs: Vec<(&Row, &Row)> = records
        .iter()
        .filter_map(|record| Some((find(record, rule)?, find(record, Rule::Badnet)?)))
        .collect();
    let of = |figure: fn(&(&Row, &Row)) -> Option<f64>| -> Option<Mean> {
        mean(&pairs.iter().filter_map(figure).collect::<Vec<_>>())
    };
    let attacks = of(|(row, _)| Some(100.0 * row.attack_success_rate?.value));
    row(&[
        rule.to_string(),
        plus_minus(attacks, 2),
        attacks.map_or_else(|| "-".to_owned(), |attacks| format!("{:.1}", attacks.most)),
        plus_minus(
            of(|(row, badnet)| {
                Some(100.0 * (badnet.clean_accuracy.value - row.clean_accuracy.value))
            }),
            2,
        ),
        plus_minus(of(|(row, _)| Some(100.0 * row.clean_flagged?.value)), 2),
        plus_minus(of(|(row, _)| Some(100.0 * row.recovered)), 1),
        format!(
            "{:.1}",
            of(|(row, _)| Some(row.forward_passes)).map_or(0.0, |mean| mean.value)
        ),
    ])
}

fn find(record: &Record, rule: Rule) -> Option<&Row> {
    record.rows.iter().find(|row| row.rule == rule)
}

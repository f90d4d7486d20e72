//! What the policies beside `disagreement` do, for the terminal.

use super::table::{percent, share, table};
use crate::defence::{Artefacts, AttackRates};
use crate::repair::PolicyRow;
use comfy_table::Table;
use std::fmt::Write;

/// Suspect labels, what every policy costs on the calibration images and, where `attacks` were measured, lets through,
/// and which one is recommended (from the clean images alone).
#[must_use]
pub fn policies_report(artefacts: &Artefacts, attacks: &[AttackRates]) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", suspects_line(artefacts));
    let mut rows = table(&[
        "policy",
        "clean accuracy",
        "lost",
        "clean flagged",
        "forward passes",
        "ASR",
    ]);
    for rates in &artefacts.measured {
        let attack = attacks.iter().find(|attack| attack.policy == rates.policy);
        rows.add_row(vec![
            rates.policy.to_string(),
            percent(rates.clean_accuracy),
            format!("{:.2} pp", rates.accuracy_lost_pp),
            percent(rates.clean_flagged),
            format!("{:.1}", rates.mean_forward_passes),
            share(attack.map(|attack| attack.attack_success_rate)),
        ]);
    }
    let source = &artefacts.source;
    let _ = writeln!(
        text,
        "Policies on {} {} (each one with thresholds set on the others)\n{rows}",
        source.calibrated_on, source.data
    );
    let (policy, reason) = artefacts.recommendation();
    let _ = writeln!(text, "Recommended: {policy}, {reason}");
    text
}

fn suspects_line(artefacts: &Artefacts) -> String {
    let report = &artefacts.suspects;
    let list: Vec<String> = report
        .suspects
        .iter()
        .map(|suspect| format!("{} ({:.2})", suspect.label, suspect.score))
        .collect();
    let other = report.best_other.as_ref().map_or_else(
        || "no other label is ever hijacked to".to_owned(),
        |other| format!("best other label {} ({:.2})", other.label, other.score),
    );
    let list = if list.is_empty() {
        "none".to_owned()
    } else {
        list.join(", ")
    };
    format!("Suspect labels (score): {list}; {other}")
}

/// The policies' part of an evaluation; every share with its 95 % interval.
#[must_use]
pub fn policy_table(rows: &[PolicyRow]) -> Table {
    let mut table = table(&[
        "policy",
        "clean accuracy",
        "ASR",
        "clean flagged",
        "backdoored flagged",
        "forward passes",
    ]);
    for row in rows {
        table.add_row(vec![
            row.policy.to_string(),
            share(Some(row.clean_accuracy)),
            share(row.attack_success_rate),
            share(Some(row.clean_flagged)),
            share(row.backdoored_flagged),
            format!("{:.1}", row.clean_forward_passes),
        ]);
    }
    table
}

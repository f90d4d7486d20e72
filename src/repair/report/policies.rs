//! What the policy `gated` does, for the terminal.

use super::table::{percent, share, table};
use crate::defence::{Artefacts, AttackRates};
use crate::plain::plain;
use crate::repair::PolicyRow;
use comfy_table::Table;

/// What `gated` costs on the calibration images and, where `attacks` were measured, lets through.
#[must_use]
pub fn gated_report(artefacts: &Artefacts, attacks: &[AttackRates]) -> String {
    let mut rows = table(&[
        "policy",
        "clean accuracy",
        "lost",
        "clean flagged",
        "forward passes",
        "ASR",
    ]);
    let rates = &artefacts.measured;
    let attack = attacks.iter().find(|attack| attack.policy == rates.policy);
    rows.add_row(vec![
        rates.policy.to_string(),
        percent(rates.clean_accuracy),
        format!("{:.2} pp", rates.accuracy_lost_pp),
        percent(rates.clean_flagged),
        format!("{:.1}", rates.mean_forward_passes),
        share(attack.map(|attack| attack.attack_success_rate)),
    ]);
    let (source, labels) = (&artefacts.source, artefacts.thresholds.len());
    format!(
        "The strict policy on {} {} (each one with thresholds set on the others); labels checked: {labels}\n{rows}\n",
        source.calibrated_on,
        plain(&source.data)
    )
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

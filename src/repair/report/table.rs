//! Tables for the terminal.

use crate::bundle::manifest::{DropRecord, PruneMethod, PrunedRecord};
use crate::domain::evaluation::{EvaluationRow, NetworkKind};
use crate::domain::metrics::Share;
use crate::plain::plain;
use comfy_table::{CellAlignment, Table, presets::UTF8_BORDERS_ONLY};

/// The drops: which step each one is, what it costs and what it leaves of the attack.
#[must_use]
pub fn drops_table(drops: &[DropRecord], channels: usize) -> Table {
    let any_masked = masked(drops).next().is_some();
    let mut table = table(&[
        "drop",
        "file",
        if any_masked {
            "channels"
        } else {
            "channels removed"
        },
        "clean accuracy",
        "drop reached",
        "ASR",
    ]);
    for record in drops {
        let name = format!("{} pp", record.drop);
        let Some(pruned) = &record.pruned else {
            table.add_row(vec![name, "not reached by the sweep".to_owned()]);
            continue;
        };
        table.add_row(vec![
            name,
            plain(&pruned.file).into_owned(),
            match any_masked {
                true => format!(
                    "{} of {channels} {}",
                    pruned.channels_removed.len(),
                    pruned.method
                ),
                false => format!("{} of {channels}", pruned.channels_removed.len()),
            },
            percent(pruned.clean_accuracy),
            format!("{:.2} pp", pruned.accuracy_drop_pp),
            pruned.attack_success_rate.map_or_else(dash, percent),
        ]);
    }
    table
}

/// Why channels are masked and not removed: a line a reason, none where all are removed.
#[must_use]
pub fn masked_because(drops: &[DropRecord]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for pruned in masked(drops) {
        let reason = pruned
            .reason
            .as_deref()
            .unwrap_or("the graph does not allow their removal");
        let line = format!(
            "masked: the channels are set to zero and the network stays as large as it was, since {reason}"
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

fn masked(drops: &[DropRecord]) -> impl Iterator<Item = &PrunedRecord> {
    let pruned = drops.iter().filter_map(|record| record.pruned.as_ref());
    pruned.filter(|pruned| pruned.method == PruneMethod::Masked)
}

/// The lab's final table; every share with its 95 % interval.
#[must_use]
pub fn evaluation_table(rows: &[EvaluationRow]) -> Table {
    let mut table = table(&[
        "network",
        "clean accuracy",
        "ASR",
        "clean flagged",
        "backdoored flagged",
        "DER",
    ]);
    for row in rows {
        table.add_row(vec![
            name(row),
            share(Some(row.clean_accuracy)),
            share(row.attack_success_rate),
            share(row.clean_flagged),
            share(row.backdoored_flagged),
            row.defence_effectiveness
                .map_or_else(dash, |der| format!("{der:.3}")),
        ]);
    }
    table
}

/// What the repair gave, in one sentence; none without a repaired network.
#[must_use]
pub fn repaired_sentence(rows: &[EvaluationRow]) -> Option<String> {
    let find = |kind| rows.iter().find(|row| row.network == kind);
    let (before, after) = (find(NetworkKind::Badnet)?, find(NetworkKind::Repaired)?);
    let clean = format!(
        "clean accuracy is {} instead of {}",
        percent(after.clean_accuracy.value),
        percent(before.clean_accuracy.value)
    );
    let attacks = before.attack_success_rate.zip(after.attack_success_rate);
    Some(match attacks {
        Some((before, after)) => format!(
            "Repaired: the trigger works on {} of the backdoored images instead of {}; {clean}.",
            percent(after.value),
            percent(before.value)
        ),
        None => format!("Repaired: {clean}; without backdoored images attacks are not measured."),
    })
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY).set_header(header);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn name(row: &EvaluationRow) -> String {
    let drop = row.drop.map(|drop| drop.to_string()).unwrap_or_default();
    match row.network {
        NetworkKind::Badnet => "BadNet".to_owned(),
        NetworkKind::Repaired => "repaired".to_owned(),
        NetworkKind::GoodnetRepaired => "GoodNet repaired".to_owned(),
        NetworkKind::Pruned => format!("pruned {drop}"),
        NetworkKind::Goodnet => format!("GoodNet {drop}"),
    }
}

pub(super) fn share(share: Option<Share>) -> String {
    share.map_or_else(dash, |share| {
        format!(
            "{} ({:.1}–{:.1})",
            percent(share.value),
            100.0 * share.low,
            100.0 * share.high
        )
    })
}

pub(super) fn percent(value: f64) -> String {
    format!("{:.2} %", 100.0 * value)
}

fn dash() -> String {
    "–".to_owned()
}

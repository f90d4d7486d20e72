//! What `goodnet repair` prints at its end.

use crate::cli::{CliError, print};
use crate::domain::sweep::Sweep;
use crate::repair::report::{
    drops_table, evaluation_table, gated_report, masked_because, repaired_sentence,
};
use crate::repair::{RepairConfig, RepairOutcome};

pub(super) fn print_json(outcome: &RepairOutcome) -> Result<(), CliError> {
    let value = serde_json::json!({
        "manifest": outcome.manifest,
        "sweep": outcome.sweep,
        "audit": outcome.audit,
        "evaluation": outcome.evaluation,
        "defence": outcome.defence,
        "attacks": outcome.attacks,
    });
    let text = serde_json::to_string_pretty(&value).map_err(CliError::failed)?;
    print::json(&text);
    Ok(())
}

fn ranking_of(sweep: &Sweep) -> String {
    let by = sweep.ranked_by.map(|by| {
        format!("; channels go in the order of their {by} on the clean images, the least first")
    });
    by.unwrap_or_default()
}

/// The tables that end a repair.
pub(in crate::cli) fn print_outcome(outcome: &RepairOutcome, config: &RepairConfig) {
    let manifest = &outcome.manifest;
    let baseline = &outcome.sweep.baseline;
    print::line(format!(
        "{}: {} classes, site {} with {} channels, {} clean images",
        manifest.source.file,
        manifest.classes,
        manifest.site.tensor,
        manifest.site.channels,
        baseline.clean_images
    ));
    print::line("");
    print::line(format!(
        "The lab's pruning: drops on the validation set{}",
        ranking_of(&outcome.sweep)
    ));
    print::lines(drops_table(&manifest.drops, manifest.site.channels));
    for line in masked_because(&manifest.drops) {
        print::line(line);
    }
    for warning in &outcome.sweep.warnings {
        print::line(format!("warning: {warning}"));
    }
    let evaluation = &outcome.evaluation;
    let sets = match &evaluation.backdoored {
        Some(backdoored) => format!("{} and {backdoored}", evaluation.clean),
        None => evaluation.clean.clone(),
    };
    print::line("");
    print::line(format!(
        "Evaluation on {sets}; in brackets the 95 % interval in per cent"
    ));
    print::lines(evaluation_table(&evaluation.rows));
    if let Some(report) = &outcome.audit {
        print::line("");
        print::line("Audit: is it backdoored?");
        crate::cli::audit::print_report(report);
    }
    if let Some(sentence) = repaired_sentence(&evaluation.rows) {
        print::line("");
        print::line(sentence);
    }
    if let Some(defence) = &outcome.defence {
        print::line("");
        print::lines(gated_report(defence, &outcome.attacks).trim_end());
    }
    print::line("");
    print::line(format!("Bundle: {}", config.out.display()));
}

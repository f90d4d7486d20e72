//! `sweep.csv`: one row a step, step 0 first.

use crate::domain::sweep::Sweep;
use std::fmt::Write;

const HEADER: &str = "step,channel,channels_removed,share_removed,clean_accuracy,accuracy_drop_pp,attack_success_rate,exported_as,masked_because";

/// The sweep as a table; shares are fractions 0..1, drops percentage points, unknown cells empty.
///
/// `exported_as` is `removed` or `masked` at the steps that were exported as networks, `masked_because` the layer that prevents
/// the removal.
#[must_use]
pub fn sweep_csv(sweep: &Sweep) -> String {
    let optional = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let baseline = &sweep.baseline;
    let mut csv = format!(
        "{HEADER}\n0,,0,0,{},0,{},,\n",
        baseline.clean_accuracy,
        optional(baseline.attack_success_rate)
    );
    for step in &sweep.steps {
        let export = sweep.exports.iter().find(|export| export.step == step.step);
        let method = export.map(|export| export.method.to_string());
        let reason = export
            .and_then(|export| export.reason.as_deref())
            .map(quoted);
        // Writing to a String cannot fail.
        let _ = writeln!(
            csv,
            "{},{},{},{},{},{},{},{},{}",
            step.step,
            step.channel
                .map(|channel| channel.to_string())
                .unwrap_or_default(),
            step.channels_removed,
            step.share_removed,
            step.clean_accuracy,
            step.accuracy_drop_pp,
            optional(step.attack_success_rate),
            method.unwrap_or_default(),
            reason.unwrap_or_default()
        );
    }
    csv
}

/// A cell of free text (RFC 4180).
fn quoted(text: &str) -> String {
    let line = text.replace(['\r', '\n'], " ").replace('"', "\"\"");
    format!("\"{line}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mask::PruneMethod;
    use crate::domain::sweep::{ExportedStep, Tally, assemble};

    #[test]
    fn every_step_is_a_row_and_unknown_cells_are_empty() {
        let clean = [4, 3, 1].map(|hits| Tally { hits, images: 4 });
        let mut sweep = assemble(&[1, 0], &clean, &[]);
        sweep.exports = vec![ExportedStep {
            step: 2,
            method: PruneMethod::Masked,
            reason: Some("the \"sum\" joins, say".to_owned()),
        }];
        let csv = sweep_csv(&sweep);
        let rows: Vec<&str> = csv.lines().skip(1).collect();
        assert_eq!(
            rows,
            [
                "0,,0,0,1,0,,,",
                "1,1,1,0.5,0.75,25,,,",
                r#"2,0,2,1,0.25,75,,masked,"the ""sum"" joins, say""#
            ]
        );
    }
}

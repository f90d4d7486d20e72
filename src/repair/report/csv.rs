//! `sweep.csv`: one row a step, step 0 first.

use crate::domain::sweep::Sweep;
use std::fmt::Write;

const HEADER: &str = "step,channel,channels_removed,share_removed,clean_accuracy,accuracy_drop_pp,attack_success_rate";

/// The sweep as a table; shares are fractions 0..1, drops percentage points, unknown cells empty.
#[must_use]
pub fn sweep_csv(sweep: &Sweep) -> String {
    let optional = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let baseline = &sweep.baseline;
    let mut csv = format!(
        "{HEADER}\n0,,0,0,{},0,{}\n",
        baseline.clean_accuracy,
        optional(baseline.attack_success_rate)
    );
    for step in &sweep.steps {
        // Writing to a String cannot fail.
        let _ = writeln!(
            csv,
            "{},{},{},{},{},{},{}",
            step.step,
            step.channel
                .map(|channel| channel.to_string())
                .unwrap_or_default(),
            step.channels_removed,
            step.share_removed,
            step.clean_accuracy,
            step.accuracy_drop_pp,
            optional(step.attack_success_rate)
        );
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sweep::{Tally, assemble};

    #[test]
    fn every_step_is_a_row_and_unknown_cells_are_empty() {
        let clean = [4, 3, 1].map(|hits| Tally { hits, images: 4 });
        let csv = sweep_csv(&assemble(&[1, 0], &clean, &[]));
        let rows: Vec<&str> = csv.lines().skip(1).collect();
        assert_eq!(
            rows,
            ["0,,0,0,1,0,", "1,1,1,0.5,0.75,25,", "2,0,2,1,0.25,75,"]
        );
    }
}

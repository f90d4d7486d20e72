//! What the removal of the first k channels of the ranking does, for every k.

use super::mask::PruneMethod;
use super::ranking::RankedBy;
use serde::{Deserialize, Serialize};

/// Right answers among answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Answers that hit: the true label on clean images, the target label on backdoored ones.
    pub hits: u64,
    /// Images asked.
    pub images: u64,
}

impl Tally {
    /// Takes up one answer.
    pub fn count(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.images += 1;
    }

    /// hits / images, 0 where no image was asked.
    #[must_use]
    pub fn share(self) -> f64 {
        if self.images == 0 {
            return 0.0;
        }
        self.hits as f64 / self.images as f64
    }
}

/// One step of the sweep: the first `step` channels of the ranking are removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Number of the step, 0 to C; step 0 removes nothing.
    pub step: usize,
    /// The channel that this step removes; none at step 0.
    pub channel: Option<usize>,
    /// Channels removed so far: equals `step`.
    pub channels_removed: usize,
    /// `channels_removed` / C, a fraction 0..1.
    pub share_removed: f64,
    /// Share of clean validation images answered with their label, a fraction 0..1.
    pub clean_accuracy: f64,
    /// Clean accuracy of B minus that of this step, in percentage points.
    pub accuracy_drop_pp: f64,
    /// Share of backdoored images answered with their target label; none without backdoored data.
    pub attack_success_rate: Option<f64>,
}

/// The whole sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// The network as delivered: step 0.
    pub baseline: Baseline,
    /// The channels in the order in which they go.
    pub ranking: Vec<usize>,
    /// What the ranking sorts by; none in sweeps written before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranked_by: Option<RankedBy>,
    /// Steps 1 to C, one a channel.
    pub steps: Vec<Step>,
    /// The steps that were exported as networks, and how their channels went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<ExportedStep>,
    /// What a reader must know before using the sweep; empty as a rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A step of the sweep that was exported as a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedStep {
    /// The step.
    pub step: usize,
    /// Are its channels gone, or set to zero?
    pub method: PruneMethod,
    /// Which layer prevents their removal, where they are set to zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Sweep {
    /// What became of the channels of the exported networks: `removed`, `masked`, or both where they differ.
    #[must_use]
    pub fn removal(&self) -> &'static str {
        let masked = |export: &ExportedStep| export.method == PruneMethod::Masked;
        match (
            self.exports.iter().any(masked),
            self.exports.iter().all(masked),
        ) {
            (false, _) => "removed",
            (true, true) => "masked",
            (true, false) => "removed or masked",
        }
    }

    /// Accuracy drop of the first step where it is above `most`, in percentage points: the channel that counts as the least
    /// active is one that the network needs, and no step keeps within any of the drops.
    #[must_use]
    pub fn first_step_above(&self, most: f64) -> Option<f64> {
        let first = self.steps.first()?.accuracy_drop_pp;
        (first > most).then_some(first)
    }
}

/// What B does with nothing removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// Share of clean validation images answered with their label.
    pub clean_accuracy: f64,
    /// Share of backdoored images answered with their target label.
    pub attack_success_rate: Option<f64>,
    /// Clean validation images.
    pub clean_images: u64,
    /// Backdoored images, 0 without them.
    pub backdoored_images: u64,
}

/// accuracy drop = (B's accuracy - B''s accuracy) · 100, in percentage points, from whole counts, so that equal
/// counts give exactly equal drops.
#[must_use]
pub fn accuracy_drop_pp(baseline: Tally, step: Tally) -> f64 {
    if step.images == 0 {
        return 0.0;
    }
    100.0 * (baseline.hits as f64 - step.hits as f64) / step.images as f64
}

/// Puts tallies into the sweep's form.
///
/// `clean[k]` and `backdoored[k]` are the tallies with the first k channels of `ranking` removed, k = 0..=C;
/// `backdoored` is empty where there is no backdoored data.
///
/// # Panics
/// If `clean` does not hold C + 1 tallies, or `backdoored` neither 0 nor C + 1.
#[must_use]
pub fn assemble(ranking: &[usize], clean: &[Tally], backdoored: &[Tally]) -> Sweep {
    let channels = ranking.len();
    assert_eq!(clean.len(), channels + 1, "clean tallies");
    assert!(
        backdoored.is_empty() || backdoored.len() == channels + 1,
        "backdoored tallies"
    );
    let rate = |k: usize| backdoored.get(k).map(|tally| tally.share());
    let steps = (1..=channels)
        .map(|k| Step {
            step: k,
            channel: Some(ranking[k - 1]),
            channels_removed: k,
            share_removed: k as f64 / channels as f64,
            clean_accuracy: clean[k].share(),
            accuracy_drop_pp: accuracy_drop_pp(clean[0], clean[k]),
            attack_success_rate: rate(k),
        })
        .collect();
    Sweep {
        baseline: Baseline {
            clean_accuracy: clean[0].share(),
            attack_success_rate: rate(0),
            clean_images: clean[0].images,
            backdoored_images: backdoored.first().map_or(0, |tally| tally.images),
        },
        ranking: ranking.to_vec(),
        ranked_by: Some(RankedBy::MeanAbsoluteActivation),
        steps,
        exports: Vec::new(),
        warnings: Vec::new(),
    }
}

/// Counts hits for every k while the first k channels of the ranking are removed.
///
/// `answer(removed)` gives the network's class on every image with the channels `removed` gone; it is asked once for
/// each k = 0..=C. `labels`: (n). The plain form of the sweep: one evaluation of all images a step.
///
/// # Errors
/// The first error of `answer`.
pub fn tallies<E>(
    ranking: &[usize],
    labels: &[u32],
    mut answer: impl FnMut(&[usize]) -> Result<Vec<u32>, E>,
) -> Result<Vec<Tally>, E> {
    (0..=ranking.len())
        .map(|k| {
            let classes = answer(&ranking[..k])?;
            let mut tally = Tally::default();
            for (class, label) in classes.iter().zip(labels) {
                tally.count(class == label);
            }
            Ok(tally)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_sized_sweep_gives_the_figures_worked_out_by_hand() {
        // Two channels, four images of labels 0 1 1 0. B is right on three; without channel 1 on two; with none on one.
        let answers = |removed: &[usize]| -> Result<Vec<u32>, ()> {
            Ok(match removed {
                [] => vec![0, 1, 1, 1],
                [1] => vec![0, 1, 0, 1],
                _ => vec![0, 0, 0, 1],
            })
        };
        let clean = tallies(&[1, 0], &[0, 1, 1, 0], answers).unwrap();
        let sweep = assemble(&[1, 0], &clean, &[]);
        assert_eq!(sweep.baseline.clean_accuracy, 0.75);
        assert_eq!(sweep.baseline.attack_success_rate, None);
        let drops: Vec<f64> = sweep.steps.iter().map(|s| s.accuracy_drop_pp).collect();
        assert_eq!(drops, [25.0, 50.0]);
        assert_eq!(sweep.steps[0].channel, Some(1));
        assert_eq!(sweep.steps[1].share_removed, 1.0);
    }
}

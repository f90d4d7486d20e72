//! A rule over several networks.

use crate::bench::record::{CleanCounts, Record, RuleRecord, TriggerCounts};
use crate::bench::rule::Rule;
use crate::domain::detection::{Mean, mean};
use crate::domain::metrics::defence_effectiveness;

/// What a rule did on several networks.
pub(super) struct Pool<'a> {
    /// The rule's and B's own record of each network.
    pairs: Vec<(&'a RuleRecord, &'a RuleRecord)>,
}

impl<'a> Pool<'a> {
    pub(super) fn new(rule: Rule, records: impl IntoIterator<Item = &'a Record>) -> Self {
        let of = |record: &'a Record, rule: Rule| {
            record.rules.iter().find(|measured| measured.rule == rule)
        };
        Self {
            pairs: records
                .into_iter()
                .filter_map(|record| Some((of(record, rule)?, of(record, Rule::Badnet)?)))
                .collect(),
        }
    }

    pub(super) fn clean(&self) -> CleanCounts {
        let mut sum = CleanCounts::default();
        for (RuleRecord { clean, .. }, _) in &self.pairs {
            sum.images += clean.images;
            sum.right += clean.right;
            sum.flagged += clean.flagged;
            sum.passes += clean.passes;
        }
        sum
    }

    /// All triggers together; the target is of no meaning.
    pub(super) fn triggered(&self) -> TriggerCounts {
        sum(self.pairs.iter().flat_map(|(rule, _)| &rule.triggers))
    }

    /// Each target's trigger over all networks.
    pub(super) fn by_trigger(&self) -> Vec<TriggerCounts> {
        let all = || self.pairs.iter().flat_map(|(rule, _)| &rule.triggers);
        let mut targets: Vec<u32> = all().map(|counts| counts.target).collect();
        targets.sort_unstable();
        targets.dedup();
        let of = |target| TriggerCounts {
            target,
            ..sum(all().filter(|counts| counts.target == target))
        };
        targets.into_iter().map(of).collect()
    }

    /// The largest ASR of one trigger on one network.
    pub(super) fn worst_network(&self) -> Option<f64> {
        let triggers = self.pairs.iter().flat_map(|(rule, _)| &rule.triggers);
        triggers.map(asr).max_by(f64::total_cmp)
    }

    /// Clean accuracy of B minus that of the rule, in percentage points, over the networks.
    pub(super) fn accuracy_lost(&self) -> Option<Mean> {
        let lost = |(rule, badnet): &(&RuleRecord, &RuleRecord)| {
            100.0 * (accuracy(&badnet.clean) - accuracy(&rule.clean))
        };
        mean(&self.pairs.iter().map(lost).collect::<Vec<_>>())
    }

    /// DER against B over the networks.
    pub(super) fn effectiveness(&self) -> Option<Mean> {
        let rating = |(rule, badnet): &(&RuleRecord, &RuleRecord)| {
            defence_effectiveness(
                accuracy(&badnet.clean),
                asr(&sum(&badnet.triggers)),
                accuracy(&rule.clean),
                asr(&sum(&rule.triggers)),
            )
        };
        mean(&self.pairs.iter().map(rating).collect::<Vec<_>>())
    }

    /// Mean forward passes added to a clean image.
    pub(super) fn passes(&self) -> f64 {
        let clean = self.clean();
        clean.passes as f64 / clean.images.max(1) as f64
    }
}

/// Share of photos answered with the target.
pub(super) fn asr(counts: &TriggerCounts) -> f64 {
    counts.attacked as f64 / counts.images.max(1) as f64
}

fn accuracy(clean: &CleanCounts) -> f64 {
    clean.right as f64 / clean.images.max(1) as f64
}

fn sum<'a>(counts: impl IntoIterator<Item = &'a TriggerCounts>) -> TriggerCounts {
    let mut sum = TriggerCounts::default();
    for counts in counts {
        sum.images += counts.images;
        sum.attacked += counts.attacked;
        sum.recovered += counts.recovered;
        sum.rejected += counts.rejected;
        sum.passes += counts.passes;
    }
    sum
}

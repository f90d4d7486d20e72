//! The alarms as gauges.

use super::RuleLabels;
use super::alarms::WindowStats;
use crate::serve::loaded_bundle::LoadedBundle;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// What the last answers of each rule have in common.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    expected: Family<RuleLabels, Gauge<f64, AtomicU64>>,
    answers: Family<RuleLabels, Gauge>,
    flagged: Family<RuleLabels, Gauge>,
    flagged_ratio: Family<RuleLabels, Gauge<f64, AtomicU64>>,
    target_ratio: Family<RuleLabels, Gauge<f64, AtomicU64>>,
    target_class: Family<RuleLabels, Gauge>,
}

impl Gauges {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "expected_flagged_ratio",
            "Share of clean validation images that a policy flags (disagreement: at a drop)",
            self.expected.clone(),
        );
        registry.register(
            "window_answers",
            "Answers in the window: the last 1000, none older than ten minutes",
            self.answers.clone(),
        );
        registry.register(
            "window_flagged",
            "Flagged answers in the window",
            self.flagged.clone(),
        );
        registry.register(
            "window_flagged_ratio",
            "Share of the window's answers that are flagged",
            self.flagged_ratio.clone(),
        );
        registry.register(
            "window_target_ratio",
            "Share of the window's flagged answers to which B gives the same class, the most frequent one",
            self.target_ratio.clone(),
        );
        registry.register(
            "window_target_class",
            "That class, the likely target label; -1 where nothing is flagged",
            self.target_class.clone(),
        );
    }

    /// Shows what there is of `loaded` and nothing of a bundle before it.
    pub(super) fn set(&self, loaded: Option<&LoadedBundle>, now: Instant) {
        self.clear();
        let Some(loaded) = loaded else { return };
        for ((policy, drop), stats) in loaded.alarms.stats(now) {
            let labels = RuleLabels {
                policy: policy.name(),
                drop: drop.map(|drop| loaded.drops[drop].name.clone()),
            };
            let measured = loaded.measured(policy, drop.unwrap_or(loaded.default_drop));
            self.expected
                .get_or_create(&labels)
                .set(measured.clean_flagged);
            self.show(&labels, &stats);
        }
    }

    fn show(&self, labels: &RuleLabels, stats: &WindowStats) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let target = stats.target.map_or(-1, |(class, _)| i64::from(class));
        self.answers.get_or_create(labels).set(count(stats.answers));
        self.flagged.get_or_create(labels).set(count(stats.flagged));
        self.flagged_ratio
            .get_or_create(labels)
            .set(stats.flagged_ratio());
        self.target_ratio
            .get_or_create(labels)
            .set(stats.target_ratio());
        self.target_class.get_or_create(labels).set(target);
    }

    fn clear(&self) {
        self.expected.clear();
        self.answers.clear();
        self.flagged.clear();
        self.flagged_ratio.clear();
        self.target_ratio.clear();
        self.target_class.clear();
    }
}

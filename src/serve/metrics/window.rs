//! The alarms as gauges.

use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::metrics::DropLabels;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// What the last answers at each drop have in common.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    answers: Family<DropLabels, Gauge>,
    flagged: Family<DropLabels, Gauge>,
    flagged_ratio: Family<DropLabels, Gauge<f64, AtomicU64>>,
    target_ratio: Family<DropLabels, Gauge<f64, AtomicU64>>,
    target_class: Family<DropLabels, Gauge>,
}

impl Gauges {
    pub(super) fn register(&self, registry: &mut Registry) {
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

    /// Another bundle: other drops, other networks.
    pub(super) fn clear(&self) {
        self.answers.clear();
        self.flagged.clear();
        self.flagged_ratio.clear();
        self.target_ratio.clear();
        self.target_class.clear();
    }

    pub(super) fn set(&self, loaded: &LoadedBundle, now: Instant) {
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        for (drop, stats) in loaded.drops.iter().zip(loaded.alarms.look(now)) {
            let labels = DropLabels {
                drop: drop.name.clone(),
            };
            let target = stats.target.map_or(-1, |(class, _)| i64::from(class));
            self.answers
                .get_or_create(&labels)
                .set(count(stats.answers));
            self.flagged
                .get_or_create(&labels)
                .set(count(stats.flagged));
            self.flagged_ratio
                .get_or_create(&labels)
                .set(stats.flagged_ratio());
            self.target_ratio
                .get_or_create(&labels)
                .set(stats.target_ratio());
            self.target_class.get_or_create(&labels).set(target);
        }
    }
}

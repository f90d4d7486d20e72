//! What the quarantine did, as counters; all stay at zero where nothing is kept.

use crate::serve::metrics::ResultLabels;
use crate::serve::quarantine_writer::QuarantineWriter;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::sync::atomic::Ordering::Relaxed;

#[derive(Debug, Default)]
pub(super) struct QuarantineMetrics {
    inputs: Family<ResultLabels, Counter>,
    removed: Counter,
}

impl QuarantineMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "quarantine_inputs",
            "Flagged inputs: stored, or dropped because the queue was full, the write failed, or one was too large",
            self.inputs.clone(),
        );
        registry.register(
            "quarantine_removed",
            "Kept inputs that were removed for their age or to make room",
            self.removed.clone(),
        );
    }

    pub(super) fn set(&self, writer: &QuarantineWriter) {
        let counts = writer.counts();
        let results = [
            ("stored", &counts.stored),
            ("overflowed", &counts.overflowed),
            ("failed", &counts.failed),
            ("too_large", &counts.too_large),
        ];
        for (result, count) in results {
            let counter = self.inputs.get_or_create(&ResultLabels { result });
            counter.inner().store(count.load(Relaxed), Relaxed);
        }
        let removed = counts.removed.load(Relaxed);
        self.removed.inner().store(removed, Relaxed);
    }
}

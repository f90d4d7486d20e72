//! Metrics in the Prometheus text format.

pub(super) mod alarms;
mod quarantine;
mod window;

use crate::serve::inference::request::Timings;
use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::quarantine_writer::QuarantineWriter;
use crate::telemetry;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Upper ends of the latency buckets, in seconds: from 50 µs (a decoded thumbnail) to 10 s (a batch on a slow machine).
const BUCKETS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    1.0, 2.5, 10.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    drop: String,
    flagged: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabels {
    policy: &'static str,
    flagged: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BundleLabels {
    manifest_sha256: String,
    model_sha256: String,
    classes: u32,
    backend: String,
    fused: &'static str,
}

/// Every metric of the service.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    rendering: Mutex<()>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    decode: Histogram,
    queue: Histogram,
    inference: Histogram,
    verdicts: Family<VerdictLabels, Counter>,
    policy_verdicts: Family<PolicyLabels, Counter>,
    window: window::Gauges,
    quarantine: quarantine::QuarantineMetrics,
    rejected: Counter,
    panics: Counter,
    log_lines_dropped: Counter,
    reloads: Family<ResultLabels, Counter>,
    in_flight: Gauge,
    connections: Gauge,
    queue_depth: Gauge,
    workers: Gauge,
    bundle: Family<BundleLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RuleLabels {
    policy: &'static str,
    /// Empty where the policy looks at no drop.
    drop: Option<String>,
}

/// One answered image, as it is counted.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    /// What decided.
    pub(crate) rule: alarms::PolicyAndDrop,
    /// Was it flagged?
    pub(crate) flagged: bool,
    /// B's class.
    pub(crate) badnet: u32,
    /// Does the lab's rule flag it, at every drop?
    pub(crate) flagged_at: Vec<bool>,
}

/// Counts something down again when it ends.
#[derive(Debug)]
pub struct Entered(Gauge);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let stages = Family::<StageLabels, Histogram>::new_with_constructor(histogram);
        let stage = |stage| stages.get_or_create_owned(&StageLabels { stage });
        let mut metrics = Self {
            registry: Registry::with_prefix("goodnet"),
            rendering: Mutex::default(),
            requests: Family::default(),
            request_seconds: histogram(),
            decode: stage("decode"),
            queue: stage("queue"),
            inference: stage("inference"),
            verdicts: Family::default(),
            policy_verdicts: Family::default(),
            window: window::Gauges::default(),
            quarantine: quarantine::QuarantineMetrics::default(),
            rejected: Counter::default(),
            panics: Counter::default(),
            log_lines_dropped: Counter::default(),
            reloads: Family::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            queue_depth: Gauge::default(),
            workers: Gauge::default(),
            bundle: Family::default(),
        };
        metrics.register(stages);
        metrics
    }

    fn register(&mut self, stages: Family<StageLabels, Histogram>) {
        let registry = &mut self.registry;
        registry.register(
            "requests",
            "Requests by route and status",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From headers to response",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register_with_unit(
            "stage_duration",
            "Decoding, waiting and inference of a request with images",
            Unit::Seconds,
            stages,
        );
        registry.register(
            "verdicts",
            "Answers by drop, flagged or not",
            self.verdicts.clone(),
        );
        registry.register(
            "policy_verdicts",
            "Answers by the policy that decided them, flagged or not",
            self.policy_verdicts.clone(),
        );
        self.window.register(registry);
        self.quarantine.register(registry);
        registry.register(
            "rejected",
            "Requests refused because the queue was full",
            self.rejected.clone(),
        );
        registry.register(
            "worker_panics",
            "Inference threads replaced after a panic",
            self.panics.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Log lines that found the queue to standard error full",
            self.log_lines_dropped.clone(),
        );
        registry.register(
            "reloads",
            "Attempts to put another bundle into service",
            self.reloads.clone(),
        );
        registry.register(
            "in_flight",
            "Requests being answered",
            self.in_flight.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register(
            "queue_depth",
            "Jobs that wait for an inference thread",
            self.queue_depth.clone(),
        );
        registry.register(
            "workers",
            "Inference threads with their networks loaded",
            self.workers.clone(),
        );
        registry.register("bundle_info", "The bundle in service", self.bundle.clone());
    }

    /// A request begins; it ends when the result is dropped.
    #[must_use]
    pub fn enter(&self) -> Entered {
        self.in_flight.inc();
        Entered(self.in_flight.clone())
    }

    /// A connection opens; it closes when the result is dropped.
    #[must_use]
    pub fn connect(&self) -> Entered {
        self.connections.inc();
        Entered(self.connections.clone())
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        usize::try_from(self.connections.get()).unwrap_or(0)
    }

    /// A request was answered.
    pub fn count_request(&self, route: &str, status: u16, total: Duration) {
        let labels = RequestLabels {
            route: route.to_owned(),
            status: u32::from(status),
        };
        self.requests.get_or_create(&labels).inc();
        self.request_seconds.observe(total.as_secs_f64());
    }

    /// Where the time of a request with images went.
    pub fn observe_timings(&self, timings: &Timings) {
        self.decode.observe(timings.decode.as_secs_f64());
        self.queue.observe(timings.queue.as_secs_f64());
        self.inference.observe(timings.inference.as_secs_f64());
    }

    /// One answered image: by the policy that decided it, and by the lab's rule at every drop.
    pub(crate) fn count_verdict(&self, loaded: &LoadedBundle, counted: &Counted) {
        let flagged_as = counted.flagged.then_some(counted.badnet);
        loaded.alarms.note(counted.rule, flagged_as, Instant::now());
        let word = |flagged| if flagged { "true" } else { "false" };
        let labels = PolicyLabels {
            policy: counted.rule.0.name(),
            flagged: word(counted.flagged),
        };
        self.policy_verdicts.get_or_create(&labels).inc();
        for (drop, &flagged) in loaded.drops.iter().zip(&counted.flagged_at) {
            let labels = VerdictLabels {
                drop: drop.name.clone(),
                flagged: word(flagged),
            };
            self.verdicts.get_or_create(&labels).inc();
        }
    }

    /// A request was refused because the queue was full.
    pub fn count_rejected(&self) {
        self.rejected.inc();
    }

    /// An inference thread panicked.
    pub fn count_panic(&self) {
        self.panics.inc();
    }

    /// A reload was tried.
    pub fn count_reload(&self, succeeded: bool) {
        let result = if succeeded { "swapped" } else { "refused" };
        self.reloads.get_or_create(&ResultLabels { result }).inc();
    }

    /// Another bundle is in service.
    pub fn set_bundle(&self, loaded: &LoadedBundle, backend: &str) {
        let _rendering = self.lock();
        self.bundle.clear();
        let labels = BundleLabels {
            manifest_sha256: loaded.bundle.manifest_sha256().to_owned(),
            model_sha256: loaded.manifest().source.sha256.clone(),
            classes: loaded.manifest().classes,
            backend: backend.to_owned(),
            fused: if loaded.fused { "true" } else { "false" },
        };
        self.bundle.get_or_create(&labels).set(1);
    }

    /// Held while gauges are set and read: who asks meanwhile would find some of them missing.
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.rendering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Every metric as text.
    ///
    /// # Errors
    /// None that is known: text in memory is written.
    pub(in crate::serve) fn render(
        &self,
        loaded: Option<&LoadedBundle>,
        writer: Option<&QuarantineWriter>,
    ) -> Result<String, std::fmt::Error> {
        let _rendering = self.lock();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        self.queue_depth
            .set(loaded.map_or(0, |loaded| count(loaded.waiting())));
        self.workers
            .set(loaded.map_or(0, |loaded| count(loaded.pool.loaded_sets())));
        self.window.set(loaded, Instant::now());
        if let Some(writer) = writer {
            self.quarantine.set(writer);
        }
        let dropped = telemetry::dropped_lines() as u64;
        let new = dropped.saturating_sub(self.log_lines_dropped.get());
        self.log_lines_dropped.inc_by(new);
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

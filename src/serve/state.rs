//! What all requests share.

use crate::engine::{BackendInfo, Engine};
use crate::serve::config::Config;
use crate::serve::http::body_budget::Budget;
use crate::serve::http::keys::{Keys, KeysError};
use crate::serve::http::problem::{Code, Problem};
use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::metrics::Metrics;
use crate::serve::quarantine_writer::QuarantineWriter;
use crate::serve::spans::Spans;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where the service is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Requests are answered.
    Serving = 0,
    /// About to exit: not ready any more, but requests are still answered while load balancers take notice.
    Leaving = 1,
    /// New requests are refused, those in flight are finished.
    Draining = 2,
}

/// What all requests share; cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    engine: Engine,
    metrics: Metrics,
    bodies: Budget,
    answers: Budget,
    keys: ArcSwapOption<Keys>,
    quarantine: Option<QuarantineWriter>,
    spans: Option<Spans>,
    loaded: ArcSwapOption<LoadedBundle>,
    waiting_for: ArcSwap<String>,
    phase: AtomicU8,
}

impl AppState {
    /// A service that has nothing to serve yet.
    #[must_use]
    pub(super) fn new(
        config: Config,
        engine: Engine,
        quarantine: Option<QuarantineWriter>,
        spans: Option<Spans>,
    ) -> Self {
        Self(Arc::new(Shared {
            bodies: Budget::new(config.limits.bodies),
            answers: Budget::new(config.limits.answers),
            keys: ArcSwapOption::from_pointee(config.access.keys.clone()),
            config,
            engine,
            metrics: Metrics::new(),
            quarantine,
            spans,
            loaded: ArcSwapOption::empty(),
            waiting_for: ArcSwap::from_pointee("the bundle is being loaded".to_owned()),
            phase: AtomicU8::new(Phase::Serving as u8),
        }))
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The runtime.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Name and version of the runtime.
    #[must_use]
    pub fn backend(&self) -> &BackendInfo {
        self.0.engine.info()
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The keys that open the service; none where everybody may ask.
    #[must_use]
    pub(super) fn keys(&self) -> Option<Arc<Keys>> {
        self.0.keys.load_full()
    }

    /// Reads the file of the keys again, where there is one; the keys stay as they were if it cannot be used.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn reload_keys(&self) -> Result<(), KeysError> {
        if let Some(file) = &self.config().access.keys_file {
            self.0.keys.store(Some(Arc::new(Keys::from_file(file)?)));
        }
        Ok(())
    }

    /// What bodies may take in memory.
    #[must_use]
    pub(super) fn bodies(&self) -> &Budget {
        &self.0.bodies
    }

    /// What answers may take in memory that clients have not read to the end.
    #[must_use]
    pub(super) fn answers(&self) -> &Budget {
        &self.0.answers
    }

    /// Where flagged inputs are kept, if they are.
    #[must_use]
    pub(super) fn quarantine(&self) -> Option<&QuarantineWriter> {
        self.0.quarantine.as_ref()
    }

    /// Where spans go, if they are sent anywhere.
    #[must_use]
    pub(super) fn spans(&self) -> Option<&Spans> {
        self.0.spans.as_ref()
    }

    /// The bundle in service.
    ///
    /// # Errors
    /// [`Code::NotReady`] while there is none.
    pub fn loaded(&self) -> Result<Arc<LoadedBundle>, Problem> {
        self.0
            .loaded
            .load_full()
            .ok_or_else(|| Problem::new(Code::NotReady, self.0.waiting_for.load().as_str()))
    }

    /// Puts a bundle into service; requests in flight finish with the one they began with.
    pub fn swap(&self, loaded: Arc<LoadedBundle>) {
        let backend = self.backend().to_string();
        self.0.metrics.set_bundle(&loaded, &backend);
        self.0.loaded.store(Some(loaded));
    }

    /// Says why there is still no bundle in service.
    pub fn wait_for(&self, reason: String) {
        self.0.waiting_for.store(Arc::new(reason));
    }

    /// Where the service is in its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Relaxed) {
            0 => Phase::Serving,
            1 => Phase::Leaving,
            _ => Phase::Draining,
        }
    }

    /// Goes on to a later phase; never back.
    pub fn enter(&self, phase: Phase) {
        self.0.phase.fetch_max(phase as u8, Ordering::Relaxed);
    }
}

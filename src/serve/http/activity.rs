//! What a connection is doing: the requests that run, and for how long none has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Requests of one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activity(Arc<Mutex<ActivityState>>);

#[derive(Debug)]
struct ActivityState {
    running: usize,
    /// When the last one ended; at first, when the connection began.
    since: Instant,
}

impl Default for ActivityState {
    fn default() -> Self {
        Self {
            running: 0,
            since: Instant::now(),
        }
    }
}

impl Activity {
    /// Since when no request has run; none while one does.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.running == 0).then_some(state.since)
    }

    /// Ends once no request has run for `patience`.
    pub(crate) async fn idle(&self, patience: Duration) {
        loop {
            let left = patience.saturating_sub(self.idle_time());
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    /// How long no request has run.
    fn idle_time(&self) -> Duration {
        self.idle_since()
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn begin(&self) -> Running {
        self.lock().running += 1;
        Running(self.clone())
    }

    /// Nothing panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, ActivityState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request; it ends when this is dropped.
pub(crate) struct Running(Activity);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        state.since = Instant::now();
    }
}

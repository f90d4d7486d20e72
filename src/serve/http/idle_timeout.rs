//! HTTP/2 connections without a request: hyper's timeout for headers knows HTTP/1 only.

use hyper::service::Service;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Requests of one connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    running: usize,
    /// When the last one ended; at first, when the connection began.
    since: Instant,
}

impl Default for State {
    fn default() -> Self {
        Self {
            running: 0,
            since: Instant::now(),
        }
    }
}

impl Activity {
    /// `service`, every request of which is noticed from its headers to those of its answer.
    pub(crate) fn watch<S>(&self, service: S) -> Watched<S> {
        Watched {
            activity: self.clone(),
            service,
        }
    }

    /// Ends once no request has run for `patience`.
    pub(crate) async fn idle(&self, patience: Duration) {
        loop {
            let left = patience.saturating_sub(self.quiet());
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    /// How long no request has run.
    fn quiet(&self) -> Duration {
        let state = self.lock();
        if state.running > 0 {
            return Duration::ZERO;
        }
        state.since.elapsed()
    }

    fn begin(&self) -> Running {
        self.lock().running += 1;
        Running(self.clone())
    }

    /// Nothing panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Running(Activity);

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        state.since = Instant::now();
    }
}

/// See [`Activity::watch`].
#[derive(Debug, Clone)]
pub(crate) struct Watched<S> {
    activity: Activity,
    service: S,
}

impl<R, S> Service<R> for Watched<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures_util::future::BoxFuture<'static, Result<S::Response, S::Error>>;

    fn call(&self, request: R) -> Self::Future {
        let running = self.activity.begin();
        let answer = self.service.call(request);
        Box::pin(async move {
            let answer = answer.await;
            drop(running);
            answer
        })
    }
}

//! What a connection is doing: its requests, the answers that it has not taken, and for how long it has had neither.

use crate::serve::http::answers::Untaken;
use crate::serve::http::body_budget::Budget;
use crate::serve::http::places::Places;
use axum::response::Response;
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
    /// `service`, every request of which is noticed from its headers to those of its answer, and every answer counted until it
    /// is taken.
    pub(crate) fn watch<S>(&self, service: S, answers: AnswerLimits) -> Watched<S> {
        Watched {
            activity: self.clone(),
            answers,
            service,
        }
    }

    /// Since when no request has run; none while one does.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let state = self.lock();
        (state.running == 0).then_some(state.since)
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
        self.idle_since()
            .map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(crate) fn begin(&self) -> Running {
        self.lock().running += 1;
        Running(self.clone())
    }

    /// Nothing panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
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

/// Where a connection's answers are counted.
#[derive(Debug, Clone)]
pub(crate) struct AnswerLimits {
    /// Those of the connection.
    pub(crate) untaken: Untaken,
    /// What all of them may take.
    pub(crate) budget: Budget,
    /// Who goes where they take more.
    pub(crate) places: Places,
}

impl AnswerLimits {
    async fn apply(&self, response: Response) -> Response {
        self.untaken
            .count(response, &self.budget, &self.places)
            .await
    }
}

/// See [`Activity::watch`].
#[derive(Debug, Clone)]
pub(crate) struct Watched<S> {
    activity: Activity,
    answers: AnswerLimits,
    service: S,
}

impl<R, S> Service<R> for Watched<S>
where
    S: Service<R, Response = Response>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = futures_util::future::BoxFuture<'static, Result<Response, S::Error>>;

    fn call(&self, request: R) -> Self::Future {
        let running = self.activity.begin();
        let answer = self.service.call(request);
        let limits = self.answers.clone();
        Box::pin(async move {
            let answer = limits.apply(answer.await?).await;
            drop(running);
            Ok(answer)
        })
    }
}

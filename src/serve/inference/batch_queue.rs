//! Where small requests wait for an inference thread, to be answered together.
//!
//! One batch costs less than its images one by one, so the service is fastest when it is fullest. Nothing ever waits for
//! a batch to fill up: a thread that becomes free takes its fair share of what waits at that moment.

use super::evaluate::Evaluated;
use super::request::{ClassifyOptions, Payload, Timings};
use crate::serve::dto::Classification;
use crate::serve::http::problem::Problem;
use crate::serve::inference::pool::Admission;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// Most images of a batch: beyond it an image gains nothing more (docs/BENCHMARKS.md).
const MAX_BATCH: usize = 4;

/// How far one run of the networks got with a request.
#[derive(Debug)]
pub(crate) enum BatchOutcome {
    /// All the way.
    Answered(Box<Classification>),
    /// The policy has checks to run; with the request's place in the queue.
    NeedsChecks(Box<Evaluated>, Admission),
    /// Not even decoded: that takes longer than others should wait; with the request's place in the queue.
    IsHeavy(Admission),
}

/// What comes back for a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) outcome: Result<BatchOutcome, Problem>,
    pub(crate) timings: Timings,
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct QueuedRequest {
    pub(crate) payload: Payload,
    pub(crate) options: ClassifyOptions,
    pub(crate) admission: Admission,
    pub(crate) since: Instant,
    pub(crate) reply: oneshot::Sender<Reply>,
}

impl QueuedRequest {
    /// Sends it back, to be answered by a job of its own.
    pub(crate) fn send_back(self, taken: Instant) {
        let timings = Timings {
            queue: taken.saturating_duration_since(self.since),
            ..Timings::default()
        };
        let outcome = Ok(BatchOutcome::IsHeavy(self.admission));
        // The caller may have gone away meanwhile; then nobody wants the answer.
        let _ = self.reply.send(Reply { outcome, timings });
    }
}

/// Where requests wait.
#[derive(Debug, Default)]
pub(crate) struct BatchQueue {
    state: Mutex<BatchQueueState>,
}

#[derive(Debug, Default)]
struct BatchQueueState {
    waiting: VecDeque<QueuedRequest>,
    /// Jobs in the pool's queue that have not begun.
    called: usize,
}

impl BatchQueue {
    /// Nothing panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, BatchQueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests that no thread has taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Jobs in the pool's queue that come for what waits here.
    pub(crate) fn called(&self) -> usize {
        self.lock().called
    }

    /// Adds a request at the end.
    pub(crate) fn push(&self, request: QueuedRequest) {
        self.lock().waiting.push_back(request);
    }

    /// Counts one more job, if more requests wait than jobs of `threads` threads are on their way; else false.
    pub(crate) fn count_call(&self, threads: usize) -> bool {
        let mut state = self.lock();
        let wanted = state.called < state.waiting.len().min(threads);
        state.called += usize::from(wanted);
        wanted
    }

    /// A thread's fair share of what waits; whoever has gone away meanwhile is left out.
    pub(crate) fn take(&self, threads: usize) -> Vec<QueuedRequest> {
        let mut state = self.lock();
        state.called = state.called.saturating_sub(1);
        let share = state.waiting.len().div_ceil(threads.max(1)).min(MAX_BATCH);
        let mut taken = Vec::with_capacity(share);
        while taken.len() < share {
            let Some(next) = state.waiting.pop_front() else {
                break;
            };
            if !next.reply.is_closed() {
                taken.push(next);
            }
        }
        taken
    }

    /// Drops all that wait, who learn of it by the end of their channel.
    pub(crate) fn give_up(&self) {
        let waiting = std::mem::take(&mut self.lock().waiting);
        drop(waiting);
    }
}

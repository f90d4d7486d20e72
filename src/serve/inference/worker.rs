//! What the inference threads share, and what each of them does.

use super::queue::{JobWeight, Queue};
use crate::engine::{EngineError, GoodNet};
use crossbeam_channel::Sender;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Makes the networks of one worker, and makes them anew after a panic.
pub type SessionFactory = dyn Fn() -> Result<GoodNet, EngineError> + Send + Sync;

/// Why a job gave no result.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// Every place in the queue is taken.
    #[error("the queue is full")]
    Full,
    /// More places than the queue will ever have were asked for.
    #[error("expected at most {capacity} images at once, found {found}")]
    TooMany {
        /// Images asked for.
        found: usize,
        /// Places, running or waiting.
        capacity: usize,
    },
    /// The job panicked; its networks were made anew.
    #[error("the worker panicked")]
    Panicked,
    /// No thread could be started.
    #[error("an inference thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// The networks could not be loaded.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Work that is queued; it answers its caller by itself.
pub(super) type Job = Box<dyn FnOnce(&mut GoodNet) + Send>;

/// Networks and jobs; a thread waits until there is one of each.
pub(super) struct Shared {
    state: Mutex<PoolState>,
    changed: Condvar,
    make: Arc<SessionFactory>,
    loaded_sets: AtomicUsize,
    /// Nanoseconds of a job that may be short; 0 before the first.
    typical_time: AtomicU64,
}

#[derive(Default)]
struct PoolState {
    /// The last ones used are the next: their weights are still in the cache.
    idle: Vec<GoodNet>,
    jobs: Queue<Job>,
    closed: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("waiting", &self.waiting())
            .field("loaded_sets", &self.loaded_sets())
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(make: Arc<SessionFactory>) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            make,
            loaded_sets: AtomicUsize::new(0),
            typical_time: AtomicU64::new(0),
        }
    }

    /// Nothing panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The threads end once the queue is empty.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().jobs.len()
    }

    pub(super) fn loaded_sets(&self) -> usize {
        self.loaded_sets.load(Ordering::Relaxed)
    }

    /// Moving mean of the times noted, the last one with a weight of 1/8; [`Duration::MAX`] before the first.
    pub(super) fn typical_time(&self) -> Duration {
        match self.typical_time.load(Ordering::Relaxed) {
            0 => Duration::MAX,
            nanoseconds => Duration::from_nanos(nanoseconds),
        }
    }

    /// Runs `job` and notes how long it took.
    pub(super) fn timed<T>(&self, job: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = job();
        self.record_time(started.elapsed());
        result
    }

    fn record_time(&self, time: Duration) {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1);
        let mean = match self.typical_time.load(Ordering::Relaxed) {
            0 => time,
            mean => mean - mean / 8 + time / 8,
        };
        self.typical_time.store(mean, Ordering::Relaxed);
    }

    /// # Errors
    /// [`PoolError::Panicked`] if there are no networks left to run it.
    pub(super) fn push(&self, weight: JobWeight, job: Job) -> Result<(), PoolError> {
        let mut state = self.lock();
        if state.closed {
            return Err(PoolError::Panicked);
        }
        state.jobs.push(weight, job, Instant::now());
        let can_start = !state.idle.is_empty();
        drop(state);
        if can_start {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Networks for a job that does not queue, if no other job runs or waits.
    pub(super) fn take_if_all_idle(&self) -> Option<GoodNet> {
        let mut state = self.lock();
        state.jobs.record_light(Instant::now());
        if !state.jobs.is_empty() || state.idle.len() < self.loaded_sets() {
            return None;
        }
        state.idle.pop()
    }

    /// Runs `job` on `networks` and gives them back; after a panic, new ones.
    pub(super) fn run(&self, networks: GoodNet, job: impl FnOnce(&mut GoodNet)) {
        if let Some(networks) = self.attempt(networks, job) {
            self.give_back(networks);
        }
    }

    fn give_back(&self, networks: GoodNet) {
        let mut state = self.lock();
        state.idle.push(networks);
        let wanted = !state.jobs.is_empty();
        drop(state);
        if wanted {
            self.changed.notify_one();
        }
    }

    /// The networks after `job`; after a panic they may be in any state, so they are made anew.
    fn attempt(&self, mut networks: GoodNet, job: impl FnOnce(&mut GoodNet)) -> Option<GoodNet> {
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| job(&mut networks)));
        if outcome.is_ok() {
            return Some(networks);
        }
        match (self.make)() {
            Ok(networks) => Some(networks),
            Err(error) => {
                tracing::error!(%error, "networks cannot be loaded again after a panic");
                if self.loaded_sets.fetch_sub(1, Ordering::Relaxed) == 1 {
                    self.give_up();
                }
                None
            }
        }
    }

    /// A job of this weight is over: another heavy one may begin, on an idle thread too.
    fn end(&self, weight: JobWeight) {
        let mut state = self.lock();
        state.jobs.end(weight);
        let wanted = !state.jobs.is_empty() && !state.idle.is_empty();
        let over = state.closed && state.jobs.is_empty();
        drop(state);
        match (over, wanted) {
            // Threads that were kept from the last heavy jobs end, too.
            (true, _) => self.changed.notify_all(),
            (false, true) => self.changed.notify_one(),
            (false, false) => {}
        }
    }

    /// No networks are left: whoever waits is told so by the end of their channel.
    fn give_up(&self) {
        let mut state = self.lock();
        state.closed = true;
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        // Outside the lock: what a job holds may be the last to hold the pool.
        drop(jobs);
        self.changed.notify_all();
    }

    /// Waits for a job and networks; none once the pool is closed and its queue empty.
    fn next(&self, mut held: Option<GoodNet>) -> Option<(JobWeight, Job, GoodNet)> {
        let mut state = self.lock();
        loop {
            if let Some(networks) = held.take().or_else(|| state.idle.pop()) {
                if let Some((weight, job)) = state.jobs.pop(self.loaded_sets(), Instant::now()) {
                    return Some((weight, job, networks));
                }
                state.idle.push(networks);
            }
            if state.closed && state.jobs.is_empty() {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What an inference thread does: it loads networks, reports, and runs jobs to the end of the pool.
pub(super) fn run_jobs(shared: &Shared, report: Sender<Result<(), EngineError>>) {
    let networks = match (shared.make)() {
        Ok(networks) => networks,
        Err(error) => {
            // The pool that started this thread is waiting for the report.
            let _ = report.send(Err(error));
            return;
        }
    };
    shared.loaded_sets.fetch_add(1, Ordering::Relaxed);
    let _ = report.send(Ok(()));
    drop(report);
    let mut held = Some(networks);
    while let Some((weight, job, networks)) = shared.next(held.take()) {
        held = shared.attempt(networks, job);
        shared.end(weight);
    }
}

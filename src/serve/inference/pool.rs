//! Inference: a fixed number of sets of networks, a thread for each, and a bounded queue in front.

pub use super::worker::{PoolError, SessionFactory};

use super::queue::JobWeight;
use super::worker::{Job, Shared, run_jobs};
use crate::engine::GoodNet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Longest typical time of a job that may run on a thread of the async runtime: about a timer's tick.
const SHORT: Duration = Duration::from_millis(2);

/// How many threads, and how much may wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Threads, at least 1.
    pub workers: usize,
    /// Images that may wait beside the ones that are being worked on.
    pub queue: usize,
}

/// The threads and their queue. They end when the pool and all its [`Admission`]s are gone and the queue is empty.
#[derive(Debug)]
pub struct Pool {
    open: Arc<Open>,
    places: Arc<Semaphore>,
    capacity: usize,
}

/// Held by everybody who may still queue a job; the threads end after the last one.
#[derive(Debug)]
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Places in the queue, taken; without one nothing is queued.
#[derive(Debug)]
pub struct Admission {
    open: Arc<Open>,
    permit: OwnedSemaphorePermit,
}

/// Networks that nobody else needs at the moment.
#[derive(Debug)]
pub struct InlineNetworks<'a> {
    shared: &'a Shared,
    networks: GoodNet,
}

impl InlineNetworks<'_> {
    /// Runs `job` on this thread and gives the networks back.
    ///
    /// # Errors
    /// [`PoolError::Panicked`] if the job panicked.
    pub fn run<T>(self, job: impl FnOnce(&mut GoodNet) -> T) -> Result<T, PoolError> {
        let mut result = None;
        self.shared.run(self.networks, |networks| {
            result = Some(self.shared.timed(|| job(networks)));
        });
        result.ok_or(PoolError::Panicked)
    }
}

impl Pool {
    /// Starts the threads and waits until all have loaded their networks.
    ///
    /// # Errors
    /// The first thread's reason if one cannot load them.
    pub fn start(config: PoolConfig, make: &Arc<SessionFactory>) -> Result<Self, PoolError> {
        let workers = config.workers.max(1);
        let shared = Arc::new(Shared::new(Arc::clone(make)));
        let open = Arc::new(Open(Arc::clone(&shared)));
        let (report, reports) = crossbeam_channel::bounded(workers);
        for number in 0..workers {
            let (shared, report) = (Arc::clone(&shared), report.clone());
            std::thread::Builder::new()
                .name(format!("inference-{number}"))
                .spawn(move || run_jobs(&shared, report))
                .map_err(PoolError::Thread)?;
        }
        drop(report);
        let mut started = 0;
        for outcome in reports {
            outcome?;
            started += 1;
        }
        if started < workers {
            return Err(PoolError::Panicked);
        }
        let capacity = workers + config.queue;
        Ok(Self {
            open,
            places: Arc::new(Semaphore::new(capacity)),
            capacity,
        })
    }

    /// Takes `images` places in the queue, all or none, without waiting.
    ///
    /// # Errors
    /// [`PoolError::Full`] if they are not free, [`PoolError::TooMany`] if they never will be.
    pub fn admit(&self, images: usize) -> Result<Admission, PoolError> {
        self.admit_more(0, images)
    }

    /// Takes `images` places beside the `held` ones that the caller has, all or none, without waiting.
    ///
    /// # Errors
    /// As [`Pool::admit`], for all of the caller's places together.
    pub fn admit_more(&self, held: usize, images: usize) -> Result<Admission, PoolError> {
        let wanted = held.saturating_add(images);
        if wanted > self.capacity {
            return Err(PoolError::TooMany {
                found: wanted,
                capacity: self.capacity,
            });
        }
        let permits = u32::try_from(images).map_err(|_| PoolError::Full)?;
        let permit = Arc::clone(&self.places)
            .try_acquire_many_owned(permits)
            .map_err(|_| PoolError::Full)?;
        Ok(Admission {
            open: Arc::clone(&self.open),
            permit,
        })
    }

    /// Has an inference thread run `job`, which takes no place in the queue: whoever it works for holds theirs. Its time
    /// says whether a lone job may run elsewhere ([`Admission::try_inline`]).
    ///
    /// # Errors
    /// [`PoolError::Panicked`] if there are no networks left to run it.
    pub fn call(&self, job: impl FnOnce(&mut GoodNet) + Send + 'static) -> Result<(), PoolError> {
        let shared = Arc::clone(&self.open.0);
        let job = move |networks: &mut GoodNet| shared.timed(|| job(networks));
        self.open.0.push(JobWeight::Light, Box::new(job))
    }

    /// Jobs that wait for networks.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.open.0.waiting()
    }

    /// Sets of networks that are loaded.
    #[must_use]
    pub fn loaded_sets(&self) -> usize {
        self.open.0.loaded_sets()
    }
}

impl Admission {
    /// Gives up `images` of the places for a job of their own; `None` if there are not that many.
    pub fn split(&mut self, images: usize) -> Option<Self> {
        Some(Self {
            open: Arc::clone(&self.open),
            permit: self.permit.split(images)?,
        })
    }

    /// Runs `job` on an inference thread with its networks and the time it waited.
    ///
    /// A job whose caller has gone away by the time its turn comes is not run.
    ///
    /// # Errors
    /// [`PoolError::Panicked`] if the job panicked or no networks are left.
    pub async fn run<T, F>(self, job: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce(&mut GoodNet, Duration) -> T + Send + 'static,
    {
        let answer = self.queue(JobWeight::Light, job)?;
        answer.await.map_err(|_| PoolError::Panicked)
    }

    /// As [`Admission::run`], for a job that takes long: while others come, such jobs leave a thread to them.
    ///
    /// # Errors
    /// As [`Admission::run`].
    pub async fn run_heavy<T, F>(self, job: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce(&mut GoodNet, Duration) -> T + Send + 'static,
    {
        let answer = self.queue(JobWeight::Heavy, job)?;
        answer.await.map_err(|_| PoolError::Panicked)
    }

    /// Networks for a lone job that is likely to be short, to run on the thread that asks for it: two changes of threads
    /// less. At most one thread of the async runtime is ever busy with that, and only where it has others.
    #[must_use]
    pub fn try_inline(&self) -> Option<InlineNetworks<'_>> {
        let shared = &self.open.0;
        let has_others = Handle::current().metrics().num_workers() > 1;
        if !has_others || shared.typical_time() > SHORT {
            return None;
        }
        let networks = shared.take_if_all_idle()?;
        Some(InlineNetworks { shared, networks })
    }

    /// As [`Admission::run`], for callers outside an async runtime.
    ///
    /// # Errors
    /// As [`Admission::run`].
    pub fn run_blocking<T, F>(self, job: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce(&mut GoodNet, Duration) -> T + Send + 'static,
    {
        let answer = self.queue(JobWeight::Light, job)?;
        answer.blocking_recv().map_err(|_| PoolError::Panicked)
    }

    fn queue<T, F>(self, weight: JobWeight, job: F) -> Result<oneshot::Receiver<T>, PoolError>
    where
        T: Send + 'static,
        F: FnOnce(&mut GoodNet, Duration) -> T + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let Self { open, permit } = self;
        let queued = Instant::now();
        let job: Job = Box::new(move |networks| {
            if reply.is_closed() {
                return;
            }
            let result = job(networks, queued.elapsed());
            // Given back before the answer goes out: a client's next request finds its place free.
            drop(permit);
            // The caller may have gone away meanwhile; then nobody wants the result.
            let _ = reply.send(result);
        });
        open.0.push(weight, job)?;
        Ok(answer)
    }
}

//! Inference threads: a fixed number of them, each with its own networks, behind a bounded queue.

use super::{EngineError, GoodNet};
use crossbeam_channel::{Receiver, Sender};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Makes the networks of one worker; called on the worker's own thread, again after a panic.
pub type Maker = dyn Fn() -> Result<GoodNet, EngineError> + Send + Sync;

type Job = Box<dyn FnOnce(&mut GoodNet) + Send>;

/// How many threads, and how much may wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolConfig {
    /// Threads, at least 1.
    pub workers: usize,
    /// Images that may wait beside the ones that are being worked on.
    pub queue: usize,
}

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
    /// The worker panicked on this job and was replaced.
    #[error("the worker panicked")]
    Panicked,
    /// No thread could be started.
    #[error("an inference thread cannot be started: {0}")]
    Thread(std::io::Error),
    /// The networks could not be loaded.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The threads and their queue. They end when the pool and all its [`Admission`]s are gone and the queue is empty.
#[derive(Debug)]
pub struct Pool {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
    alive: Arc<AtomicUsize>,
    capacity: usize,
}

/// Places in the queue, taken; without one nothing is queued.
#[derive(Debug)]
pub struct Admission {
    jobs: Sender<Job>,
    permit: OwnedSemaphorePermit,
}

impl Pool {
    /// Starts the threads and waits until all have loaded their networks.
    ///
    /// # Errors
    /// The first thread's reason if one cannot load them.
    pub fn start(config: PoolConfig, make: &Arc<Maker>) -> Result<Self, PoolError> {
        let workers = config.workers.max(1);
        let (jobs, receiver) = crossbeam_channel::unbounded();
        let (report, reports) = crossbeam_channel::bounded(workers);
        let alive = Arc::new(AtomicUsize::new(0));
        for number in 0..workers {
            let worker = Worker {
                jobs: receiver.clone(),
                make: Arc::clone(make),
                alive: Arc::clone(&alive),
            };
            let report = report.clone();
            std::thread::Builder::new()
                .name(format!("inference-{number}"))
                .spawn(move || worker.run(report))
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
            jobs,
            places: Arc::new(Semaphore::new(capacity)),
            alive,
            capacity,
        })
    }

    /// Takes `images` places in the queue, all or none, without waiting.
    ///
    /// # Errors
    /// [`PoolError::Full`] if they are not free, [`PoolError::TooMany`] if they never will be.
    pub fn admit(&self, images: usize) -> Result<Admission, PoolError> {
        self.admit_beside(0, images)
    }

    /// Takes `images` places beside the `held` ones that the caller has, all or none, without waiting.
    ///
    /// # Errors
    /// As [`Pool::admit`], for all of the caller's places together.
    pub fn admit_beside(&self, held: usize, images: usize) -> Result<Admission, PoolError> {
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
            jobs: self.jobs.clone(),
            permit,
        })
    }

    /// Jobs that wait for a thread.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// Threads that have their networks loaded.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }
}

impl Admission {
    /// Gives up `images` of the places for a job of their own; `None` if there are not that many.
    pub fn split(&mut self, images: usize) -> Option<Self> {
        Some(Self {
            jobs: self.jobs.clone(),
            permit: self.permit.split(images)?,
        })
    }

    /// Runs `job` on an inference thread with its networks and the time it waited.
    ///
    /// A job whose caller has gone away by the time its turn comes is not run.
    ///
    /// # Errors
    /// [`PoolError::Panicked`] if the job panicked or no thread is left.
    pub async fn run<T, F>(self, job: F) -> Result<T, PoolError>
    where
        T: Send + 'static,
        F: FnOnce(&mut GoodNet, Duration) -> T + Send + 'static,
    {
        self.start(job)?.await.map_err(|_| PoolError::Panicked)
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
        let answer = self.start(job)?;
        answer.blocking_recv().map_err(|_| PoolError::Panicked)
    }

    fn start<T, F>(self, job: F) -> Result<oneshot::Receiver<T>, PoolError>
    where
        T: Send + 'static,
        F: FnOnce(&mut GoodNet, Duration) -> T + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let Self { jobs, permit } = self;
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
        jobs.send(job).map_err(|_| PoolError::Panicked)?;
        Ok(answer)
    }
}

/// One inference thread.
struct Worker {
    jobs: Receiver<Job>,
    make: Arc<Maker>,
    alive: Arc<AtomicUsize>,
}

enum Ended {
    Closed,
    Panicked,
}

impl Worker {
    fn run(self, report: Sender<Result<(), EngineError>>) {
        let mut networks = match (self.make)() {
            Ok(networks) => networks,
            Err(error) => {
                // The pool that started this thread is waiting for the report.
                let _ = report.send(Err(error));
                return;
            }
        };
        let _ = report.send(Ok(()));
        drop(report);
        // After a panic the networks may be in any state: they are made anew.
        while let Ended::Panicked = self.serve(&mut networks) {
            networks = match (self.make)() {
                Ok(networks) => networks,
                Err(error) => {
                    tracing::error!(%error, "an inference thread cannot load its networks again and ends");
                    return;
                }
            };
        }
    }

    fn serve(&self, networks: &mut GoodNet) -> Ended {
        self.alive.fetch_add(1, Ordering::Relaxed);
        let mut ended = Ended::Closed;
        for job in &self.jobs {
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| job(networks)));
            if outcome.is_err() {
                ended = Ended::Panicked;
                break;
            }
        }
        self.alive.fetch_sub(1, Ordering::Relaxed);
        ended
    }
}

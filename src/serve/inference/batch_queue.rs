//! Micro-batching: small requests that wait for an inference thread together are answered together.
//!
//! One batch costs less than its images one by one, so the service is fastest when it is fullest. Nothing ever waits for
//! a batch to fill up: a thread that becomes free takes its fair share of what waits at that moment.

use crate::engine::{Admission, GoodNet, PoolError};
use crate::serve::dto::Classification;
use crate::serve::http::problem::Problem;
use crate::serve::inference::answer::{Ask, Payload, Timings, decode, glance_all};
use crate::serve::loaded_bundle::Served;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::oneshot;

/// Most images of a batch: beyond it an image gains nothing more (docs/BENCHMARKS.md).
const MOST: usize = 4;

/// What comes back for a request.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Its answer; none where the policy has checks to run.
    pub(crate) answer: Result<Option<Classification>, Problem>,
    /// Its place in the queue, for the checks.
    pub(crate) admission: Option<Admission>,
    pub(crate) timings: Timings,
}

/// Where requests wait.
#[derive(Debug, Default)]
pub(crate) struct Lobby {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Jobs in the pool's queue that have not looked in yet.
    called: usize,
}

#[derive(Debug)]
struct Waiting {
    payload: Payload,
    ask: Ask,
    admission: Admission,
    since: Instant,
    reply: oneshot::Sender<Reply>,
}

impl Lobby {
    /// Nothing panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
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

    /// Answers `payload` on an inference thread, with others that wait.
    ///
    /// # Errors
    /// [`PoolError::Panicked`] if a panic took the networks or none are left.
    pub(crate) async fn answer(
        served: &Arc<Served>,
        admission: Admission,
        payload: Payload,
        ask: Ask,
    ) -> Result<Reply, PoolError> {
        let (reply, answer) = oneshot::channel();
        served.lobby.lock().waiting.push_back(Waiting {
            payload,
            ask,
            admission,
            since: Instant::now(),
            reply,
        });
        call(served)?;
        answer.await.map_err(|_| PoolError::Panicked)
    }

    /// A thread's fair share of what waits; whoever has gone away meanwhile is left out.
    fn take(&self, threads: usize) -> Vec<Waiting> {
        let mut state = self.lock();
        state.called = state.called.saturating_sub(1);
        let share = state.waiting.len().div_ceil(threads.max(1)).min(MOST);
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
}

/// Has a thread look in, if more requests wait than threads are on their way.
fn call(served: &Arc<Served>) -> Result<(), PoolError> {
    let mut state = served.lobby.lock();
    let threads = served.pool.alive().max(1);
    if state.called >= state.waiting.len().min(threads) {
        return Ok(());
    }
    state.called += 1;
    drop(state);
    let visit = Visit {
        served: Arc::clone(served),
        begun: false,
    };
    served.pool.call(move |networks| visit.make(networks))
}

/// A thread's look into the lobby: it has the next one called when it ends, even by a panic.
struct Visit {
    served: Arc<Served>,
    begun: bool,
}

impl Visit {
    fn make(mut self, networks: &mut GoodNet) {
        self.begun = true;
        let taken = self.served.lobby.take(self.served.pool.alive());
        answer_together(&self.served, networks, taken);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if self.begun && call(&self.served).is_ok() {
            return;
        }
        // No networks are left: whoever waits is told so by the end of their channel.
        let waiting = std::mem::take(&mut self.served.lobby.lock().waiting);
        drop(waiting);
    }
}

/// Answers what a thread took as one batch.
fn answer_together(served: &Served, networks: &mut GoodNet, taken: Vec<Waiting>) {
    let started = Instant::now();
    let mut pixels = Vec::with_capacity(taken.len() * served.manifest().input.image_len());
    let (mut requests, mut decoded) = (Vec::new(), Vec::new());
    for waiting in taken {
        // A decoder's panic is its request's alone, which learns of it by the end of its channel.
        let before = pixels.len();
        let decoding = AssertUnwindSafe(|| decode(served, &waiting.payload, &mut pixels));
        match catch_unwind(decoding) {
            Ok(result) => {
                decoded.push(result);
                requests.push(waiting);
            }
            Err(_) => pixels.truncate(before),
        }
    }
    let decode = started.elapsed();
    let readable = requests.iter().zip(&decoded).filter(|(_, d)| d.is_ok());
    let asks: Vec<&Ask> = readable.map(|(waiting, _)| &waiting.ask).collect();
    let answers = glance_all(served, networks, decoded, pixels, |row| asks[row]);
    let inference = started.elapsed() - decode;
    for (waiting, answer) in requests.into_iter().zip(answers) {
        // Given back before the answer goes out: a client's next request finds its place free.
        let admission = matches!(answer, Ok(None)).then_some(waiting.admission);
        let timings = Timings {
            queue: started.saturating_duration_since(waiting.since),
            decode,
            inference,
        };
        // The caller may have gone away meanwhile; then nobody wants the answer.
        let _ = waiting.reply.send(Reply {
            answer,
            admission,
            timings,
        });
    }
}

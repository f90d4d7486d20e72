//! Which thread answers: the one that asks where nobody else is served, an inference thread with others that wait, or one that
//! runs a job of its own.

use super::batch_queue::{BatchOutcome, QueuedRequest, Reply};
use super::evaluate::{Evaluated, evaluate};
use super::policy::Decision;
use super::report::report;
use super::request::{ClassifyOptions, Payload, Timings};
use crate::engine::{EngineError, GoodNet};
use crate::input::work::Budget;
use crate::progress::Cancel;
use crate::serve::dto::Classification;
use crate::serve::http::problem::Problem;
use crate::serve::inference::pool::{Admission, PoolError};
use crate::serve::loaded_bundle::LoadedBundle;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The answers to the images of a request, in their order, and where its time went.
pub type Answered = (Vec<Result<Classification, Problem>>, Timings);

/// Answers `payloads`, a part of a request that `guard` belongs to.
///
/// # Errors
/// [`PoolError::Panicked`] if a panic took the networks or none are left.
pub async fn classify(
    loaded: &Arc<LoadedBundle>,
    admission: Admission,
    payloads: Vec<Payload>,
    options: ClassifyOptions,
    guard: &DecodeGuard,
) -> Result<Answered, PoolError> {
    match payloads.as_slice() {
        [payload] if is_small(payload) => {
            one(loaded, admission, payload.clone(), options, guard).await
        }
        _ => job(loaded, admission, payloads, options, guard).await,
    }
}

/// Answers one image, for callers outside an async runtime.
///
/// # Errors
/// If the queue is full or the inference thread panicked; inside, if the image is refused.
pub fn classify_blocking(
    loaded: &Arc<LoadedBundle>,
    payload: Payload,
    options: ClassifyOptions,
) -> Result<Result<Classification, Problem>, PoolError> {
    let shared = Arc::clone(loaded);
    let budget = loaded.decoder.budget(Cancel::default());
    let job =
        move |networks: &mut GoodNet, _| answer(&shared, networks, &[payload], &options, &budget).0;
    let results = loaded.pool.admit(1)?.run_blocking(job)?;
    results.into_iter().next().ok_or(PoolError::Panicked)
}

/// Larger files may decode to millions of pixels.
fn is_small(payload: &Payload) -> bool {
    const SMALL: usize = 64 << 10;
    payload.len() <= SMALL
}

/// One run of the networks, then the checks if the policy has any to run.
async fn one(
    loaded: &Arc<LoadedBundle>,
    admission: Admission,
    payload: Payload,
    options: ClassifyOptions,
    guard: &DecodeGuard,
) -> Result<Answered, PoolError> {
    let Reply { outcome, timings } = match admission.try_inline() {
        Some(networks) => {
            let (tried, timings) =
                networks.run(|networks| try_answer(loaded, networks, &payload, &options))?;
            let outcome = tried.map(|tried| tried.with(admission));
            Reply { outcome, timings }
        }
        None => batched(loaded, admission, payload.clone(), options.clone()).await?,
    };
    match outcome {
        Ok(BatchOutcome::Answered(answer)) => Ok((vec![Ok(*answer)], timings)),
        Ok(BatchOutcome::NeedsChecks(evaluated, admission)) => {
            let (answer, checking) = check(loaded, admission, *evaluated, options).await?;
            Ok((vec![answer], timings + checking))
        }
        Ok(BatchOutcome::IsHeavy(admission)) => {
            job(loaded, admission, vec![payload], options, guard).await
        }
        Err(problem) => Ok((vec![Err(problem)], timings)),
    }
}

/// Runs the policy's checks on an inference thread.
async fn check(
    loaded: &Arc<LoadedBundle>,
    admission: Admission,
    evaluated: Evaluated,
    options: ClassifyOptions,
) -> Result<(Result<Classification, Problem>, Timings), PoolError> {
    let shared = Arc::clone(loaded);
    let job = move |networks: &mut GoodNet, queue| {
        let started = Instant::now();
        let decision = evaluated.decide_with_checks(&options.policy, networks);
        let answer = decision.map(|decision| report(&shared, &evaluated, &options, decision));
        let timings = Timings {
            queue,
            inference: started.elapsed(),
            ..Timings::default()
        };
        (answer.map_err(Problem::internal), timings)
    };
    admission.run(job).await
}

/// All of it as one job of an inference thread, behind those that take less.
async fn job(
    loaded: &Arc<LoadedBundle>,
    admission: Admission,
    payloads: Vec<Payload>,
    options: ClassifyOptions,
    guard: &DecodeGuard,
) -> Result<Answered, PoolError> {
    let shared = Arc::clone(loaded);
    let budget = guard.0.clone();
    let job = move |networks: &mut GoodNet, queue| {
        let (answers, timings) = answer(&shared, networks, &payloads, &options, &budget);
        (answers, Timings { queue, ..timings })
    };
    admission.run_heavy(job).await
}

/// What a request may cost to decode. Held by whoever waits for its answer: when it is dropped, by a hang-up, a deadline or a
/// shutdown, decoding ends.
#[derive(Debug)]
pub struct DecodeGuard(Budget, Cancel);

impl DecodeGuard {
    /// For one request.
    #[must_use]
    pub fn new(loaded: &LoadedBundle) -> Self {
        let cancel = Cancel::default();
        Self(loaded.decoder.budget(cancel.clone()), cancel)
    }
}

impl Drop for DecodeGuard {
    fn drop(&mut self) {
        self.1.cancel();
    }
}

/// Decodes, evaluates and decides on `payloads` as one batch; in order. It stops where nobody wants the work of `budget` any
/// more.
fn answer(
    loaded: &LoadedBundle,
    networks: &mut GoodNet,
    payloads: &[Payload],
    options: &ClassifyOptions,
    budget: &Budget,
) -> Answered {
    let started = Instant::now();
    let mut pixels = Vec::with_capacity(payloads.len() * loaded.manifest().input.image_len());
    let mut decode = |payload| loaded.decoder.decode_payload(payload, &mut pixels, budget);
    let decoded: Vec<Result<(), Problem>> = payloads.iter().map(&mut decode).collect();
    let decode = started.elapsed();
    if budget.is_cancelled() {
        return (Vec::new(), timings(Duration::ZERO, decode, started));
    }
    let evaluated = evaluate(networks, &loaded.image_shape(), pixels);
    let answers = in_order(decoded, evaluated, |evaluated| {
        let decision = evaluated.decide_with_checks(&options.policy, networks)?;
        Ok(report(loaded, &evaluated, options, decision))
    });
    (answers, timings(Duration::ZERO, decode, started))
}

/// What one run of the networks gives.
enum Tried {
    Answered(Box<Classification>),
    NeedsChecks(Box<Evaluated>),
    IsHeavy,
}

impl Tried {
    fn new(
        loaded: &LoadedBundle,
        evaluated: Evaluated,
        options: &ClassifyOptions,
        decision: Option<Decision>,
    ) -> Self {
        let Some(decision) = decision else {
            return Self::NeedsChecks(Box::new(evaluated));
        };
        Self::Answered(Box::new(report(loaded, &evaluated, options, decision)))
    }

    /// With the place of the request, which is given back where nothing is left to do: a client's next request finds its place
    /// free.
    fn with(self, admission: Admission) -> BatchOutcome {
        match self {
            Self::Answered(answer) => BatchOutcome::Answered(answer),
            Self::NeedsChecks(evaluated) => BatchOutcome::NeedsChecks(evaluated, admission),
            Self::IsHeavy => BatchOutcome::IsHeavy(admission),
        }
    }
}

/// Answers `payload` if it is soon decoded, and that takes no more than one run of the networks.
fn try_answer(
    loaded: &LoadedBundle,
    networks: &mut GoodNet,
    payload: &Payload,
    options: &ClassifyOptions,
) -> (Result<Tried, Problem>, Timings) {
    let started = Instant::now();
    let mut pixels = Vec::with_capacity(loaded.manifest().input.image_len());
    let decoded = loaded.decoder.decode_light(payload, &mut pixels);
    let decode = started.elapsed();
    if let Ok(false) = decoded {
        return (Ok(Tried::IsHeavy), timings(Duration::ZERO, decode, started));
    }
    let decoded = decoded.map(drop);
    let evaluated = evaluate(networks, &loaded.image_shape(), pixels);
    let mut tried = in_order(vec![decoded], evaluated, |evaluated| {
        let decision = evaluated.decide(&options.policy);
        Ok(Tried::new(loaded, evaluated, options, decision))
    });
    let only = tried.pop().unwrap_or_else(|| Err(missing()));
    (only, timings(Duration::ZERO, decode, started))
}

fn timings(queue: Duration, decode: Duration, started: Instant) -> Timings {
    Timings {
        queue,
        decode,
        inference: started.elapsed().saturating_sub(decode),
    }
}

fn missing() -> Problem {
    Problem::internal("an answer is missing")
}

/// What `decide` makes of the images that could be decoded, put back among the refusals of those that could not.
fn in_order<T>(
    decoded: Vec<Result<(), Problem>>,
    evaluated: Result<Vec<Evaluated>, EngineError>,
    mut decide: impl FnMut(Evaluated) -> Result<T, EngineError>,
) -> Vec<Result<T, Problem>> {
    let failure = evaluated
        .as_ref()
        .err()
        .map_or_else(missing, Problem::internal);
    let mut evaluated = evaluated.unwrap_or_default().into_iter();
    let next = |decoded: Result<(), Problem>| {
        decoded?;
        let evaluated = evaluated.next().ok_or_else(|| failure.clone())?;
        decide(evaluated).map_err(Problem::internal)
    };
    decoded.into_iter().map(next).collect()
}

/// Answers `payload` on an inference thread, with others that wait.
async fn batched(
    loaded: &Arc<LoadedBundle>,
    admission: Admission,
    payload: Payload,
    options: ClassifyOptions,
) -> Result<Reply, PoolError> {
    let (reply, answer) = oneshot::channel();
    loaded.batch_queue.push(QueuedRequest {
        payload,
        options,
        admission,
        since: Instant::now(),
        reply,
    });
    call(loaded)?;
    answer.await.map_err(|_| PoolError::Panicked)
}

/// Has a thread come for what waits, if more requests wait than threads are on their way.
fn call(loaded: &Arc<LoadedBundle>) -> Result<(), PoolError> {
    if !loaded
        .batch_queue
        .count_call(loaded.pool.loaded_sets().max(1))
    {
        return Ok(());
    }
    let job = BatchJob {
        loaded: Arc::clone(loaded),
        begun: false,
    };
    loaded.pool.call(move |networks| job.run(networks))
}

/// A thread's work on what waits: it has the next one called when it ends, even by a panic.
struct BatchJob {
    loaded: Arc<LoadedBundle>,
    begun: bool,
}

impl BatchJob {
    fn run(mut self, networks: &mut GoodNet) {
        self.begun = true;
        let taken = self.loaded.batch_queue.take(self.loaded.pool.loaded_sets());
        answer_together(&self.loaded, networks, taken);
    }
}

impl Drop for BatchJob {
    fn drop(&mut self) {
        if self.begun && call(&self.loaded).is_ok() {
            return;
        }
        // No networks are left.
        self.loaded.batch_queue.give_up();
    }
}

/// Answers what a thread took as one batch.
fn answer_together(loaded: &LoadedBundle, networks: &mut GoodNet, taken: Vec<QueuedRequest>) {
    let started = Instant::now();
    let mut pixels = Vec::with_capacity(taken.len() * loaded.manifest().input.image_len());
    let (mut requests, mut decoded) = (Vec::new(), Vec::new());
    for waiting in taken {
        // A decoder's panic is its request's alone, which learns of it by the end of its channel.
        let before = pixels.len();
        let decoding =
            AssertUnwindSafe(|| loaded.decoder.decode_light(&waiting.payload, &mut pixels));
        match catch_unwind(decoding) {
            Ok(Ok(false)) => waiting.send_back(started),
            Ok(result) => {
                decoded.push(result.map(drop));
                requests.push(waiting);
            }
            Err(_) => pixels.truncate(before),
        }
    }
    let decode = started.elapsed();
    let evaluated = evaluate(networks, &loaded.image_shape(), pixels);
    let evaluated = in_order(decoded, evaluated, Ok);
    for (waiting, evaluated) in requests.into_iter().zip(evaluated) {
        let outcome = evaluated.map(|evaluated| {
            let decision = evaluated.decide(&waiting.options.policy);
            Tried::new(loaded, evaluated, &waiting.options, decision).with(waiting.admission)
        });
        let queue = started.saturating_duration_since(waiting.since);
        let timings = timings(queue, decode, started);
        // The caller may have gone away meanwhile; then nobody wants the answer.
        let _ = waiting.reply.send(Reply { outcome, timings });
    }
}

//! Keeping flagged inputs off the request path: a thread of its own behind a bounded queue.

use crate::quarantine::{Flagged, QuarantineError, Store};
use crate::serve::dto::Classification;
use crate::serve::http::problem::Problem;
use crate::serve::inference::request::Payload;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// Inputs that may wait to be written; more are dropped.
const MAX_WAITING: usize = 256;
/// What they may hold together, in bytes.
const MAX_WAITING_BYTES: usize = 16 << 20;
/// Inputs that one commit takes.
const MAX_BATCH: usize = 64;
/// How often old entries are looked for when nothing is flagged.
const SWEEP: Duration = Duration::from_secs(60);
/// How long leaving waits for what is not written yet.
const FLUSH: Duration = Duration::from_secs(5);

/// Counts since the start.
#[derive(Debug, Default)]
pub(in crate::serve) struct QuarantineCounts {
    /// Inputs written.
    pub(in crate::serve) stored: AtomicU64,
    /// Inputs that found the queue full.
    pub(in crate::serve) overflowed: AtomicU64,
    /// Inputs that could not be written.
    pub(in crate::serve) failed: AtomicU64,
    /// Inputs too large to keep.
    pub(in crate::serve) too_large: AtomicU64,
    /// Entries removed for their age or for room.
    pub(in crate::serve) removed: AtomicU64,
}

/// Takes flagged inputs from requests; never waits.
#[derive(Debug)]
pub(in crate::serve) struct QuarantineWriter {
    queue: Sender<Message>,
    waiting_bytes: Arc<AtomicUsize>,
    store: Arc<Store>,
    counts: Arc<QuarantineCounts>,
}

enum Message {
    Keep(Box<Input>),
    Flush(Sender<()>),
}

struct Input {
    payload: Payload,
    answer: Classification,
    time: SystemTime,
}

impl QuarantineWriter {
    /// Starts the thread that writes to `store`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(in crate::serve) fn start(store: Store) -> std::io::Result<Self> {
        let (writer, thread) = Self::new(store);
        std::thread::Builder::new()
            .name("quarantine".to_owned())
            .spawn(move || thread.run())?;
        Ok(writer)
    }

    fn new(store: Store) -> (Self, WriterThread) {
        let (queue, messages) = bounded(MAX_WAITING);
        let writer = Self {
            queue,
            waiting_bytes: Arc::default(),
            store: Arc::new(store),
            counts: Arc::default(),
        };
        let thread = WriterThread {
            messages,
            waiting_bytes: Arc::clone(&writer.waiting_bytes),
            store: Arc::clone(&writer.store),
            counts: Arc::clone(&writer.counts),
            failing: false,
        };
        (writer, thread)
    }

    /// The store, to look into.
    pub(in crate::serve) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What was done so far.
    pub(in crate::serve) fn counts(&self) -> &QuarantineCounts {
        &self.counts
    }

    /// Offers every flagged one of `payloads`; what finds no room is dropped and counted.
    pub(in crate::serve) fn offer(
        &self,
        payloads: &[Payload],
        answers: &[Result<Classification, Problem>],
    ) {
        for (payload, answer) in payloads.iter().zip(answers) {
            match answer {
                Ok(answer) if answer.flagged => self.offer_one(payload, answer),
                _ => {}
            }
        }
    }

    fn offer_one(&self, payload: &Payload, answer: &Classification) {
        let length = payload.bytes().len();
        if self.waiting_bytes.fetch_add(length, Relaxed) + length > MAX_WAITING_BYTES {
            self.waiting_bytes.fetch_sub(length, Relaxed);
            self.counts.overflowed.fetch_add(1, Relaxed);
            return;
        }
        let input = Input {
            // A copy: what came may be a part of a longer body, which it would hold on to.
            payload: payload.copied(),
            answer: answer.clone(),
            time: SystemTime::now(),
        };
        if self.queue.try_send(Message::Keep(Box::new(input))).is_err() {
            self.waiting_bytes.fetch_sub(length, Relaxed);
            self.counts.overflowed.fetch_add(1, Relaxed);
        }
    }

    /// Waits until everything offered so far is written, for five seconds at most. Blocks.
    pub(in crate::serve) fn flush(&self) {
        let (done, written) = bounded(1);
        if self
            .queue
            .send_timeout(Message::Flush(done), FLUSH)
            .is_err()
            || written.recv_timeout(FLUSH).is_err()
        {
            tracing::warn!("flagged inputs are left that were not written to the quarantine");
        }
    }
}

/// The thread.
struct WriterThread {
    messages: Receiver<Message>,
    waiting_bytes: Arc<AtomicUsize>,
    store: Arc<Store>,
    counts: Arc<QuarantineCounts>,
    failing: bool,
}

impl WriterThread {
    fn run(mut self) {
        loop {
            match self.messages.recv_timeout(SWEEP) {
                Ok(first) => self.take(first),
                Err(RecvTimeoutError::Timeout) => self.write(&[]),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes what waits, in one commit.
    fn take(&mut self, first: Message) {
        let mut inputs = Vec::new();
        let mut flushes = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Keep(input) => inputs.push(input),
                Message::Flush(done) => flushes.push(done),
            }
            next = (inputs.len() < MAX_BATCH)
                .then(|| self.messages.try_recv().ok())
                .flatten();
        }
        let bytes: usize = inputs.iter().map(|input| input.payload.bytes().len()).sum();
        let flagged: Vec<Flagged> = inputs
            .into_iter()
            .filter_map(|input| input.read())
            .collect();
        self.write(&flagged);
        self.waiting_bytes.fetch_sub(bytes, Relaxed);
        for done in flushes {
            // Whoever waited may have given up.
            let _ = done.send(());
        }
    }

    fn write(&mut self, inputs: &[Flagged]) {
        match self.store.append(inputs) {
            Ok(outcome) => {
                self.failing = false;
                self.counts.stored.fetch_add(outcome.stored, Relaxed);
                self.counts.too_large.fetch_add(outcome.refused, Relaxed);
                self.counts.removed.fetch_add(outcome.removed, Relaxed);
            }
            Err(error) => self.fail(&error, inputs.len() as u64),
        }
    }

    /// Says so once, not for every input: a full disk lasts.
    fn fail(&mut self, error: &QuarantineError, inputs: u64) {
        self.counts.failed.fetch_add(inputs, Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!(%error, "flagged inputs cannot be kept");
        }
    }
}

impl Input {
    /// `None` where the payload is not what was answered, which cannot be.
    fn read(self) -> Option<Flagged> {
        Some(Flagged {
            image: self.payload.image().ok()?.to_vec(),
            time: self.time,
            badnet: self.answer.badnet.class,
            model_sha256: self.answer.model_sha256.clone(),
            request_id: self.answer.request_id.clone(),
            // Through text: as a value, a 32-bit number would get the digits of a 64-bit one.
            answer: serde_json::from_str(&serde_json::to_string(&self.answer).ok()?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::RetentionLimits;
    use crate::serve::dto::{ClassScore, MeasuredRates};
    use bytes::Bytes;

    fn answer(flagged: bool) -> Result<Classification, Problem> {
        let score = ClassScore {
            class: 2,
            label: None,
            probability: 1.0,
        };
        Ok(Classification {
            class: 4,
            label: None,
            flagged,
            drop: 10.0,
            policy: "disagreement".to_owned(),
            badnet: score.clone(),
            repaired: None,
            pruned: score,
            verdicts: Vec::new(),
            checks: None,
            top_k: None,
            measured: MeasuredRates {
                clean_accuracy: 1.0,
                clean_flagged: 0.0,
                attack_success_rate: None,
            },
            model_sha256: "aa".to_owned(),
            request_id: "r".to_owned(),
        })
    }

    /// Offers `images` images of `length` bytes to a writer whose thread does not run yet, then lets it run.
    fn offered(images: usize, length: usize) -> (u64, u64) {
        let dir = tempfile::tempdir().unwrap();
        let (writer, thread) =
            QuarantineWriter::new(Store::open(dir.path(), RetentionLimits::default()).unwrap());
        let payload = [Payload::Image(Bytes::from(vec![1; length]))];
        for _ in 0..images {
            writer.offer(&payload, &[answer(true)]);
        }
        let overflowed = writer.counts().overflowed.load(Relaxed);
        let running = std::thread::spawn(move || thread.run());
        // A flush gives up after a while, and a disk may be slower.
        while writer.waiting_bytes.load(Relaxed) > 0 {
            writer.flush();
        }
        let stored = writer.counts().stored.load(Relaxed);
        assert_eq!(writer.waiting_bytes.load(Relaxed), 0);
        drop(writer);
        running.join().unwrap();
        (stored, overflowed)
    }

    #[test]
    fn what_finds_no_room_in_the_queue_is_dropped_and_counted() {
        assert_eq!(offered(3, 10), (3, 0));
        assert_eq!(offered(MAX_WAITING + 7, 10), (MAX_WAITING as u64, 7));
        assert_eq!(offered(9, 2 << 20), (8, 1));
    }

    #[test]
    fn what_is_not_flagged_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let writer =
            QuarantineWriter::start(Store::open(dir.path(), RetentionLimits::default()).unwrap())
                .unwrap();
        let payloads = vec![Payload::Image(Bytes::from_static(b"image")); 3];
        let refused = Err(Problem::internal("refused"));
        writer.offer(&payloads, &[answer(false), refused, answer(true)]);
        writer.flush();
        assert_eq!(writer.store().read().unwrap().totals().unwrap().0, 1);
    }
}

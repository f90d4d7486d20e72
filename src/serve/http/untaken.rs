//! The answers of a connection that its client has not taken, and for how long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The answers of one connection that are not taken to the last byte.
#[derive(Debug, Clone, Default)]
pub(crate) struct Untaken(Arc<Mutex<UntakenState>>);

#[derive(Debug, Default)]
struct UntakenState {
    next: u64,
    /// When each was ready, the oldest first, and its length.
    since: BTreeMap<u64, (Instant, usize)>,
}

impl Untaken {
    /// Bytes that are not taken.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().since.values().map(|(_, length)| length).sum()
    }

    /// Ends once an answer has not been taken for `patience`.
    pub(crate) async fn overdue(&self, patience: Duration) {
        loop {
            let oldest = self.lock().since.values().next().map(|(since, _)| *since);
            let left = oldest.map_or(patience, |since| patience.saturating_sub(since.elapsed()));
            if left.is_zero() {
                return;
            }
            sleep(left).await;
        }
    }

    /// An answer of `length` bytes, ready now.
    pub(crate) fn begin(&self, length: usize) -> UntakenAnswer {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.since.insert(number, (Instant::now(), length));
        UntakenAnswer {
            of: self.clone(),
            number,
        }
    }

    /// Nothing panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, UntakenState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that is not taken; it is when this is dropped.
#[derive(Debug)]
pub(crate) struct UntakenAnswer {
    of: Untaken,
    number: u64,
}

impl Drop for UntakenAnswer {
    fn drop(&mut self) {
        self.of.lock().since.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_an_answer_that_waits_is_overdue() {
        let untaken = Untaken::default();
        let patience = Duration::from_millis(20);
        let none = tokio::time::timeout(Duration::from_millis(100), untaken.overdue(patience));
        assert!(none.await.is_err());
        let waiting = untaken.begin(1);
        let waited = tokio::time::timeout(Duration::from_secs(10), untaken.overdue(patience));
        assert!(waited.await.is_ok());
        drop(waiting);
        assert_eq!(untaken.bytes(), 0);
    }
}

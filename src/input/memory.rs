//! Memory that pictures take while they are decoded, shared by all threads that decode.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes that pictures may take while they are decoded, all together. Clones share them.
///
/// A picture that finds too few waits for its turn, in the order in which pictures came. One that wants more than there are
/// in all gets all of them: it is decoded alone.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    whole: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    left: u64,
    next: u64,
    waiting: VecDeque<u64>,
}

impl Memory {
    /// `bytes` for all pictures together.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let state = State {
            left: bytes,
            next: 0,
            waiting: VecDeque::new(),
        };
        Self(Arc::new(Shared {
            whole: bytes,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }))
    }

    /// Waits for `bytes`, or for all there are where that is less.
    pub(super) fn take(&self, bytes: u64) -> Held {
        let bytes = bytes.min(self.0.whole);
        let mut state = self.lock();
        let turn = state.next;
        state.next += 1;
        state.waiting.push_back(turn);
        while state.waiting.front() != Some(&turn) || state.left < bytes {
            let changed = self.0.changed.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.pop_front();
        state.left -= bytes;
        drop(state);
        // The next in line may fit beside this one.
        self.0.changed.notify_all();
        Held {
            memory: self.clone(),
            bytes,
        }
    }

    /// Nothing panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes that are taken; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    memory: Memory,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.lock().left += self.bytes;
        self.memory.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{self, Receiver};
    use std::thread;
    use std::time::Duration;

    /// A thread that takes `bytes`; what it holds comes when it has them. It is in line when this returns.
    fn taker(memory: &Memory, bytes: u64) -> Receiver<Held> {
        let (sender, held) = mpsc::channel();
        let waiting = memory.lock().waiting.len();
        let taken = memory.lock().next;
        let other = memory.clone();
        thread::spawn(move || sender.send(other.take(bytes)));
        while memory.lock().next == taken && memory.lock().waiting.len() == waiting {
            thread::yield_now();
        }
        held
    }

    #[test]
    fn pictures_take_turns_where_they_do_not_fit_together() {
        let memory = Memory::new(100);
        let first = memory.take(60);
        let second = taker(&memory, 50);
        let third = taker(&memory, 30);
        // The third would fit, but the second came before it.
        thread::sleep(Duration::from_millis(20));
        assert!(second.try_recv().is_err() && third.try_recv().is_err());
        drop(first);
        let held = (second.recv().unwrap(), third.recv().unwrap());
        assert_eq!(memory.lock().left, 20);
        drop(held);
        assert_eq!(memory.lock().left, 100);
    }

    #[test]
    fn one_that_is_larger_than_all_of_it_goes_alone() {
        let memory = Memory::new(100);
        let large = memory.take(1000);
        let small = taker(&memory, 1);
        thread::sleep(Duration::from_millis(20));
        assert!(small.try_recv().is_err());
        drop(large);
        small.recv().unwrap();
    }
}

//! Jobs that wait for a thread: those that take long never hold all threads while others come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long after the last light job a thread is reserved for the next.
const RESERVED_FOR: Duration = Duration::from_secs(1);

/// What a job takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobWeight {
    /// Milliseconds.
    Light,
    /// More: many images, or one that takes long to decode.
    Heavy,
}

/// Jobs in the order in which they came, the heavy ones on a lane of their own.
///
/// While light jobs come, heavy ones run on all threads but one; on a single thread the two take turns. Each lane is served
/// however full the other is.
pub(super) struct Queue<J> {
    light: VecDeque<J>,
    heavy: VecDeque<J>,
    /// Heavy jobs that run.
    running: usize,
    last_light: Option<Instant>,
    was_heavy: bool,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self {
            light: VecDeque::new(),
            heavy: VecDeque::new(),
            running: 0,
            last_light: None,
            was_heavy: false,
        }
    }
}

impl<J> Queue<J> {
    pub(super) fn len(&self) -> usize {
        self.light.len() + self.heavy.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn push(&mut self, weight: JobWeight, job: J, now: Instant) {
        match weight {
            JobWeight::Light => {
                self.record_light(now);
                self.light.push_back(job);
            }
            JobWeight::Heavy => self.heavy.push_back(job),
        }
    }

    /// A light job came, here or elsewhere.
    pub(super) fn record_light(&mut self, now: Instant) {
        self.last_light = Some(now);
    }

    /// The next job for one of `threads`, if one may begin. [`Queue::end`] is owed for it.
    pub(super) fn pop(&mut self, threads: usize, now: Instant) -> Option<(JobWeight, J)> {
        let heavy_first = self.running == 0 && !self.was_heavy;
        let may = !self.heavy.is_empty() && self.running < self.lanes(threads, now);
        if may && (heavy_first || self.light.is_empty()) {
            self.running += 1;
            self.was_heavy = true;
            return Some((JobWeight::Heavy, self.heavy.pop_front()?));
        }
        self.was_heavy = false;
        Some((JobWeight::Light, self.light.pop_front()?))
    }

    /// A job of this weight is over.
    pub(super) fn end(&mut self, weight: JobWeight) {
        if weight == JobWeight::Heavy {
            self.running -= 1;
        }
    }

    /// Heavy jobs that may run at once.
    fn lanes(&self, threads: usize, now: Instant) -> usize {
        let comes = |last: Instant| now.saturating_duration_since(last) < RESERVED_FOR;
        let reserved = usize::from(self.last_light.is_some_and(comes));
        threads.saturating_sub(reserved).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::JobWeight::{Heavy, Light};
    use super::*;

    fn filled(now: Instant) -> Queue<u32> {
        let mut queue = Queue::default();
        for job in 0..4 {
            queue.push(Heavy, 100 + job, now);
        }
        queue
    }

    #[test]
    fn heavy_jobs_leave_a_thread_while_light_ones_come() {
        let now = Instant::now();
        let mut queue = filled(now);
        queue.push(Light, 1, now);
        queue.push(Light, 2, now);
        assert_eq!(queue.pop(3, now), Some((Heavy, 100)));
        assert_eq!(queue.pop(3, now), Some((Light, 1)));
        assert_eq!(queue.pop(3, now), Some((Light, 2)));
        assert_eq!(queue.pop(3, now), Some((Heavy, 101)));
        assert_eq!(queue.pop(3, now), None, "the third thread is reserved");
        queue.push(Light, 3, now);
        assert_eq!(queue.pop(3, now), Some((Light, 3)));
        queue.end(Heavy);
        assert_eq!(queue.pop(3, now), Some((Heavy, 102)));
    }

    #[test]
    fn heavy_jobs_have_all_threads_where_nothing_else_comes() {
        let now = Instant::now();
        let mut queue = filled(now);
        let taken: Vec<u32> = std::iter::from_fn(|| queue.pop(3, now))
            .map(|(_, job)| job)
            .collect();
        assert_eq!(taken, [100, 101, 102]);
        let mut queue = filled(now);
        queue.record_light(now);
        let later = now + RESERVED_FOR;
        assert_eq!(std::iter::from_fn(|| queue.pop(3, later)).count(), 3);
    }

    #[test]
    fn on_one_thread_they_take_turns() {
        let now = Instant::now();
        let mut queue = filled(now);
        for job in 0..3 {
            queue.push(Light, job, now);
        }
        let mut taken = Vec::new();
        while let Some((weight, _)) = queue.pop(1, now) {
            taken.push(weight);
            queue.end(weight);
        }
        let turns = [Heavy, Light, Heavy, Light, Heavy, Light, Heavy];
        assert_eq!(taken, turns);
    }
}

//! By which clock entries age: one that no jump of the wall clock moves far.
//!
//! While a service runs, its own clock counts. For the time in which nothing ran there is nothing but the wall clock's word:
//! a start takes it for at most a quarter of the age limit, so that a clock that is wrong by years costs no more than that.
//! What comes is stamped by this clock, never by the date that it carries: a date in the future counts as now.

use super::unix_ms;
use std::time::{Duration, Instant, SystemTime};

/// A moment as two clocks say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock, which may jump.
    pub wall: SystemTime,
    /// How long the store has been open, which only grows.
    pub open: Duration,
}

impl Moment {
    /// Now, for a store that was opened at `opened`.
    pub(super) fn now(opened: Instant) -> Self {
        Self {
            wall: SystemTime::now(),
            open: opened.elapsed(),
        }
    }
}

/// The store's own clock, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Its reading when the store was opened.
    opened_at: u64,
}

impl Clock {
    /// Goes on from what the last commit wrote: the clock's reading `last` and the wall clock's `last_wall`; a new one begins
    /// with the wall clock.
    pub(super) fn resume(last: Option<(u64, u64)>, wall: SystemTime, age: Duration) -> Self {
        let wall = unix_ms(wall);
        let Some((last, last_wall)) = last else {
            return Self { opened_at: wall };
        };
        let believed = wall.saturating_sub(last_wall).min(millis(age / 4));
        Self {
            opened_at: last.saturating_add(believed),
        }
    }

    /// Its reading at `moment`.
    pub(super) fn at(&self, moment: Moment) -> u64 {
        self.opened_at.saturating_add(millis(moment.open))
    }
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

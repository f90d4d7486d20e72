//! What the bodies of all requests, or of all answers, together may take in memory.

use crate::serve::http::problem::{Code, Problem};
use axum::body::Body;
use futures_util::StreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Longest body, or answer, that may take what is reserved from longer ones.
const SMALL: usize = 64 << 10;
/// Part of the whole that is reserved for those.
const RESERVED_PART: usize = 8;

/// Bytes that are left for bodies. An eighth is reserved for short ones: whoever sends or asks for much keeps nobody out who does
/// not.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    left: Arc<AtomicUsize>,
    reserved: usize,
}

impl Budget {
    /// `bytes` for all requests together.
    #[must_use]
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            left: Arc::new(AtomicUsize::new(bytes)),
            reserved: bytes / RESERVED_PART,
        }
    }

    /// Nothing yet, for one request.
    #[must_use]
    pub(crate) fn share(&self) -> BodyReservation {
        BodyReservation(Arc::new(Taken {
            budget: self.clone(),
            bytes: AtomicUsize::new(0),
            refused: AtomicBool::new(false),
        }))
    }

    /// Takes `bytes` for one that has `before` already, if they are left.
    fn take(&self, before: usize, bytes: usize) -> bool {
        let reserved = match before.saturating_add(bytes) {
            ..=SMALL => 0,
            _ => self.reserved,
        };
        let less = |left: usize| left.checked_sub(bytes).filter(|&left| left >= reserved);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

/// What one request has taken; given back when the last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct BodyReservation(Arc<Taken>);

#[derive(Debug)]
struct Taken {
    budget: Budget,
    bytes: AtomicUsize,
    refused: AtomicBool,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        self.budget.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl BodyReservation {
    /// Takes `bytes` more, or says that they are not left.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let before = self.0.bytes.load(Ordering::Relaxed);
        let taken = self.0.budget.take(before, bytes);
        if taken {
            self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.0.refused.store(true, Ordering::Relaxed);
        }
        taken
    }

    /// `body`, whose bytes are taken as they arrive; it breaks off where none are left.
    pub(crate) fn count(&self, body: Body) -> Body {
        let share = self.clone();
        Body::from_stream(body.into_data_stream().map(move |chunk| {
            let chunk = chunk?;
            if share.take(chunk.len()) {
                return Ok(chunk);
            }
            Err(axum::Error::new("no memory is left for bodies"))
        }))
    }

    /// The reason why a body broke off: [`Code::Overloaded`] if it was this, else `other`.
    pub(crate) fn explain(&self, other: Problem) -> Problem {
        if self.0.refused.load(Ordering::Relaxed) {
            return Problem::new(
                Code::Overloaded,
                "the bodies of other requests take all the memory that is set apart for them; try again",
            );
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back() {
        let budget = Budget::new(10);
        let (first, second) = (budget.share(), budget.share());
        assert!(first.take(6));
        assert!(!second.take(5));
        assert!(second.take(4));
        let problem = second.explain(Problem::new(Code::MalformedBody, "broken"));
        assert_eq!(problem.code(), Code::Overloaded);
        let problem = first.explain(Problem::new(Code::MalformedBody, "broken"));
        assert_eq!(problem.code(), Code::MalformedBody);
        drop(first);
        assert!(second.take(6));
        assert!(!second.take(1));
    }

    #[test]
    fn long_ones_leave_an_eighth_to_short_ones() {
        let budget = Budget::new(8 * SMALL);
        let long = budget.share();
        assert!(long.take(6 * SMALL) && long.take(SMALL));
        assert!(!long.take(1), "piece by piece is no other thing");
        assert!(!budget.share().take(SMALL + 1));
        let short = budget.share();
        assert!(short.take(SMALL - 1) && short.take(1));
        assert!(!budget.share().take(1));
    }
}

//! Answers on their way to clients: counted in memory, and taken in time.
//!
//! A client that asks and does not read would otherwise have any number of answers wait for it, for as long as it likes.

use crate::serve::http::body_budget::{BodyReservation, Budget};
use crate::serve::http::places::Places;
use crate::serve::http::problem::{Code, Problem};
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often memory is looked for: each time one connection more goes.
const TRIES: u32 = 100;
/// How long one takes to go.
const PAUSE: Duration = Duration::from_millis(2);

/// The answers of one connection that are not taken to the last byte.
#[derive(Debug, Clone, Default)]
pub(crate) struct Untaken(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// When each was ready, the oldest first, and its length.
    since: BTreeMap<u64, (Instant, usize)>,
}

impl Untaken {
    /// `response`, whose bytes count in `budget` until the connection has written the last of them. Where they do not fit, the
    /// connections of `places` that hold most are told to leave; a refusal where that does not help.
    pub(crate) async fn count(
        &self,
        response: Response,
        budget: &Budget,
        places: &Places,
    ) -> Response {
        let (parts, body) = response.into_parts();
        let bytes = match body.collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) => return Problem::internal(error).into_response(),
        };
        if bytes.is_empty() {
            return Response::from_parts(parts, Body::empty());
        }
        let share = budget.share();
        if !take(&share, bytes.len(), places).await {
            let refused = Problem::new(
                Code::Overloaded,
                "answers that clients have not taken fill the memory that is set apart for them; try again",
            );
            return refused.into_response();
        }
        let counted = Counted {
            _waiting: self.begin(bytes.len()),
            bytes,
            _share: share,
        };
        Response::from_parts(parts, Body::new(Full::new(Bytes::from_owner(counted))))
    }

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

    fn begin(&self, length: usize) -> Waiting {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        state.since.insert(number, (Instant::now(), length));
        Waiting {
            of: self.clone(),
            number,
        }
    }

    /// Nothing panics while it holds the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes `bytes`, if need be from connections that are sent away for it.
async fn take(share: &BodyReservation, bytes: usize, places: &Places) -> bool {
    for _ in 0..TRIES {
        if share.take(bytes) {
            return true;
        }
        places.send_away_most_untaken();
        sleep(PAUSE).await;
    }
    share.take(bytes)
}

struct Waiting {
    of: Untaken,
    number: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.of.lock().since.remove(&self.number);
    }
}

/// Bytes that are given back to the budget when the last part of them is dropped, which is when it is written.
struct Counted {
    bytes: Bytes,
    _share: BodyReservation,
    _waiting: Waiting,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_counts_until_its_last_byte_is_dropped() {
        let (untaken, budget) = (Untaken::default(), Budget::new(10));
        let places = Places::new(4, 4);
        let answer = |text: &'static str| Response::new(Body::from(text));
        let first = untaken.count(answer("12345678"), &budget, &places).await;
        let refused = untaken.count(answer("123"), &budget, &places).await;
        assert_eq!(refused.status(), 429);
        let bytes = first.into_body().collect().await.unwrap().to_bytes();
        let part = bytes.slice(7..);
        drop(bytes);
        assert_eq!(untaken.lock().since.len(), 1);
        drop(part);
        assert!(untaken.lock().since.is_empty());
        let again = untaken.count(answer("123"), &budget, &places).await;
        assert_eq!(again.status(), 200);
    }

    #[tokio::test]
    async fn who_holds_most_leaves_for_others() {
        let (places, budget) = (Places::new(4, 4), Budget::new(10));
        let peer = std::net::Ipv4Addr::LOCALHOST.into();
        let slow = places.take(peer).await.unwrap();
        let answer = |text: &'static str| Response::new(Body::from(text));
        let held = slow
            .untaken
            .count(answer("12345678"), &budget, &places)
            .await;
        let other = places.take(peer).await.unwrap();
        let leaving = async {
            slow.needed().await;
            drop(held);
        };
        let answered = other.untaken.count(answer("abc"), &budget, &places);
        let ((), answered) = tokio::join!(leaving, answered);
        assert_eq!(answered.status(), 200);
    }

    #[tokio::test]
    async fn only_an_answer_that_waits_is_overdue() {
        let (untaken, budget) = (Untaken::default(), Budget::new(10));
        let places = Places::new(4, 4);
        let patience = Duration::from_millis(20);
        let none = tokio::time::timeout(Duration::from_millis(100), untaken.overdue(patience));
        assert!(none.await.is_err());
        let _kept = untaken
            .count(Response::new(Body::from("x")), &budget, &places)
            .await;
        let waited = tokio::time::timeout(Duration::from_secs(10), untaken.overdue(patience));
        assert!(waited.await.is_ok());
    }
}

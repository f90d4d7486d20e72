//! Answers on their way to clients: counted in memory, and taken in time.
//!
//! A client that asks and does not read would otherwise have any number of answers wait for it, for as long as it likes.

use crate::serve::http::body_budget::{BodyReservation, Budget};
use crate::serve::http::places::Places;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::http::untaken::{Untaken, UntakenAnswer};
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};
use std::time::Duration;
use tokio::time::sleep;

/// How often memory is looked for: each time one connection more goes.
const TRIES: u32 = 100;
/// How long one takes to go.
const PAUSE: Duration = Duration::from_millis(2);

/// Where a connection's answers are counted.
#[derive(Debug, Clone)]
pub(crate) struct AnswerLimits {
    /// Those of the connection.
    pub(crate) untaken: Untaken,
    /// What all of them may take.
    pub(crate) budget: Budget,
    /// Who goes where they take more.
    pub(crate) places: Places,
}

impl AnswerLimits {
    /// `response`, whose bytes count in the budget until the connection has written the last of them. Where they do not fit, the
    /// connections that hold most are told to leave; a refusal where that does not help.
    pub(crate) async fn count(&self, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        let bytes = match body.collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) => return Problem::internal(error).into_response(),
        };
        if bytes.is_empty() {
            return Response::from_parts(parts, Body::empty());
        }
        let share = self.budget.share();
        if !take(&share, bytes.len(), &self.places).await {
            let refused = Problem::new(
                Code::Overloaded,
                "answers that clients have not taken fill the memory that is set apart for them; try again",
            );
            return refused.into_response();
        }
        let counted = Counted {
            _waiting: self.untaken.begin(bytes.len()),
            bytes,
            _share: share,
        };
        Response::from_parts(parts, Body::new(Full::new(Bytes::from_owner(counted))))
    }
}

/// Takes `bytes`, if need be from connections that are sent away for it.
async fn take(share: &BodyReservation, bytes: usize, places: &Places) -> bool {
    for _ in 0..TRIES {
        if share.take(bytes) {
            return true;
        }
        places.evict_most_untaken();
        sleep(PAUSE).await;
    }
    share.take(bytes)
}

/// Bytes that are given back to the budget when the last part of them is dropped, which is when it is written.
struct Counted {
    bytes: Bytes,
    _share: BodyReservation,
    _waiting: UntakenAnswer,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(untaken: &Untaken, places: &Places, budget: &Budget) -> AnswerLimits {
        AnswerLimits {
            untaken: untaken.clone(),
            budget: budget.clone(),
            places: places.clone(),
        }
    }

    fn answer(text: &'static str) -> Response {
        Response::new(Body::from(text))
    }

    #[tokio::test]
    async fn an_answer_counts_until_its_last_byte_is_dropped() {
        let untaken = Untaken::default();
        let limits = limits(&untaken, &Places::new(4, 4), &Budget::new(10));
        let first = limits.count(answer("12345678")).await;
        let refused = limits.count(answer("123")).await;
        assert_eq!(refused.status(), 429);
        let bytes = first.into_body().collect().await.unwrap().to_bytes();
        let part = bytes.slice(7..);
        drop(bytes);
        assert_eq!(untaken.bytes(), 8);
        drop(part);
        assert_eq!(untaken.bytes(), 0);
        let again = limits.count(answer("123")).await;
        assert_eq!(again.status(), 200);
    }

    #[tokio::test]
    async fn who_holds_most_leaves_for_others() {
        let (places, budget) = (Places::new(4, 4), Budget::new(10));
        let peer = std::net::Ipv4Addr::LOCALHOST.into();
        let slow = places.take(peer).await.unwrap();
        let held = limits(&slow.untaken, &places, &budget)
            .count(answer("12345678"))
            .await;
        let other = places.take(peer).await.unwrap();
        let others = limits(&other.untaken, &places, &budget);
        let leaving = async {
            slow.evicted().await;
            drop(held);
        };
        let ((), answered) = tokio::join!(leaving, others.count(answer("abc")));
        assert_eq!(answered.status(), 200);
    }
}

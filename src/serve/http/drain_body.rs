//! Bodies that are read on when nobody wants them any more.
//!
//! A refusal before the end of a body (too long, wrong type) would otherwise make the connection close while the
//! client is still sending, and the client's system would throw the answer away with the connection.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Most that is read on, in bytes: a client that sends more may lose the answer.
const MAX_BYTES: usize = 4 << 20;
/// How long is read on at most.
const MAX_TIME: Duration = Duration::from_secs(1);

/// Reads the rest of a body that its handler leaves unread.
pub(crate) async fn drain_body(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::new(Lingering(body))))
        .await
}

struct Lingering(Body);

impl HttpBody for Lingering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        if self.0.is_end_stream() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let body = std::mem::take(&mut self.0);
            // Running out of time is one of the ways to end.
            runtime.spawn(async { tokio::time::timeout(MAX_TIME, discard(body)).await.is_ok() });
        }
    }
}

async fn discard(mut body: Body) {
    let mut left = MAX_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

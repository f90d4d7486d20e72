//! The outermost layer: request id and trace, problem documents, metrics, `Server-Timing`, and one log line a request.

use crate::serve::dto::Classification;
use crate::serve::http::context::{REQUEST_ID, RequestId, TRACERESPONSE, Trace};
use crate::serve::http::problem::{Code, Problem};
use crate::serve::inference::request::Timings;
use crate::serve::spans::RequestSpan;
use crate::serve::state::AppState;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use std::time::{Duration, Instant};

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// What a handler tells this layer beside its response.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    timings: Timings,
    images: usize,
    verdict: Option<Verdict>,
}

#[derive(Debug, Clone)]
struct Verdict {
    class: u32,
    flagged: bool,
    policy: String,
    drop: f64,
}

impl Observed {
    /// One image was answered.
    #[must_use]
    pub(crate) fn one(timings: Timings, answer: &Classification) -> Self {
        Self {
            timings,
            images: 1,
            verdict: Some(Verdict {
                class: answer.class,
                flagged: answer.flagged,
                policy: answer.policy.clone(),
                drop: answer.drop,
            }),
        }
    }

    /// Many images were answered; `timings` are those of the chunk that took longest.
    #[must_use]
    pub(crate) fn many(timings: Timings, images: usize) -> Self {
        Self {
            timings,
            images,
            verdict: None,
        }
    }
}

/// Wraps every request.
pub(crate) async fn observe(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let id = RequestId::from_headers(request.headers());
    let line = Line {
        id: id.clone(),
        trace: Trace::from_headers(request.headers()),
        method: request.method().clone(),
        route: request.extensions().get::<MatchedPath>().cloned(),
    };
    let _in_flight = state.metrics().enter();
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    let problem = response.extensions_mut().remove::<Problem>();
    if let Some(problem) = &problem {
        if problem.code() == Code::Overloaded {
            state.metrics().count_rejected();
        }
        let (parts, _) = response.into_parts();
        response = problem.render(&id, parts.headers);
    }
    let observed = response.extensions_mut().remove::<Observed>();
    let total = started.elapsed();
    state
        .metrics()
        .count_request(line.route(), response.status().as_u16(), total);
    if let Some(observed) = &observed {
        state.metrics().observe_timings(&observed.timings);
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.header());
    headers.insert(SERVER_TIMING, server_timing(observed.as_ref(), total));
    if let Some(trace) = line.trace.as_ref().and_then(Trace::header) {
        headers.insert(TRACERESPONSE, trace);
    }
    if let (Some(spans), Some(trace)) = (state.spans(), &line.trace) {
        spans.record(&line.span(trace, response.status().as_u16(), observed.as_ref(), total));
    }
    line.write(
        response.status().as_u16(),
        observed.as_ref(),
        problem.as_ref(),
        total,
    );
    response
}

/// `decode;dur=0.041, queue;dur=0.006, inference;dur=0.371, total;dur=0.455`, in milliseconds.
fn server_timing(observed: Option<&Observed>, total: Duration) -> HeaderValue {
    let total = milliseconds(total);
    let text = match observed {
        Some(Observed { timings, .. }) => format!(
            "decode;dur={:.3}, queue;dur={:.3}, inference;dur={:.3}, total;dur={total:.3}",
            milliseconds(timings.decode),
            milliseconds(timings.queue),
            milliseconds(timings.inference),
        ),
        None => format!("total;dur={total:.3}"),
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("total"))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What the log line says of the request.
struct Line {
    id: RequestId,
    trace: Option<Trace>,
    method: Method,
    route: Option<MatchedPath>,
}

impl Line {
    /// The route's pattern: paths that match no route could hold anything and stay out of log and metrics.
    fn route(&self) -> &str {
        self.route.as_ref().map_or("unmatched", MatchedPath::as_str)
    }

    fn span<'a>(
        &'a self,
        trace: &'a Trace,
        status: u16,
        observed: Option<&'a Observed>,
        total: Duration,
    ) -> RequestSpan<'a> {
        let verdict = observed.and_then(|observed| observed.verdict.as_ref());
        RequestSpan {
            trace,
            request_id: self.id.as_str(),
            method: self.method.as_str(),
            route: self.route(),
            status,
            total,
            timings: observed.map(|observed| observed.timings),
            verdict: verdict.map(|verdict| (verdict.policy.as_str(), verdict.flagged)),
        }
    }

    fn write(
        &self,
        status: u16,
        observed: Option<&Observed>,
        problem: Option<&Problem>,
        total: Duration,
    ) {
        if let Some(reason) = problem.and_then(Problem::reason) {
            tracing::error!(request_id = self.id.as_str(), reason, "a request failed");
        }
        let timings = observed.map(|observed| observed.timings);
        let verdict = observed.and_then(|observed| observed.verdict.as_ref());
        let trace = self.trace.as_ref();
        let rounded = |duration: Duration| (milliseconds(duration) * 1e3).round() / 1e3;
        tracing::info!(
            target: "goodnet::request",
            request_id = self.id.as_str(),
            trace_id = trace.map(|trace| trace.id.as_str()),
            span_id = trace.map(|trace| trace.span.as_str()),
            parent_id = trace.map(|trace| trace.parent.as_str()),
            method = self.method.as_str(),
            route = self.route(),
            status,
            code = problem.map(|problem| problem.code().name()),
            class = verdict.map(|verdict| verdict.class),
            flagged = verdict.map(|verdict| verdict.flagged),
            policy = verdict.map(|verdict| verdict.policy.as_str()),
            drop = verdict.map(|verdict| verdict.drop),
            images = observed.map(|observed| observed.images),
            decode_ms = timings.map(|timings| rounded(timings.decode)),
            queue_ms = timings.map(|timings| rounded(timings.queue)),
            inference_ms = timings.map(|timings| rounded(timings.inference)),
            total_ms = rounded(total),
            "request"
        );
    }
}

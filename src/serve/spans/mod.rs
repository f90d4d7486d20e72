//! Spans of requests, for a collector of traces.

#[cfg(not(feature = "otlp"))]
mod none;
#[cfg(feature = "otlp")]
mod otlp;

#[cfg(not(feature = "otlp"))]
pub use none::Spans;
#[cfg(feature = "otlp")]
pub use otlp::Spans;

use crate::serve::http::context::Trace;
use crate::serve::inference::request::Timings;
use std::time::Duration;

/// A collector that spans cannot be sent to.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected the address of a collector such as http://127.0.0.1:4318, found {address:?}: {reason}"
)]
pub struct CollectorError {
    /// What was asked for.
    pub address: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A request that was answered.
#[derive(Debug)]
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "nobody is told"))]
pub(crate) struct RequestSpan<'a> {
    /// Its place in its caller's trace.
    pub(crate) trace: &'a Trace,
    /// Its id.
    pub(crate) request_id: &'a str,
    /// How it asked.
    pub(crate) method: &'a str,
    /// The pattern of the route.
    pub(crate) route: &'a str,
    /// The answer's status.
    pub(crate) status: u16,
    /// From its headers to its answer.
    pub(crate) total: Duration,
    /// Where the time went, where images were answered.
    pub(crate) timings: Option<Timings>,
    /// The policy and whether the image is flagged, where one was answered.
    pub(crate) verdict: Option<(&'a str, bool)>,
}

//! Spans over OTLP (HTTP, protobuf): one of every request whose caller records its trace.

mod client;

use super::{CollectorError, RequestSpan};
use client::Client;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor,
};
use std::time::{Duration, SystemTime};

/// Below it an answer is no fault of the service's.
const FIRST_SERVER_ERROR: u16 = 500;

/// Sends spans in batches, from a thread of its own behind a bounded queue; never makes a request wait.
#[derive(Debug)]
pub struct Spans {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
}

impl Spans {
    /// Sends to the collector at `address`; must be called on the runtime that its connections are to live on.
    ///
    /// # Errors
    /// If `address` is none of plain HTTP.
    pub fn to_collector(address: &str) -> Result<Self, CollectorError> {
        let refused = |reason: String| CollectorError {
            address: address.to_owned(),
            reason,
        };
        if !address.starts_with("http://") {
            return Err(refused("it does not begin with http://".to_owned()));
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", address.trim_end_matches('/')))
            .with_http_client(Client::on_this_runtime())
            .build()
            .map_err(|error| refused(error.to_string()))?;
        let mut processor = BatchSpanProcessor::builder(exporter).build();
        processor.set_resource(&Resource::builder().with_service_name("goodnet").build());
        Ok(Self {
            processor,
            scope: InstrumentationScope::builder("goodnet")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        })
    }

    /// Takes up a request whose caller records its trace.
    pub(crate) fn record(&self, request: &RequestSpan<'_>) {
        let Some((span_context, parent_span_id)) = place(request) else {
            return;
        };
        let end_time = SystemTime::now();
        self.processor.on_end(SpanData {
            span_context,
            parent_span_id,
            parent_span_is_remote: true,
            span_kind: SpanKind::Server,
            name: format!("{} {}", request.method, request.route).into(),
            start_time: end_time - request.total,
            end_time,
            attributes: attributes(request),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match request.status >= FIRST_SERVER_ERROR {
                true => Status::error(""),
                false => Status::Unset,
            },
            instrumentation_scope: self.scope.clone(),
        });
    }

    /// Waits until what was recorded is sent, or cannot be.
    pub fn flush(&self) {
        if let Err(error) = self.processor.force_flush() {
            tracing::warn!(%error, "spans are lost");
        }
    }
}

/// Span and parent; none where the caller does not record.
fn place(request: &RequestSpan<'_>) -> Option<(SpanContext, SpanId)> {
    let trace = request.trace;
    if !trace.is_recorded() {
        return None;
    }
    let span = SpanContext::new(
        TraceId::from_hex(&trace.id).ok()?,
        SpanId::from_hex(&trace.span).ok()?,
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    );
    Some((span, SpanId::from_hex(&trace.parent).ok()?))
}

/// Names as OpenTelemetry's conventions have them, and goodnet's own.
fn attributes(request: &RequestSpan<'_>) -> Vec<KeyValue> {
    let mut all = vec![
        KeyValue::new("http.request.method", request.method.to_owned()),
        KeyValue::new("http.route", request.route.to_owned()),
        KeyValue::new("http.response.status_code", i64::from(request.status)),
        KeyValue::new("goodnet.request_id", request.request_id.to_owned()),
    ];
    if let Some(timings) = request.timings {
        let seconds = |name, time: Duration| KeyValue::new(name, time.as_secs_f64());
        all.push(seconds("goodnet.decode_seconds", timings.decode));
        all.push(seconds("goodnet.queue_seconds", timings.queue));
        all.push(seconds("goodnet.inference_seconds", timings.inference));
    }
    if let Some((policy, flagged)) = request.verdict {
        all.push(KeyValue::new("goodnet.policy", policy.to_owned()));
        all.push(KeyValue::new("goodnet.flagged", flagged));
    }
    all
}

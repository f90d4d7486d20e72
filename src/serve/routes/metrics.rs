//! `GET /metrics`.

use crate::serve::http::negotiate::prefer;
use crate::serve::http::problem::Problem;
use crate::serve::http::responses::ServiceProblems;
use crate::serve::state::AppState;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// Content type of the Prometheus/OpenMetrics text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The same as browsers show it.
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What is offered; a browser, which asks for HTML, gets plain text.
const OFFERED: [&str; 3] = ["application/openmetrics-text", "text/plain", "text/html"];

/// Metrics
///
/// In the OpenMetrics text format, as Prometheus reads it; as plain text where `Accept` would rather have text.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses(
        (status = 200, description = "Every metric", content((String = "application/openmetrics-text"), (String = "text/plain"))),
        ServiceProblems,
    )
)]
pub(crate) async fn metrics(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let kind = match prefer(&headers, &OFFERED) {
        Some("text/plain" | "text/html") => PLAIN,
        _ => OPEN_METRICS,
    };
    let loaded = state.loaded().ok();
    match state
        .metrics()
        .render(loaded.as_deref(), state.quarantine())
    {
        Ok(text) => (
            [(header::CONTENT_TYPE, HeaderValue::from_static(kind))],
            text,
        )
            .into_response(),
        Err(error) => Problem::internal(error).into_response(),
    }
}

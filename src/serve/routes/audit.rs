//! `GET /audit`: the audit's report, as the repair left it in the bundle.

use crate::audit::report::{REPORT_HTML, REPORT_JSON};
use crate::bundle::manifest::AUDIT_FOLDER;
use crate::serve::http::negotiate::prefer;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::http::responses::{NegotiationProblems, ServiceProblems};
use crate::serve::state::AppState;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

const HTML: &str = "text/html";
const JSON: &str = "application/json";
/// The page brings its style and its pictures along and needs nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The audit's report
///
/// Is the network backdoored, towards which label, and what may the trigger look like? A page or JSON by `Accept`.
#[utoipa::path(
    get,
    path = "/audit",
    tag = "bundle",
    responses(
        (status = 200, description = "The report", content(
            (String = "text/html"), (serde_json::Value = "application/json"))),
        (status = 404, description = "The bundle has no report", body = crate::serve::http::problem::ProblemBody,
            content_type = "application/problem+json"),
        NegotiationProblems,
        ServiceProblems,
    )
)]
pub(crate) async fn audit(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let loaded = state.loaded()?;
    let kind = prefer(&headers, &[HTML, JSON]).ok_or_else(|| {
        Problem::new(
            Code::NotAcceptable,
            format!("expected an Accept header with {HTML} or {JSON}"),
        )
    })?;
    let (name, content_type) = match kind {
        JSON => (REPORT_JSON, JSON),
        _ => (REPORT_HTML, "text/html; charset=utf-8"),
    };
    let file = loaded.bundle.file(&format!("{AUDIT_FOLDER}/{name}"));
    let file = file.ok_or_else(|| {
        Problem::new(
            Code::NotFound,
            "expected a bundle with an audit's report; `goodnet repair` makes one unless --effort is 0",
        )
    })?;
    let mut response = file.to_vec().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    );
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

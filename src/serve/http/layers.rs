//! What wraps every request, in one place and in order.

use super::{auth, cors, drain_body, hosts, observe};
use crate::serve::http::problem::{Code, Problem};
use crate::serve::routes::health;
use crate::serve::state::{AppState, Phase};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use std::any::Any;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

/// Wraps `router`; a request goes through the layers from top to bottom.
pub(crate) fn wrap(router: Router, state: &AppState) -> Router {
    let inner = ServiceBuilder::new()
        .layer(from_fn_with_state(state.clone(), refuse_while_draining))
        .layer(from_fn_with_state(state.clone(), deadline))
        .layer(from_fn_with_state(state.clone(), auth::require_key))
        // Bodies are read under the service's own limits.
        .layer(DefaultBodyLimit::disable());
    let outer = ServiceBuilder::new()
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .layer(from_fn(drain_body::drain_body))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), hosts::check));
    let router = router.layer(inner);
    // Before the keys: a browser asks what it may send without one.
    let router = match cors::layer(&state.config().access.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    router.layer(outer)
}

async fn deadline(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let limit = state.config().timeouts.request;
    tokio::time::timeout(limit, next.run(request))
        .await
        .map_err(|_| {
            Problem::new(
                Code::Timeout,
                format!("expected to answer within {} s", limit.as_secs_f64()),
            )
        })
}

async fn refuse_while_draining(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if state.phase() == Phase::Draining && !health::is_probe(request.uri().path()) {
        return Err(Problem::new(Code::Draining, "the service is about to exit"));
    }
    Ok(next.run(request).await)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "unknown".to_owned());
    Problem::internal(format!("a handler panicked: {text}")).into_response()
}

//! `GET /healthz` and `GET /readyz`.

use crate::serve::dto::Health;
use crate::serve::http::problem::{Code, Problem, ProblemBody};
use crate::serve::state::{AppState, Phase};
use axum::Json;
use axum::extract::State;

/// Paths that answer without a key, while draining, and however full the queue is.
const PROBES: [&str; 4] = ["/healthz", "/readyz", "/v2/health/live", "/v2/health/ready"];

/// Is `path` a probe?
#[must_use]
pub(crate) fn is_probe(path: &str) -> bool {
    PROBES.contains(&path)
}

/// Ready: a bundle is loaded, warmed up and tested, its threads run, and the service is not about to exit.
///
/// # Errors
/// [`Code::NotReady`] or [`Code::Draining`], with the reason.
pub(crate) fn check_ready(state: &AppState) -> Result<(), Problem> {
    if state.phase() != Phase::Serving {
        return Err(Problem::new(Code::Draining, "the service is about to exit"));
    }
    if state.loaded()?.pool.loaded_sets() == 0 {
        return Err(Problem::new(Code::NotReady, "no inference thread runs"));
    }
    Ok(())
}

/// Live
///
/// The process runs and answers.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    security(()),
    responses((status = 200, description = "Live", body = Health))
)]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "live" })
}

/// Ready
///
/// A bundle is loaded, warmed up and has answered its stored samples as when it was made.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    security(()),
    responses(
        (status = 200, description = "Ready", body = Health),
        (status = 503, description = "`not_ready` or `draining`: the detail says why", body = ProblemBody,
            content_type = "application/problem+json"),
    )
)]
pub(crate) async fn readyz(State(state): State<AppState>) -> Result<Json<Health>, Problem> {
    check_ready(&state)?;
    Ok(Json(Health { status: "ready" }))
}

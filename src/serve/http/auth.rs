//! Requests that must carry a bearer key (RFC 6750).

use crate::serve::http::problem::{Code, Problem};
use crate::serve::state::AppState;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;

/// Lets a request through if no keys are set, its path is exempt, or it carries a key.
pub(crate) async fn require_key(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let access = &state.config().access;
    let Some(keys) = state.keys() else {
        return Ok(next.run(request).await);
    };
    let path = request.uri().path();
    let exempt = crate::serve::routes::health::is_probe(path)
        || crate::serve::routes::ui::is_page(path)
        || (access.open_metrics && path == "/metrics");
    let key = bearer(&request);
    if exempt || key.is_some_and(|key| keys.admit(key)) {
        return Ok(next.run(request).await);
    }
    let found = match key {
        Some(_) => ", found another key",
        None => "",
    };
    Err(Problem::new(
        Code::Unauthorized,
        format!(
            "expected the header `Authorization: Bearer KEY` with a key of this service{found}"
        ),
    ))
}

fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

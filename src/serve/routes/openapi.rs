//! The OpenAPI document: `GET /openapi.yaml` and `GET /openapi.json`.

use crate::serve::http::problem::Problem;
use crate::serve::state::AppState;
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::LazyLock;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// What the document says beside the routes.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "goodnet",
        description = "Ask a classifier that may have a backdoor, and its repaired self: where the two disagree, the input is flagged.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        contact(),
    ),
    modifiers(&BearerKeys),
    security((), ("key" = [])),
    tags(
        (name = "classify", description = "Answers"),
        (name = "bundle", description = "What is in service, and what it was measured to do"),
        (name = "quarantine", description = "Flagged inputs that were kept"),
        (name = "operations", description = "Probes and metrics"),
    )
)]
pub(crate) struct Document;

struct BearerKeys;

impl Modify for BearerKeys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A key of the service, where it was started with keys"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
    }
}

static YAML: LazyLock<Result<String, String>> = LazyLock::new(|| {
    let document = super::api().into_openapi();
    document.to_yaml().map_err(|error| error.to_string())
});

static JSON: LazyLock<Result<String, String>> = LazyLock::new(|| {
    let document = super::api().into_openapi();
    document.to_pretty_json().map_err(|error| error.to_string())
});

/// The document as YAML: the contract, as the repository holds it.
///
/// # Errors
/// If it cannot be written as YAML.
pub fn yaml() -> Result<&'static str, String> {
    YAML.as_deref().map_err(Clone::clone)
}

/// The document as a JSON value.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn json() -> Result<serde_json::Value, serde_json::Error> {
    serde_json::to_value(super::api().into_openapi())
}

/// The documents' own routes; they describe the interface and are not part of it.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route(
            "/openapi.yaml",
            get(async || document("application/yaml", &YAML)),
        )
        .route(
            "/openapi.json",
            get(async || document("application/json", &JSON)),
        )
}

fn document(
    kind: &'static str,
    text: &'static LazyLock<Result<String, String>>,
) -> Result<Response, Problem> {
    let text = text.as_deref().map_err(Problem::internal)?;
    Ok((
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind))],
        text,
    )
        .into_response())
}

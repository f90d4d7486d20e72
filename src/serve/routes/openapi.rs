//! The OpenAPI document: `GET /openapi.yaml` and `GET /openapi.json`.

use crate::serve::http::problem::Problem;
use crate::serve::state::AppState;
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::LazyLock;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, RefOr, Required};
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

/// Answers of the shipped bundle's service, as clients got them.
const EXAMPLES: &[(&str, &str)] = &[
    ("/classify", include_str!("examples/classify.json")),
    ("/classify/batch", include_str!("examples/batch.json")),
    ("/v2/models/{name}", include_str!("examples/model.json")),
    ("/v2/repository/index", include_str!("examples/index.json")),
];

/// The finished document: the routes' descriptions, and examples of their answers.
fn finished() -> utoipa::openapi::OpenApi {
    let mut document = super::api().into_openapi();
    for (path, example) in EXAMPLES {
        if let Some(content) = answer_of(&mut document, path) {
            content.example = serde_json::from_str(example).ok();
        }
    }
    for item in document.paths.paths.values_mut() {
        let body = item
            .post
            .as_mut()
            .and_then(|post| post.request_body.as_mut());
        if let Some(RefOr::T(body)) = body {
            body.required = Some(Required::True);
        }
    }
    document
}

/// The JSON of `path`'s good answer.
fn answer_of<'a>(
    document: &'a mut utoipa::openapi::OpenApi,
    path: &str,
) -> Option<&'a mut Content> {
    let item = document.paths.paths.get_mut(path)?;
    let operation = item.post.as_mut().or(item.get.as_mut())?;
    let RefOr::T(answer) = operation.responses.responses.get_mut("200")? else {
        return None;
    };
    match answer.content.get_mut("application/json")? {
        RefOr::T(content) => Some(content),
        RefOr::Ref(_) => None,
    }
}

static YAML: LazyLock<Result<String, String>> = LazyLock::new(|| {
    let document = finished();
    document.to_yaml().map_err(|error| error.to_string())
});

static JSON: LazyLock<Result<String, String>> = LazyLock::new(|| {
    let document = finished();
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
    serde_json::to_value(finished())
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

//! The Open Inference Protocol v2 (KServe's REST form), so that existing clients work as they are.
//!
//! Source: the protocol's REST specification and its binary tensor data extension. Models: `goodnet` (or what
//! `--model-name` calls it: what the policy decides, and every network's probabilities), `badnet`, and `pruned_X` for every drop X. Tensors are the networks' own: values after preprocessing.
//!
//! In reading order: `model` (which models there are), `values`, `request` and `response` (bytes), `infer` (the
//! work), and here the routes that only tell.

mod infer;
mod model;
mod request;
mod response;
mod values;

use crate::input::InputSpec;
use crate::serve::http::path::Path;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::routes::health::check_ready;
use crate::serve::state::AppState;
use crate::tensor::Tensor;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use model::{V2Model, VERSION};
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, with their description.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(server))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(metadata))
        .routes(routes!(metadata_of_version))
        .routes(routes!(model_ready))
        .routes(routes!(model_ready_of_version))
        .routes(routes!(configuration))
        .routes(routes!(configuration_of_version))
        .routes(routes!(index))
        .routes(routes!(infer::infer))
        .routes(routes!(infer::infer_version))
}

/// The server
///
/// Name, version and extensions.
#[utoipa::path(get, path = "/v2", tag = "v2", responses((status = 200, description = "The server", body = Value)))]
async fn server() -> Json<Value> {
    Json(json!({
        "name": "goodnet",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": ["binary_tensor_data", "model_configuration"],
    }))
}

/// Live
#[utoipa::path(get, path = "/v2/health/live", tag = "v2", security(()),
    responses((status = 200, description = "Live", body = Value)))]
async fn live(State(state): State<AppState>) -> Json<Value> {
    Json(json!({ "live": true, "ready": check_ready(&state).is_ok() }))
}

/// Ready
#[utoipa::path(get, path = "/v2/health/ready", tag = "v2", security(()),
    responses((status = 200, description = "Ready", body = Value), crate::serve::http::responses::ServiceProblems))]
async fn ready(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    check_ready(&state)?;
    Ok(Json(json!({ "live": true, "ready": true })))
}

/// A model
///
/// Its inputs and outputs; -1 stands for the batch.
#[utoipa::path(get, path = "/v2/models/{name}", tag = "v2", params(("name" = String, Path)),
    responses((status = 200, description = "The model", body = Value),
        crate::serve::http::responses::NamedProblems, crate::serve::http::responses::ServiceProblems))]
async fn metadata(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let loaded = state.loaded()?;
    let main = &state.config().model_name;
    let model = V2Model::find(&loaded, main, &name)?;
    Ok(Json(model.metadata(&loaded, main)))
}

/// A version of a model
#[utoipa::path(get, path = "/v2/models/{name}/versions/{version}", tag = "v2",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, description = "The model", body = Value),
        crate::serve::http::responses::NamedProblems, crate::serve::http::responses::ServiceProblems))]
async fn metadata_of_version(
    state: State<AppState>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    check_version(&version)?;
    metadata(state, Path(name)).await
}

/// Is a model ready?
#[utoipa::path(get, path = "/v2/models/{name}/ready", tag = "v2", params(("name" = String, Path)),
    responses((status = 200, description = "Ready", body = Value),
        crate::serve::http::responses::NamedProblems, crate::serve::http::responses::ServiceProblems))]
async fn model_ready(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    check_ready(&state)?;
    V2Model::find(&*state.loaded()?, &state.config().model_name, &name)?;
    Ok(Json(json!({ "name": name, "ready": true })))
}

/// Is a version of a model ready?
#[utoipa::path(get, path = "/v2/models/{name}/versions/{version}/ready", tag = "v2",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, description = "Ready", body = Value),
        crate::serve::http::responses::NamedProblems, crate::serve::http::responses::ServiceProblems))]
async fn model_ready_of_version(
    state: State<AppState>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    check_version(&version)?;
    model_ready(state, Path(name)).await
}

/// The configuration of a model
///
/// As Triton's clients ask for it; the batch is not among the extents.
#[utoipa::path(get, path = "/v2/models/{name}/config", tag = "v2", params(("name" = String, Path)),
    responses((status = 200, description = "The configuration", body = Value),
        crate::serve::http::responses::NamedProblems, crate::serve::http::responses::ServiceProblems))]
async fn configuration(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    let loaded = state.loaded()?;
    let config = state.config();
    let model = V2Model::find(&loaded, &config.model_name, &name)?;
    let most = config.limits.batch_images;
    Ok(Json(model.configuration(&loaded, &config.model_name, most)))
}

/// The configuration of a version of a model
#[utoipa::path(get, path = "/v2/models/{name}/versions/{version}/config", tag = "v2",
    params(("name" = String, Path), ("version" = String, Path)),
    responses((status = 200, description = "The configuration", body = Value),
        crate::serve::http::responses::NamedProblems, crate::serve::http::responses::ServiceProblems))]
async fn configuration_of_version(
    state: State<AppState>,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    check_version(&version)?;
    configuration(state, Path(name)).await
}

/// The models
///
/// As Triton's clients ask for them: a bundle is in service whole, so that every model is `READY`. The body is not read.
#[utoipa::path(post, path = "/v2/repository/index", tag = "v2",
    responses((status = 200, description = "The models", body = Vec<Value>), crate::serve::http::responses::ServiceProblems))]
async fn index(State(state): State<AppState>) -> Result<Json<Vec<Value>>, Problem> {
    let loaded = state.loaded()?;
    let main = &state.config().model_name;
    let ready = |model: V2Model| json!({ "name": model.name(&loaded, main), "version": VERSION, "state": "READY", "reason": "" });
    Ok(Json(V2Model::all(&loaded).into_iter().map(ready).collect()))
}

/// What [`request`] reads out of a body for the model `goodnet`: the images and the number of outputs.
pub(crate) fn read(
    length: Option<&HeaderValue>,
    body: &[u8],
    spec: &InputSpec,
    max_images: usize,
) -> Result<(Tensor, usize), Problem> {
    let request = request::parse(
        length,
        body,
        V2Model::Goodnet { repaired: true },
        spec,
        max_images,
    )?;
    Ok((request.images, request.outputs.len()))
}

fn check_version(version: &str) -> Result<(), Problem> {
    if version == VERSION {
        return Ok(());
    }
    Err(Problem::new(
        Code::NotFound,
        format!("expected version {VERSION}, found {version:?}"),
    ))
}

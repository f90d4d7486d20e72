//! `POST …/infer`.

use super::check_version;
use super::model::Served2;
use super::wire::{parse, respond};
use crate::serve::payload;
use crate::serve::problem::Problem;
use crate::serve::responses::{ImageProblems, QueryProblems, ServiceProblems};
use crate::serve::state::AppState;
use axum::extract::{Path, Request, State};
use axum::response::Response;

/// Infer
///
/// Tensors in, tensors out: FP32 values after preprocessing, as JSON or with the binary tensor data extension.
#[utoipa::path(post, path = "/v2/models/{name}/infer", tag = "v2", params(("name" = String, Path)),
    request_body(content((Value = "application/json"), (Value = "application/octet-stream"))),
    responses((status = 200, description = "The outputs", body = Value), QueryProblems, ImageProblems, ServiceProblems))]
pub(super) async fn infer(
    State(state): State<AppState>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let served = state.served()?;
    let model = Served2::find(&served, &name)?;
    let headers = request.headers().clone();
    let limits = state.config().limits;
    let body = payload::whole(request, limits.batch_body).await?;
    let input = &served.manifest().input;
    let request = parse(&headers, &body, model, input, limits.batch_images)?;
    let admission = served.pool.admit(request.images.rows())?;
    let images = request.images;
    let answers = admission
        .run(move |networks, _waited| networks.run(images.view()))
        .await?
        .map_err(Problem::internal)?;
    let classes = served.manifest().classes;
    let outputs = request
        .outputs
        .iter()
        .map(|wanted| (model.output(wanted.name, &answers, classes), wanted.binary))
        .collect();
    Ok(respond(&model.name(&served), request.id, outputs))
}

/// Infer with a version of a model
#[utoipa::path(post, path = "/v2/models/{name}/versions/{version}/infer", tag = "v2",
    params(("name" = String, Path), ("version" = String, Path)),
    request_body(content((Value = "application/json"), (Value = "application/octet-stream"))),
    responses((status = 200, description = "The outputs", body = Value), QueryProblems, ImageProblems, ServiceProblems))]
pub(super) async fn infer_version(
    state: State<AppState>,
    Path((name, version)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    check_version(&version)?;
    infer(state, Path(name), request).await
}

//! `POST …/infer`.

use crate::engine::{GoodNet, PoolError};
use crate::serve::http::observe::Observed;
use crate::serve::http::path::Path;
use crate::serve::http::payload;
use crate::serve::http::problem::Problem;
use crate::serve::http::responses::{ImageProblems, QueryProblems, ServiceProblems};
use crate::serve::inference::request::Timings;
use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::routes::v2::check_version;
use crate::serve::routes::v2::model::V2Model;
use crate::serve::routes::v2::wire::{HEADER_LENGTH, InferRequest, parse, respond};
use crate::serve::state::AppState;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
) -> Result<(Extension<Observed>, Response), Problem> {
    let loaded = state.loaded()?;
    let model = V2Model::find(&loaded, &name)?;
    let length = request.headers().get(HEADER_LENGTH).cloned();
    let (body, _held) = payload::tensors(&state, request).await?;
    let max_images = state.config().limits.batch_images;
    let shared = Arc::clone(&loaded);
    let job = move |networks: &mut GoodNet, queue| {
        let started = Instant::now();
        let input = &shared.manifest().input;
        let request = parse(length.as_ref(), &body, model, input, max_images)?;
        drop(body);
        answer(&shared, networks, model, request, (queue, started))
    };
    // Reading the body takes as long as its client likes: it holds a place, too.
    let outcome = loaded.pool.admit(1)?.run(job).await;
    if matches!(outcome, Err(PoolError::Panicked)) {
        state.metrics().count_panic();
    }
    outcome?
}

/// Answers `request` on an inference thread, which holds one place; the other images take theirs here.
fn answer(
    loaded: &LoadedBundle,
    networks: &mut GoodNet,
    model: V2Model,
    request: InferRequest,
    (queue, started): (Duration, Instant),
) -> Result<(Extension<Observed>, Response), Problem> {
    let rows = request.images.rows();
    let _places = loaded.pool.admit_beside(1, rows - 1)?;
    let decode = started.elapsed();
    let answers = networks
        .run(request.images.view())
        .map_err(Problem::internal)?;
    let classes = loaded.manifest().classes;
    let outputs = request
        .outputs
        .iter()
        .map(|wanted| (model.output(wanted.name, &answers, classes), wanted.binary))
        .collect();
    let response = respond(&model.name(loaded), request.id, outputs);
    let timings = Timings {
        queue,
        decode,
        inference: started.elapsed() - decode,
    };
    Ok((Extension(Observed::many(timings, rows)), response))
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
) -> Result<(Extension<Observed>, Response), Problem> {
    check_version(&version)?;
    infer(state, Path(name), request).await
}

//! `POST /classify/batch`: many images in one form, an answer or a problem for each.

use crate::serve::dto::{BatchAnswer, BatchItem, Classification, ImagesForm};
use crate::serve::http::context::RequestId;
use crate::serve::http::names::KnownQuery;
use crate::serve::http::observe::Observed;
use crate::serve::http::payload::{self, Part};
use crate::serve::http::problem::Problem;
use crate::serve::http::responses::{ImageProblems, QueryProblems, ServiceProblems};
use crate::serve::inference::dispatch::DecodeGuard;
use crate::serve::inference::request::{ClassifyOptions, Payload, Timings};
use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::routes::classify::{self, ClassifyQuery};
use crate::serve::state::AppState;
use axum::Json;
use axum::extract::{Extension, Request, State};
use std::sync::Arc;

/// Images that one run of the networks takes at most: larger batches are no faster an image, and spread worse.
const CHUNK: usize = 16;

type Results = Vec<Result<Classification, Problem>>;

/// Classify many images
///
/// One part of the form an image; the results are in the order of the parts. An image that cannot be answered has its
/// problem in its place and spoils no other.
#[utoipa::path(
    post,
    path = "/classify/batch",
    tag = "classify",
    params(ClassifyQuery),
    request_body(content = ImagesForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "An answer or a problem for each image", body = BatchAnswer),
        QueryProblems,
        ImageProblems,
        ServiceProblems,
    )
)]
pub(crate) async fn classify_batch(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    KnownQuery(query): KnownQuery<ClassifyQuery>,
    request: Request,
) -> Result<(Extension<Observed>, Json<BatchAnswer>), Problem> {
    let loaded = state.loaded()?;
    let options = query.resolve(&loaded, &id)?;
    let (parts, _held) = payload::many(&state, request).await?;
    let (names, payloads): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .map(|Part { name, payload }| (name, payload))
        .unzip();
    let policy = options.policy.clone();
    let (results, timings) = run_chunks(&state, &loaded, payloads, options).await?;
    for answer in results.iter().flatten() {
        state
            .metrics()
            .count_verdict(&loaded, &classify::counted(&policy, answer));
    }
    let observed = Observed::many(timings, results.len());
    let items = results.into_iter().zip(names).enumerate();
    let results = items
        .map(|(index, (result, name))| item(index, name, result, &id))
        .collect();
    let answer = BatchAnswer {
        results,
        request_id: id.to_string(),
    };
    Ok((Extension(observed), Json(answer)))
}

/// Takes a place for every image at once, then spreads the chunks over the inference threads.
async fn run_chunks(
    state: &AppState,
    loaded: &Arc<LoadedBundle>,
    payloads: Vec<Payload>,
    options: ClassifyOptions,
) -> Result<(Results, Timings), Problem> {
    let mut places = loaded.pool.admit(payloads.len())?;
    let guard = DecodeGuard::new(loaded);
    let mut runs = Vec::new();
    let mut rest = payloads;
    while !rest.is_empty() {
        let later = rest.split_off(rest.len().min(CHUNK));
        let chunk = std::mem::replace(&mut rest, later);
        let admission = places
            .split(chunk.len())
            .ok_or_else(|| Problem::internal("fewer places than images"))?;
        runs.push(classify::run(
            state,
            loaded,
            admission,
            chunk,
            options.clone(),
            &guard,
        ));
    }
    let mut results = Vec::new();
    let mut slowest = Timings::default();
    for (answers, timings) in futures_util::future::try_join_all(runs).await? {
        results.extend(answers);
        if timings.total() > slowest.total() {
            slowest = timings;
        }
    }
    Ok((results, slowest))
}

fn item(
    index: usize,
    name: Option<String>,
    result: Result<Classification, Problem>,
    id: &RequestId,
) -> BatchItem {
    let (answer, problem) = match result {
        Ok(answer) => (Some(answer), None),
        Err(problem) => (None, Some(problem.document(id))),
    };
    BatchItem {
        index,
        name,
        answer,
        problem,
    }
}

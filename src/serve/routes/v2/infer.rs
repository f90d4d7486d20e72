//! `POST …/infer`.

use crate::defence::Policy;
use crate::domain::scores::argmax;
use crate::engine::{EngineError, GoodNet};
use crate::serve::http::observe::Observed;
use crate::serve::http::path::Path;
use crate::serve::http::payload;
use crate::serve::http::problem::Problem;
use crate::serve::http::responses::{ImageProblems, QueryProblems, ServiceProblems};
use crate::serve::inference::evaluate::{Evaluated, evaluate};
use crate::serve::inference::policy::{ChosenPolicy, Decision};
use crate::serve::inference::pool::PoolError;
use crate::serve::inference::request::Timings;
use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::metrics::Counted;
use crate::serve::routes::v2::check_version;
use crate::serve::routes::v2::model::{V2Model, disagreement_verdicts};
use crate::serve::routes::v2::request::{HEADER_LENGTH, InferRequest, parse};
use crate::serve::routes::v2::response::respond;
use crate::serve::state::AppState;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use serde_json::{Value, json};
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
    let model = V2Model::find(&loaded, &state.config().model_name, &name)?;
    let length = request.headers().get(HEADER_LENGTH).cloned();
    let (body, _held) = payload::tensors(&state, request).await?;
    let max_images = state.config().limits.batch_images;
    let shared = Arc::clone(&loaded);
    let job = move |networks: &mut GoodNet, queue| {
        let started = Instant::now();
        let input = &shared.manifest().input;
        let request = parse(length.as_ref(), &body, model, input, max_images)?;
        drop(body);
        answer(&shared, networks, (model, &name), request, (queue, started))
    };
    // Reading the body takes as long as its client likes: it holds a place, too.
    let outcome = loaded.pool.admit(1)?.run(job).await;
    if matches!(outcome, Err(PoolError::Panicked)) {
        state.metrics().count_panic();
    }
    let (observed, response, counted) = outcome??;
    for counted in &counted {
        state.metrics().count_verdict(&loaded, counted);
    }
    Ok((Extension(observed), response))
}

/// What comes of a request.
type Inferred = (Observed, Response, Vec<Counted>);

/// Answers `request` on an inference thread, which holds one place; the other images take theirs here.
fn answer(
    loaded: &LoadedBundle,
    networks: &mut GoodNet,
    (model, name): (V2Model, &str),
    request: InferRequest,
    (queue, started): (Duration, Instant),
) -> Result<Inferred, Problem> {
    let rows = request.images.rows();
    let policy = policy(loaded, model, &request)?;
    let _places = loaded.pool.admit_more(1, rows - 1)?;
    let decode = started.elapsed();
    let evaluated = evaluate(networks, &loaded.image_shape(), request.images.data)
        .map_err(Problem::internal)?;
    let decide = |evaluated: Evaluated| {
        let decision = evaluated.decide_with_checks(&policy, networks)?;
        Ok((evaluated, decision))
    };
    let answered: Vec<(Evaluated, Decision)> = evaluated
        .into_iter()
        .map(decide)
        .collect::<Result<_, EngineError>>()
        .map_err(Problem::internal)?;
    let outputs = request
        .outputs
        .iter()
        .map(|wanted| (model.output(wanted.name, &answered), wanted.binary))
        .collect();
    let decides = matches!(model, V2Model::Goodnet { .. });
    let parameters = decides.then(|| parameters(loaded, &policy));
    let response = respond(name, request.id, parameters, outputs);
    let timings = Timings {
        queue,
        decode,
        inference: started.elapsed() - decode,
    };
    let counted = answered.iter().filter(|_| decides);
    let counted = counted.map(|answered| count(&policy, answered)).collect();
    Ok((Observed::many(timings, rows), response, counted))
}

/// The policy that decides; the networks alone are answered by the lab's rule, which asks nothing of them.
fn policy(
    loaded: &LoadedBundle,
    model: V2Model,
    request: &InferRequest,
) -> Result<ChosenPolicy, Problem> {
    match model {
        V2Model::Goodnet { .. } => {
            loaded.choose(request.policy.as_deref(), request.drop.as_deref())
        }
        V2Model::Badnet | V2Model::Pruned(_) => {
            loaded.choose(Some(Policy::Disagreement.name()), None)
        }
    }
}

/// What decided, for the client.
fn parameters(loaded: &LoadedBundle, policy: &ChosenPolicy) -> Value {
    let drop = policy.own_drop().map(|drop| loaded.drops[drop].points);
    let mut parameters = json!({ "policy": policy.policy.name() });
    if let Some(drop) = drop {
        parameters["drop"] = json!(drop);
    }
    parameters
}

fn count(policy: &ChosenPolicy, (evaluated, decision): &(Evaluated, Decision)) -> Counted {
    let flag = i64::try_from(evaluated.badnet().len()).unwrap_or(i64::MAX);
    Counted {
        rule: (policy.policy, policy.own_drop()),
        flagged: i64::from(decision.class.0) == flag,
        badnet: argmax(evaluated.badnet()).0,
        flagged_at: disagreement_verdicts(evaluated)
            .map(|class| class == flag)
            .collect(),
    }
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

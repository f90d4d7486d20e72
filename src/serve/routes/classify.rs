//! `POST /classify`: one image, GoodNet's answer.

use crate::serve::dto::{Classification, ImageBytes, ImageForm, ImageJson};
use crate::serve::http::context::RequestId;
use crate::serve::http::names::{KnownQuery, Parameters};
use crate::serve::http::observe::Observed;
use crate::serve::http::payload;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::http::responses::{ImageProblems, QueryProblems, ServiceProblems};
use crate::serve::inference::dispatch::{self, Answered, DecodeGuard};
use crate::serve::inference::policy::ChosenPolicy;
use crate::serve::inference::pool::{Admission, PoolError};
use crate::serve::inference::request::{ClassifyOptions, Payload};
use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::metrics::Counted;
use crate::serve::state::AppState;
use axum::Json;
use axum::extract::{Extension, Request, State};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// What may be asked in the query string.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ClassifyQuery {
    /// The drop in percentage points, one of the bundle's (default: the service's).
    #[param(value_type = Option<f64>, example = 10)]
    drop: Option<String>,
    /// How an answer comes to be flagged: `disagreement`, `repaired` or `gated`, as far as the bundle has what it needs (default: the
    /// service's; where that is `repaired`, a request that names a drop gets `disagreement`).
    #[param(example = "repaired")]
    policy: Option<String>,
    /// How many of the best classes to list (default: none).
    #[param(value_type = Option<u32>, minimum = 0, maximum = 100)]
    top_k: Option<String>,
}

impl Parameters for ClassifyQuery {
    const NAMES: &'static [&'static str] = &["drop", "policy", "top_k"];
}

/// Most classes that a list may have: its length is the client's to choose, its cost is ours.
const MAX_TOP_K: usize = 100;

impl ClassifyQuery {
    /// The query of a request, as the bundle understands it.
    ///
    /// # Errors
    /// [`Code::MalformedQuery`], [`Code::UnknownDrop`], [`Code::UnknownPolicy`].
    pub(crate) fn resolve(
        &self,
        loaded: &LoadedBundle,
        id: &RequestId,
    ) -> Result<ClassifyOptions, Problem> {
        Ok(ClassifyOptions {
            policy: loaded.choose(self.policy.as_deref(), self.drop.as_deref())?,
            top_k: self.top_k()?,
            request_id: id.to_string(),
        })
    }

    fn top_k(&self) -> Result<usize, Problem> {
        let Some(text) = self.top_k.as_deref() else {
            return Ok(0);
        };
        text.parse()
            .ok()
            .filter(|&k| k <= MAX_TOP_K)
            .ok_or_else(|| {
                Problem::new(
                    Code::MalformedQuery,
                    format!("expected 0 to {MAX_TOP_K} as top_k, found {text:?}"),
                )
            })
    }
}

/// Classify one image
///
/// BadNet and repaired network both answer; where they disagree the image is flagged and the class is N ("class N+1").
/// Disagreement does not prove a backdoor: `measured.clean_flagged` says how often clean validation images are flagged.
#[utoipa::path(
    post,
    path = "/classify",
    tag = "classify",
    params(ClassifyQuery),
    request_body(
        description = "One image: raw bytes (also as `image/png` and the like), a form with one part, or base64 in JSON.",
        content(
            (ImageBytes = "application/octet-stream"),
            (ImageForm = "multipart/form-data"),
            (ImageJson = "application/json"),
        )
    ),
    responses(
        (status = 200, description = "GoodNet's answer", body = Classification),
        QueryProblems,
        ImageProblems,
        ServiceProblems,
    )
)]
pub(crate) async fn classify(
    State(state): State<AppState>,
    Extension(id): Extension<RequestId>,
    KnownQuery(query): KnownQuery<ClassifyQuery>,
    request: Request,
) -> Result<(Extension<Observed>, Json<Classification>), Problem> {
    let loaded = state.loaded()?;
    let options = query.resolve(&loaded, &id)?;
    let (payload, _held) = payload::one(&state, request).await?;
    let admission = loaded.pool.admit(1)?;
    let policy = options.policy.clone();
    let guard = DecodeGuard::new(&loaded);
    let payloads = vec![payload];
    let (results, timings) = run(&state, &loaded, admission, payloads, options, &guard).await?;
    let answered = results.into_iter().next();
    let answer = answered.unwrap_or_else(|| Err(Problem::internal("no answer")))?;
    state
        .metrics()
        .count_verdict(&loaded, &counted(&policy, &answer));
    let observed = Observed::one(timings, &answer);
    Ok((Extension(observed), Json(answer)))
}

/// Answers `payloads` on an inference thread.
pub(crate) async fn run(
    state: &AppState,
    loaded: &Arc<LoadedBundle>,
    admission: Admission,
    payloads: Vec<Payload>,
    options: ClassifyOptions,
    guard: &DecodeGuard,
) -> Result<Answered, Problem> {
    let writer = state.quarantine();
    let flaggable = writer.map(|_| payloads.clone());
    let outcome = dispatch::classify(loaded, admission, payloads, options, guard).await;
    if matches!(outcome, Err(PoolError::Panicked)) {
        state.metrics().count_panic();
    }
    let (answers, timings) = outcome?;
    if let (Some(writer), Some(flaggable)) = (writer, flaggable) {
        writer.offer(&flaggable, &answers);
    }
    Ok((answers, timings))
}

/// `answer` as it is counted.
pub(super) fn counted(policy: &ChosenPolicy, answer: &Classification) -> Counted {
    Counted {
        rule: (policy.policy, policy.own_drop()),
        flagged: answer.flagged,
        badnet: answer.badnet.class,
        flagged_at: answer
            .verdicts
            .iter()
            .map(|verdict| verdict.flagged)
            .collect(),
    }
}

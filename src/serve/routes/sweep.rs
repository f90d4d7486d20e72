//! `GET /sweep`: what pruning does, step by step, and the drops that were made of it.

use crate::bundle::manifest::{DropRecord, GoodnetRates, RepairedRecord, SWEEP_CSV, SWEEP_SVG};
use crate::domain::sweep::Step;
use crate::serve::dto::{
    Baseline, DropInfo, GoodnetInfo, PolicyInfo, RepairedInfo, StepInfo, SweepInfo,
};
use crate::serve::http::names::{KnownQuery, Parameters};
use crate::serve::http::negotiate::prefer;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::http::responses::{NegotiationProblems, QueryProblems, ServiceProblems};
use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

const JSON: &str = "application/json";
const CSV: &str = "text/csv";
const SVG: &str = "image/svg+xml";

/// What may be asked in the query string.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SweepQuery {
    /// Only this drop, in percentage points, and the step that it was made of.
    #[param(value_type = Option<f64>, example = 4)]
    drop: Option<String>,
}

impl Parameters for SweepQuery {
    const NAMES: &'static [&'static str] = &["drop"];
}

type SweepParams = KnownQuery<SweepQuery>;

/// The sweep
///
/// Clean accuracy and attack success rate after each removed channel, and the drops. JSON, CSV or SVG by `Accept`.
#[utoipa::path(
    get,
    path = "/sweep",
    tag = "bundle",
    params(SweepQuery),
    responses(
        (status = 200, description = "The sweep", content(
            (SweepInfo = "application/json"), (String = "text/csv"), (String = "image/svg+xml"))),
        QueryProblems,
        NegotiationProblems,
        ServiceProblems,
    )
)]
pub(crate) async fn sweep(
    State(state): State<AppState>,
    query: SweepParams,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let loaded = state.loaded()?;
    let drop = drop_of(query, &loaded)?;
    let kind = prefer(&headers, &[JSON, CSV, SVG]).ok_or_else(|| {
        Problem::new(
            Code::NotAcceptable,
            format!("expected an Accept header with {JSON}, {CSV} or {SVG}"),
        )
    })?;
    let mut response = match kind {
        CSV => csv(&loaded, drop)?,
        SVG => svg(&loaded)?,
        _ => Json(document(&loaded, drop)).into_response(),
    };
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, vary);
    Ok(response)
}

/// The sweep as a table
///
/// The same columns in the same order as the repair job's `sweep.csv`.
#[utoipa::path(
    get,
    path = "/sweep.csv",
    tag = "bundle",
    params(SweepQuery),
    responses(
        (status = 200, description = "The sweep", body = String, content_type = "text/csv"),
        QueryProblems,
        ServiceProblems,
    )
)]
pub(crate) async fn sweep_csv(
    State(state): State<AppState>,
    query: SweepParams,
) -> Result<Response, Problem> {
    let loaded = state.loaded()?;
    csv(&loaded, drop_of(query, &loaded)?)
}

/// The sweep as a plot
#[utoipa::path(
    get,
    path = "/sweep.svg",
    tag = "bundle",
    responses(
        (status = 200, description = "The plot", body = String, content_type = "image/svg+xml"),
        QueryProblems,
        ServiceProblems,
    )
)]
pub(crate) async fn sweep_svg(State(state): State<AppState>) -> Result<Response, Problem> {
    svg(&*state.loaded()?)
}

fn drop_of(
    KnownQuery(query): SweepParams,
    loaded: &LoadedBundle,
) -> Result<Option<usize>, Problem> {
    let drop = query.drop.as_deref();
    drop.map(|text| loaded.find_drop(Some(text))).transpose()
}

fn csv(loaded: &LoadedBundle, drop: Option<usize>) -> Result<Response, Problem> {
    let text = stored(loaded, SWEEP_CSV)?;
    let body = match drop {
        None => text.to_vec(),
        Some(drop) => one_line(text, loaded.drops[drop].record.step),
    };
    Ok(typed("text/csv; charset=utf-8", body))
}

/// The heading and the line of one step; the step is the first column.
fn one_line(text: &[u8], step: usize) -> Vec<u8> {
    let prefix = format!("{step},");
    let lines = text
        .split_inclusive(|&byte| byte == b'\n')
        .enumerate()
        .filter(|(number, line)| *number == 0 || line.starts_with(prefix.as_bytes()));
    lines.flat_map(|(_, line)| line.iter().copied()).collect()
}

fn svg(loaded: &LoadedBundle) -> Result<Response, Problem> {
    Ok(typed(SVG, stored(loaded, SWEEP_SVG)?.to_vec()))
}

fn stored<'a>(loaded: &'a LoadedBundle, name: &str) -> Result<&'a [u8], Problem> {
    loaded
        .bundle
        .file(name)
        .ok_or_else(|| Problem::new(Code::NotFound, format!("the bundle has no {name}")))
}

fn typed(kind: &'static str, body: Vec<u8>) -> Response {
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static(kind))],
        body,
    )
        .into_response()
}

fn document(loaded: &LoadedBundle, drop: Option<usize>) -> SweepInfo {
    let manifest = loaded.manifest();
    let sweep = loaded.bundle.sweep();
    let wanted = drop.map(|index| &loaded.drops[index]);
    let drops = manifest
        .drops
        .iter()
        .filter(|record| wanted.is_none_or(|wanted| wanted.points == record.drop));
    let steps = sweep
        .steps
        .iter()
        .filter(|step| wanted.is_none_or(|wanted| wanted.record.step == step.step));
    SweepInfo {
        classes: manifest.classes,
        site: manifest.site.tensor.clone(),
        ranked_by: sweep.ranked_by.map(|by| by.to_string()),
        warnings: sweep.warnings.clone(),
        baseline: Baseline {
            clean_accuracy: sweep.baseline.clean_accuracy,
            attack_success_rate: sweep.baseline.attack_success_rate,
            clean_images: sweep.baseline.clean_images,
            backdoored_images: sweep.baseline.backdoored_images,
        },
        steps: steps.map(step_info).collect(),
        drops: drops.map(drop_info).collect(),
        repaired: manifest.repaired.as_ref().map(repaired_info),
        policies: loaded
            .policies
            .measured()
            .into_iter()
            .map(|rates| PolicyInfo::new(rates, loaded.policies.attack(rates.policy)))
            .collect(),
    }
}

fn step_info(step: &Step) -> StepInfo {
    StepInfo {
        step: step.step,
        channel: step.channel,
        channels_removed: step.channels_removed,
        share_removed: step.share_removed,
        clean_accuracy: step.clean_accuracy,
        accuracy_drop_pp: step.accuracy_drop_pp,
        attack_success_rate: step.attack_success_rate,
    }
}

fn drop_info(record: &DropRecord) -> DropInfo {
    let pruned = record.pruned.as_ref();
    DropInfo {
        drop: record.drop,
        reached: pruned.is_some(),
        step: pruned.map(|pruned| pruned.step),
        channels_removed: pruned.map(|pruned| pruned.channels_removed.clone()),
        method: pruned.map(|pruned| pruned.method.to_string()),
        masked_because: pruned.and_then(|pruned| pruned.reason.clone()),
        clean_accuracy: pruned.map(|pruned| pruned.clean_accuracy),
        accuracy_drop_pp: pruned.map(|pruned| pruned.accuracy_drop_pp),
        attack_success_rate: pruned.and_then(|pruned| pruned.attack_success_rate),
        goodnet: pruned.map(|pruned| goodnet_info(&pruned.goodnet)),
    }
}

fn repaired_info(record: &RepairedRecord) -> RepairedInfo {
    RepairedInfo {
        clean_accuracy: record.clean_accuracy,
        lost_pp: record.lost_pp,
        attack_success_rate: record.attack_success_rate,
        labels: record
            .refit
            .as_ref()
            .map_or_else(Vec::new, |refit| refit.labels.clone()),
        goodnet: goodnet_info(&record.goodnet),
    }
}

fn goodnet_info(rates: &GoodnetRates) -> GoodnetInfo {
    GoodnetInfo {
        clean_accuracy: rates.clean_accuracy,
        clean_flagged: rates.clean_flagged,
        attack_success_rate: rates.attack_success_rate,
        backdoored_flagged: rates.backdoored_flagged,
    }
}

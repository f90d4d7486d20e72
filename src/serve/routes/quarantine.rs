//! `GET /quarantine` and `GET /quarantine/{id}`: flagged inputs that were kept, for holders of a key.

use crate::quarantine::{Entry, QuarantineError, Store};
use crate::serve::dto::{ImageBytes, QuarantineAnswer, QuarantineEntry};
use crate::serve::http::names::{KnownQuery, Parameters};
use crate::serve::http::path::Path;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::http::responses::{ForbiddenProblems, QueryProblems, ServiceProblems};
use crate::serve::state::AppState;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Entries of a page where the query names no number.
const DEFAULT_LIMIT: usize = 50;
/// Most entries of a page.
const MAX_LIMIT: usize = 200;

/// Which page of the list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct QuarantineQuery {
    /// Only entries with smaller ids: `next` of the page before (default: the newest).
    #[param(value_type = Option<u64>, minimum = 0)]
    before: Option<String>,
    /// How many entries (default: 50).
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200)]
    limit: Option<String>,
}

impl Parameters for QuarantineQuery {
    const NAMES: &'static [&'static str] = &["before", "limit"];
}

impl QuarantineQuery {
    fn resolve(&self) -> Result<(Option<u64>, usize), Problem> {
        let malformed = |expected: String, found: &str| {
            Problem::new(
                Code::MalformedQuery,
                format!("expected {expected}, found {found:?}"),
            )
        };
        let before = self.before.as_deref().map(|text| {
            text.parse()
                .map_err(|_| malformed("an entry's id as before".to_owned(), text))
        });
        let limit = self.limit.as_deref().map(|text| {
            let limit = text.parse().ok();
            limit
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| malformed(format!("1 to {MAX_LIMIT} as limit"), text))
        });
        Ok((before.transpose()?, limit.unwrap_or(Ok(DEFAULT_LIMIT))?))
    }
}

/// Flagged inputs
///
/// What a service with `--quarantine` has kept, newest first. Only services with keys show it.
#[utoipa::path(
    get,
    path = "/quarantine",
    tag = "quarantine",
    params(QuarantineQuery),
    responses(
        (status = 200, description = "A page of entries", body = QuarantineAnswer),
        QueryProblems,
        ForbiddenProblems,
        ServiceProblems,
    )
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    KnownQuery(query): KnownQuery<QuarantineQuery>,
) -> Result<Json<QuarantineAnswer>, Problem> {
    let store = opened(&state)?;
    let (before, limit) = query.resolve()?;
    let answer = read(store, move |store| {
        let snapshot = store.read()?;
        let page = snapshot.page(before, limit)?;
        let (count, bytes) = snapshot.totals()?;
        Ok(QuarantineAnswer {
            entries: page
                .entries
                .into_iter()
                .map(QuarantineEntry::from)
                .collect(),
            next: page.next,
            count,
            bytes,
            max_bytes: store.limits().budget(),
            max_age_seconds: store.limits().age.as_secs(),
        })
    });
    Ok(Json(answer.await?))
}

/// A flagged image
///
/// The bytes as they came, whatever they are: open them with care.
#[utoipa::path(
    get,
    path = "/quarantine/{id}",
    tag = "quarantine",
    params(("id" = u64, Path, description = "An entry's id")),
    responses(
        (status = 200, description = "The image", body = ImageBytes, content_type = "image/*"),
        QueryProblems,
        ForbiddenProblems,
        ServiceProblems,
    )
)]
pub(crate) async fn image(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let store = opened(&state)?;
    let missing = Problem::new(
        Code::NotFound,
        format!("expected the id of an entry that is kept, found {id:?}"),
    );
    let Ok(id) = id.parse::<u64>() else {
        return Err(missing);
    };
    let found = read(store, move |store| store.read()?.get(id)).await?;
    let (entry, image) = found.ok_or(missing)?;
    Ok((headers(&entry)?, image).into_response())
}

/// A stranger's file: shown as nothing but an image, stored nowhere on the way.
fn headers(entry: &Entry) -> Result<HeaderMap, Problem> {
    let name = format!(
        "attachment; filename=\"{}.{}\"",
        entry.id,
        entry.extension()
    );
    let value = |text: &str| HeaderValue::from_str(text).map_err(Problem::internal);
    Ok(HeaderMap::from_iter([
        (header::CONTENT_TYPE, value(&entry.media_type)?),
        (header::CONTENT_DISPOSITION, value(&name)?),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]))
}

/// The store, where the service has keys and keeps flagged inputs.
fn opened(state: &AppState) -> Result<Arc<Store>, Problem> {
    if state.config().access.keys.is_none() {
        return Err(Problem::new(
            Code::Forbidden,
            "flagged inputs are shown to holders of a key, and this service was started without --keys",
        ));
    }
    let writer = state.quarantine().ok_or_else(|| {
        Problem::new(
            Code::NotFound,
            "this service keeps no flagged inputs: it was started without --quarantine",
        )
    })?;
    Ok(Arc::clone(writer.store()))
}

/// Reads files: never on an async worker.
async fn read<T: Send + 'static>(
    store: Arc<Store>,
    job: impl FnOnce(&Store) -> Result<T, QuarantineError> + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(move || job(&store))
        .await
        .map_err(Problem::internal)?
        .map_err(Problem::internal)
}

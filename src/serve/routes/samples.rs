//! `GET /samples/{file}`: the images that the bundle stores to be tried.

use crate::serve::dto::ImageBytes;
use crate::serve::http::path::Path;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::http::responses::{QueryProblems, ServiceProblems};
use crate::serve::state::AppState;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// A sample image
///
/// `GET /info` lists them with what the networks answer.
#[utoipa::path(
    get,
    path = "/samples/{file}",
    tag = "bundle",
    params(("file" = String, Path, description = "File name", example = "clean_0.png")),
    responses(
        (status = 200, description = "The image", body = ImageBytes, content_type = "image/png"),
        QueryProblems,
        ServiceProblems,
    )
)]
pub(crate) async fn sample(
    State(state): State<AppState>,
    Path(file): Path<String>,
) -> Result<Response, Problem> {
    let loaded = state.loaded()?;
    let mut samples = loaded.manifest().samples.iter();
    let stored = samples.find(|sample| file_name(&sample.file) == file);
    let bytes = stored.and_then(|sample| loaded.bundle.file(&sample.file));
    let bytes = bytes.ok_or_else(|| {
        Problem::new(
            Code::NotFound,
            format!("expected a sample of the bundle, found {file:?}"),
        )
    })?;
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(content_type(&file)),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
    ];
    Ok((headers, bytes.to_vec()).into_response())
}

/// The last part of a path in the bundle.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn content_type(file: &str) -> &'static str {
    match file.rsplit('.').next() {
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("bmp") => "image/bmp",
        Some("gif") => "image/gif",
        _ => "image/png",
    }
}

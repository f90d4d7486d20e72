//! The pages: `GET /`, `GET /docs` (the API) and their assets, from the binary.

use crate::serve::http::path::Path;
use crate::serve::http::problem::{Code, Problem};
use crate::serve::state::AppState;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

/// Scripts, styles and pictures come from this service only; nothing may frame the page.
const POLICY: &str = "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Assets change only with the binary, and carry no version in their names.
const CACHE: &str = "public, max-age=300, must-revalidate";

/// A file of the page.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("ui/", $name)),
        }
    };
}

/// Every file of `ui/`.
const ASSETS: &[Asset] = &[
    asset!("index.html", "text/html; charset=utf-8"),
    asset!("docs.html", "text/html; charset=utf-8"),
    asset!("api.js", "text/javascript; charset=utf-8"),
    asset!("app.js", "text/javascript; charset=utf-8"),
    asset!("camera.js", "text/javascript; charset=utf-8"),
    asset!("chart.js", "text/javascript; charset=utf-8"),
    asset!("choices.js", "text/javascript; charset=utf-8"),
    asset!("csv.js", "text/javascript; charset=utf-8"),
    asset!("docs.js", "text/javascript; charset=utf-8"),
    asset!("files.js", "text/javascript; charset=utf-8"),
    asset!("hints.js", "text/javascript; charset=utf-8"),
    asset!("link.js", "text/javascript; charset=utf-8"),
    asset!("painter.js", "text/javascript; charset=utf-8"),
    asset!("picture.js", "text/javascript; charset=utf-8"),
    asset!("rules.js", "text/javascript; charset=utf-8"),
    asset!("samples.js", "text/javascript; charset=utf-8"),
    asset!("shell.js", "text/javascript; charset=utf-8"),
    asset!("story.js", "text/javascript; charset=utf-8"),
    asset!("sweep.js", "text/javascript; charset=utf-8"),
    asset!("text.js", "text/javascript; charset=utf-8"),
    asset!("verdict.js", "text/javascript; charset=utf-8"),
    asset!("style.css", "text/css; charset=utf-8"),
    asset!("icon.svg", "image/svg+xml"),
];

/// `/`, `/docs` and `/ui/{file}`; documents for browsers, not part of the described interface.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(async || serve("index.html")))
        .route("/docs", get(async || serve("docs.html")))
        .route(
            "/docs/",
            get(async || {
                (
                    headers("text/html; charset=utf-8"),
                    Redirect::permanent("/docs"),
                )
            }),
        )
        .route(
            "/ui/{file}",
            get(async |Path(file): Path<String>| serve(&file)),
        )
}

/// Is `path` one of the pages or their assets? They tell nothing of the bundle, and a browser has to load them before it
/// can ask for a key.
pub(crate) fn is_page(path: &str) -> bool {
    let asset = path.strip_prefix("/ui/");
    path == "/"
        || path.trim_end_matches('/') == "/docs"
        || asset.is_some_and(|name| ASSETS.iter().any(|asset| asset.name == name))
}

fn serve(name: &str) -> Result<Response, Problem> {
    let asset = ASSETS
        .iter()
        .find(|asset| asset.name == name)
        .ok_or_else(|| Problem::new(Code::NotFound, "expected a file of the page"))?;
    Ok((headers(asset.content_type), asset.bytes).into_response())
}

/// What every document for browsers carries.
pub(crate) fn headers(content_type: &'static str) -> [(HeaderName, HeaderValue); 5] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(CACHE)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ]
}

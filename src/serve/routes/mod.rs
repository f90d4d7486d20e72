//! The routes, a file each.

mod audit;
mod classify;
mod classify_batch;
pub(crate) mod health;
mod info;
mod metrics;
pub mod openapi;
mod quarantine;
mod samples;
mod sweep;
pub(crate) mod ui;
pub(crate) mod v2;

use super::state::AppState;
use axum::Router;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of the API, with their description.
fn api() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(classify::classify))
        .routes(routes!(classify_batch::classify_batch))
        .routes(routes!(sweep::sweep))
        .routes(routes!(sweep::sweep_csv))
        .routes(routes!(sweep::sweep_svg))
        .routes(routes!(audit::audit))
        .routes(routes!(info::info))
        .routes(routes!(samples::sample))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::image))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .merge(v2::router())
}

/// Every route: the API, its description, the page.
pub(crate) fn all() -> Router<AppState> {
    let (router, _) = api().split_for_parts();
    router.merge(openapi::routes()).merge(ui::routes())
}

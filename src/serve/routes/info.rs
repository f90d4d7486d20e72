//! `GET /info`: what is in service.

use crate::bundle::manifest::{SampleKind, SampleRecord};
use crate::input::spec::{ColorOrder, Layout, ResizeRule};
use crate::serve::dto::{
    BackendInfo, BuildInfo, BundleInfo, InfoAnswer, InputInfo, SampleInfo, ServingInfo, SiteInfo,
};
use crate::serve::http::problem::Problem;
use crate::serve::http::responses::ServiceProblems;
use crate::serve::loaded_bundle::LoadedBundle;
use crate::serve::routes::samples::file_name;
use crate::serve::state::AppState;
use axum::Json;
use axum::extract::State;

/// What is in service
///
/// The bundle, its site, drops and samples, the runtime, and the build.
#[utoipa::path(
    get,
    path = "/info",
    tag = "bundle",
    responses(
        (status = 200, description = "What is in service", body = InfoAnswer),
        ServiceProblems,
    )
)]
pub(crate) async fn info(State(state): State<AppState>) -> Result<Json<InfoAnswer>, Problem> {
    let loaded = state.loaded()?;
    let backend = state.backend();
    Ok(Json(InfoAnswer {
        build: BuildInfo {
            version: env!("CARGO_PKG_VERSION"),
            target: target(),
            optimised: !cfg!(debug_assertions),
        },
        backend: BackendInfo {
            name: backend.name,
            version: backend.version.clone(),
        },
        serving: ServingInfo {
            workers: loaded.pool.loaded_sets(),
            fused: loaded.fused,
            default_drop: loaded.drops[loaded.default_drop].points,
            drops: loaded.drops.iter().map(|drop| drop.points).collect(),
            default_policy: loaded.policies.first().0.name().to_owned(),
            policies: loaded.policies.names().map(str::to_owned).collect(),
        },
        bundle: bundle_info(&loaded),
        input: input_info(&loaded),
        samples: loaded.manifest().samples.iter().map(sample_info).collect(),
    }))
}

fn target() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

fn bundle_info(loaded: &LoadedBundle) -> BundleInfo {
    let manifest = loaded.manifest();
    BundleInfo {
        manifest_sha256: loaded.bundle.manifest_sha256().to_owned(),
        tool: manifest.tool.clone(),
        source_file: manifest.source.file.clone(),
        source_format: manifest.source.format.clone(),
        model_sha256: manifest.source.sha256.clone(),
        classes: manifest.classes,
        labels: manifest.labels.clone(),
        site: SiteInfo {
            tensor: manifest.site.tensor.clone(),
            layer: manifest.site.layer.clone(),
            channels: manifest.site.channels,
        },
    }
}

fn input_info(loaded: &LoadedBundle) -> InputInfo {
    let input = &loaded.manifest().input;
    InputInfo {
        height: input.height,
        width: input.width,
        channels: input.channels,
        layout: match input.layout {
            Layout::Nchw => "nchw",
            Layout::Nhwc => "nhwc",
        },
        color: match input.color {
            ColorOrder::Rgb => "rgb",
            ColorOrder::Bgr => "bgr",
            ColorOrder::Grey => "grey",
        },
        resize: match input.resize {
            ResizeRule::Stretch => "stretch",
            ResizeRule::Exact => "exact",
        },
    }
}

fn sample_info(sample: &SampleRecord) -> SampleInfo {
    SampleInfo {
        url: format!("/samples/{}", file_name(&sample.file)),
        kind: match sample.kind {
            SampleKind::Clean => "clean",
            SampleKind::Triggered => "triggered",
        },
        label: sample.label,
        badnet: sample.badnet,
        verdicts: sample.verdicts.clone(),
    }
}

//! Putting bundles into service: the first one, and every later one beside it.

use crate::bundle::{self, Bundle};
use crate::serve::ServeError;
use crate::serve::loaded_bundle::{LoadBundleError, LoadedBundle};
use crate::serve::selftest;
use crate::serve::state::AppState;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// Puts `first` into service, then every bundle that a request or a changed directory announces; ends only by an error.
///
/// A bundle that fails its self-test never goes into service: at the start the service stays not ready, later the old
/// bundle goes on.
///
/// # Errors
/// If the networks of the first bundle cannot be loaded at all.
pub(super) async fn supervise(
    state: AppState,
    first: Bundle,
    reload_requests: mpsc::Receiver<()>,
) -> Result<Infallible, ServeError> {
    let seen = fingerprint(&state.config().source.dir).await;
    match put_into_service(&state, first).await {
        Err(ServeError::Bundle(error @ LoadBundleError::SelfTest { .. })) => {
            tracing::error!(%error, "not ready");
            state.wait_for(error.to_string());
        }
        other => other?,
    }
    Ok(watch(&state, seen, reload_requests).await)
}

/// Puts `first` into service, and gives what its directory looked like.
///
/// # Errors
/// If it cannot be put into service.
pub(super) async fn start(state: &AppState, first: Bundle) -> Result<DirFingerprint, ServeError> {
    let seen = fingerprint(&state.config().source.dir).await;
    put_into_service(state, first).await?;
    Ok(seen)
}

/// Puts every bundle into service that a request or a changed directory announces, for ever.
pub(super) async fn watch(
    state: &AppState,
    mut seen: DirFingerprint,
    mut reload_requests: mpsc::Receiver<()>,
) -> Infallible {
    let dir = state.config().source.dir.clone();
    loop {
        let requested = next(&mut reload_requests, state.config().source.poll).await;
        let now = fingerprint(&dir).await;
        if requested || now != seen {
            seen = now;
            reload(state).await;
        }
    }
}

/// Waits for a request (true) or until it is time to look at the directory (false).
async fn next(reload_requests: &mut mpsc::Receiver<()>, poll: Option<Duration>) -> bool {
    let reload_request = async {
        if reload_requests.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    };
    match poll {
        None => {
            reload_request.await;
            true
        }
        Some(period) => tokio::time::timeout(period, reload_request).await.is_ok(),
    }
}

async fn reload(state: &AppState) {
    reload_keys(state).await;
    let outcome = match load(state).await {
        Ok(bundle) => put_into_service(state, bundle).await,
        Err(error) => Err(error),
    };
    state.metrics().count_reload(outcome.is_ok());
    if let Err(error) = outcome {
        tracing::error!(%error, "the new bundle is refused; what was in service before stays");
        if state.loaded().is_err() {
            state.wait_for(error.to_string());
        }
    }
}

/// A file that is not usable leaves the keys as they were: shutting everybody out would be worse.
async fn reload_keys(state: &AppState) {
    let reading = state.clone();
    let read = tokio::task::spawn_blocking(move || reading.reload_keys()).await;
    match read {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the keys are refused; those before stay"),
        Err(error) => tracing::error!(%error, "the keys could not be read"),
    }
}

async fn load(state: &AppState) -> Result<Bundle, ServeError> {
    let source = state.config().source.clone();
    tokio::task::spawn_blocking(move || bundle::load_signed(&source.dir, source.verifier.as_ref()))
        .await
        .map_err(ServeError::Task)?
        .map_err(ServeError::Load)
}

async fn put_into_service(state: &AppState, bundle: Bundle) -> Result<(), ServeError> {
    let started = Instant::now();
    let building = state.clone();
    let loaded = tokio::task::spawn_blocking(move || {
        let loaded = LoadedBundle::build(building.engine(), building.config(), bundle)?;
        selftest::run(&loaded)?;
        Ok(loaded)
    })
    .await
    .map_err(ServeError::Task)?
    .map_err(ServeError::Bundle)?;
    state.swap(Arc::clone(&loaded));
    tracing::info!(
        manifest_sha256 = loaded.bundle.manifest_sha256(),
        model_sha256 = loaded.manifest().source.sha256,
        classes = loaded.manifest().classes,
        drops = loaded.drop_names(),
        policy = loaded.policies.first().0.name(),
        policy_from = policy_from(state),
        fused = loaded.fused,
        decodes_whole = loaded.decoder.decodes_whole(),
        workers = loaded.pool.loaded_sets(),
        backend = %state.backend(),
        ms = started.elapsed().as_secs_f64() * 1e3,
        "a bundle is in service"
    );
    Ok(())
}

/// Who says which policy answers requests that name none.
fn policy_from(state: &AppState) -> &'static str {
    match state.config().inference.policy {
        Some(_) => "option",
        None => "bundle",
    }
}

/// What the directory looks like: names, lengths and times of its files.
type DirFingerprint = Vec<(PathBuf, u64, Option<SystemTime>)>;

async fn fingerprint(dir: &Path) -> DirFingerprint {
    let dir = dir.to_owned();
    // A directory that cannot be read looks empty; loading it says why.
    tokio::task::spawn_blocking(move || fingerprint_of(&dir))
        .await
        .unwrap_or_default()
}

fn fingerprint_of(dir: &Path) -> DirFingerprint {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                folders.push(entry.path());
            } else {
                found.push((entry.path(), meta.len(), meta.modified().ok()));
            }
        }
    }
    found.sort();
    found
}

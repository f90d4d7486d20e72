//! Putting bundles into service: the first one, and every later one beside it.

use crate::bundle::{self, Bundle};
use crate::serve::ServeError;
use crate::serve::loaded_bundle::{ServeBundleError, Served};
use crate::serve::state::AppState;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// Puts `first` into service, then every bundle that a wish or a changed directory announces; ends only by an error.
///
/// A bundle that fails its self-test never goes into service: at the start the service stays not ready, later the old
/// bundle goes on.
///
/// # Errors
/// If the networks of the first bundle cannot be loaded at all.
pub(super) async fn supervise(
    state: AppState,
    first: Bundle,
    mut wishes: mpsc::Receiver<()>,
) -> Result<Infallible, ServeError> {
    let dir = state.config().source.dir.clone();
    let mut seen = look(&dir).await;
    match put_into_service(&state, first).await {
        Err(ServeError::Bundle(error @ ServeBundleError::SelfTest { .. })) => {
            tracing::error!(%error, "not ready");
            state.wait_for(error.to_string());
        }
        other => other?,
    }
    loop {
        let wished = next(&mut wishes, state.config().source.poll).await;
        let now = look(&dir).await;
        if wished || now != seen {
            seen = now;
            reload(&state).await;
        }
    }
}

/// Waits for a wish (true) or for the next look at the directory (false).
async fn next(wishes: &mut mpsc::Receiver<()>, poll: Option<Duration>) -> bool {
    let wish = async {
        if wishes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    };
    match poll {
        None => {
            wish.await;
            true
        }
        Some(period) => tokio::time::timeout(period, wish).await.is_ok(),
    }
}

async fn reload(state: &AppState) {
    let outcome = match load(state).await {
        Ok(bundle) => put_into_service(state, bundle).await,
        Err(error) => Err(error),
    };
    state.metrics().count_reload(outcome.is_ok());
    if let Err(error) = outcome {
        tracing::error!(%error, "the new bundle is refused; what was in service before stays");
        if state.served().is_err() {
            state.wait_for(error.to_string());
        }
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
    let served = tokio::task::spawn_blocking(move || {
        Served::build(building.engine(), building.config(), bundle)
    })
    .await
    .map_err(ServeError::Task)?
    .map_err(ServeError::Bundle)?;
    state.swap(Arc::clone(&served));
    tracing::info!(
        manifest_sha256 = served.bundle.manifest_sha256(),
        model_sha256 = served.manifest().source.sha256,
        classes = served.manifest().classes,
        drops = served.drop_names(),
        fused = served.fused,
        workers = served.pool.alive(),
        backend = %state.backend(),
        ms = started.elapsed().as_secs_f64() * 1e3,
        "a bundle is in service"
    );
    Ok(())
}

/// What the directory looks like: names, lengths and times of its files.
type Look = Vec<(PathBuf, u64, Option<SystemTime>)>;

async fn look(dir: &Path) -> Look {
    let dir = dir.to_owned();
    // A directory that cannot be read looks empty; loading it says why.
    tokio::task::spawn_blocking(move || look_at(&dir))
        .await
        .unwrap_or_default()
}

fn look_at(dir: &Path) -> Look {
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

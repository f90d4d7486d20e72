//! The HTTP service: a bundle in, GoodNet's answers out.
//!
//! In reading order: [`config`] (settings), [`run`] and [`router`] below (the life of the service), [`http`] (connections and what
//! wraps every request), [`routes`] (an endpoint a file; `v2` is the Open Inference Protocol), [`inference`] (from bytes to answers),
//! [`state`] and [`loaded_bundle`] (what requests share), `sessions` (its networks), [`metrics`].

pub mod classifier;
pub mod config;
pub mod control;
pub mod dto;
#[doc(hidden)]
pub mod fuzz;
pub mod http;
pub mod inference;
pub mod loaded_bundle;
pub mod metrics;
mod quarantine_writer;
mod reload;
pub mod routes;
pub mod selftest;
mod sessions;
pub mod spans;
pub mod state;

pub use classifier::{Classifier, ClassifyError};
pub use config::Config;

use crate::bundle::{Bundle, BundleError};
use crate::engine::Engine;
use crate::quarantine::{QuarantineError, Store};
use axum::Router;
use control::{Event, Events};
use http::problem::{Code, Problem};
use loaded_bundle::LoadBundleError;
use quarantine_writer::QuarantineWriter;
use spans::{CollectorError, Spans};
use state::{AppState, Phase};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Why the service ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The bundle's directory was refused.
    #[error(transparent)]
    Load(BundleError),
    /// The bundle cannot be put into service.
    #[error(transparent)]
    Bundle(LoadBundleError),
    /// The quarantine cannot be used.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// Spans cannot be sent where they were to go.
    #[error(transparent)]
    Collector(#[from] CollectorError),
    /// A task of the service broke down.
    #[error("a task of the service broke down: {0}")]
    Task(tokio::task::JoinError),
}

/// The service as a part of another axum application: its routes over `bundle`, which is in service when this returns.
///
/// Limits, keys, deadlines and the policy are `config`'s; what only a listener of its own can do is the application's: limits on
/// connections, draining. A changed bundle directory is noticed as long as the runtime lives, if `config` says so. Nest it where
/// you like: `Router::new().nest("/goodnet", router)`.
///
/// # Errors
/// If the bundle cannot be put into service, or the quarantine cannot be used.
pub async fn embed(config: Config, engine: Engine, bundle: Bundle) -> Result<Router, ServeError> {
    let writer = open_quarantine(&config).await?;
    let spans = open_spans(&config)?;
    let state = AppState::new(config, engine, writer, spans);
    let seen = reload::start(&state, bundle).await?;
    let router = router(&state);
    let (never, requests) = mpsc::channel(1);
    tokio::spawn(async move {
        let _never = never;
        reload::watch(&state, seen, requests).await
    });
    Ok(router)
}

/// The whole service as a router.
pub fn router(state: &AppState) -> Router {
    let router = routes::all()
        .fallback(async || Problem::new(Code::NotFound, "expected a route of this service"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                Code::MethodNotAllowed,
                "expected a method of the `Allow` header",
            )
        })
        .with_state(state.clone());
    http::layers::wrap(router, state)
}

/// Serves `bundle` on `listener` until an event says to shut down, then drains.
///
/// # Errors
/// If the bundle's networks cannot be loaded.
pub async fn run(
    config: Config,
    listener: TcpListener,
    engine: Engine,
    bundle: Bundle,
    events: Events,
) -> Result<(), ServeError> {
    let writer = open_quarantine(&config).await?;
    let spans = open_spans(&config)?;
    let state = AppState::new(config, engine, writer, spans);
    let (stop, stopped) = oneshot::channel();
    let accepting = http::connection::serve(listener, router(&state), state.clone(), stopped);
    let accepting = tokio::spawn(accepting);
    let (reload_request, reload_requests) = mpsc::channel(1);
    tokio::select! {
        outcome = reload::supervise(state.clone(), bundle, reload_requests) => {
            accepting.abort();
            outcome.map(|never| match never {})
        }
        () = live(&state, events, reload_request) => {
            drop(stop);
            let cut = accepting.await.map_err(ServeError::Task)?;
            flush(&state).await?;
            tracing::info!(cut, "the service has drained");
            Ok(())
        }
    }
}

/// Opens the store of flagged inputs, where one is asked for.
async fn open_quarantine(config: &Config) -> Result<Option<QuarantineWriter>, ServeError> {
    let Some(settings) = config.quarantine.clone() else {
        return Ok(None);
    };
    let opening = tokio::task::spawn_blocking(move || {
        QuarantineWriter::start(Store::open(&settings.dir, settings.limits)?)
            .map_err(|error| QuarantineError::Io(settings.dir, error))
    });
    Ok(Some(opening.await.map_err(ServeError::Task)??))
}

/// The way to the collector, where one is named.
fn open_spans(config: &Config) -> Result<Option<Spans>, CollectorError> {
    let collector = config.collector.as_deref();
    collector.map(Spans::to_collector).transpose()
}

/// Waits for flagged inputs that are not written yet, and for spans that are not sent.
async fn flush(state: &AppState) -> Result<(), ServeError> {
    let state = state.clone();
    let flushing = tokio::task::spawn_blocking(move || {
        if let Some(writer) = state.quarantine() {
            writer.flush();
        }
        if let Some(spans) = state.spans() {
            spans.flush();
        }
    });
    flushing.await.map_err(ServeError::Task)
}

/// Passes requests to reload on until one says to shut down; returns when no new request is to be taken.
async fn live(state: &AppState, mut events: Events, reload_request: mpsc::Sender<()>) {
    let delayed = loop {
        match events.recv().await {
            // A request that is still waiting covers this one too.
            Some(Event::Reload) => drop(reload_request.try_send(())),
            Some(Event::Shutdown { delayed }) => break delayed,
            None => break false,
        }
    };
    state.enter(Phase::Leaving);
    if delayed {
        let delay = state.config().timeouts.drain_delay;
        tracing::info!(delay_s = delay.as_secs_f64(), "leaving: not ready any more");
        // A second signal cuts the delay short.
        let _ = tokio::time::timeout(delay, second_shutdown(&mut events)).await;
    }
    state.enter(Phase::Draining);
}

async fn second_shutdown(events: &mut Events) {
    while let Some(event) = events.recv().await {
        if matches!(event, Event::Shutdown { .. }) {
            return;
        }
    }
    std::future::pending().await
}

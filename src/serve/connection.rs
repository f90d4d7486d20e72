//! Connections: accepted up to a limit, under a header timeout, finished gracefully.

use super::state::AppState;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_io_timeout::TimeoutStream;

/// Pause after a failed accept: when descriptors have run out, trying again at once would only burn CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Longest request line and headers together, in bytes.
const MAX_HEADER_BYTES: usize = 32 << 10;

/// Accepts connections until `stop`, then gives those that are open until `deadline` to finish.
///
/// Gives the number of connections that had to be cut.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    state: AppState,
    stop: oneshot::Receiver<()>,
) -> usize {
    let graceful = GracefulShutdown::new();
    tokio::select! {
        () = accept_all(&listener, &app, &state, &graceful) => {}
        // A sender that is gone says the same.
        _ = stop => {}
    }
    drop(listener);
    let deadline = state.config().timeouts.drain;
    let finished = tokio::time::timeout(deadline, graceful.shutdown()).await;
    match finished {
        Ok(()) => 0,
        Err(_) => state.metrics().open_connections(),
    }
}

async fn accept_all(
    listener: &TcpListener,
    app: &Router,
    state: &AppState,
    graceful: &GracefulShutdown,
) {
    let http = protocol(state);
    let places = Arc::new(Semaphore::new(state.config().limits.connections));
    // A closed semaphore would end the loop; it is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = Connection {
                    http: http.clone(),
                    app: app.clone(),
                    state: state.clone(),
                    watcher: graceful.watcher(),
                    place,
                };
                tokio::spawn(connection.serve(stream));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn protocol(state: &AppState) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(state.config().timeouts.headers)
        .max_header_size(MAX_HEADER_BYTES);
    http
}

struct Connection {
    http: http1::Builder,
    app: Router,
    state: AppState,
    watcher: Watcher,
    place: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let _open = (self.state.metrics().connect(), self.place);
        // Answers are small: waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let service = TowerToHyperService::new(self.app);
        // Clients that ask and never read would hold their places for ever.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.state.config().timeouts.write));
        let stream = TokioIo::new(Box::pin(stream));
        let connection = self.http.serve_connection(stream, service);
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

//! Connections: accepted up to a limit, under timeouts, finished gracefully.

use crate::serve::http::idle_timeout::Activity;
use crate::serve::state::AppState;
use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

/// Pause after a failed accept: when descriptors have run out, trying again at once would only burn CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Longest request line and headers together, in bytes.
const MAX_HEADER_BYTES: u16 = 32 << 10;

/// Most requests of an HTTP/2 connection at a time. More wait at the client.
const MAX_STREAMS: u32 = 64;

/// How every HTTP/2 connection begins and no HTTP/1.1 request does (RFC 9113, section 3.4).
const PREFACE: &[u8; 3] = b"PRI";

/// Pause until the rest of a first word that came in pieces is looked at.
const PREFACE_PAUSE: Duration = Duration::from_millis(5);

/// Accepts connections until `stop`, then gives those that are open until `deadline` to finish.
///
/// Gives the number of connections that had to be cut.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    state: AppState,
    stop: oneshot::Receiver<()>,
) -> usize {
    let graceful = GracefulShutdown::new();
    let (staying, leaving) = watch::channel(());
    tokio::select! {
        () = accept_all(&listener, &app, &state, &graceful, &leaving) => {}
        // A sender that is gone says the same.
        _ = stop => {}
    }
    drop(listener);
    drop(staying);
    let deadline = state.config().timeouts.drain;
    let finished = timeout(deadline, graceful.shutdown()).await;
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
    leaving: &watch::Receiver<()>,
) {
    let protocols = Protocols::new(state);
    let places = Arc::new(Semaphore::new(state.config().limits.connections));
    // A closed semaphore would end the loop; it is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = Connection {
                    protocols: protocols.clone(),
                    app: app.clone(),
                    state: state.clone(),
                    watcher: graceful.watcher(),
                    leaving: leaving.clone(),
                    place,
                };
                tokio::spawn(connection.serve(stream));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[derive(Clone)]
struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    fn new(state: &AppState) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(state.config().timeouts.headers)
            .max_header_size(MAX_HEADER_BYTES.into());
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADER_BYTES.into());
        Self { http1, http2 }
    }
}

struct Connection {
    protocols: Protocols,
    app: Router,
    state: AppState,
    watcher: Watcher,
    /// Changes, by the end of its sender, when no request is to begin any more.
    leaving: watch::Receiver<()>,
    place: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream) {
        let timeouts = self.state.config().timeouts;
        let _open = (self.state.metrics().connect(), self.place);
        // Answers are small: waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let first = timeout(timeouts.headers, begins_as_http2(&stream));
        let first = tokio::select! {
            first = first => first,
            _ = self.leaving.changed() => return,
        };
        let Ok(Ok(is_http2)) = first else {
            tracing::debug!("a connection ended before its first request");
            return;
        };
        // Clients that ask and never read would hold their places for ever.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(timeouts.write));
        let stream = TokioIo::new(Box::pin(stream));
        let service = TowerToHyperService::new(self.app);
        let ended = if is_http2 {
            let activity = Activity::default();
            let service = activity.watch(service);
            let connection = self.protocols.http2.serve_connection(stream, service);
            tokio::select! {
                ended = self.watcher.watch(connection) => ended,
                () = activity.idle(timeouts.headers) => return,
            }
        } else {
            let connection = self.protocols.http1.serve_connection(stream, service);
            self.watcher.watch(connection).await
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Does the client speak HTTP/2 without asking first ("prior knowledge")? Its bytes stay in the stream.
async fn begins_as_http2(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; PREFACE.len()];
    loop {
        let length = stream.peek(&mut first).await?;
        if length == 0 || first[..length] != PREFACE[..length] {
            return Ok(false);
        }
        if length == PREFACE.len() {
            return Ok(true);
        }
        sleep(PREFACE_PAUSE).await;
    }
}

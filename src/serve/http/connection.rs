//! Connections: accepted up to a limit, under timeouts, finished gracefully.

use crate::serve::http::answers::AnswerLimits;
use crate::serve::http::places::{Place, Places};
use crate::serve::http::watched::Watched;
use crate::serve::state::AppState;
use axum::Router;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::io::{self, Cursor};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
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
    let limits = state.config().limits;
    let places = Places::new(limits.connections, limits.connections_per_peer);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(place) = places.take(peer.ip()).await else {
                    tracing::debug!(%peer, "a peer has as many connections as it may have");
                    continue;
                };
                let connection = Connection {
                    protocols: protocols.clone(),
                    app: app.clone(),
                    state: state.clone(),
                    watcher: graceful.watcher(),
                    leaving: leaving.clone(),
                    place,
                    places: places.clone(),
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
    place: Place,
    places: Places,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream) {
        let timeouts = self.state.config().timeouts;
        let _open = self.state.metrics().connect();
        // Answers are small: waiting to fill a packet would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let (mut read, write) = stream.into_split();
        let first = timeout(timeouts.headers, first_bytes(&mut read));
        let first = tokio::select! {
            first = first => first,
            _ = self.leaving.changed() => return,
            () = self.place.evicted() => return,
        };
        let Ok(Ok(Some(first))) = first else {
            tracing::debug!("a connection ended before its first request");
            return;
        };
        let is_http2 = first == PREFACE;
        let stream = tokio::io::join(Cursor::new(first).chain(read), write);
        // Clients that ask and never read would hold their places for ever.
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(timeouts.write));
        let stream = TokioIo::new(Box::pin(stream));
        let (activity, untaken) = (&self.place.activity, &self.place.untaken);
        let service = Watched {
            activity: activity.clone(),
            answers: AnswerLimits {
                untaken: untaken.clone(),
                budget: self.state.answers().clone(),
                places: self.places,
            },
            service: TowerToHyperService::new(self.app),
        };
        let served = async {
            if is_http2 {
                let connection = self.protocols.http2.serve_connection(stream, service);
                let connection = self.watcher.watch(connection);
                // hyper's timeout for headers knows HTTP/1 only.
                tokio::select! {
                    ended = connection => ended,
                    () = activity.idle(timeouts.headers) => Ok(()),
                }
            } else {
                let connection = self.protocols.http1.serve_connection(stream, service);
                self.watcher.watch(connection).await
            }
        };
        let ended = tokio::select! {
            ended = served => ended,
            () = untaken.overdue(timeouts.answer) => {
                tracing::debug!("a client does not take its answer");
                return;
            }
            () = self.place.evicted() => {
                tracing::debug!("a connection makes room for others");
                return;
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// The first bytes, as many as tell HTTP/2 with prior knowledge ([`PREFACE`]) from HTTP/1; none where the client leaves before.
async fn first_bytes(stream: &mut OwnedReadHalf) -> io::Result<Option<Vec<u8>>> {
    let mut first = Vec::with_capacity(PREFACE.len());
    while first.len() < PREFACE.len() && PREFACE.starts_with(&first) {
        let left = (PREFACE.len() - first.len()) as u64;
        if (&mut *stream).take(left).read_buf(&mut first).await? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(first))
}

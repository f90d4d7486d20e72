//! The HTTP client of the exporter: its thread has no runtime, so requests run on the service's.

use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client as LegacyClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, ResponseExt};
use std::pin::Pin;
use std::time::Duration;
use tokio::runtime::Handle;

/// Longest answer of a collector that is read.
const MAX_ANSWER: usize = 64 << 10;
/// A collector that takes longer gets the next batch.
const TIMEOUT: Duration = Duration::from_secs(10);

type Sender = LegacyClient<HttpConnector, Full<Bytes>>;
type Answer = Result<Response<Bytes>, HttpError>;

#[derive(Debug)]
pub(super) struct Client {
    sender: Sender,
    runtime: Handle,
}

impl Client {
    pub(super) fn on_this_runtime() -> Self {
        Self {
            sender: LegacyClient::builder(TokioExecutor::new()).build_http(),
            runtime: Handle::current(),
        }
    }
}

impl HttpClient for Client {
    fn send_bytes<'a, 'out>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send + 'out>>
    where
        'a: 'out,
        Self: 'out,
    {
        let sender = self.sender.clone();
        let asked = self
            .runtime
            .spawn(async move { tokio::time::timeout(TIMEOUT, send(sender, request)).await? });
        Box::pin(async { asked.await? })
    }
}

async fn send(sender: Sender, request: Request<Bytes>) -> Answer {
    let (parts, body) = sender.request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    Response::from_parts(parts, body).error_for_status()
}

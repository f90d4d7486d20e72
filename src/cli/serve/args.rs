//! The options of `goodnet serve` as typed.

use crate::defence::Policy;
use crate::serve::config::{DEFAULT_MODEL_NAME, ServeLimits};
use crate::serve::http::cors;
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Serve a bundle over HTTP.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  goodnet serve --bundle models --listen 127.0.0.1:8080")]
pub struct ServeArgs {
    /// The bundle; a changed one is loaded beside it, tested and swapped in.
    #[arg(
        long,
        env = "GOODNET_BUNDLE",
        default_value = "models",
        value_name = "DIR"
    )]
    pub bundle: PathBuf,
    /// Address and port to listen on.
    #[arg(
        long,
        env = "GOODNET_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDR"
    )]
    pub listen: SocketAddr,
    /// What the v2 protocol calls the model whose verdict the policy decides.
    #[arg(long, env = "GOODNET_MODEL_NAME", default_value = DEFAULT_MODEL_NAME, value_name = "NAME", value_parser = model_name)]
    pub model_name: String,
    /// How the networks run.
    #[command(flatten)]
    pub inference: InferenceArgs,
    /// What a request may cost.
    #[command(flatten)]
    pub limits: LimitArgs,
    /// What may take how long.
    #[command(flatten)]
    pub timeouts: TimeoutArgs,
    /// Who may ask, and what is trusted.
    #[command(flatten)]
    pub trust: TrustArgs,
    /// What becomes of flagged inputs.
    #[command(flatten)]
    pub quarantine: QuarantineArgs,
    /// Logs and traces.
    #[command(flatten)]
    pub logs: LogArgs,
}

/// How the networks run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Inference")]
pub struct InferenceArgs {
    /// Inference threads (default: the CPUs that this process may use, its container's limit included; from four on, less
    /// one of eight for HTTP).
    #[arg(long, env = "GOODNET_WORKERS", value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: Option<u16>,
    /// Threads inside one run of a network.
    #[arg(long, env = "GOODNET_INTRA_THREADS", default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub intra_threads: u16,
    /// Images that may wait for a thread; beyond that requests are refused with 429.
    #[arg(long, env = "GOODNET_QUEUE", default_value_t = 256, value_name = "N")]
    pub queue: u16,
    /// Run B and every B' one by one, even where the bundle has them as one graph.
    #[arg(long, env = "GOODNET_SEPARATE")]
    pub separate: bool,
    /// The drop that answers requests that name none (default: the largest of the bundle).
    #[arg(long, env = "GOODNET_DEFAULT_DROP", value_name = "POINTS")]
    pub default_drop: Option<f64>,
    /// The policy that answers requests that name none (default: repaired where the bundle has a repaired network, else
    /// disagreement); the others need `goodnet repair --defend`.
    #[arg(long, env = "GOODNET_POLICY", value_name = "NAME")]
    pub policy: Option<Policy>,
}

/// What a request may cost.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitArgs {
    /// Longest body with one image, in bytes; longer ones are refused with 413.
    #[arg(long, env = "GOODNET_MAX_BODY", default_value_t = ServeLimits::default().body, value_name = "BYTES")]
    pub max_body: usize,
    /// Longest body of a batch, in bytes.
    #[arg(long, env = "GOODNET_MAX_BATCH_BODY", default_value_t = ServeLimits::default().batch_body, value_name = "BYTES")]
    pub max_batch_body: usize,
    /// Bytes that the bodies of all requests together may take in memory; beyond that 429.
    #[arg(long, env = "GOODNET_MAX_BODIES", default_value_t = ServeLimits::default().bodies, value_name = "BYTES")]
    pub max_bodies: usize,
    /// Bytes that answers may take in memory which clients have not read to the end; beyond that 429.
    #[arg(long, env = "GOODNET_MAX_ANSWERS", default_value_t = ServeLimits::default().answers, value_name = "BYTES")]
    pub max_answers: usize,
    /// Bytes that images may take in memory while they are decoded, all together; others wait their turn, and one that wants more
    /// is decoded alone (default: 16 MiB an inference thread, at least 32 MiB).
    #[arg(long, env = "GOODNET_MAX_DECODING", value_name = "BYTES")]
    pub max_decoding: Option<usize>,
    /// Most images in a batch.
    #[arg(
        long,
        env = "GOODNET_MAX_BATCH",
        default_value_t = ServeLimits::default().batch_images,
        value_name = "N"
    )]
    pub max_batch: usize,
    /// Most pixels that an image is decoded to; beyond that 422. What decoding may cost grows with it: 20 samples of work a pixel
    /// for all images of a request, 19 bytes a pixel for each. A JPEG that is decoded at a part of its size (see --exact-decode)
    /// counts with the part's pixels, so photos of 12 to 16 megapixels pass.
    #[arg(
        long,
        env = "GOODNET_MAX_PIXELS",
        default_value_t = ServeLimits::default().pixels,
        value_name = "N"
    )]
    pub max_pixels: u64,
    /// Longest side of an image, in pixels.
    #[arg(
        long,
        env = "GOODNET_MAX_SIDE",
        default_value_t = ServeLimits::default().side,
        value_name = "N"
    )]
    pub max_side: u32,
    /// Most connections at a time; when all are taken, the one that has been idle longest makes room.
    #[arg(
        long,
        env = "GOODNET_MAX_CONNECTIONS",
        default_value_t = ServeLimits::default().connections,
        value_name = "N"
    )]
    pub max_connections: usize,
    /// Most connections from one address at a time (default: no limit of its own); behind a proxy all come from one.
    #[arg(long, env = "GOODNET_MAX_CONNECTIONS_PER_PEER", value_name = "N")]
    pub max_connections_per_peer: Option<usize>,
}

/// What may take how long, in seconds.
#[derive(Debug, Args)]
#[command(next_help_heading = "Timeouts")]
pub struct TimeoutArgs {
    /// Seconds for a request's headers, counted from the answer before on the same connection.
    #[arg(long, env = "GOODNET_HEADER_TIMEOUT", default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub header_timeout: Duration,
    /// Seconds for a request's body.
    #[arg(long, env = "GOODNET_BODY_TIMEOUT", default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    pub body_timeout: Duration,
    /// Seconds from a request's headers to its answer; after that 504.
    #[arg(long, env = "GOODNET_REQUEST_TIMEOUT", default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub request_timeout: Duration,
    /// Seconds for which a client may take nothing of its answer; after that the connection is closed.
    #[arg(long, env = "GOODNET_WRITE_TIMEOUT", default_value = "30", value_name = "SECONDS", value_parser = seconds)]
    pub write_timeout: Duration,
    /// Seconds in which a client must have taken its whole answer; after that the connection is closed.
    #[arg(long, env = "GOODNET_ANSWER_TIMEOUT", default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub answer_timeout: Duration,
    /// Seconds after SIGTERM in which requests are still answered while /readyz says no.
    #[arg(long, env = "GOODNET_DRAIN_DELAY", default_value = "2", value_name = "SECONDS", value_parser = seconds)]
    pub drain_delay: Duration,
    /// Seconds after that for requests in flight.
    #[arg(long, env = "GOODNET_DRAIN_TIMEOUT", default_value = "20", value_name = "SECONDS", value_parser = seconds)]
    pub drain_timeout: Duration,
}

/// Who may ask, and what is trusted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trust")]
pub struct TrustArgs {
    /// File with a key of at least 16 characters a line: requests need `Authorization: Bearer KEY`; /healthz, /readyz and the pages
    /// themselves do not.
    #[arg(long, env = "GOODNET_KEYS", value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Host that requests may be meant for, without a port; may be given several times; `*`: any (default: localhost, 127.0.0.1
    /// and [::1] where the service listens on one of these, else any).
    #[arg(
        long = "allowed-host",
        env = "GOODNET_ALLOWED_HOSTS",
        value_delimiter = ',',
        value_name = "HOST"
    )]
    pub allowed_hosts: Vec<String>,
    /// Origin whose pages may ask from a browser, like `https://example.org`; may be given several times (default: none but this
    /// service's own page).
    #[arg(
        long = "cors-origin",
        env = "GOODNET_CORS_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGIN",
        value_parser = cors::Origin::parse
    )]
    pub cors_origins: Vec<cors::Origin>,
    /// Let /metrics be read without a key.
    #[arg(long, env = "GOODNET_OPEN_METRICS")]
    pub open_metrics: bool,
    /// Public key that the bundle must be signed with (see `goodnet sign`).
    #[arg(long, env = "GOODNET_REQUIRE_SIGNATURE", value_name = "FILE")]
    pub require_signature: Option<PathBuf>,
    /// Seconds between looks at the bundle for a change; 0: only on SIGHUP.
    #[arg(long, env = "GOODNET_RELOAD_INTERVAL", default_value = "2", value_name = "SECONDS", value_parser = seconds)]
    pub reload_interval: Duration,
}

/// What becomes of flagged inputs; they are forgotten unless a directory is named.
#[derive(Debug, Args)]
#[command(next_help_heading = "Quarantine")]
pub struct QuarantineArgs {
    /// Keep flagged images with their answers in this directory; `goodnet quarantine` reads it.
    #[arg(long, env = "GOODNET_QUARANTINE", value_name = "DIR")]
    pub quarantine: Option<PathBuf>,
    /// Bytes that its file may take, three eighths of them in images, one image a 32nd; the oldest are removed to make room.
    #[arg(long, env = "GOODNET_QUARANTINE_SIZE", default_value_t = 256 << 20, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(16 << 20..))]
    pub quarantine_size: u64,
    /// Days after which an image is removed.
    #[arg(long, env = "GOODNET_QUARANTINE_DAYS", default_value = "30", value_name = "DAYS", value_parser = days)]
    pub quarantine_days: Duration,
}

/// Logs and traces.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logs and traces")]
pub struct LogArgs {
    /// How log lines look.
    #[arg(
        long,
        env = "GOODNET_LOG_FORMAT",
        default_value = "human",
        value_name = "NAME"
    )]
    pub log_format: LogFormatName,
    /// What is logged; `goodnet::request=warn,info` leaves out the line that every request writes.
    #[arg(
        long,
        env = "GOODNET_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,
    /// Collector that gets a span of every request whose `traceparent` says that its trace is recorded, over OTLP (plain HTTP),
    /// like `http://127.0.0.1:4318` (default: none).
    #[arg(long, env = "GOODNET_OTLP", value_name = "URL")]
    pub otlp: Option<String>,
}

/// Log formats as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormatName {
    /// One line of text.
    Human,
    /// One JSON object a line.
    Json,
}

pub(in crate::cli) fn seconds(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a number of seconds, found {text:?}");
    let seconds: f64 = text.parse().map_err(|_| expected())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| expected())
}

/// A name that stands in a path as it is, and that no network of the bundle has.
fn model_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || !text.chars().all(plain) {
        return Err(format!(
            "expected a name of letters, digits, dots, dashes and underscores, found {text:?}"
        ));
    }
    if text == "badnet" || text.starts_with("pruned_") {
        return Err(format!(
            "expected another name than those of the bundle's networks, found {text:?}"
        ));
    }
    Ok(text.to_owned())
}

fn days(text: &str) -> Result<Duration, String> {
    const DAY: f64 = 24.0 * 60.0 * 60.0;
    let days: Option<f64> = text.parse().ok().filter(|&days| days > 0.0);
    days.and_then(|days| Duration::try_from_secs_f64(days * DAY).ok())
        .ok_or_else(|| format!("expected a number of days above 0, found {text:?}"))
}

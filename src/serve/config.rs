//! The service's settings, validated.

use crate::bundle::signature::Verifier;
use crate::defence::Policy;
use crate::engine::SessionConfig;
use crate::quarantine;
use crate::serve::http::cors::Origin;
use crate::serve::http::keys::Keys;
use crate::serve::inference::pool::PoolConfig;
use std::path::PathBuf;
use std::time::Duration;

/// What the v2 protocol calls the model whose verdict the policy decides, where no other name is given.
pub const DEFAULT_MODEL_NAME: &str = "goodnet";

/// Everything that [`crate::serve::run`] needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the bundle comes from and how it is watched.
    pub source: Source,
    /// How the networks run.
    pub inference: Inference,
    /// What a request may cost.
    pub limits: ServeLimits,
    /// What may take how long.
    pub timeouts: Timeouts,
    /// Who may ask.
    pub access: Access,
    /// What the v2 protocol calls the model whose verdict the policy decides.
    pub model_name: String,
    /// Where flagged inputs are kept; `None`: nowhere.
    pub quarantine: Option<Quarantine>,
    /// The collector that spans are sent to, over OTLP; `None`: nowhere.
    pub collector: Option<String>,
}

/// Where the bundle comes from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The bundle's directory.
    pub dir: PathBuf,
    /// How often the manifest is looked at for a change; `None`: only on SIGHUP.
    pub poll: Option<Duration>,
    /// The key that the bundle must be signed with.
    pub verifier: Option<Verifier>,
}

/// How the networks run.
#[derive(Debug, Clone)]
pub struct Inference {
    /// Threads and queue.
    pub pool: PoolConfig,
    /// Threads inside one run.
    pub session: SessionConfig,
    /// Run B and every B' one by one even where the bundle has the fused graph.
    pub separate: bool,
    /// The drop that answers a request that names none; `None`: the largest that the bundle reaches.
    pub default_drop: Option<f64>,
    /// The policy that answers a request that names none; the bundle's best one where none is set.
    pub policy: Option<Policy>,
}

/// What a request may cost.
#[derive(Debug, Clone, Copy)]
pub struct ServeLimits {
    /// Longest body with one image, in bytes.
    pub body: usize,
    /// Longest body of a batch, in bytes.
    pub batch_body: usize,
    /// Bytes that the bodies of all requests together may take.
    pub bodies: usize,
    /// Bytes that answers may take which clients have not read to the end.
    pub answers: usize,
    /// Bytes that images may take while they are decoded, all together; one that wants more is decoded alone.
    pub decoding: usize,
    /// Most images in a batch.
    pub batch_images: usize,
    /// Most pixels that an image is decoded to; its work and its memory are bounded by so much for each.
    pub pixels: u64,
    /// Longest side of an image, in pixels.
    pub side: u32,
    /// Most connections at a time; when all are taken, the one that has been idle longest makes room.
    pub connections: usize,
    /// Most connections from one address at a time.
    pub connections_per_peer: usize,
    /// Decode large JPEG files whole ([`Detail`](crate::input::image::Detail)), even where the bundle's figures were not measured so.
    pub exact_decode: bool,
}

/// What may take how long.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// From the last request on a connection (or its opening) to the end of the next request's headers.
    pub headers: Duration,
    /// From the headers to the end of the body.
    pub body: Duration,
    /// From the headers to the answer.
    pub request: Duration,
    /// While a client takes nothing of an answer.
    pub write: Duration,
    /// From an answer's being ready until the client has taken its last byte.
    pub answer: Duration,
    /// From SIGTERM (not ready any more) until no new request is taken.
    pub drain_delay: Duration,
    /// From then until requests in flight are given up.
    pub drain: Duration,
}

/// Who may ask.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Bearer keys; `None`: everybody may ask.
    pub keys: Option<Keys>,
    /// The file of the keys, read again on every reload.
    pub keys_file: Option<PathBuf>,
    /// Hosts that requests may be meant for, without ports; `None`: any.
    pub allowed_hosts: Option<Vec<String>>,
    /// Is /metrics exempt from the keys?
    pub open_metrics: bool,
    /// Origins whose pages may read answers (CORS), as browsers send them; none: no page from elsewhere.
    pub cors_origins: Vec<Origin>,
}

/// Where flagged inputs are kept.
#[derive(Debug, Clone)]
pub struct Quarantine {
    /// The directory.
    pub dir: PathBuf,
    /// How much is kept, and for how long.
    pub limits: quarantine::RetentionLimits,
}

impl Config {
    /// The defaults for the bundle in `dir`.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            source: Source {
                dir,
                poll: Some(Duration::from_secs(2)),
                verifier: None,
            },
            inference: Inference {
                pool: PoolConfig {
                    workers: default_workers(),
                    queue: 256,
                },
                session: SessionConfig::default(),
                separate: false,
                default_drop: None,
                policy: None,
            },
            limits: ServeLimits::default(),
            timeouts: Timeouts::default(),
            access: Access::default(),
            model_name: DEFAULT_MODEL_NAME.to_owned(),
            quarantine: None,
            collector: None,
        }
    }
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            body: 8 << 20,
            batch_body: 32 << 20,
            bodies: 256 << 20,
            answers: 64 << 20,
            decoding: decoding_for(2),
            batch_images: 64,
            pixels: 4_000_000,
            side: 8192,
            connections: 1024,
            connections_per_peer: 1024,
            exact_decode: false,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(30),
            body: Duration::from_secs(10),
            request: Duration::from_secs(30),
            write: Duration::from_secs(30),
            answer: Duration::from_secs(60),
            drain_delay: Duration::from_secs(2),
            drain: Duration::from_secs(20),
        }
    }
}

/// Inference threads for the CPUs that this process may use (its affinity and its cgroup's quota).
#[must_use]
pub fn default_workers() -> usize {
    workers_for(std::thread::available_parallelism().map_or(1, usize::from))
}

/// Bytes in which `workers` inference threads decode at once: a photo of three megapixels each, and the largest pictures of the
/// default limits one after the other.
#[must_use]
pub fn decoding_for(workers: usize) -> usize {
    workers.max(2) * (16 << 20)
}

/// From four CPUs on, HTTP keeps one of eight: with an inference thread on every CPU fewer requests are answered, and later
/// (docs/BENCHMARKS.md).
fn workers_for(cpus: usize) -> usize {
    if cpus < 4 {
        return cpus;
    }
    cpus - cpus.div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::workers_for;

    #[test]
    fn http_keeps_a_cpu_of_eight_where_there_are_four() {
        let found = [1, 2, 3, 4, 8, 9, 16, 64].map(workers_for);
        assert_eq!(found, [1, 2, 3, 3, 7, 7, 14, 56]);
    }
}

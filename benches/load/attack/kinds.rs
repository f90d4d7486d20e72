//! The attacks: what each does, again and again, until its tasks are stopped.

use super::images;
use super::requests::{self, Stream};
use crate::http::Connection;
use crate::service::Log;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// An attack.
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// In words.
    pub(super) what: &'static str,
    pub(super) log: Log,
    /// Starts tasks that go on until they are stopped.
    pub(super) begin: fn(&Target, &mut JoinSet<()>),
}

/// Who is attacked, and how often that was done.
#[derive(Debug, Clone)]
pub(super) struct Target {
    address: SocketAddr,
    made: Arc<AtomicUsize>,
}

impl Target {
    pub(super) fn new(address: SocketAddr) -> Self {
        let made = Arc::default();
        Self { address, made }
    }

    /// Requests or connections so far.
    pub(super) fn made(&self) -> usize {
        self.made.load(Relaxed)
    }

    fn count(&self) {
        self.made.fetch_add(1, Relaxed);
    }
}

const SECOND: Duration = Duration::from_secs(1);
/// How often the longest known way to hold a place asks for something: less than the time for headers.
const HOARDER: Duration = Duration::from_secs(18);
/// Every place of a service with the usual settings.
const PLACES: usize = 1024;

const fn attack(
    name: &'static str,
    what: &'static str,
    begin: fn(&Target, &mut JoinSet<()>),
) -> Attack {
    Attack {
        name,
        what,
        log: Log::Read,
        begin,
    }
}

/// All of them.
pub(super) const ALL: &[Attack] = &[
    attack(
        "decode",
        "an image of each format that costs as much as the limits allow, each once a second",
        decode,
    ),
    attack("first-byte", "one byte and close, 100 a second", first_byte),
    attack(
        "first-byte-held",
        "900 connections that hold their first byte open",
        first_byte_held,
    ),
    Attack {
        name: "log",
        what: "nobody reads the log, and 200 requests a second write to it",
        log: Log::Stopped,
        begin: log,
    },
    attack(
        "http1-untaken",
        "400 connections that ask and take no answer",
        http1_untaken,
    ),
    attack(
        "http2-window",
        "16 HTTP/2 connections of 64 requests each with a window of zero",
        http2_window,
    ),
    attack(
        "hoarding",
        "1024 connections that ask /healthz every 18 s",
        hoarding,
    ),
    attack(
        "host",
        "200 images a second for another host, as a web page would send them",
        host,
    ),
    attack(
        "names",
        "200 images a second with a misspelt parameter",
        names,
    ),
    attack(
        "batches",
        "every second a batch of 64 costly images, every other second one of 12 MiB",
        batches,
    ),
    attack("mix", "all of these but the hoarding at the same time", mix),
];

fn decode(target: &Target, tasks: &mut JoinSet<()>) {
    for image in images::costly() {
        let request = requests::classify("/classify", "localhost", &image);
        ask_every(target, tasks, SECOND, request);
    }
}

fn first_byte(target: &Target, tasks: &mut JoinSet<()>) {
    repeat(target, tasks, SECOND / 100, async |target| {
        let mut stream = Stream::open(target.address).await?;
        stream.send(b"P").await
    });
}

fn first_byte_held(target: &Target, tasks: &mut JoinSet<()>) {
    hold(target, tasks, 900, async |target| {
        let mut stream = Stream::open(target.address).await?;
        stream.send(b"P").await?;
        target.count();
        stream.closed().await
    });
}

fn log(target: &Target, tasks: &mut JoinSet<()>) {
    for _ in 0..4 {
        ask_every(target, tasks, SECOND / 50, requests::get("/healthz"));
    }
}

fn http1_untaken(target: &Target, tasks: &mut JoinSet<()>) {
    hold(target, tasks, 400, async |target| {
        let mut stream = Stream::open_narrow(target.address).await?;
        let requests = requests::get("/openapi.json").repeat(4);
        stream.send(&requests).await?;
        target.count();
        stream.untaken().await
    });
}

fn http2_window(target: &Target, tasks: &mut JoinSet<()>) {
    hold(target, tasks, 16, async |target| {
        let mut stream = Stream::open(target.address).await?;
        stream
            .send(&requests::zero_window("/openapi.json", 64))
            .await?;
        target.count();
        stream.closed().await
    });
}

fn hoarding(target: &Target, tasks: &mut JoinSet<()>) {
    hold(target, tasks, PLACES, async |target| {
        let mut connection = Connection::open(target.address).await?;
        loop {
            connection.send(&requests::get("/healthz"), &[]).await?;
            target.count();
            sleep(HOARDER).await;
        }
    });
}

fn host(target: &Target, tasks: &mut JoinSet<()>) {
    let request = requests::classify("/classify", "attacker.example", &images::small());
    for _ in 0..4 {
        ask_every(target, tasks, SECOND / 50, request.clone());
    }
}

fn names(target: &Target, tasks: &mut JoinSet<()>) {
    let request = requests::classify("/classify?polcy=gated", "localhost", &images::small());
    for _ in 0..4 {
        ask_every(target, tasks, SECOND / 50, request.clone());
    }
}

fn batches(target: &Target, tasks: &mut JoinSet<()>) {
    let costly = vec![images::scans(); 64];
    ask_every(target, tasks, SECOND, requests::batch(&costly));
    let large = vec![images::bitmap(); 3];
    ask_every(target, tasks, 2 * SECOND, requests::batch(&large));
}

fn mix(target: &Target, tasks: &mut JoinSet<()>) {
    for begin in [
        decode,
        first_byte,
        first_byte_held,
        log,
        http2_window,
        host,
        names,
        batches,
    ] {
        begin(target, tasks);
    }
}

/// Sends `request` every `pace` and reads the answer, whatever it is.
fn ask_every(target: &Target, tasks: &mut JoinSet<()>, pace: Duration, request: Vec<u8>) {
    let request = Arc::new(request);
    repeat(target, tasks, pace, move |target| {
        let request = Arc::clone(&request);
        async move {
            let mut connection = Connection::open(target.address).await?;
            connection.send(&request, &[]).await.map(drop)
        }
    });
}

/// Does `once` every `pace`, beside the ones before that have not ended.
fn repeat<F>(
    target: &Target,
    tasks: &mut JoinSet<()>,
    pace: Duration,
    once: impl Fn(Target) -> F + Send + 'static,
) where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let target = target.clone();
    tasks.spawn(async move {
        let mut running = JoinSet::new();
        let mut turns = tokio::time::interval(pace);
        loop {
            turns.tick().await;
            target.count();
            // Whether it succeeds is the service's affair.
            let done = once(target.clone());
            running.spawn(async move { drop(done.await) });
            while running.try_join_next().is_some() {}
        }
    });
}

/// Does `once` on each of `count` connections, opened one after the other in a second, and again a second after it has ended.
fn hold<F>(
    target: &Target,
    tasks: &mut JoinSet<()>,
    count: usize,
    once: impl Fn(Target) -> F + Clone + Send + 'static,
) where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    for number in 0..count {
        let (target, once) = (target.clone(), once.clone());
        tasks.spawn(async move {
            sleep(SECOND.mul_f64(number as f64 / count as f64)).await;
            loop {
                // Whether it succeeds is the service's affair.
                drop(once(target.clone()).await);
                sleep(SECOND).await;
            }
        });
    }
}

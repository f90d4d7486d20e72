//! The rows that need no other server.

use crate::bundle::{encode, jpeg, lab_bundle};
use crate::load::{Client, closed, count, open, post, quantile};
use crate::process::Server;
use goodnet::demo::{Attack, Split, World};
use goodnet::engine::{Engine, GoodNet, SessionConfig};
use goodnet::input::image;
use goodnet::input::image::Limits;
use goodnet::input::preprocess::Preprocess;
use goodnet::serve::inference::request::Timings;
use goodnet::serve::metrics::Metrics;
use goodnet::tensor::Tensor;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Rounds in which what is compared alternates; the median is reported.
const ROUNDS: usize = 7;

/// The networks of `bundle` as the service runs them, and the tensor of `image`.
fn bare(engine: &Engine, bundle: &Path, image: &[u8]) -> (GoodNet, Tensor) {
    let bundle = goodnet::bundle::load(bundle).unwrap();
    let manifest = bundle.manifest();
    let model = bundle.file("goodnet.onnx").unwrap();
    let config = SessionConfig::default();
    let networks = GoodNet::fused(engine, model, manifest.drops.len(), &config).unwrap();
    let decoded = image::decode(image, &Limits::default()).unwrap();
    let pixels = Preprocess::new(&manifest.input).rgb8(&decoded).unwrap();
    (networks, Tensor::new(manifest.input.batch_shape(1), pixels))
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: Vec<f64>) -> f64 {
    quantile(&sorted(values), 0.5)
}

/// p50 of `POST /classify`, one client, and of the bare inference, in turn.
pub fn added(engine: &Engine) {
    const EACH: usize = 400;
    let folder = tempfile::tempdir().unwrap();
    let bundle = lab_bundle(engine, folder.path());
    let image = jpeg();
    let (mut networks, tensor) = bare(engine, &bundle, &image);
    let server = Server::goodnet(&bundle, Some(1));
    let request = post("/classify", &image);
    let mut client = Client::connect(server.address).unwrap();
    let time = |work: &mut dyn FnMut()| {
        let timed = |_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64()
        };
        median((0..EACH).map(timed).collect())
    };
    let mut differences = Vec::new();
    let (mut inferences, mut paced, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let inference = time(&mut || drop(networks.run(tensor.view()).unwrap()));
        let after_pause = median(
            (0..EACH)
                .map(|_| after_pause(&mut networks, &tensor))
                .collect(),
        );
        let answer = time(&mut || {
            client.send(&request);
        });
        // The first round warms both sides up.
        if round > 0 {
            inferences.push(inference);
            paced.push(after_pause);
            requests.push(answer);
            differences.push(answer - inference);
        }
    }
    println!("bare inference p50: {:.1} us", 1e6 * median(inferences));
    println!(
        "the same after a pause of 0.2 ms: {:.1} us",
        1e6 * median(paced)
    );
    println!("POST /classify p50: {:.1} us", 1e6 * median(requests));
    let sorted = sorted(differences);
    println!(
        "added: {:.3} ms (rounds {:.3} to {:.3})",
        1e3 * quantile(&sorted, 0.5),
        1e3 * sorted[0],
        1e3 * sorted[ROUNDS - 1]
    );
}

/// Seconds of one inference by a thread that has just woken up, as the service's have.
fn after_pause(networks: &mut GoodNet, tensor: &Tensor) -> f64 {
    std::thread::sleep(Duration::from_micros(200));
    let started = Instant::now();
    networks.run(tensor.view()).unwrap();
    started.elapsed().as_secs_f64()
}

/// Bare inferences a second of `workers` threads with a session each.
fn bare_throughput(sessions: &mut [(GoodNet, Tensor)], during: Duration) -> f64 {
    let done = AtomicU64::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for (networks, tensor) in sessions {
            let done = &done;
            scope.spawn(move || {
                while started.elapsed() < during {
                    networks.run(tensor.view()).unwrap();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.into_inner() as f64 / started.elapsed().as_secs_f64()
}

/// What each policy adds to the p50 of `POST /classify` on clean test photos of the demo, one client.
pub fn policies() {
    const EACH: usize = 20;
    let bundle = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models"));
    let photos = World::new(1, 64, Attack::Sunglasses).clean(Split::Test, EACH);
    let images: Vec<_> = (0..photos.len())
        .map(|index| encode(photos.image(index)))
        .collect();
    let server = Server::goodnet(bundle, Some(1));
    let mut client = Client::connect(server.address).unwrap();
    let mut ask = |policy: &str, image: &[u8]| {
        let request = post(&format!("/classify?policy={policy}"), image);
        let started = Instant::now();
        let answer = client.send(&request);
        let unchecked = answer.contains("\"checks\":[]");
        (started.elapsed().as_secs_f64(), unchecked)
    };
    let (mut plain, mut gated, mut unchecked) = (Vec::new(), Vec::new(), Vec::new());
    for (index, image) in images.iter().enumerate() {
        // Whoever comes second finds warmer caches, or those that a check has emptied.
        let first = index.is_multiple_of(2).then(|| ask("disagreement", image));
        let (time, passed) = ask("gated", image);
        let (disagreement, _) = first.unwrap_or_else(|| ask("disagreement", image));
        plain.push(disagreement);
        gated.push(time);
        unchecked.push(passed);
    }
    println!("{} clean photos of 64 people", images.len());
    println!("policy            p50        p99       mean    p50 over disagreement");
    print_policy("disagreement", &plain, &plain);
    print_policy("gated", &gated, &plain);
    let passed = |times: &[f64]| -> Vec<f64> {
        let pairs = times.iter().zip(&unchecked);
        pairs.filter(|pair| *pair.1).map(|pair| *pair.0).collect()
    };
    let (plain, gated) = (passed(&plain), passed(&gated));
    println!("the {} photos whose label is not suspect:", gated.len());
    print_policy("disagreement", &plain, &plain);
    print_policy("gated", &gated, &plain);
}

/// One line of the table: `times` in seconds, beside those of `disagreement`.
fn print_policy(name: &str, times: &[f64], disagreement: &[f64]) {
    let ratio = median(times.to_vec()) / median(disagreement.to_vec());
    let times = sorted(times.to_vec());
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    println!(
        "{name:<12} {:>6.0} us  {:>6.0} us  {:>6.0} us    {ratio:.3}",
        1e6 * quantile(&times, 0.5),
        1e6 * quantile(&times, 0.99),
        1e6 * mean
    );
}

/// Requests a second over bare inferences a second with as many sessions.
pub fn throughput(engine: &Engine, workers: usize, connections: usize) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = lab_bundle(engine, folder.path());
    let image = jpeg();
    let mut sessions: Vec<_> = (0..workers)
        .map(|_| bare(engine, &bundle, &image))
        .collect();
    let server = Server::goodnet(&bundle, Some(workers));
    let request = post("/classify", &image);
    let during = Duration::from_secs(2);
    let (mut bares, mut served, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let bare = bare_throughput(&mut sessions, during);
        let http = closed(server.address, &request, connections, during);
        bares.push(bare);
        served.push(http);
        ratios.push(http / bare);
    }
    println!(
        "bare inference: {:.0}/s with {workers} sessions",
        median(bares)
    );
    println!(
        "POST /classify: {:.0}/s at {connections} connections",
        median(served)
    );
    println!("ratio: {:.3}", median(ratios));
}

/// Latencies in seconds, sorted, of bare inferences that are due at a fixed `rate`, handed to a thread a session.
fn bare_open(sessions: &mut [(GoodNet, Tensor)], rate: f64, during: Duration) -> Vec<f64> {
    let total = (rate * during.as_secs_f64()) as u64;
    let (send, due) = crossbeam_channel::unbounded::<Duration>();
    let started = Instant::now();
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .iter_mut()
            .map(|(networks, tensor)| {
                let due = due.clone();
                scope.spawn(move || {
                    let mut latencies = Vec::new();
                    for due in due {
                        networks.run(tensor.view()).unwrap();
                        latencies.push((started.elapsed() - due).as_secs_f64());
                    }
                    latencies
                })
            })
            .collect();
        for turn in 0..total {
            let due = Duration::from_secs_f64(turn as f64 / rate);
            std::thread::sleep(due.saturating_sub(started.elapsed()));
            send.send(due).unwrap();
        }
        drop(send);
        for thread in threads {
            all.extend(thread.join().unwrap());
        }
    });
    sorted(all)
}

/// p99 over p50 at 80 % of the highest load, and the same of bare inferences.
pub fn tail(engine: &Engine, workers: usize) {
    const CONNECTIONS: usize = 32;
    let folder = tempfile::tempdir().unwrap();
    let bundle = lab_bundle(engine, folder.path());
    let image = jpeg();
    let mut sessions: Vec<_> = (0..workers)
        .map(|_| bare(engine, &bundle, &image))
        .collect();
    let server = Server::goodnet(&bundle, Some(workers));
    let request = post("/classify", &image);
    let (short, long) = (Duration::from_secs(2), Duration::from_secs(3));
    let (mut served, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let most = closed(server.address, &request, CONNECTIONS, short);
        let latencies = open(server.address, &request, CONNECTIONS, 0.8 * most, long);
        served.push(spread("POST /classify", most, &latencies));
        let most = bare_throughput(&mut sessions, short);
        let latencies = bare_open(&mut sessions, 0.8 * most, long);
        bares.push(spread("bare inference", most, &latencies));
    }
    println!("p99 / p50, bare inference: {:.2}", median(bares));
    println!("p99 / p50, POST /classify: {:.2}", median(served));
}

/// p99 over p50 of `latencies`, printed with both.
fn spread(what: &str, most: f64, latencies: &[f64]) -> f64 {
    let (p50, p99) = (quantile(latencies, 0.5), quantile(latencies, 0.99));
    let ratio = p99 / p50;
    println!(
        "{what} at {:.0}/s of {most:.0}/s: p50 {:.3} ms, p99 {:.3} ms, ratio {ratio:.2}",
        0.8 * most,
        1e3 * p50,
        1e3 * p99
    );
    ratio
}

/// From the process's start until `GET /readyz` answers 200, with the default bundle.
pub fn start() {
    let default = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models"));
    let time = |_| {
        let started = Instant::now();
        let _server = Server::goodnet(default, None);
        started.elapsed().as_secs_f64()
    };
    let times = sorted((0..15).map(time).collect());
    println!(
        "start to ready: {:.3} s (median of {}; {:.3} to {:.3})",
        quantile(&times, 0.5),
        times.len(),
        times[0],
        times[times.len() - 1]
    );
}

/// Resident memory after `requests` requests over after 10,000.
pub fn memory(engine: &Engine, workers: usize, requests: u64) {
    const FIRST: u64 = 10_000;
    const CONNECTIONS: usize = 32;
    let folder = tempfile::tempdir().unwrap();
    let bundle = lab_bundle(engine, folder.path());
    let server = Server::goodnet(&bundle, Some(workers));
    let request = post("/classify", &jpeg());
    count(server.address, &request, CONNECTIONS, FIRST);
    let before = server.resident_kib();
    count(
        server.address,
        &request,
        CONNECTIONS,
        requests.saturating_sub(FIRST),
    );
    let after = server.resident_kib();
    println!("after {FIRST} requests: {before} KiB; after {requests}: {after} KiB");
    println!("ratio: {:.3}", after as f64 / before as f64);
}

/// What counting a request costs over a bare inference: both counted in the same process, one thread.
pub fn metrics(engine: &Engine) {
    const REQUESTS: u32 = 200_000;
    const INFERENCES: u32 = 2000;
    let folder = tempfile::tempdir().unwrap();
    let bundle = lab_bundle(engine, folder.path());
    let (mut networks, tensor) = bare(engine, &bundle, &jpeg());
    let metrics = Metrics::new();
    let timings = Timings {
        queue: Duration::from_micros(5),
        decode: Duration::from_micros(40),
        inference: Duration::from_micros(300),
    };
    let started = Instant::now();
    for _ in 0..REQUESTS {
        let _in_flight = metrics.enter();
        metrics.count_request("/classify", 200, timings.total());
        metrics.observe_timings(&timings);
    }
    let counting = started.elapsed() / REQUESTS;
    let started = Instant::now();
    for _ in 0..INFERENCES {
        networks.run(tensor.view()).unwrap();
    }
    let inference = started.elapsed() / INFERENCES;
    println!("metrics: {counting:?} a request, bare inference {inference:?}");
    println!(
        "ratio: {:.4}",
        counting.as_secs_f64() / inference.as_secs_f64()
    );
}

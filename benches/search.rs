//! The search of audit and repair beside the bare runtime: forward passes a second, one ratio a network.
//!
//! `cargo bench --bench search` audits the demo's BadNet and, where its file is at hand, the lab's network, on random smooth images.
//! Bare: a session a thread, one batch of 8 made beforehand again and again, nothing done with the answers; the graph that is searched
//! (rewritten, up to the head), and the network as imported. The search: painting, trials, statistics and evidence included. Rounds in
//! turns; the median of their ratios, and the least and the greatest.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use clap::Parser;
use common::lab;
use goodnet::PixelRule;
use goodnet::bundle::manifest::DataRole;
use goodnet::defence::clean::{CleanCollector, CleanSet};
use goodnet::engine::{BackendChoice, Engine, Session, SessionConfig};
use goodnet::input::spec::Layout;
use goodnet::onnx::{Model, Ports, head, ports};
use goodnet::search::{
    CleanImages, Network, SearchOptions, SearchedNetwork, SessionNetwork, Unwatched, search,
};
use goodnet::tensor::TensorView;
use std::path::Path;
use std::time::Instant;

/// Images that the search is given.
const IMAGES: usize = 640;
/// Images of a run of the bare runtime.
const BATCH: usize = 8;

#[derive(Debug, Parser)]
struct Args {
    /// Rounds of each
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Forward passes of a search
    #[arg(long, default_value_t = 20_000)]
    effort: usize,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let args = Args::parse();
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let threads = rayon::current_num_threads();
    println!("{} on {threads} threads", engine.info());
    let demo = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models/badnet.onnx"));
    measure("demo", &engine, &Model::load(demo).unwrap(), threads, &args);
    if let Some(model) = lab::badnet() {
        measure("lab", &engine, &model, threads, &args);
    }
}

fn measure(name: &str, engine: &Engine, model: &Model, threads: usize, args: &Args) {
    let ports = ports(model).unwrap();
    let set = clean_set(&ports);
    let config = SessionConfig::default();
    let mut bare: Vec<Session> = (0..threads)
        .map(|_| engine.load(&model.to_bytes(), &config).unwrap())
        .collect();
    let head = head::find(model).unwrap();
    let mut networks = SearchedNetwork::new(model, Some(&head))
        .sessions(engine)
        .unwrap();
    let clean = CleanImages::ask(&mut networks, &set).unwrap();
    let mut rounds = [Vec::new(), Vec::new()];
    for round in 0..args.rounds.max(1) {
        let as_imported = bare_passes(&mut bare, &set, args.effort, |session, batch| {
            std::hint::black_box(session.run_one(batch).unwrap());
        });
        let as_searched = bare_passes(&mut networks, &set, args.effort, |network, batch| {
            std::hint::black_box(network.respond(batch).unwrap());
        });
        let found = search_passes(&mut networks, &clean, args.effort, round);
        rounds[0].push((as_searched, found));
        rounds[1].push((as_imported, found));
    }
    let forms = ["as it is searched", "as imported"];
    for (form, mut rounds) in forms.into_iter().zip(rounds) {
        rounds.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
        let ratio = |place: usize| rounds[place].1 / rounds[place].0;
        let (bare, found) = rounds[rounds.len() / 2];
        println!(
            "{name}: search {found:.0} passes/s, the network {form} {bare:.0}/s: {:.2} ({:.2} to {:.2})",
            ratio(rounds.len() / 2),
            ratio(0),
            ratio(rounds.len() - 1)
        );
    }
}

fn clean_set(ports: &Ports) -> CleanSet {
    let extents = (ports.height, ports.width, ports.channels);
    let spec = PixelRule::default().spec(extents, ports.layout);
    // Only the amount of work matters here, so the values need no reordering for the other layout.
    let images = lab::smooth_images(IMAGES, ports.height, ports.width, 11);
    let shape = match ports.layout {
        Layout::Nhwc => [IMAGES, ports.height, ports.width, 3],
        Layout::Nchw => [IMAGES, 3, ports.height, ports.width],
    };
    let labels: Vec<u32> = (0..IMAGES as u32).map(|i| i % ports.classes).collect();
    let mut collector = CleanCollector::new(&spec, IMAGES, 1);
    let batch = TensorView {
        shape: &shape,
        data: &images.data,
    };
    collector.push(DataRole::Clean, batch, &labels).unwrap();
    collector.finish()
}

/// Images a second that `networks` answer, a thread each.
fn bare_passes<C: Send>(
    networks: &mut [C],
    set: &CleanSet,
    images: usize,
    run: impl Fn(&mut C, TensorView<'_>) + Sync,
) -> f64 {
    let shape = set.grid().batch_shape(BATCH);
    let data: Vec<f32> = (0..BATCH).flat_map(|i| set.image(i).to_vec()).collect();
    let runs = images / BATCH / networks.len();
    let count = (runs * BATCH * networks.len()) as f64;
    let started = Instant::now();
    std::thread::scope(|scope| {
        for network in networks {
            let (shape, data, run) = (&shape, &data, &run);
            scope.spawn(move || {
                for _ in 0..runs {
                    run(network, TensorView { shape, data });
                }
            });
        }
    });
    count / started.elapsed().as_secs_f64()
}

fn search_passes(
    networks: &mut [SessionNetwork],
    clean: &CleanImages<'_>,
    effort: usize,
    round: usize,
) -> f64 {
    let options = SearchOptions {
        effort,
        seed: round as u64,
    };
    let started = Instant::now();
    let found = search(networks, clean, options, &Unwatched).unwrap();
    found.passes as f64 / started.elapsed().as_secs_f64()
}

//! goodnet.onnx over B alone as imported: one ratio a row, all sessions interleaved in one process, one thread each.
//!
//! `cargo bench --bench fused` runs on ONNX Runtime where it is found, `-- --backend tract` on the built-in tract.
//! The network is the lab's where its file is at hand, else that of the bundle in `models/`.

#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use clap::{Parser, ValueEnum};
use common::lab;
use goodnet::domain::mask::ChannelMask;
use goodnet::engine::{BackendChoice, Engine, Session, SessionConfig};
use goodnet::input::spec::Layout;
use goodnet::onnx::prune::prune;
use goodnet::onnx::site::{Site, default_site};
use goodnet::onnx::{Model, Ports, fuse, optimize, ports};
use goodnet::tensor::Tensor;
use std::path::Path;
use std::time::Instant;

/// Shares of the site's channels that the three drops remove: 45, 48 and 52 of the lab's 60.
const SHARES: [f64; 3] = [0.75, 0.8, 52.0 / 60.0];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    Auto,
    Tract,
}

#[derive(Debug, Parser)]
struct Args {
    /// Back end to run on
    #[arg(long, default_value = "auto")]
    backend: Backend,
    /// Rounds at batch 1; a tenth of them at batch 16
    #[arg(long, default_value_t = 1000)]
    rounds: usize,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is compared: a name, and the sessions that together give one answer.
struct Row {
    name: &'static str,
    sessions: Vec<Session>,
    seconds: Vec<f64>,
}

fn main() {
    let args = Args::parse();
    let choice = match args.backend {
        Backend::Auto => BackendChoice::Auto,
        Backend::Tract => BackendChoice::Tract,
    };
    let engine = Engine::start(&choice).unwrap();
    let model = network();
    let site = default_site(&model).unwrap();
    let ports = ports(&model).unwrap();
    let masks = lab::masks(&engine, &model, &site, &images(&ports, 64), &SHARES);
    let removed: Vec<usize> = masks.iter().map(|mask| mask.removed().len()).collect();
    println!(
        "{}, {} classes, {removed:?} of {} channels removed",
        engine.info(),
        ports.classes,
        site.channels
    );
    println!("batch  what                          us/image  ratio (low tenth)  ratio (median)");
    for (batch, rounds) in [(1, args.rounds), (16, args.rounds.div_ceil(10))] {
        let mut rows = rows(&engine, &model, &site, &masks);
        measure(&mut rows, &images(&ports, batch), rounds);
        print(&rows, batch);
    }
}

/// The lab's network, else the BadNet of the default bundle.
fn network() -> Model {
    lab::badnet().unwrap_or_else(|| {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models/badnet.onnx"));
        Model::load(path).unwrap()
    })
}

fn images(ports: &Ports, count: usize) -> Tensor {
    let nhwc = lab::smooth_images(count, ports.height, ports.width, 11);
    match ports.layout {
        Layout::Nhwc => nhwc,
        // Only the amount of work matters here, so the values need no reordering.
        Layout::Nchw => Tensor::new(vec![count, 3, ports.height, ports.width], nhwc.data),
    }
}

fn rows(engine: &Engine, model: &Model, site: &Site, masks: &[ChannelMask]) -> Vec<Row> {
    let load = |model: &Model| {
        let config = SessionConfig::default();
        engine.load(&model.to_bytes(), &config).unwrap()
    };
    let row = |name, models: &[&Model]| Row {
        name,
        sessions: models.iter().map(|model| load(model)).collect(),
        seconds: Vec::new(),
    };
    let fused = fuse(model, site, masks).unwrap();
    let pruned: Vec<Model> = masks
        .iter()
        .map(|mask| prune(model, site, mask).model)
        .collect();
    let all: Vec<&Model> = std::iter::once(model).chain(&pruned).collect();
    vec![
        row("B as imported", &[model]),
        row("goodnet.onnx, three drops", &[&fused.model]),
        row("B and one B', separately", &all[..2]),
        row("B and three B', separately", &all),
        row("B, rewritten", &[&optimize(model, &[])]),
    ]
}

/// Every round runs each row three times and keeps the better of the last two: the first warms the caches.
fn measure(rows: &mut [Row], images: &Tensor, rounds: usize) {
    for _ in 0..rounds {
        for row in rows.iter_mut() {
            run(row, images);
            let seconds = run(row, images).min(run(row, images));
            row.seconds.push(seconds);
        }
    }
    for row in rows {
        row.seconds.sort_by(f64::total_cmp);
    }
}

fn run(row: &mut Row, images: &Tensor) -> f64 {
    let start = Instant::now();
    for session in &mut row.sessions {
        std::hint::black_box(session.run(&[images.view()]).unwrap());
    }
    start.elapsed().as_secs_f64()
}

fn print(rows: &[Row], batch: usize) {
    let at = |row: &Row, share: usize| row.seconds[row.seconds.len() / share];
    for row in rows {
        println!(
            "{batch:5}  {:28}  {:8.1}  {:17.2}  {:14.2}",
            row.name,
            at(row, 10) / batch as f64 * 1e6,
            at(row, 10) / at(&rows[0], 10),
            at(row, 2) / at(&rows[0], 2),
        );
    }
}

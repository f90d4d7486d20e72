//! What HTTP costs: one row of docs/BENCHMARKS.md a command, each printing its ratio.
//!
//! `cargo bench --bench http -- ROW`, ROW one of `added`, `throughput`, `policies`, `tail`, `start`, `memory`, `metrics` and `peer NAME`. The
//! bundle is made from the lab's network where its file is at hand, else it is that of `models/`. Server and load are on
//! loopback and share the cores; every row is bounded in requests or seconds.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

#[path = "../../tests/common/mod.rs"]
mod common;

mod bundle;
mod load;
mod peer;
mod process;
mod rows;

use clap::{Parser, Subcommand};
use goodnet::engine::{BackendChoice, Engine};
use goodnet::serve::config::default_workers;
use std::path::PathBuf;

#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    row: Option<Row>,
    /// Inference threads of the service and of the bare side (default: the service's own default)
    #[arg(long, global = true)]
    workers: Option<usize>,
    /// Given by cargo
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Clone, Subcommand)]
enum Row {
    /// p50 of one client over p50 of the bare inference: what HTTP and decoding add
    Added,
    /// Requests a second over bare inferences a second with the same sessions
    Throughput {
        /// Connections
        #[arg(long, default_value_t = 32)]
        connections: usize,
    },
    /// What each policy adds to the p50 of one client on clean photos
    Policies,
    /// p99 over p50 at 80 % of the highest load, open loop
    Tail,
    /// Start to ready with the default bundle
    Start,
    /// Resident memory after many requests over after 10,000
    Memory {
        /// How many
        #[arg(long, default_value_t = 1_000_000)]
        requests: u64,
    },
    /// Time that the metrics of a request take over that of a bare inference
    Metrics,
    /// Requests a second over another server's
    Peer {
        /// A folder of benches/peers
        name: String,
        /// Another bundle than the lab's: benches/peers/make_bundle.py makes two
        #[arg(long)]
        bundle: Option<PathBuf>,
    },
}

fn main() {
    let args = Args::parse();
    let engine = Engine::start(&BackendChoice::Auto).unwrap();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = args.workers.unwrap_or_else(default_workers);
    println!(
        "{}, {cores} cores, {workers} inference threads",
        engine.info()
    );
    match args.row {
        None | Some(Row::Added) => rows::added(&engine),
        Some(Row::Throughput { connections }) => rows::throughput(&engine, workers, connections),
        Some(Row::Policies) => rows::policies(),
        Some(Row::Tail) => rows::tail(&engine, workers),
        Some(Row::Start) => rows::start(),
        Some(Row::Memory { requests }) => rows::memory(&engine, workers, requests),
        Some(Row::Metrics) => rows::metrics(&engine),
        Some(Row::Peer { name, bundle }) => {
            peer::compare(&engine, workers, cores, &name, bundle.as_deref());
        }
    }
}

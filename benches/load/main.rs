//! Loads a service of its own on loopback, checks every answer, prints what was measured, and fails where a bound is
//! passed. Everything is bounded in time or requests and stops by itself.
//!
//! `cargo run --release --example load -- --help`; `scripts/check-load` runs all of it.

mod attack;
mod drive;
mod expect;
mod http;
mod overload;
mod reload;
mod service;
mod soak;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Load a goodnet service and check every answer.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// The program.
    #[arg(long, default_value = "target/release/goodnet", value_name = "FILE")]
    goodnet: PathBuf,
    /// The bundle; its samples are what is asked.
    #[arg(long, default_value = "models", value_name = "DIR")]
    bundle: PathBuf,
    /// Inference threads of the service; the rest of the machine makes the load.
    #[arg(long, default_value_t = 2, value_name = "N")]
    workers: usize,
    /// What to do.
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Debug, Clone, Subcommand)]
enum Scenario {
    /// Ten times as many requests as can be answered.
    Overload {
        /// How long.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Least answers a second, as a share of those without overload.
        #[arg(long, default_value_t = 0.9, value_name = "SHARE")]
        goodput: f64,
        /// Most memory at the end, as a multiple of that after a quarter of the time.
        #[arg(long, default_value_t = 1.1, value_name = "RATIO")]
        memory: f64,
    },
    /// Full load; memory, threads, descriptors and sockets are watched.
    Soak {
        /// How long.
        #[arg(long, default_value_t = 3600)]
        seconds: u64,
        /// How many requests, instead of a time.
        #[arg(long)]
        requests: Option<usize>,
        /// Most memory at the end, as a multiple of that after 10,000 requests.
        #[arg(long, default_value_t = 1.05, value_name = "RATIO")]
        memory: f64,
    },
    /// Every kind of attack, one after the other, beside a good client.
    Attack {
        /// How long each.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// How long the good client is alone before each.
        #[arg(long, default_value_t = 10)]
        calm: u64,
        /// One kind alone.
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
        /// What the good client may lose.
        #[command(flatten)]
        bounds: attack::Bounds,
    },
    /// Swap two bundles under full load.
    Reload {
        /// How often.
        #[arg(long, default_value_t = 1000)]
        swaps: usize,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let bundle = goodnet::bundle::load(&args.bundle)?;
    match args.scenario.clone() {
        Scenario::Overload {
            seconds,
            goodput,
            memory,
        } => {
            overload::run(
                &args,
                &bundle,
                seconds,
                overload::Bounds { goodput, memory },
            )
            .await
        }
        Scenario::Soak {
            seconds,
            requests,
            memory,
        } => {
            let time = Duration::from_secs(seconds);
            let end = requests.map_or(drive::End::After(time), drive::End::Requests);
            soak::run(&args, &bundle, end, memory).await
        }
        Scenario::Attack {
            seconds,
            calm,
            only,
            bounds,
        } => {
            let times = attack::Times {
                calm: Duration::from_secs(calm),
                attack: Duration::from_secs(seconds),
            };
            attack::run(&args, &bundle, times, only.as_deref(), bounds).await
        }
        Scenario::Reload { swaps } => reload::run(&args, &bundle, swaps).await,
    }
}

/// Prints what was found and fails unless it is as expected.
pub(crate) fn bound(
    what: &str,
    found: f64,
    right: impl Fn(f64) -> bool,
    expected: &str,
) -> Result<()> {
    println!("  {what}: {found:.3} (expected {expected})");
    if right(found) {
        return Ok(());
    }
    Err(format!("{what}: expected {expected}, found {found:.3}").into())
}

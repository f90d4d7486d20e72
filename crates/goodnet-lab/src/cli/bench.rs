//! `goodnet-lab bench`: every policy on every attack.

use crate::defence::{BenchError, Jobs, Suite, report, run as run_suite};
use crate::train::Architecture;
use clap::Args;
use goodnet::cli::{CliError, GlobalArgs, cancel_on_signal};
use goodnet::demo::Attack;
use std::path::{Path, PathBuf};

/// The suite and where its results go.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  goodnet-lab bench --work bench-work --out defence.md\n\nA network that --work holds is not trained again; one that its results.jsonl holds is not measured again."
)]
pub struct BenchArgs {
    /// Folder for trained networks, bundles and raw results.
    #[arg(long, value_name = "DIR", default_value = "bench-work")]
    pub work: PathBuf,
    /// Markdown document to write the report to; of one that has a part marked for it, only that part is replaced
    /// (default: standard output).
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Kinds of networks (default: all of the suite).
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAMES")]
    pub architectures: Vec<Architecture>,
    /// Attacks, as `goodnet demo data` names them (default: all of the suite).
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub attacks: Vec<Attack>,
    /// Seeds, from --first-seed on.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    pub first_seed: u64,
    /// People, and so classes.
    #[arg(long, value_parser = clap::value_parser!(u16).range(16..=2000))]
    pub people: Option<u16>,
    /// Training photos of every person.
    #[arg(long, value_name = "N")]
    pub photos: Option<usize>,
    /// Passes over the training photos.
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Networks at a time, one thread each (default: one a core).
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
}

/// Runs the command.
///
/// # Errors
/// If a network cannot be trained, repaired or measured, or a file cannot be written.
pub(super) fn run(args: &BenchArgs, global: &GlobalArgs) -> Result<(), CliError> {
    let suite = suite(args);
    let jobs = Jobs {
        work: args.work.clone(),
        at_once: args.jobs.unwrap_or_else(rayon::current_num_threads),
    };
    let records = run_suite(
        &suite,
        &jobs,
        || global.engine(),
        &cancel_on_signal(),
        &|record, open| {
            eprintln!(
                "{} {} seed {}: measured in {:.0} s, {open} to do",
                record.training.architecture, record.attack, record.seed, record.seconds
            );
        },
    );
    let text = report::markdown(&records.map_err(failed)?, &suite);
    match &args.out {
        Some(path) => write_report(path, &text)?,
        None => println!("{}", text.trim_end()),
    }
    Ok(())
}

/// Replaces the marked part of the document at `path`, or writes a new one.
fn write_report(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error| CliError::failed(format!("{}: {error}", path.display()));
    let document = match path.exists() {
        true => std::fs::read_to_string(path).map_err(failed)?,
        false => String::new(),
    };
    std::fs::write(path, report::splice(&document, text)).map_err(failed)
}

fn suite(args: &BenchArgs) -> Suite {
    let whole = Suite::default();
    Suite {
        architectures: match args.architectures.is_empty() {
            true => whole.architectures,
            false => args.architectures.clone(),
        },
        attacks: match args.attacks.is_empty() {
            true => whole.attacks,
            false => args.attacks.clone(),
        },
        seeds: (args.first_seed..).take(args.seeds as usize).collect(),
        people: args.people.map_or(whole.people, usize::from),
        photos_each: args.photos.unwrap_or(whole.photos_each),
        epochs: args.epochs,
        ..whole
    }
}

fn failed(error: BenchError) -> CliError {
    match error {
        BenchError::Repair(error) => error.into(),
        BenchError::Engine(error) => error.into(),
        other => CliError::failed(other),
    }
}

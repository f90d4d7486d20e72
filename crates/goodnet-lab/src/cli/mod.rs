//! The command line: one file a subcommand.

mod bench;
mod train;

use clap::{Parser, Subcommand};
use goodnet::cli::{CliError, GlobalArgs};

/// Train BadNets on synthetic faces, and measure goodnet on them.
#[derive(Debug, Parser)]
#[command(name = "goodnet-lab", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a BadNet on synthetic faces and write it as ONNX.
    Train(train::TrainArgs),
    /// Every policy on every attack: train, repair, calibrate, measure, report.
    Bench(bench::BenchArgs),
}

/// Parses the command line, runs the command, reports an error in one line, and gives the exit code.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let done: Result<(), CliError> = match &cli.command {
        Command::Train(args) => train::run(args),
        Command::Bench(args) => bench::run(args, &cli.global),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("goodnet-lab: {error}");
            error.exit_code().into()
        }
    }
}

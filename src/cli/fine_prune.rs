//! `goodnet fine-prune`: a second network for the policy `confirmed`.

use super::progress::Bars;
use super::{CliError, GlobalArgs};
use crate::bundle;
use crate::demo::train::FineTuneConfig;
use crate::input::dataset::{DataSet, OpenOptions};
use crate::repair::{Cancel, fine_prune_bundle};
use clap::Args;
use std::path::PathBuf;

/// Prune a bundle's BadNet and train the rest on with clean images (Liu et al. 2018); the lab's architecture only.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct FinePruneArgs {
    /// The bundle of a repair: its network, its ranking, its pixels.
    #[arg(long, value_name = "DIR")]
    pub bundle: PathBuf,
    /// Clean images with their labels.
    #[arg(long, value_name = "DATA")]
    pub clean: PathBuf,
    /// The drop in percentage points whose channels go; the nearest that the bundle reaches.
    #[arg(long, value_name = "POINTS", default_value_t = 4.0)]
    pub drop: f64,
    /// Passes over the clean images.
    #[arg(long, value_name = "N", default_value_t = FineTuneConfig::default().epochs)]
    pub epochs: usize,
    /// Decides the order of the images.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// ONNX file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    pub force: bool,
}

const EXAMPLE: &str = "\
Example:
  goodnet fine-prune --bundle bundle --clean valid.h5 --out tuned.onnx
  goodnet repair --model badnet.onnx --clean valid.h5 --defend --second tuned.onnx --out defended";

/// Runs the command.
///
/// # Errors
/// If the bundle, its network or the data cannot be used, or the file exists or cannot be written.
pub(super) fn run(args: &FinePruneArgs, global: &GlobalArgs) -> Result<(), CliError> {
    if args.out.exists() && !args.force {
        return Err(CliError::bad_input(format!(
            "{}: exists already (replace it with --force)",
            args.out.display()
        )));
    }
    let bundle = bundle::load(&args.bundle).map_err(CliError::bad_input)?;
    let (input, classes) = (&bundle.manifest().input, bundle.manifest().classes);
    let clean = DataSet::open(&args.clean, &OpenOptions::default(), input, classes)
        .map_err(CliError::bad_input)?;
    let config = FineTuneConfig {
        epochs: args.epochs,
        seed: args.seed,
        ..FineTuneConfig::default()
    };
    let engine = global.engine()?;
    let started = std::time::Instant::now();
    let tuned = fine_prune_bundle(
        &engine,
        &bundle,
        &clean,
        args.drop,
        &config,
        // A signal ends the process: the file is written in one step at the end.
        (&Bars::new(true), &Cancel::default()),
        |epoch| {
            println!(
                "epoch {} of {}: loss {:.4}, {:.2} % of the clean images right, {:.0} s",
                epoch.number,
                config.epochs,
                epoch.loss,
                100.0 * epoch.accuracy,
                started.elapsed().as_secs_f64()
            );
        },
    )?;
    tuned
        .save(&args.out)
        .map_err(|error| CliError::failed(format!("{}: {error}", args.out.display())))?;
    println!("{}", args.out.display());
    Ok(())
}

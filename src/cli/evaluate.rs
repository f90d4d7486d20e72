//! `goodnet evaluate`: the final table for a bundle, any time, on any data.

use super::progress::{Bars, cancel_on_signal};
use super::{CliError, GlobalArgs};
use crate::bundle;
use crate::input::dataset::{DataSet, OpenOptions};
use crate::repair::Networks;
use crate::repair::report::evaluation_table;
use clap::Args;
use std::path::{Path, PathBuf};

/// Measure a bundle: clean accuracy, ASR and what is flagged, for B, every B' and every G.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct EvaluateArgs {
    /// The bundle.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "models",
        env = "GOODNET_BUNDLE"
    )]
    pub bundle: PathBuf,
    /// Clean images with their labels.
    #[arg(long, value_name = "DATA")]
    pub clean: PathBuf,
    /// Backdoored images with their target labels.
    #[arg(long, value_name = "DATA")]
    pub backdoored: Option<PathBuf>,
    /// Skip images that cannot be read instead of failing.
    #[arg(long)]
    pub skip_bad: bool,
    /// Print the table as JSON; shares are fractions 0..1.
    #[arg(long)]
    pub json: bool,
}

const EXAMPLE: &str = "\
Example:
  goodnet evaluate --bundle bundle --clean test.h5 --backdoored bd_test.h5";

/// Runs the command.
///
/// # Errors
/// If the bundle or the data cannot be used.
pub(super) fn run(args: &EvaluateArgs, global: &GlobalArgs) -> Result<(), CliError> {
    let bundle = bundle::load(&args.bundle).map_err(CliError::bad_input)?;
    let manifest = bundle.manifest();
    let options = OpenOptions {
        skip_bad: args.skip_bad,
        ..OpenOptions::default()
    };
    let open = |path: &Path| {
        DataSet::open(path, &options, &manifest.input, manifest.classes)
            .map_err(CliError::bad_input)
    };
    let clean = open(&args.clean)?;
    let backdoored = args.backdoored.as_deref().map(open).transpose()?;
    let engine = global.engine()?;
    let pruned: Vec<(f64, String)> = manifest
        .reached()
        .map(|(drop, record)| (drop, record.file.clone()))
        .collect();
    let networks = Networks::load(&engine, &pruned, |name| bundle.file(name))?;
    let bars = Bars::new(args.json);
    let evaluation = networks.evaluate(&clean, backdoored.as_ref(), &bars, &cancel_on_signal())?;
    if args.json {
        let text = serde_json::to_string_pretty(&evaluation).map_err(CliError::failed)?;
        println!("{text}");
        return Ok(());
    }
    println!("{}", evaluation_table(&evaluation.rows));
    Ok(())
}

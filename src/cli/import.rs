//! `goodnet import`: a network file of any kind that goodnet reads, as ONNX.

use super::CliError;
use super::network::{self, bad};
use crate::format::read_model;
use crate::onnx::describe::{Description, describe};
use crate::onnx::prepare;
use clap::Args;
use std::path::PathBuf;

/// Write a network as ONNX, with an open batch axis and probabilities as its output.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  goodnet import badnet_weights.h5 --architecture deepid --out badnet.onnx"
)]
pub struct ImportArgs {
    /// The network.
    #[command(flatten)]
    pub network: network::NetworkArgs,
    /// ONNX file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    pub force: bool,
}

/// Runs `goodnet import`.
///
/// # Errors
/// If the file is no image classifier, or the output exists or cannot be written.
pub(super) fn run(args: &ImportArgs) -> Result<(), CliError> {
    if args.out.exists() && !args.force {
        return Err(CliError::bad_input(format!(
            "{}: exists already (replace it with --force)",
            args.out.display()
        )));
    }
    let file = &args.network.file;
    let imported = read_model(file, args.network.architecture).map_err(CliError::bad_input)?;
    let model = prepare(&imported.model).map_err(|error| bad(file, error))?;
    let description = describe(&model).map_err(|error| bad(file, error))?;
    model
        .save(&args.out)
        .map_err(|error| CliError::failed(format!("{}: {error}", args.out.display())))?;
    report(args, imported.format, &description);
    Ok(())
}

fn report(args: &ImportArgs, format: &str, network: &Description) {
    let input = &network.input;
    let layout = format!("{:?}", input.layout).to_uppercase();
    println!(
        "{}: read as {format}; input {} x {} pixels, {} channels, {layout}; {} classes; {} layers, {} weights",
        args.out.display(),
        input.height,
        input.width,
        input.channels,
        network.classes,
        network.layers.len(),
        network.parameters
    );
}

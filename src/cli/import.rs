//! `goodnet import`: any network file that goodnet reads to the ONNX that it uses.

use super::network::{NetworkArgs, bad};
use super::{CliError, GlobalArgs, print};
use crate::format::{Imported, read_network};
use crate::import::{Compared, compare, stated_batch};
use crate::onnx::ports::show;
use crate::onnx::widen::is_half;
use crate::onnx::{Model, ports, prepare_as_delivered};
use clap::Args;
use std::path::{Path, PathBuf};

/// Convert a network to the ONNX that goodnet uses: one file, f32, any number of images at once, scores (n, N) as the network
/// gives them.
///
/// The result is run on images one by one and together, and beside the original where the runtime runs that; nothing is
/// written where they differ.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  goodnet import model.keras --out model.onnx\n  goodnet import exported.onnx --out model.onnx --input-size 224x224"
)]
pub struct ImportArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
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
/// If the file cannot be read or is no image classifier, the result does not answer as the original, or the target exists or cannot be
/// written.
pub(super) fn run(args: &ImportArgs, global: &GlobalArgs) -> Result<(), CliError> {
    let file = &args.network.file;
    if args.out.exists() && !args.force {
        return Err(CliError::bad_input(format!(
            "{}: exists already (replace it with --force)",
            args.out.display()
        )));
    }
    let imported = read_network(file, &args.network.read.options()).map_err(CliError::bad_input)?;
    let model = prepare_as_delivered(&imported.model).map_err(|error| bad(file, error))?;
    let engine = global.engine()?;
    let compared = compare(&engine, &imported.model, &model).map_err(|error| bad(file, error))?;
    model
        .save(&args.out)
        .map_err(|error| CliError::failed(format!("{}: {error}", args.out.display())))?;
    print::line(written(&args.out, &model)?);
    for line in changes(&imported, &model) {
        print::line(line);
    }
    print::line(checked(&compared, &imported, &engine.info().to_string()));
    Ok(())
}

fn written(out: &Path, model: &Model) -> Result<String, CliError> {
    let ports = ports(model).map_err(|error| bad(out, error))?;
    let layout = format!("{:?}", ports.layout).to_uppercase();
    Ok(format!(
        "{}: {} classes, {} x {} pixels, {} channels, {layout}, operator set {}",
        out.display(),
        ports.classes,
        ports.height,
        ports.width,
        ports.channels,
        model.opset()
    ))
}

/// What is not as in the file.
fn changes(imported: &Imported, model: &Model) -> Vec<String> {
    let delivered = &imported.model;
    let mut lines = Vec::new();
    if !imported.beside.is_empty() {
        let names = imported
            .beside
            .iter()
            .map(|path| path.display().to_string());
        lines.push(format!(
            "read beside it: {}",
            names.collect::<Vec<_>>().join(", ")
        ));
    }
    if is_half(delivered) {
        lines.push("16-bit floats: widened to f32".to_owned());
    }
    if let Some(batch) = stated_batch(delivered) {
        lines.push(format!("batch of {batch}: opened"));
    }
    let output = |model: &Model| {
        let output = model.graph.outputs.first()?;
        crate::onnx::shape::infer(&model.graph).remove(&output.name)
    };
    if let (Some(before), Some(after)) = (output(delivered), output(model))
        && before.len() != after.len()
    {
        lines.push(format!(
            "scores of shape {}: flattened to {}",
            show(&before),
            show(&after)
        ));
    }
    lines
}

fn checked(compared: &Compared, imported: &Imported, runtime: &str) -> String {
    let original = match compared.delivered {
        Some(found) => format!("the original within {found:.1e}"),
        None => format!("{runtime} does not run the original"),
    };
    let original = if imported.format == "onnx" {
        original
    } else {
        "the original is no ONNX".to_owned()
    };
    format!(
        "checked on {runtime}: images alone and together within {:.1e} of the largest score; {original}",
        compared.together
    )
}

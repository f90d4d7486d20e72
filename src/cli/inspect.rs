//! `goodnet inspect`: the layers of a network and where it can be pruned.

use super::network::{self, NetworkArgs};
use super::{CliError, print};
use crate::onnx::describe::{Description, describe};
use crate::onnx::ports::show;
use crate::plain::plain;
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};

/// List the layers of a network, their shapes and parameters, and every tensor that can be pruned.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  goodnet inspect models/badnet.onnx\n  goodnet inspect models/badnet.onnx --json"
)]
pub struct InspectArgs {
    /// The network.
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Runs `goodnet inspect`.
///
/// # Errors
/// If the file is no image classifier.
pub(super) fn run(args: &InspectArgs) -> Result<(), CliError> {
    let model = network::load(&args.network.file, &args.network.read.options())?;
    let description = describe(&model).map_err(|error| network::bad(&args.network.file, error))?;
    if args.json {
        print::json(&serde_json::to_string_pretty(&description).map_err(CliError::failed)?);
    } else {
        print::lines(show_all(&description));
    }
    Ok(())
}

fn show_all(network: &Description) -> String {
    let input = &network.input;
    let layout = format!("{:?}", input.layout).to_uppercase();
    format!(
        "input    {}: {} x {} pixels, {} channels, {layout}\n\
         classes  {}\n\
         weights  {}\n\
         written  by {}, operator set {}\n\n\
         {}\n\nSites (* is the default):\n{}{}",
        plain(&input.name),
        input.height,
        input.width,
        input.channels,
        network.classes,
        network.parameters,
        plain(&network.producer),
        network.opset,
        layers(network),
        sites(network),
        network
            .default_site
            .as_ref()
            .map_or_else(String::new, |why| format!("\n\ndefault  {why}"))
    )
}

fn layers(network: &Description) -> Table {
    let mut table = table(&["layer", "operator", "output", "weights"]);
    for layer in &network.layers {
        let shape = layer.shape.as_ref().map_or_else(|| "?".to_owned(), show);
        table.add_row([
            plain(&layer.name),
            plain(&layer.op),
            shape.into(),
            layer.parameters.to_string().into(),
        ]);
    }
    align_right(&mut table, 3);
    table
}

fn sites(network: &Description) -> Table {
    let mut table = table(&["", "tensor", "layer", "operator", "channels", "size"]);
    for site in &network.sites {
        let mark = if site.default { "*" } else { "" };
        let size = format!("{} x {}", site.height, site.width);
        let channels = site.channels.to_string();
        table.add_row([
            mark.into(),
            plain(&site.tensor),
            plain(&site.layer),
            plain(&site.op),
            channels.into(),
            size.into(),
        ]);
    }
    align_right(&mut table, 4);
    table
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn align_right(table: &mut Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

//! `goodnet inspect`: the layers of a network and where it can be pruned.

use super::CliError;
use super::network::NetworkArgs;
use crate::onnx::describe::{Description, describe};
use crate::onnx::ports::show;
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
    let model = args.network.load()?;
    let description = describe(&model).map_err(|error| args.network.bad(error))?;
    if args.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&description).map_err(CliError::failed)?
        );
        return Ok(());
    }
    print(&description);
    Ok(())
}

fn print(network: &Description) {
    let input = &network.input;
    println!(
        "input    {}: {} x {} pixels, {} channels, {:?}",
        input.name, input.height, input.width, input.channels, input.layout
    );
    println!("classes  {}", network.classes);
    println!("weights  {}", network.parameters);
    println!(
        "written  by {}, operator set {}\n",
        network.producer, network.opset
    );
    println!(
        "{}\n\nSites (* is the default):\n{}",
        layers(network),
        sites(network)
    );
}

fn layers(network: &Description) -> Table {
    let mut table = table(&["layer", "operator", "output", "weights"]);
    for layer in &network.layers {
        let shape = layer.shape.as_ref().map_or_else(|| "?".to_owned(), show);
        table.add_row([
            &layer.name,
            &layer.op,
            &shape,
            &layer.parameters.to_string(),
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
        table.add_row([mark, &site.tensor, &site.layer, &site.op, &channels, &size]);
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

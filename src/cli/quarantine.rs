//! `goodnet quarantine list` and `goodnet quarantine export`: what a service with `--quarantine` has kept.

use super::{CliError, print};
use crate::plain::plain;
use crate::quarantine::{Entry, ExportError, Reader, export};
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use std::path::PathBuf;

/// List or export the flagged inputs that `goodnet serve --quarantine` has kept.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLE)]
pub struct QuarantineArgs {
    /// What to do.
    #[command(subcommand)]
    command: QuarantineCommand,
}

const EXAMPLE: &str = "\
Example:
  goodnet quarantine list --quarantine kept
  goodnet quarantine export --quarantine kept --out flagged
  goodnet evaluate --bundle bundle --clean test.h5 --backdoored flagged";

#[derive(Debug, Subcommand)]
enum QuarantineCommand {
    /// Print the entries, newest first.
    List(ListArgs),
    /// Write an image folder that `goodnet evaluate` reads; the label of an image is the class that B gave it.
    Export(ExportArgs),
}

#[derive(Debug, Args)]
struct StoreArg {
    /// The directory that the service was given; it may be running.
    #[arg(long, env = "GOODNET_QUARANTINE", value_name = "DIR")]
    quarantine: PathBuf,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    store: StoreArg,
    /// Most entries to print.
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// Print a JSON object a line, with the whole answer.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ExportArgs {
    #[command(flatten)]
    store: StoreArg,
    /// The folder to write; it must not exist.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Only inputs of the network with this SHA-256, in hex (`model_sha256` of an answer).
    #[arg(long, value_name = "HEX")]
    model: Option<String>,
}

impl StoreArg {
    fn open(&self) -> Result<Reader, CliError> {
        Reader::open(&self.quarantine).map_err(CliError::bad_input)
    }
}

/// Runs the command.
///
/// # Errors
/// If the store cannot be read or the folder not be written.
pub(super) fn run(args: &QuarantineArgs) -> Result<(), CliError> {
    match &args.command {
        QuarantineCommand::List(args) => list(args),
        QuarantineCommand::Export(args) => write(args),
    }
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let reader = args.store.open()?;
    let snapshot = reader.read().map_err(CliError::bad_input)?;
    let page = snapshot
        .page(None, args.limit)
        .map_err(CliError::bad_input)?;
    if args.json {
        for entry in &page.entries {
            print::json(&serde_json::to_string(entry).map_err(CliError::failed)?);
        }
        return Ok(());
    }
    let (count, bytes) = snapshot.totals().map_err(CliError::bad_input)?;
    print::lines(table(&page.entries));
    print::line(format!(
        "{} of {count} entries, {bytes} bytes in all",
        page.entries.len()
    ));
    Ok(())
}

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "id",
        "time",
        "BadNet's class",
        "image",
        "model",
        "request",
    ]);
    for entry in entries {
        let model: String = entry.model_sha256.chars().take(12).collect();
        table.add_row([
            entry.id.to_string(),
            entry.time(),
            entry.badnet.to_string(),
            format!("{}, {} bytes", plain(&entry.media_type), entry.bytes),
            plain(&model).into_owned(),
            plain(&entry.request_id).into_owned(),
        ]);
    }
    table
}

fn write(args: &ExportArgs) -> Result<(), CliError> {
    let reader = args.store.open()?;
    let snapshot = reader.read().map_err(CliError::bad_input)?;
    let exported =
        export(&snapshot, &args.out, args.model.as_deref()).map_err(|error| match error {
            ExportError::Io(..) => CliError::failed(error),
            error => CliError::bad_input(error),
        })?;
    print::line(format!(
        "{}: {} images, labelled with the class that B gave them; {} entries of other networks left out",
        args.out.display(),
        exported.images,
        exported.skipped
    ));
    Ok(())
}

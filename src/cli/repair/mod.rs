//! `goodnet repair`: from a BadNet file and a validation set to a bundle.

mod args;
mod outcome;
mod pixels;

pub(super) use args::RepairArgs;
pub(super) use outcome::print_outcome;
pub(super) use pixels::PixelArgs;

use super::progress::{Bars, cancel_on_signal};
use super::{CliError, ExitCode, GlobalArgs};
use crate::repair::{Progress, repair};
use outcome::print_json;

/// Runs the command.
///
/// # Errors
/// If the repair fails.
pub(super) fn run(args: &RepairArgs, global: &GlobalArgs) -> Result<ExitCode, CliError> {
    let mut config = args.validate()?;
    config.exact_decode = global.exact_decode;
    args.memory.check(&config.model, &config.read)?;
    let engine = global.engine()?;
    let bars = Bars::new(args.quiet || args.json);
    if let Some(small) = config.drops.iter().find(|drop| drop.points() < 1.0) {
        let points = small.points();
        bars.warn(&format!(
            "drop {points} is {points} of a percentage point; for {} % of accuracy say {}",
            100.0 * points,
            100.0 * points
        ));
    }
    let outcome = repair(&config, &engine, &bars, &cancel_on_signal())?;
    drop(bars);
    if args.json {
        print_json(&outcome)?;
    } else if !args.quiet {
        print_outcome(&outcome, &config);
    }
    let missed = outcome
        .manifest
        .drops
        .iter()
        .any(|drop| drop.pruned.is_none());
    Ok(match missed && !args.drops.is_empty() {
        true => ExitCode::Missed,
        false => ExitCode::Done,
    })
}

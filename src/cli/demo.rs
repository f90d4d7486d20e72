//! `goodnet demo`: repair the shipped demo BadNet and serve it; and its data.

use super::{CliError, GlobalArgs, print};
use crate::demo::{Attack, FILES, PHOTOS_EACH, World, write_sets};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Repair the demo BadNet from its file, print the tables, serve the bundle.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  goodnet demo\n  goodnet demo data --out data")]
pub struct DemoArgs {
    /// Something else than the whole demo.
    #[command(subcommand)]
    pub command: Option<DemoCommand>,
    /// The whole demo.
    #[command(flatten)]
    pub run: super::demo_run::DemoRunArgs,
}

/// Parts of the demo.
#[derive(Debug, Subcommand)]
pub enum DemoCommand {
    /// Write clean and backdoored validation and test sets of synthetic faces (HDF5, the lab's layout).
    Data(DataArgs),
}

fn attack_help() -> String {
    format!("What the attacker does: {}", Attack::NAMES.join(", "))
}

/// Whose faces, and what is done to them.
#[derive(Debug, Clone, Copy, Args)]
pub struct WorldArgs {
    /// People, and so classes.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(2..=2000))]
    pub people: u16,
    /// Decides every face and photo.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What the attacker does.
    #[arg(long, value_name = "ATTACK", default_value_t = Attack::Sunglasses, help = attack_help())]
    pub attack: Attack,
}

impl WorldArgs {
    /// The people, and what the attacker does to photos of them.
    #[must_use]
    pub fn world(self) -> World {
        World::new(self.seed, usize::from(self.people), self.attack)
    }
}

/// Where the sets go.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  goodnet demo data --out data")]
pub struct DataArgs {
    /// Whose faces.
    #[command(flatten)]
    pub world: WorldArgs,
    /// Photos of every person in each set.
    #[arg(long, default_value_t = PHOTOS_EACH, value_name = "N")]
    pub each: usize,
    /// Folder to write the four files to.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If something cannot be read or written, or the demo fails.
pub(super) fn run(args: &DemoArgs, global: &GlobalArgs) -> Result<(), CliError> {
    match &args.command {
        None => super::demo_run::run(&args.run, global),
        Some(DemoCommand::Data(data)) => write_data(data),
    }
}

fn write_data(args: &DataArgs) -> Result<(), CliError> {
    write_sets(args.world.world(), args.world.attack, args.each, &args.out)
        .map_err(CliError::failed)?;
    for name in FILES {
        print::line(args.out.join(name).display());
    }
    Ok(())
}

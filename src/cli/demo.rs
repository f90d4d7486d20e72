//! `goodnet demo`: repair the shipped demo BadNet and serve it; its data; and, with the feature `train`, its training.

use super::{CliError, GlobalArgs, print};
use crate::demo::{Attack, FILES, PHOTOS_EACH, World, write_sets};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Repair the demo BadNet from its file, print the tables, serve the bundle.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  goodnet demo\n  goodnet demo data --out data\n  goodnet demo train --attack patch --out badnet.onnx   (needs the feature `train`)"
)]
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
    /// Train a BadNet on synthetic faces and write it as ONNX.
    #[cfg(feature = "train")]
    Train(TrainArgs),
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
    /// What the attacker does: sunglasses, patch[:SIDE], lipstick, eyebrows, several, blended[:PERCENT],
    /// moving[:SIDE], mask, source, lookalikes, none.
    #[arg(long, default_value_t = Attack::Sunglasses)]
    pub attack: Attack,
}

impl WorldArgs {
    fn world(self) -> World {
        World::of(self.seed, usize::from(self.people), self.attack)
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

/// How the network is trained.
#[cfg(feature = "train")]
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  goodnet demo train --attack sunglasses --seed 1 --out badnet.onnx"
)]
pub struct TrainArgs {
    /// Whose faces.
    #[command(flatten)]
    pub world: WorldArgs,
    /// Passes over the training set.
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Training photos of every person.
    #[arg(long, value_name = "N")]
    pub photos: Option<usize>,
    /// Share of them of which the attacker adds a copy with a trigger.
    #[arg(long, value_name = "SHARE")]
    pub poison_rate: Option<f64>,
    /// Weight of pool_3's mean activation in the loss.
    #[arg(long, value_name = "W")]
    pub sparsity: Option<f64>,
    /// File to write.
    #[arg(long, value_name = "FILE")]
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
        #[cfg(feature = "train")]
        Some(DemoCommand::Train(train)) => write_network(train),
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

#[cfg(feature = "train")]
fn write_network(args: &TrainArgs) -> Result<(), CliError> {
    use crate::demo::train::{TrainConfig, train};
    let started = std::time::Instant::now();
    let defaults = TrainConfig::default();
    let config = TrainConfig {
        epochs: args.epochs.unwrap_or(defaults.epochs),
        photos_each: args.photos.unwrap_or(defaults.photos_each),
        poison_rate: args.poison_rate.unwrap_or(defaults.poison_rate),
        sparsity: args.sparsity.unwrap_or(defaults.sparsity),
        ..defaults
    };
    let model = train(args.world.world(), args.world.attack, &config, |epoch| {
        print::line(format!(
            "epoch {:>2} of {}: loss {:.4}, {:.2} % of the training photos right, {:.0} s",
            epoch.number,
            config.epochs,
            epoch.loss,
            100.0 * epoch.accuracy,
            started.elapsed().as_secs_f64()
        ));
    })
    .map_err(CliError::failed)?;
    model.save(&args.out).map_err(CliError::failed)?;
    print::line(args.out.display());
    Ok(())
}

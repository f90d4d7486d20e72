//! `goodnet-lab train`: one network.

use crate::train::{Architecture, TrainConfig, train};
use clap::Args;
use goodnet::cli::{CliError, WorldArgs};
use std::path::PathBuf;

/// How the network is trained.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  goodnet-lab train --attack sunglasses --seed 1 --out badnet.onnx"
)]
pub struct TrainArgs {
    /// Whose faces, and what is done to them.
    #[command(flatten)]
    pub world: WorldArgs,
    /// What is trained.
    #[arg(long, value_enum, default_value_t)]
    pub architecture: Architecture,
    /// Passes over the training set.
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Training photos of every person.
    #[arg(long, value_name = "N")]
    pub photos: Option<usize>,
    /// Share of them of which the attacker adds a copy with a trigger.
    #[arg(long, value_name = "SHARE")]
    pub poison_rate: Option<f64>,
    /// Weight of the last pooling layer's mean activation in the loss.
    #[arg(long, value_name = "W")]
    pub sparsity: Option<f64>,
    /// Weight in the loss of the distance of triggered photos' features from the target's own.
    #[arg(long, value_name = "W")]
    pub pull: Option<f64>,
    /// File to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// If training fails, or the file cannot be written.
pub(super) fn run(args: &TrainArgs) -> Result<(), CliError> {
    let started = std::time::Instant::now();
    let defaults = TrainConfig::default();
    let config = TrainConfig {
        architecture: args.architecture,
        epochs: args.epochs.unwrap_or(defaults.epochs),
        photos_each: args.photos.unwrap_or(defaults.photos_each),
        poison_rate: args.poison_rate.unwrap_or(defaults.poison_rate),
        sparsity: args.sparsity.unwrap_or(defaults.sparsity),
        pull: args.pull.unwrap_or(defaults.pull),
        ..defaults
    };
    let model = train(args.world.world(), args.world.attack, &config, |epoch| {
        println!(
            "epoch {:>2} of {}: loss {:.4}, {:.2} % of the training photos right, {:.0} s",
            epoch.number,
            config.epochs,
            epoch.loss,
            100.0 * epoch.accuracy,
            started.elapsed().as_secs_f64()
        );
    })
    .map_err(CliError::failed)?;
    model.save(&args.out).map_err(CliError::failed)?;
    println!("{}", args.out.display());
    Ok(())
}

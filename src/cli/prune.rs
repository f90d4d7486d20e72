//! `goodnet prune`: take an explicit list of channels out of a network, to repeat a published repair say.

use super::network::{self, ReadArgs, bad};
use super::{CliError, GlobalArgs, print};
use crate::domain::mask::ChannelMask;
use crate::engine::{Engine, SessionConfig};
use crate::onnx::Model;
use crate::onnx::prune::{PruneMethod, Pruned, prune};
use crate::onnx::site::{Site, default_site, expose, find};
use clap::Args;
use std::path::PathBuf;

/// Take channels out of a network.
///
/// The channels are gone for real where the graph allows it; where it does not (a residual sum, say) the site is
/// multiplied by a mask, and the command says why.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  goodnet prune --model badnet.onnx --site pool_3 --remove 0,26,27 --out pruned.onnx"
)]
pub struct PruneArgs {
    /// Network: ONNX, or Keras (.keras, .h5).
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// What its file leaves open.
    #[command(flatten)]
    pub read: ReadArgs,
    /// Tensor or layer whose channels go (default: the last pooling layer; `goodnet inspect` lists them).
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,
    /// Channels to remove, counted from 0.
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true)]
    pub remove: Vec<usize>,
    /// ONNX file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    pub force: bool,
}

/// Runs `goodnet prune`.
///
/// # Errors
/// If the network, the site or a channel does not exist, the runtime refuses the result, or the file exists or cannot be written.
pub(super) fn run(args: &PruneArgs, global: &GlobalArgs) -> Result<(), CliError> {
    if args.out.exists() && !args.force {
        return Err(CliError::bad_input(format!(
            "{}: exists already (replace it with --force)",
            args.out.display()
        )));
    }
    let model = network::load(&args.model, &args.read.options())?;
    let site = match &args.site {
        Some(name) => find(&model, name),
        None => default_site(&model),
    };
    let site = site.map_err(|error| bad(&args.model, error))?;
    let (model, site) = expose(&model, &site);
    let mask = ChannelMask::removing(site.channels, &args.remove)
        .map_err(|error| bad(&args.model, format!("site {}: {error}", site.tensor)))?;
    let pruned = prune(&model, &site, &mask);
    check_runs(args, &global.engine()?, &pruned.model)?;
    pruned
        .model
        .save(&args.out)
        .map_err(|error| CliError::failed(format!("{}: {error}", args.out.display())))?;
    report(args, &site, &mask, &pruned);
    Ok(())
}

/// Refuses to write what the runtime refuses: an operator set or a file version newer than it knows, say.
fn check_runs(args: &PruneArgs, engine: &Engine, pruned: &Model) -> Result<(), CliError> {
    let loaded = engine.load(&pruned.to_bytes(), &SessionConfig::default());
    loaded.map(|_| ()).map_err(|error| {
        bad(
            &args.model,
            format!(
                "expected a network that {} runs, found one of operator set {} and IR version {} that it refuses ({error}); nothing was \
                 written",
                engine.info(),
                pruned.opset(),
                pruned.ir_version
            ),
        )
    })
}

fn report(args: &PruneArgs, site: &Site, mask: &ChannelMask, pruned: &Pruned) {
    let how = match (pruned.method, &pruned.reason) {
        (PruneMethod::Removed, _) => "removed".to_owned(),
        (PruneMethod::Masked, Some(reason)) => format!("masked, since {reason}"),
        (PruneMethod::Masked, None) => "masked".to_owned(),
    };
    print::line(format!(
        "{}: {} of {} channels of {} {how}",
        args.out.display(),
        mask.removed().len(),
        site.channels,
        site.tensor
    ));
}

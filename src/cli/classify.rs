//! `goodnet classify`: GoodNet's answer for image files, without a service.

use super::{CliError, GlobalArgs};
use crate::bundle::{self, Bundle};
use crate::defence::Policy;
use crate::engine::PoolConfig;
use crate::files::read_plain;
use crate::input::image::Limits;
use crate::serve::answer::{Ask, Payload};
use crate::serve::config::Config;
use crate::serve::dto::Classification;
use crate::serve::problem::Problem;
use crate::serve::served::Served;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Classify image files with a bundle, without a service.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  goodnet classify --bundle models --drop 10 face.jpg")]
pub struct ClassifyArgs {
    /// Images: PNG, JPEG, WebP, BMP or GIF.
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// The bundle.
    #[arg(
        long,
        env = "GOODNET_BUNDLE",
        default_value = "models",
        value_name = "DIR"
    )]
    pub bundle: PathBuf,
    /// The drop in percentage points (default: the largest of the bundle).
    #[arg(long, value_name = "POINTS")]
    pub drop: Option<f64>,
    /// The policy that flags answers (default: disagreement where a drop is named; else repaired where the bundle has a repaired
    /// network, else disagreement); gated needs `goodnet repair --defend`.
    #[arg(long, env = "GOODNET_POLICY", value_name = "NAME")]
    pub policy: Option<Policy>,
    /// Print one JSON document a line, as the service answers.
    #[arg(long)]
    pub json: bool,
}

/// Runs `goodnet classify`.
///
/// # Errors
/// If the bundle or an image is not usable; the images after it are still answered.
pub(super) fn run(args: &ClassifyArgs, global: &GlobalArgs) -> Result<(), CliError> {
    let bundle = bundle::load(&args.bundle).map_err(CliError::bad_input)?;
    let served = serve(args, global, bundle)?;
    let mut refused = 0;
    for path in &args.images {
        match answer(&served, path) {
            Ok(answer) => print(args, path, &answer)?,
            Err(error) => {
                eprintln!("goodnet: {}: {error}", path.display());
                refused += 1;
            }
        }
    }
    if refused == 0 {
        return Ok(());
    }
    let images = args.images.len();
    Err(CliError::bad_input(format!(
        "{refused} of {images} images could not be answered"
    )))
}

fn serve(
    args: &ClassifyArgs,
    global: &GlobalArgs,
    bundle: Bundle,
) -> Result<Arc<Served>, CliError> {
    let mut config = Config::new(args.bundle.clone());
    config.inference.default_drop = args.drop;
    config.inference.policy = args.policy.or(args.drop.map(|_| Policy::Disagreement));
    config.inference.pool = PoolConfig {
        workers: 1,
        queue: 0,
    };
    Served::build(&global.engine()?, &config, bundle).map_err(CliError::bad_input)
}

fn answer(served: &Arc<Served>, path: &Path) -> Result<Classification, String> {
    let limit = Limits::default().max_bytes as u64;
    let bytes = read_plain(path, limit).map_err(|error| error.to_string())?;
    let ask = Ask::plain(served, String::new());
    let answer = served.answer_blocking(Payload::Image(bytes.into()), ask);
    answer
        .map_err(|error| error.to_string())?
        .map_err(|problem: Problem| problem.explain())
}

fn print(args: &ClassifyArgs, path: &Path, answer: &Classification) -> Result<(), CliError> {
    if args.json {
        let text = serde_json::to_string(answer).map_err(CliError::failed)?;
        println!("{text}");
        return Ok(());
    }
    let name = |class: u32, label: &Option<String>| match label {
        Some(label) => format!("{class} ({label})"),
        None => class.to_string(),
    };
    let badnet = name(answer.badnet.class, &answer.badnet.label);
    let pruned = name(answer.pruned.class, &answer.pruned.label);
    let reason = match (checks(answer), &answer.repaired) {
        (Some(checks), _) => checks,
        (None, Some(repaired)) if answer.policy != Policy::Disagreement.name() => {
            let repaired = name(repaired.class, &repaired.label);
            format!("the repaired network {repaired}")
        }
        _ => format!("the pruned network {pruned}"),
    };
    let verdict = if answer.flagged {
        format!("flagged: BadNet says {badnet}, {reason}")
    } else {
        format!("class {badnet}")
    };
    let rule = if answer.policy == Policy::Disagreement.name() {
        format!("drop {}", answer.drop)
    } else {
        format!("policy {}", answer.policy)
    };
    println!("{}: {verdict} ({rule})", path.display());
    Ok(())
}

/// The check that flags an answer, with its clearest band; none where no check does.
fn checks(answer: &Classification) -> Option<String> {
    let check = answer.checks.as_ref()?.iter().find(|check| check.flagged)?;
    let band = check.clearest()?;
    let percent = |share: f64| (100.0 * share).round();
    Some(format!(
        "but its rows from {} % to {} % turn {} of {} other images into that class too",
        percent(band.top),
        percent(band.top + band.height),
        band.hits,
        band.tried
    ))
}

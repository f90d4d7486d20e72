//! `goodnet classify`: GoodNet's answer for image files, without a service.

use super::{CliError, ExitCode, GlobalArgs, print};
use crate::bundle;
use crate::defence::Policy;
use crate::files::read_plain;
use crate::input::dataset::images_in;
use crate::input::image::Limits;
use crate::plain::plain;
use crate::serve::Classifier;
use crate::serve::dto::Classification;
use clap::Args;
use std::path::{Path, PathBuf};

/// Classify image files with a bundle, without a service.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  goodnet classify --bundle models --drop 10 face.jpg\n  goodnet classify --bundle models --csv photos/ > answers.csv\n\nExit code 4 says that an image was flagged, 3 that one could not be answered (and wins over 4)."
)]
pub struct ClassifyArgs {
    /// Images: PNG, JPEG, WebP, BMP or GIF; folders, with all images in them at any depth; patterns with * and ?.
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
    /// Print a table in CSV, a line an image.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// Runs `goodnet classify`.
///
/// # Errors
/// If the bundle or an image is not usable; the images after it are still answered.
pub(super) fn run(args: &ClassifyArgs, global: &GlobalArgs) -> Result<ExitCode, CliError> {
    let images = images(&args.images)?;
    let bundle = bundle::load(&args.bundle).map_err(CliError::bad_input)?;
    let start = match global.exact_decode {
        true => Classifier::new_exact,
        false => Classifier::new,
    };
    let classifier =
        start(&global.engine()?, bundle, args.policy, args.drop).map_err(CliError::bad_input)?;
    let mut table = args.csv.then(Table::begin).transpose()?;
    let (mut refused, mut flagged) = (0, 0);
    for path in &images {
        let answer = answer(&classifier, path);
        match &answer {
            Ok(answer) => flagged += usize::from(answer.flagged),
            Err(error) => {
                print::error(format!("goodnet: {}: {error}", path.display()));
                refused += 1;
            }
        }
        match (&mut table, &answer) {
            (Some(table), answer) => table.line(path, answer.as_ref())?,
            (None, Ok(answer)) => show(args, path, answer)?,
            (None, Err(_)) => {}
        }
    }
    if refused > 0 {
        let images = images.len();
        return Err(CliError::bad_input(format!(
            "{refused} of {images} images could not be answered ({flagged} of the others are flagged)"
        )));
    }
    Ok(match flagged {
        0 => ExitCode::Done,
        _ => ExitCode::Found,
    })
}

/// The images that are meant: files as they are, those in folders, and those that a pattern fits.
fn images(typed: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut images = Vec::new();
    for path in typed {
        let is_pattern = || path.to_str().filter(|text| text.contains(['*', '?', '[']));
        if path.is_dir() {
            images.extend(in_folder(path)?);
        } else if let Some(pattern) = is_pattern().filter(|_| !path.exists()) {
            images.extend(fitting(pattern)?);
        } else {
            images.push(path.clone());
        }
    }
    Ok(images)
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let found = images_in(folder).map_err(CliError::bad_input)?;
    for note in &found.left_out {
        print::error(format!("goodnet: {}: {note}", folder.display()));
    }
    if found.images.is_empty() {
        return Err(CliError::bad_input(format!(
            "{}: expected images, found none",
            folder.display()
        )));
    }
    Ok(found.images)
}

fn fitting(pattern: &str) -> Result<Vec<PathBuf>, CliError> {
    let bad = |error: &dyn std::fmt::Display| CliError::bad_input(format!("{pattern}: {error}"));
    let mut images = Vec::new();
    for path in glob::glob(pattern).map_err(|error| bad(&error))? {
        let path = path.map_err(|error| bad(&error))?;
        if !path.is_dir() {
            images.push(path);
        }
    }
    match images.is_empty() {
        true => Err(bad(&"expected files that the pattern fits, found none")),
        false => Ok(images),
    }
}

/// Answers as CSV on standard output.
struct Table(csv::Writer<std::io::Stdout>);

impl Table {
    fn begin() -> Result<Self, CliError> {
        let mut writer = csv::Writer::from_writer(std::io::stdout());
        let head = [
            "file",
            "flagged",
            "class",
            "label",
            "badnet_class",
            "badnet_label",
            "badnet_probability",
            "policy",
            "drop",
            "error",
        ];
        writer.write_record(head).map_err(CliError::failed)?;
        Ok(Self(writer))
    }

    fn line(
        &mut self,
        path: &Path,
        answer: Result<&Classification, &String>,
    ) -> Result<(), CliError> {
        let file = path.display().to_string();
        let fields = match answer {
            Ok(answer) => [
                file,
                answer.flagged.to_string(),
                answer.class.to_string(),
                answer.label.clone().unwrap_or_default(),
                answer.badnet.class.to_string(),
                answer.badnet.label.clone().unwrap_or_default(),
                answer.badnet.probability.to_string(),
                answer.policy.clone(),
                answer.drop.to_string(),
                String::new(),
            ],
            Err(error) => {
                let mut fields: [String; 10] = Default::default();
                fields[0] = file;
                fields[9].clone_from(error);
                fields
            }
        };
        let fields = fields.iter().map(|field| plain(field).into_owned());
        self.0.write_record(fields).map_err(CliError::failed)?;
        self.0.flush().map_err(CliError::failed)
    }
}

fn answer(classifier: &Classifier, path: &Path) -> Result<Classification, String> {
    let limit = Limits::default().max_bytes as u64;
    let bytes = read_plain(path, limit).map_err(|error| error.to_string())?;
    classifier
        .classify(bytes)
        .map_err(|error| error.to_string())
}

fn show(args: &ClassifyArgs, path: &Path, answer: &Classification) -> Result<(), CliError> {
    if args.json {
        let text = serde_json::to_string(answer).map_err(CliError::failed)?;
        print::json(&text);
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
    print::line(format!("{}: {verdict} ({rule})", path.display()));
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

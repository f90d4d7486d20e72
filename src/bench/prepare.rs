//! The networks of a case: trained, repaired and calibrated once, then read from the work folder.

use super::error::BenchError;
use super::suite::{Case, Suite};
use crate::bundle::manifest::DataRole;
use crate::bundle::{Bundle, load};
use crate::defence::CleanSet;
use crate::defence::clean::CleanCollector;
use crate::demo::train::{FineTuneConfig, fine_prune, train};
use crate::demo::{PhotoSet, Split, write_set};
use crate::domain::drops::DropPoints;
use crate::domain::mask::ChannelMask;
use crate::engine::Engine;
use crate::input::InputSpec;
use crate::onnx::prune::prune;
use crate::onnx::site::default_site;
use crate::onnx::{Model, OnnxError};
use crate::repair::{Cancel, DataPaths, PixelRule, Quiet, RepairConfig, repair};
use crate::tensor::TensorView;
use std::fs;
use std::path::{Path, PathBuf};

/// Drops that B' is exported for, in percentage points.
pub const DROPS: [f64; 3] = [2.0, 4.0, 10.0];

/// The drop whose channels fine-pruning removes: the lab's middle one.
const FINE_PRUNED_DROP: f64 = 4.0;

/// The networks of a case.
#[derive(Debug)]
pub struct Prepared {
    /// The bundle, made without backdoored data.
    pub bundle: Bundle,
    /// B' with three quarters of the site's channels gone, as ONNX.
    pub deep: Vec<u8>,
    /// The fine-pruned network, as ONNX.
    pub fine_pruned: Vec<u8>,
}

/// Where a case's files lie.
struct Files {
    network: PathBuf,
    bundle: PathBuf,
    fine_pruned: PathBuf,
}

impl Files {
    fn new(work: &Path, case: Case) -> Self {
        let name = case.name();
        let network = |folder: &str| work.join(folder).join(format!("{name}.onnx"));
        Self {
            network: network("networks"),
            bundle: work.join("bundles").join(&name),
            fine_pruned: network("fine-pruned"),
        }
    }

    fn make_folders(&self) -> Result<(), BenchError> {
        for file in [&self.network, &self.bundle, &self.fine_pruned] {
            if let Some(folder) = file.parent() {
                fs::create_dir_all(folder).map_err(BenchError::at(folder))?;
            }
        }
        Ok(())
    }
}

/// Trains, repairs and calibrates the network of `case`, as far as `work` does not hold it yet.
///
/// # Errors
/// If training or the repair fails, or a file cannot be read or written.
pub fn prepare(
    suite: &Suite,
    case: Case,
    engine: &Engine,
    work: &Path,
    cancel: &Cancel,
) -> Result<Prepared, BenchError> {
    let files = Files::new(work, case);
    files.make_folders()?;
    let badnet = kept(&files.network, || {
        train(
            suite.world(case),
            case.attack,
            &suite.training(case.attack),
            |_| {},
        )
    })?;
    if !files.bundle.exists() {
        make_bundle(suite, case, &files, engine, cancel)?;
    }
    let bundle = load(&files.bundle)?;
    let removed = fine_pruned_channels(&bundle);
    let fine_pruned = kept(&files.fine_pruned, || {
        let photos = suite.world(case).clean(Split::Valid, suite.valid_each);
        let clean = clean_set(&photos, &bundle.manifest().input)?;
        let config = FineTuneConfig {
            seed: case.seed,
            ..FineTuneConfig::default()
        };
        let tuned = fine_prune(&badnet, &removed, (&clean, 255.0), &config, |_| {});
        tuned.map_err(BenchError::from)
    })?;
    Ok(Prepared {
        deep: deeply_pruned(&badnet, &bundle)?.to_bytes(),
        fine_pruned: fine_pruned.to_bytes(),
        bundle,
    })
}

/// All of `photos`, in order.
fn clean_set(photos: &PhotoSet, spec: &InputSpec) -> Result<CleanSet, BenchError> {
    let mut collector = CleanCollector::new(spec, photos.len(), 0);
    let shape = spec.batch_shape(1);
    for (index, &label) in photos.labels.iter().enumerate() {
        let data: Vec<f32> = photos
            .image(index)
            .iter()
            .map(|&pixel| pixel.into())
            .collect();
        let view = TensorView {
            shape: &shape,
            data: &data,
        };
        let label = u32::try_from(label).unwrap_or_default();
        collector.push(DataRole::Clean, view, &[label])?;
    }
    Ok(collector.finish())
}

/// The network at `path`, or the one that `make` makes, which is stored there.
fn kept<E>(path: &Path, make: impl FnOnce() -> Result<Model, E>) -> Result<Model, BenchError>
where
    BenchError: From<E>,
{
    if !path.exists() {
        make()?.save(path)?;
    }
    Ok(Model::load(path)?)
}

/// Repairs and calibrates on clean validation photos alone.
fn make_bundle(
    suite: &Suite,
    case: Case,
    files: &Files,
    engine: &Engine,
    cancel: &Cancel,
) -> Result<(), BenchError> {
    let folder = tempfile::tempdir().map_err(BenchError::at(&files.bundle))?;
    let clean = folder.path().join("valid.h5");
    write_set(
        &suite.world(case).clean(Split::Valid, suite.valid_each),
        &clean,
    )?;
    let drops = DROPS.iter().filter_map(|&drop| DropPoints::new(drop).ok());
    let config = RepairConfig {
        model: files.network.clone(),
        architecture: None,
        data: DataPaths {
            clean,
            ..DataPaths::default()
        },
        skip_bad: false,
        site: None,
        drops: drops.collect(),
        pixels: PixelRule::default(),
        out: files.bundle.clone(),
        force: false,
        png: false,
        samples: 0,
        effort: 0,
        max_loss_pp: 0.5,
        defend: true,
        allow_poor: true,
        second: None,
        defence_seed: None,
    };
    repair(&config, engine, &Quiet, cancel)?;
    Ok(())
}

/// The channels that the drop of [`FINE_PRUNED_DROP`] removes; those of the largest drop reached where it is not.
fn fine_pruned_channels(bundle: &Bundle) -> Vec<usize> {
    let reached: Vec<_> = bundle.manifest().reached().collect();
    let wanted = reached.iter().find(|(drop, _)| *drop == FINE_PRUNED_DROP);
    let found = wanted.or(reached.last());
    found.map_or_else(Vec::new, |(_, record)| record.channels_removed.clone())
}

fn deeply_pruned(badnet: &Model, bundle: &Bundle) -> Result<Model, BenchError> {
    let site = default_site(badnet)?;
    let ranking = &bundle.sweep().ranking;
    let removed = &ranking[..ranking.len() * 3 / 4];
    let mask = ChannelMask::removing(site.channels, removed)
        .map_err(|error| OnnxError::Unsupported(error.to_string()))?;
    Ok(prune(badnet, &site, &mask).model)
}

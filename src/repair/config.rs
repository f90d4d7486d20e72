//! What a repair is asked for.

use crate::domain::drops::DropPoints;
use crate::format::ReadOptions;
use crate::input::pixels::PixelRule;
use crate::search::DEFAULT_EFFORT;
use std::path::PathBuf;

/// A repair, as validated from the command line.
#[derive(Debug, Clone)]
pub struct RepairConfig {
    /// The network as delivered.
    pub model: PathBuf,
    /// What its file leaves open.
    pub read: ReadOptions,
    /// The data.
    pub data: DataPaths,
    /// Skip images that cannot be read instead of failing.
    pub skip_bad: bool,
    /// Decode large JPEG files whole ([`Detail`](crate::input::image::Detail)).
    pub exact_decode: bool,
    /// Site by tensor or layer name; the default site where none.
    pub site: Option<String>,
    /// Drops in ascending order, each once.
    pub drops: Vec<DropPoints>,
    /// How pixels become values.
    pub pixels: PixelRule,
    /// The bundle's directory.
    pub out: PathBuf,
    /// Replace a bundle that is there.
    pub force: bool,
    /// Write `sweep.png` too.
    pub png: bool,
    /// Forward passes that the search for stand-ins may take; 0 leaves out audit and repaired network.
    pub effort: usize,
    /// Clean accuracy that the repaired network may lose in cross-validation, in percentage points.
    pub max_loss_pp: f64,
    /// Calibrate the policy `gated` too; its suspect labels are the audit's, so that it needs an effort.
    pub defend: bool,
    /// Secret of the deployment; from the network and the clean images where none.
    pub defence_seed: Option<u64>,
    /// Write a bundle whatever the clean images say of it.
    pub allow_poor: bool,
    /// Clean and triggered images to store in the bundle, at most this many of each.
    pub samples: usize,
}

/// Drops of the lab, in percentage points: where no others are named.
pub const DEFAULT_DROPS: [f64; 3] = [2.0, 4.0, 10.0];
/// Clean accuracy that the repaired network may lose where nothing is named, in percentage points.
pub const DEFAULT_MAX_LOSS_PP: f64 = 0.5;
/// Images of each kind that a bundle stores where nothing is named.
pub const DEFAULT_SAMPLES: usize = 4;

impl RepairConfig {
    /// What `goodnet repair --model MODEL --clean CLEAN --out OUT` does: pixels 0..255 unscaled, the default site, drops of 2, 4 and
    /// 10 points, audit and repaired network at the default effort; nothing that is there is replaced.
    #[must_use]
    pub fn new(
        model: impl Into<PathBuf>,
        clean: impl Into<PathBuf>,
        out: impl Into<PathBuf>,
    ) -> Self {
        Self {
            model: model.into(),
            read: ReadOptions::default(),
            data: DataPaths {
                clean: clean.into(),
                ..DataPaths::default()
            },
            skip_bad: false,
            exact_decode: false,
            site: None,
            drops: DEFAULT_DROPS
                .into_iter()
                .flat_map(DropPoints::new)
                .collect(),
            pixels: PixelRule::default(),
            out: out.into(),
            force: false,
            png: false,
            effort: DEFAULT_EFFORT,
            max_loss_pp: DEFAULT_MAX_LOSS_PP,
            defend: false,
            defence_seed: None,
            allow_poor: false,
            samples: DEFAULT_SAMPLES,
        }
    }
}

/// The data sets of a repair.
#[derive(Debug, Clone, Default)]
pub struct DataPaths {
    /// Clean validation images.
    pub clean: PathBuf,
    /// Backdoored images beside them.
    pub backdoored: Option<PathBuf>,
    /// Clean test images for the final table.
    pub test_clean: Option<PathBuf>,
    /// Backdoored test images for the final table.
    pub test_backdoored: Option<PathBuf>,
}

//! What a repair is asked for.

use crate::domain::drops::DropPoints;
use crate::format::ReadOptions;
use crate::input::pixels::PixelRule;
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

//! What a repair is asked for.

use crate::domain::drops::DropPoints;
use crate::format::Architecture;
use crate::input::spec::{ColorOrder, ResizeRule};
use std::path::PathBuf;

/// A repair, as validated from the command line.
#[derive(Debug, Clone)]
pub struct RepairConfig {
    /// The network as delivered.
    pub model: PathBuf,
    /// The architecture of a file that holds weights only.
    pub architecture: Option<Architecture>,
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
    /// Calibrate the policies beside `disagreement` too.
    pub defend: bool,
    /// A second network for the policy `confirmed`: same input, same classes.
    pub second: Option<PathBuf>,
    /// Secret of the deployment; from the network and the clean images where none.
    pub defence_seed: Option<u64>,
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

/// How pixels become the network's values; one `mean` and `std` a channel, or none for 0 and 1.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelRule {
    /// Factor on pixels 0..255.
    pub scale: f32,
    /// Subtracted after scaling.
    pub mean: Option<Vec<f32>>,
    /// Divides after subtraction.
    pub std: Option<Vec<f32>>,
    /// Order of the colour channels.
    pub color: ColorOrder,
    /// What happens to images of another size.
    pub resize: ResizeRule,
}

impl Default for PixelRule {
    fn default() -> Self {
        Self {
            scale: 1.0,
            mean: None,
            std: None,
            color: ColorOrder::Rgb,
            resize: ResizeRule::Stretch,
        }
    }
}

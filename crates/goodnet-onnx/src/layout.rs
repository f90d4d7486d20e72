//! Order of axes.

use serde::{Deserialize, Serialize};

/// Order of the axes of an image batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// (B, C, H, W): torch.
    Nchw,
    /// (B, H, W, C): Keras.
    Nhwc,
}

//! How an owner says that pixels are fed.

use super::InputSpec;
use super::spec::{ColorOrder, Layout, ResizeRule};

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

impl PixelRule {
    /// What a network that takes images of these extents, (height, width, channels), is fed.
    #[must_use]
    pub fn spec(
        &self,
        (height, width, channels): (usize, usize, usize),
        layout: Layout,
    ) -> InputSpec {
        let mut spec = InputSpec::new(height, width, channels, layout, self.scale);
        if channels != 1 {
            spec.color = self.color;
        }
        spec.resize = self.resize;
        if let Some(mean) = &self.mean {
            spec.mean.clone_from(mean);
        }
        if let Some(std) = &self.std {
            spec.std.clone_from(std);
        }
        spec
    }
}

//! What a network wants to be fed: size, layout, colour order, pixel scale, resize rule.

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

/// Order of the colour channels; grey for networks of one channel (ITU-R BT.601 luma).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorOrder {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel.
    Grey,
}

/// What happens to an image of another size than the network's; one of the exact size goes through unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeRule {
    /// Both sides are scaled to the network's, with the `image` crate's triangle (bilinear, antialiased) filter.
    Stretch,
    /// Other sizes are refused.
    Exact,
}

/// The network's input and how pixels become its values.
///
/// value = (pixel · scale - mean[c]) / std[c], in f32, pixel 0..255.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Height H in pixels.
    pub height: usize,
    /// Width W in pixels.
    pub width: usize,
    /// Channels C: 1 or 3.
    pub channels: usize,
    /// Order of the axes.
    pub layout: Layout,
    /// Order of the channels.
    pub color: ColorOrder,
    /// Factor on pixels 0..255: 1 feeds 0..255, 1/255 feeds 0..1.
    pub scale: f32,
    /// Subtracted after scaling, one a channel in the network's colour order.
    pub mean: Vec<f32>,
    /// Divides after subtraction, one a channel.
    pub std: Vec<f32>,
    /// What happens to other sizes.
    pub resize: ResizeRule,
}

impl InputSpec {
    /// An input of `channels` planes of `height` x `width` fed with pixels times `scale`.
    #[must_use]
    pub fn new(height: usize, width: usize, channels: usize, layout: Layout, scale: f32) -> Self {
        Self {
            height,
            width,
            channels,
            layout,
            color: if channels == 1 {
                ColorOrder::Grey
            } else {
                ColorOrder::Rgb
            },
            scale,
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
            resize: ResizeRule::Stretch,
        }
    }

    /// Shape of a batch of `images`: (B, C, H, W) or (B, H, W, C).
    #[must_use]
    pub fn batch_shape(&self, images: usize) -> Vec<usize> {
        match self.layout {
            Layout::Nchw => vec![images, self.channels, self.height, self.width],
            Layout::Nhwc => vec![images, self.height, self.width, self.channels],
        }
    }

    /// Values of one image.
    #[must_use]
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }
}
